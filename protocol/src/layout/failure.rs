//! Layouts of failures and their details (SPEC.md section 10).

use super::allocation::ALLOCATION_BYTES_MAX;
use super::element::fixed_prefix;
use super::{Layout, Read};
use crate::codec::FAILURE_BYTES_MAX;
use crate::error::{DecodeError, Fault};
use crate::header::REPLY_HEADER_BYTES;
use crate::id::{Instance, Revision};
use crate::message::failure::{Candidate, DETAILS_MAX, Detail, FAILURE_CANDIDATES_MAX, Failure};
use crate::status::Status;
use crate::text::{TEXT_BYTES_MAX, Text};
use crate::wire::{ITEM_HEADER_BYTES, Reader, TAIL_ENTRY_HEADER_BYTES, Writer, limit};

/// Bytes of a failure before its details.
const FAILURE_BYTES: usize = 8;
/// Most bytes of a failure without details.
pub(super) const FAILURE_BYTES_BARE_MAX: usize =
    FAILURE_BYTES + 2 * (TAIL_ENTRY_HEADER_BYTES + TEXT_BYTES_MAX);
/// Most bytes of the details of a failure that is a reply of its own.
pub(crate) const FAILURE_DETAILS_BYTES_MAX: usize =
    FAILURE_BYTES_MAX - REPLY_HEADER_BYTES - FAILURE_BYTES_BARE_MAX;
/// Bytes of a candidate with its length.
const CANDIDATE_BYTES: usize = ITEM_HEADER_BYTES + 2 + 112;
/// Least bytes of a detail: kind and reserved.
const DETAIL_BYTES_MIN: usize = 2;
/// The item number that says "none".
const ITEM_NONE: u16 = 0xffff;

const _: () = assert!(FAILURE_CANDIDATES_MAX < DETAILS_MAX, "candidates and what else there is");
const _: () = assert!(
    FAILURE_CANDIDATES_MAX * CANDIDATE_BYTES + ITEM_HEADER_BYTES + 2 + ALLOCATION_BYTES_MAX
        <= FAILURE_DETAILS_BYTES_MAX,
    "all candidates and one allocation fit"
);

const BOUNDS: u8 = 1;
const HELD: u8 = 2;
const CURRENT: u8 = 3;
const OTHER: u8 = 4;
const COUNT: u8 = 5;
const CANDIDATE: u8 = 6;
const BOUND: u8 = 7;
const QUOTA: u8 = 32;

