//! What a ring may hold, and what it holds: plain arithmetic, no atomics, no memory.
//!
//! Everything that admission looks at fits one 64-bit word, so that one compare-and-exchange takes
//! a slot, the operations and the bytes together or none of them:
//!
//! ```text
//! bit 63: closed | 62..=47: slots (16) | 46..=27: operations (20) | 26..=0: bytes (27)
//! ```

use std::fmt;

/// Most slots a ring can be given: 16 bits of the admission word.
pub const RING_SLOTS_MAX: u32 = (1 << SLOTS_BITS) - 1;
/// Most operations a ring can be given: 20 bits of the admission word.
pub const RING_OPERATIONS_MAX: u32 = (1 << OPERATIONS_BITS) - 1;
/// Most bytes a ring can be given: 27 bits of the admission word, 128 MiB less one byte.
pub const RING_BYTES_MAX: u32 = (1 << BYTES_BITS) - 1;

const BYTES_BITS: u32 = 27;
const OPERATIONS_BITS: u32 = 20;
const SLOTS_BITS: u32 = 16;
const OPERATIONS_SHIFT: u32 = BYTES_BITS;
const SLOTS_SHIFT: u32 = BYTES_BITS + OPERATIONS_BITS;
const CLOSED_SHIFT: u32 = BYTES_BITS + OPERATIONS_BITS + SLOTS_BITS;
const _: () = assert!(CLOSED_SHIFT == 63, "the fields fill the admission word exactly");

/// Set in the admission word when nothing is admitted any more.
pub(crate) const CLOSED: u64 = 1 << CLOSED_SHIFT;

/// What one item takes up in a ring, beside its slot.
///
/// Units: operations and bytes as the pusher counts them; both may be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Operations in the item.
    pub operations: u32,
    /// Bytes that the item keeps in memory.
    pub bytes: u32,
}

impl Cost {
    /// Both amounts at once.
    #[must_use]
    pub const fn new(operations: u32, bytes: u32) -> Self {
        Self { operations, bytes }
    }

    /// True if neither amount is larger than that of `other`.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.operations <= other.operations && self.bytes <= other.bytes
    }

    /// The admission word of an item with this cost in one slot.
    ///
    /// An admitted cost fits its fields: admission compared it with a ceiling that does.
    pub(crate) const fn in_one_slot(self) -> u64 {
        pack(1, self.operations, self.bytes)
    }

    pub(crate) const fn without_slot(self) -> u64 {
        pack(0, self.operations, self.bytes)
    }
}

/// Who asks for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Leaves the reserve alone.
    Ordinary,
    /// May use everything: renew, confirm, release, cancel, which give back or keep what is held.
    Reserved,
}

/// How much a ring may hold. All three bounds hold at every moment, exactly.
///
/// The reserve is stated in operations. The same fraction of the slots and of the bytes, rounded
/// down, is kept back with it: a reserve of operations would be worth nothing if ordinary items
/// could fill the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Items, 1 to [`RING_SLOTS_MAX`].
    pub slots: u32,
    /// Operations over all items, 1 to [`RING_OPERATIONS_MAX`].
    pub operations_max: u32,
    /// Operations that only [`Class::Reserved`] may use, less than `operations_max`.
    pub operations_reserved: u32,
    /// Bytes over all items, up to [`RING_BYTES_MAX`].
    pub bytes_max: u32,
}

impl Bounds {
    /// Gives the bounds back if they are in range; usable in a constant.
    ///
    /// Panics: if they aren't, naming the field.
    #[must_use]
    pub const fn checked(self) -> Self {
        assert!(self.slots >= 1 && self.slots <= RING_SLOTS_MAX, "slots out of range");
        assert!(
            self.operations_max >= 1 && self.operations_max <= RING_OPERATIONS_MAX,
            "operations_max out of range"
        );
        assert!(
            self.operations_reserved < self.operations_max,
            "operations_reserved leaves nothing for ordinary items"
        );
        assert!(self.bytes_max <= RING_BYTES_MAX, "bytes_max out of range");
        self
    }

