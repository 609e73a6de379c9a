//! A deliberately naive server: lists that are walked. Written from protocol/SPEC.md, it
//! shares no code with the shard beyond the messages.

mod allocate;
mod holds;
mod networks;
mod place;
mod release;
mod subnets;
mod transfer;

use crate::model::{
    Family, Instance, NetworkId, OwnerId, Prefix, Range, Revision, Slot, Status, SubnetId, Text,
};
use addrd_protocol::message::{Exclusion, Route, Strategy, SubnetKind};
use addrd_protocol::prefix::number_of;
use std::net::IpAddr;
use uuid::Uuid;

pub(super) use allocate::{Expected, Given, Over};
pub(super) use place::{end_of, numbers};
pub(super) use release::target;

/// A refusal: status, and the field where the model says one.
pub(super) type No = (Status, Option<&'static str>);
pub(super) type Verdict<T> = Result<T, No>;

pub(super) fn no<T>(status: Status) -> Verdict<T> {
    Err((status, None))
}

pub(super) fn no_field<T>(status: Status, field: &'static str) -> Verdict<T> {
    Err((status, Some(field)))
}

#[derive(Clone, Debug, Default)]
pub(super) struct Naive {
    pub(super) networks: Vec<Net>,
    pub(super) first_revision: u64,
    /// The time, ms.
    pub(super) now: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Net {
    pub(super) id: NetworkId,
    pub(super) name: Option<Text>,
    pub(super) description: Option<Text>,
    pub(super) counter: u64,
    pub(super) attributes: u64,
    pub(super) deleting: bool,
    pub(super) subnets: Vec<Sub>,
    pub(super) held: Vec<Held>,
    /// What was released and rests, the last one released at the end.
    pub(super) resting: Vec<Rest>,
}

#[derive(Clone, Debug)]
pub(super) struct Sub {
    pub(super) id: SubnetId,
    pub(super) prefix: Prefix,
    pub(super) kind: SubnetKind,
    pub(super) strategy: Strategy,
    pub(super) dhcp: bool,
    pub(super) gateway: Option<IpAddr>,
    pub(super) pools: Vec<Range>,
    pub(super) exclusions: Vec<Exclusion>,
    pub(super) dns: Vec<IpAddr>,
    pub(super) routes: Vec<Route>,
    pub(super) name: Option<Text>,
    pub(super) description: Option<Text>,
    pub(super) revision: u64,
    pub(super) deleting: bool,
    pub(super) quarantine: u64,
    /// The last number that `next` handed out.
    pub(super) last: Option<u128>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) subnet: SubnetId,
    pub(super) family: Family,
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) length: u8,
    pub(super) owner: OwnerId,
    pub(super) slot: Slot,
    pub(super) instance: Instance,
    pub(super) revision: u64,
    pub(super) changed: u64,
    pub(super) manager: Option<Text>,
    pub(super) host: Option<Text>,
    pub(super) label: Option<Text>,
    pub(super) owner_name: Option<Text>,
    /// When its lease or hold ends, with whatever grace it has.
    pub(super) end: Option<u64>,
    /// It is held under this token.
    pub(super) token: Option<Uuid>,
    /// Which item of its token it is.
    pub(super) item: Option<u16>,
    /// What the hold interrupts would have rested until then.
    pub(super) rested: Option<u64>,
    /// It is to be released under this token, if that is confirmed before then.
    pub(super) releasing: Option<(Uuid, u64)>,
}

/// An address or block that was released and that nobody else may have before its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rest {
    pub(super) subnet: SubnetId,
    pub(super) family: Family,
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) owner: OwnerId,
    pub(super) slot: Slot,
    pub(super) end: u64,
    /// The hold that ran out here, if it was one.
    pub(super) hold: Option<Box<Held>>,
}

impl Naive {
    pub(super) fn find(&self, id: NetworkId) -> Option<usize> {
        self.networks.iter().position(|net| net.id == id)
    }

    pub(super) fn net(&self, id: NetworkId) -> Verdict<&Net> {
        self.find(id).map(|at| &self.networks[at]).ok_or((Status::NOT_FOUND, None))
    }

    pub(super) fn net_mut(&mut self, id: NetworkId) -> Verdict<&mut Net> {
        self.find(id).map(|at| &mut self.networks[at]).ok_or((Status::NOT_FOUND, None))
    }
}

impl Net {
    /// The next revision, used up.
    pub(super) fn tick(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn sub(&self, id: SubnetId) -> Option<&Sub> {
        self.subnets.iter().find(|sub| sub.id == id)
    }

    pub(super) fn held_in(&self, id: SubnetId) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| held.subnet == id)
    }

    pub(super) fn resting_in(&self, id: SubnetId) -> impl Iterator<Item = &Rest> {
        self.resting.iter().filter(move |rest| rest.subnet == id)
    }

    /// What was let go rests, if what lies in its subnet does and that stays.
    pub(super) fn rest(&mut self, held: &Held, now: u64) {
        let Some(sub) = self.sub(held.subnet) else { return };
        if sub.quarantine > 0 && !sub.deleting && !self.deleting {
            let end = now + sub.quarantine;
            let &Held { subnet, family, first, last, owner, slot, .. } = held;
            let hold = None;
            self.resting.push(Rest { subnet, family, first, last, owner, slot, end, hold });
        }
    }

    pub(super) fn by_key(&self, owner: OwnerId, slot: Slot) -> Option<usize> {
        self.held.iter().position(|held| held.owner == owner && held.slot == slot)
    }

    /// Whoever has this address, as a place in the list.
    pub(super) fn by_address(&self, address: &IpAddr) -> Option<usize> {
        let (family, number) = (Family::of(address), number_of(address));
        let has = |h: &Held| h.family == family && h.first <= number && number <= h.last;
        self.held.iter().position(has)
    }

    /// Subnets by family and prefix.
    pub(super) fn sorted(&self) -> Vec<&Sub> {
        let mut all: Vec<&Sub> = self.subnets.iter().collect();
        all.sort_by_key(|sub| (sub.prefix.family(), sub.prefix.base()));
        all
    }

    /// Allocations by family and address.
    pub(super) fn sorted_held(&self) -> Vec<&Held> {
        let mut all: Vec<&Held> = self.held.iter().collect();
        all.sort_by_key(|held| (held.family, held.first));
        all
    }
}

impl Rest {
    /// The token of the hold that ran out here.
    pub(super) fn token(&self) -> Option<Uuid> {
        self.hold.as_ref()?.token
    }
}

impl Held {
    pub(super) fn address(&self) -> IpAddr {
        self.family.address(self.first).unwrap()
    }

    /// The token under which it can still be released.
    pub(super) fn release_token(&self, now: u64) -> Option<Uuid> {
        self.releasing.filter(|(_, end)| *end > now).map(|(token, _)| token)
    }

    pub(super) fn revision(&self) -> Revision {
        Revision(self.revision)
    }
}
