//! The ring on a disk in memory: batches around and around, cut short, damaged, and in a file that
//! got longer. Crashes of the whole store are tested from outside.

use super::layout::{BATCH_BLOCKS_MAX, BLOCK_BYTES, Title};
use super::*;
use crate::journal::RecordBuffer;
use crate::model::{
    Effect, EffectSink, Incarnation, NetworkHandle, NetworkId, NetworkRow, ProjectId, Revision,
    ServerId, Text, Tick,
};
use crate::store::fake_disk::{FakeDisk, Random};
use crate::store::journal::{Anchor, JournalSource, Place};
use std::ops::ControlFlow;

const NAME: &str = "ring";
const FIRST_BATCH: usize = (FIRST_BLOCK * BLOCK_BYTES) as usize;
const TITLE: Title =
    Title { server: ServerId::from_u128(5), incarnation: Incarnation(1), base: Seq(1) };
const NOWHERE: Anchor = Anchor { last: Seq(0), crc: 0, place: Place(0) };
/// Room for a few large batches.
const RECORDS: u64 = 4 * BATCH_BLOCKS_MAX * BLOCK_BYTES / 80;

/// A ring, and the anchor that a state would have that is folded as far as it is trimmed.
struct Rig {
    disk: FakeDisk,
    ring: RingJournal,
    sealer: BatchSealer,
    /// All batches: last seq, checksum, records.
    written: Vec<(Seq, u32, u32)>,
}

fn create() -> Rig {
    let disk = FakeDisk::new();
    let file = disk.create(NAME).unwrap();
    RingJournal::create(&*file, &TITLE, RECORDS).unwrap();
    let ring = open(&disk, RECORDS, NOWHERE).unwrap();
    rig(disk, ring, Vec::new())
}

fn rig(disk: FakeDisk, mut ring: RingJournal, written: Vec<(Seq, u32, u32)>) -> Rig {
    ring.release().unwrap();
    let identity = BatchIdentity { server: TITLE.server, incarnation: TITLE.incarnation, term: 0 };
    let sealer = ring.sealer(identity);
    Rig { disk, ring, sealer, written }
}

fn open(disk: &FakeDisk, records: u64, anchor: Anchor) -> Result<RingJournal, StoreError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    RingJournal::open(&shared, disk.open(NAME).unwrap(), records, |title| {
        assert_eq!(*title, TITLE);
        Ok(anchor)
    })
}

impl Rig {
    /// Appends batches of so many records each, in one round.
    fn append(&mut self, counts: &[u32], trim_to: Seq) -> Result<(), StoreError> {
        let buffers: Vec<_> = counts.iter().map(|count| records(*count)).collect();
        let mut rows = Vec::new();
        for buffer in &buffers {
            let parts = vec![buffer.as_bytes()];
            let header = self.sealer.seal(Tick(1), 1, buffer.record_count(), &parts);
            self.written.push((header.last, header.crc, header.records));
            rows.push(BatchRow { header, parts });
        }
        self.ring.append(&Round { rows: &rows, trim_to })
    }

