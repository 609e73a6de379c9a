//! Frames to operations: decodes every whole frame, checks it, and pushes what is to be decided,
//! grouped by the thread that decides it and in the order sent.

use super::super::answers::{busy, failure, reply_bytes_max, text};
use super::super::cost::{cost_of, cost_of_unreadable};
use super::super::decider::{Decider, Readiness};
use super::super::in_flight::InFlight;
use super::super::mailbox::Mailbox;
use super::super::reading::Front;
use super::identity::scope_of;
use super::{Connection, Phase};
use crate::access::Authorized;
use crate::engine::{Operation, Parcel, Rejected, Route, Scope, Stages};
use crate::limits;
use crate::model::Tick;
use crate::telemetry::reactors::Count;
use addrd_protocol::codec::{FrameBounds, decode_request_slice, encode_failure, encode_reply};
use addrd_protocol::header::REQUEST_HEADER_BYTES;
use addrd_protocol::message::{
    Allocate, BatchItem, ClockAccepted, Detail, Failure, Hello, Reply, Request, RequestHeader,
    ServerStatus,
};
use addrd_protocol::{FrameError, Opcode, Status, Text};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a connection remembers between frames.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Bytes of the frames in flight.
    pub(super) bytes: usize,
    /// The last request id read.
    pub(super) last_request_id: u64,
    /// What HELLO said for requests that say nothing.
    pub(super) defaults: Option<Box<Defaults>>,
    groups: Vec<Group>,
    /// Routes that refused an operation of this read: what follows there is refused as well.
    refused: Vec<(Route, Refusal)>,
    /// Operations on their way to the sequencer: what follows on their networks must not overtake.
    sequenced: Vec<(u64, Way)>,
    /// How many operations these are.
    sequenced_count: u32,
    errors: u32,
    errors_since: Option<Instant>,
    pub(super) tick: Option<Tick>,
    seen_second: u64,
}

/// Operations for one deciding thread.
#[derive(Debug)]
struct Group {
    route: Route,
    operations: Vec<Authorized<Operation>>,
    bytes: u32,
}

/// What an operation on its way to the sequencer is about.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// This network or pool.
    Of(Scope),
    /// More networks than are worth telling apart.
    Many,
}

impl Way {
    fn is_beside(&self, scope: &Scope) -> bool {
        match self {
            Self::Of(other) => other.is_beside(scope),
            Self::Many => true,
        }
    }
}

/// Networks of a transaction that are told apart from others; what follows one with more of them
/// takes its way, whatever it is about.
const TRANSACTION_NETWORKS_MAX: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Refusal {
    bound: &'static str,
    retry_after_ms: u32,
}

/// Manager and host of allocations that name none.
#[derive(Debug)]
pub(super) struct Defaults {
    manager: Option<Text>,
    host: Option<Text>,
}

impl Intake {
    /// Notes what an operation is about that goes to the sequencer.
    fn note_sequenced(&mut self, request_id: u64, scope: Scope, request: &Request) {
        let before = self.sequenced.len();
        self.note_ways(request_id, scope, request);
        self.sequenced_count += u32::from(self.sequenced.len() > before);
    }

    fn note_ways(&mut self, request_id: u64, scope: Scope, request: &Request) {
        let Request::Transaction(all) = request else {
            self.sequenced.push((request_id, Way::Of(scope)));
            return;
        };
        let first = self.sequenced.len();
        for item in &all.items {
            let place = Scope::of_item(scope.project, item);
            let noted = self.sequenced.get(first..).unwrap_or_default();
            if noted.iter().any(|(_, way)| way.is_beside(&place)) {
                continue;
            }
            if noted.len() == TRANSACTION_NETWORKS_MAX {
                self.sequenced.truncate(first);
                self.sequenced.push((request_id, Way::Many));
                return;
            }
            self.sequenced.push((request_id, Way::Of(place)));
        }
    }

