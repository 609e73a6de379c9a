//! Counts of addresses, of a subnet or summed over a network's subnets of one family. Adds and
//! subtracts; looks for nothing.
//!
//! A sum is kept up to date by whoever changes a part of it, so reading it costs nothing that grows.
//! While a network is being read back, an old and a new subnet can be there at once and their sum can
//! pass 128 bits. So sums wrap: what is added and subtracted again leaves no trace. Once nothing
//! overlaps, none reaches 2^128: the subnets of a network are disjoint, and none begins at `::`
//! (protocol/SPEC.md, subnet_create).

use super::free_map::MapStore;
use super::holds::held_in_pools;
use super::pieces::Part;
use super::subnet::Subnet;
use addrd_protocol::message::{SubnetUsage, UsageTotals};

/// Counts of addresses by [`Part`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Taken in each part.
    taken: [u128; Part::COUNT],
    /// Of what is taken in the pools, what rests.
    resting: u128,
    /// Of what is taken in the pools, what is held under a token.
    held: u128,
    /// Addresses of each part of the pools.
    pools: [u128; Part::COUNT - 1],
    /// Addresses in the prefixes.
    size: u128,
    subnets: u32,
}

impl Totals {
    /// Of one subnet.
    ///
    /// Shape: a look at each piece.
    pub(super) fn of(subnet: &Subnet, store: &MapStore) -> Self {
        let size = subnet.offset_max().wrapping_add(1);
        let mut totals = Self { size, subnets: 1, ..Self::default() };
        let mut outside = subnet.map.taken(store);
        for piece in subnet.pieces.all() {
            let (part, taken) = (piece.part as usize, piece.size() - piece.free);
            totals.pools[part] += piece.size();
            totals.taken[part] += taken;
            outside -= taken;
            if let Some(rests) = &subnet.rests {
                totals.resting += rests.map.count(store, piece.first, piece.last);
            }
        }
        totals.taken[Part::Outside as usize] = outside;
        totals.held = held_in_pools(subnet, store);
        totals
    }

    /// Counts one address as taken or as free again.
    #[inline]
    pub(super) fn count_single(&mut self, part: Part, taken: bool) {
        let sum = &mut self.taken[part as usize];
        *sum = if taken { sum.wrapping_add(1) } else { sum.wrapping_sub(1) };
    }

    /// The same for a block, by how much of it lies in each part.
    pub(super) fn count(&mut self, parts: &[u128; Part::COUNT], taken: bool) {
        for (sum, part) in self.taken.iter_mut().zip(parts) {
            *sum = if taken { sum.wrapping_add(*part) } else { sum.wrapping_sub(*part) };
        }
    }

    /// Counts addresses in the pools, which are taken, as resting or as resting no more.
    pub(super) fn count_resting(&mut self, addresses: u128, there: bool) {
        let with = if there { u128::wrapping_add } else { u128::wrapping_sub };
        self.resting = with(self.resting, addresses);
    }

    /// Counts addresses in the pools, which are taken, as held or as held no more.
    pub(super) fn count_held(&mut self, addresses: u128, there: bool) {
        let with = if there { u128::wrapping_add } else { u128::wrapping_sub };
        self.held = with(self.held, addresses);
    }

    /// With another one.
    pub(super) fn add(&mut self, other: &Self) {
        self.combine(other, u128::wrapping_add);
        self.subnets = self.subnets.wrapping_add(other.subnets);
    }

    /// Without another one that was added.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.combine(other, u128::wrapping_sub);
        self.subnets = self.subnets.wrapping_sub(other.subnets);
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u128, u128) -> u128) {
        let pairs = self.taken.iter_mut().zip(other.taken);
        pairs.chain(self.pools.iter_mut().zip(other.pools)).for_each(|(a, b)| *a = with(*a, b));
        self.size = with(self.size, other.size);
        self.resting = with(self.resting, other.resting);
        self.held = with(self.held, other.held);
    }

    /// Subnets that are counted.
    pub(super) const fn subnets(&self) -> u32 {
        self.subnets
    }

    fn pool_size(&self) -> u128 {
        self.pools.iter().fold(0, |all, size| all.wrapping_add(*size))
    }

    fn untaken(&self, part: Part) -> u128 {
        self.pools[part as usize].wrapping_sub(self.taken[part as usize])
    }

    fn allocated(&self) -> u128 {
        let [open, excluded, pinned, _] = self.taken;
        let taken = open.wrapping_add(excluded).wrapping_add(pinned);
        taken.wrapping_sub(self.resting).wrapping_sub(self.held)
    }

    /// As the counts of a subnet.
    pub(super) fn of_subnet(&self, subnet: &Subnet) -> SubnetUsage {
        SubnetUsage {
            subnet_id: subnet.row.id,
            cidr: subnet.row.prefix,
            size: self.size,
            pool_size: self.pool_size(),
            free: self.untaken(Part::Open),
            held: self.held,
            allocated: self.allocated(),
            quarantined: self.resting,
            excluded: self.untaken(Part::Excluded),
            pinned: self.untaken(Part::Pinned),
            used_outside: self.taken[Part::Outside as usize],
            growth_1h: None,
            growth_24h: None,
            watched_ms: None,
        }
    }

    /// As the sums of a network's subnets of a family.
    pub(super) fn of_family(&self, family: crate::model::Family) -> UsageTotals {
        UsageTotals {
            family,
            subnets: self.subnets,
            size: self.size,
            pool_size: self.pool_size(),
            free: self.untaken(Part::Open),
            held: self.held,
            allocated: self.allocated(),
            quarantined: self.resting,
            excluded: self.untaken(Part::Excluded),
            pinned: self.untaken(Part::Pinned),
            used_outside: self.taken[Part::Outside as usize],
        }
    }
}
