//! The checkers of what ends by itself can fail: leases, holds, held releases, leases of hosts. Each gets what is lawful,
//! which passes, and the same with a fault planted, which does not. No server runs.

use crate::support::book::{Book, Span};
use crate::support::history::{Exhausted, Grant, Possible, close_ended, false_exhaustion};
use crate::support::operation::{By, How, Operation, Settling};
use crate::support::state::{Hold, HostChange, Key, Listed, compare, compare_host};
use crate::support::terms::{End, Host, MS, Term};
use crate::support::workload::TIGHT;
use addrd_client::protocol::message::allocate::AllocatedAddress;
use addrd_client::protocol::message::{
    Allocated, AllocationState, BatchMode, EndedHost, Failure, HoldEnded, HostLeaseState, OnEnd,
    Renewed, RenewedHost, Reply, Strategy,
};
use addrd_client::protocol::{OwnerId, ProjectId, Revision, Slot, Status, SubnetId, Text};
use std::net::IpAddr;
use uuid::Uuid;

const TOKEN: Uuid = Uuid::from_u128(5);
const OTHER: Uuid = Uuid::from_u128(6);
/// Lease and hold of what the tests take, ms.
const TERM_MS: u64 = 1_000;
/// Everything is asked for at 0; its time is long over then.
const SOON: Span = Span { sent: MS, answered: 2 * MS };
const LATE: Span = Span { sent: 2_000 * MS, answered: 2_001 * MS };

