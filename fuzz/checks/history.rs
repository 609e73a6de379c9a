//! What must hold for any bytes in the place of a volume of history and of its index. Called by the fuzz
//! target, and on stable by `tests/fuzz_replay.rs` for the committed corpus. Never expects an input to be valid.

use addrd::limits::BATCH_HEADER_BYTES;
use addrd::model::{Incarnation, OwnerId, ProjectId, Seq, ServerId, Tick};
use addrd::store::Disk;
use addrd::store::fake_disk::FakeDisk;
use addrd::store::history::{Ask, HistorySettings, JournalEnds, Looker, Shelf, Subject, open};
use crc32c::{crc32c, crc32c_append};
use std::sync::Arc;

/// Of the volumes that are read here.
pub(crate) const SERVER: ServerId = ServerId::from_u128(0x5555_5555_5555_4555_8555_5555_5555_5555);
/// Of the seeds: who holds something, and where.
pub(crate) const OWNER: OwnerId = OwnerId::from_u128(7);
pub(crate) const ADDRESS: [u8; 4] = [10, 0, 0, 3];
/// Bytes of a head, of a name, and of the mark of a block.
const HEAD: usize = 64;
const NAME: usize = 60;
const MARK: usize = 36;
/// Lines of an index.
const LINES: usize = 512;

/// Every question ends, and is answered with what it asks for; how many entries were told.
///
/// The data: whether checksums are made right (1), bytes of the volume (3), the volume, and its index.
pub(crate) fn volume(data: &[u8]) -> usize {
    let Some(([is_sealed, a, b, c], rest)) = data.split_first_chunk::<4>() else { return 0 };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    let (log, index) = rest.split_at(length.min(rest.len()));
    let (mut log, mut index) = (log.to_vec(), index.to_vec());
    if is_sealed & 1 == 1 {
        seal_volume(&mut log);
        seal_index(&mut index);
    }
    let disk = FakeDisk::new();
    for (name, bytes) in
        [("history-0000000000000001.log", log), ("history-0000000000000001.idx", index)]
    {
        disk.create(name).and_then(|file| file.write_at(0, &bytes)).expect("it takes everything");
    }
    let (disk, shelf) = (Arc::new(disk) as Arc<dyn Disk>, Arc::new(Shelf::default()));
    let settings = HistorySettings::new(1 << 30, u64::MAX);
    let journal = JournalEnds { first: Seq(1 << 60), last: Seq(1 << 60) };
    let identity = (SERVER, Incarnation(1));
    let opened = open(Arc::clone(&disk), settings, identity, Arc::clone(&shelf), journal, Tick(1));
    opened.expect("nothing of the disk fails");
    let looker = Looker::new(disk, shelf, SERVER);
    let subjects = [Subject::Address(ADDRESS.into()), Subject::Owner(OWNER, None)];
    let asked = subjects.into_iter().flat_map(|subject| [(subject, false), (subject, true)]);
    asked.map(|(subject, oldest_first)| told(&looker, subject, oldest_first)).sum()
}

fn told(looker: &Looker, subject: Subject, oldest_first: bool) -> usize {
    let mut ask = Ask {
        project: ProjectId::DEFAULT,
        home: None,
        is_pool: false,
        subject,
        from: Tick(0),
        to: Tick(u64::MAX),
        oldest_first,
        limit: 3,
        mark: None,
    };
    let mut count = 0;
    loop {
        let page = looker.look(&ask);
        for entry in &page.entries {
            match subject {
                Subject::Owner(owner, _) => assert_eq!(entry.owner, owner),
                Subject::Address(address) => {
                    assert!(entry.length < 32 || entry.address == address, "{entry:?}");
                }
            }
        }
        count += page.entries.len();
        let Some(next) = page.next else { return count };
        let is_further =
            ask.mark.is_none_or(|mark| if oldest_first { next > mark } else { next < mark });
        assert!(is_further, "a question that never ends: {ask:?}, {next:?}");
        ask.mark = Some(next);
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    let field = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>());
    field.map_or(0, |field| u32::from_be_bytes(*field) as usize)
}

/// Makes the checksum at the end of `bytes[at..at + length]` right, which goes on from another.
fn seal(bytes: &mut [u8], at: usize, length: usize, before: u32) {
    let Some(part) = bytes.get_mut(at..).and_then(|bytes| bytes.get_mut(..length)) else { return };
    let Some((checked, sum)) = part.split_last_chunk_mut::<4>() else { return };
    *sum = crc32c_append(before, checked).to_be_bytes();
}

fn seal_volume(log: &mut [u8]) {
    seal(log, 0, HEAD, 0);
    let names = number(log, 48).min(log.len() / NAME);
    (0..names).for_each(|name| seal(log, HEAD + name * NAME, NAME, 0));
    let mut at = HEAD + names * NAME;
    while log
        .get(at..)
        .is_some_and(|rest| rest.starts_with(b"adj\0") && rest.len() >= BATCH_HEADER_BYTES)
    {
        // Bytes of the records stand at 60 in a header, its checksum at its end.
        let bytes = number(log, at + 60);
        let end = at.saturating_add(BATCH_HEADER_BYTES).saturating_add(bytes);
        let sum = at + BATCH_HEADER_BYTES - 4;
        if let (Some(fields), Some(records)) = (log.get(at..sum), log.get(sum + 4..end)) {
            let crc = crc32c_append(crc32c(fields), records).to_be_bytes();
            log[sum..sum + 4].copy_from_slice(&crc);
        }
        at = end;
    }
    seal(log, at, HEAD, 0);
}

fn seal_index(index: &mut [u8]) {
    seal(index, 0, HEAD, 0);
    let (blocks, names) = (number(index, 40), number(index, 44));
    let (blocks, names) = (blocks.min(index.len() / MARK), names.min(index.len() / NAME));
    (0..blocks).for_each(|block| seal(index, HEAD + block * MARK, MARK, 0));
    let names_at = HEAD + blocks * MARK;
    (0..names).for_each(|name| seal(index, names_at + name * NAME, NAME, 0));
    let (lines_at, line_bytes) = (names_at + names * NAME, blocks * 32 + 4);
    let head = crc32c(index.get(..HEAD).unwrap_or_default());
    for line in 0..LINES {
        let before = crc32c_append(head, &(line as u32).to_be_bytes());
        seal(index, lines_at + line * line_bytes, line_bytes, before);
    }
}
