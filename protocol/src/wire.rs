//! Bounded reading and writing of fields (SPEC.md sections 1 and 3). Knows no message.

use crate::error::{DecodeError, EncodeError, Fault};
use crate::text::{Text, TextError};
use bytes::{BufMut, Bytes, BytesMut};

/// Most entries of a tail.
pub const TAIL_ENTRIES_MAX: usize = 16;
/// Bit of a tag that forbids to ignore it.
pub const TAG_CRITICAL: u16 = 0x8000;
/// Bytes of a tag and its length.
pub const TAIL_ENTRY_HEADER_BYTES: usize = 4;
/// Bytes of the length before an item.
pub const ITEM_HEADER_BYTES: usize = 2;

type Read<T> = Result<T, DecodeError>;

/// Whether a tail may follow the fixed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TailRule {
    /// A flag of the header says so.
    Flagged(bool),
    /// Whatever is left of an item is its tail.
    Implicit,
}

/// Takes fields from the front of a slice; every step is checked, nothing is allocated.
///
/// Shape: texts and cursors share the frame's buffer if it was given, else they are copied.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    source: Option<&'a Bytes>,
    rest: &'a [u8],
    tail: TailRule,
}

impl<'a> Reader<'a> {
    /// Over the body of a frame; `body` lies inside `source`, if that is given.
    pub(crate) fn body(source: Option<&'a Bytes>, body: &'a [u8], has_tail: bool) -> Self {
        Self { source, rest: body, tail: TailRule::Flagged(has_tail) }
    }

    /// Says whether the header announced a tail, once it is read.
    pub(crate) fn expect_tail(&mut self, has_tail: bool) {
        self.tail = TailRule::Flagged(has_tail);
    }

    /// Lets everything go that is left.
    pub(crate) fn skip(&mut self) {
        self.rest = &[];
    }

    #[cfg(test)]
    pub(crate) fn item_of(bytes: &'a [u8]) -> Self {
        Self { source: None, rest: bytes, tail: TailRule::Implicit }
    }

    /// A reader of exactly the next `N` bytes, for fixed parts: their size is known when this is
    /// compiled, so that one check stands for all.
    #[inline(always)]
    pub(crate) fn block<const N: usize>(&mut self, field: &'static str) -> Read<Self> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::short(field))?;
        self.rest = rest;
        Ok(Self { source: None, rest: head, tail: TailRule::Implicit })
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline(always)]
    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Read<[u8; N]> {
        let Some((head, rest)) = self.rest.split_first_chunk() else { return Err(self.cut(field)) };
        self.rest = rest;
        Ok(*head)
    }

    /// What is wrong where a field should be: a body outside of items and tail is its fixed part,
    /// and that is cut as a whole (SPEC.md section 10).
    #[cold]
    fn cut(&self, field: &'static str) -> DecodeError {
        match self.tail {
            TailRule::Flagged(_) => DecodeError::short("body"),
            TailRule::Implicit => DecodeError::short(field),
        }
    }

