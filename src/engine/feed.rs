//! The change feed between the feeder's thread and those who watch: a tail of pages that all of them
//! read, each at its own place. Nobody waits for a watch: one that falls behind the tail has ended.

use crate::feed::{Filter, Page};
use crate::limits::{
    FEED_KEEP_MS, FEED_LAG_PERCENT, FEED_TAIL_BYTES_MAX, FEED_TAIL_PAGES_MAX, WATCHERS_MAX,
};
use crate::model::{Incarnation, Seq};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::FeedPosition;
use addrd_protocol::message::watch::EVENTS_MAX;
use addrd_sync::{Doorbell, DurableMark, Level};
use bytes::BytesMut;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The feed of a server.
///
/// Concurrency: the feeder appends; every connection reads. The lock is held for a look at the ends of
/// the tail, never while events are looked at.
pub struct Feed {
    tail: Mutex<Tail>,
    /// Not 0 while somebody watches, or did a moment ago: the committer rings only then.
    wanted: Level,
    bell: Doorbell,
    position: Arc<DurableMark>,
    incarnation: Incarnation,
    bounds: FeedBounds,
    told: Level,
    dropped: Level,
    relisted: Level,
}

/// Bounds of a feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedBounds {
    /// Bytes of pages.
    pub tail_bytes: usize,
    /// Watches at once.
    pub watchers: usize,
}

impl Default for FeedBounds {
    fn default() -> Self {
        Self { tail_bytes: FEED_TAIL_BYTES_MAX, watchers: WATCHERS_MAX }
    }
}

/// What operators see of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedFigures {
    /// Watches now.
    pub watchers: u64,
    /// Events that were handed to watches.
    pub told: u64,
    /// Watches that ended because their peer read too slowly.
    pub dropped: u64,
    /// Watches that ended, or did not begin, because what they wanted is not kept.
    pub relisted: u64,
    /// Bytes of the tail.
    pub tail_bytes: u64,
    /// Hand-overs between the newest durable one and the newest one in the tail.
    pub behind: u64,
}

#[derive(Debug)]
struct Tail {
    pages: VecDeque<Arc<Page>>,
    bytes: usize,
    /// A watch can begin here, and has all that follows in the pages.
    oldest: Seq,
    /// The last hand-over in the pages.
    newest: Seq,
    /// The pages can be read: names are known.
    is_running: bool,
    /// Rises each time when what was there is thrown away.
    generation: u64,
    watchers: usize,
    next_number: u64,
    /// Those who wait, each with the position at which it stands.
    waiting: HashMap<u64, (Waker, Seq), RandomState>,
    /// When the last watch ended, ms of the engine's clock; 0 = there is one, or never was.
    left_ms: u64,
}

/// There are as many watches as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyWatchers;

/// What a watch wants is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relist {
    /// What was asked for.
    pub asked: FeedPosition,
    /// The incarnation of this server's positions.
    pub incarnation: Incarnation,
    /// The oldest position that would do.
    pub oldest: Seq,
    /// The newest.
    pub newest: Seq,
}

/// What a watch got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Events that were appended; none if only `up_to_date` is new.
    Events {
        /// How many.
        count: usize,
        /// Everything up to here was appended.
        resume: Seq,
        /// There is nothing else.
        up_to_date: bool,
    },
    /// It fell behind what is kept; it has ended.
    Lost {
        /// Everything up to here was told.
        resume: Seq,
        /// The oldest position that would do.
        oldest: Seq,
    },
}

impl Feed {
    /// A feed that nobody watches, of a journal whose durable position is `position`.
    #[must_use]
    pub fn new(
        position: Arc<DurableMark>,
        incarnation: Incarnation,
        bell: Doorbell,
        bounds: FeedBounds,
    ) -> Arc<Self> {
        let tail = Tail {
            pages: VecDeque::new(),
            bytes: 0,
            oldest: Seq(0),
            newest: Seq(0),
            is_running: false,
            generation: 0,
            watchers: 0,
            next_number: 0,
            waiting: HashMap::default(),
            left_ms: 0,
        };
        let [wanted, told, dropped, relisted] = [0; 4].map(Level::new);
        let tail = Mutex::new(tail);
        Arc::new(Self {
            tail,
            wanted,
            bell,
            position,
            incarnation,
            bounds,
            told,
            dropped,
            relisted,
        })
    }

    /// A feed without a feeder, of a journal that has nothing.
    #[must_use]
    pub fn idle() -> Arc<Self> {
        let (bell, _) = addrd_sync::doorbell();
        let position = Arc::new(DurableMark::new(0));
        Self::new(position, Incarnation(1), bell, FeedBounds::default())
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal has more. Called by the committer after each round.
    ///
    /// Shape: one read of a number while nobody watches.
    #[inline]
    pub fn committed(&self) {
        if self.wanted.get() != 0 {
            self.bell.ring();
        }
    }

    /// Whether anybody watches, or may soon go on.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.get() != 0
    }