    /// What a state knows that is folded up to here.
    fn anchor(&self, last: Seq) -> Anchor {
        let mut place = None;
        let source = self.ring.source();
        let first = self.ring.position().first;
        source
            .read(first, &mut |batch, at| {
                place = place.or((batch.header().last == last).then_some(at));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        let crc = self.written[last.0 as usize - 1].1;
        Anchor { last, crc, place: place.expect("not trimmed yet") }
    }

    /// What the ring gives from here on: last seqs and records.
    fn read(&self, from: Seq) -> Vec<(Seq, u32)> {
        read(&self.ring, from)
    }

    fn expected(&self, from: Seq) -> Vec<(Seq, u32)> {
        let kept = self.written.iter().filter(|(last, ..)| *last >= from);
        kept.map(|(last, _, records)| (*last, *records)).collect()
    }
}

fn read(ring: &RingJournal, from: Seq) -> Vec<(Seq, u32)> {
    let source = ring.source();
    let mut found: Vec<(Seq, u32)> = Vec::new();
    loop {
        let next = found.last().map_or(from, |(last, _)| Seq(last.0 + 1));
        let more = source.read(next, &mut |batch, _| {
            found.push((batch.header().last, batch.records().map(Result::unwrap).count() as u32));
            Ok(ControlFlow::Continue(()))
        });
        if !more.unwrap() {
            return found;
        }
    }
}

fn records(count: u32) -> RecordBuffer {
    let mut buffer = RecordBuffer::default();
    for network in 0..count {
        buffer
            .push(&Effect::NetworkGone { network: NetworkHandle(network), revision: Revision(1) });
    }
    buffer
}

#[test]
fn batches_go_around_and_are_found_again_after_every_round() {
    let mut rig = create();
    let mut random = Random::new(3);
    let mut anchor = NOWHERE;
    for round in 0..200 {
        let counts: Vec<_> = (0..=random.below(3))
            .map(|_| {
                let most = if random.one_in(3) { 12_000 } else { 300 };
                1 + random.below(most) as u32
            })
            .collect();
        rig.append(&counts, anchor.last).unwrap();
        let first = Seq(anchor.last.0 + 1);
        assert_eq!(rig.read(first), rig.expected(first), "round {round}");
        let again = open(&rig.disk, RECORDS, anchor).unwrap();
        assert_eq!(again.position(), rig.ring.position(), "round {round}");
        assert_eq!(read(&again, first), rig.expected(first), "round {round}");
        let next = rig.ring.position().next.0;
        anchor = rig.anchor(Seq(next - 1 - random.below(next - first.0)));
    }
}

#[test]
fn a_batch_that_was_cut_short_is_not_there() {
    let mut rig = create();
    rig.append(&[10, 20], Seq(0)).unwrap();
    let whole = rig.disk.contents()[NAME].clone();
    rig.append(&[2_000], Seq(0)).unwrap();
    // As a power loss leaves it: the last sectors missing, the mark not yet written.
    rig.disk.damage(NAME, |bytes| {
        let marks = MARK_OFFSETS[0] as usize..(FIRST_BLOCK * BLOCK_BYTES) as usize;
        bytes[marks.clone()].copy_from_slice(&whole[marks]);
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end - 100..=end].fill(0);
    });
    let ring = open(&rig.disk, RECORDS, NOWHERE).unwrap();
    assert_eq!((ring.position().next, ring.position().records), (Seq(3), 30));
}

#[test]
fn an_acknowledged_batch_that_is_damaged_is_an_error() {
    let mut rig = create();
    for _ in 0..3 {
        rig.append(&[10, 20], Seq(0)).unwrap();
    }
    let blocks = (rig.ring.fill().bytes / BLOCK_BYTES) as usize;
    assert_eq!(blocks, 6);
    for number in 0..blocks {
        let (block, disk) = (FIRST_BLOCK as usize + number, rig.disk.fork());
        disk.damage(NAME, |bytes| bytes[block * 4_096 + 150] ^= 1);
        let error = open(&disk, RECORDS, NOWHERE).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("up to 6 were acknowledged"), "block {block}: {text}");
    }
}

#[test]
fn a_journal_may_get_longer_in_the_middle_of_a_lap() {
    let mut rig = create();
    let mut anchor = NOWHERE;
    // Until the newest batch stands in front of the oldest.
    while rig.ring.shared.space().head() >= anchor.place.0 {
        rig.append(&[9_000], anchor.last).unwrap();
        if rig.ring.position().rows > 2 {
            anchor = rig.anchor(rig.ring.position().first);
        }
    }
    let first = Seq(anchor.last.0 + 1);
    let ring = open(&rig.disk, 2 * RECORDS, anchor).unwrap();
    assert_eq!(read(&ring, first), rig.expected(first));
    let mut longer = super::tests::rig(rig.disk, ring, rig.written);
    for _ in 0..30 {
        longer.append(&[9_000], anchor.last).unwrap();
        let again = open(&longer.disk, 2 * RECORDS, anchor).unwrap();
        let first = Seq(anchor.last.0 + 1);
        assert_eq!(read(&again, first), longer.expected(first));
        anchor = longer.anchor(first);
    }
    assert_eq!(longer.disk.contents()[NAME].len() as u64, layout::file_bytes(2 * RECORDS));
}

#[test]
fn a_mark_that_was_cut_short_leaves_the_other() {
    let mut rig = create();
    for _ in 0..3 {
        rig.append(&[10], Seq(0)).unwrap();
    }
    for offset in MARK_OFFSETS {
        let disk = rig.disk.fork();
        // All of its block, as a device may lose it.
        disk.damage(NAME, |bytes| bytes[offset as usize..][..4_096].fill(0));
        let ring = open(&disk, RECORDS, NOWHERE).unwrap();
        assert_eq!(ring.position(), rig.ring.position());
        // The other one still tells of damage.
        disk.damage(NAME, |bytes| bytes[FIRST_BATCH + 150] ^= 1);
        assert!(open(&disk, RECORDS, NOWHERE).is_err());
    }
}

/// Symptom: a start was refused because of a newer format that there was none of. Cause: at the
/// head stood the middle of an older batch, a text of a client that began like a batch.
#[test]
fn what_clients_sent_is_taken_for_no_batch_and_no_newer_format() {
    let mut rig = create();
    let mut anchor = NOWHERE;
    let text = Text::new(&"adj1".repeat(50)).unwrap();
    for round in 0..120_u32 {
        let mut buffer = RecordBuffer::default();
        let count = if round % 3 == 0 { 900 } else { 1 + round % 40 };
        (0..count).for_each(|number| buffer.push(&named(number, &text)));
        let parts = vec![buffer.as_bytes()];
        let header = rig.sealer.seal(Tick(1), 1, buffer.record_count(), &parts);
        rig.written.push((header.last, header.crc, header.records));
        let rows = [BatchRow { header, parts }];
        rig.ring.append(&Round { rows: &rows, trim_to: anchor.last }).unwrap();
        let again = open(&rig.disk, RECORDS, anchor).unwrap();
        assert_eq!(again.position(), rig.ring.position(), "round {round}");
        anchor = rig.anchor(Seq(rig.ring.position().next.0 - 1));
    }
}

