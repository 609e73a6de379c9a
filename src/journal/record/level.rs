//! Records of levels that use has crossed, and the level that a row remembers.

use super::object::presence;
use super::{Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::model::{Effect, LevelRow, SubnetHandle};

/// It is a subnet's; without, a pool's.
const SUBNET: u16 = 1;
/// Highest level, percent.
const LEVEL_MAX: u8 = 100;

pub(super) fn encode_level(row: &LevelRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::LevelPut, row.network, row.revision);
    head.presence = presence(row.subnet.is_some(), SUBNET);
    let start = head.write(out);
    if let Some(subnet) = row.subnet {
        out.extend_from_slice(&subnet.0.to_be_bytes());
    }
    out.extend_from_slice(&[row.level, row.before]);
    out.extend_from_slice(&row.used.to_be_bytes());
    out.extend_from_slice(&row.size.to_be_bytes());
    finish(out, start);
}

pub(super) fn decode_level(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, SUBNET)?;
    let subnet = if head.has(SUBNET) { Some(SubnetHandle(body.u32()?)) } else { None };
    let [level, before] = body.array()?;
    if level > LEVEL_MAX || before > LEVEL_MAX {
        return Err(RecordError::Field("level"));
    }
    let (used, size) = (body.u128()?, body.u128()?);
    let (network, revision) = (head.network, head.revision);
    Ok(Effect::LevelPut(LevelRow { network, revision, subnet, level, before, used, size }))
}

/// The level that a row remembers; nothing is written for none.
pub(super) fn encode_stored(level: u8, out: &mut Vec<u8>) {
    if level != 0 {
        out.push(level);
    }
}

pub(super) fn decode_stored(
    head: &Head,
    bit: u16,
    body: &mut Reader<'_>,
) -> Result<u8, RecordError> {
    if !head.has(bit) {
        return Ok(0);
    }
    match body.u8()? {
        level @ 1..=LEVEL_MAX => Ok(level),
        _ => Err(RecordError::Field("level")),
    }
}