    /// Durable position.
    #[must_use]
    pub fn durable(&self) -> Seq {
        Seq(self.position.get())
    }

    /// What operators see.
    #[must_use]
    pub fn figures(&self) -> FeedFigures {
        let tail = self.tail();
        let behind =
            if tail.is_running { self.position.get().saturating_sub(tail.newest.0) } else { 0 };
        FeedFigures {
            watchers: tail.watchers as u64,
            told: self.told.get(),
            dropped: self.dropped.get(),
            relisted: self.relisted.get(),
            tail_bytes: tail.bytes as u64,
            behind,
        }
    }

    /// A watch ended because its peer read too slowly.
    pub fn note_dropped(&self) {
        self.dropped.add(1);
    }

    /// Begins a watch; it is open once [`Subscription::poll_open`] says so.
    ///
    /// # Errors
    /// [`TooManyWatchers`].
    pub fn subscribe(
        self: &Arc<Self>,
        filter: Filter,
        from: Option<FeedPosition>,
    ) -> Result<Subscription, TooManyWatchers> {
        let mut tail = self.tail();
        if tail.watchers >= self.bounds.watchers {
            return Err(TooManyWatchers);
        }
        tail.watchers += 1;
        tail.left_ms = 0;
        tail.next_number += 1;
        let number = tail.next_number;
        self.wanted.set(1);
        drop(tail);
        self.bell.ring();
        Ok(Subscription {
            feed: Arc::clone(self),
            number,
            filter,
            from,
            at: Seq(0),
            entry: 0,
            generation: 0,
            is_told_up_to_date: false,
            goal: self.durable(),
        })
    }

    /// Watches there are.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.tail().watchers
    }

    /// Names are known: what follows `position` will come as pages.
    pub(super) fn begin(&self, position: Seq) {
        let mut tail = self.tail();
        tail.throw_away();
        (tail.oldest, tail.newest, tail.is_running) = (position, position, true);
        wake(tail.take_waiting());
    }

    /// Appends pages that follow the newest one; the oldest ones go.
    pub(super) fn publish(&self, pages: Vec<Page>) {
        let mut tail = self.tail();
        for page in pages {
            debug_assert!(page.first() > tail.newest, "pages follow each other");
            tail.newest = page.last();
            tail.bytes += page.bytes();
            tail.pages.push_back(Arc::new(page));
        }
        tail.trim(self.bounds.tail_bytes);
        wake(tail.take_waiting());
    }

    /// Something is missing: every watch has ended, and what is kept begins anew.
    pub(super) fn lose(&self) {
        let mut tail = self.tail();
        tail.throw_away();
        wake(tail.take_waiting());
    }

    /// Whether the last watch ended long ago: then nothing is kept any more.
    pub(super) fn rests(&self, now_ms: u64) -> bool {
        let mut tail = self.tail();
        if tail.watchers > 0 {
            return false;
        }
        if tail.left_ms == 0 {
            tail.left_ms = now_ms.max(1);
        }
        if now_ms.saturating_sub(tail.left_ms) < FEED_KEEP_MS {
            return false;
        }
        self.wanted.set(0);
        tail.throw_away();
        true
    }

    fn leave(&self, number: u64) {
        let mut tail = self.tail();
        tail.watchers = tail.watchers.saturating_sub(1);
        let waker = tail.waiting.remove(&number);
        drop(tail);
        drop(waker);
    }
}

/// Outside of the lock would be better for those who wake at once, but wakers of tasks only queue.
fn wake(waiting: Vec<Waker>) {
    waiting.into_iter().for_each(Waker::wake);
}

impl Tail {
    fn take_waiting(&mut self) -> Vec<Waker> {
        self.waiting.drain().map(|(_, (waker, _))| waker).collect()
    }

    fn throw_away(&mut self) {
        self.pages.clear();
        self.bytes = 0;
        self.is_running = false;
        self.generation += 1;
    }

    fn trim(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max || self.pages.len() > FEED_TAIL_PAGES_MAX {
            let Some(page) = self.pages.pop_front() else { return };
            self.bytes -= page.bytes();
            self.oldest = page.last();
        }
    }

    /// The page in which the first change behind a position stands.
    fn page_behind(&self, position: Seq) -> Option<&Arc<Page>> {
        let at = self.pages.partition_point(|page| page.last() <= position);
        self.pages.get(at)
    }

    /// Bytes of pages behind a position, at most half-known: pages count whole.
    fn is_far(&self, position: Seq, bytes_max: usize) -> bool {
        let at = self.pages.partition_point(|page| page.last() <= position);
        let behind: usize = self.pages.iter().skip(at).map(|page| page.bytes()).sum();
        behind > bytes_max * FEED_LAG_PERCENT / 100
            || (self.pages.len() - at) > FEED_TAIL_PAGES_MAX * FEED_LAG_PERCENT / 100
    }
}

