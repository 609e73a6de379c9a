//! Brings near what the requests of a drain will read, before they are applied. Changes nothing,
//! decides nothing, and a wrong guess costs only its time.
//!
//! A request's way leads from its owner's line of the key index to the record, and from there to
//! the record's line of the address index: three lines, each known only when the one before it is
//! there. Request by request that is three waits for memory, one after the other. Stage by stage over
//! a whole drain, the lines of a stage do not depend on each other and arrive together
//! (docs/performance.md).

use super::Shard;
use super::ports::PortSpot;
use super::shard::Scope;
use super::slab::NIL;
use super::subnet::Subnet;
use crate::limits::{DRAIN_OPERATIONS_MAX, PREFETCH_RECORDS_MIN};
use crate::model::PortId;
use addrd_protocol::message::{Release, Request, Strategy, Target};

/// One request on its way through the stages.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// Hash of its owner.
    hash: u64,
    network: u32,
    allocates: bool,
}

/// Requests of a drain that are being read ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    spots: Vec<Spot>,
    ports: Vec<PortSpot>,
}

/// The port that a request creates, changes or deletes.
fn port_named(request: &Request) -> Option<PortId> {
    match request {
        Request::PortCreate(request) => Some(request.port_id),
        Request::PortUpdate(request) => Some(request.port_id),
        Request::PortDelete(request) => Some(request.port_id),
        _ => None,
    }
}

/// Where the next addresses of a subnet will probably be.
#[derive(Clone, Copy)]
pub(super) struct Guess {
    network: u32,
    subnet: u32,
    from: u128,
}

impl Guess {
    pub(super) const NONE: Self = Self { network: NIL, subnet: NIL, from: 0 };
}

impl Shard {
    /// Reads ahead for requests that will be applied soon, in this order; those beyond a drain are
    /// passed over.
    ///
    /// Shape: three or four cache lines and about 50 ns a request; nothing while the allocations
    /// are few enough to lie near anyway.
    pub fn read_ahead<'a>(&mut self, requests: impl Iterator<Item = (&'a Scope, &'a Request)>) {
        if self.ledger.count() < PREFETCH_RECORDS_MIN {
            return;
        }
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.spots.clear();
        ahead.ports.clear();
        for (scope, request) in requests.take(DRAIN_OPERATIONS_MAX as usize) {
            if let Some(port) = port_named(request) {
                let creates = matches!(request, Request::PortCreate(_));
                let network = self.seek_network(scope.home(), scope.network);
                let guest = scope.guest();
                let spot = network.map(|network| self.port_spot(network, guest, port, creates));
                ahead.ports.extend(spot);
                continue;
            }
            let (owner, allocates) = match request {
                Request::Allocate(request) => (request.owner, true),
                Request::Release(Release { target: Target::Key { owner, .. }, .. }) => {
                    (*owner, false)
                }
                _ => continue,
            };
            if let Some(network) = self.seek_network(scope.home(), scope.network) {
                let own = self.networks.at(network).owner_salt;
                let salt = scope.guest().map_or(own, |guest| self.owner_salt(guest));
                let hash = self.ledger.owner_hash(owner, salt);
                ahead.spots.push(Spot { hash, network, allocates });
            }
        }
        self.near_stages(&ahead.spots);
        self.near_ports(&ahead.ports);
        self.ahead = ahead;
    }

    fn near_stages(&self, spots: &[Spot]) {
        spots.iter().for_each(|spot| self.ledger.near_key(spot.hash));
        spots.iter().for_each(|spot| self.ledger.near_record(spot.hash));
        let mut guess = Guess::NONE;
        for spot in spots {
            if spot.allocates {
                self.near_guess(spot.network, None, &mut guess);
            } else {
                self.near_held(spot.hash);
            }
        }
    }

    /// Brings near where the record under a key's hash leads to, which is near already.
    #[inline]
    pub(super) fn near_held(&self, hash: u64) {
        let Some((subnet, offset)) = self.ledger.probable_place(hash) else { return };
        self.ledger.near_place(subnet, offset);
        if let Some(subnet) = self.subnets.get(subnet) {
            subnet.map.near(&self.maps, offset);
        }
    }

    /// Brings near where the next address of a network's first open subnet (of a family, if one is
    /// named) will be, if that hands out one behind the other.
    #[inline]
    pub(super) fn near_guess(&self, network: u32, family: Option<usize>, guess: &mut Guess) {
        if guess.network != network {
            *guess = self.first_guess(network, family);
        }
        let Some(subnet) = self.subnets.get(guess.subnet) else { return };
        let last = super::subnet::last_of(0, subnet.host_bits);
        if let Some(found) = subnet.map.find_free(&self.maps, guess.from, last, 0) {
            guess.from = found.wrapping_add(1);
            self.ledger.near_place(guess.subnet, found);
        }
    }

    fn first_guess(&self, network: u32, family: Option<usize>) -> Guess {
        let of = self.networks.at(network);
        let open =
            family.map_or(of.first_open[0].or(of.first_open[1]), |of_it| of.first_open[of_it]);
        let first = open.map(|key| key.subnet());
        let first = first.map(|at| (at, self.subnets.at(at)));
        let is_next =
            |subnet: &Subnet| matches!(subnet.strategy, Strategy::Next | Strategy::Default);
        match first {
            Some((at, subnet)) if is_next(subnet) => {
                Guess { network, subnet: at, from: subnet.cursor }
            }
            _ => Guess { network, subnet: NIL, from: 0 },
        }
    }
}
