//! HELLO: version, pinned server, lane, and what the server tells about itself.

use super::super::accounts::Payer;
use super::super::answers::failure;
use super::super::decider::Decider;
use super::super::sessions::{NoLane, SessionKey};
use super::intake::Defaults;
use super::{Connection, Phase};
use crate::limits;
use crate::telemetry::reactors::Count;
use addrd_protocol::codec::{
    BATCH_BYTES_MAX, FrameBounds, REQUEST_BYTES_MAX, decode_request_slice, encode_failure,
    encode_reply,
};
use addrd_protocol::header::{VERSION, negotiate};
use addrd_protocol::message::batch::BATCH_ITEMS_MAX;
use addrd_protocol::message::{Detail, Failure, Hello, HelloReply, Reply, Request};
use addrd_protocol::{FrameError, Opcode, Status};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use tokio::time::Instant;

use super::super::reading::Front;

/// A HELLO that waits for what older connections of its session have pushed.
pub(super) struct Waiting {
    request_id: u64,
    hello: Box<Hello>,
    passed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A HELLO that is refused, and when it is told so.
#[derive(Debug)]
pub(super) struct Refusing {
    pub(super) until: Instant,
    opcode: Opcode,
    request_id: u64,
    failure: Failure,
}

impl<D: Decider> Connection<D> {
    /// Takes HELLO, if it is there.
    pub(super) fn take_hello(&mut self, now: Instant) -> Result<(), FrameError> {
        let Front::Whole { length, opcode } = self.input.front(FrameBounds::BEFORE_HELLO)? else {
            return Ok(());
        };
        let (header, body) = decode_request_slice(self.input.peek(length))?;
        self.input.consume(length);
        self.timing.active(now);
        self.intake.last_request_id = header.request_id;
        let hello = match body {
            Ok(Request::Hello(hello)) => check(&hello).map(|()| hello),
            Ok(_) => Err(failure(Status::HELLO_EXPECTED, "HELLO must come first, and once")),
            Err(_) if opcode != Opcode::HELLO => {
                Err(failure(Status::HELLO_EXPECTED, "HELLO must come first, and once"))
            }
            Err(error) => Err(error.to_failure()),
        };
        let checked = hello.and_then(|hello| self.check_server(&hello).map(|()| hello));
        match checked.and_then(|hello| self.identify(&hello).map(|()| hello)) {
            Ok(hello) => self.claim(header.request_id, hello, now),
            Err(failure) if failure.status == Status::UNAUTHENTICATED => {
                self.refuse_stranger(opcode, header.request_id, failure, now);
            }
            Err(failure) => self.refuse_hello(opcode, header.request_id, &failure, now),
        }
        Ok(())
    }

    /// Refuses somebody whom nobody knows: late, if many were refused who came from there. What he keeps meanwhile
    /// is the place that he has before HELLO.
    fn refuse_stranger(&mut self, opcode: Opcode, request_id: u64, failure: Failure, now: Instant) {
        let delay = self.shared.strangers.refused(Payer::nobody(&self.origin), now);
        if delay.is_zero() {
            return self.refuse_hello(opcode, request_id, &failure, now);
        }
        self.shared.reactors.count(Count::StrangersDelayed, 1);
        self.timing.begins(now);
        let refusing = Refusing { until: now + delay, opcode, request_id, failure };
        self.phase = Phase::Refusing(Box::new(refusing));
    }

    /// The refusal has waited long enough.
    pub(super) fn end_refusal(&mut self, now: Instant) {
        if let Phase::Refusing(refusing) = std::mem::replace(&mut self.phase, Phase::Greeting) {
            let Refusing { opcode, request_id, failure, .. } = *refusing;
            self.refuse_hello(opcode, request_id, &failure, now);
        }
    }

    fn check_server(&self, hello: &Hello) -> Result<(), Failure> {
        let ours = self.shared.decider.identity().server_id;
        match hello.server_id {
            Some(pinned) if pinned != ours => {
                Err(failure(Status::WRONG_SERVER, "this is another server than the pinned one"))
            }
            _ => Ok(()),
        }
    }

