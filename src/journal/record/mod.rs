//! Records: one effect as bytes. Encodes what deciding code gave, decodes strictly: one value has
//! one encoding, anything else is an error.

mod allocation;
mod asked;
mod catalogue;
mod field;
mod host_lease;
mod level;
mod object;
mod port;
mod principal;

#[cfg(test)]
mod tests;

use super::reader::{Reader, Short};
use crate::model::{AllocationPlace, Effect, NetworkHandle, OwnerId, Revision, SubnetHandle};
use std::fmt;

pub(crate) use field::{decode_text, encode_text, state_of};

/// What a record says; the number that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// [`Effect::NetworkPut`].
    NetworkPut = 1,
    /// [`Effect::NetworkGone`].
    NetworkGone = 2,
    /// [`Effect::SubnetPut`].
    SubnetPut = 3,
    /// [`Effect::SubnetGone`].
    SubnetGone = 4,
    /// [`Effect::ExclusionPut`].
    ExclusionPut = 5,
    /// [`Effect::ExclusionGone`].
    ExclusionGone = 6,
    /// [`Effect::AllocationPut`].
    AllocationPut = 7,
    /// [`Effect::AllocationGone`].
    AllocationGone = 8,
    /// [`Effect::JobPut`].
    JobPut = 9,
    /// [`Effect::JobGone`].
    JobGone = 10,
    /// [`Effect::ProjectPut`].
    ProjectPut = 11,
    /// [`Effect::ScopePut`].
    ScopePut = 12,
    /// [`Effect::PoolPut`].
    PoolPut = 13,
    /// [`Effect::ObjectGone`].
    ObjectGone = 14,
    /// [`Effect::PrincipalPut`].
    PrincipalPut = 15,
    /// [`Effect::SegmentPut`].
    SegmentPut = 42,
    /// [`Effect::HostPut`].
    HostPut = 43,
    /// [`Effect::PortPut`].
    PortPut = 44,
    /// [`Effect::PinPut`].
    PinPut = 45,
    /// [`Effect::ThingGone`].
    ThingGone = 46,
    /// [`Effect::Adoption`].
    Adoption = 60,
    /// [`Effect::LevelPut`].
    LevelPut = 70,
    /// [`Effect::HostLeasePut`].
    HostLeasePut = 71,
    /// [`Effect::HostLeaseGone`].
    HostLeaseGone = 72,
    /// [`Effect::Asked`].
    Asked = 80,
}