    /// Operations on their way to the sequencer.
    #[inline]
    pub(super) fn sequenced_count(&self) -> u32 {
        self.sequenced_count
    }

    /// Gives memory back.
    pub(super) fn shrink(&mut self) {
        self.groups = Vec::new();
        self.refused = Vec::new();
        self.sequenced.shrink_to_fit();
    }
}

impl<D: Decider> Connection<D> {
    /// Takes all frames that are there and may be taken.
    pub(super) fn take_frames(&mut self, now: Instant) {
        if let Err(error) = self.try_take_frames(now) {
            self.broken(error, now);
        }
        if self.is_at_end && !self.is_paused && !self.is_closing() {
            self.take_end(now);
        }
    }

    fn try_take_frames(&mut self, now: Instant) -> Result<(), FrameError> {
        if matches!(self.phase, Phase::Greeting) {
            self.take_hello(now)?;
        }
        if matches!(self.phase, Phase::Ready) && !self.input.is_empty() {
            self.take_requests(now)
        } else {
            self.is_paused = false;
            Ok(())
        }
    }

    /// The peer has shut its side and all whole frames are taken.
    fn take_end(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Waiting(_) | Phase::Refusing(_)) {
            return;
        }
        if self.input.is_empty() && self.skip == 0 {
            self.close(Count::EndedByPeer, now);
        } else {
            self.broken(FrameError::Truncated, now);
        }
    }

    fn take_requests(&mut self, now: Instant) -> Result<(), FrameError> {
        self.check_access(now);
        if self.is_closing() {
            return Ok(());
        }
        if !self.open_purse(now) {
            return Ok(());
        }
        let begun_ns = self.shared.decider.clock().monotonic_ns();
        let before = self.in_flight.count();
        let verdict = self.take_each(begun_ns, now);
        // What stood before a broken frame was whole, and is decided.
        self.flush();
        self.close_purse(now);
        self.report();
        let operations = u64::from(self.in_flight.count().saturating_sub(before));
        if operations > 0 {
            let ns = self.shared.decider.clock().monotonic_ns().saturating_sub(begun_ns);
            self.shared.reactors.with(|figures| figures.decoded(ns, operations));
        }
        self.intake.refused.clear();
        self.intake.tick = None;
        verdict
    }

    fn take_each(&mut self, begun_ns: u64, now: Instant) -> Result<(), FrameError> {
        let mut has_taken = false;
        loop {
            if self.skip > 0 && !self.take_skipped() {
                self.timing.awaits_frame(true, has_taken, now);
                return Ok(());
            }
            let front = self.input.front(FrameBounds::REQUESTS)?;
            let Front::Whole { length, opcode } = front else {
                self.is_paused = false;
                self.purse.is_read_empty();
                return self.take_part(front, has_taken, now);
            };
            if !self.may_take(opcode, length) {
                self.pause(now);
                return Ok(());
            }
            if self.purse.is_empty_for(opcode) && !self.purse.may_refuse() {
                self.output.keep_promise(reply_bytes_max(opcode, length));
                if length > limits::READ_BUFFER_BYTES_MIN {
                    self.refuse_unread(length, now)?;
                }
                self.hold(now);
                return Ok(());
            }
            has_taken = true;
            self.timing.active(now);
            self.take_request(length, begun_ns, now)?;
            self.input.consume(length);
            if self.is_closing() {
                return Ok(());
            }
        }
    }

    /// Whether credit and room for the reply are left; promises that room.
    #[inline]
    fn may_take(&mut self, opcode: Opcode, length: usize) -> bool {
        self.in_flight.count() < limits::CONNECTION_OPERATIONS_MAX
            && !self.has_its_part()
            && !self.output.is_past_half()
            && self.output.promise(reply_bytes_max(opcode, length))
    }

    /// Throws away what is there of a refused frame. True: all of it.
    pub(super) fn take_skipped(&mut self) -> bool {
        let count = self.skip.min(self.input.unread().len());
        self.input.consume(count);
        self.skip -= count;
        self.skip == 0
    }

    /// The front is no whole frame: makes room for the rest of it.
    fn take_part(&mut self, front: Front, has_taken: bool, now: Instant) -> Result<(), FrameError> {
        self.timing.awaits_frame(front != Front::Empty, has_taken, now);
        let Front::Part { length } = front else {
            if front == Front::Empty {
                self.input.shrink(limits::READ_BUFFER_BYTES_BUSY);
            }
            return Ok(());
        };
        let missing = self.input.missing_for(length);
        if missing == 0 {
            return Ok(());
        }
        if self.purse.is_empty() {
            // What is read for it would lie here for as long as there is no room.
            return self.refuse_unread(length, now);
        }
        if self.budget.hold(self.bytes_held() + missing) {
            self.input.grow(missing);
        } else if let Some(header) = self.input.unread().first_chunk::<REQUEST_HEADER_BYTES>() {
            let (opcode, request_id) = address_of(header);
            if request_id == 0 {
                return Err(FrameError::RequestIdZero);
            }
            self.intake.last_request_id = request_id;
            let failure = busy("bytes_in_flight_max", BYTES_RETRY_MS);
            self.answer_failure(opcode, request_id, &failure);
            self.purse.pay(1);
            self.skip = length;
            self.take_skipped();
        }
        Ok(())
    }

    /// Decodes one frame and queues it or answers it. The room for its reply is promised.
    fn take_request(
        &mut self,
        length: usize,
        begun_ns: u64,
        now: Instant,
    ) -> Result<(), FrameError> {
        let (header, body) = decode_request_slice(self.input.peek(length))?;
        self.intake.last_request_id = header.request_id;
        match body.map_err(|error| error.to_failure()) {
            Ok(Request::Hello(_)) => {
                self.purse.pay(1);
                let message = "HELLO must come first, and once";
                self.refuse(&header, length, &failure(Status::HELLO_EXPECTED, message), now);
            }
            Ok(request) => self.take_asked(&header, request, length, begun_ns, now),
            Err(failure) => {
                self.purse.pay(cost_of_unreadable(length));
                self.refuse(&header, length, &failure, now);
            }
        }
        Ok(())
    }

    /// Takes what may be asked for, once it is known that this peer may.
    #[inline]
    fn take_asked(
        &mut self,
        header: &RequestHeader,
        mut request: Request,
        length: usize,
        begun_ns: u64,
        now: Instant,
    ) {
        if self.purse.is_empty_for(header.opcode) {
            return self.refuse_beyond_rate(header, length, now);
        }
        self.purse.pay(cost_of(&request));
        if let Some(defaults) = &self.intake.defaults {
            defaults.apply(&mut request);
        }
        let operation = Operation {
            request_id: header.request_id,
            opcode: header.opcode,
            scope: scope_of(header),
            expires: self.expires(header.timeout_ms),
            request,
        };
        let taken = self.authorize(operation).and_then(|operation| match &operation.request {
            Request::Ping(_)
            | Request::ServerStatus
            | Request::ClockAccept(_)
            | Request::BackupRead(_) => self.answer_at_once(header, &operation, length, now),
            Request::Watch(watch) => {
                self.begin_watch(header, watch, length, now);
                Ok(())
            }
            Request::Unwatch(unwatch) => {
                self.end_watch(header, *unwatch, length, now);
                Ok(())
            }
            _ => self.accept(operation, length, begun_ns),
        });
        if let Err(failure) = taken {
            self.refuse(header, length, &failure, now);
        }
    }

    /// Refuses what is beyond the rate, before anything is done with it.
    #[cold]
    fn refuse_beyond_rate(&mut self, header: &RequestHeader, length: usize, now: Instant) {
        let is_used = self.is_used(header.request_id);
        let failure = if is_used { in_use() } else { self.rate_failure(now) };
        self.refuse(header, length, &failure, now);
    }

    /// Whether a request id names something that has no reply yet, or a watch.
    pub(super) fn is_used(&self, request_id: u64) -> bool {
        self.in_flight.contains(request_id) || self.watches.has(request_id)
    }

    /// Answers what no deciding thread has to be asked for.
    fn answer_at_once(
        &mut self,
        header: &RequestHeader,
        operation: &Authorized<Operation>,
        length: usize,
        now: Instant,
    ) -> Result<(), Failure> {
        // In front of what it does.
        if self.is_used(header.request_id) {
            return Err(in_use());
        }
        let reply = match &operation.request {
            Request::Ping(_) => Reply::Empty,
            Request::ServerStatus => Reply::ServerStatus(Box::new(self.server_status())),
            Request::ClockAccept(_) => {
                let moved_ms = self.shared.decider.clock().accept();
                self.tell_administration(operation, Status::OK);
                tracing::warn!(moved_ms, "an operator believes the wall clock");
                Reply::ClockAccepted(ClockAccepted { moved_ms })
            }
            Request::BackupRead(request) => {
                let block = self.shared.decider.backup_read(request);
                let result = block.as_ref().map_or_else(|failure| failure.status, |_| Status::OK);
                let is_begin =
                    block.as_ref().is_ok_and(|block| block.block == 0 && block.wait_ms == 0);
                // Of a whole backup its begin is enough.
                if is_begin || result != Status::OK {
                    self.tell_administration(operation, result);
                }
                Reply::BackupBlock(block.map_err(|failure| *failure)?)
            }
            _ => return Err(failure(Status::UNSUPPORTED, "this is decided elsewhere")),
        };
        self.answer(header, length, &reply, now);
        Ok(())
    }

    /// Queues an operation.
    #[inline]
    fn accept(
        &mut self,
        operation: Authorized<Operation>,
        length: usize,
        begun_ns: u64,
    ) -> Result<(), Failure> {
        let frame_bytes = u32::try_from(length).unwrap_or(u32::MAX);
        let held = self.bytes_held() + length;
        if !self.budget.hold(held) {
            return Err(busy("bytes_in_flight_max", BYTES_RETRY_MS));
        }
        let (request_id, scope) = (operation.request_id, operation.scope);
        let route = self.route(&scope, &operation.request);
        if !matches!(route, Route::Worker(_)) {
            // What spans workers must find behind it, in their rings, all that was sent before; and
            // what is refused there is refused before it.
            self.flush_workers();
        }
        if let Some(refusal) = self.refusal(route) {
            self.count_refused(refusal.bound, 1);
            return Err(busy(refusal.bound, refusal.retry_after_ms));
        }
        let begun = (begun_ns >> 10) as u32;
        let entry = InFlight { request_id, frame_bytes, begun };
        if self.watches.has(request_id) || !self.in_flight.insert(entry) {
            return Err(in_use());
        }
        if route == Route::Sequencer {
            self.intake.note_sequenced(request_id, scope, &operation.request);
        }
        self.intake.bytes += length;
        self.queue(route, operation, frame_bytes);
        Ok(())
    }

    /// The deciding thread of a request, such that it overtakes nothing on its network.
    #[inline]
    fn route(&self, scope: &Scope, request: &Request) -> Route {
        let route = self.shared.decider.route(scope, request);
        if self.intake.sequenced.is_empty() {
            return route;
        }
        let follows = match route {
            Route::Worker(_) => {
                self.intake.sequenced.iter().any(|(_, other)| other.is_beside(scope))
            }
            // It asks about every network.
            Route::Gather => true,
            // What was is not changed by what is on its way.
            Route::Sequencer | Route::History => false,
        };
        if follows { Route::Sequencer } else { route }
    }

    fn expires(&mut self, timeout_ms: u32) -> Option<Tick> {
        if timeout_ms == 0 {
            return None;
        }
        let clock = self.shared.decider.clock();
        let tick = *self.intake.tick.get_or_insert_with(|| clock.tick());
        Some(Tick(tick.0.saturating_add(timeout_ms.into())))
    }

    #[inline]
    fn queue(&mut self, route: Route, operation: Authorized<Operation>, frame_bytes: u32) {
        let groups = &mut self.intake.groups;
        let at = match groups.iter().position(|group| group.route == route) {
            Some(at) => at,
            None => {
                groups.push(Group { route, operations: Vec::new(), bytes: 0 });
                groups.len() - 1
            }
        };
        let Some(group) = groups.get_mut(at) else { return };
        if group.operations.capacity() == 0 {
            let frames = self.input.unread().len() / (frame_bytes as usize).max(1);
            let credit = limits::CONNECTION_OPERATIONS_MAX as usize;
            group.operations.reserve_exact(frames.clamp(1, credit));
        }
        group.operations.push(operation);
        group.bytes = group.bytes.saturating_add(frame_bytes);
    }

    fn flush_workers(&mut self) {
        for at in 0..self.intake.groups.len() {
            let is_worker = |group: &Group| matches!(group.route, Route::Worker(_));
            if self.intake.groups.get(at).is_some_and(is_worker) {
                self.submit(at);
            }
        }
    }

    fn flush(&mut self) {
        for at in 0..self.intake.groups.len() {
            self.submit(at);
        }
        if self.intake.groups.len() > GROUPS_KEPT {
            self.intake.groups.truncate(GROUPS_KEPT);
        }
    }

    /// Pushes one group.
    fn submit(&mut self, at: usize) {
        let is_full = |group: &&Group| !group.operations.is_empty();
        let Some(route) = self.intake.groups.get(at).filter(is_full).map(|group| group.route)
        else {
            return;
        };
        let principal_outstanding = self.principal_outstanding(route);
        let (Some(group), Some(mailbox)) = (self.intake.groups.get_mut(at), &self.mailbox) else {
            return;
        };
        let mailbox: Arc<Mailbox> = Arc::clone(mailbox);
        let parcel = Parcel {
            outlet: mailbox,
            operations: std::mem::take(&mut group.operations),
            bytes: std::mem::take(&mut group.bytes),
            outstanding: self.in_flight.count(),
            principal_outstanding,
            pushed_ns: self.shared.decider.clock().monotonic_ns(),
        };
        self.shared.activity.note(&mut self.intake.seen_second);
        if let Err(rejected) = self.shared.decider.submit(route, parcel) {
            self.take_rejected(route, &rejected);
        }
    }

    #[cold]
    fn take_rejected(&mut self, route: Route, rejected: &Rejected) {
        self.count_refused(rejected.bound, rejected.operations.len());
        let failure = busy(rejected.bound, rejected.retry_after_ms);
        for operation in &rejected.operations {
            self.forget(operation.request_id, operation.opcode);
            self.answer_failure(operation.opcode, operation.request_id, &failure);
        }
        let refusal = Refusal { bound: rejected.bound, retry_after_ms: rejected.retry_after_ms };
        self.intake.refused.push((route, refusal));
    }

    /// Whether an operation that is to go this way would overtake one that was refused.
    fn refusal(&self, route: Route) -> Option<Refusal> {
        let spans = !matches!(route, Route::Worker(_));
        let refused = self.intake.refused.iter().find(|(to, _)| spans || *to == route);
        refused.map(|(_, refusal)| *refusal)
    }

    /// A request is in flight no more.
    #[inline]
    pub(super) fn forget(&mut self, request_id: u64, opcode: Opcode) -> Option<InFlight> {
        let entry = self.in_flight.remove(request_id)?;
        self.intake.bytes = self.intake.bytes.saturating_sub(entry.frame_bytes as usize);
        self.output.keep_promise(reply_bytes_max(opcode, entry.frame_bytes as usize));
        if !self.intake.sequenced.is_empty() {
            let before = self.intake.sequenced.len();
            self.intake.sequenced.retain(|(id, _)| *id != request_id);
            let is_gone = self.intake.sequenced.len() < before;
            self.intake.sequenced_count -= u32::from(is_gone);
        }
        Some(entry)
    }

    /// Strikes the requests that these reply frames answer off; returns how many.
    pub(super) fn settle(&mut self, frames: &[u8], stages: &Stages) -> u32 {
        let slow = self.shared.bounds.slow_request.as_nanos() as u64 >> 10;
        let now = (stages.durable_ns >> 10) as u32;
        let mut answered = 0;
        let mut rest = frames;
        while let Some((opcode, request_id, length)) = reply_front(rest) {
            match self.forget(request_id, opcode) {
                Some(entry) => {
                    answered += 1;
                    let took = now.wrapping_sub(entry.begun);
                    if slow > 0 && u64::from(took) >= slow {
                        self.log_slow(opcode, u64::from(took) << 10, stages);
                    }
                }
                None => debug_assert!(false, "a reply to {request_id}, which is not in flight"),
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        self.report();
        answered
    }

    /// Where a slow request spent its time. The stages add up to the whole; the socket comes after.
    #[cold]
    fn log_slow(&self, opcode: Opcode, ns: u64, stages: &Stages) {
        self.shared.reactors.count(Count::SlowRequests, 1);
        let us = |from: u64, to: u64| to.saturating_sub(from) / 1_000;
        tracing::warn!(
            operation = opcode.name(),
            total_us = ns / 1_000,
            decode_us = (ns / 1_000).saturating_sub(us(stages.pushed_ns, stages.durable_ns)),
            ring_us = us(stages.pushed_ns, stages.began_ns),
            apply_us = us(stages.began_ns, stages.handed_ns),
            commit_wait_us = us(stages.handed_ns, stages.commit_ns),
            commit_us = us(stages.commit_ns, stages.durable_ns),
            in_flight = self.in_flight.count(),
            waiting_bytes = self.output.waiting(),
            number = self.number,
            "slow request"
        );
    }

    /// Answers a request that needs no decision, if its id is free.
    pub(super) fn answer(
        &mut self,
        header: &RequestHeader,
        length: usize,
        reply: &Reply,
        now: Instant,
    ) {
        if self.is_used(header.request_id) {
            return self.refuse(header, length, &in_use(), now);
        }
        self.output.keep_promise(reply_bytes_max(header.opcode, length));
        self.shared.reactors.with(|figures| figures.answered(header.opcode, Status::OK));
        self.output.push_own(|out| {
            encode_reply(header.opcode, header.request_id, Status::OK, reply, out);
        });
    }

    /// Refuses a request whose reply has a promise.
    pub(super) fn refuse(
        &mut self,
        header: &RequestHeader,
        length: usize,
        failure: &Failure,
        now: Instant,
    ) {
        self.output.keep_promise(reply_bytes_max(header.opcode, length));
        self.answer_failure(header.opcode, header.request_id, failure);
        if is_protocol_error(failure.status) {
            self.count_error(now);
        }
    }

    pub(super) fn answer_failure(&mut self, opcode: Opcode, request_id: u64, failure: &Failure) {
        self.shared.reactors.with(|figures| figures.answered(opcode, failure.status));
        self.output.push_own(|out| encode_failure(opcode, request_id, failure, out));
    }

    fn count_error(&mut self, now: Instant) {
        self.shared.reactors.count(Count::ProtocolErrors, 1);
        let window = Duration::from_millis(limits::PROTOCOL_ERRORS_MS);
        let is_over = self.intake.errors_since.is_none_or(|since| now >= since + window);
        if is_over {
            self.intake.errors_since = Some(now);
            self.intake.errors = 0;
        }
        self.intake.errors += 1;
        if self.intake.errors > limits::PROTOCOL_ERRORS_MAX {
            let message = "too many protocol errors within a minute";
            let mut failure = failure(Status::RATE_LIMITED, message);
            failure.retry_after_ms = ERRORS_RETRY_MS;
            failure.details = vec![Detail::Bound { name: text("protocol_errors_max") }];
            self.break_off(&failure, Count::EndedByProtocol, now);
        }
    }

    fn server_status(&self) -> ServerStatus {
        let (decider, status) = (&self.shared.decider, self.shared.decider.status());
        let identity = decider.identity();
        let state = match decider.readiness() {
            Readiness::Ready => match self.shared.notes() {
                notes if notes.is_empty() => text("ready"),
                notes => text(&format!("ready; {}", notes.trim_end().replace('\n', "; "))),
            },
            Readiness::NotReady(reason) => text(&reason),
        };
        ServerStatus {
            server_id: identity.server_id,
            incarnation: identity.incarnation,
            position: decider.position(),
            folded: crate::model::Seq(status.folded),
            journal_records: status.journal_records,
            journal_records_max: status.journal_records_max,
            uptime_ms: u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            workers: status.workers,
            connections: u32::try_from(self.shared.admission.connections()).unwrap_or(u32::MAX),
            adopting: decider.adoption().is_some(),
            networks: status.networks,
            allocations: status.allocations,
            state,
            version: text(env!("CARGO_PKG_VERSION")),
        }
    }
}

/// Groups whose place is kept for the next read.
const GROUPS_KEPT: usize = 16;

/// Advice when the bytes of all connections are used up, ms.
pub(super) const BYTES_RETRY_MS: u32 = 100;

/// Advice to a client that is told off, ms: its next connection begins anew.
const ERRORS_RETRY_MS: u32 = 1_000;

/// What only a broken or hostile client does; wrong values of fields are not among it.
fn is_protocol_error(status: Status) -> bool {
    matches!(status, Status::MALFORMED | Status::REQUEST_ID_IN_USE | Status::HELLO_EXPECTED)
}

pub(super) fn in_use() -> Failure {
    failure(Status::REQUEST_ID_IN_USE, "a request with this id has no reply yet")
}

/// Operation and request id of a request's header.
pub(super) fn address_of(header: &[u8; REQUEST_HEADER_BYTES]) -> (Opcode, u64) {
    let [_, _, _, _, _, _, high, low, a, b, c, d, e, f, g, h, ..] = *header;
    (Opcode(u16::from_be_bytes([high, low])), u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

/// Operation, request id and length of the reply frame at the front.
#[inline]
fn reply_front(frames: &[u8]) -> Option<(Opcode, u64, usize)> {
    let head = frames.first_chunk::<16>()?;
    let [l0, l1, l2, l3, _, _, high, low, a, b, c, d, e, f, g, h] = *head;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    let request_id = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    Some((Opcode(u16::from_be_bytes([high, low])), request_id, length.max(1)))
}

impl Defaults {
    /// What HELLO set; `None` if nothing.
    pub(super) fn of(hello: Hello) -> Option<Box<Self>> {
        let Hello { manager, host, .. } = hello;
        (manager.is_some() || host.is_some()).then(|| Box::new(Self { manager, host }))
    }

    fn apply(&self, request: &mut Request) {
        match request {
            Request::Allocate(allocate) => self.apply_to(allocate),
            Request::Batch(batch) => {
                batch.items.iter_mut().for_each(|item| self.apply_to_item(item));
            }
            Request::Transaction(all) => {
                all.items.iter_mut().for_each(|item| self.apply_to_item(&mut item.operation));
            }
            _ => {}
        }
    }

    fn apply_to_item(&self, item: &mut BatchItem) {
        if let BatchItem::Allocate(allocate) = item {
            self.apply_to(allocate);
        }
    }

    fn apply_to(&self, allocate: &mut Allocate) {
        let extras = allocate.extras.get_or_insert_default();
        if extras.manager.is_none() {
            extras.manager.clone_from(&self.manager);
        }
        if extras.host.is_none() {
            extras.host.clone_from(&self.host);
        }
    }
}
