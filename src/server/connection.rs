//! One connection: reads, has its requests decided elsewhere, writes the answers. Decides nothing
//! about addresses, and never waits for anything but its peer and its own answers.
//!
//! A turn of its task hears what came from inside, takes the frames that were read, writes, reads,
//! and repeats that until there is nothing left to do; then it sleeps until one of these or the
//! next deadline wakes it. All state changes happen between the polls, in plain functions.

mod greeting;
mod identity;
mod intake;
mod limiting;
#[cfg(test)]
mod tests;
mod timing;
mod watching;

use super::access::Identity;
use super::accounts::Customer;
use super::admission::{Seat, Ungreeted};
use super::answers;
use super::budget::Budget;
use super::decider::Decider;
use super::in_flight::InFlightTable;
use super::mailbox::{Letter, Mailbox};
use super::origin::Origin;
use super::reading::ReadBuffer;
use super::sessions::{Lane, Passed};
use super::shared::Shared;
use super::writing::Output;
use crate::engine::Stages;
use crate::limits;
use crate::planted::{Bug, is_planted};
use crate::telemetry::reactors::Count;
use addrd_protocol::codec::{encode_failure, encode_goaway};
use addrd_protocol::message::{Failure, GoAway, GoAwayReason};
use addrd_protocol::{FrameError, Opcode};
use bytes::Bytes;
use greeting::{Refusing, Waiting};
use intake::Intake;
use limiting::Purse;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use timing::Timing;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Instant;
use watching::Watches;

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    /// No byte has come.
    Fresh,
    /// HELLO is expected.
    Greeting,
    /// HELLO is there; an older connection of the session has work that is not decided.
    Waiting(Box<Waiting>),
    /// HELLO is refused, and the answer to it waits: the address has shown much that is wrong.
    Refusing(Box<Refusing>),
    /// Requests are served.
    Ready,
    /// Nothing more is read; what is in flight is answered.
    Closing(Count),
    /// All is written and our side is shut; what still comes is thrown away until the peer ends.
    Lingering(Count),
}

/// A connection without its transport.
#[derive(Debug)]
pub(super) struct Connection<D: Decider> {
    shared: Arc<Shared<D>>,
    number: u64,
    /// Where its requests come from.
    origin: Origin,
    /// Who asks, from HELLO on.
    identity: Option<Identity>,
    /// The account of who asks, likewise.
    customer: Option<Customer>,
    purse: Purse,
    /// Changes of principals that were looked at.
    access_changes: u64,
    phase: Phase,
    input: ReadBuffer,
    output: Output,
    intake: Intake,
    in_flight: InFlightTable,
    budget: Budget,
    /// Given up at the end, so that the letters end with the last parcel.
    mailbox: Option<Arc<Mailbox>>,
    letters: mpsc::Receiver<Letter>,
    lane: Option<Lane>,
    /// The older connections of the session, while they were not waited for to the end.
    older: Option<Passed>,
    ungreeted: Option<Ungreeted>,
    _seat: Seat,
    timing: Timing,
    watches: Watches,
    /// Bytes of a refused frame that are thrown away as they come.
    skip: usize,
    /// Bytes thrown away after the end.
    lingered: usize,
    /// The peer has shut its side.
    is_at_end: bool,
    /// Frames are there that can't be taken before others are answered or read.
    is_paused: bool,
    /// What was written has not left the transport's own buffer.
    is_unflushed: bool,
    /// Our side is shut, the farewell of TLS sent; or nobody waits for that any more.
    is_shut: bool,
}

