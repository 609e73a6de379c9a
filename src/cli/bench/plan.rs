//! How large networks, subnets and pools must be for a workload, and which ids they have. Pure.

use addrd_client::protocol::{NetworkId, OwnerId, PoolId, Prefix, Range, SubnetId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks that one run may make.
pub(super) const NETWORKS_MAX: u32 = 1_000_000;
/// Subnets in each network that one run may make.
pub(super) const SUBNETS_MAX: u32 = 100_000;
/// Addresses that one run may keep allocated.
pub(super) const LIVE_MAX: u32 = 1 << 30;

/// Ids and sizes of everything that a run makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Sets the ids of one run apart from those of others.
    pub(super) run: u64,
    pub(super) networks: u32,
    /// In each network.
    pub(super) subnets: u32,
    /// Addresses in the pool of each subnet.
    pub(super) pool: u64,
    /// Host bits of each subnet.
    host_bits: u8,
    /// First address of the first subnet of each network.
    base: IpAddr,
    /// Owners keep their ids when they lose what they had.
    pub(super) same_ids: bool,
}

impl Plan {
    /// Room for `live` addresses such that `fill` of the pools is taken.
    ///
    /// # Errors
    /// What cannot be, in words.
    pub(super) fn new(
        run: u64,
        networks: u32,
        subnets: u32,
        live: u32,
        fill: f64,
    ) -> Result<Self, String> {
        if !(fill > 0.0 && fill <= 1.0) {
            return Err(format!("--fill {fill}: it is more than 0 and at most 1"));
        }
        if !(1..=NETWORKS_MAX).contains(&networks) || !(1..=SUBNETS_MAX).contains(&subnets) {
            return Err(format!(
                "--networks {networks} --subnets {subnets}: they are 1 to 1000000 and 1 to 100000"
            ));
        }
        let in_network = u64::from(live.div_ceil(networks));
        let wanted = in_network as f64 / fill;
        let pool = ((wanted / f64::from(subnets)).floor() as u64).max(1);
        let pool = if pool * u64::from(subnets) < in_network { pool + 1 } else { pool };
        let host_bits = (64 - (pool.saturating_sub(1)).leading_zeros()) as u8;
        let subnet_bits = (32 - (subnets - 1).leading_zeros()) as u8;
        let base = match host_bits + subnet_bits {
            0..=24 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)),
            25..=30 => IpAddr::V4(Ipv4Addr::new(128, 0, 0, 0)),
            _ => IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0)),
        };
        Ok(Self { run, networks, subnets, pool, host_bits, base, same_ids: false })
    }

    /// Addresses in all pools.
    pub(super) fn capacity(&self) -> u64 {
        u64::from(self.networks) * u64::from(self.subnets) * self.pool
    }

    /// Network `number`, 0-based.
    #[inline]
    pub(super) fn network_id(&self, number: u32) -> NetworkId {
        NetworkId::from_u128((u128::from(self.run) << 64) | (u128::from(number) + 1))
    }

    /// The network of owner `number`: neighbours are in different ones.
    #[inline]
    pub(super) fn network_of(&self, number: u32) -> NetworkId {
        if self.networks == 1 {
            return self.network_id(0);
        }
        self.network_id(number % self.networks)
    }

    /// Owner `number` in its life `generation`. Ids are spread over all bits, as real ones are.
    #[inline]
    pub(super) fn owner_id(&self, number: u32, generation: u32) -> OwnerId {
        let generation = if self.same_ids { 0 } else { generation };
        let low = (u64::from(generation) << 32) | u64::from(number);
        let high = (low ^ self.run).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        OwnerId::from_u128((u128::from(high ^ (high >> 29)) << 64) | (u128::from(low) + 1))
    }

    /// The pool that subnets are taken from.
    pub(super) fn subnet_pool_id(&self) -> PoolId {
        PoolId(self.network_id(u32::MAX).0)
    }

    /// Id, prefix and pool of subnet `number` (0-based) of a network.
    pub(super) fn subnet(&self, network: u32, number: u32) -> Option<(SubnetId, Prefix, Range)> {
        let id =
            (u128::from(self.run) << 64) | (u128::from(network) << 32) | (u128::from(number) + 1);
        let family = addrd_client::protocol::Family::of(&self.base);
        let base = addrd_client::protocol::prefix::number_of(&self.base);
        let first = base + (u128::from(number) << self.host_bits);
        let prefix = Prefix::new(family.address(first)?, family.bits() - self.host_bits)?;
        let last = family.address(first + u128::from(self.pool) - 1)?;
        Some((SubnetId::from_u128(id), prefix, Range::new(family.address(first)?, last)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(networks: u32, subnets: u32, live: u32, fill: f64) -> Plan {
        Plan::new(5, networks, subnets, live, fill).unwrap()
    }

    #[test]
    fn pools_are_as_full_as_was_asked_for() {
        for (networks, subnets, live, fill) in [
            (1, 1, 1_000_000, 0.5),
            (1, 1, 10_000_000, 0.99),
            (1, 1_000, 1_000_000, 0.99),
            (100, 3, 999_999, 0.9),
            (1, 1, 100_000_000, 0.5),
        ] {
            let plan = plan(networks, subnets, live, fill);
            let reached = f64::from(live) / plan.capacity() as f64;
            assert!(plan.capacity() >= u64::from(live));
            assert!((reached - fill).abs() < 0.01, "{plan:?}: {reached}");
        }
    }

    #[test]
    fn a_full_pool_holds_exactly_what_is_live() {
        assert_eq!(plan(1, 1, 65_536, 1.0).capacity(), 65_536);
        assert!(plan(1, 100_000, 10, 1.0).capacity() >= 10);
    }

    #[test]
    fn subnets_of_a_network_do_not_overlap_and_hold_their_pools() {
        for plan in [plan(2, 5, 1_000, 0.7), plan(1, 1, 100_000_000, 0.5)] {
            let subnets: Vec<_> =
                (0..plan.subnets).map(|number| plan.subnet(0, number).unwrap()).collect();
            for (at, (id, prefix, pool)) in subnets.iter().enumerate() {
                assert!(prefix.contains(&pool.first()) && prefix.contains(&pool.last()));
                assert!(subnets[at + 1..].iter().all(|(i, p, _)| i != id && !p.overlaps(prefix)));
            }
        }
        let large = plan(1, 1, 2_000_000_000, 1.0).subnet(0, 0).unwrap();
        assert_eq!(large.1.to_string(), "fd00::/97");
    }

    #[test]
    fn ids_differ_between_numbers_lives_and_runs() {
        let (one, two) = (plan(10, 1, 100, 1.0), Plan::new(6, 10, 1, 100, 1.0).unwrap());
        let mut ids: Vec<OwnerId> = [one, two]
            .iter()
            .flat_map(|plan| (0..200).map(move |at| plan.owner_id(at / 4, at % 4)))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 400);
        assert_ne!(one.network_of(3), one.network_of(4));
        assert_ne!(one.network_id(0), two.network_id(0));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Plan::new(1, 0, 1, 1, 0.5).is_err());
        assert!(Plan::new(1, 1, 0, 1, 0.5).is_err());
        assert!(Plan::new(1, 1, 1, 1, 0.0).is_err());
        assert!(Plan::new(1, 1, 1, 1, 1.5).is_err());
        assert!(Plan::new(1, 1, 1, 1, f64::NAN).is_err());
    }
}