impl RecordKind {
    /// The kind with this stored number; `None` for one that this server doesn't know.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::NetworkPut,
            2 => Self::NetworkGone,
            3 => Self::SubnetPut,
            4 => Self::SubnetGone,
            5 => Self::ExclusionPut,
            6 => Self::ExclusionGone,
            7 => Self::AllocationPut,
            8 => Self::AllocationGone,
            9 => Self::JobPut,
            10 => Self::JobGone,
            11 => Self::ProjectPut,
            12 => Self::ScopePut,
            13 => Self::PoolPut,
            14 => Self::ObjectGone,
            15 => Self::PrincipalPut,
            42 => Self::SegmentPut,
            43 => Self::HostPut,
            44 => Self::PortPut,
            45 => Self::PinPut,
            46 => Self::ThingGone,
            60 => Self::Adoption,
            70 => Self::LevelPut,
            71 => Self::HostLeasePut,
            72 => Self::HostLeaseGone,
            80 => Self::Asked,
            _ => return None,
        })
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// Fewer bytes than the record says or needs.
    Short,
    /// A kind that this server doesn't know: written by a newer one.
    UnknownKind(u8),
    /// A flag or presence bit that this server doesn't know: written by a newer one.
    UnknownFlag {
        /// The kind of record.
        kind: RecordKind,
        /// The bits that are not known.
        bits: u16,
    },
    /// A field that is outside its range, or not in its one encoding.
    Field(&'static str),
    /// Bytes left after the last field.
    Trailing,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the record ends too early"),
            Self::UnknownKind(kind) => write!(f, "unknown kind of record {kind}"),
            Self::UnknownFlag { kind, bits } => write!(f, "unknown flags {bits:#06x} in {kind:?}"),
            Self::Field(name) => write!(f, "field {name} is out of range"),
            Self::Trailing => f.write_str("bytes left after the last field"),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<Short> for RecordError {
    fn from(_: Short) -> Self {
        Self::Short
    }
}

/// Appends an effect as one record.
///
/// Shape: allocates only if `out` is full.
///
/// # Panics
/// If a list is longer than the protocol's bound or a record passes 64 KiB: deciding code checked
/// both.
pub fn encode(effect: &Effect, out: &mut Vec<u8>) {
    match effect {
        Effect::AllocationPut(row) => allocation::encode_put(row, out),
        Effect::AllocationGone { place, revision, held_by } => {
            allocation::encode_gone(place, *revision, held_by.as_ref(), out);
        }
        Effect::PortPut(row) => port::encode_port(row, out),
        Effect::SegmentPut(row) => port::encode_segment(row, out),
        Effect::HostPut(row) => port::encode_host(row, out),
        Effect::PinPut(row) => port::encode_pin(row, out),
        Effect::ThingGone { network, revision, created, was } => {
            port::encode_gone(*network, *revision, *created, was, out);
        }
        Effect::HostLeasePut(row) => host_lease::encode_put(row, out),
        Effect::HostLeaseGone { of, life } => host_lease::encode_gone(of, *life, out),
        Effect::PrincipalPut(row) => principal::encode_put(row, out),
        Effect::Asked(asked) => asked::encode(asked, out),
        other => object::encode(other, out),
    }
}

/// Reads the record at the start of `bytes`.
///
/// Returns the effect and how many bytes the record has.
///
/// # Errors
/// [`RecordError`] if the bytes are not exactly what [`encode`] writes for some effect.
pub fn decode(bytes: &[u8]) -> Result<(Effect, usize), RecordError> {
    let (head, mut body, used) = Head::read(bytes)?;
    let effect = match head.kind {
        RecordKind::AllocationPut => allocation::decode_put(&head, &mut body)?,
        RecordKind::AllocationGone => allocation::decode_gone(&head, &mut body)?,
        RecordKind::PortPut => port::decode_port(&head, &mut body)?,
        RecordKind::SegmentPut => port::decode_segment(&head, &mut body)?,
        RecordKind::HostPut => port::decode_host(&head, &mut body)?,
        RecordKind::PinPut => port::decode_pin(&head, &mut body)?,
        RecordKind::ThingGone => port::decode_gone(&head, &mut body)?,
        RecordKind::HostLeasePut => host_lease::decode_put(&head, &mut body)?,
        RecordKind::HostLeaseGone => host_lease::decode_gone(&head, &mut body)?,
        RecordKind::PrincipalPut => principal::decode_put(&head, &mut body)?,
        RecordKind::Asked => asked::decode(&head, &mut body)?,
        _ => object::decode(&head, &mut body)?,
    };
    if body.is_empty() { Ok((effect, used)) } else { Err(RecordError::Trailing) }
}

/// Whether the record at the start of `bytes` says who asked, and nothing else.
#[must_use]
pub(super) fn is_asked(bytes: &[u8]) -> bool {
    bytes.get(2) == Some(&(RecordKind::Asked as u8))
}

/// Where the record of a cell belongs, without what it says of the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellMark {
    /// Its network.
    pub network: NetworkHandle,
    /// Revision of the change.
    pub revision: Revision,
    /// Its subnet.
    pub subnet: SubnetHandle,
    /// 0-based offset in the subnet's prefix.
    pub offset: u128,
    /// Where `next` goes on in the subnet, if the record moves that.
    pub cursor: Option<u128>,
}

/// Reads only where a record of a cell belongs; `None` for records of anything else.
///
/// Shape: for a plain record a quarter of what [`decode`] costs. Fields behind the place are not
/// looked at, so a record that this accepts may still be one that [`decode`] refuses.
///
/// # Errors
/// [`RecordError`] if its head or place can't be read.
pub fn cell_mark(bytes: &[u8]) -> Result<Option<CellMark>, RecordError> {
    let (head, body, _) = Head::read(bytes)?;
    match head.kind {
        RecordKind::AllocationPut => allocation::mark_of_put(&head, body).map(Some),
        RecordKind::AllocationGone => allocation::mark_of_gone(&head, body).map(Some),
        _ => Ok(None),
    }
}

