//! Bounded multi-producer single-consumer ring, in order, with admission by slots, operations and
//! bytes. It never blocks, never spins, never wakes anybody: pair it with a [`crate::Doorbell`].
//!
//! A push is three steps: *admit* (one compare-and-exchange takes room under all three bounds),
//! *claim* (one fetch-and-add takes the next position), *publish* (one store). Admission comes
//! first, so a claimed position is always free and is always filled: between claim and publish
//! there is nothing that can fail. The consumer takes positions strictly in order and stops at one
//! that is claimed but not published, however many are published behind it.
//!
//! Why a claimed position `p` is free. Say the ring has `n` slots and at least `n` cells. Positions
//! `0..=p` were claimed by `p + 1` admissions that were not returned. At the last of them in the
//! order of the admission word, admitted less given back was at most `n`, so the consumer had given
//! back `p + 1 - n` positions or more, which are the first ones: `p - n` was empty by then, and
//! that admission acquired it from the consumer. If it belongs to another producer, that one
//! claimed its position before `p`, and the claims hand it on.
#![expect(unsafe_code, reason = "items are moved through cells that two threads share")]

use std::fmt;
use std::mem::MaybeUninit;

use crate::bounds::{Bounds, CLOSED, Ceiling, Class, Cost, Depth, Full, NoRoom};
use crate::padded::Padded;
use crate::prim::{Arc, AtomicU64, Ordering, UnsafeCell};

/// Makes a ring and its two ends.
///
/// Shape: all memory is taken here, `slots` rounded up to a power of two, one cache line or more a
/// cell; a push costs two atomic read-modify-writes, a pop of many items one.
/// Panics: if the bounds are out of range ([`Bounds::checked`]).
#[must_use]
pub fn ring<T: Send>(bounds: Bounds) -> (Producer<T>, Consumer<T>) {
    let bounds = bounds.checked();
    let cells = (bounds.slots as usize).next_power_of_two();
    let shared = Arc::new(Shared {
        used: Padded(AtomicU64::new(0)),
        tail: Padded(AtomicU64::new(0)),
        head: Padded(AtomicU64::new(0)),
        producers: AtomicU64::new(1),
        ordinary: bounds.ceiling(Class::Ordinary),
        reserved: bounds.ceiling(Class::Reserved),
        bounds,
        cells: (0..cells).map(|_| Cell::new()).collect(),
    });
    (Producer { shared: Arc::clone(&shared) }, Consumer { shared, head: 0 })
}

struct Shared<T> {
    /// The admission word, see [`crate::bounds`]. Changed by read-modify-writes only, so that a
    /// release by the consumer reaches every later admission.
    used: Padded<AtomicU64>,
    /// Next position to claim. Never wraps: 2^64 items at 10^9 a second last 584 years.
    tail: Padded<AtomicU64>,
    /// Next position to take; written by the consumer, read by nobody else until both ends are gone.
    head: Padded<AtomicU64>,
    producers: AtomicU64,
    ordinary: Ceiling,
    reserved: Ceiling,
    bounds: Bounds,
    cells: Box<[Cell<T>]>,
}

/// One place of the ring: a line of its own, so that a producer that fills it doesn't disturb the
/// one that fills the next or the consumer that empties the one before.
#[repr(align(64))]
struct Cell<T> {
    /// 1 + the last position published here; 0 at first.
    turn: AtomicU64,
    item: UnsafeCell<MaybeUninit<(T, Cost)>>,
}

// SAFETY: `item` is written only by the producer that claimed the position, which the admission
// word keeps free of others until the consumer has given it back, and read only by the one consumer
// after `turn` says that it was published (module doc). Items move between threads, hence `Send`.
unsafe impl<T: Send> Sync for Cell<T> {}

impl<T> Cell<T> {
    fn new() -> Self {
        Self { turn: AtomicU64::new(0), item: UnsafeCell::new(MaybeUninit::uninit()) }
    }
}

