//! A journal in a file that can't grow: the committer takes no more than finds a place, and waits
//! for the fold when nothing does.

use super::super::Progress;
use super::super::clock::FakeClock;
use super::super::committer::{Committer, CommitterParts};
use super::super::figures::CommitterFigures;
use super::super::handover::HandOver;
use super::super::pressure::Pressure;
use crate::journal::{BatchIdentity, BatchSealer, RecordBuffer};
use crate::limits::{HAND_OVER_RECORD_BYTES_MAX, JOURNAL_ROW_BYTES_MAX};
use crate::model::{Effect, EffectSink, Incarnation, NetworkHandle, Revision, Seq, ServerId, Tick};
use crate::store::{
    Journal, JournalFill, JournalPosition, RingJournal, Round, Settings, Store, StoreError,
    fake_disk::FakeDisk,
};
use addrd_sync::{Bounds, Class, Cost, DurableMark, ring};
use std::sync::{Arc, Mutex};

/// A ring of blocks, and what it was asked to take.
#[derive(Debug)]
struct Watched {
    ring: RingJournal,
    rounds: Arc<Mutex<Vec<usize>>>,
}

impl Journal for Watched {
    fn append(&mut self, round: &Round<'_>) -> Result<(), StoreError> {
        self.rounds.lock().unwrap().push(round.rows.len());
        self.ring.append(round)
    }

    fn position(&self) -> JournalPosition {
        self.ring.position()
    }

    fn fill(&self) -> JournalFill {
        self.ring.fill()
    }

    fn room_bytes(&self, trim_to: Seq) -> u64 {
        self.ring.room_bytes(trim_to)
    }
}

fn hand_over(number: u64) -> (HandOver, Cost) {
    let mut records = RecordBuffer::default();
    let gone = |network| Effect::NetworkGone { network, revision: Revision(1) };
    while records.bytes() + 64 < HAND_OVER_RECORD_BYTES_MAX {
        records.push(&gone(NetworkHandle(7)));
    }
    let cost = Cost::new(1, records.bytes() as u32);
    let hand_over = HandOver {
        marks_time: false,
        source: 0,
        number,
        tick: Tick(1),
        records,
        deliveries: Vec::new(),
        operations: 1,
        began_ns: 0,
        pushed_ns: 0,
    };
    (hand_over, cost)
}

#[test]
fn the_committer_waits_for_room_and_takes_no_more_than_there_is() {
    // Room for about twelve of the largest hand-overs.
    let records_max = 12 * JOURNAL_ROW_BYTES_MAX as u64 / 80;
    let settings =
        Settings { journal_records_max: records_max, reserve_bytes: 0, ..Settings::default() };
    let server = ServerId::from_u128(4);
    let store = Store::create(Arc::new(FakeDisk::new()), &settings, server).unwrap();
    let identity = store.identity();
    assert_eq!(identity, BatchIdentity { server, incarnation: Incarnation(1), term: 0 });
    let sealer: BatchSealer = store.journal.sealer(identity);
    let (ring_journal, mut checkpointer, _disk) = store.split();
    let rounds = Arc::default();
    let journal = Watched { ring: ring_journal, rounds: Arc::clone(&rounds) };
    let bounds =
        Bounds { slots: 64, operations_max: 1_024, operations_reserved: 0, bytes_max: 64 << 20 };
    let (out, intake) = ring::<HandOver>(bounds);
    let folded = Arc::new(DurableMark::new(0));
    let mut committer = Committer::new(CommitterParts {
        feed: crate::engine::Feed::idle(),
        intake,
        pressure: Arc::new(Pressure::new(&journal.fill())),
        journal: Box::new(journal),
        sealer,
        marks: Vec::new(),
        position: Arc::new(DurableMark::new(0)),
        folded: Arc::clone(&folded),
        clock: Arc::new(FakeClock::new(Tick(1))),
        bells: Vec::new(),
        figures: CommitterFigures::new().0,
    });
    const COUNT: u64 = 40;
    for number in 1..=COUNT {
        let (hand_over, cost) = hand_over(number);
        assert!(out.try_push(hand_over, cost, Class::Reserved).is_ok());
    }
    let mut blocked = 0;
    loop {
        match committer.step().unwrap() {
            Progress::Worked => {}
            Progress::Blocked => {
                assert!(!committer.has_room());
                blocked += 1;
                let durable: usize = rounds.lock().unwrap().iter().sum();
                assert!(checkpointer.begin(1, Seq(durable as u64)), "something is to be folded");
                let upto = loop {
                    if let crate::store::Step::Finished(upto) = checkpointer.step().unwrap() {
                        break upto;
                    }
                };
                folded.raise(upto.0);
            }
            Progress::Idle | Progress::Finished => break,
        }
    }
    let rounds = rounds.lock().unwrap();
    assert_eq!(rounds.iter().sum::<usize>() as u64, COUNT, "each is a row of its own");
    assert!(blocked > 5 && rounds.len() > 5, "{blocked} times, {rounds:?}");
}