    /// The most that items of `class` may fill the ring to.
    pub(crate) const fn ceiling(&self, class: Class) -> Ceiling {
        let kept_back = match class {
            Class::Ordinary => self.operations_reserved,
            Class::Reserved => 0,
        };
        Ceiling {
            slots: self.slots - self.share(self.slots, kept_back),
            operations: self.operations_max - kept_back,
            bytes: self.bytes_max - self.share(self.bytes_max, kept_back),
        }
    }

    const fn share(&self, whole: u32, kept_back: u32) -> u32 {
        // At most `whole`, so the conversion loses nothing.
        (whole as u64 * kept_back as u64 / self.operations_max as u64) as u32
    }
}

/// How far one class may fill a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceiling {
    slots: u32,
    operations: u32,
    bytes: u32,
}

impl Ceiling {
    /// The admission word after `cost` and a slot are added to `word`.
    ///
    /// Errors: the first bound that it would pass; closed comes first.
    pub(crate) const fn admit(&self, word: u64, cost: Cost) -> Result<u64, NoRoom> {
        if word & CLOSED != 0 {
            return Err(NoRoom::Closed);
        }
        if cost.operations > self.operations || cost.bytes > self.bytes {
            return Err(NoRoom::TooLarge);
        }
        let used = Depth::of(word);
        if used.slots >= self.slots {
            return Err(NoRoom::Slots);
        }
        // Both addends are below 2^27, so the sums don't overflow.
        if used.operations + cost.operations > self.operations {
            return Err(NoRoom::Operations);
        }
        if used.bytes + cost.bytes > self.bytes {
            return Err(NoRoom::Bytes);
        }
        Ok(word + cost.in_one_slot())
    }

    /// The largest cost that `admit` would let in.
    pub(crate) const fn room(&self, word: u64) -> Cost {
        let used = Depth::of(word);
        if word & CLOSED != 0 || used.slots >= self.slots {
            return Cost::new(0, 0);
        }
        // The other class may have gone beyond this one's ceiling.
        Cost::new(
            self.operations.saturating_sub(used.operations),
            self.bytes.saturating_sub(used.bytes),
        )
    }
}

/// Why there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Every slot that the class may use is taken.
    Slots,
    /// The operations would pass what the class may use.
    Operations,
    /// The bytes would pass what the class may use.
    Bytes,
    /// The item alone is larger than the class may use: it will never fit.
    TooLarge,
    /// The consumer is gone or has closed the ring.
    Closed,
}

impl NoRoom {
    /// True if waiting can help.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Slots | Self::Operations | Self::Bytes)
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slots => "no slot is free in the ring",
            Self::Operations => "the ring holds as many operations as it may",
            Self::Bytes => "the ring holds as many bytes as it may",
            Self::TooLarge => "the item is larger than the ring",
            Self::Closed => "the ring is closed",
        })
    }
}

impl std::error::Error for NoRoom {}

/// An item that was not pushed, and why.
pub struct Full<T> {
    /// The item, unchanged.
    pub item: T,
    /// The bound that stood in the way.
    pub bound: NoRoom,
}

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").field("bound", &self.bound).finish_non_exhaustive()
    }
}

/// How full a ring is. Room that is admitted but not yet filled, or popped but not yet given back,
/// counts as used: the ring never holds more than this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Slots taken.
    pub slots: u32,
    /// Operations taken.
    pub operations: u32,
    /// Bytes taken.
    pub bytes: u32,
}

impl Depth {
    pub(crate) const fn of(word: u64) -> Self {
        Self {
            slots: (word >> SLOTS_SHIFT) as u32 & RING_SLOTS_MAX,
            operations: (word >> OPERATIONS_SHIFT) as u32 & RING_OPERATIONS_MAX,
            bytes: word as u32 & RING_BYTES_MAX,
        }
    }

    /// True if more than half of the slots, the operations or the bytes are used.
    #[must_use]
    pub const fn is_past_half(&self, bounds: &Bounds) -> bool {
        self.slots > bounds.slots / 2
            || self.operations > bounds.operations_max / 2
            || self.bytes > bounds.bytes_max / 2
    }
}