impl<T> Shared<T> {
    fn cell(&self, position: u64) -> &Cell<T> {
        // The mask keeps the index inside the slice; its length is a power of two.
        &self.cells[position as usize & (self.cells.len() - 1)]
    }

    fn ceiling(&self, class: Class) -> &Ceiling {
        match class {
            Class::Ordinary => &self.ordinary,
            Class::Reserved => &self.reserved,
        }
    }

    fn admit(&self, cost: Cost, class: Class) -> Result<(), NoRoom> {
        let ceiling = self.ceiling(class);
        // Relaxed: only a guess, the exchange below checks it.
        let mut seen = self.used.load(Ordering::Relaxed);
        loop {
            let wanted = ceiling.admit(seen, cost)?;
            // Acquire: pairs with the release in `Consumer::give_back`; what the consumer did with
            // the cells it gave back happens before what this producer writes there. On failure
            // nothing is touched, so Relaxed.
            match self.used.compare_exchange_weak(
                seen,
                wanted,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Claims the next position and publishes `item` there. Room for it has been admitted.
    fn publish(&self, item: T, cost: Cost) {
        // AcqRel: pairs with itself in the other producers; hands on the emptied cells that an
        // earlier claimer acquired (module doc). The counter itself orders the positions.
        let position = self.tail.fetch_add(1, Ordering::AcqRel);
        let cell = self.cell(position);
        // SAFETY: the position is ours alone until `turn` is stored, and its cell was emptied and
        // given back before we claimed it (module doc).
        cell.item.with_mut(|place| unsafe { place.write(MaybeUninit::new((item, cost))) });
        // Release: pairs with the acquire in `is_published`; the item is written before it is seen.
        cell.turn.store(position + 1, Ordering::Release);
    }

    fn is_published(&self, position: u64) -> bool {
        // Acquire: pairs with the release in `publish`.
        self.cell(position).turn.load(Ordering::Acquire) == position + 1
    }

    /// Moves the item out of a published position, once.
    ///
    /// Only the consumer, or the last owner, may call this; it raises `head` past `position` first,
    /// so that a panic of whoever gets the item can't lead to a second take.
    fn take(&self, position: u64) -> (T, Cost) {
        // Relaxed: read again only when both ends are gone, behind the release and acquire of the
        // reference count.
        self.head.store(position + 1, Ordering::Relaxed);
        self.cell(position).item.with_mut(|place| {
            // SAFETY: `is_published` was true for this position, so the cell holds an item, which
            // happened before; `head` never comes back to it, so it is read once.
            unsafe { place.read().assume_init() }
        })
    }

    fn depth(&self) -> Depth {
        // Relaxed: a figure of some recent moment; nothing is read on the strength of it.
        Depth::of(self.used.load(Ordering::Relaxed))
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Relaxed, both: dropping the last reference acquired what every end did. A push doesn't
        // stop between claim and publish, so all claimed positions are published.
        let head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Relaxed);
        for position in head..tail {
            assert!(self.is_published(position), "a claimed position was never filled");
            drop(self.take(position));
        }
    }
}

/// The pushing end. Clone it for every thread or task that pushes.
///
/// Concurrency: any number of threads, each push is lock-free. Items of one producer stay in order;
/// over all producers, a push that returned before another began comes first.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Producer<T> {
    /// Pushes `item` if there is room, and never waits.
    ///
    /// Errors: [`Full`] with the item, nothing changed.
    pub fn try_push(&self, item: T, cost: Cost, class: Class) -> Result<(), Full<T>> {
        match self.shared.admit(cost, class) {
            Ok(()) => {
                self.shared.publish(item, cost);
                Ok(())
            }
            Err(bound) => Err(Full { item, bound }),
        }
    }

    /// Takes room now for one item to be pushed later, so that the push can't fail: a worker
    /// admits its hand-over before it applies the first operation.
    ///
    /// The place in the order is taken by [`Permit::push`], not here.
    /// Errors: the bound in the way, nothing changed.
    pub fn admit(&self, cost: Cost, class: Class) -> Result<Permit<'_, T>, NoRoom> {
        self.shared.admit(cost, class)?;
        Ok(Permit { shared: &self.shared, cost })
    }

