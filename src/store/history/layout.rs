//! The bytes of a volume of history beside its batches: head and end. Knows no file.

use crate::journal::{Reader, Short};
use crate::model::{Incarnation, Seq, ServerId, Tick};
use crc32c::crc32c;

/// Bytes of a head, and of an end.
pub(crate) const HEAD_BYTES: usize = 64;
/// The same as an offset.
pub(crate) const HEAD_LENGTH: u64 = HEAD_BYTES as u64;

const HEAD_MAGIC: [u8; 4] = *b"adh\0";
const END_MAGIC: [u8; 4] = *b"ade\0";

/// What a volume says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) server: ServerId,
    pub(crate) incarnation: Incarnation,
    /// Number of the volume, as in its file's name.
    pub(crate) number: u64,
    /// The first hand-over in it.
    pub(crate) first: Seq,
    /// It is complete from this moment on.
    pub(crate) since: Tick,
    /// Names behind the head.
    pub(crate) names: u32,
}

/// What stands behind the last batch of a volume that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) number: u64,
    /// The last hand-over in it.
    pub(crate) last: Seq,
    /// The latest tick in it.
    pub(crate) tick: Tick,
    /// Offset at which it stands.
    pub(crate) offset: u64,
}

/// Name of the file of a volume.
pub(crate) fn volume_file(number: u64) -> String {
    format!("history-{number:016x}.log")
}

/// Name of the file of a full volume's index.
pub(crate) fn index_file(number: u64) -> String {
    format!("history-{number:016x}{INDEX}")
}

/// How the name of such a file ends.
pub(crate) const INDEX: &str = ".idx";

/// Name of the file of a volume that is being begun: it gets its own once its head is durable.
pub(crate) fn unborn_file(number: u64) -> String {
    format!("history-{number:016x}{UNBORN}")
}

/// How the name of such a file ends.
pub(crate) const UNBORN: &str = ".new";

/// The number in the name of a volume. `None`: not one of history.
pub(crate) fn number_in(name: &str) -> Option<u64> {
    number_before(name, ".log")
}

/// The number in the name of a file of history that ends so.
pub(crate) fn number_before(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_prefix("history-")?.strip_suffix(ending)?;
    let is_plain = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_plain)
}

pub(super) fn seal(mut out: Vec<u8>) -> [u8; HEAD_BYTES] {
    out.resize(HEAD_BYTES - 4, 0);
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    <[u8; HEAD_BYTES]>::try_from(out.as_slice()).unwrap_or([0; HEAD_BYTES])
}

/// The fields of sealed bytes behind their magic.
pub(super) fn open(bytes: &[u8; HEAD_BYTES], magic: [u8; 4]) -> Option<Reader<'_>> {
    let (checked, sum) = bytes.split_at_checked(HEAD_BYTES - 4)?;
    (crc32c(checked).to_be_bytes() == sum && checked.starts_with(&magic))
        .then(|| Reader::new(checked.get(4..).unwrap_or_default()))
}

pub(super) fn rest_is_zero(reader: &mut Reader<'_>) -> Result<bool, Short> {
    Ok(reader.take(reader.left())?.iter().all(|byte| *byte == 0))
}

impl Head {
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut out = HEAD_MAGIC.to_vec();
        out.extend_from_slice(&self.incarnation.0.to_be_bytes());
        out.extend_from_slice(self.server.as_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.first.0.to_be_bytes());
        out.extend_from_slice(&self.since.0.to_be_bytes());
        out.extend_from_slice(&self.names.to_be_bytes());
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        Self::read(&mut open(bytes, HEAD_MAGIC)?).ok().flatten()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Short> {
        let head = Self {
            incarnation: Incarnation(reader.u32()?),
            server: ServerId::from_bytes(reader.array()?),
            number: reader.u64()?,
            first: Seq(reader.u64()?),
            since: Tick(reader.u64()?),
            names: reader.u32()?,
        };
        Ok(rest_is_zero(reader)?.then_some(head))
    }

    /// Offset of the first batch.
    pub(crate) const fn batches_at(&self) -> u64 {
        HEAD_LENGTH + self.names as u64 * super::name::NAME_BYTES as u64
    }
}

impl End {
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut out = END_MAGIC.to_vec();
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.last.0.to_be_bytes());
        out.extend_from_slice(&self.tick.0.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        Self::read(&mut open(bytes, END_MAGIC)?).ok().flatten()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Short> {
        let end = Self {
            number: reader.u64()?,
            last: Seq(reader.u64()?),
            tick: Tick(reader.u64()?),
            offset: reader.u64()?,
        };
        Ok(rest_is_zero(reader)?.then_some(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_ends_read_back_and_every_changed_bit_is_noticed() {
        let head = Head {
            server: ServerId::from_u128(u128::MAX),
            incarnation: Incarnation(3),
            number: 5,
            first: Seq(1),
            since: Tick(u64::MAX),
            names: 70_000,
        };
        let end = End { number: 5, last: Seq(9), tick: Tick(8), offset: 1 << 40 };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert_eq!(End::decode(&end.encode()), Some(end));
        assert_eq!(End::decode(&head.encode()), None);
        for bit in 0..HEAD_BYTES * 8 {
            let (mut bad_head, mut bad_end) = (head.encode(), end.encode());
            bad_head[bit / 8] ^= 1 << (bit % 8);
            bad_end[bit / 8] ^= 1 << (bit % 8);
            assert_eq!((Head::decode(&bad_head), End::decode(&bad_end)), (None, None), "bit {bit}");
        }
    }

    #[test]
    fn only_names_of_history_are_taken_for_such() {
        assert_eq!(number_in(&volume_file(255)), Some(255));
        for name in ["history-1.log", "history-00000000000000ff.new", "journal.ring", "history-"] {
            assert_eq!(number_in(name), None, "{name}");
        }
    }
}
