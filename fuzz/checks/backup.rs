//! What must hold for any bytes in the place of a backup. Called by the fuzz target, and on stable by
//! `tests/fuzz_replay.rs` for the committed corpus. Never expects an input to be valid.

use addrd::limits::{BACKUP_PAYLOAD_BYTES_MAX, BATCH_HEADER_BYTES};
use addrd::model::{Effect, Incarnation, NetworkHandle, Revision, SubnetHandle, Tick};
use addrd::store::fake_disk::FakeDisk;
use addrd::store::{
    BackupSummary, BlockKind, Disk, Presence, Restore, Restoring, Settings, Store, check,
    restore_backup, verify_backup,
};
use crc32c::{crc32c, crc32c_append};
use std::io::Cursor;
use std::sync::Arc;

/// The wall clock of the restore, ms: in 2033.
pub(crate) const NOW: Tick = Tick(2_000_000_000_000);
/// What the first byte of the data asks for: checksums of blocks, of the rows and batches in them, and that
/// batches follow each other and the end says what there is.
pub(crate) const SEALS_BLOCKS: u8 = 1;
pub(crate) const SEALS_CONTENT: u8 = 2;
pub(crate) const COUNTS: u8 = 4;

/// Bytes of the head of a block, and of what its checksum is of.
const HEAD: usize = 20;
const HEAD_CHECKED: usize = 16;
/// Bytes of the begin and of the end, and where the begin says the batch that it stands at.
const BEGIN: usize = 72;
const BEGIN_FOLDED: usize = 24;
const END: usize = 52;
/// Bytes in front of a row: its table, its length.
const ROW_HEAD: usize = 3;

/// How far a backup came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Its blocks are not those of a backup.
    Refused,
    /// Its blocks are, and what they hold can't become a directory.
    NotMade,
    /// It became a directory that isn't sound: no command gives that a name.
    Unsound,
    /// It is a data directory.
    Restored,
}

/// Whatever the bytes are: a refusal, before or after, leaves no directory that a server would open, and what
/// is sound opens, and gives all of its state.
///
/// The data: what is made right ([`SEALS_BLOCKS`] and so on; 1), and the file.
pub(crate) fn backup(data: &[u8]) -> Fate {
    let Some((what, file)) = data.split_first() else { return Fate::Refused };
    let mut file = file.to_vec();
    seal(&mut file, *what);
    let mut file = Cursor::new(file);
    let Ok(summary) = verify_backup(&mut file) else { return Fate::Refused };
    assert_eq!(summary.bytes, file.get_ref().len() as u64);
    // Who restores looks at these two first, and refuses.
    let incarnation = summary.begin.incarnation.0.checked_add(1);
    let Some(incarnation) = incarnation.filter(|_| summary.end.tick < NOW) else {
        return Fate::Refused;
    };
    restore(&mut file, &summary, Restoring { incarnation: Incarnation(incarnation), now: NOW })
}

fn restore(file: &mut Cursor<Vec<u8>>, summary: &BackupSummary, restoring: Restoring) -> Fate {
    let settings = Settings {
        journal_records_max: 4 << 10,
        state_cache_bytes: 1 << 20,
        state_bytes: 128 << 10,
        reserve_bytes: 0,
        fold_slice_bytes: 5_000,
    };
    let disk = FakeDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let made = restore_backup(&shared, &settings, file, summary, restoring);
    let disk = disk.restart();
    let Ok(made) = made else {
        assert_ne!(Store::presence(&disk).expect("it can be looked at"), Presence::Present);
        return Fate::NotMade;
    };
    assert_eq!((made.format.server, made.summary), (summary.begin.server, *summary));
    let report = check(Arc::new(disk.clone()), &settings, &mut |_| {})
        .expect("a directory can be looked at");
    if !report.findings.is_empty() {
        return Fate::Unsound;
    }
    let disk = Arc::new(disk.restart());
    let mut store = Store::open(disk, &settings).expect("what is sound opens");
    let mut seen = Seen::default();
    let recovered = store.recover(&mut seen).expect("what is sound is read");
    assert_eq!(recovered.next.0, summary.end.last.0 + 1);
    assert_eq!((recovered.adoption, recovered.tick), (NOW, NOW));
    let held = report.allocations + report.resting;
    assert_eq!((seen.allocations, seen.networks), (held, report.networks));
    assert!(seen.revisions.iter().all(|revision| revision.0 >= NOW.first_revision()));
    Fate::Restored
}

/// What a start is given.
#[derive(Debug, Default)]
struct Seen {
    networks: u64,
    allocations: u64,
    revisions: Vec<Revision>,
}

impl Restore for Seen {
    fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::NetworkPut(_) => self.networks += 1,
            Effect::AllocationPut(_) => self.allocations += 1,
            _ => {}
        }
        Ok(())
    }

    fn revision(&mut self, _: NetworkHandle, revision: Revision) {
        self.revisions.push(revision);
    }

    fn cursor(&mut self, _: NetworkHandle, _: SubnetHandle, _: u128) {}
}

