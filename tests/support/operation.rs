//! Operations of the workload: what is sent, and what it may change. Judges nothing.

use super::network::{LENT, POOLED, POOLED_LENGTH, text};
use super::state::{Change, Hold, Key, Unknown};
use addrd_client::plain_allocate;
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, AllocationUpdate, Batch, BatchItem, BatchMode, FamilyChoice, Fences,
    PortCreate, PortDelete, Release, Request, Strategy, Target, Transaction, TransactionItem,
};
use addrd_client::protocol::{NetworkId, PortId, ProjectId, Revision, Setting, Slot};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a client asks for. Each key stands in at most one item.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// One address; `may_fail`: others can have taken what it needs.
    Take { key: Key, how: How, may_fail: bool },
    /// One of each family, in this slot and the next.
    TakeEach { key: Key },
    /// Release, fenced by a revision.
    Drop { key: Key, revision: Revision, by: By },
    /// A new label, fenced by a revision.
    Label { key: Key, revision: Revision, label: String },
    /// A port with one address of each family, in this slot and the next.
    MakePort { key: Key },
    /// A port ends, and both its addresses with it.
    EndPort { key: Key },
    /// Several, on one network.
    Batch { network: NetworkId, mode: BatchMode, items: Vec<Operation> },
    /// Several on several networks, all or nothing.
    Transaction { items: Vec<Operation> },
}

/// How an address is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Any(Strategy),
    V6,
    Exact(IpAddr),
}

/// How a release names what it releases.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Key,
    Address(IpAddr),
}

impl Key {
    /// The key of the second address of a pair.
    pub(crate) fn second(self) -> Self {
        Self { slot: Slot(self.slot.0 + 1), ..self }
    }
}

impl Operation {
    pub(crate) fn network(&self) -> NetworkId {
        match self {
            Self::Take { key, .. }
            | Self::TakeEach { key }
            | Self::MakePort { key }
            | Self::EndPort { key }
            | Self::Drop { key, .. }
            | Self::Label { key, .. } => key.network,
            Self::Batch { network, .. } => *network,
            Self::Transaction { .. } => NetworkId::NIL,
        }
    }

    /// Whose it is.
    pub(crate) fn project(&self) -> ProjectId {
        match self {
            Self::Take { key, .. }
            | Self::TakeEach { key }
            | Self::MakePort { key }
            | Self::EndPort { key }
            | Self::Drop { key, .. }
            | Self::Label { key, .. } => key.project,
            Self::Batch { items, .. } | Self::Transaction { items } => {
                items.first().map_or(ProjectId::DEFAULT, Self::project)
            }
        }
    }

    /// The message.
    pub(crate) fn request(&self) -> Request {
        match self {
            Self::Batch { mode, items, .. } => {
                let items = items.iter().map(|item| item.item()).collect();
                Request::Batch(Box::new(Batch { mode: *mode, items }))
            }
            Self::Transaction { items } => {
                let items = items.iter().map(Self::placed).collect();
                Request::Transaction(Box::new(Transaction { items }))
            }
            single => match single.item() {
                BatchItem::Allocate(allocate) => Request::Allocate(allocate),
                BatchItem::Release(release) => Request::Release(release),
                BatchItem::Update(update) => Request::AllocationUpdate(update),
                BatchItem::PortCreate(create) => Request::PortCreate(create),
                BatchItem::PortUpdate(update) => Request::PortUpdate(update),
                BatchItem::PortDelete(delete) => Request::PortDelete(delete),
                BatchItem::Renew(renew) => Request::Renew(renew),
                BatchItem::HoldConfirm(end) => Request::HoldConfirm(end),
                BatchItem::HoldCancel(end) => Request::HoldCancel(end),
                BatchItem::HoldRelease(release) => Request::HoldRelease(release),
                BatchItem::Transfer(transfer) => Request::Transfer(transfer),
            },
        }
    }

    fn placed(&self) -> TransactionItem {
        let network = self.network();
        let is_guest = network == LENT && self.project() != ProjectId::DEFAULT;
        TransactionItem {
            network,
            pool: network == POOLED,
            network_project: is_guest.then_some(ProjectId::DEFAULT),
            operation: self.item(),
        }
    }

    fn item(&self) -> BatchItem {
        match self {
            Self::Take { key, how, .. } => BatchItem::Allocate(allocate(key, *how)),
            Self::TakeEach { key } => {
                let one = allocate(key, How::Any(Strategy::Default));
                BatchItem::Allocate(Allocate { family: FamilyChoice::Each, ..one })
            }
            Self::MakePort { key } => BatchItem::PortCreate(Box::new(port_create(key))),
            Self::EndPort { key } => {
                let expected = Revision(0);
                BatchItem::PortDelete(PortDelete { port_id: port_of(key), expected })
            }
            Self::Drop { key, revision, by } => BatchItem::Release(release(key, *revision, *by)),
            Self::Label { key, revision, label } => {
                BatchItem::Update(Box::new(relabel(key, *revision, label)))
            }
            Self::Batch { .. } | Self::Transaction { .. } => panic!("a batch holds no batch"),
        }
    }