    /// A length or tag behind the fixed part.
    #[inline]
    fn behind(&mut self, field: &'static str) -> Read<u16> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::short(field))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*head))
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: &'static str) -> Read<u8> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Read<u16> {
        self.array(field).map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: &'static str) -> Read<u32> {
        self.array(field).map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self, field: &'static str) -> Read<u64> {
        self.array(field).map(u64::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u128(&mut self, field: &'static str) -> Read<u128> {
        self.array(field).map(u128::from_be_bytes)
    }

    /// Reserved bytes, which must be zero.
    #[inline]
    pub(crate) fn zero<const N: usize>(&mut self, field: &'static str) -> Read<()> {
        match self.array::<N>(field)?.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(DecodeError::new(Fault::Reserved, field)),
        }
    }

    /// Flag bits of which only those of `known` may be set.
    #[inline]
    pub(crate) fn flags(&mut self, known: u16) -> Read<u16> {
        let flags = self.u16("flags")?;
        match flags & !known {
            0 => Ok(flags),
            value => Err(DecodeError::new(Fault::Unknown { value: value.into() }, "flags")),
        }
    }

    fn part(&mut self, count: usize, field: &'static str) -> Read<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::short(field))?;
        self.rest = rest;
        Ok(head)
    }

    fn share(&self, part: &'a [u8]) -> Bytes {
        match self.source {
            _ if part.is_empty() => Bytes::new(),
            Some(source) => source.slice_ref(part),
            None => Bytes::copy_from_slice(part),
        }
    }

    /// Exactly `count` bytes as text of at most `most` bytes.
    pub(crate) fn text_of(&mut self, count: usize, most: usize, field: &'static str) -> Read<Text> {
        limit(count, most, field)?;
        let part = self.part(count, field)?;
        Text::from_bytes(self.share(part)).map_err(|error| match error {
            TextError::Long => limit_error(count, most, field),
            TextError::Utf8 | TextError::Control => DecodeError::new(Fault::Text, field),
        })
    }

    /// All that is left as text of at most `most` bytes.
    pub(crate) fn text(&mut self, most: usize, field: &'static str) -> Read<Text> {
        self.text_of(self.left(), most, field)
    }

    /// All that is left as bytes, at most `most`.
    pub(crate) fn bytes(&mut self, most: usize, field: &'static str) -> Read<Bytes> {
        limit(self.left(), most, field)?;
        let part = self.part(self.left(), field)?;
        Ok(self.share(part))
    }

    /// Exactly `count` bytes, at most `most`.
    pub(crate) fn bytes_of(
        &mut self,
        count: usize,
        most: usize,
        field: &'static str,
    ) -> Read<Bytes> {
        limit(count, most, field)?;
        let part = self.part(count, field)?;
        Ok(self.share(part))
    }

    /// Elements until the end, at most `most`.
    ///
    /// Shape: the list grows with what was read; no count is believed.
    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let mut list = Vec::new();
        while !self.is_empty() {
            limit(list.len().saturating_add(1), most, field)?;
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// `count` items, each behind its length; `bytes_min` is the least that one takes.
    ///
    /// Shape: reserves no more than the bytes that are there can fill.
    pub(crate) fn items<T>(
        &mut self,
        count: usize,
        bytes_min: usize,
        mut read: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let fit = self.left().checked_div(bytes_min.saturating_add(ITEM_HEADER_BYTES));
        let mut list = Vec::with_capacity(count.min(fit.unwrap_or(0)));
        for number in 0..count {
            let item = self.item().and_then(|mut item| {
                let value = read(&mut item)?;
                item.end("item")?;
                Ok(value)
            });
            list.push(item.map_err(|error| error.of_item(number))?);
        }
        Ok(list)
    }

    fn item(&mut self) -> Read<Self> {
        let length = self.behind("item")?;
        let part = self.part(length.into(), "item")?;
        Ok(Self { source: self.source, rest: part, tail: TailRule::Implicit })
    }

    /// Gives every entry of the tail to `read`, which says whether it knows the tag. Then the end
    /// is reached.
    #[inline]
    pub(crate) fn tail(&mut self, read: impl FnMut(u16, &mut Self) -> Read<bool>) -> Read<()> {
        match (self.tail, self.rest.is_empty()) {
            (TailRule::Flagged(false) | TailRule::Implicit, true) => Ok(()),
            (TailRule::Flagged(true), true) => Err(DecodeError::new(Fault::TailFlag, "tail")),
            (TailRule::Flagged(false), false) => Err(DecodeError::new(Fault::Trailing, "body")),
            (TailRule::Flagged(true) | TailRule::Implicit, false) => self.entries(read),
        }
    }

    fn entries(&mut self, mut read: impl FnMut(u16, &mut Self) -> Read<bool>) -> Read<()> {
        let mut last = None;
        for _ in 0..TAIL_ENTRIES_MAX {
            if self.rest.is_empty() {
                return Ok(());
            }
            let tag = self.behind("tag")?;
            if last.is_some_and(|last| last >= tag) {
                return Err(DecodeError::new(Fault::TailOrder, "tail"));
            }
            last = Some(tag);
            let mut value = self.item()?;
            if read(tag, &mut value)? {
                value.end("tail")?;
            } else if tag & TAG_CRITICAL != 0 {
                return Err(DecodeError::new(Fault::UnknownTag { tag }, "tail"));
            }
        }
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err(DecodeError::new(Fault::TailOrder, "tail")),
        }
    }

    /// The end of a message of which this version knows no tag.
    #[inline]
    pub(crate) fn no_tags(&mut self) -> Read<()> {
        self.tail(|_, _| Ok(false))
    }

    /// Nothing may be left.
    pub(crate) fn end(&self, field: &'static str) -> Read<()> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err(DecodeError::new(Fault::Trailing, field)),
        }
    }
}

fn limit_error(value: usize, most: usize, field: &'static str) -> DecodeError {
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    DecodeError::new(Fault::Limit { value: wide(value), most: wide(most) }, field)
}

/// Refuses a count or size beyond its bound.
pub(crate) fn limit(value: usize, most: usize, field: &'static str) -> Read<()> {
    if value <= most { Ok(()) } else { Err(limit_error(value, most, field)) }
}

/// Refuses a number outside its bounds (inclusive).
pub(crate) fn within(value: u64, least: u64, most: u64, field: &'static str) -> Read<u64> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(DecodeError::new(Fault::Range { value, least, most }, field))
    }
}