/// What the end of a backup says, as it is counted on the way.
#[derive(Debug, Default)]
struct Counted {
    rows: u64,
    batches: u64,
    records: u64,
    last: u64,
    crc: u32,
    tick: u64,
}

fn half(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>());
    field.map_or(0, |field| u32::from_be_bytes(*field))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from(half(bytes, at)) << 32 | u64::from(half(bytes, at + 4))
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Makes right what is asked for, block by block.
fn seal(file: &mut [u8], what: u8) {
    let (mut counted, mut before) = (Counted::default(), 0);
    let (mut at, mut block) = (0, 0_u32);
    while let Some((head, rest)) =
        file.get_mut(at..).and_then(|f| f.split_first_chunk_mut::<HEAD>())
    {
        let length = half(head, 12) as usize;
        let length = length.min(rest.len()).min(BACKUP_PAYLOAD_BYTES_MAX);
        let payload = &mut rest[..length];
        content(head[4], payload, what, &mut counted, at);
        if what & SEALS_BLOCKS != 0 {
            put(head, 0, b"adk\0");
            put(head, 8, &block.to_be_bytes());
            put(head, 12, &u32::try_from(length).expect("at most a block").to_be_bytes());
            let checked = &head[..HEAD_CHECKED];
            let start = if block == 0 { crc32c(checked) } else { crc32c_append(before, checked) };
            let crc = crc32c_append(start, payload);
            put(head, HEAD_CHECKED, &crc.to_be_bytes());
        }
        before = half(head, HEAD_CHECKED);
        block += 1;
        at += HEAD + length;
    }
}

fn content(kind: u8, payload: &mut [u8], what: u8, counted: &mut Counted, bytes: usize) {
    let is = |of: BlockKind| of as u8 == kind;
    if is(BlockKind::Begin) && payload.len() == BEGIN {
        counted.last = number(payload, BEGIN_FOLDED);
        counted.crc = half(payload, BEGIN_FOLDED + 8);
        counted.tick = number(payload, BEGIN_FOLDED + 12);
    }
    if is(BlockKind::Rows) {
        rows(payload, what, counted);
    }
    if is(BlockKind::Batches) {
        batches(payload, what, counted);
    }
    if is(BlockKind::End) && payload.len() == END && what & COUNTS != 0 {
        let numbers = [counted.rows, counted.batches, counted.records, counted.last];
        let numbers = numbers.map(u64::to_be_bytes).concat();
        let (crc, tick) = (counted.crc.to_be_bytes(), counted.tick.to_be_bytes());
        let all = [&numbers[..], &crc, &tick, &(bytes as u64).to_be_bytes()].concat();
        payload.copy_from_slice(&all);
    }
}

/// Bytes of the keys of a table.
fn key_bytes(table: u8) -> Option<usize> {
    Some(match table {
        0 | 1 => 4,
        2 | 4 | 7 => 8,
        3 | 5 | 6 => 24,
        40..=43 => 12,
        44 => 32,
        _ => return None,
    })
}

fn rows(mut payload: &mut [u8], what: u8, counted: &mut Counted) {
    while let Some((head, rest)) = payload.split_first_chunk_mut::<ROW_HEAD>() {
        let Some(key_bytes) = key_bytes(head[0]) else { return };
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let Some((row, rest)) = rest.split_at_mut_checked(key_bytes + length) else { return };
        let (key, row) = row.split_at_mut(key_bytes);
        if let Some((sum, body)) =
            row.split_first_chunk_mut::<4>().filter(|_| what & SEALS_CONTENT != 0)
        {
            let crc = crc32c_append(crc32c(&head[..1]), key);
            *sum = crc32c_append(crc, body).to_be_bytes();
        }
        counted.rows += 1;
        payload = rest;
    }
}

fn batches(mut payload: &mut [u8], what: u8, counted: &mut Counted) {
    while let Some((head, rest)) = payload.split_first_chunk_mut::<BATCH_HEADER_BYTES>() {
        let length = half(head, 60) as usize;
        let Some((records, rest)) = rest.split_at_mut_checked(length) else { return };
        if what & COUNTS != 0 {
            // As many hand-overs as it says, behind those before it.
            let more = number(head, 40).saturating_sub(number(head, 32)).min(9);
            let first = counted.last.saturating_add(1);
            put(head, 32, &first.to_be_bytes());
            put(head, 40, &first.saturating_add(more).to_be_bytes());
            put(head, 64, &counted.crc.to_be_bytes());
        }
        if what & SEALS_CONTENT != 0 {
            let (fields, sum) = head.split_last_chunk_mut::<4>().expect("a header is longer");
            *sum = crc32c_append(crc32c(fields), records).to_be_bytes();
        }
        counted.batches += 1;
        counted.records = counted.records.saturating_add(half(head, 56).into());
        (counted.last, counted.tick) = (number(head, 40), number(head, 48));
        counted.crc = half(head, BATCH_HEADER_BYTES - 4);
        payload = rest;
    }
}
