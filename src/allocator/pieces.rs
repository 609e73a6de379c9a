//! The pools of a subnet cut by its exclusions into pieces, each with its free count; and the
//! order in which automatic allocation looks at them. Chooses nothing.

use super::free_map::{FreeMap, MapStore};
use crate::planted::{Bug, is_planted};

/// Where in a subnet an offset lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// In a pool, open for automatic allocation.
    Open,
    /// In a pool and excluded.
    Excluded,
    /// In a pool, kept by a pin, and not excluded.
    Pinned,
    /// In no pool.
    Outside,
}

impl Part {
    pub(super) const COUNT: usize = 4;
}

/// A part of a pool: open for automatic allocation, or closed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) free: u128,
    /// Never [`Part::Outside`].
    pub(super) part: Part,
}

impl Piece {
    pub(super) const fn size(&self) -> u128 {
        self.last - self.first + 1
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.part, Part::Open)
    }
}

/// An inclusive range of offsets.
pub(super) type Span = (u128, u128);

/// Offsets that are closed to automatic allocation, and why.
pub(super) type Closed = (Span, Part);

/// The pieces of a subnet, in drawing order.
///
/// Shape: at most two pieces for each exclusion and one for each pool; a change of an offset costs
/// a look at each piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    list: Vec<Piece>,
    /// Sum of `free` of the open ones.
    free: u128,
    /// Sum of their sizes.
    open: u128,
}

impl Pieces {
    /// Cuts `pools` by what is `closed` (disjoint, rising) and counts what is free.
    pub(super) fn new(pools: &[Span], closed: &[Closed], map: &FreeMap, store: &MapStore) -> Self {
        let mut pieces = Self::default();
        for &(first, last) in pools {
            let is_short = is_planted(Bug::PoolEndOffByOne) && first < last;
            pieces.cut((first, last - u128::from(is_short)), closed);
        }
        for piece in &mut pieces.list {
            let taken = map.count(store, piece.first, piece.last);
            piece.free = piece.size() - taken;
            if piece.is_open() {
                pieces.free += piece.free;
                pieces.open += piece.size();
            }
        }
        pieces
    }

    fn cut(&mut self, (first, last): Span, closed: &[Closed]) {
        let mut next = Some(first);
        let touching = closed.iter().filter(|((from, to), _)| *from <= last && *to >= first);
        for &((from, to), part) in touching {
            let Some(start) = next else { return };
            if from > start {
                self.push(start, from - 1, Part::Open);
            }
            self.push(from.max(start), to.min(last), part);
            next = to.checked_add(1).filter(|&after| after <= last);
        }
        if let Some(start) = next {
            self.push(start, last, Part::Open);
        }
    }

    fn push(&mut self, first: u128, last: u128, part: Part) {
        self.list.push(Piece { first, last, free: 0, part });
    }

    /// All pieces, excluded ones too.
    pub(super) fn all(&self) -> &[Piece] {
        &self.list
    }

    /// Free and open for automatic allocation.
    pub(super) const fn free(&self) -> u128 {
        self.free
    }

    /// Offsets that are open for automatic allocation, free or not.
    pub(super) const fn open(&self) -> u128 {
        self.open
    }

    /// Closed to automatic allocation and not used.
    pub(super) fn closed(&self) -> u128 {
        self.list.iter().filter(|piece| !piece.is_open()).map(|piece| piece.free).sum()
    }

    /// Offsets in the pools.
    pub(super) fn size(&self) -> u128 {
        self.list.iter().map(Piece::size).sum()
    }

    /// Counts an offset as taken or as free again; gives where it lies.
    #[inline]
    pub(super) fn count_single(&mut self, at: u128, taken: bool) -> Part {
        let Some(piece) = self.list.iter_mut().find(|p| p.first <= at && at <= p.last) else {
            return Part::Outside;
        };
        piece.free = if taken { piece.free - 1 } else { piece.free + 1 };
        if piece.is_open() {
            self.free = if taken { self.free - 1 } else { self.free + 1 };
        }
        piece.part
    }

