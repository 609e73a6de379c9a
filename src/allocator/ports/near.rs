//! Brings near what requests on ports will read (`prefetch.rs`). Changes nothing, decides nothing,
//! and a wrong guess costs only its time.

use super::state::mac_hash;
use crate::allocator::Shard;
use crate::allocator::ledger::key_salt;
use crate::allocator::prefetch::Guess;
use crate::model::{OwnerId, PortId, ProjectId, Slot};
use addrd_sync::prefetch;

/// A request on a port, on its way through the stages.
#[derive(Clone, Copy, Debug)]
pub(in crate::allocator) struct PortSpot {
    network: u32,
    /// Hash of its id.
    id: u64,
    /// Hashes of the keys of its first two addresses: one of each family is what most have.
    keys: [u64; 2],
    /// It will get addresses.
    creates: bool,
}

impl Shard {
    pub(in crate::allocator) fn port_spot(
        &self,
        network: u32,
        guest: Option<ProjectId>,
        port: PortId,
        creates: bool,
    ) -> PortSpot {
        let owner = OwnerId(port.0);
        let of = self.networks.at(network);
        let salt = guest.map_or(of.owner_salt, |guest| self.owner_salt(guest));
        let first = self.ledger.owner_hash(owner, salt);
        let key_salt = key_salt(&self.ledger.hasher, of.key_salt, guest);
        let second = self.ledger.key_hash(owner, Slot(1), key_salt);
        let id = self.port_hash(network, guest, port);
        PortSpot { network, id, keys: [first, second], creates }
    }

    /// Stage by stage: lines of the indexes, then what lies under them, then where that leads to.
    pub(in crate::allocator) fn near_ports(&self, spots: &[PortSpot]) {
        let keys = || spots.iter().flat_map(|spot| spot.keys);
        spots.iter().for_each(|spot| self.ports.by_id.near(spot.id));
        keys().for_each(|key| self.ledger.near_key(key));
        let found = |spot: &PortSpot| self.ports.by_id.candidate(spot.id);
        spots.iter().filter_map(found).for_each(|port| prefetch(self.ports.at(port)));
        keys().for_each(|key| self.ledger.near_record(key));
        for spot in spots {
            if let Some(port) = found(spot) {
                let hash = mac_hash(&self.ledger.hasher, spot.network, self.ports.at(port).mac);
                self.ports.by_mac.near(hash);
            }
        }
        keys().for_each(|key| self.near_held(key));
        for family in [0, 1] {
            let mut guess = Guess::NONE;
            for spot in spots.iter().filter(|spot| spot.creates) {
                self.near_guess(spot.network, Some(family), &mut guess);
            }
        }
    }
}
