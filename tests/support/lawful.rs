//! Which answers to an operation are lawful, given what its client knows: enters them in its [`Book`]. Sends
//! nothing.
//!
//! What has an end may be over by the time of an answer, by the client's clock, or not yet: then both are lawful.

use super::book::{Book, Item, Span};
use super::history::Exhausted;
use super::line::Answer;
use super::network::{LENT, POOLED, POOLED_LENGTH};
use super::operation::{By, Operation, Settling, port_of};
use super::state::{Hold, Key};
use super::terms::{End, HOLD_REST_MS, Host, Mark, Term, after};
use addrd_client::protocol::message::allocate::AllocatedAddress;
use addrd_client::protocol::message::{
    Allocation, AllocationState, BatchMode, BatchReply, EndedHost, Failure, HoldEnded,
    HostLeaseState, OnEnd, Port, RenewedHost, Reply,
};
use addrd_client::protocol::{ProjectId, Revision, Status};
use std::net::IpAddr;

/// The longest grace of a server of these tests, ms.
const GRACE_MS: u64 = 60_000;

/// What an answer says that a key holds.
#[derive(Clone, Copy)]
struct Got {
    address: IpAddr,
    revision: Revision,
    state: AllocationState,
    left_ms: u64,
    repeated: bool,
}

/// A late release of the network's project: a guest holds the address by now. A guest is told nothing
/// of the kind.
fn is_of_a_guest(operation: &Operation, failure: &Failure) -> bool {
    let is_home = (operation.network(), operation.project()) == (LENT, ProjectId::DEFAULT);
    is_home && failure.status == Status::NOT_HOLDER
}

impl Book {
    pub(super) fn batch(&mut self, operation: &Operation, answer: &Answer, span: Span) -> bool {
        let (is_whole, items) = match operation {
            Operation::Batch { mode, items, .. } => (*mode == BatchMode::AllOrNothing, items),
            Operation::Transaction { items } => (true, items),
            _ => return false,
        };
        match answer {
            Err(failure) => is_whole && items.iter().any(|item| self.may_fail(item, failure, span)),
            Ok(Reply::Batch(reply)) => {
                let must_fail =
                    is_whole && items.iter().any(|item| item.is_refused(&self.known, span));
                !must_fail && self.results(items, reply, span)
            }
            Ok(_) => false,
        }
    }

    fn results(&mut self, items: &[Operation], reply: &BatchReply, span: Span) -> bool {
        let mut lawful = reply.results.len() == items.len();
        for (item, result) in items.iter().zip(&reply.results) {
            let before = item.key().and_then(|key| self.known.hold(&key)).cloned();
            if !self.item(item, &Item::of_result(result), span) {
                lawful = false;
                self.wrong.push(format!("{item:?} got {result:?}; held {before:?}"));
            }
        }
        lawful
    }

    /// Enters one item and says whether it is lawful.
    pub(super) fn item(&mut self, operation: &Operation, item: &Item<'_>, span: Span) -> bool {
        if let Item::Failed(failure) = item {
            return self.failed(operation, failure, span);
        }
        // Where it is no business of theirs nothing is done.
        let must_fail = operation.is_refused(&self.known, span);
        !must_fail && self.done(operation, item, span)
    }

