//! The watches of a connection: each takes from the feed what its peer has room for, and no more. What
//! doesn't fit stays in the feed's tail, which nobody waits for.

use super::super::accounts::{Customer, Watcher};
use super::super::answers::{busy, failure};
use super::super::decider::Decider;
use super::super::in_flight::InFlight;
use super::intake::{BYTES_RETRY_MS, in_use};
use super::{Connection, Phase};
use crate::engine::{Filter, Relist, Subscription, Taken, Watched};
use crate::limits::{
    CONNECTION_OPERATIONS_MAX, FEED_FRAME_BYTES_MAX, FEED_HEARTBEAT_MS, FEED_WAITING_BYTES_MAX,
    REPLY_BYTES_WAITING_MAX, WATCHERS_MAX, WATCHES_PER_CONNECTION_MAX,
};
use crate::model::{Seq, Status};
use addrd_protocol::Opcode;
use addrd_protocol::codec::{encode_events, encode_reply};
use addrd_protocol::message::{
    Detail, Failure, FeedPosition, Reply, RequestHeader, Unwatch, Watch, WatchEnd, WatchEndReason,
    Watching,
};
use bytes::BytesMut;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The watches of a connection.
#[derive(Debug, Default)]
pub(super) struct Watches {
    all: Vec<One>,
}

#[derive(Debug)]
struct One {
    /// Request id of the watch.
    id: u64,
    subscription: Subscription,
    /// Counts it with whoever watches.
    _watcher: Option<Watcher>,
    /// It was answered; until then it is in flight.
    is_open: bool,
    /// When its last frame was made.
    told: Instant,
}

const HEARTBEAT: Duration = Duration::from_millis(FEED_HEARTBEAT_MS);
/// The bound on what a principal may have of all watches.
pub(super) const WATCHERS_SHARE: &str = "watchers_share";
/// Advice when there are as many watches as there may be, ms.
const WATCHERS_RETRY_MS: u32 = 1_000;

impl Watches {
    /// Whether a request id names a watch.
    pub(super) fn has(&self, id: u64) -> bool {
        self.all.iter().any(|one| one.id == id)
    }

    /// When the next sign of life is due.
    pub(super) fn next_heartbeat(&self) -> Option<Instant> {
        self.all.iter().map(|one| one.told + HEARTBEAT).min()
    }
}

impl<D: Decider> Connection<D> {
    /// Begins a watch, or refuses it. The room for its reply is promised.
    pub(super) fn begin_watch(
        &mut self,
        header: &RequestHeader,
        watch: &Watch,
        length: usize,
        now: Instant,
    ) {
        if let Err(failure) = self.try_watch(header, watch, length, now) {
            self.refuse(header, length, &failure, now);
        }
    }

    fn try_watch(
        &mut self,
        header: &RequestHeader,
        watch: &Watch,
        length: usize,
        now: Instant,
    ) -> Result<(), Failure> {
        let count = self.watches.all.len();
        if count >= WATCHES_PER_CONNECTION_MAX {
            let message = format!("a connection has at most {WATCHES_PER_CONNECTION_MAX} watches");
            let most = WATCHES_PER_CONNECTION_MAX as u128;
            let mut failure = failure(Status::LIMIT, &message);
            failure.details = vec![Detail::Bounds { value: count as u128 + 1, least: 0, most }];
            return Err(failure);
        }
        if !self.budget.hold(self.bytes_held() + length) {
            return Err(busy("bytes_in_flight_max", BYTES_RETRY_MS));
        }
        let id = header.request_id;
        if self.is_used(id) {
            return Err(in_use());
        }
        let watcher = match &self.customer {
            Some(customer) => Some(self.watcher(customer)?),
            None => None,
        };
        let filter = filter_of(header, watch);
        let subscribed = self.shared.decider.feed().subscribe(filter, watch.from);
        let subscription = subscribed.map_err(|_| busy("watchers_max", WATCHERS_RETRY_MS))?;
        let frame_bytes = u32::try_from(length).unwrap_or(u32::MAX);
        let begun = (self.shared.decider.clock().monotonic_ns() >> 10) as u32;
        debug_assert!(self.in_flight.count() < CONNECTION_OPERATIONS_MAX);
        self.in_flight.insert(InFlight { request_id: id, frame_bytes, begun });
        self.intake.bytes += length;
        self.watches.all.push(One {
            id,
            subscription,
            _watcher: watcher,
            is_open: false,
            told: now,
        });
        Ok(())
    }

