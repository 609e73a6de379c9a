//! The checkers can fail: each gets a clean history, which passes, and the same one with a fault
//! planted, which does not. No server runs.

use crate::support::book::{Book, Span};
use crate::support::history::{
    Exhausted, Grant, Possible, Tenure, double_allocations, early_reuse, false_exhaustion,
    revisions,
};
use crate::support::network::{LENT, PROJECTS};
use crate::support::operation::{By, How, Operation};
use crate::support::state::{Change, Hold, Key, Unknown, compare};
use crate::support::terms::Term;
use addrd_client::protocol::message::allocate::AllocatedAddress;
use addrd_client::protocol::message::{
    Allocated, AllocationState, BatchMode, BatchReply, BatchResult, Failure, Released, Reply,
    Strategy,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, ProjectId, Revision, Slot, Status, SubnetId, Text,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

const NETWORK: NetworkId = NetworkId::from_u128(7);

fn key(owner: u128) -> Key {
    let project = ProjectId::DEFAULT;
    Key { project, network: NETWORK, owner: OwnerId::from_u128(owner), slot: Slot(0) }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn hold(last: u8, revision: u64) -> Hold {
    Hold::endless(address(last), Revision(revision))
}

fn tenure(owner: u128, last: u8, from: u64, until: u64) -> Tenure {
    Tenure { key: key(owner), address: address(last), revision: Revision(from), from, until }
}

fn is_one(findings: &[String], part: &str) {
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains(part), "{findings:?}");
}

#[test]
fn an_address_held_twice_is_found() {
    let clean = vec![tenure(1, 5, 10, 20), tenure(2, 5, 20, u64::MAX), tenure(3, 6, 0, u64::MAX)];
    assert!(double_allocations(&clean).is_empty());
    for planted in [tenure(4, 5, 19, 20), tenure(4, 5, 0, 11), tenure(4, 5, 30, u64::MAX)] {
        let mut history = clean.clone();
        history.push(planted);
        is_one(&double_allocations(&history), "held twice");
    }
    // One that is inside a longer one, behind another that ended before.
    let nested = [tenure(1, 5, 0, 100), tenure(2, 5, 10, 20), tenure(3, 5, 50, 60)];
    assert_eq!(double_allocations(&nested).len(), 2);
    let mut elsewhere = tenure(4, 5, 12, 18);
    elsewhere.key.network = NetworkId::from_u128(8);
    assert!(double_allocations(&[clean[0].clone(), elsewhere]).is_empty());
}

#[test]
fn an_address_that_did_not_rest_is_found() {
    let clean = vec![tenure(1, 5, 10, 20), tenure(2, 5, 30, 40), tenure(2, 5, 42, u64::MAX)];
    assert!(early_reuse(&clean, NETWORK, 10).is_empty(), "its own comes back sooner");
    is_one(&early_reuse(&clean, NETWORK, 11), "did not rest");
    assert!(early_reuse(&clean, NetworkId::from_u128(8), 11).is_empty());
}

#[test]
fn a_revision_that_repeats_or_falls_is_found() {
    let grant = |owner, revision, sent, answered| Grant {
        key: key(owner),
        address: address(1),
        revision: Revision(revision),
        sent,
        answered,
    };
    // The first two overlap in time, so either may be higher.
    let clean = vec![grant(1, 12, 0, 10), grant(2, 11, 5, 9), grant(3, 13, 11, 12)];
    assert!(revisions(&clean).is_empty());
    is_one(&revisions(&[clean.clone(), vec![grant(4, 12, 3, 14)]].concat()), "twice");
    is_one(&revisions(&[clean, vec![grant(4, 10, 13, 14)]].concat()), "lower");
}

#[test]
fn exhaustion_that_was_not_true_is_found() {
    let possible = |from, until| Possible { from, until, ended: None };
    let claim = Exhausted { sent: 10, answered: 20 };
    let taken = [possible(0, u64::MAX), possible(15, 17)];
    assert!(false_exhaustion(2, &taken, &[claim]).is_empty());
    assert_eq!(false_exhaustion(3, &taken, &[claim]).len(), 1);
    let elsewhere = |sent, answered| Exhausted { sent, answered };
    assert_eq!(false_exhaustion(2, &taken, &[elsewhere(0, 14)]).len(), 1);
    assert_eq!(false_exhaustion(2, &taken, &[elsewhere(18, 30)]).len(), 1);
    assert!(false_exhaustion(2, &taken, &[elsewhere(16, 16)]).is_empty());
    assert_eq!(false_exhaustion(1, &[], &[claim]).len(), 1);
}

/// Two keys known to hold, one known to be free.
fn known() -> BTreeMap<Key, Option<Hold>> {
    [(key(1), Some(hold(1, 1))), (key(2), Some(hold(2, 2))), (key(3), None)].into()
}

fn listed() -> BTreeMap<Key, Hold> {
    [(key(1), hold(1, 1)), (key(2), hold(2, 2))].into()
}

#[test]
fn what_a_crash_lost_or_brought_back_is_found() {
    assert!(compare(&known(), &[], &listed().into()).is_empty());

    let mut lost = listed();
    lost.remove(&key(2));
    is_one(&compare(&known(), &[], &lost.clone().into()), "lost");

    let mut back = listed();
    back.insert(key(3), hold(3, 3));
    is_one(&compare(&known(), &[], &back.clone().into()), "came back");

    let mut strange = listed();
    strange.insert(key(9), hold(9, 9));
    is_one(&compare(&known(), &[], &strange.clone().into()), "nobody that asked");

    // The same owner in another project is another one.
    let mut moved = listed();
    moved.remove(&key(2));
    moved.insert(Key { project: ProjectId::from_u128(9), ..key(2) }, hold(2, 2));
    let findings = compare(&known(), &[], &moved.clone().into());
    assert!(findings.len() == 2 && findings[0].contains("lost"), "{findings:?}");

    for other in [hold(7, 2), hold(2, 7), Hold { label: Some("x".to_owned()), ..hold(2, 2) }] {
        let mut changed = listed();
        changed.insert(key(2), other);
        is_one(&compare(&known(), &[], &changed.clone().into()), "not what was acknowledged");
    }
}

fn unknown(changes: Vec<Change>) -> Unknown {
    Unknown { network: NETWORK, changes, all_or_nothing: true, host: None }
}

fn take_of(owner: u128) -> Change {
    let (term, until) = (Term::Endless, u64::MAX);
    Change::Take { key: key(owner), sure: true, term, until, before: None }
}

fn drop_of(owner: u128) -> Change {
    Change::Drop { key: key(owner), until: u64::MAX }
}

#[test]
fn a_request_without_reply_may_be_in_or_not_and_nothing_else() {
    let take = || vec![vec![unknown(vec![take_of(3)])]];
    let mut taken = listed();
    taken.insert(key(3), hold(3, 3));
    assert!(compare(&known(), &take(), &listed().into()).is_empty());
    assert!(compare(&known(), &take(), &taken.clone().into()).is_empty());

    let drop = || vec![vec![unknown(vec![drop_of(2)])]];
    let mut dropped = listed();
    dropped.remove(&key(2));
    assert!(compare(&known(), &drop(), &listed().into()).is_empty());
    assert!(compare(&known(), &drop(), &dropped.clone().into()).is_empty());
    let mut moved = listed();
    moved.insert(key(2), hold(8, 8));
    is_one(&compare(&known(), &drop(), &moved.clone().into()), "neither once nor not at all");

    let label = Change::Label { key: key(2), label: "a".to_owned(), until: u64::MAX };
    let relabel = || vec![vec![unknown(vec![label.clone()])]];
    let mut relabelled = listed();
    relabelled.insert(key(2), Hold { label: Some("a".to_owned()), ..hold(2, 2) });
    assert!(compare(&known(), &relabel(), &relabelled.clone().into()).is_empty());
    relabelled.insert(key(2), Hold { label: Some("b".to_owned()), ..hold(2, 2) });
    is_one(&compare(&known(), &relabel(), &relabelled.clone().into()), "neither");
}

#[test]
fn half_a_request_and_a_hole_in_the_order_are_found() {
    let both = unknown(vec![take_of(3), drop_of(2)]);
    let mut half = listed();
    half.insert(key(3), hold(3, 3));
    is_one(&compare(&known(), &[vec![both]], &half.clone().into()), "half a request");

    let first = unknown(vec![drop_of(2)]);
    let second = unknown(vec![take_of(3)]);
    let in_order = vec![first.clone(), second.clone()];
    is_one(&compare(&known(), &[in_order], &half.clone().into()), "sent before it");
    // A renewal that came too late refuses all of its request; one that was in time does not.
    let renewing = |until| unknown(vec![drop_of(2), Change::Renew { key: key(1), until }]);
    let late = vec![renewing(0), second.clone()];
    assert!(compare(&known(), &[late], &half.clone().into()).is_empty());
    let in_time = vec![renewing(u64::MAX), second.clone()];
    is_one(&compare(&known(), &[in_time], &half.clone().into()), "sent before it");
    let other_way = vec![second.clone(), first.clone()];
    assert!(compare(&known(), &[other_way], &half.clone().into()).is_empty());
    // Two connections have no order between them, nor have two networks.
    assert!(
        compare(&known(), &[vec![first.clone()], vec![second.clone()]], &half.clone().into())
            .is_empty()
    );
    let elsewhere = Unknown { network: NetworkId::from_u128(8), ..first };
    assert!(compare(&known(), &[vec![elsewhere, second]], &half.clone().into()).is_empty());
}

fn allocated(last: u8, revision: u64, repeated: bool) -> Reply {
    let first = AllocatedAddress {
        address: address(last),
        length: 32,
        subnet_length: 24,
        subnet_id: SubnetId::from_u128(1),
        slot: Slot(0),
        revision: Revision(revision),
        state: AllocationState::Allocated,
        time_left_ms: 0,
        repeated,
        was_preferred: false,
        from_quarantine: false,
        taken_over: false,
    };
    Reply::Allocated(Allocated { first, second: None, settings: None })
}

fn failure(status: Status) -> Box<Failure> {
    let message = Text::default();
    let (item, field, details) = (None, None, Vec::new());
    Box::new(Failure { status, retry_after_ms: 0, item, field, message, details })
}

fn released(last: u8) -> Reply {
    Reply::Released(Released {
        address: address(last),
        length: 32,
        subnet_id: SubnetId::from_u128(1),
        revision: Revision(99),
        state: AllocationState::Free,
    })
}

const SPAN: Span = Span { sent: 1, answered: 2 };

fn take(may_fail: bool) -> Operation {
    let (how, term) = (How::Any(Strategy::Default), Term::Endless);
    Operation::Take { key: key(1), how, may_fail, term }
}

fn drop_at(revision: u64, by: By) -> Operation {
    Operation::Drop { key: key(1), revision: Revision(revision), by }
}

/// A client whose key 1 holds address 1 at revision 1.
fn holder() -> Book {
    let mut book = Book::default();
    book.enter(&take(false), &Ok(allocated(1, 1, false)), SPAN);
    assert!(book.findings.is_empty(), "{:?}", book.findings);
    book
}

#[test]
fn answers_that_break_a_promise_are_found() {
    let wrong = |operation: Operation, answer| {
        let mut book = holder();
        book.enter(&operation, &answer, SPAN);
        assert_eq!(book.findings.len(), 1, "{operation:?} {answer:?}");
    };
    wrong(take(false), Ok(allocated(2, 1, true)));
    wrong(take(false), Ok(allocated(1, 2, true)));
    wrong(take(false), Ok(allocated(1, 1, false)));
    wrong(take(false), Err(failure(Status::EXHAUSTED)));
    wrong(take(true), Err(failure(Status::EXHAUSTED)));
    wrong(drop_at(1, By::Key), Ok(released(2)));
    wrong(drop_at(1, By::Key), Ok(Reply::Empty));
    wrong(drop_at(1, By::Key), Err(failure(Status::STALE)));
    wrong(drop_at(7, By::Key), Ok(released(1)));
    wrong(drop_at(7, By::Key), Ok(Reply::Empty));
    wrong(drop_at(7, By::Address(address(1))), Ok(Reply::Empty));
    wrong(drop_at(1, By::Key), Ok(allocated(1, 1, true)));
}

#[test]
fn lawful_answers_are_entered() {
    let mut book = holder();
    book.enter(&take(false), &Ok(allocated(1, 1, true)), SPAN);
    book.enter(&drop_at(7, By::Key), &Err(failure(Status::STALE)), SPAN);
    book.enter(&drop_at(7, By::Address(address(9))), &Ok(Reply::Empty), SPAN);
    book.enter(&drop_at(1, By::Key), &Err(failure(Status::BUSY)), SPAN);
    book.enter(&drop_at(1, By::Key), &Ok(released(1)), SPAN);
    book.enter(&drop_at(1, By::Key), &Ok(Reply::Empty), SPAN);
    book.enter(&take(true), &Err(failure(Status::EXHAUSTED)), SPAN);
    assert!(book.findings.is_empty(), "{:?}", book.findings);
    assert_eq!((book.acknowledged, book.later), (7, 1));
    assert_eq!(book.hold(&key(1)), None);
    assert_eq!((book.tenures[0].from, book.tenures[0].until), (2, 1));
    assert_eq!(book.uses[&NETWORK].claims.len(), 1);
}

#[test]
fn only_the_project_of_a_network_hears_that_a_guest_holds_an_address() {
    let told = |project, by| {
        let key = Key { project, network: LENT, ..key(1) };
        let drop = Operation::Drop { key, revision: Revision(1), by };
        let mut book = Book::default();
        book.enter(&drop, &Err(failure(Status::NOT_HOLDER)), SPAN);
        book.findings.len()
    };
    let (home, guest) = (PROJECTS[0], PROJECTS[1]);
    assert_eq!(told(home, By::Address(address(1))), 0);
    assert_eq!(told(guest, By::Address(address(1))), 1);
    assert_eq!(told(home, By::Key), 1);
}

#[test]
fn a_batch_that_ignores_a_fence_is_found() {
    let batch =
        |mode| Operation::Batch { network: NETWORK, mode, items: vec![drop_at(7, By::Key)] };
    let done = || {
        let results = vec![BatchResult::Released(match released(1) {
            Reply::Released(released) => released,
            other => panic!("{other:?}"),
        })];
        Ok(Reply::Batch(Box::new(BatchReply { results })))
    };
    for mode in [BatchMode::Independent, BatchMode::AllOrNothing] {
        let mut book = holder();
        book.enter(&batch(mode), &done(), SPAN);
        assert_eq!(book.findings.len(), 1);
    }
    let mut book = holder();
    book.enter(&batch(BatchMode::AllOrNothing), &Err(failure(Status::STALE)), SPAN);
    assert!(book.findings.is_empty());
    assert_eq!(book.hold(&key(1)), Some(&hold(1, 1)));
}