    fn done(&mut self, operation: &Operation, item: &Item<'_>, span: Span) -> bool {
        match (operation, item) {
            (Operation::Take { key, term, .. }, Item::Allocated(got)) => {
                got.second.is_none() && self.took(key, &got.first, *term, span)
            }
            (Operation::TakeEach { key }, Item::Allocated(got)) => {
                let second = got.second.as_ref();
                self.took(key, &got.first, Term::Endless, span)
                    && second
                        .is_some_and(|second| self.took(&key.second(), second, Term::Endless, span))
            }
            (Operation::MakePort { key }, Item::Port(port)) => self.made_port(key, port, span),
            // By itself a deletion's reply is as empty as that of a release that found nothing.
            (Operation::EndPort { key }, Item::PortDeleted | Item::NotHeld) => {
                let fits = self.hold(key).is_some() && self.hold(&key.second()).is_some();
                self.dropped(key, span);
                self.dropped(&key.second(), span);
                fits
            }
            (Operation::Drop { key, revision, .. }, Item::Released(released)) => {
                let fits = self.known.hold(key).is_some_and(|hold| {
                    (hold.address, hold.revision) == (released.address, *revision)
                });
                self.dropped(key, span);
                fits
            }
            (Operation::Drop { key, by, .. }, Item::NotHeld) => match (by, self.known.hold(key)) {
                (By::Address(address), Some(hold)) if hold.address != *address => true,
                _ => self.nothing_is_held(key, span),
            },
            (Operation::Label { key, label, .. }, Item::Updated(now)) => {
                self.labelled(key, label, now)
            }
            (Operation::Renew { key, ms, .. }, Item::Renewed(got)) => {
                let told = (got.address, got.revision);
                self.renewed(key, told, (*ms, got.time_left_ms), span)
            }
            (Operation::HoldRelease { key, .. }, Item::NotHeld) => self.nothing_is_held(key, span),
            (Operation::HoldRelease { key, token, ms, .. }, Item::HoldEnded(got)) => {
                let mark = Mark { token: *token, until: after(span.sent, *ms), sure: true };
                self.release_held(key, mark, got, span)
            }
            (Operation::Settle { key, revision, how, .. }, Item::NotHeld) => match how {
                Settling::Cancel | Settling::ConfirmRelease => {
                    let is_other =
                        self.known.hold(key).is_some_and(|hold| hold.revision != *revision);
                    is_other || self.nothing_is_held(key, span)
                }
                Settling::Confirm | Settling::CancelRelease => false,
            },
            (Operation::Settle { key, how, token, .. }, Item::HoldEnded(got)) => {
                let fits = self.known.hold(key).is_some_and(|hold| {
                    (hold.address, hold.revision) == (got.address, got.revision)
                });
                fits && self.settled(key, *how, *token, got, span)
            }
            (Operation::RenewHost { begin, on_end, .. }, Item::HostRenewed(got)) => {
                self.host_renewed(*begin, *on_end, got, span)
            }
            (Operation::EndHost { on_end, .. }, Item::HostEnded(got)) => {
                self.host_ended(*on_end, got, span)
            }
            _ => false,
        }
    }

    /// Nothing was found for a key: it holds nothing, or that is over.
    fn nothing_is_held(&mut self, key: &Key, span: Span) -> bool {
        let is_sure = self.known.sure(key, span.answered).is_some();
        if !is_sure {
            self.is_over(key, span.answered);
        }
        !is_sure
    }

    fn took(&mut self, key: &Key, got: &AllocatedAddress, term: Term, span: Span) -> bool {
        let length = match got.address.is_ipv4() {
            true if key.network == POOLED => POOLED_LENGTH,
            true => 32,
            false => 128,
        };
        let fits = got.slot == key.slot && got.length == length;
        let got = Got {
            address: got.address,
            revision: got.revision,
            state: got.state,
            left_ms: got.time_left_ms,
            repeated: got.repeated,
        };
        self.holds(key, got, term, span) && fits
    }

    /// A port has one address of each family; all of it is new, or all of it was there.
    fn made_port(&mut self, key: &Key, port: &Port, span: Span) -> bool {
        let keys = [*key, key.second()];
        let mut fits = port.port_id == port_of(key) && port.fixed_ips.len() == keys.len();
        for (key, got) in keys.iter().zip(&port.fixed_ips) {
            fits &= got.slot == key.slot;
            let got = Got {
                address: got.ip_address,
                revision: got.revision,
                state: AllocationState::Allocated,
                left_ms: 0,
                repeated: port.repeated,
            };
            fits &= self.holds(key, got, Term::Endless, span);
        }
        fits
    }

