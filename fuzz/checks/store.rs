//! What must hold for any row of the state. Called by the fuzz target, and on stable by
//! `tests/fuzz_replay.rs` for the committed corpus. Never expects an input to be valid.

use addrd::store::row::reread;

/// Tables with their numbers and the bytes of their keys; then the meta rows of both files.
pub(crate) const TABLES: [(u8, usize); 14] = [
    (0, 4),
    (1, 4),
    (2, 8),
    (3, 24),
    (4, 8),
    (5, 24),
    (6, 24),
    (7, 8),
    (0xff, 0),
    (0xfe, 0),
    (8, 12),
    (9, 12),
    (10, 12),
    (11, 12),
];

/// One row has one encoding: what can be read is written as the same bytes.
///
/// The data: table (1), key (by its table), applied seq (8), texts (1 length, then that many
/// bytes: the row that cells with texts find), then the body.
pub(crate) fn row(data: &[u8]) {
    if let Some((table, again, body)) = read(data) {
        assert_eq!(again, body, "table {table}");
    }
}

/// Table, what was written of what was read, and the body; `None` if it is refused.
pub(crate) fn read(data: &[u8]) -> Option<(u8, Vec<u8>, &[u8])> {
    let (number, rest) = data.split_first()?;
    let (table, key_bytes) = TABLES[usize::from(*number) % TABLES.len()];
    let (key, rest) = rest.split_at_checked(key_bytes)?;
    let (applied, rest) = rest.split_first_chunk::<8>()?;
    let (texts_bytes, rest) = rest.split_first()?;
    let (texts, body) = rest.split_at_checked((*texts_bytes).into())?;
    let again = reread(table, u64::from_be_bytes(*applied), key, body, texts)?;
    Some((table, again, body))
}