/// One watch: a place in the feed.
pub struct Subscription {
    feed: Arc<Feed>,
    number: u64,
    filter: Filter,
    from: Option<FeedPosition>,
    /// Everything up to here was given.
    at: Seq,
    /// Events of the next page that were looked at.
    entry: usize,
    generation: u64,
    is_told_up_to_date: bool,
    /// What was durable when the watch was asked for: before it has that, it isn't up to date.
    goal: Seq,
}

impl Subscription {
    /// Where it begins, once that is known.
    ///
    /// # Errors
    /// [`Relist`]: it can't begin there.
    pub fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<FeedPosition, Relist>> {
        let feed = Arc::clone(&self.feed);
        let mut tail = feed.tail();
        if !tail.is_running {
            tail.waiting.insert(self.number, (cx.waker().clone(), Seq(0)));
            return Poll::Pending;
        }
        let durable = feed.durable();
        let begins = match self.from {
            None => Some(self.goal.max(tail.oldest)),
            Some(from) => {
                let is_kept = from.incarnation == feed.incarnation
                    && from.position >= tail.oldest
                    && from.position <= durable;
                is_kept.then_some(from.position)
            }
        };
        let Some(begins) = begins else {
            feed.relisted.add(1);
            let (asked, incarnation) = (self.from.unwrap_or(FeedPosition::NONE), feed.incarnation);
            let oldest = tail.oldest;
            return Poll::Ready(Err(Relist { asked, incarnation, oldest, newest: durable }));
        };
        (self.at, self.generation) = (begins, tail.generation);
        if is_planted(Bug::EventLostAtResume) && self.from.is_some() {
            self.entry = 1;
        }
        Poll::Ready(Ok(FeedPosition { incarnation: feed.incarnation, position: begins }))
    }

    /// Appends events, as items of a frame, until `out` has `bytes_max` bytes. Once it was behind, it
    /// also says when it isn't any more.
    ///
    /// Shape: looks at no more than 16,384 events and what else is on their page.
    pub fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        bytes_max: usize,
        out: &mut BytesMut,
    ) -> Poll<Taken> {
        let feed = Arc::clone(&self.feed);
        let (mut count, mut looks) = (0, 0);
        loop {
            let page = {
                let mut tail = feed.tail();
                if self.is_lost(&tail) {
                    feed.relisted.add(1);
                    let oldest = if tail.is_running { tail.oldest } else { feed.durable() };
                    return Poll::Ready(Taken::Lost { resume: self.at, oldest });
                }
                match tail.page_behind(self.at) {
                    Some(page) if looks < LOOKS_MAX => Arc::clone(page),
                    Some(_) => {
                        cx.waker().wake_by_ref();
                        return self.given(count, false);
                    }
                    None => {
                        self.at = self.at.max(tail.newest);
                        let is_current = self.at >= self.goal;
                        if count > 0 || (is_current && !self.is_told_up_to_date) {
                            return self.given(count, is_current);
                        }
                        tail.waiting.insert(self.number, (cx.waker().clone(), self.at));
                        return Poll::Pending;
                    }
                }
            };
            let bounds = (EVENTS_MAX - count, bytes_max);
            let piece = page.take(&self.filter, self.entry, bounds, out);
            count += piece.count;
            looks += page.count().max(1);
            match piece.next {
                Some(next) => {
                    self.entry = next;
                    return self.given(count, false);
                }
                None => (self.at, self.entry) = (page.last(), 0),
            }
        }
    }

    fn given(&mut self, count: usize, up_to_date: bool) -> Poll<Taken> {
        if count == 0 && !up_to_date {
            return Poll::Pending;
        }
        self.is_told_up_to_date = up_to_date;
        self.feed.told.add(count as u64);
        Poll::Ready(Taken::Events { count, resume: self.at, up_to_date })
    }

    /// Whether it has so much left to read that it will soon be lost; if not, the task is woken when
    /// there is more.
    pub fn poll_far_behind(&self, cx: &mut Context<'_>) -> bool {
        let mut tail = self.feed.tail();
        if self.is_lost(&tail) || tail.is_far(self.at, self.feed.bounds.tail_bytes) {
            return true;
        }
        tail.waiting.insert(self.number, (cx.waker().clone(), self.at));
        false
    }

    /// Everything up to here was given, and whether that is all that there is.
    #[must_use]
    pub fn standing(&self) -> (Seq, bool) {
        let tail = self.feed.tail();
        (self.at, self.at >= self.goal && tail.page_behind(self.at).is_none())
    }

    /// The oldest position at which a watch can begin now.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        self.feed.tail().oldest
    }

    fn is_lost(&self, tail: &Tail) -> bool {
        tail.generation != self.generation || self.at < tail.oldest
    }

    /// The feed that it is of.
    #[must_use]
    pub const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The life of the data.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.feed.incarnation
    }
}

/// Events that a watch looks at before others get their turn, at about 20 ns each.
const LOOKS_MAX: usize = 16 * 1024;

impl Drop for Subscription {
    fn drop(&mut self) {
        self.feed.leave(self.number);
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("at", &self.at).finish_non_exhaustive()
    }
}