fn named(number: u32, text: &Text) -> Effect {
    Effect::NetworkPut(Box::new(NetworkRow {
        network: NetworkHandle(number),
        revision: Revision(1),
        project: ProjectId::DEFAULT,
        id: NetworkId::from_u128(1),
        deleting: false,
        shared: false,
        name: Some(text.clone()),
        description: None,
        scope_v4: None,
        scope_v6: None,
    }))
}

/// What a start found it has shown to clients: it must not pass for a round that was cut short.
#[test]
fn what_a_start_found_is_marked() {
    let mut rig = create();
    rig.append(&[10], Seq(0)).unwrap();
    let marks = MARK_OFFSETS[0] as usize..FIRST_BATCH;
    let before = rig.disk.contents()[NAME][marks.clone()].to_vec();
    rig.append(&[10], Seq(0)).unwrap();
    // The power went before the mark was durable.
    rig.disk.damage(NAME, |bytes| bytes[marks.clone()].copy_from_slice(&before));
    let mut ring = open(&rig.disk, RECORDS, NOWHERE).unwrap();
    assert_eq!(ring.position().next, Seq(3));
    ring.release().unwrap();
    rig.disk.damage(NAME, |bytes| bytes[FIRST_BATCH + 4_096 + 150] ^= 1);
    assert!(open(&rig.disk, RECORDS, NOWHERE).is_err());
}

/// Of a round that was never acknowledged the second batch may be whole and the first not. It must
/// not follow what is written in place of the first one.
#[test]
fn a_batch_of_a_lost_round_follows_nothing_else() {
    let mut rig = create();
    rig.append(&[10], Seq(0)).unwrap();
    let before = rig.disk.contents()[NAME].clone();
    rig.append(&[20, 20], Seq(0)).unwrap();
    rig.disk.damage(NAME, |bytes| {
        let marks = MARK_OFFSETS[0] as usize..FIRST_BATCH;
        bytes[marks.clone()].copy_from_slice(&before[marks]);
        bytes[FIRST_BATCH + 4_096..][..512].fill(0);
    });
    let ring = open(&rig.disk, RECORDS, NOWHERE).unwrap();
    assert_eq!(ring.position().next, Seq(2));
    let mut again = super::tests::rig(rig.disk, ring, rig.written[..1].to_vec());
    again.append(&[21], Seq(0)).unwrap();
    let ring = open(&again.disk, RECORDS, NOWHERE).unwrap();
    assert_eq!(
        (ring.position(), read(&ring, Seq(1))),
        (again.ring.position(), again.expected(Seq(1)))
    );
}

#[test]
fn a_batch_with_the_last_number_there_is_is_none() {
    let mut rig = create();
    rig.append(&[10], Seq(0)).unwrap();
    let buffer = records(1);
    let identity = BatchIdentity { server: TITLE.server, incarnation: TITLE.incarnation, term: 0 };
    let mut sealer = BatchSealer::new(identity, Seq(2), rig.written[0].1);
    let mut header = sealer.seal(Tick(1), 1, 1, &[buffer.as_bytes()]);
    header.last = Seq(u64::MAX);
    let mut bytes = header.encode().to_vec();
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..92]), buffer.as_bytes());
    bytes[92..].copy_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(buffer.as_bytes());
    rig.disk.damage(NAME, |file| {
        file[FIRST_BATCH + 4_096..][..bytes.len()].copy_from_slice(&bytes);
    });
    let ring = open(&rig.disk, RECORDS, NOWHERE).unwrap();
    assert_eq!(ring.position(), rig.ring.position());
}

#[test]
fn what_is_no_journal_is_refused() {
    let rig = create();
    let marks = MARK_OFFSETS.map(|offset| offset as usize);
    for (offsets, what) in [(vec![0], "its title"), (marks.to_vec(), "each mark of its end")] {
        let disk = rig.disk.fork();
        disk.damage(NAME, |bytes| offsets.iter().for_each(|at| bytes[at + 9] ^= 1));
        let error = open(&disk, RECORDS, NOWHERE).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    rig.disk.damage(NAME, |bytes| bytes.truncate(70));
    let error = open(&rig.disk, RECORDS, NOWHERE).unwrap_err();
    assert!(error.to_string().contains("too short"), "{error}");
}
