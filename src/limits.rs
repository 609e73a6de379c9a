//! Every bound of the server, with its unit and its arithmetic. Decides nothing.
//!
//! Relations between bounds are checked when this file is compiled. Bounds of the wire itself
//! (frames, counts in messages) live in `addrd-protocol`; this file ties them to the others.

use addrd_protocol::message::batch::BATCH_ITEMS_MAX;

/// Operations that one connection may have in rings or without reply; told as credit in HELLO.
pub const CONNECTION_OPERATIONS_MAX: u32 = 256;

/// Operations that one ring of a worker holds.
pub const RING_OPERATIONS_MAX: u32 = 64 * 1024;
/// Of these, only for renew, confirm, release and cancel: one quarter.
pub const RING_OPERATIONS_RESERVED: u32 = RING_OPERATIONS_MAX / 4;
/// Bytes of decoded operations that one ring of a worker holds.
pub const RING_BYTES_MAX: u32 = 64 << 20;
/// Items (groups of operations) that one ring of a worker holds.
pub const RING_SLOTS: u32 = 16 * 1024;

/// Operations that a worker takes at once.
pub const DRAIN_OPERATIONS_MAX: u32 = 1_024;
/// Bytes of records after which a drain is handed over.
pub const DRAIN_RECORD_BYTES_MAX: usize = 192 * 1024;

/// Bytes of a journal row. Rows of exactly 64, 128 or 256 KiB make redb write twice the bytes.
pub const JOURNAL_ROW_BYTES_MAX: usize = 256 * 1024 - 256;
/// Bytes of a batch header inside a row (journal/batch.rs).
pub const BATCH_HEADER_BYTES: usize = 96;
/// Bytes of records that one hand-over may have: what fits one row.
pub const HAND_OVER_RECORD_BYTES_MAX: usize = JOURNAL_ROW_BYTES_MAX - BATCH_HEADER_BYTES;
/// Bytes of a plain allocation's record: one IPv6 address, owner, no rare fields.
pub const PLAIN_RECORD_BYTES_MAX: usize = 48;

/// Objects that a slice of a job touches between two drains.
pub const JOB_SLICE_OBJECTS: usize = 256;

/// Records that the journal holds before the fold must have made room.
pub const JOURNAL_RECORDS_MAX: u64 = 4 << 20;
/// The same with `--dev`.
pub const JOURNAL_RECORDS_MAX_DEV: u64 = 256 << 10;
/// Journal fill, percent, from which the fold runs at full speed.
pub const JOURNAL_FULL_SPEED_PERCENT: u64 = 80;
/// Journal fill, percent, from which drains are smaller.
pub const JOURNAL_SMALL_DRAINS_PERCENT: u64 = 95;

/// Bytes of file that the journal has for each of its records: a plain record, the header's share,
/// and what powers of two waste.
pub const JOURNAL_BYTES_PER_RECORD: u64 = 64;
/// Folded rows that a commit removes for each row that it appends.
pub const JOURNAL_TRIM_ROWS: usize = 2;
/// Bytes of rows that one read transaction on the journal gives: while it lives, what is trimmed
/// can't be used again.
pub const JOURNAL_READ_BYTES: usize = 4 << 20;

/// Bytes of pages that one slice of the fold makes dirty: more at once delays the journal's fsync
/// (1.3 ms measured at 4 MiB, 70 ms at 256 MiB).
pub const FOLD_SLICE_BYTES: usize = 4 << 20;
/// Records of a chunk of the fold; their bytes and 24 each are in memory meanwhile.
pub const FOLD_CHUNK_RECORDS_MAX: u64 = 4 << 20;
/// Bytes of the records of a chunk, if they are large ones; fits the 32-bit places of its index.
pub const FOLD_CHUNK_BYTES_MAX: usize = 512 << 20;

/// Bytes of a state row.
pub const STATE_ROW_BYTES_MAX: usize = 4_000;
/// Bytes of the file that is given up to start on a full disk.
pub const RESERVE_BYTES: u64 = 64 << 20;

const _: () = assert!(
    BATCH_ITEMS_MAX * 2 * PLAIN_RECORD_BYTES_MAX <= DRAIN_RECORD_BYTES_MAX,
    "a batch of plain items, two families each, fits one drain"
);
const _: () = assert!(DRAIN_RECORD_BYTES_MAX < HAND_OVER_RECORD_BYTES_MAX);
const _: () = assert!(RING_OPERATIONS_RESERVED < RING_OPERATIONS_MAX);
