//! What is known of one thing that one client makes and unmakes, and what must be so.

use super::Whole;
use crate::model::{NetworkHandle, NetworkId, OwnerId, Revision, SubnetHandle, SubnetId};
use std::collections::BTreeMap;

/// What a client makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// An address of a network, by owner.
    Address(u128, u128),
    /// A subnet of a network, carved from the pool.
    Subnet(u128, u128),
    /// A prefix straight from the pool, by owner.
    Prefix(u128),
}

/// How it is: first address, how many bits of it are free to vary, revision where there is one.
pub(super) type Made = (u128, u8, Option<Revision>);

/// What the client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not there.
    Absent,
    /// It is there, so.
    Present(Made),
    /// Something was asked that was not answered.
    Unsure,
}

/// What a state has, by thing.
pub(super) fn things(whole: &Whole, pool: u128) -> BTreeMap<Thing, Made> {
    let mut found = BTreeMap::new();
    let networks: BTreeMap<NetworkHandle, NetworkId> =
        whole.state.networks.iter().map(|(row, _)| (row.network, row.id)).collect();
    let mut bases: BTreeMap<(NetworkHandle, SubnetHandle), u128> = BTreeMap::new();
    for (row, _) in &whole.state.subnets {
        bases.insert((row.network, row.subnet), row.prefix.base());
        let network = number(networks[&row.network].0);
        let SubnetId(id) = row.id;
        let made = (row.prefix.base(), row.prefix.host_bits(), None);
        found.insert(Thing::Subnet(network, number(id)), made);
    }
    for row in &whole.state.allocations {
        let network = number(networks[&row.place.network].0);
        let base = bases[&(row.place.network, row.place.subnet)];
        let OwnerId(owner) = row.owner;
        let made = (base + row.place.offset, row.place.block_bits, Some(row.revision));
        let before = found.insert(Thing::Address(network, number(owner)), made);
        assert_eq!(before, None, "one key holds one address");
    }
    for row in &whole.catalogue.taken.allocations {
        let of_pool = whole
            .catalogue
            .pools
            .iter()
            .any(|known| known.handle == row.place.network && number(known.id.0) == pool);
        let is_object = row.extras.as_deref().is_some_and(|extras| extras.port.is_some());
        if of_pool && !is_object {
            let made = (row.place.offset, row.place.block_bits, Some(row.revision));
            found.insert(Thing::Prefix(number(row.owner.0)), made);
        }
    }
    found
}

fn number(id: uuid::Uuid) -> u128 {
    id.as_u128()
}

/// Two that may not be at once: addresses of one network, prefixes of the pool.
pub(super) fn clash(one: (&Thing, &Made), other: (&Thing, &Made)) -> bool {
    let is_shared = match (one.0, other.0) {
        (Thing::Address(network, _), Thing::Address(other, _)) => network == other,
        (Thing::Address(..), _) | (_, Thing::Address(..)) => false,
        _ => true,
    };
    let last = |(first, bits, _): &Made| first + ((1_u128 << bits) - 1);
    is_shared && one.1.0 <= last(other.1) && other.1.0 <= last(one.1)
}