    /// A key holds this, as it did before if it is repeated.
    fn holds(&mut self, key: &Key, got: Got, term: Term, span: Span) -> bool {
        let Got { address, revision, state, left_ms, repeated } = got;
        if let Some(hold) = self.known.hold(key) {
            if (address, revision) == (hold.address, hold.revision) {
                let fits = match hold.end {
                    End::Never => left_ms == 0 && state == AllocationState::Allocated,
                    End::Lease => left_ms > 0 && state == AllocationState::Allocated,
                    End::Held(_) => left_ms > 0 && state == AllocationState::Held,
                    End::Host => state == AllocationState::Allocated,
                };
                // Asked for again under its token it is not to be released any more.
                let is_kept = |mark: &Mark| Some(mark.token) == term.token();
                let follows_now = matches!(term, Term::Host(_)) && self.known.host.is_some();
                self.goes_on(key, |hold| {
                    hold.ended &= !follows_now;
                    hold.mark = hold.mark.filter(|mark| !is_kept(mark));
                    if matches!(hold.end, End::Lease | End::Held(_)) {
                        hold.until = hold.until.max(after(span.sent, left_ms));
                    }
                });
                return repeated && fits;
            }
            if self.known.sure(key, span.answered).is_some() {
                return false;
            }
            self.is_over(key, span.answered);
        }
        let end = term.end(state, left_ms);
        let hold = Hold {
            end: end.unwrap_or(End::Never),
            until: if left_ms == 0 { u64::MAX } else { after(span.sent, left_ms) },
            ..Hold::endless(address, revision)
        };
        self.asked.insert(*key, hold.until);
        self.begin(key, hold, span);
        !repeated && end.is_some()
    }

    fn labelled(&mut self, key: &Key, label: &str, now: &Allocation) -> bool {
        let Some(hold) = self.known.hold(key) else { return false };
        let fits = now.label.as_deref() == Some(label)
            && (now.address, now.revision) == (hold.address, hold.revision);
        self.goes_on(key, |hold| hold.label = Some(label.to_owned()));
        fits
    }

    fn renewed(
        &mut self,
        key: &Key,
        told: (IpAddr, Revision),
        (ms, left_ms): (u64, u64),
        span: Span,
    ) -> bool {
        let Some(hold) = self.known.hold(key) else { return false };
        let fits = told == (hold.address, hold.revision);
        let fits_end = match hold.end {
            End::Never => left_ms == 0,
            End::Lease => {
                // A renewal to the very ms at which the lease ends anyway leaves it the grace that it has.
                let end = after(span.sent, ms);
                let is_it = |known: &u64| known.abs_diff(end) < after(0, 1_000);
                let is_same_end = is_it(&hold.until) || self.asked.get(key).is_some_and(is_it);
                left_ms > 0 && (left_ms <= ms || (is_same_end && left_ms <= GRACE_MS))
            }
            // Their ends stay.
            End::Held(_) | End::Host => true,
        };
        self.figures.renewed += 1;
        self.asked.insert(*key, after(span.sent, ms));
        self.goes_on(key, |hold| {
            if hold.end == End::Lease {
                hold.until = after(span.sent, left_ms);
            }
        });
        fits && fits_end
    }

    fn release_held(&mut self, key: &Key, mark: Mark, got: &HoldEnded, span: Span) -> bool {
        let Some(hold) = self.known.hold(key) else { return false };
        let fits = (got.address, got.revision) == (hold.address, hold.revision);
        match (got.state, hold.end) {
            (AllocationState::Free | AllocationState::Quarantined, End::Held(_)) => {
                self.dropped(key, span);
                fits
            }
            (AllocationState::Allocated, End::Never | End::Lease | End::Host) => {
                // Sent again its end stays.
                let is_again = hold.mark.is_some_and(|mark| mark.sure) && got.repeated;
                self.goes_on(key, |hold| {
                    if !is_again {
                        hold.mark = Some(Mark { sure: !got.repeated, ..mark });
                    }
                });
                fits
            }
            _ => false,
        }
    }

    /// What is held under a token, or its release, was confirmed or cancelled. The answer is about what the key has.
    fn settled(
        &mut self,
        key: &Key,
        how: Settling,
        token: uuid::Uuid,
        got: &HoldEnded,
        span: Span,
    ) -> bool {
        let Some(hold) = self.known.hold(key).cloned() else { return false };
        let is_held = hold.end == End::Held(Some(token));
        let is_gone = matches!(got.state, AllocationState::Free | AllocationState::Quarantined);
        let is_allocated = got.state == AllocationState::Allocated;
        match how {
            Settling::Confirm => {
                let may_be_late = self.known.may_be_over(&hold, span.answered);
                self.figures.confirmed += 1;
                self.figures.late += u64::from(got.late);
                self.goes_on(key, |hold| {
                    if is_held {
                        (hold.end, hold.until) = (End::Never, u64::MAX);
                    }
                });
                is_allocated && got.repeated != is_held && (!got.late || may_be_late)
            }
            Settling::Cancel => {
                self.figures.cancelled += 1;
                self.dropped(key, span);
                is_held && is_gone
            }
            Settling::ConfirmRelease => {
                self.figures.released += 1;
                self.dropped(key, span);
                let is_marked = hold.mark.is_some_and(|mark| mark.token == token);
                is_marked && is_gone
            }
            Settling::CancelRelease => {
                self.goes_on(key, |hold| hold.mark = None);
                is_allocated && !is_held
            }
        }
    }