fn key(owner: u128) -> Key {
    let project = ProjectId::DEFAULT;
    Key { project, network: TIGHT, owner: OwnerId::from_u128(owner), slot: Slot(0) }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn take(owner: u128, term: Term) -> Operation {
    let how = How::Any(Strategy::Default);
    Operation::Take { key: key(owner), how, may_fail: true, term }
}

fn allocated(last: u8, state: AllocationState, time_left_ms: u64, repeated: bool) -> Reply {
    let first = AllocatedAddress {
        address: address(last),
        length: 32,
        subnet_length: 27,
        subnet_id: SubnetId::from_u128(1),
        slot: Slot(0),
        revision: Revision(last.into()),
        state,
        time_left_ms,
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

const LEASE: Term = Term::Lease { ms: TERM_MS };
const HELD: Term = Term::Held { token: TOKEN, ms: TERM_MS };

/// A client whose key 1 has address 1 at revision 1 for a time.
fn holder(term: Term) -> Book {
    let mut book = Book::default();
    let state = match term {
        Term::Held { .. } => AllocationState::Held,
        _ => AllocationState::Allocated,
    };
    let left_ms = if matches!(term, LEASE | HELD) { TERM_MS } else { 0 };
    let answer = Ok(allocated(1, state, left_ms, false));
    book.enter(&take(1, term), &answer, Span { sent: 0, answered: 1 });
    must_be(&book, true, "taken");
    book
}

/// One whose host has a lease, and whose key 1 follows it.
fn follower(on_end: OnEnd) -> Book {
    let mut book = Book::default();
    let renewed = renewed_host(0, 1, HostLeaseState::Absent);
    let first = Span { sent: 0, answered: 1 };
    book.enter(&renew_host(1, on_end), &Ok(renewed), first);
    let answer = Ok(allocated(1, AllocationState::Allocated, TERM_MS, false));
    book.enter(&take(1, Term::Host(3)), &answer, first);
    must_be(&book, true, "followed");
    book
}

fn renew_host(begin: u64, on_end: OnEnd) -> Operation {
    Operation::RenewHost { host: 3, begin, on_end, ms: TERM_MS, followers: Vec::new() }
}

fn renewed_host(following: u64, life: u64, was: HostLeaseState) -> Reply {
    Reply::RenewedHost(RenewedHost { time_left_ms: TERM_MS, following, life, was })
}

fn must_be(book: &Book, lawful: bool, what: &str) {
    assert_eq!(book.findings.is_empty(), lawful, "{what}: {:?}", book.findings);
}

type Outcome = Result<Reply, Box<Failure>>;

/// Whether an answer to a client that holds something is lawful.
fn is_lawful(book: Book, operation: &Operation, answer: &Outcome, span: Span) -> bool {
    let mut book = book;
    book.enter(operation, answer, span);
    book.findings.is_empty()
}

fn renew(by: By) -> Operation {
    Operation::Renew { key: key(1), revision: Revision(1), by, ms: TERM_MS }
}

fn renew_for(ms: u64) -> Operation {
    Operation::Renew { key: key(1), revision: Revision(1), by: By::Key, ms }
}

fn renewed(last: u8, time_left_ms: u64) -> Outcome {
    let revision = Revision(last.into());
    Ok(Reply::Renewed(Renewed { address: address(last), length: 32, revision, time_left_ms }))
}

#[test]
fn a_lease_that_ends_before_its_time_is_found() {
    let lawful = |operation: Operation, answer: &Outcome, span| {
        is_lawful(holder(LEASE), &operation, answer, span)
    };
    let release = Operation::Drop { key: key(1), revision: Revision(1), by: By::Key };
    let relabel = Operation::Label { key: key(1), revision: Revision(1), label: "a".to_owned() };
    let elsewhere = Ok(allocated(2, AllocationState::Allocated, TERM_MS, false));
    for (operation, answer) in [
        (renew(By::Key), Err(failure(Status::EXPIRED))),
        (renew(By::Address(address(1))), Err(failure(Status::EXPIRED))),
        (release, Ok(Reply::Empty)),
        (relabel, Err(failure(Status::NOT_FOUND))),
        (take(1, LEASE), elsewhere),
        (take(1, LEASE), Err(failure(Status::EXHAUSTED))),
    ] {
        assert!(lawful(operation.clone(), &answer, LATE), "{operation:?} {answer:?}");
        assert!(!lawful(operation.clone(), &answer, SOON), "{operation:?} {answer:?}");
    }
    assert!(lawful(renew(By::Key), &renewed(1, TERM_MS), SOON));
    assert!(lawful(renew(By::Key), &renewed(1, TERM_MS), LATE), "a server errs late");
    assert!(!lawful(renew(By::Key), &renewed(2, TERM_MS), SOON), "of another");
    assert!(lawful(renew_for(9_000), &renewed(1, 9_000), SOON));
    assert!(!lawful(renew_for(9_000), &renewed(1, 9_001), SOON), "for longer than was asked");
    assert!(!lawful(renew(By::Key), &renewed(1, 0), SOON), "for ever");
}

/// An answer showed a grace, and behind it the same end is asked for: the grace stays.
#[test]
fn a_renewal_to_another_end_that_keeps_a_grace_is_found() {
    let graced = || {
        let mut book = holder(LEASE);
        book.enter(&renew_for(9_000), &renewed(1, 9_000), SOON);
        let shown = Ok(allocated(1, AllocationState::Allocated, 50_000, true));
        book.enter(&take(1, LEASE), &shown, SOON);
        must_be(&book, true, "a grace is shown");
        book
    };
    let lawful = |ms, left_ms| is_lawful(graced(), &renew_for(ms), &renewed(1, left_ms), SOON);
    assert!(lawful(9_000, 9_000));
    assert!(lawful(9_000, 50_000), "to the same end");
    assert!(!lawful(5_000, 50_000), "to another one");
    assert!(!lawful(9_000, 60_001), "longer than any grace");
}

#[test]
fn the_certain_time_of_a_lease_ends_with_it() {
    let mut book = holder(LEASE);
    assert_eq!(book.tenures[0].until, TERM_MS * MS, "from when it was sent");
    book.enter(&renew(By::Key), &renewed(1, TERM_MS), SOON);
    assert_eq!(book.tenures[0].until, SOON.sent + TERM_MS * MS);
    book.enter(&renew(By::Key), &Err(failure(Status::EXPIRED)), LATE);
    must_be(&book, true, "it ended");
    assert_eq!(book.tenures[0].until, SOON.sent + TERM_MS * MS);
    assert_eq!(book.hold(&key(1)), None);
    // It goes on after all, so nobody else had it.
    book.enter(&renew(By::Key), &renewed(1, TERM_MS), LATE);
    assert_eq!(book.tenures[0].until, LATE.sent + TERM_MS * MS);
}

fn settle(token: Uuid, how: Settling) -> Operation {
    Operation::Settle { key: key(1), revision: Revision(1), token, how }
}

fn hold_ended(state: AllocationState, repeated: bool, late: bool) -> Outcome {
    let (address, revision) = (address(1), Revision(1));
    Ok(Reply::HoldEnded(HoldEnded { address, length: 32, revision, state, repeated, late }))
}

#[test]
fn a_hold_that_is_not_kept_for_its_token_is_found() {
    let lawful = |operation: &Operation, answer: &Outcome, span| {
        is_lawful(holder(HELD), operation, answer, span)
    };
    let (confirm, cancel) = (settle(TOKEN, Settling::Confirm), settle(TOKEN, Settling::Cancel));
    let confirmed = hold_ended(AllocationState::Allocated, false, false);
    let confirmed_late = hold_ended(AllocationState::Allocated, false, true);
    let over = || Err(failure(Status::HOLD_OVER));
    assert!(lawful(&confirm, &confirmed, SOON));
    assert!(lawful(&confirm, &confirmed_late, LATE));
    assert!(!lawful(&confirm, &confirmed_late, SOON), "its time is not over");
    assert!(!lawful(&confirm, &over(), SOON));
    assert!(!lawful(&confirm, &over(), LATE), "what ran out rests for it for ten minutes");
    let much_later = Span { sent: 700_000 * MS, answered: 700_001 * MS };
    assert!(lawful(&confirm, &over(), much_later));
    assert!(lawful(&cancel, &hold_ended(AllocationState::Free, false, false), SOON));
    assert!(!lawful(&cancel, &Ok(Reply::Empty), SOON), "it is held");
    assert!(!lawful(&cancel, &Err(failure(Status::HOLD_CONFIRMED)), SOON));

    let others = settle(OTHER, Settling::Confirm);
    let other_token = || Err(failure(Status::OTHER_TOKEN));
    assert!(lawful(&others, &other_token(), SOON));
    assert!(!lawful(&others, &confirmed, SOON), "any token confirms");
    assert!(!lawful(&confirm, &other_token(), SOON), "its own token");
    let repeat = || Ok(allocated(1, AllocationState::Held, TERM_MS, true));
    assert!(lawful(&take(1, HELD), &repeat(), SOON));
    assert!(lawful(&take(1, Term::Endless), &other_token(), SOON));
    assert!(!lawful(&take(1, Term::Endless), &repeat(), SOON), "without its token");
}

#[test]
fn what_was_confirmed_stays() {
    let confirmed = || {
        let mut book = holder(HELD);
        let answer = hold_ended(AllocationState::Allocated, false, false);
        book.enter(&settle(TOKEN, Settling::Confirm), &answer, SOON);
        must_be(&book, true, "confirmed");
        book
    };
    assert_eq!(confirmed().tenures[0].until, u64::MAX);
    let lawful = |operation, answer: &Outcome| is_lawful(confirmed(), &operation, answer, LATE);
    let again = |repeated| hold_ended(AllocationState::Allocated, repeated, false);
    assert!(lawful(settle(TOKEN, Settling::Confirm), &again(true)));
    assert!(!lawful(settle(TOKEN, Settling::Confirm), &again(false)), "done twice");
    let cancel = settle(TOKEN, Settling::Cancel);
    assert!(lawful(cancel.clone(), &Err(failure(Status::HOLD_CONFIRMED))));
    assert!(!lawful(cancel.clone(), &Ok(Reply::Empty)));
    assert!(!lawful(cancel, &hold_ended(AllocationState::Free, false, false)));
}

#[test]
fn a_held_release_that_is_not_its_tokens_is_found() {
    let marked = || {
        let mut book = holder(Term::Endless);
        let (token, ms) = (TOKEN, TERM_MS);
        let hold = Operation::HoldRelease { key: key(1), revision: Revision(1), token, ms };
        book.enter(&hold, &hold_ended(AllocationState::Allocated, false, false), SOON);
        must_be(&book, true, "a release is held");
        book
    };
    let lawful = |operation: &Operation, answer: &Outcome, span| {
        is_lawful(marked(), operation, answer, span)
    };
    let confirm = settle(TOKEN, Settling::ConfirmRelease);
    let freed = hold_ended(AllocationState::Free, false, false);
    assert!(lawful(&confirm, &freed, SOON));
    assert!(!lawful(&confirm, &Err(failure(Status::HOLD_OVER)), SOON), "before its time");
    assert!(lawful(&confirm, &Err(failure(Status::HOLD_OVER)), LATE));
    assert!(!lawful(&confirm, &Ok(Reply::Empty), LATE), "its owner has it");
    assert!(!lawful(&settle(OTHER, Settling::ConfirmRelease), &freed, SOON), "another token");
    let kept = hold_ended(AllocationState::Allocated, false, false);
    assert!(lawful(&settle(TOKEN, Settling::CancelRelease), &kept, SOON));
    let repeat = Ok(allocated(1, AllocationState::Allocated, 0, true));
    assert!(lawful(&take(1, HELD), &repeat, SOON));
    assert!(!lawful(&take(1, Term::Endless), &repeat, SOON), "it may be gone in a moment");
}

#[test]
fn a_host_whose_lease_is_not_kept_is_found() {
    let expired = || Err(failure(Status::EXPIRED));
    let renew = |on_end| renew_host(0, on_end);
    let lawful =
        |on_end, answer: &Outcome, span| is_lawful(follower(on_end), &renew(on_end), answer, span);
    assert!(lawful(OnEnd::Release, &expired(), LATE));
    assert!(!lawful(OnEnd::Release, &expired(), SOON), "it has its lease");
    assert!(!lawful(OnEnd::Report, &expired(), LATE), "one that reports never ends");
    let goes_on = |following, life| Ok(renewed_host(following, life, HostLeaseState::Running));
    assert!(lawful(OnEnd::Release, &goes_on(1, 1), SOON));
    assert!(!lawful(OnEnd::Release, &goes_on(0, 1), SOON), "what follows it is lost");
    assert!(!lawful(OnEnd::Release, &goes_on(2, 1), SOON), "nobody else follows it");
    assert!(!lawful(OnEnd::Release, &goes_on(1, 2), SOON), "another life");
    let end = Operation::EndHost { host: 3, on_end: OnEnd::Release, followers: Vec::new() };
    let ended = |following, was| Ok(Reply::EndedHost(EndedHost { following, was, more: false }));
    let is_end_lawful = |answer: &Outcome| is_lawful(follower(OnEnd::Release), &end, answer, SOON);
    assert!(is_end_lawful(&ended(1, HostLeaseState::Running)));
    assert!(!is_end_lawful(&ended(0, HostLeaseState::Running)));
    assert!(!is_end_lawful(&ended(1, HostLeaseState::Ended)));
    assert!(!is_end_lawful(&Err(failure(Status::NO_HOST_LEASE))));
}

#[test]
fn what_follows_a_host_is_certain_as_long_as_its_lease() {
    let renewed = |following, life| Ok(renewed_host(following, life, HostLeaseState::Running));
    let mut book = follower(OnEnd::Release);
    assert_eq!(book.tenures[0].until, TERM_MS * MS);
    book.enter(&renew_host(0, OnEnd::Report), &renewed(1, 1), SOON);
    assert_eq!(book.tenures[0].until, u64::MAX, "nothing ends with one that reports");
    // A life that begins over it takes over what follows; over one that releases nothing is left.
    book.enter(&renew_host(2, OnEnd::Release), &renewed(1, 2), SOON);
    assert_eq!(book.tenures[0].until, SOON.sent + TERM_MS * MS);
    book.enter(&renew_host(3, OnEnd::Release), &renewed(0, 3), SOON);
    assert_eq!(book.tenures[0].until, SOON.sent);
    must_be(&book, true, "all of it");
    assert_eq!(book.hold(&key(1)), None);
}

fn listed(hold: Option<Hold>, answered: u64) -> Listed {
    let mut listed = Listed::default();
    listed.spans.insert(TIGHT, Span { sent: answered, answered });
    listed.hosts_span = Span { sent: answered, answered };
    listed.holds.extend(hold.map(|hold| (key(1), hold)));
    listed
}

#[test]
fn a_crash_that_ends_a_lease_or_makes_it_shorter_is_found() {
    let known = holder(LEASE).known.resolved();
    let is_lawful = |hold, answered| compare(&known, &[], &listed(hold, answered)).is_empty();
    let until =
        |until| Some(Hold { end: End::Lease, until, ..Hold::endless(address(1), Revision(1)) });
    assert!(is_lawful(until(TERM_MS * MS), SOON.answered));
    assert!(is_lawful(until(9 * TERM_MS * MS), LATE.answered), "grace prolongs");
    assert!(is_lawful(None, LATE.answered), "it is over");
    assert!(!is_lawful(None, SOON.answered), "it is not");
    assert!(!is_lawful(until(TERM_MS * MS / 2), SOON.answered), "shorter than was promised");
    let endless = Hold::endless(address(1), Revision(1));
    assert!(!is_lawful(Some(endless), SOON.answered), "without its end");
    let held = Hold { end: End::Held(None), ..until(TERM_MS * MS).expect("a hold") };
    assert!(!is_lawful(Some(held), SOON.answered), "held");

    // A renewal without reply may have made it longer, or shorter; it ends nothing before that.
    let book = holder(LEASE);
    let renewal = renew(By::Key).unknown(&book.known, SOON);
    let with = |hold, answered| {
        compare(&known, &[vec![renewal.clone()]], &listed(hold, answered)).is_empty()
    };
    assert!(with(until(TERM_MS * MS), SOON.answered));
    assert!(with(until(SOON.sent + TERM_MS * MS), SOON.answered));
    assert!(!with(until(TERM_MS * MS / 2), SOON.answered));
    assert!(!with(None, SOON.answered));
}

#[test]
fn a_host_whose_lease_a_crash_changed_is_found() {
    let known = Host { life: 1, on_end: OnEnd::Release, until: TERM_MS * MS, ended: false };
    let lawful = |found: Option<Host>, unknown, answered| {
        let mut listed = listed(None, answered);
        listed.hosts.extend(found.map(|host| (3, host)));
        compare_host(3, Some(&known), unknown, &listed).is_none()
    };
    assert!(lawful(Some(known), None, SOON.answered));
    assert!(lawful(None, None, LATE.answered));
    assert!(!lawful(None, None, SOON.answered), "it is not over");
    assert!(!lawful(Some(Host { life: 2, ..known }), None, SOON.answered));
    assert!(!lawful(Some(Host { on_end: OnEnd::Report, ..known }), None, SOON.answered));
    assert!(!lawful(Some(Host { until: MS, ..known }), None, SOON.answered), "shorter");
    assert!(lawful(None, Some(HostChange::End(3, known.until)), SOON.answered));
    let next = Host { life: 2, ..known };
    assert!(lawful(Some(next), Some(HostChange::Begin(3, next)), SOON.answered));
    assert!(lawful(Some(known), Some(HostChange::Begin(3, next)), SOON.answered));
}

/// A life that begins over a lease that releases ends all that followed, or it didn't begin.
#[test]
fn half_a_life_of_a_host_is_found() {
    let book = follower(OnEnd::Release);
    let begin = renew_host(2, OnEnd::Release).unknown(&book.known, SOON);
    let hold =
        Hold { end: End::Host, until: TERM_MS * MS, ..Hold::endless(address(1), Revision(1)) };
    let findings = |hold, life| {
        let mut listed = listed(hold, SOON.answered);
        let host = Host { life, ..book.known.host.expect("it has a lease") };
        listed.hosts.insert(3, host);
        compare(&book.known.resolved(), &[vec![begin.clone()]], &listed)
    };
    assert!(findings(Some(hold.clone()), 1).is_empty(), "nothing of it");
    assert!(findings(None, 2).is_empty(), "all of it");
    assert_eq!(findings(Some(hold), 2).len(), 1);
    assert_eq!(findings(None, 1).len(), 1);
}

#[test]
fn an_all_or_nothing_batch_may_fail_because_of_what_is_over() {
    let items = vec![renew(By::Key), take(2, Term::Endless)];
    let batch = Operation::Batch { network: TIGHT, mode: BatchMode::AllOrNothing, items };
    let expired = Err(failure(Status::EXPIRED));
    assert!(is_lawful(holder(LEASE), &batch, &expired, LATE));
    assert!(!is_lawful(holder(LEASE), &batch, &expired, SOON));
}

#[test]
fn exhaustion_knows_that_a_lease_frees_its_address() {
    let mut book = holder(LEASE);
    book.enter(&renew(By::Key), &Err(failure(Status::EXPIRED)), LATE);
    let mut taken: Vec<Possible> = book.uses[&TIGHT].taken.clone();
    assert!(taken[0].until < u64::MAX, "it is free at some time");
    let claim = |at| [Exhausted { sent: at, answered: at + 1 }];
    assert!(false_exhaustion(1, &taken, &claim(SOON.sent)).is_empty(), "it was taken");
    let long_after = LATE.answered + 60_000 * MS;
    assert_eq!(false_exhaustion(1, &taken, &claim(long_after)).len(), 1);
    // Somebody else got the address: then at the latest it was free.
    let (sent, answered) = (LATE.answered + MS, LATE.answered + 2 * MS);
    let next = Grant { key: key(2), address: address(1), revision: Revision(2), sent, answered };
    close_ended(&mut taken, &[&next]);
    assert_eq!(taken[0].until, answered);
    assert_eq!(false_exhaustion(1, &taken, &claim(answered + 1)).len(), 1);
}