    /// What it would change now; nothing if it is a repeat or fenced off.
    pub(crate) fn changes(&self, known: &BTreeMap<Key, Option<Hold>>) -> Vec<Change> {
        let held = |key: &Key| known.get(key).and_then(Option::as_ref);
        match self {
            Self::Take { key, may_fail, .. } if held(key).is_none() => {
                vec![Change::Take { key: *key, sure: !may_fail }]
            }
            Self::TakeEach { key } | Self::MakePort { key } if held(key).is_none() => {
                let take = |key| Change::Take { key, sure: true };
                vec![take(*key), take(key.second())]
            }
            Self::EndPort { key } if held(key).is_some() => {
                let drop = |key| Change::Drop { key };
                vec![drop(*key), drop(key.second())]
            }
            Self::Drop { key, revision, .. } if is_held_at(held(key), *revision) => {
                vec![Change::Drop { key: *key }]
            }
            Self::Label { key, revision, label } if is_held_at(held(key), *revision) => {
                vec![Change::Label { key: *key, label: label.clone() }]
            }
            Self::Batch { mode: BatchMode::AllOrNothing, items, .. }
            | Self::Transaction { items } => {
                match items.iter().any(|item| item.is_refused(known)) {
                    true => Vec::new(),
                    false => items.iter().flat_map(|item| item.changes(known)).collect(),
                }
            }
            Self::Batch { items, .. } => {
                items.iter().flat_map(|item| item.changes(known)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the fence of a release or update must stop it.
    pub(crate) fn is_stale(&self, known: &BTreeMap<Key, Option<Hold>>) -> bool {
        match self {
            Self::Drop { key, revision, .. } | Self::Label { key, revision, .. } => {
                let held = known.get(key).and_then(Option::as_ref);
                held.is_some_and(|hold| hold.revision != *revision)
            }
            _ => false,
        }
    }

    /// Whether it must be refused: by its fence, or since there is no port that could end.
    pub(crate) fn is_refused(&self, known: &BTreeMap<Key, Option<Hold>>) -> bool {
        match self {
            Self::EndPort { key } => known.get(key).and_then(Option::as_ref).is_none(),
            _ => self.is_stale(known),
        }
    }

    /// The record of it when no reply came.
    pub(crate) fn unknown(&self, known: &BTreeMap<Key, Option<Hold>>) -> Unknown {
        let all_or_nothing = match self {
            Self::Batch { mode, .. } => *mode == BatchMode::AllOrNothing,
            _ => true,
        };
        Unknown { network: self.network(), changes: self.changes(known), all_or_nothing }
    }
}

fn is_held_at(held: Option<&Hold>, revision: Revision) -> bool {
    held.is_some_and(|hold| hold.revision == revision)
}

/// The port whose addresses an owner's keys are.
pub(crate) fn port_of(key: &Key) -> PortId {
    PortId(key.owner.0)
}

fn port_create(key: &Key) -> PortCreate {
    PortCreate::of(port_of(key))
}

fn allocate(key: &Key, how: How) -> Allocate {
    let length = (key.network == POOLED).then_some(POOLED_LENGTH);
    let plain = Allocate { slot: key.slot, length, ..plain_allocate(key.owner) };
    match how {
        How::Any(strategy) => Allocate { strategy, ..plain },
        How::V6 => Allocate { family: FamilyChoice::V6, ..plain },
        How::Exact(address) => {
            let extras = AllocateExtras { exact: Some(address), ..AllocateExtras::default() };
            Allocate { strategy: Strategy::Exact, extras: Some(Box::new(extras)), ..plain }
        }
    }
}

fn release(key: &Key, revision: Revision, by: By) -> Release {
    let target = match by {
        By::Key => Target::Key { owner: key.owner, slot: key.slot },
        By::Address(address) => Target::Address(address),
    };
    let fences = Fences { revision: Some(revision), ..Fences::default() };
    Release { target, fences, any: false }
}

fn relabel(key: &Key, revision: Revision, label: &str) -> AllocationUpdate {
    AllocationUpdate {
        target: Target::Key { owner: key.owner, slot: key.slot },
        fences: Fences { revision: Some(revision), ..Fences::default() },
        label: Setting::Value(text(label)),
        host: Setting::Unset,
        manager_name: Setting::Unset,
        owner_name: Setting::Unset,
        lease_ms: Setting::Unset,
        follow_host: None,
    }
}