    /// True if an item of this cost would have been admitted a moment ago.
    #[must_use]
    pub fn has_room(&self, cost: Cost, class: Class) -> bool {
        // Relaxed: a hint. Who sleeps on it does so behind the fences of a doorbell.
        let word = self.shared.used.load(Ordering::Relaxed);
        self.shared.ceiling(class).admit(word, cost).is_ok()
    }

    /// The largest item that would have been admitted a moment ago, for who can split his: nothing
    /// of both if no slot was free or the ring is closed.
    #[must_use]
    pub fn room(&self, class: Class) -> Cost {
        // Relaxed: a hint, the push checks again.
        self.shared.ceiling(class).room(self.shared.used.load(Ordering::Relaxed))
    }

    /// How full the ring was a moment ago; never less than it holds.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.shared.depth()
    }

    /// Operations in the ring a moment ago.
    #[must_use]
    pub fn operations(&self) -> u32 {
        self.depth().operations
    }

    /// Bytes in the ring a moment ago.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.depth().bytes
    }

    /// Items in the ring a moment ago.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.depth().slots
    }

    /// True if more than half of any bound was used a moment ago.
    #[must_use]
    pub fn is_past_half(&self) -> bool {
        self.depth().is_past_half(&self.shared.bounds)
    }

    /// True once the consumer is gone or has closed the ring.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Relaxed: nothing is read on the strength of it; a push checks again.
        self.shared.used.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// The bounds that the ring was made with.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.shared.bounds
    }

    /// A handle for metrics, which doesn't keep the ring open.
    #[must_use]
    pub fn gauge(&self) -> RingGauge<T> {
        RingGauge { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        // Relaxed: the count can't be at zero here, and what it guards is ordered by the decrement.
        self.shared.producers.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // Release: pairs with the acquire in `Consumer::is_finished`; all that this producer
        // admitted is in the admission word before it counts as gone.
        self.shared.producers.fetch_sub(1, Ordering::Release);
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("depth", &self.depth()).finish_non_exhaustive()
    }
}

/// Room for one item. Dropping it gives the room back.
#[must_use = "dropping it gives the room back"]
pub struct Permit<'a, T> {
    shared: &'a Shared<T>,
    cost: Cost,
}

