//! What must hold for any bytes where a journal is read. Called by the fuzz targets, and on stable
//! by `tests/fuzz_replay.rs` for the committed corpus. Never expects an input to be valid.

use addrd::journal::{
    BatchError, BatchIdentity, BatchSealer, BatchView, RecordBuffer, RecordError, cell_mark,
    decode, encode, skip,
};
use addrd::limits::{BATCH_HEADER_BYTES, JOURNAL_ROW_BYTES_MAX};
use addrd::model::{
    Effect, EffectSink, Incarnation, NetworkHandle, Revision, Seq, ServerId, SubnetHandle, Tick,
};

/// Of the batches that are made here.
pub(crate) const SERVER: ServerId = ServerId::from_u128(0x5555_5555_5555_4555_8555_5555_5555_5555);
/// Bytes in front of the records of a batch that is made here: all that a header says.
const HEADER_FIELDS_BYTES: usize = 36;

/// One value has one encoding: what can be read is written as the same bytes.
pub(crate) fn record(data: &[u8]) {
    let (length, mark) = (skip(data), cell_mark(data));
    let (effect, used) = match decode(data) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(length.is_ok() || error == RecordError::Short, "{error:?}");
            return;
        }
    };
    assert_eq!(length, Ok(used));
    let place = mark.expect("what can be read whole can be read in part");
    let place = place.map(|mark| (mark.network, mark.subnet, mark.offset, mark.revision));
    assert_eq!(place, place_of(&effect));
    let mut buffer = RecordBuffer::default();
    buffer.push(&effect);
    assert_eq!(buffer.as_bytes(), &data[..used], "{effect:?}");
    buffer.push(&effect);
    buffer.truncate(used);
    assert_eq!((buffer.record_count(), buffer.as_bytes()), (1, &data[..used]));
}

/// Where a cell is, and the revision of its change.
fn place_of(effect: &Effect) -> Option<(NetworkHandle, SubnetHandle, u128, Revision)> {
    let (place, revision) = match effect {
        Effect::AllocationPut(row) => (row.place, row.changed),
        Effect::AllocationGone { place, revision, .. } => (*place, *revision),
        _ => return None,
    };
    Some((place.network, place.subnet, place.offset, revision))
}

/// A row that nobody sealed is refused or read as what it says; one that was sealed is read, and
/// with any byte of it changed it is refused.
///
/// The data is a row; and again the fields of a header, then records.
pub(crate) fn batch(data: &[u8]) {
    if let Ok(view) = BatchView::decode(data, SERVER) {
        assert_eq!(BatchView::peek(data).as_ref(), Ok(view.header()));
        assert_eq!(view.header().encode(), data[..BATCH_HEADER_BYTES]);
        records_agree(&view);
    }
    if let Some((fields, records)) = data.split_first_chunk::<HEADER_FIELDS_BYTES>() {
        sealed(fields, records);
    }
}

fn sealed(fields: &[u8; HEADER_FIELDS_BYTES], records: &[u8]) {
    if records.len() > JOURNAL_ROW_BYTES_MAX - BATCH_HEADER_BYTES {
        return;
    }
    let number = |at: usize| u64::from_be_bytes(fields[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u32::from_be_bytes(fields[at..at + 4].try_into().expect("4 bytes"));
    let identity =
        BatchIdentity { server: SERVER, incarnation: Incarnation(half(0)), term: number(4) };
    // The last seq there is would have no successor.
    let first = Seq(number(12) % u64::from(u32::MAX));
    let hand_overs = u32::from(fields[32]) + 1;
    let count = match u32::from(fields[33]) {
        0 => count_of(records),
        other => other,
    };
    let mut sealer = BatchSealer::new(identity, first, half(28));
    let header = sealer.seal(Tick(number(20)), hand_overs, count, &[records]);
    let mut row = header.encode().to_vec();
    row.extend_from_slice(records);
    let view = BatchView::decode(&row, SERVER).expect("a sealed batch is read");
    assert_eq!(*view.header(), header);
    assert!(view.header().follows(Seq(first.0.wrapping_sub(1)), half(28)).is_ok() || first.0 == 0);
    records_agree(&view);
    changed(&mut row, u16::from_be_bytes([fields[34], fields[35]]));
}

/// How many records the bytes look like.
fn count_of(mut records: &[u8]) -> u32 {
    let mut count = 0;
    while let Ok(length) = skip(records) {
        (records, count) = (&records[length..], count + 1);
    }
    count
}

/// Raw and decoded records are the same ones, and nothing follows an error.
fn records_agree(view: &BatchView<'_>) {
    let (mut raw, mut decoded) = (view.records(), view.records());
    let (mut bytes, mut count) = (0, 0);
    while let Some(record) = raw.next_raw() {
        let effect = decoded.next().expect("as many as raw ones");
        let (record, effect) = match (record, effect) {
            (Ok(record), Ok(effect)) => (record, effect),
            (Ok(_), Err(BatchError::Record(_))) => return assert!(decoded.next().is_none()),
            (Err(one), Err(other)) => {
                assert_eq!(one, other);
                return assert!(raw.next_raw().is_none() && decoded.next().is_none());
            }
            (one, other) => panic!("{one:?} and {other:?}"),
        };
        let mut again = Vec::new();
        encode(&effect, &mut again);
        assert_eq!(again, record);
        bytes += record.len();
        count += 1;
    }
    assert!(decoded.next().is_none());
    assert_eq!((count, bytes), (view.header().records, view.record_bytes().len()));
}

/// The checksum tells every change of one byte.
fn changed(row: &mut [u8], what: u16) {
    let at = usize::from(what) % row.len();
    row[at] ^= u8::try_from(what % 255).expect("below 255") + 1;
    assert!(BatchView::decode(row, SERVER).is_err(), "byte {at} was changed");
}
