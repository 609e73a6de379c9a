//! What reactor threads count: plain arrays with one writer each, no lock and no locked instruction
//! on the way of a request. Knows no metric names.

use crate::model::Status;
use addrd_protocol::opcode::Opcode;
use addrd_sync::{
    HistogramSnapshot, StageHistogram, StageHistogramReader, Tally, TallyReader, histogram, tally,
};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Places for operations: the known ones and one for the others.
pub const OPCODES: usize = Opcode::ALL.len() + 1;
/// Places for statuses: the known ones and one for the others.
pub const STATUSES: usize = Status::ALL.len() + 1;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Single figures of a reactor thread.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Count {
            $($(#[$doc])* $name,)*
        }

        impl Count {
            /// Every figure, by its place.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

counts! {
    /// Connections accepted.
    Accepted,
    /// Connections that finished HELLO.
    Greeted,
    /// Refused at accept: as many connections as there may be.
    RefusedConnections,
    /// Refused at accept: as many before HELLO as there may be.
    RefusedUngreeted,
    /// Refused at accept: as many before HELLO from one peer as there may be.
    RefusedUngreetedPeer,
    /// Refused at accept: as many TLS handshakes as there may be.
    RefusedHandshakes,
    /// Accepts that failed for want of descriptors or memory.
    AcceptFailures,
    /// Reads that brought something.
    Reads,
    /// Bytes read.
    BytesRead,
    /// Writes.
    Writes,
    /// Bytes written.
    BytesWritten,
    /// Times that reading stopped because the credit was used or replies waited, or for others.
    Pauses,
    /// Of these, those for others: much waits, and it has its part of what is on the way.
    TurnPauses,
    /// Times that reading stopped because a rate was used up.
    RateHolds,
    /// Requests refused: the rate of their principal is used up.
    RefusedRatePrincipal,
    /// Requests refused: the rate of all is used up.
    RefusedRateTotal,
    /// Requests refused: their principal has more than its share of a ring past half.
    RefusedPrincipalShare,
    /// Requests refused: their connection has.
    RefusedConnectionShare,
    /// HELLOs refused: their principal has more than its share of connections.
    RefusedConnectionsShare,
    /// Watches refused: their principal has its share of them.
    RefusedWatchersShare,
    /// Questions about history refused: likewise.
    RefusedQuestionsShare,
    /// Refusals at HELLO whose answer waited.
    StrangersDelayed,
    /// Protocol errors.
    ProtocolErrors,
    /// Requests slower than the threshold.
    SlowRequests,
    /// Ended by the peer.
    EndedByPeer,
    /// Ended by an error of the transport.
    EndedByTransport,
    /// Ended: first byte, HELLO, or the rest of a frame came too late.
    EndedByTimeOut,
    /// Ended: nothing was sent for longer than the idle time.
    EndedIdle,
    /// Ended: the peer did not read its replies.
    EndedSlowReader,
    /// By what it showed, the peer is nobody any more.
    EndedAccess,
    /// Ended: framing or protocol errors.
    EndedByProtocol,
    /// Ended: HELLO was refused.
    EndedUngreeted,
    /// Ended: a newer connection took over the session.
    EndedReplaced,
    /// Ended: the server stops.
    EndedByShutdown,
    /// Ended by a panic of the connection's task.
    EndedByPanic,
}

const COUNTS: usize = Count::ALL.len();

/// The figures of all reactor threads of one server.
#[derive(Clone, Debug, Default)]
pub struct Reactors(Arc<Registry>);

#[derive(Debug, Default)]
struct Registry {
    /// One for each thread that ever counted.
    readers: Mutex<Vec<ReactorReader>>,
}

/// The writing end of one thread.
#[derive(Debug)]
pub struct ReactorFigures {
    operations: Tally<OPCODES>,
    statuses: Tally<STATUSES>,
    counts: Tally<COUNTS>,
    decode: StageHistogram,
    socket: StageHistogram,
}

#[derive(Debug)]
struct ReactorReader {
    operations: TallyReader<OPCODES>,
    statuses: TallyReader<STATUSES>,
    counts: TallyReader<COUNTS>,
    decode: StageHistogramReader,
    socket: StageHistogramReader,
}

/// The figures of all reactor threads added up.
#[derive(Clone, Debug)]
pub struct ReactorSnapshot {
    /// Early answers by place in [`Opcode::ALL`], others last.
    pub operations: [u64; OPCODES],
    /// Early answers by place in [`Status::ALL`], others last.
    pub statuses: [u64; STATUSES],
    /// By [`Count`].
    pub counts: [u64; COUNTS],
    /// From the end of a read until its operations are pushed, ns, an operation.
    pub decode: HistogramSnapshot,
    /// From the hand-over of replies until the socket took the last byte, ns, an operation; sampled.
    pub socket: HistogramSnapshot,
}

thread_local! {
    static OURS: RefCell<Option<(Weak<Registry>, ReactorFigures)>> = const { RefCell::new(None) };
}

impl Reactors {
    /// Gives `count` the figures of the calling thread. Not to be nested.
    #[inline]
    pub fn with(&self, count: impl FnOnce(&mut ReactorFigures)) {
        OURS.with_borrow_mut(|ours| match ours {
            Some((owner, figures)) if owner.as_ptr() == Arc::as_ptr(&self.0) => count(figures),
            _ => count(&mut ours.insert((Arc::downgrade(&self.0), self.register())).1),
        });
    }

    /// Adds to one figure of the calling thread.
    #[inline]
    pub fn count(&self, what: Count, amount: u64) {
        self.with(|figures| figures.add(what, amount));
    }

    /// What all threads counted so far.
    #[must_use]
    pub fn snapshot(&self) -> ReactorSnapshot {
        let mut sum = ReactorSnapshot {
            operations: [0; OPCODES],
            statuses: [0; STATUSES],
            counts: [0; COUNTS],
            decode: HistogramSnapshot::empty(),
            socket: HistogramSnapshot::empty(),
        };
        for reader in self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            add(&mut sum.operations, reader.operations.snapshot());
            add(&mut sum.statuses, reader.statuses.snapshot());
            add(&mut sum.counts, reader.counts.snapshot());
            sum.decode.merge(&reader.decode.snapshot());
            sum.socket.merge(&reader.socket.snapshot());
        }
        sum
    }

    #[cold]
    fn register(&self) -> ReactorFigures {
        let (operations, operations_reader) = tally();
        let (statuses, statuses_reader) = tally();
        let (counts, counts_reader) = tally();
        let (decode, decode_reader) = histogram();
        let (socket, socket_reader) = histogram();
        let reader = ReactorReader {
            operations: operations_reader,
            statuses: statuses_reader,
            counts: counts_reader,
            decode: decode_reader,
            socket: socket_reader,
        };
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        ReactorFigures { operations, statuses, counts, decode, socket }
    }
}

impl ReactorFigures {
    /// Adds to a figure.
    #[inline]
    pub fn add(&mut self, what: Count, amount: u64) {
        self.counts.add(what as usize, amount);
    }

    /// A connection answered by itself.
    pub fn answered(&mut self, opcode: Opcode, status: Status) {
        let opcodes = Opcode::ALL.binary_search(&opcode).unwrap_or(OPCODES - 1);
        let statuses = Status::ALL.binary_search(&status).unwrap_or(STATUSES - 1);
        self.operations.add(opcodes, 1);
        self.statuses.add(statuses, 1);
    }

    /// So many operations were decoded and pushed in `ns`.
    #[inline]
    pub fn decoded(&mut self, ns: u64, operations: u64) {
        self.decode.record_many(ns, operations);
    }

    /// A delivery left `ns` after it was handed over.
    #[inline]
    pub fn sent(&mut self, ns: u64, operations: u64) {
        self.socket.record_many(ns, operations);
    }
}

impl ReactorSnapshot {
    /// One figure.
    #[must_use]
    pub fn count(&self, what: Count) -> u64 {
        self.counts[what as usize]
    }
}

fn add<const N: usize>(sum: &mut [u64; N], part: [u64; N]) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum = sum.wrapping_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_threads_count_adds_up_for_each_server() {
        let (first, second) = (Reactors::default(), Reactors::default());
        let ours = first.clone();
        let other = thread::Builder::new().spawn(move || {
            ours.count(Count::Accepted, 2);
            ours.with(|figures| figures.decoded(2_000, 5));
        });
        other.unwrap().join().unwrap();
        first.count(Count::Accepted, 1);
        second.count(Count::Accepted, 7);
        first.with(|figures| figures.answered(Opcode::PING, Status::OK));
        assert_eq!(first.snapshot().count(Count::Accepted), 3);
        assert_eq!(first.snapshot().decode.count(), 5);
        assert_eq!(first.snapshot().operations.iter().sum::<u64>(), 1);
        assert_eq!(second.snapshot().count(Count::Accepted), 7);
    }
}