/// The body of a reply whose status is not done; status and advice stand before it.
pub(crate) fn read_failure(
    reader: &mut Reader<'_>,
    status: Status,
    retry_after_ms: u32,
) -> Read<Failure> {
    let item = Some(reader.u16("item")?).filter(|item| *item != ITEM_NONE);
    let count = usize::from(reader.u16("details")?);
    reader.zero::<4>("reserved")?;
    limit(count, DETAILS_MAX, "details")?;
    let details = reader.items(count, DETAIL_BYTES_MIN, read_detail)?;
    let details = details.into_iter().flatten().collect();
    let (mut message, mut field) = (Text::default(), None);
    reader.tail(|tag, value| {
        match tag {
            0x0001 => message = value.any_text("message")?,
            0x0002 => field = Some(value.any_text("field")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Failure { status, retry_after_ms, item, field, message, details })
}

/// Details are written while they fit `details_bytes` and [`DETAILS_MAX`]; the others are left out.
pub(crate) fn write_failure(failure: &Failure, details_bytes: usize, writer: &mut Writer<'_>) {
    writer.u16(failure.item.unwrap_or(ITEM_NONE));
    let count_at = writer.len();
    writer.u16(0);
    writer.u32(0);
    let (start, mut count) = (writer.len(), 0_u16);
    for detail in failure.details.iter().take(DETAILS_MAX) {
        let before = writer.len();
        writer.item(|w| write_detail(detail, w));
        if writer.len().saturating_sub(start) > details_bytes {
            writer.truncate(before);
            break;
        }
        count = count.saturating_add(1);
    }
    writer.put_u16_at(count_at, count);
    writer.entry_text(0x0001, Some(&failure.message));
    writer.entry_text(0x0002, failure.field.as_ref());
}

/// A kind that this version does not know is left out: it is there for newer clients.
fn read_detail(reader: &mut Reader<'_>) -> Read<Option<Detail>> {
    let kind = reader.u8("kind")?;
    reader.zero::<1>("reserved")?;
    let detail = match kind {
        BOUNDS => Detail::Bounds {
            value: reader.u128("value")?,
            least: reader.u128("least")?,
            most: reader.u128("most")?,
        },
        HELD => return Layout::read(reader).map(|held| Some(Detail::Held(held))),
        CURRENT => Detail::Current {
            revision: Revision(reader.u64("revision")?),
            instance: Instance(reader.u64("instance")?),
        },
        OTHER => read_other(reader)?,
        COUNT => Detail::Count { count: reader.u128("count")? },
        CANDIDATE => Detail::Candidate(read_candidate(reader)?),
        QUOTA => read_quota(reader)?,
        BOUND => return read_bound(reader).map(Some),
        _ => {
            reader.skip();
            return Ok(None);
        }
    };
    reader.no_tags()?;
    Ok(Some(detail))
}

fn read_other(reader: &mut Reader<'_>) -> Read<Detail> {
    let network_id = reader.id("network_id")?;
    let subnet_id = reader.id("subnet_id")?;
    let number = reader.u128("cidr")?;
    let (family, length) = (reader.u8("cidr")?, reader.u8("cidr")?);
    reader.zero::<6>("reserved")?;
    let cidr = match (family, length, number) {
        (0, 0, 0) => None,
        (0, ..) => return Err(DecodeError::new(Fault::Reserved, "cidr")),
        _ => Some(fixed_prefix(family, number, length)?),
    };
    Ok(Detail::Other { network_id, subnet_id, cidr })
}

fn read_quota(reader: &mut Reader<'_>) -> Read<Detail> {
    let resource = reader.numbered("resource")?;
    reader.zero::<7>("reserved")?;
    Ok(Detail::Quota {
        resource,
        limit: reader.u128("limit")?,
        used: reader.u128("used")?,
        asked: reader.u128("asked")?,
    })
}

fn read_candidate(reader: &mut Reader<'_>) -> Read<Candidate> {
    let subnet_id = reader.id("subnet_id")?;
    let reason = reader.numbered("reason")?;
    reader.zero::<7>("reserved")?;
    let next_free_in_ms = reader.u64("next_free_in_ms")?;
    Ok(Candidate {
        subnet_id,
        reason,
        pool_size: reader.u128("pool_size")?,
        allocated: reader.u128("allocated")?,
        held: reader.u128("held")?,
        quarantined: reader.u128("quarantined")?,
        excluded: reader.u128("excluded")?,
        next_free_in_ms,
    })
}

fn read_bound(reader: &mut Reader<'_>) -> Read<Detail> {
    let mut name = Text::default();
    reader.tail(|tag, value| {
        if tag == 0x0001 {
            name = value.any_text("name")?;
        }
        Ok(tag == 0x0001)
    })?;
    Ok(Detail::Bound { name })
}

fn write_detail(detail: &Detail, writer: &mut Writer<'_>) {
    let mut kind = |kind: u8| writer.slice(&[kind, 0]);
    match detail {
        Detail::Bounds { value, least, most } => {
            kind(BOUNDS);
            writer.u128(*value);
            writer.u128(*least);
            writer.u128(*most);
        }
        Detail::Held(allocation) => {
            kind(HELD);
            allocation.write(writer);
        }
        Detail::Current { revision, instance } => {
            kind(CURRENT);
            writer.u64(revision.0);
            writer.u64(instance.0);
        }
        Detail::Other { network_id, subnet_id, cidr } => {
            kind(OTHER);
            writer.slice(network_id.as_bytes());
            writer.slice(subnet_id.as_bytes());
            match cidr {
                Some(prefix) => {
                    writer.fixed_address(&prefix.first());
                    writer.family(&prefix.first());
                    writer.u8(prefix.length());
                }
                None => writer.slice(&[0; 18]),
            }
            writer.slice(&[0; 6]);
        }
        Detail::Count { count } => {
            kind(COUNT);
            writer.u128(*count);
        }
        Detail::Candidate(candidate) => {
            kind(CANDIDATE);
            write_candidate(candidate, writer);
        }
        Detail::Quota { resource, limit, used, asked } => {
            kind(QUOTA);
            writer.numbered(*resource);
            writer.slice(&[0; 7]);
            writer.u128(*limit);
            writer.u128(*used);
            writer.u128(*asked);
        }
        Detail::Bound { name } => {
            kind(BOUND);
            writer.entry_text(0x0001, Some(name));
        }
    }
}

fn write_candidate(candidate: &Candidate, writer: &mut Writer<'_>) {
    writer.slice(candidate.subnet_id.as_bytes());
    writer.numbered(candidate.reason);
    writer.slice(&[0; 7]);
    writer.u64(candidate.next_free_in_ms);
    writer.u128(candidate.pool_size);
    writer.u128(candidate.allocated);
    writer.u128(candidate.held);
    writer.u128(candidate.quarantined);
    writer.u128(candidate.excluded);
}