    /// The place of one more watch, unless the principal has its share of them.
    fn watcher(&self, customer: &Customer) -> Result<Watcher, Failure> {
        let (all, most) = (self.shared.decider.feed().watchers(), WATCHERS_MAX);
        let place = self.shared.accounts.watch(customer.account(), all as u64, most as u64);
        place.ok_or_else(|| {
            self.count_refused(WATCHERS_SHARE, 1);
            busy(WATCHERS_SHARE, WATCHERS_RETRY_MS)
        })
    }

    /// Ends a watch; behind the reply nothing of it follows.
    pub(super) fn end_watch(
        &mut self,
        header: &RequestHeader,
        unwatch: Unwatch,
        length: usize,
        now: Instant,
    ) {
        let is_it = |one: &One| one.id == unwatch.watch && one.is_open;
        match self.watches.all.iter().position(is_it) {
            Some(at) => {
                self.watches.all.swap_remove(at);
                self.answer(header, length, &Reply::Empty, now);
            }
            None => {
                let failure = failure(Status::NOT_FOUND, "the connection has no such watch");
                self.refuse(header, length, &failure, now);
            }
        }
    }

    /// The connection ends: those that are not answered are told so, the others know by GOAWAY.
    pub(super) fn end_watches(&mut self) {
        for one in std::mem::take(&mut self.watches.all) {
            if !one.is_open && self.forget(one.id, Opcode::WATCH).is_some() {
                let failure =
                    failure(Status::TIMED_OUT, "the connection ends before the watch began");
                self.answer_failure(Opcode::WATCH, one.id, &failure);
            }
        }
    }

    /// Takes what is new and what the peer has room for. True: something was made.
    pub(super) fn poll_watches(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        // A connection that ends tells nothing more; who watched goes on elsewhere.
        if self.watches.all.is_empty() || !matches!(self.phase, Phase::Ready) {
            return false;
        }
        let mut watches = std::mem::take(&mut self.watches);
        // One frame each, and another one first each time, so that none starves.
        let count = watches.all.len();
        watches.all.rotate_left(usize::from(count > 1));
        let mut has_told = false;
        watches.all.retain_mut(|one| {
            let step =
                if one.is_open { self.take_events(one, now, cx) } else { self.open(one, now, cx) };
            has_told |= step != Step::Nothing;
            step != Step::Ended
        });
        self.watches = watches;
        if has_told {
            let _ = self.budget.hold(self.bytes_held());
        }
        has_told
    }

    fn open(&mut self, one: &mut One, now: Instant, cx: &mut Context<'_>) -> Step {
        let Poll::Ready(opened) = one.subscription.poll_open(cx) else { return Step::Nothing };
        // It was promised room, and gives back what the request took.
        if self.forget(one.id, Opcode::WATCH).is_none() {
            debug_assert!(false, "a watch that is not open is in flight");
            return Step::Ended;
        }
        match opened {
            Ok(begins) => {
                let heartbeat_ms = u32::try_from(FEED_HEARTBEAT_MS).unwrap_or(u32::MAX);
                let reply = Reply::Watching(Watching { begins, heartbeat_ms });
                self.shared.reactors.with(|f| f.answered(Opcode::WATCH, Status::OK));
                self.output.push_own(|out| {
                    encode_reply(Opcode::WATCH, one.id, Status::OK, &reply, out);
                });
                (one.is_open, one.told) = (true, now);
                Step::Told
            }
            Err(relist) => {
                self.answer_failure(Opcode::WATCH, one.id, &relist_failure(relist));
                Step::Ended
            }
        }
    }

