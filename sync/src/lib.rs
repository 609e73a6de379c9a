//! Queues, wake-ups and shared counters of addrd: the only room with atomics and with unsafe code.
//!
//! It knows nothing of addresses, records, sockets or files, never allocates on a hot path after
//! construction, and no part of it spins. Every part is tested twice by the same `loom_*` tests:
//! exhaustively under `--cfg loom` with small sizes, and as stress on real threads without it.
//!
//! | part | for |
//! |---|---|
//! | [`ring`] | operations to a worker, hand-overs to the committer: order, bounds, backpressure |
//! | [`doorbell`] | one sleeping thread, many ringers |
//! | [`mailbox`] | replies to one connection task, waking it once |
//! | [`DurableMark`] | how far the journal is on disk |
//! | [`QuotaCell`], [`QuotaSet`] | a project's quotas, shared by workers |
//! | [`drains`] | "everybody has left the drain that he was in" |
//! | [`Rate`] | operations in a second of a principal, and of all |
//! | [`Allowance`], [`Share`] | bytes in flight and connections over the whole server |
//! | [`Flag`], [`Level`], [`Serial`] | shutdown and failure flags, gauges, connection numbers |
//! | [`tally`], [`histogram`], [`sizes`] | hot-path metrics with a single writer |
//! | [`prefetch()`] | a hint to the processor; the one part that nobody shares |
//!
//! Orderings: each is the weakest that its comment can defend, and the comment names its partner.
//! Where a store must be seen before a later load, there is a fence, since loom explores those
//! exactly and sequentially consistent accesses only as acquire and release.
#![deny(unsafe_code)]

mod allowance;
mod bounds;
mod census;
mod doorbell;
mod drain;
mod gauge;
mod histogram;
mod mailbox;
mod mark;
mod padded;
mod prefetch;
mod prim;
mod quota;
mod quota_set;
mod rate;
mod ring;
mod sizes;
mod tally;
#[cfg(test)]
mod testing;

pub use allowance::{Allowance, Share};
pub use bounds::{
    Bounds, Class, Cost, Depth, Full, NoRoom, RING_BYTES_MAX, RING_OPERATIONS_MAX, RING_SLOTS_MAX,
};
pub use census::{Census, Seen};
pub use doorbell::{Doorbell, RingOnDrop, Waiter, doorbell};
pub use drain::{DrainCounter, DrainSnapshot, DrainWatch, drains};
pub use gauge::{Flag, Level, Serial};
pub use histogram::{
    HISTOGRAM_BUCKETS, HistogramSnapshot, StageHistogram, StageHistogramReader, histogram,
};
pub use mailbox::{MailReceiver, MailSender, Undelivered, mailbox};
pub use mark::DurableMark;
pub use padded::Padded;
pub use prefetch::prefetch;
pub use quota::{Over, QuotaCell};
pub use quota_set::QuotaSet;
pub use rate::{Pace, Rate};
pub use ring::{Consumer, Permit, Producer, RingGauge, ring};
pub use sizes::{SIZE_BUCKETS, Sizes, SizesReader, SizesSnapshot, sizes};
pub use tally::{Tally, TallyReader, tally};