impl<T> Permit<'_, T> {
    /// What was admitted.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Pushes an item of exactly the admitted cost. Never fails: an item pushed under a permit that
    /// was given before the ring closed is still seen by [`Consumer::is_finished`].
    pub fn push(self, item: T) {
        let cost = self.cost;
        self.push_smaller(item, cost);
    }

    /// Pushes an item of `cost` and gives back what was admitted beyond it.
    ///
    /// Panics: if `cost` is not within what was admitted.
    pub fn push_smaller(self, item: T, cost: Cost) {
        assert!(cost.is_within(self.cost), "an item is larger than its permit");
        let spare = Cost::new(self.cost.operations - cost.operations, self.cost.bytes - cost.bytes);
        let shared = self.shared;
        // The room now belongs to the item.
        std::mem::forget(self);
        shared.publish(item, cost);
        if spare != Cost::default() {
            // Relaxed: no cell changes hands with it.
            shared.used.fetch_sub(spare.without_slot(), Ordering::Relaxed);
        }
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        // Relaxed: no position was claimed, so no cell changes hands with it.
        self.shared.used.fetch_sub(self.cost.in_one_slot(), Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// The popping end; there is one. Dropping it closes the ring and drops what is in it.
///
/// An item whose push is under way at that moment is dropped with the last producer.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// Next position to take; this end's own copy.
    head: u64,
}

impl<T> Consumer<T> {
    /// Takes the next item and gives its room back.
    ///
    /// `None`: nothing is there, or the next position is claimed and not published yet.
    pub fn pop(&mut self) -> Option<(T, Cost)> {
        let popped = self.take_next()?;
        self.give_back(popped.1.in_one_slot());
        Some(popped)
    }

    /// Takes items in order while their sum stays within `limit`, appends them to `out`, and gives
    /// their room back at once.
    ///
    /// The first item is taken whatever it costs, so that there is always progress.
    /// Returns the sum of what was taken. Shape: one atomic read-modify-write for all of them.
    pub fn pop_many(&mut self, limit: Cost, out: &mut Vec<(T, Cost)>) -> Cost {
        let (mut room, mut sum) = (0, Cost::default());
        while let Some(cost) = self.peek() {
            let next = Cost::new(sum.operations + cost.operations, sum.bytes + cost.bytes);
            if room != 0 && !next.is_within(limit) {
                break;
            }
            out.extend(self.take_next());
            room += cost.in_one_slot();
            sum = next;
        }
        if room != 0 {
            self.give_back(room);
        }
        sum
    }

    /// The cost of the next item, if it is there.
    #[must_use]
    pub fn peek(&self) -> Option<Cost> {
        self.shared.is_published(self.head).then(|| {
            self.shared.cell(self.head).item.with(|place| {
                // SAFETY: the position is published and not taken, so the cell holds an item, and
                // no producer touches it before this end gives it back.
                let filled = unsafe { (*place).assume_init_ref() };
                filled.1
            })
        })
    }

    /// True if [`Consumer::pop`] would find nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.shared.is_published(self.head)
    }

    /// True if nothing is in the ring and nothing can come: every item was popped, every permit
    /// used or dropped, and either all producers are gone or this end has closed the ring.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // Acquire: pairs with the release in `Producer::drop`; when no producer is left, the word
        // read below holds all that they admitted. It must be read after the count.
        let is_deserted = self.shared.producers.load(Ordering::Acquire) == 0;
        // Relaxed: closed and used are one word, and nothing is admitted once it is closed.
        let word = self.shared.used.load(Ordering::Relaxed);
        (is_deserted || word & CLOSED != 0) && Depth::of(word).slots == 0
    }

    /// Refuses everything from now on; what was admitted before can still be popped.
    pub fn close(&self) {
        // Relaxed: the word decides by itself who was admitted before.
        self.shared.used.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// How full the ring was a moment ago; never less than it holds.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.shared.depth()
    }

    /// True if more than half of any bound was used a moment ago.
    #[must_use]
    pub fn is_past_half(&self) -> bool {
        self.depth().is_past_half(&self.shared.bounds)
    }

    /// The bounds that the ring was made with.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.shared.bounds
    }

    fn take_next(&mut self) -> Option<(T, Cost)> {
        let position = self.head;
        if !self.shared.is_published(position) {
            return None;
        }
        self.head = position + 1;
        Some(self.shared.take(position))
    }

    fn give_back(&self, room: u64) {
        // Release: pairs with the acquire in `Shared::admit`; the cells are empty before they are
        // given to a producer.
        self.shared.used.fetch_sub(room, Ordering::Release);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.close();
        while self.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("depth", &self.depth()).finish_non_exhaustive()
    }
}

/// Reads how full a ring is, for metrics; counts neither as a producer nor as the consumer.
pub struct RingGauge<T> {
    shared: Arc<Shared<T>>,
}

impl<T> RingGauge<T> {
    /// How full the ring was a moment ago.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.shared.depth()
    }

    /// The bounds that the ring was made with.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.shared.bounds
    }
}

impl<T> Clone for RingGauge<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for RingGauge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingGauge").field("depth", &self.depth()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
