//! Fields that several kinds of records and state rows share: texts, addresses, enumerations.

use super::RecordError;
use crate::journal::reader::Reader;
use crate::model::{Family, Prefix, Range, Text};
use addrd_protocol::message::{
    AllocationState, ExclusionMode, IpAllocation, Ipv6Mode, JobKind, Strategy, SubnetKind,
};
use addrd_protocol::text::TEXT_BYTES_MAX;
use std::net::IpAddr;

/// u8 length, then the bytes.
pub(crate) fn encode_text(text: &Text, out: &mut Vec<u8>) {
    let bytes = text.as_str().as_bytes();
    let length = u8::try_from(bytes.len());
    assert!(length.is_ok(), "a text has at most {TEXT_BYTES_MAX} bytes");
    out.push(length.unwrap_or_default());
    out.extend_from_slice(bytes);
}

pub(crate) fn decode_text(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Text, RecordError> {
    let length = usize::from(reader.u8()?);
    let text = std::str::from_utf8(reader.take(length)?);
    let text = text.ok().and_then(|text| Text::new(text).ok());
    text.ok_or(RecordError::Field(field))
}

/// Family as 4 or 6, then 4 or 16 bytes.
pub(super) fn encode_address(address: &IpAddr, out: &mut Vec<u8>) {
    out.push(Family::of(address) as u8);
    encode_bare(address, out);
}

fn encode_bare(address: &IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
}

fn decode_family(reader: &mut Reader<'_>) -> Result<Family, RecordError> {
    match reader.u8()? {
        4 => Ok(Family::V4),
        6 => Ok(Family::V6),
        _ => Err(RecordError::Field("family")),
    }
}

fn decode_bare(reader: &mut Reader<'_>, family: Family) -> Result<IpAddr, RecordError> {
    Ok(match family {
        Family::V4 => IpAddr::from(reader.array::<4>()?),
        Family::V6 => IpAddr::from(reader.array::<16>()?),
    })
}

pub(super) fn decode_address(reader: &mut Reader<'_>) -> Result<IpAddr, RecordError> {
    let family = decode_family(reader)?;
    decode_bare(reader, family)
}

/// Family, length in bits, first address.
pub(super) fn encode_prefix(prefix: &Prefix, out: &mut Vec<u8>) {
    out.push(prefix.family() as u8);
    out.push(prefix.length());
    encode_bare(&prefix.first(), out);
}

pub(super) fn decode_prefix(reader: &mut Reader<'_>) -> Result<Prefix, RecordError> {
    let family = decode_family(reader)?;
    let length = reader.u8()?;
    let first = decode_bare(reader, family)?;
    Prefix::new(first, length).ok_or(RecordError::Field("prefix"))
}

/// Family, first address, last address.
pub(super) fn encode_range(range: &Range, out: &mut Vec<u8>) {
    out.push(range.family() as u8);
    encode_bare(&range.first(), out);
    encode_bare(&range.last(), out);
}

pub(super) fn decode_range(reader: &mut Reader<'_>) -> Result<Range, RecordError> {
    let family = decode_family(reader)?;
    let first = decode_bare(reader, family)?;
    let last = decode_bare(reader, family)?;
    Range::new(first, last).ok_or(RecordError::Field("range"))
}

/// The state with this stored number; `Free` is never stored.
pub(crate) const fn state_of(number: u8) -> Result<AllocationState, RecordError> {
    Ok(match number {
        1 => AllocationState::Held,
        2 => AllocationState::Allocated,
        3 => AllocationState::Quarantined,
        _ => return Err(RecordError::Field("state")),
    })
}

pub(super) const fn subnet_kind(number: u8) -> Result<SubnetKind, RecordError> {
    Ok(match number {
        1 => SubnetKind::Broadcast,
        2 => SubnetKind::Routed,
        _ => return Err(RecordError::Field("subnet kind")),
    })
}

pub(super) const fn strategy(number: u8) -> Result<Strategy, RecordError> {
    Ok(match number {
        0 => Strategy::Default,
        1 => Strategy::Lowest,
        2 => Strategy::Next,
        3 => Strategy::Random,
        4 => Strategy::Hashed,
        5 => Strategy::Exact,
        6 => Strategy::Eui64,
        _ => return Err(RecordError::Field("strategy")),
    })
}

pub(super) const fn ipv6_mode(number: u8) -> Result<Ipv6Mode, RecordError> {
    Ok(match number {
        1 => Ipv6Mode::Slaac,
        2 => Ipv6Mode::Stateful,
        3 => Ipv6Mode::Stateless,
        _ => return Err(RecordError::Field("IPv6 mode")),
    })
}

pub(super) const fn ip_allocation(number: u8) -> Result<IpAllocation, RecordError> {
    Ok(match number {
        1 => IpAllocation::Immediate,
        2 => IpAllocation::Deferred,
        3 => IpAllocation::Unaddressed,
        _ => return Err(RecordError::Field("IP allocation")),
    })
}

pub(super) const fn exclusion_mode(number: u8) -> Result<ExclusionMode, RecordError> {
    Ok(match number {
        1 => ExclusionMode::Automatic,
        2 => ExclusionMode::Everyone,
        _ => return Err(RecordError::Field("exclusion mode")),
    })
}

pub(super) const fn job_kind(number: u8) -> Result<JobKind, RecordError> {
    Ok(match number {
        1 => JobKind::NetworkDelete,
        2 => JobKind::SubnetDelete,
        3 => JobKind::SubnetFill,
        _ => return Err(RecordError::Field("job kind")),
    })
}