    fn host_renewed(&mut self, begin: u64, on_end: OnEnd, got: &RenewedHost, span: Span) -> bool {
        let known = self.known.host;
        let may_be_over = self.known.may_host_be_over(span.answered);
        let was_life = known.map_or(0, |host| host.life);
        let is_later = begin > was_life;
        let is_new =
            known.is_none() || is_later && known.is_some_and(|host| host.on_end == OnEnd::Release);
        if is_new {
            self.host_is_over(span);
        }
        let following = self.known.followers().len() as u64;
        let fits_following = got.following == following || may_be_over;
        let life = was_life.max(begin);
        let fits_was =
            may_be_over || matches!(got.was, HostLeaseState::Running | HostLeaseState::Overdue);
        self.figures.hosts += 1;
        let until = after(span.sent, got.time_left_ms);
        self.host_is(Host { life: got.life, on_end, until, ended: false });
        got.life == life && life != 0 && got.time_left_ms > 0 && fits_following && fits_was
    }

    fn host_ended(&mut self, on_end: OnEnd, got: &EndedHost, span: Span) -> bool {
        let may_be_over = self.known.may_host_be_over(span.answered);
        let following = self.known.followers().len() as u64;
        let fits = got.following == following || may_be_over;
        let has_ended = got.was == HostLeaseState::Ended;
        let is_there = self.known.host.is_some();
        self.figures.hosts += 1;
        match on_end {
            OnEnd::Report if !has_ended => self.host_is_gone(),
            _ => self.host_is_over(span),
        }
        is_there && fits && !got.more && (may_be_over || !has_ended)
    }

    /// Enters a refusal and says whether it is lawful.
    fn failed(&mut self, operation: &Operation, failure: &Failure, span: Span) -> bool {
        let lawful = self.may_fail(operation, failure, span);
        match (operation, failure.status) {
            (Operation::Take { key, .. }, Status::EXHAUSTED) => {
                let uses = self.uses.entry(key.network).or_default();
                let Span { sent, answered } = span;
                uses.claims.push(Exhausted { sent, answered });
                self.nothing_is_held(key, span);
            }
            (Operation::Renew { key, .. }, Status::EXPIRED)
            | (Operation::Label { key, .. }, Status::NOT_FOUND) => {
                self.nothing_is_held(key, span);
            }
            (Operation::Settle { key, how, .. }, Status::HOLD_OVER) => {
                self.mark_is_over(key, *how);
            }
            (
                Operation::Take { term: Term::Host(_), .. },
                Status::NO_HOST_LEASE | Status::HOST_LEASE_OVER,
            )
            | (
                Operation::RenewHost { .. } | Operation::EndHost { .. },
                Status::NO_HOST_LEASE | Status::EXPIRED,
            ) if lawful => self.host_is_over(span),
            _ => {}
        }
        lawful
    }

    /// A held release can't be confirmed any more.
    fn mark_is_over(&mut self, key: &Key, how: Settling) {
        if let (Settling::ConfirmRelease, Some(Some(hold))) = (how, self.known.keys.get_mut(key)) {
            hold.mark = None;
        }
    }