    /// Counts a block as taken or as free again; gives how much of it lies in each part.
    pub(super) fn count(&mut self, first: u128, last: u128, taken: bool) -> [u128; Part::COUNT] {
        let mut parts = [0; Part::COUNT];
        parts[Part::Outside as usize] = last - first + 1;
        for piece in &mut self.list {
            if piece.first > last || piece.last < first {
                continue;
            }
            let overlap = piece.last.min(last) - piece.first.max(first) + 1;
            piece.free = if taken { piece.free - overlap } else { piece.free + overlap };
            if piece.is_open() {
                self.free = if taken { self.free - overlap } else { self.free + overlap };
            }
            parts[piece.part as usize] += overlap;
            parts[Part::Outside as usize] -= overlap;
        }
        parts
    }

    /// How much of a block lies in pools.
    pub(super) fn overlap(&self, first: u128, last: u128) -> u128 {
        let touching = self.list.iter().filter(|piece| piece.first <= last && piece.last >= first);
        touching.map(|piece| piece.last.min(last) - piece.first.max(first) + 1).sum()
    }

    /// The open pieces inside a limit, in drawing order.
    pub(super) fn open_within(&self, limit: Span) -> impl Iterator<Item = Piece> + Clone {
        self.list.iter().filter(|piece| piece.is_open()).filter_map(move |piece| {
            let (first, last) = (piece.first.max(limit.0), piece.last.min(limit.1));
            (first <= last).then_some(Piece { first, last, ..*piece })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(pieces: &Pieces) -> Vec<(u128, u128, bool)> {
        pieces.all().iter().map(|piece| (piece.first, piece.last, piece.is_open())).collect()
    }

    fn excluded(spans: &[Span]) -> Vec<Closed> {
        spans.iter().map(|&span| (span, Part::Excluded)).collect()
    }

    #[test]
    fn exclusions_cut_pools() {
        let store = MapStore::new();
        let map = FreeMap::new(8);
        let pools = [(100, 200), (1, 50)];
        let closed = excluded(&[(0, 0), (1, 3), (40, 110), (150, 150), (200, 255)]);
        let pieces = Pieces::new(&pools, &closed, &map, &store);
        let expected = vec![
            (100, 110, false),
            (111, 149, true),
            (150, 150, false),
            (151, 199, true),
            (200, 200, false),
            (1, 3, false),
            (4, 39, true),
            (40, 50, false),
        ];
        assert_eq!(spans(&pieces), expected);
        assert_eq!((pieces.size(), pieces.free()), (151, 39 + 49 + 36));
        assert_eq!(pieces.free() + pieces.closed(), pieces.size());
    }

    #[test]
    fn a_block_over_several_pieces_is_counted_in_each() {
        let store = MapStore::new();
        let map = FreeMap::new(8);
        let closed = [((12, 13), Part::Excluded), ((25, 25), Part::Pinned)];
        let mut pieces = Pieces::new(&[(10, 19), (24, 30)], &closed, &map, &store);
        assert_eq!(pieces.count(8, 31, true), [14, 2, 1, 7]);
        assert!(pieces.all().iter().all(|piece| piece.free == 0));
        assert_eq!((pieces.free(), pieces.closed()), (0, 0));
        assert_eq!(pieces.count(8, 31, false), [14, 2, 1, 7]);
        assert_eq!(pieces.free() + pieces.closed(), 17);
        let singles = [9, 10, 12, 25, 31].map(|at| pieces.count_single(at, true));
        let parts = [Part::Outside, Part::Open, Part::Excluded, Part::Pinned, Part::Outside];
        assert_eq!(singles, parts);
    }

    #[test]
    fn the_top_of_ipv6() {
        let store = MapStore::new();
        let map = FreeMap::new(127);
        let last = u128::MAX >> 1;
        let closed = excluded(&[(last - 1, last)]);
        let pieces = Pieces::new(&[(1, last)], &closed, &map, &store);
        assert_eq!(spans(&pieces), vec![(1, last - 2, true), (last - 1, last, false)]);
    }
}
