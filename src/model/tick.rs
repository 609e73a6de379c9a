//! The server's time as a value. Reads no clock.

use std::fmt;

/// Point on the server's clock, ms since the Unix epoch; never steps back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// Milliseconds from `earlier` to here; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// First revision of a network made now: a network made again under the same id never repeats
    /// a value.
    #[must_use]
    pub const fn first_revision(self) -> u64 {
        self.0 << 20
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