/// Serves one connection until it has ended and all that it pushed is decided.
///
/// Shape: the socket is closed as soon as the peer has been answered; the task stays until no
/// parcel of it is left in the engine, whatever way it ended.
pub(super) async fn serve<S, D>(
    mut io: S,
    shared: Arc<Shared<D>>,
    (seat, ungreeted): (Seat, Ungreeted),
    origin: Origin,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    D: Decider,
{
    let reactors = shared.reactors.clone();
    let Some(mut connection) = Connection::new(shared, seat, ungreeted, origin) else { return };
    let (number, origin) = (connection.number, &connection.origin);
    tracing::debug!(number, %origin, "connection opened");
    let end = contain(connection.run(&mut io)).await.unwrap_or(Count::EndedByPanic);
    drop(io);
    reactors.count(end, 1);
    let (number, origin) = (connection.number, &connection.origin);
    tracing::debug!(number, %origin, ?end, "connection ended");
    connection.drain().await;
}

impl<D: Decider> Connection<D> {
    fn new(
        shared: Arc<Shared<D>>,
        seat: Seat,
        ungreeted: Ungreeted,
        origin: Origin,
    ) -> Option<Self> {
        let (mailbox, letters) = Mailbox::new();
        let number = shared.crowd.join(mailbox.orders(), origin.standing.clone());
        if shared.is_stopping.is_raised() {
            mailbox.orders().close(GoAwayReason::Shutdown);
        }
        Some(Self {
            number,
            origin,
            identity: None,
            customer: None,
            purse: Purse::default(),
            access_changes: 0,
            phase: Phase::Fresh,
            input: ReadBuffer::new(),
            output: Output::default(),
            intake: Intake::default(),
            in_flight: InFlightTable::new(),
            budget: Budget::new(&shared.bytes_in_flight)?,
            mailbox: Some(mailbox),
            letters,
            lane: None,
            older: None,
            ungreeted: Some(ungreeted),
            _seat: seat,
            timing: Timing::new(Instant::now()),
            watches: Watches::default(),
            skip: 0,
            lingered: 0,
            is_at_end: false,
            is_paused: false,
            is_unflushed: false,
            is_shut: false,
            shared,
        })
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut S) -> Count {
        poll_fn(|cx| self.poll_turn(io, cx)).await
    }

    /// One turn; ready when the connection has ended.
    fn poll_turn<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Count> {
        loop {
            let now = Instant::now();
            for round in 0.. {
                let has_heard = self.poll_letters(now, cx);
                self.take_frames(now);
                // Behind taking HELLO, so that a wait that begins now is polled and wakes this task.
                let has_passed = self.poll_waiting(now, cx);
                // Behind taking frames, so that a watch that begins now is polled.
                let has_told = self.poll_watches(now, cx);
                let has_written = self.poll_write(io, now, cx);
                let has_read = self.poll_read(io, now, cx);
                if let Some(end) = self.poll_end(io, now, cx) {
                    return Poll::Ready(end);
                }
                if !(has_heard || has_passed || has_told || has_written || has_read) {
                    break;
                }
                if round == limits::CONNECTION_ROUNDS_MAX {
                    // A peer that never stops must not keep the others of this thread waiting.
                    cx.waker().wake_by_ref();
                    break;
                }
            }
            self.budget.relax(self.bytes_held());
            if !self.poll_deadline(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Takes what came from inside. True: there was something.
    fn poll_letters(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut has_heard = false;
        while let Poll::Ready(Some(letter)) = self.letters.poll_recv(cx) {
            match letter {
                Letter::Replies { frames, stages } => {
                    self.timing.active(now);
                    self.take_replies(frames, &stages);
                }
                Letter::Close(reason) => self.go_away(reason, now),
            }
            has_heard = true;
        }
        if has_heard {
            let _ = self.budget.hold(self.bytes_held());
        }
        has_heard
    }

    fn take_replies(&mut self, frames: Bytes, stages: &Stages) {
        let answered = self.settle(&frames, stages);
        let end = self.output.end() + frames.len() as u64;
        self.timing.delivered(stages.durable_ns, answered, end);
        self.output.push(frames);
    }

    /// Writes until the transport takes nothing more. True: it took something.
    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        let mut has_written = false;
        while !self.output.is_empty() {
            match self.output.poll_write(Pin::new(io), cx) {
                Poll::Pending => {
                    self.timing.stalls(has_written, now);
                    return has_written;
                }
                Poll::Ready(Ok(count)) => {
                    has_written = true;
                    self.is_unflushed = true;
                    self.wrote(count);
                }
                Poll::Ready(Err(error)) => {
                    self.lost(&error);
                    return false;
                }
            }
        }
        match self.poll_flush(io, cx) {
            Poll::Pending => self.timing.stalls(has_written, now),
            Poll::Ready(Ok(())) => self.timing.flows(),
            Poll::Ready(Err(error)) => {
                self.lost(&error);
                return false;
            }
        }
        has_written
    }

    /// TLS may have taken what the socket has not.
    fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.is_unflushed && !is_planted(Bug::WriteNotFlushed) {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) {
        let sent = self.timing.sent(self.output.written());
        let clock = self.shared.decider.clock();
        self.shared.reactors.with(|figures| {
            figures.add(Count::Writes, 1);
            figures.add(Count::BytesWritten, count as u64);
            if let Some((delivered_ns, operations)) = sent {
                let ns = clock.monotonic_ns().saturating_sub(delivered_ns);
                figures.sent(ns, operations.into());
            }
        });
    }

    /// Reads once, if reading is due. True: something came.
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        io: &mut S,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        if !self.wants_to_read() {
            return false;
        }
        let mut room = ReadBuf::new(self.input.room());
        if room.capacity() == 0 {
            return false;
        }
        match Pin::new(io).poll_read(cx, &mut room) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => {
                let count = room.filled().len();
                self.read(count, now);
                true
            }
            // TLS without its farewell. Frames carry their length, so nothing is mistaken for whole.
            Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                self.read(0, now);
                true
            }
            Poll::Ready(Err(error)) => {
                self.lost(&error);
                false
            }
        }
    }

    fn wants_to_read(&self) -> bool {
        match self.phase {
            Phase::Fresh | Phase::Greeting => !self.is_at_end,
            Phase::Ready => !self.is_at_end && !self.is_paused,
            Phase::Lingering(_) => !self.is_at_end,
            Phase::Waiting(_) | Phase::Refusing(_) | Phase::Closing(_) => false,
        }
    }

    fn read(&mut self, count: usize, now: Instant) {
        if count == 0 {
            self.is_at_end = true;
            return;
        }
        self.shared.reactors.with(|figures| {
            figures.add(Count::Reads, 1);
            figures.add(Count::BytesRead, count as u64);
        });
        self.input.filled(count);
        match self.phase {
            Phase::Lingering(_) => {
                self.lingered += count;
                self.input.consume(count);
            }
            Phase::Fresh => {
                self.phase = Phase::Greeting;
                self.timing.begins(now);
            }
            Phase::Ready if self.input.is_full() => self.step_up(),
            _ => {}
        }
    }

    /// A peer that fills the buffer gets a larger one.
    fn step_up(&mut self) {
        let by = self.input.step_up();
        if by > 0 && self.budget.is_ample_for(by) && self.budget.hold(self.bytes_held() + by) {
            self.input.grow(by);
        }
    }

    /// Bytes of the allowance of all connections that this one occupies.
    fn bytes_held(&self) -> usize {
        self.input.extra_bytes() + self.intake.bytes + self.output.bytes_held()
    }

    /// Stops reading and tells the peer why; what is in flight is answered.
    fn go_away(&mut self, reason: GoAwayReason, now: Instant) {
        if self.is_closing() {
            return;
        }
        // A HELLO that waits for older connections, or for its refusal, gets no answer any more.
        let is_unanswered = matches!(self.phase, Phase::Waiting(_) | Phase::Refusing(_));
        let last_request_id = if is_unanswered || is_planted(Bug::GoAwayOneShort) {
            0
        } else {
            self.intake.last_request_id
        };
        let goaway = GoAway { reason, last_request_id };
        self.output.push_own(|out| encode_goaway(&goaway, out));
        self.close(
            match reason {
                GoAwayReason::Shutdown => Count::EndedByShutdown,
                GoAwayReason::SessionReplaced => Count::EndedReplaced,
                GoAwayReason::Idle => Count::EndedIdle,
                GoAwayReason::SlowReader => Count::EndedSlowReader,
                GoAwayReason::AccessEnded => Count::EndedAccess,
            },
            now,
        );
    }

    /// The last words of a connection whose frames can't be followed.
    fn break_off(&mut self, failure: &Failure, end: Count, now: Instant) {
        self.shared.reactors.with(|figures| figures.answered(Opcode::ERROR, failure.status));
        self.output.push_own(|out| encode_failure(Opcode::ERROR, 0, failure, out));
        self.close(end, now);
    }

    fn broken(&mut self, error: FrameError, now: Instant) {
        self.shared.reactors.count(Count::ProtocolErrors, 1);
        self.break_off(&error.to_failure(), Count::EndedByProtocol, now);
    }

    fn close(&mut self, end: Count, now: Instant) {
        if !self.is_closing() {
            self.end_watches();
            // An older connection that is still waited for stays remembered for the end.
            self.phase = Phase::Closing(end);
            self.timing.closes(now);
        }
    }

    fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_) | Phase::Lingering(_))
    }

    /// The transport failed: nothing can be written any more.
    fn lost(&mut self, error: &std::io::Error) {
        tracing::debug!(number = self.number, kind = ?error.kind(), "transport failed");
        self.output.clear();
        self.is_unflushed = false;
        (self.is_at_end, self.is_shut) = (true, true);
        self.lingered = limits::LINGER_BYTES_MAX;
        let end = match self.phase {
            Phase::Closing(end) | Phase::Lingering(end) => end,
            _ => Count::EndedByTransport,
        };
        self.phase = Phase::Lingering(end);
    }

    /// Moves a closing connection on; the reason when it has ended.
    fn poll_end<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Option<Count> {
        if let Phase::Closing(end) = self.phase {
            self.pass_lane();
            if self.in_flight.count() > 0 || !self.output.is_empty() || self.is_unflushed {
                return None;
            }
            // The peer reads to the end of what it gets; its own bytes must not reset the
            // connection before, so they are read and thrown away for a while.
            self.phase = Phase::Lingering(end);
            self.timing.closes(now);
            self.input.consume(usize::MAX);
            cx.waker().wake_by_ref();
        }
        let Phase::Lingering(end) = self.phase else { return None };
        if !self.is_shut {
            // TLS has a farewell to send, for which the socket may have no room yet.
            self.is_shut = Pin::new(io).poll_shutdown(cx).is_ready();
        }
        let has_ended = self.is_shut && self.is_at_end;
        (has_ended || self.lingered >= limits::LINGER_BYTES_MAX).then_some(end)
    }

    /// Lets a newer connection of the session go on once nothing of this one is undecided.
    fn pass_lane(&mut self) {
        let is_decided = self.in_flight.count() == 0 && self.older.is_none();
        if let Some(lane) = self.lane.as_mut().filter(|_| is_decided) {
            lane.has_passed();
        }
    }

    /// Waits until nothing of this connection, and of the older ones of its session, is left in
    /// the engine.
    async fn drain(mut self) {
        self.shared.crowd.leave(self.number);
        self.ungreeted = None;
        self.mailbox = None;
        self.watches = Watches::default();
        self.input.consume(usize::MAX);
        self.input.shrink(0);
        self.output.clear();
        while self.letters.recv().await.is_some() {}
        self.budget.shrink(0);
        if let Some(older) = self.older.take() {
            older.wait().await;
        }
    }
}

/// Runs a future; `None` if it panicked, which the panic hook has reported.
async fn contain<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// The failure that ends a connection whose peer was too slow.
fn too_late(what: &str) -> Failure {
    answers::failure(addrd_protocol::Status::TIMED_OUT, what)
}
