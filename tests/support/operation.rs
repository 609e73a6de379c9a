//! Operations of the workload: what is sent, and what it may change. Judges nothing.

use super::book::Span;
use super::network::{LENT, MANAGER, POOLED, POOLED_LENGTH, host_name, text};
use super::state::{Change, Hold, HostChange, Key, Unknown};
use super::terms::{End, Host, Known, Mark, Term, after};
use addrd_client::plain_allocate;
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, AllocationUpdate, Batch, BatchItem, BatchMode, EndHost, FamilyChoice,
    Fences, HoldEnd, HoldRelease, OnEnd, PortCreate, PortDelete, Release, Renew, RenewHost,
    Request, Strategy, Target, Transaction, TransactionItem,
};
use addrd_client::protocol::{NetworkId, PortId, ProjectId, Revision, Setting, Slot};
use std::net::IpAddr;
use uuid::Uuid;

/// What a client asks for. Each key stands in at most one item.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// One address; `may_fail`: others can have taken what it needs.
    Take { key: Key, how: How, may_fail: bool, term: Term },
    /// One of each family, in this slot and the next.
    TakeEach { key: Key },
    /// Release, fenced by a revision.
    Drop { key: Key, revision: Revision, by: By },
    /// A new label, fenced by a revision.
    Label { key: Key, revision: Revision, label: String },
    /// A lease goes on, fenced by a revision.
    Renew { key: Key, revision: Revision, by: By, ms: u64 },
    /// A release under a token, fenced by a revision.
    HoldRelease { key: Key, revision: Revision, token: Uuid, ms: u64 },
    /// What is held under a token is settled.
    Settle { key: Key, revision: Revision, token: Uuid, how: Settling },
    /// The lease of the client's host begins (`begin` is not 0) or goes on. `followers`: what it may be about.
    RenewHost { host: u64, begin: u64, on_end: OnEnd, ms: u64, followers: Vec<Key> },
    /// It ends.
    EndHost { host: u64, on_end: OnEnd, followers: Vec<Key> },
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