    fn take_events(&mut self, one: &mut One, now: Instant, cx: &mut Context<'_>) -> Step {
        if !self.has_room_for_events() {
            if one.subscription.poll_far_behind(cx) {
                one.subscription.feed().note_dropped();
                let (resume, _) = one.subscription.standing();
                self.tell_end(one, WatchEndReason::Slow, resume, one.subscription.oldest());
                return Step::Ended;
            }
            return Step::Nothing;
        }
        let mut items = BytesMut::new();
        match one.subscription.poll_take(cx, FEED_FRAME_BYTES_MAX, &mut items) {
            Poll::Pending => Step::Nothing,
            Poll::Ready(Taken::Events { count, resume, up_to_date }) => {
                self.tell(one, (count, &items), resume, up_to_date);
                one.told = now;
                Step::Told
            }
            Poll::Ready(Taken::Lost { resume, oldest }) => {
                self.tell_end(one, WatchEndReason::Relist, resume, oldest);
                Step::Ended
            }
        }
    }

    /// Whether another frame of events fits beside what the peer hasn't read and what it may still ask.
    fn has_room_for_events(&mut self) -> bool {
        let held = self.output.bytes_held() + FEED_FRAME_BYTES_MAX;
        self.output.waiting() < FEED_WAITING_BYTES_MAX
            && held <= REPLY_BYTES_WAITING_MAX
            && self.budget.hold(self.bytes_held() + FEED_FRAME_BYTES_MAX)
    }

    fn tell(&mut self, one: &One, (count, items): (usize, &[u8]), resume: Seq, up_to_date: bool) {
        let incarnation = one.subscription.incarnation();
        let head = (one.id, FeedPosition { incarnation, position: resume }, up_to_date);
        self.shared.reactors.with(|figures| figures.answered(Opcode::EVENTS, Status::OK));
        self.output.push_own(|out| {
            let encoded = encode_events(head, (count, std::iter::once(items)), out);
            assert!(encoded.is_ok(), "a frame has a bound below that of the wire: {encoded:?}");
        });
    }

    fn tell_end(&mut self, one: &One, reason: WatchEndReason, resume: Seq, oldest: Seq) {
        let incarnation = one.subscription.incarnation();
        let resume = FeedPosition { incarnation, position: resume };
        let end = Reply::WatchEnd(WatchEnd { watch: one.id, resume, reason, oldest });
        self.shared.reactors.with(|figures| figures.answered(Opcode::WATCH_END, Status::OK));
        self.output.push_own(|out| encode_reply(Opcode::WATCH_END, 0, Status::OK, &end, out));
    }

    /// A sign of life for each watch that was silent for long, unless its peer hasn't read the last.
    pub(super) fn send_heartbeats(&mut self, now: Instant) {
        let mut watches = std::mem::take(&mut self.watches);
        for one in watches.all.iter_mut().filter(|one| one.told + HEARTBEAT <= now) {
            one.told = now;
            if one.is_open && self.output.is_empty() {
                let (at, up_to_date) = one.subscription.standing();
                self.tell(one, (0, &[]), at, up_to_date);
            }
        }
        self.watches = watches;
    }
}

/// What a look at a watch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Told,
    Ended,
}

fn filter_of(header: &RequestHeader, watch: &Watch) -> Filter {
    let is_placed = header.pool || !header.network.is_nil();
    let place = is_placed.then(|| Watched {
        project: header.network_project.unwrap_or(header.project),
        id: header.network,
        is_pool: header.pool,
    });
    Filter::of(header.project, place, watch)
}

fn relist_failure(relist: Relist) -> Failure {
    let Relist { asked, incarnation, oldest, newest } = relist;
    let what = if asked.incarnation != incarnation {
        // A restored server goes on under a new one, and gives the lost one's positions again.
        format!(
            "that position is of incarnation {} of the data, this is {}",
            asked.incarnation.0, incarnation.0
        )
    } else if asked.position > newest {
        "that position lies ahead of everything that this server has".to_owned()
    } else {
        "what follows that position is not kept".to_owned()
    };
    let message = format!(
        "{what}: list anew, then watch from the list's position ({oldest} to {newest} would do)"
    );
    let mut failure = failure(Status::RELIST, &message);
    let (least, most) = (oldest.0.into(), newest.0.into());
    failure.details = vec![Detail::Bounds { value: asked.position.0.into(), least, most }];
    failure
}