    /// Whether an operation can be refused so.
    fn may_fail(&self, operation: &Operation, failure: &Failure, span: Span) -> bool {
        let status = failure.status;
        if operation.is_stale(&self.known) && status == Status::STALE {
            return !matches!(operation, Operation::Settle { how: Settling::ConfirmRelease, .. });
        }
        match operation {
            Operation::EndPort { key } => status == Status::NOT_FOUND && self.hold(key).is_none(),
            Operation::Take { key, may_fail, term, .. } => {
                self.may_not_take(key, *may_fail, *term, status, span)
            }
            Operation::Drop { key, by, .. } => {
                let is_elsewhere = self.is_elsewhere(key, *by, span);
                is_elsewhere && (status == Status::STALE || is_of_a_guest(operation, failure))
            }
            Operation::Label { key, .. } => {
                status == Status::NOT_FOUND && self.known.sure(key, span.answered).is_none()
            }
            Operation::Renew { key, by, .. } => match self.is_elsewhere(key, *by, span) {
                true => [Status::STALE, Status::EXPIRED].contains(&status),
                false => status == Status::EXPIRED && self.known.sure(key, span.answered).is_none(),
            },
            Operation::HoldRelease { key, token, .. } => {
                status == Status::OTHER_TOKEN && self.is_kept_for_others(key, *token)
            }
            Operation::Settle { key, revision, token, how } => {
                self.may_not_settle(key, *revision, (*how, *token), status, span)
            }
            Operation::RenewHost { begin, .. } => {
                let is_later = self.known.host.is_none_or(|host| *begin > host.life);
                let may_be_over = self.known.may_host_be_over(span.answered);
                may_be_over
                    && match status {
                        Status::EXPIRED | Status::NO_HOST_LEASE => *begin == 0 || !is_later,
                        Status::HOST_LIFE_STALE => *begin != 0 && !is_later,
                        _ => false,
                    }
            }
            Operation::EndHost { .. } => {
                status == Status::NO_HOST_LEASE && self.known.may_host_be_over(span.answered)
            }
            _ => false,
        }
    }

    /// Whether an address that is named may be another's than the key's.
    fn is_elsewhere(&self, key: &Key, by: By, span: Span) -> bool {
        match by {
            By::Key => false,
            By::Address(address) => {
                let sure = self.known.sure(key, span.answered);
                sure.is_none_or(|hold| hold.address != address)
            }
        }
    }

    fn may_not_take(
        &self,
        key: &Key,
        may_fail: bool,
        term: Term,
        status: Status,
        span: Span,
    ) -> bool {
        match status {
            Status::EXHAUSTED => may_fail && self.known.sure(key, span.answered).is_none(),
            Status::ADDRESS_TAKEN | Status::ADDRESS_RESTING | Status::KEY_IN_USE => may_fail,
            Status::OTHER_TOKEN => {
                let token = term.token().unwrap_or(uuid::Uuid::nil());
                self.is_kept_for_others(key, token)
            }
            Status::NO_HOST_LEASE | Status::HOST_LEASE_OVER => {
                matches!(term, Term::Host(_)) && self.known.may_host_be_over(span.answered)
            }
            _ => false,
        }
    }

    /// Whether what a key has may be held, or about to be released, under another token.
    fn is_kept_for_others(&self, key: &Key, token: uuid::Uuid) -> bool {
        self.known.hold(key).is_some_and(|hold| match hold.end {
            End::Held(own) => own != Some(token),
            _ => hold.mark.is_some_and(|mark| mark.token != token),
        })
    }

    fn may_not_settle(
        &self,
        key: &Key,
        revision: Revision,
        (how, token): (Settling, uuid::Uuid),
        status: Status,
        span: Span,
    ) -> bool {
        let Some(hold) = self.known.hold(key) else {
            let is_about = matches!(how, Settling::Confirm | Settling::CancelRelease);
            return is_about && status == Status::HOLD_OVER;
        };
        let may_be_over = self.known.may_be_over(hold, span.answered);
        let is_other = hold.revision != revision;
        let others = self.is_kept_for_others(key, token);
        match (how, status) {
            (_, Status::OTHER_TOKEN) => others,
            // It may rest for its hold still, while its key has something else.
            (Settling::Confirm, Status::KEY_IN_USE) => is_other,
            (Settling::Confirm, Status::HOLD_OVER) => {
                let rests_until = hold.until.saturating_add(after(0, HOLD_REST_MS));
                let has_rested = may_be_over && span.answered >= rests_until;
                match hold.end {
                    End::Held(own) if own == Some(token) => {
                        is_other || has_rested || self.freed.contains(&(*key, revision))
                    }
                    _ => may_be_over,
                }
            }
            (Settling::Cancel, Status::HOLD_CONFIRMED) => {
                !is_other && !matches!(hold.end, End::Held(_))
            }
            (Settling::ConfirmRelease, Status::HOLD_OVER) => {
                let can =
                    |mark: Mark| mark.sure && mark.token == token && span.answered < mark.until;
                !hold.mark.is_some_and(can)
            }
            (Settling::CancelRelease, Status::HOLD_OVER) => {
                is_other || may_be_over || matches!(hold.end, End::Held(_))
            }
            _ => false,
        }
    }
}