/// Appends fields to a buffer and remembers the first thing that did not fit.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut BytesMut,
    tail_entries: usize,
    error: Option<EncodeError>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut BytesMut) -> Self {
        Self { out, tail_entries: 0, error: None }
    }

    /// Bytes in the buffer.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Forgets what was written after the buffer had this length.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.out.truncate(length);
    }

    /// Replaces two bytes that were written before.
    pub(crate) fn put_u16_at(&mut self, at: usize, value: u16) {
        if let Some(place) = self.out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = value.to_be_bytes();
        }
    }

    /// Whether the body has a tail, or what did not fit.
    pub(crate) fn finish(self) -> Result<bool, EncodeError> {
        self.error.map_or(Ok(self.tail_entries > 0), Err)
    }

    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    #[inline]
    pub(crate) fn slice(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    #[inline]
    pub(crate) fn u16(&mut self, value: u16) {
        self.out.put_u16(value);
    }

    #[inline]
    pub(crate) fn u32(&mut self, value: u32) {
        self.out.put_u32(value);
    }

    #[inline]
    pub(crate) fn u64(&mut self, value: u64) {
        self.out.put_u64(value);
    }

    #[inline]
    pub(crate) fn u128(&mut self, value: u128) {
        self.out.put_u128(value);
    }

    /// A count that fits `u16`; more than that is never readable, so it is refused as too long.
    pub(crate) fn count16(&mut self, count: usize) {
        match u16::try_from(count) {
            Ok(count) => self.u16(count),
            Err(_) => self.fail(EncodeError::FrameTooLong { length: count }),
        }
    }

    /// A count that fits `u32`.
    pub(crate) fn count32(&mut self, count: usize) {
        match u32::try_from(count) {
            Ok(count) => self.u32(count),
            Err(_) => self.fail(EncodeError::FrameTooLong { length: count }),
        }
    }

    /// A length of 16 bits, then what `write` appends.
    fn lengthened(&mut self, tag: u16, write: impl FnOnce(&mut Self)) {
        let at = self.out.len();
        self.u16(0);
        let start = self.out.len();
        write(self);
        match u16::try_from(self.out.len().saturating_sub(start)) {
            Ok(length) => self.put_u16_at(at, length),
            Err(_) => self.fail(EncodeError::FieldTooLong { tag }),
        }
    }

    /// An item behind its length; it may have a tail of its own.
    pub(crate) fn item(&mut self, write: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.tail_entries);
        self.lengthened(0, write);
        self.tail_entries = outer;
    }

    /// An entry of the tail. Tags rise, which is the caller's duty.
    pub(crate) fn entry(&mut self, tag: u16, write: impl FnOnce(&mut Self)) {
        self.tail_entries = self.tail_entries.saturating_add(1);
        if self.tail_entries > TAIL_ENTRIES_MAX {
            self.fail(EncodeError::FieldTooLong { tag });
        }
        self.u16(tag);
        self.lengthened(tag, write);
    }

    /// An entry with text, if there is one.
    pub(crate) fn entry_text(&mut self, tag: u16, text: Option<&Text>) {
        if let Some(text) = text {
            self.entry(tag, |w| w.slice(text.as_bytes()));
        }
    }

    /// An entry with 16 bytes, if there are any.
    pub(crate) fn entry_id(&mut self, tag: u16, id: Option<&[u8; 16]>) {
        if let Some(id) = id {
            self.entry(tag, |w| w.slice(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_ignores_what_it_may_and_refuses_what_it_must() {
        let read = |bytes: &[u8]| Reader::item_of(bytes).no_tags().map_err(|e| e.fault);
        assert_eq!(read(&[0, 1, 0, 2, 7, 7]), Ok(()));
        let critical = Fault::UnknownTag { tag: 0x8001 };
        assert_eq!(read(&[0x80, 1, 0, 2, 7, 7]), Err(critical));
        assert_eq!(read(&[0, 1, 0, 0, 0, 1, 0, 0]), Err(Fault::TailOrder));
        assert_eq!(read(&[0, 1, 0, 3, 7, 7]), Err(Fault::Short));
        let entries = |count: u8| (0..count).flat_map(|tag| [0, tag, 0, 0]).collect::<Vec<u8>>();
        assert_eq!(read(&entries(16)), Ok(()));
        assert_eq!(read(&entries(17)), Err(Fault::TailOrder));
    }

    #[test]
    fn a_count_reserves_no_more_than_the_bytes_can_fill() {
        let mut reader = Reader::item_of(&[0, 1, 9]);
        let error = reader.items(65_535, 1, |item| item.u8("x")).unwrap_err();
        assert_eq!((error.fault, error.item), (Fault::Short, Some(1)));
    }
}
