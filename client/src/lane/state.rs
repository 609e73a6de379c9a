//! What a lane has to send, has sent, and does with what comes back. No I/O, no clock, no waiting:
//! time and frames are arguments.

use crate::error::Error;
use crate::frame;
use crate::ticket::{Answer, Ticket};
use addrd_protocol::codec::ReplyOrFailure;
use addrd_protocol::header::ReplyHeader;
use addrd_protocol::message::{Failure, GoAway, GoAwayReason, Reply};
use addrd_protocol::{DecodeError, Incarnation, Opcode, Retry};
use bytes::BytesMut;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that may wait in a connection's output before more requests are put there.
const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// Credit that requests leave for a PING, so that a silent peer can always be probed.
const PING_CREDIT: usize = 1;

/// What the shell has to do after a frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Go on.
    Continue,
    /// Send nothing more; once everything is answered, connect anew.
    Drain,
    /// Connect anew, not sooner than `after`; what is without answer may have been applied.
    Reconnect { cause: String, after: Duration },
    /// Connecting anew would not help: everything that waits has failed.
    GiveUp(Error),
}

/// Requests of a lane, in the order in which their callers gave them.
///
/// Shape: bounded by the lane's permits, which every ticket holds.
#[derive(Debug)]
pub(crate) struct LaneState {
    /// Not sent on the present connection.
    waiting: VecDeque<Ticket>,
    /// Sent on it and without reply, by request id.
    flying: BTreeMap<u64, Ticket>,
    /// Ids rise for the life of the lane.
    last_id: u64,
    /// Requests that may fly at once; 0 = not connected.
    credit: usize,
    /// Which life of the data the peer of the present connection has.
    pub(crate) incarnation: Incarnation,
    sends_max: u32,
    /// No deadline is earlier than this.
    earliest: Option<Instant>,
    /// Why there is no connection.
    pub(crate) trouble: Option<Error>,
}

impl LaneState {
    pub(crate) fn new(sends_max: u32) -> Self {
        Self {
            waiting: VecDeque::new(),
            flying: BTreeMap::new(),
            // HELLO has id 1 on every connection.
            last_id: 1,
            credit: 0,
            incarnation: Incarnation::default(),
            sends_max,
            earliest: None,
            trouble: None,
        }
    }

    /// Whether nothing waits to be sent and nothing to be answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }

    /// Whether nothing is without reply.
    pub(crate) fn is_quiet(&self) -> bool {
        self.flying.is_empty()
    }

    pub(crate) fn submit(&mut self, ticket: Ticket) {
        self.note_deadline(ticket.deadline);
        self.waiting.push_back(ticket);
    }

    /// A connection stands whose peer allows `credit` requests without reply.
    pub(crate) fn connected(&mut self, credit: u32) {
        let credit = usize::try_from(credit).unwrap_or(usize::MAX);
        self.credit = credit.saturating_sub(PING_CREDIT).max(1);
        self.trouble = None;
    }

    /// Moves as many requests as credit and buffer allow into `output`.
    pub(crate) fn fill(&mut self, now: Instant, output: &mut BytesMut) {
        while self.flying.len() < self.credit && output.len() < OUTPUT_BYTES_MAX {
            let Some(mut ticket) = self.waiting.pop_front() else { return };
            if !ticket.is_wanted() {
                continue;
            }
            self.last_id += 1;
            let left = ticket.deadline.saturating_duration_since(now);
            frame::address(&mut ticket.frame, self.last_id, left);
            output.extend_from_slice(&ticket.frame);
            ticket.sends += 1;
            self.flying.insert(self.last_id, ticket);
        }
    }

    /// Puts a PING into `output`, whatever the credit.
    pub(crate) fn ping(&mut self, mut ticket: Ticket, now: Instant, output: &mut BytesMut) {
        self.last_id += 1;
        let left = ticket.deadline.saturating_duration_since(now);
        frame::address(&mut ticket.frame, self.last_id, left);
        output.extend_from_slice(&ticket.frame);
        self.flying.insert(self.last_id, ticket);
    }

    /// A frame came.
    pub(crate) fn received(
        &mut self,
        header: &ReplyHeader,
        body: Result<ReplyOrFailure, DecodeError>,
    ) -> Verdict {
        if header.request_id == 0 {
            return self.received_own(header, body);
        }
        let Some(mut ticket) = self.flying.remove(&header.request_id) else {
            return reconnect("a reply to no request came");
        };
        if ticket.opcode != header.opcode {
            self.flying.insert(header.request_id, ticket);
            return reconnect("a reply of another operation came");
        }
        let body = match body {
            Ok(ReplyOrFailure::Reply(reply)) => Ok(reply),
            Ok(ReplyOrFailure::Failure(failure)) => Err(failure),
            Ok(ReplyOrFailure::GoAway(_)) => return reconnect("a reply of another operation came"),
            Err(error) => {
                unreadable(&mut ticket, header, &error);
                return Verdict::Continue;
            }
        };
        self.answered(ticket, header, body)
    }

