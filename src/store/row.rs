//! What single rows of the state say: reads a body strictly, for the table and the key it stands
//! under. Reads no file, and knows of one row at a time only.

use super::cells::{GroupKey, decode_cells, decode_texts, encode_cells, encode_texts};
use super::ring::Title;
use super::schema::{
    FORMAT_VERSION, StateMeta, StateTable, host_key, job_key, network_key, open_row, place_key,
    seal_meta, seal_row, split_place_key, subnet_key, thing_key,
};
use crate::journal::{RecordError, decode, encode};
use crate::model::{AllocationExtras, Effect, Seq};
use addrd_protocol::prefix::number_of;

/// The object that a row of anything but cells, texts, marks and sums holds.
///
/// # Errors
/// [`RecordError`] if the body is not exactly one record, of the kind and key of its row.
pub(crate) fn read_object(
    table: StateTable,
    key: &[u8],
    body: &[u8],
) -> Result<Effect, RecordError> {
    let (effect, length) = decode(body)?;
    if length != body.len() {
        return Err(RecordError::Trailing);
    }
    let belongs = match (table, &effect) {
        (StateTable::Networks, put) => {
            put.numbered().is_some_and(|(handle, _)| network_key(handle) == key)
        }
        (StateTable::Segments, Effect::SegmentPut(row)) => {
            thing_key(row.network, row.created) == key
        }
        (StateTable::Hosts, Effect::HostPut(row)) => thing_key(row.network, row.created) == key,
        (StateTable::Ports, Effect::PortPut(row)) => thing_key(row.network, row.created) == key,
        (StateTable::Pins, Effect::PinPut(row)) => thing_key(row.network, row.created) == key,
        (StateTable::Subnets, Effect::SubnetPut(row)) => subnet_key(row.network, row.subnet) == key,
        (StateTable::Exclusions, Effect::ExclusionPut(row)) => {
            let number = number_of(&row.exclusion.range.first());
            place_key(row.network, row.subnet, number) == key
        }
        (StateTable::Jobs, Effect::JobPut(row)) => job_key(row.job) == key,
        (StateTable::HostLeases, Effect::HostLeasePut(row)) => host_key(&row.of) == key,
        _ => false,
    };
    if belongs { Ok(effect) } else { Err(RecordError::Field("key of a row")) }
}

/// Table number of the state's meta row in [`reread`].
const STATE_META: u8 = 0xff;
/// In place of a table number in [`reread`]: the title of the journal's file, without its checksum.
const JOURNAL_TITLE: u8 = 0xfe;

/// For tests and `fuzz/`: seals a body as a row, opens it, reads it as a start does, and writes
/// what was read. `None`: it was refused.
///
/// `texts` is the body of the text row that every cell with texts finds.
#[doc(hidden)]
#[must_use]
pub fn reread(table: u8, applied: u64, key: &[u8], body: &[u8], texts: &[u8]) -> Option<Vec<u8>> {
    match table {
        STATE_META => return reread_meta(body),
        JOURNAL_TITLE => return Title::reread(body),
        _ => {}
    }
    let table = *StateTable::ALL.get(usize::from(table))?;
    let row = seal_row(table, key, Seq(applied), body);
    let (found, body) = open_row(table, key, &row)?;
    assert_eq!(found, Seq(applied));
    match table {
        StateTable::Revisions => {
            Some(u64::from_be_bytes(body.try_into().ok()?).to_be_bytes().into())
        }
        StateTable::Cursors => {
            Some(u128::from_be_bytes(body.try_into().ok()?).to_be_bytes().into())
        }
        StateTable::Cells => reread_cells(key, body, texts),
        StateTable::Texts => {
            let mut extras = AllocationExtras::default();
            decode_texts(body, &mut extras).ok()?;
            Some(encode_texts(&extras))
        }
        _ => {
            let mut again = Vec::new();
            encode(&read_object(table, key, body).ok()?, &mut again);
            Some(again)
        }
    }
}

fn reread_cells(key: &[u8], body: &[u8], texts: &[u8]) -> Option<Vec<u8>> {
    let (network, subnet, group) = split_place_key(key.try_into().ok()?);
    let mut cells = Vec::new();
    let key = GroupKey { network, subnet, group };
    decode_cells(key, body, &mut cells, &mut |_| Some(texts.to_vec())).ok()?;
    assert!(cells.iter().all(|cell| GroupKey::at(network, subnet, cell.place.offset) == key));
    Some(encode_cells(&cells))
}

/// A meta row is its own envelope: the body is all behind the checksum.
fn reread_meta(body: &[u8]) -> Option<Vec<u8>> {
    let (meta, version) = StateMeta::decode(&seal_meta(body)?).ok()??;
    // What is of an older format is written in that of today.
    let again = (version == FORMAT_VERSION).then(|| meta.encode())?;
    Some(again.get(4..)?.to_vec())
}