/// What a record of a cell is about: its place, and who holds it or held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellGlance {
    /// Where.
    pub place: AllocationPlace,
    /// The holder; `None`: nobody, a rest has ended.
    pub owner: Option<OwnerId>,
    /// Who held it until now, if it was transferred.
    pub former: Option<OwnerId>,
}

/// Reads only place and holder of a record of a cell; `None` for records of anything else.
///
/// # Errors
/// [`RecordError`] if its head, place or holder can't be read.
#[inline]
pub fn cell_glance(bytes: &[u8]) -> Result<Option<CellGlance>, RecordError> {
    let (head, body, _) = Head::read(bytes)?;
    match head.kind {
        RecordKind::AllocationPut => allocation::glance_at_put(&head, body).map(Some),
        RecordKind::AllocationGone => allocation::glance_at_gone(&head, body).map(Some),
        _ => Ok(None),
    }
}

/// Size in bytes of the record at the start of `bytes`, without reading more than its length.
///
/// # Errors
/// [`RecordError::Short`] if there are fewer bytes than that.
pub fn skip(bytes: &[u8]) -> Result<usize, RecordError> {
    let length = usize::from(Reader::new(bytes).u16()?);
    if length < HEAD_BYTES || length > bytes.len() {
        return Err(RecordError::Short);
    }
    Ok(length)
}

/// Bytes that every record starts with.
const HEAD_BYTES: usize = 18;

/// What every record starts with, except its length.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: RecordKind,
    flags: u8,
    presence: u16,
    network: NetworkHandle,
    revision: Revision,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<(Self, Reader<'_>, usize), RecordError> {
        let used = skip(bytes)?;
        let mut reader = Reader::new(bytes.get(..used).ok_or(RecordError::Short)?);
        let _length = reader.u16()?;
        let number = reader.u8()?;
        let kind = RecordKind::from_number(number).ok_or(RecordError::UnknownKind(number))?;
        let head = Self {
            kind,
            flags: reader.u8()?,
            presence: reader.u16()?,
            network: NetworkHandle(reader.u32()?),
            revision: Revision(reader.u64()?),
        };
        Ok((head, reader, used))
    }

    /// Refuses bits that are not in the masks.
    const fn only(&self, flags: u8, presence: u16) -> Result<(), RecordError> {
        if self.flags & !flags != 0 {
            let bits = (self.flags & !flags) as u16;
            return Err(RecordError::UnknownFlag { kind: self.kind, bits });
        }
        if self.presence & !presence != 0 {
            let bits = self.presence & !presence;
            return Err(RecordError::UnknownFlag { kind: self.kind, bits });
        }
        Ok(())
    }

    const fn has(&self, bit: u16) -> bool {
        self.presence & bit != 0
    }

    /// Writes the head with a length of zero; [`finish`] fills it in.
    fn write(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let [r0, r1, r2, r3, r4, r5, r6, r7] = self.revision.0.to_be_bytes();
        let [n0, n1, n2, n3] = self.network.0.to_be_bytes();
        let [p0, p1] = self.presence.to_be_bytes();
        let kind = self.kind as u8;
        out.extend_from_slice(&[
            0, 0, kind, self.flags, p0, p1, n0, n1, n2, n3, r0, r1, r2, r3, r4, r5, r6, r7,
        ]);
        start
    }
}

/// Writes the length of the record that began at `start`.
fn finish(out: &mut [u8], start: usize) {
    let record = out.get_mut(start..).unwrap_or_default();
    let length = u16::try_from(record.len());
    assert!(length.is_ok(), "a record of {} bytes; its lists have bounds", record.len());
    if let (Some(field), Ok(length)) = (record.first_chunk_mut::<2>(), length) {
        *field = length.to_be_bytes();
    }
}