    fn answered(
        &mut self,
        mut ticket: Ticket,
        header: &ReplyHeader,
        body: Result<Reply, Box<Failure>>,
    ) -> Verdict {
        if header.status.retry() == Retry::Unknown {
            let cause = header.status.to_string();
            // It keeps its place in the order until the connection is gone.
            self.flying.insert(header.request_id, ticket);
            return Verdict::Reconnect { cause, after: advice(header.retry_after_ms) };
        }
        let in_doubt = ticket.in_doubt;
        ticket.answer(Ok(Answer { body, in_doubt, incarnation: self.incarnation }));
        Verdict::Continue
    }

    /// A frame of the server's own: GOAWAY or ERROR.
    fn received_own(
        &mut self,
        header: &ReplyHeader,
        body: Result<ReplyOrFailure, DecodeError>,
    ) -> Verdict {
        match body {
            Ok(ReplyOrFailure::GoAway(goaway)) => self.goaway(&goaway),
            Ok(ReplyOrFailure::Failure(failure)) if header.opcode == Opcode::ERROR => {
                match failure.status.retry() {
                    Retry::Later | Retry::Unknown => Verdict::Reconnect {
                        cause: format!("{}: {}", failure.status, failure.message),
                        after: advice(failure.retry_after_ms),
                    },
                    _ => Verdict::GiveUp(Error::Refused(failure)),
                }
            }
            // Features that were not asked for: ignored, as SPEC.md section 4 says of id 0.
            Ok(_) => Verdict::Continue,
            Err(error) => reconnect(&format!("the server's own frame: {error}")),
        }
    }

    /// What came after the last request that was read goes back, in order and without doubt.
    fn goaway(&mut self, goaway: &GoAway) -> Verdict {
        let spared = self.flying.split_off(&goaway.last_request_id.saturating_add(1));
        for (_, mut ticket) in spared.into_iter().rev() {
            ticket.sends = ticket.sends.saturating_sub(1);
            self.put_front(ticket);
        }
        self.credit = 0;
        match goaway.reason {
            GoAwayReason::SessionReplaced => Verdict::GiveUp(Error::SessionReplaced),
            // The next HELLO says whether there is a way back in.
            GoAwayReason::Shutdown
            | GoAwayReason::Idle
            | GoAwayReason::SlowReader
            | GoAwayReason::AccessEnded => Verdict::Drain,
        }
    }

    /// The connection is gone: what has no reply may have been applied, and is repeated first.
    pub(crate) fn disconnected(&mut self, cause: &str) {
        self.credit = 0;
        let flying = std::mem::take(&mut self.flying);
        for (_, mut ticket) in flying.into_iter().rev() {
            ticket.in_doubt = true;
            if ticket.sends >= self.sends_max {
                ticket.fail(&Error::OutcomeUnknown { cause: cause.to_owned() });
            } else {
                self.put_front(ticket);
            }
        }
    }

    /// Fails everything.
    pub(crate) fn give_up(&mut self, error: &Error) {
        self.credit = 0;
        for (_, mut ticket) in std::mem::take(&mut self.flying) {
            ticket.in_doubt = true;
            ticket.fail(error);
        }
        self.waiting.drain(..).for_each(|mut ticket| ticket.fail(error));
        self.earliest = None;
    }

    /// Fails what has passed its deadline. A request that flies keeps its place, since its reply
    /// may still come.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return;
        }
        let error = self.trouble.clone().unwrap_or(Error::Expired);
        self.waiting.retain_mut(|ticket| {
            if ticket.deadline <= now {
                ticket.fail(&error);
            }
            ticket.is_wanted()
        });
        for ticket in self.flying.values_mut().filter(|ticket| ticket.deadline <= now) {
            ticket.in_doubt = true;
            let cause = "no reply came in time".to_owned();
            let changes = crate::ticket::changes_something(ticket.opcode);
            ticket.fail(&if changes { Error::OutcomeUnknown { cause } } else { Error::Expired });
        }
        let flying = self.flying.values().filter(|ticket| ticket.is_wanted());
        self.earliest = self.waiting.iter().chain(flying).map(|ticket| ticket.deadline).min();
    }

    /// When [`LaneState::expire`] has to run next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.earliest
    }

    fn put_front(&mut self, ticket: Ticket) {
        if ticket.is_wanted() {
            self.note_deadline(ticket.deadline);
            self.waiting.push_front(ticket);
        }
    }

    fn note_deadline(&mut self, deadline: Instant) {
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }
}

fn reconnect(cause: &str) -> Verdict {
    Verdict::Reconnect { cause: cause.to_owned(), after: Duration::ZERO }
}

fn advice(retry_after_ms: u32) -> Duration {
    Duration::from_millis(retry_after_ms.into())
}

/// The status is known, the rest is not: repeating would bring the same bytes again.
fn unreadable(ticket: &mut Ticket, header: &ReplyHeader, error: &DecodeError) {
    let text = format!("the reply ({}) could not be read: {error}", header.status);
    ticket.in_doubt |= header.status.is_done();
    ticket.fail(&Error::Protocol(text));
}