/// Lays the amounts out as an admission word. They must fit their fields.
pub(crate) const fn pack(slots: u32, operations: u32, bytes: u32) -> u64 {
    (slots as u64) << SLOTS_SHIFT | (operations as u64) << OPERATIONS_SHIFT | bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { slots: 8, operations_max: 100, operations_reserved: 25, bytes_max: 1000 }
            .checked();

    #[test]
    fn a_word_holds_the_largest_amounts_without_mixing_them() {
        let word = pack(RING_SLOTS_MAX, RING_OPERATIONS_MAX, RING_BYTES_MAX);
        assert_eq!(word, !CLOSED);
        let most =
            Depth { slots: RING_SLOTS_MAX, operations: RING_OPERATIONS_MAX, bytes: RING_BYTES_MAX };
        assert_eq!(Depth::of(word), most);
        assert_eq!(Depth::of(word | CLOSED), most);
        assert_eq!(Depth::of(pack(0, 0, 1)), Depth { slots: 0, operations: 0, bytes: 1 });
    }

    #[test]
    fn each_class_is_admitted_up_to_its_ceiling_and_no_further() {
        let ordinary = BOUNDS.ceiling(Class::Ordinary);
        let reserved = BOUNDS.ceiling(Class::Reserved);
        assert!(ordinary.admit(0, Cost::new(75, 750)).is_ok());
        assert_eq!(ordinary.admit(0, Cost::new(76, 0)), Err(NoRoom::TooLarge));
        assert_eq!(ordinary.admit(pack(1, 75, 0), Cost::new(1, 0)), Err(NoRoom::Operations));
        assert_eq!(ordinary.admit(pack(1, 1, 750), Cost::new(1, 1)), Err(NoRoom::Bytes));
        assert_eq!(ordinary.admit(pack(6, 6, 0), Cost::new(1, 1)), Err(NoRoom::Slots));
        assert_eq!(reserved.admit(pack(7, 75, 750), Cost::new(25, 250)), Ok(pack(8, 100, 1000)));
        assert_eq!(reserved.admit(pack(8, 8, 0), Cost::new(0, 0)), Err(NoRoom::Slots));
        assert_eq!(reserved.admit(0, Cost::new(0, 1001)), Err(NoRoom::TooLarge));
        assert_eq!(reserved.admit(0, Cost::new(u32::MAX, u32::MAX)), Err(NoRoom::TooLarge));
        assert_eq!(reserved.admit(CLOSED, Cost::new(0, 0)), Err(NoRoom::Closed));
    }

    #[test]
    fn room_is_the_largest_cost_that_is_admitted() {
        let ordinary = BOUNDS.ceiling(Class::Ordinary);
        assert_eq!(ordinary.room(0), Cost::new(75, 750));
        assert_eq!(ordinary.room(pack(1, 80, 1)), Cost::new(0, 749));
        assert_eq!(ordinary.room(pack(6, 6, 6)), Cost::new(0, 0));
        assert_eq!(ordinary.room(CLOSED), Cost::new(0, 0));
        let word = pack(5, 20, 300);
        let room = ordinary.room(word);
        assert!(ordinary.admit(word, room).is_ok());
        let one_more = Cost::new(room.operations + 1, room.bytes);
        assert_eq!(ordinary.admit(word, one_more), Err(NoRoom::Operations));
    }

    #[test]
    fn past_half_means_more_than_half_of_any_bound() {
        assert!(!Depth::of(pack(4, 50, 500)).is_past_half(&BOUNDS));
        assert!(Depth::of(pack(5, 0, 0)).is_past_half(&BOUNDS));
        assert!(Depth::of(pack(0, 51, 0)).is_past_half(&BOUNDS));
        assert!(Depth::of(pack(0, 0, 501)).is_past_half(&BOUNDS));
    }

    #[test]
    #[should_panic(expected = "operations_reserved")]
    fn bounds_that_starve_ordinary_items_are_refused() {
        let _ = Bounds { operations_reserved: 100, ..BOUNDS }.checked();
    }
}