/// How a hold or a held release ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settling {
    Confirm,
    Cancel,
    ConfirmRelease,
    CancelRelease,
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
            | Self::Renew { key, .. }
            | Self::HoldRelease { key, .. }
            | Self::Settle { key, .. }
            | Self::Label { key, .. } => key.network,
            Self::Batch { network, .. } => *network,
            Self::Transaction { .. } | Self::RenewHost { .. } | Self::EndHost { .. } => {
                NetworkId::NIL
            }
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
            | Self::Renew { key, .. }
            | Self::HoldRelease { key, .. }
            | Self::Settle { key, .. }
            | Self::Label { key, .. } => key.project,
            Self::RenewHost { .. } | Self::EndHost { .. } => ProjectId::DEFAULT,
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
            Self::RenewHost { host, begin, on_end, ms, .. } => {
                Request::RenewHost(Box::new(renew_host(*host, *begin, *on_end, *ms)))
            }
            Self::EndHost { host, on_end, .. } => {
                let (manager, host, on_end) = (text(MANAGER), host_name(*host), *on_end);
                Request::EndHost(Box::new(EndHost { manager, host, on_end, life: 0 }))
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
            Self::Take { key, how, term, .. } => BatchItem::Allocate(allocate(key, *how, *term)),
            Self::TakeEach { key } => {
                let one = allocate(key, How::Any(Strategy::Default), Term::Endless);
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
            Self::Renew { key, revision, by, ms } => {
                let Release { target, fences, .. } = release(key, *revision, *by);
                BatchItem::Renew(Renew { target, fences, lease_ms: *ms })
            }
            Self::HoldRelease { key, revision, token, ms } => {
                let Release { target, fences, .. } = release(key, *revision, By::Key);
                let (token, hold_ms) = (*token, Some(*ms));
                BatchItem::HoldRelease(Box::new(HoldRelease { target, fences, token, hold_ms }))
            }
            Self::Settle { key, revision, token, how } => settle(key, *revision, *token, *how),
            Self::RenewHost { .. }
            | Self::EndHost { .. }
            | Self::Batch { .. }
            | Self::Transaction { .. } => panic!("{self:?} is no item"),
        }
    }

    /// What it would change if it is done between the two moments; nothing if it is a repeat or fenced off.
    pub(crate) fn changes(&self, known: &Known, span: Span) -> Vec<Change> {
        let until = |key: &Key| known.hold(key).map_or(u64::MAX, |hold| known.until(hold));
        match self {
            Self::Take { key, may_fail, term, .. } if known.sure(key, span.answered).is_none() => {
                let (key, sure, term, until) =
                    (*key, !may_fail, *term, term.until(known, span.sent));
                let before = known.hold(&key).map(|hold| hold.revision);
                vec![Change::Take { key, sure, term, until, before }]
            }
            // Asked for again under its token it is not to be released any more.
            Self::Take { key, term: Term::Held { token, .. }, .. } => {
                let kept = known.hold(key).and_then(|hold| hold.mark);
                let kept = kept.filter(|mark| mark.token == *token);
                let mark = |mark| Mark { sure: false, ..mark };
                let change = |kept| Change::Mark { key: *key, mark: mark(kept), until: until(key) };
                kept.map(change).into_iter().collect()
            }
            Self::TakeEach { key } | Self::MakePort { key } if known.hold(key).is_none() => {
                vec![endless(*key), endless(key.second())]
            }
            Self::EndPort { key } if known.hold(key).is_some() => {
                let drop = |key| Change::Drop { key, until: u64::MAX };
                vec![drop(*key), drop(key.second())]
            }
            Self::Batch { mode: BatchMode::AllOrNothing, items, .. }
            | Self::Transaction { items } => {
                match items.iter().any(|item| item.is_refused(known, span)) {
                    true => Vec::new(),
                    false => items.iter().flat_map(|item| item.changes(known, span)).collect(),
                }
            }
            Self::Batch { items, .. } => {
                items.iter().flat_map(|item| item.changes(known, span)).collect()
            }
            Self::RenewHost { .. } | Self::EndHost { .. } => {
                let change = |key| self.change_of_follower(key, known, span);
                known.followers().into_iter().map(change).collect()
            }
            single => {
                let fenced = single.fence().filter(|(key, revision)| {
                    known.hold(key).is_some_and(|hold| hold.revision == *revision)
                });
                let change = fenced.and_then(|(key, _)| {
                    single.change_of_held(known.hold(&key)?, until(&key), span)
                });
                change.into_iter().collect()
            }
        }
    }

    /// What it would change of what is held at the revision that it names.
    fn change_of_held(&self, hold: &Hold, until: u64, span: Span) -> Option<Change> {
        let own_token = match hold.end {
            End::Held(token) => token,
            _ => hold.mark.map(|mark| mark.token),
        };
        Some(match self {
            Self::Drop { key, .. } => Change::Drop { key: *key, until },
            Self::Label { key, label, .. } => {
                Change::Label { key: *key, label: label.clone(), until }
            }
            Self::Renew { key, ms, .. } if hold.end == End::Lease => {
                Change::Renew { key: *key, until: until.min(after(span.sent, *ms)) }
            }
            Self::HoldRelease { key, token, ms, .. } => match (hold.end, own_token) {
                (_, Some(own)) if own != *token => return None,
                (End::Held(_), _) => Change::Drop { key: *key, until },
                // The end of one that is held already stays.
                (_, Some(_)) => return None,
                (_, None) => {
                    let until_mark = after(span.sent, *ms);
                    let mark = Mark { token: *token, until: until_mark, sure: false };
                    Change::Mark { key: *key, mark, until }
                }
            },
            Self::Settle { key, token, how, .. } if own_token == Some(*token) => {
                let (key, is_held) = (*key, matches!(hold.end, End::Held(_)));
                match (how, hold.mark) {
                    (Settling::Confirm, _) if is_held => Change::Confirm { key, until },
                    (Settling::Cancel, _) if is_held => Change::Drop { key, until },
                    // Whether it can be confirmed still is not known.
                    (Settling::ConfirmRelease, Some(mark)) => {
                        let is_sure = mark.sure && span.answered < mark.until;
                        Change::Drop { key, until: if is_sure { until } else { 0 } }
                    }
                    (Settling::CancelRelease, Some(mark)) => {
                        Change::Mark { key, mark: Mark { sure: false, ..mark }, until }
                    }
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    /// What a request about the client's host would change of what follows it.
    fn change_of_follower(&self, key: Key, known: &Known, span: Span) -> Change {
        let until = known.host.map_or(0, |host| host.ends());
        match (self, self.host_change(known, span)) {
            (Self::EndHost { on_end: OnEnd::Report, .. }, _) => Change::Loosen { key, until },
            (_, Some(HostChange::Renew(_, host))) => {
                Change::Renew { key, until: until.min(host.ends()) }
            }
            // A life that begins over a lease that only reports goes on with what followed.
            (_, Some(HostChange::Begin(_, host))) if until == u64::MAX => {
                Change::Renew { key, until: host.ends() }
            }
            _ => Change::Drop { key, until },
        }
    }

    /// What it would change of the lease of the client's host.
    pub(crate) fn host_change(&self, known: &Known, span: Span) -> Option<HostChange> {
        match self {
            Self::RenewHost { host, begin, on_end, ms, .. } => {
                let life = known.host.map_or(0, |host| host.life);
                let is_later = *begin > life;
                let now = Host {
                    life: life.max(*begin),
                    on_end: *on_end,
                    until: after(span.sent, *ms),
                    ended: false,
                };
                let change = if is_later { HostChange::Begin } else { HostChange::Renew };
                Some(change(*host, now))
            }
            Self::EndHost { host, .. } => {
                Some(HostChange::End(*host, known.host.map_or(0, |host| host.ends())))
            }
            _ => None,
        }
    }

    /// The key of a single thing.
    pub(crate) fn key(&self) -> Option<Key> {
        match self {
            Self::Take { key, .. }
            | Self::TakeEach { key }
            | Self::MakePort { key }
            | Self::EndPort { key } => Some(*key),
            single => single.fence().map(|(key, _)| key),
        }
    }

    /// Key and revision that it names, if it does nothing without them.
    fn fence(&self) -> Option<(Key, Revision)> {
        match self {
            Self::Drop { key, revision, .. }
            | Self::Label { key, revision, .. }
            | Self::Renew { key, revision, .. }
            | Self::HoldRelease { key, revision, .. }
            | Self::Settle { key, revision, .. } => Some((*key, *revision)),
            _ => None,
        }
    }

    /// Whether what its key has is another life than the one that it names.
    pub(crate) fn is_stale(&self, known: &Known) -> bool {
        self.fence().is_some_and(|(key, revision)| {
            known.hold(&key).is_some_and(|hold| hold.revision != revision)
        })
    }

    /// Whether it must be refused: by its fence, by a token, or since there is no port that could end.
    pub(crate) fn is_refused(&self, known: &Known, span: Span) -> bool {
        let sure = |key: &Key| known.sure(key, span.answered);
        match self {
            Self::EndPort { key } => known.hold(key).is_none(),
            Self::Take { key, term, .. } => sure(key)
                .and_then(|hold| kept_for(hold, span))
                .is_some_and(|own| Some(own) != term.token()),
            // To these what has another revision is no business of theirs.
            Self::Settle { how: Settling::Cancel | Settling::ConfirmRelease, .. }
                if self.is_stale(known) =>
            {
                false
            }
            Self::Settle { key, token, how, .. } => sure(key).is_some_and(|hold| {
                // What was confirmed stays so, whatever it is about to be.
                let is_settled = *how == Settling::Confirm && !matches!(hold.end, End::Held(_));
                let is_others = kept_for(hold, span).is_some_and(|own| own != *token);
                self.is_stale(known) || (is_others && !is_settled)
            }),
            Self::HoldRelease { key, token, .. } => sure(key).is_some_and(|hold| {
                self.is_stale(known) || kept_for(hold, span).is_some_and(|own| own != *token)
            }),
            Self::Drop { key, by, .. } | Self::Renew { key, by, .. } => {
                // Another address is somebody else's, or nobody's.
                let is_there = |hold: &&Hold| match by {
                    By::Key => true,
                    By::Address(address) => hold.address == *address,
                };
                self.is_stale(known) && sure(key).filter(is_there).is_some()
            }
            Self::Label { key, .. } => self.is_stale(known) && sure(key).is_some(),
            _ => false,
        }
    }

    /// The record of it when no reply came.
    pub(crate) fn unknown(&self, known: &Known, span: Span) -> Unknown {
        let all_or_nothing = match self {
            Self::Batch { mode, .. } => *mode == BatchMode::AllOrNothing,
            _ => true,
        };
        let host = self.host_change(known, span);
        let changes = self.changes(known, span);
        Unknown { network: self.network(), changes, all_or_nothing, host }
    }
}

fn endless(key: Key) -> Change {
    let (term, until) = (Term::Endless, u64::MAX);
    Change::Take { key, sure: true, term, until, before: None }
}

/// The token that must be named by who wants what is held, or what is to be released, for certain.
fn kept_for(hold: &Hold, span: Span) -> Option<Uuid> {
    match hold.end {
        End::Held(token) => token,
        _ => {
            hold.mark.filter(|mark| mark.sure && span.answered < mark.until).map(|mark| mark.token)
        }
    }
}

/// The port whose addresses an owner's keys are.
pub(crate) fn port_of(key: &Key) -> PortId {
    PortId(key.owner.0)
}

fn port_create(key: &Key) -> PortCreate {
    PortCreate::of(port_of(key))
}

fn renew_host(host: u64, begin: u64, on_end: OnEnd, lease_ms: u64) -> RenewHost {
    let (manager, host) = (text(MANAGER), host_name(host));
    RenewHost { manager, host, lease_ms, on_end, begin, life: 0 }
}

fn settle(key: &Key, revision: Revision, token: Uuid, how: Settling) -> BatchItem {
    let release = matches!(how, Settling::ConfirmRelease | Settling::CancelRelease);
    let target = Target::Key { owner: key.owner, slot: key.slot };
    let end = HoldEnd { target, revision, token, release };
    match how {
        Settling::Confirm | Settling::ConfirmRelease => BatchItem::HoldConfirm(end),
        Settling::Cancel | Settling::CancelRelease => BatchItem::HoldCancel(end),
    }
}

fn allocate(key: &Key, how: How, term: Term) -> Allocate {
    let length = (key.network == POOLED).then_some(POOLED_LENGTH);
    let plain = Allocate { slot: key.slot, length, ..plain_allocate(key.owner) };
    let mut extras = with_term(term);
    let allocate = match how {
        How::Any(strategy) => Allocate { strategy, ..plain },
        How::V6 => Allocate { family: FamilyChoice::V6, ..plain },
        How::Exact(address) => {
            extras.exact = Some(address);
            Allocate { strategy: Strategy::Exact, ..plain }
        }
    };
    let has_extras = term != Term::Endless || extras.exact.is_some();
    Allocate { extras: has_extras.then(|| Box::new(extras)), ..allocate }
}

fn with_term(term: Term) -> AllocateExtras {
    let none = AllocateExtras::default();
    match term {
        Term::Endless => none,
        Term::Lease { ms } => AllocateExtras { lease_ms: Some(ms), ..none },
        Term::Held { token, ms } => {
            AllocateExtras { hold_token: Some(token), hold_ms: Some(ms), ..none }
        }
        Term::Host(number) => AllocateExtras {
            manager: Some(text(MANAGER)),
            host: Some(host_name(number)),
            follow_host: true,
            ..none
        },
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
