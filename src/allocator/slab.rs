//! Chunked slabs with 32-bit handles: nothing moves when they grow. Never shrinks, never decides.

/// "No handle": a slab never gives this one out.
pub(super) const NIL: u32 = u32::MAX;

/// What lies in a [`Slab`]: while vacant it holds the handle of the next vacant one.
pub(super) trait Cell {
    /// A vacant cell that points to the next vacant one.
    fn vacant(link: u32) -> Self;
    /// Reads that pointer; meaningful only while vacant.
    fn link(&self) -> u32;
}

/// Cells in chunks of `N`, a power of two, found by handle.
///
/// Shape: a step of growth allocates one chunk; freed cells are used again, last freed first.
#[derive(Debug)]
pub(super) struct Slab<T, const N: usize> {
    chunks: Vec<Box<[T; N]>>,
    /// First vacant cell of the free list, or [`NIL`].
    free: u32,
    /// Cells ever used; those behind it are vacant and in no list.
    high: u32,
    /// Cells in use.
    count: u32,
}

impl<T: Cell, const N: usize> Slab<T, N> {
    const WHOLE: () = assert!(N.is_power_of_two(), "handles are split by shift and mask");

    pub(super) const fn new() -> Self {
        () = Self::WHOLE;
        Self { chunks: Vec::new(), free: NIL, high: 0, count: 0 }
    }

    /// Cells in use.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Handles ever given out are below this one.
    pub(super) const fn high(&self) -> u32 {
        self.high
    }

    /// Bytes of all chunks.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * size_of::<[T; N]>()
    }

    /// Puts a value and gives its handle.
    ///
    /// # Panics
    /// Past 2^32 - 2 cells: bounds on records lie far below.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.count += 1;
        if self.free != NIL {
            let handle = self.free;
            let cell = self.at_mut(handle);
            let link = cell.link();
            *cell = value;
            self.free = link;
            return handle;
        }
        let handle = self.high;
        assert!(handle < NIL, "a slab has fewer than 2^32 - 1 cells");
        if handle as usize / N == self.chunks.len() {
            self.grow();
        }
        self.high += 1;
        *self.at_mut(handle) = value;
        handle
    }

    #[cold]
    fn grow(&mut self) {
        let cells: Box<[T]> = (0..N).map(|_| T::vacant(NIL)).collect();
        let Ok(chunk) = cells.try_into() else { unreachable!("N cells were made") };
        self.chunks.push(chunk);
    }

    /// Makes a cell vacant.
    pub(super) fn remove(&mut self, handle: u32) {
        let link = self.free;
        *self.at_mut(handle) = T::vacant(link);
        self.free = handle;
        self.count -= 1;
    }

    /// The cell of a handle that is in use.
    #[inline]
    pub(super) fn at(&self, handle: u32) -> &T {
        &self.chunks[handle as usize / N][handle as usize % N]
    }

    /// The cell of a handle that is in use.
    #[inline]
    pub(super) fn at_mut(&mut self, handle: u32) -> &mut T {
        &mut self.chunks[handle as usize / N][handle as usize % N]
    }
}

/// An object of an [`Arena`], or a vacant place.
#[derive(Debug)]
pub(super) enum Place<T> {
    Vacant(u32),
    Used(T),
}

impl<T> Cell for Place<T> {
    fn vacant(link: u32) -> Self {
        Self::Vacant(link)
    }

    fn link(&self) -> u32 {
        match self {
            Self::Vacant(link) => *link,
            Self::Used(_) => NIL,
        }
    }
}

/// Objects with 32-bit handles; small chunks, since objects are larger than cells.
#[derive(Debug)]
pub(super) struct Arena<T>(Slab<Place<T>, 32>);

impl<T> Arena<T> {
    pub(super) const fn new() -> Self {
        Self(Slab::new())
    }

    /// Objects in use.
    pub(super) const fn count(&self) -> u32 {
        self.0.count()
    }

    /// Handles ever given out are below this one.
    pub(super) const fn high(&self) -> u32 {
        self.0.high()
    }

    /// Bytes of all chunks, without what the objects own elsewhere.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.0.insert(Place::Used(value))
    }

    pub(super) fn remove(&mut self, handle: u32) {
        debug_assert!(self.get(handle).is_some(), "only what exists is removed");
        self.0.remove(handle);
    }

    /// The object, if the handle is in use.
    pub(super) fn get(&self, handle: u32) -> Option<&T> {
        if handle >= self.0.high() {
            return None;
        }
        match self.0.at(handle) {
            Place::Used(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    /// The object of a handle that is in use.
    ///
    /// # Panics
    /// If it is not: a broken invariant.
    #[inline]
    pub(super) fn at(&self, handle: u32) -> &T {
        match self.0.at(handle) {
            Place::Used(value) => value,
            Place::Vacant(_) => panic!("a handle outlived its object"),
        }
    }

    /// The object of a handle that is in use.
    ///
    /// # Panics
    /// If it is not: a broken invariant.
    #[inline]
    pub(super) fn at_mut(&mut self, handle: u32) -> &mut T {
        match self.0.at_mut(handle) {
            Place::Used(value) => value,
            Place::Vacant(_) => panic!("a handle outlived its object"),
        }
    }

    /// All objects with their handles.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..self.0.high()).filter_map(|handle| self.get(handle).map(|value| (handle, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_used_again_and_nothing_moves() {
        let mut arena = Arena::new();
        let handles: Vec<u32> = (0..100).map(|n| arena.insert(n)).collect();
        arena.remove(handles[40]);
        arena.remove(handles[41]);
        assert_eq!(arena.get(handles[40]), None);
        assert_eq!(arena.get(1_000), None);
        assert_eq!(arena.insert(400), handles[41], "last freed, first used");
        assert_eq!(arena.insert(401), handles[40]);
        assert_eq!(arena.insert(402), 100);
        assert_eq!((*arena.at(99), arena.count(), arena.high()), (99, 101, 101));
        assert_eq!(arena.iter().count(), 101);
    }
}