    /// Gets the lane of the session, if it names one.
    fn claim(&mut self, request_id: u64, hello: Box<Hello>, now: Instant) {
        if let Err(failure) = self.open_account(now) {
            return self.refuse_hello(Opcode::HELLO, request_id, &failure, now);
        }
        let Some(mailbox) = &self.mailbox else { return };
        if hello.session.is_nil() {
            return self.greet(request_id, *hello, now);
        }
        let sessions = &self.shared.sessions;
        let session = SessionKey { principal: self.principal(), id: hello.session };
        match sessions.claim(session, hello.epoch, mailbox.orders(), now) {
            Ok((lane, older)) => {
                self.lane = Some(lane);
                let Some(older) = older else { return self.greet(request_id, *hello, now) };
                let passed = Box::pin(older.clone().wait());
                self.older = Some(older);
                self.timing.begins(now);
                self.phase = Phase::Waiting(Box::new(Waiting { request_id, hello, passed }));
            }
            Err(no_lane) => {
                let failure = lane_failure(no_lane, hello.epoch);
                self.refuse_hello(Opcode::HELLO, request_id, &failure, now);
            }
        }
    }

    /// Goes on when the older connections have nothing left. True: it does.
    pub(super) fn poll_waiting(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let Phase::Waiting(waiting) = &mut self.phase else { return false };
        if waiting.passed.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.older = None;
        if let Phase::Waiting(waiting) = std::mem::replace(&mut self.phase, Phase::Greeting) {
            self.greet(waiting.request_id, *waiting.hello, now);
        }
        true
    }

    /// The wait was in vain.
    pub(super) fn session_is_busy(&mut self, now: Instant) {
        if let Phase::Waiting(waiting) = &self.phase {
            let failure = super::super::answers::busy("session_wait_ms", SESSION_RETRY_MS);
            let request_id = waiting.request_id;
            self.refuse_hello(Opcode::HELLO, request_id, &failure, now);
        }
    }

    fn greet(&mut self, request_id: u64, hello: Hello, now: Instant) {
        let reply = self.hello_reply();
        self.output.push_own(|out| {
            encode_reply(Opcode::HELLO, request_id, Status::OK, &reply, out);
        });
        self.intake.defaults = Defaults::of(hello);
        self.ungreeted = None;
        self.phase = Phase::Ready;
        self.timing.begins(now);
        self.shared.reactors.with(|figures| {
            figures.add(Count::Greeted, 1);
            figures.answered(Opcode::HELLO, Status::OK);
        });
        self.join_as(now);
    }

    fn hello_reply(&self) -> Reply {
        let identity = self.shared.decider.identity();
        let idle_ms = u32::try_from(self.shared.bounds.idle.as_millis()).unwrap_or(u32::MAX);
        Reply::Hello(Box::new(HelloReply {
            version: VERSION,
            role: 0,
            adopting: self.shared.decider.adoption().is_some(),
            features: 0,
            server_id: identity.server_id,
            incarnation: identity.incarnation,
            position: self.shared.decider.position(),
            frame_bytes_max: REQUEST_BYTES_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            batch_items_max: u32::try_from(BATCH_ITEMS_MAX).unwrap_or(u32::MAX),
            credit: limits::CONNECTION_OPERATIONS_MAX,
            idle_ms,
            server: Some(super::super::answers::text(SERVER)),
        }))
    }

    /// A HELLO is refused once; then the connection ends.
    fn refuse_hello(&mut self, opcode: Opcode, request_id: u64, failure: &Failure, now: Instant) {
        self.shared.reactors.with(|figures| figures.answered(opcode, failure.status));
        self.output.push_own(|out| encode_failure(opcode, request_id, failure, out));
        self.close(Count::EndedUngreeted, now);
    }
}

/// Name and version, for people.
const SERVER: &str = concat!("addrd ", env!("CARGO_PKG_VERSION"));

/// Advice when an older connection of the session is not decided in time, ms.
const SESSION_RETRY_MS: u32 = 1_000;

fn check(hello: &Hello) -> Result<(), Failure> {
    if negotiate(hello.version_min, hello.version_max).is_none() {
        let version = u128::from(VERSION);
        let value = u128::from(hello.version_min);
        let bounds = Detail::Bounds { value, least: version, most: version };
        let message = "no version of the protocol is spoken by both sides";
        let refused = failure(Status::UNSUPPORTED_VERSION, message);
        return Err(Failure { details: vec![bounds], ..refused });
    }
    Ok(())
}

fn lane_failure(no_lane: NoLane, epoch: u64) -> Failure {
    match no_lane {
        NoLane::Stale(last) => {
            let (value, least) = (u128::from(epoch), u128::from(last) + 1);
            let bounds = Detail::Bounds { value, least, most: u64::MAX.into() };
            let message = "the epoch is not higher than the last one of the session";
            Failure { details: vec![bounds], ..failure(Status::SESSION_STALE, message) }
        }
        NoLane::Full => super::super::answers::busy("sessions_max", SESSION_RETRY_MS),
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}
