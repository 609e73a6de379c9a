//! Layouts of pages: what is asked for, and the 16 bytes before the items of a reply.

use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::Seq;
use crate::message::list::{CURSOR_BYTES_MAX, Cursor, PAGE_OBJECTS_MAX, PageRequest};
use crate::text::{NAME_BYTES_MAX, Text};
use crate::wire::{Reader, Writer, limit, within};

/// Limit of a page; the cursor follows in the tail as tag 0x8001.
pub(super) fn read_limit(reader: &mut Reader<'_>) -> Read<u32> {
    let limit = reader.u32("limit")?;
    within(limit.into(), 0, PAGE_OBJECTS_MAX.into(), "limit")?;
    Ok(limit)
}

pub(super) fn read_cursor(reader: &mut Reader<'_>, field: &'static str) -> Read<Option<Cursor>> {
    reader.bytes(CURSOR_BYTES_MAX, field).map(|bytes| Some(Cursor(bytes)))
}

pub(super) fn write_cursor(tag: u16, cursor: Option<&Cursor>, writer: &mut Writer<'_>) {
    if let Some(Cursor(bytes)) = cursor {
        writer.entry(tag, |w| w.slice(bytes));
    }
}

/// Limit (u32) and four reserved bytes.
pub(super) fn read_page(reader: &mut Reader<'_>) -> Read<PageRequest> {
    let limit = read_limit(reader)?;
    reader.zero::<4>("reserved")?;
    Ok(PageRequest { limit, cursor: None })
}

pub(super) fn write_page(page: &PageRequest, writer: &mut Writer<'_>) {
    writer.u32(page.limit);
    writer.u32(0);
}

/// How every list by name is asked for: which part, and the beginning of the names.
pub(super) fn read_named(reader: &mut Reader<'_>) -> Read<(PageRequest, Option<Text>)> {
    let (mut page, mut name_prefix) = (read_page(reader)?, None);
    reader.tail(|tag, value| {
        match tag {
            0x8001 => page.cursor = read_cursor(value, "cursor")?,
            0x8002 => name_prefix = Some(value.text(NAME_BYTES_MAX, "name_prefix")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((page, name_prefix))
}

pub(super) fn write_named(page: &PageRequest, name_prefix: Option<&Text>, writer: &mut Writer<'_>) {
    write_page(page, writer);
    write_cursor(0x8001, page.cursor.as_ref(), writer);
    writer.entry_text(0x8002, name_prefix);
}

/// Position, items, and tag 0x0001 with the place to go on: how every page is laid out.
pub(super) fn read_items<T: Layout>(
    reader: &mut Reader<'_>,
    bytes_min: usize,
) -> Read<(Seq, Vec<T>, Option<Cursor>)> {
    let position = Seq(reader.u64("position")?);
    let count = read_count(reader)?;
    reader.zero::<4>("reserved")?;
    let items = reader.items(count, bytes_min, T::read)?;
    Ok((position, items, read_next(reader)?))
}

pub(super) fn write_items<T: Layout>(
    position: Seq,
    items: &[T],
    next: Option<&Cursor>,
    writer: &mut Writer<'_>,
) {
    writer.u64(position.0);
    writer.count32(items.len());
    writer.u32(0);
    items.iter().for_each(|item| writer.item(|w| item.write(w)));
    write_cursor(0x0001, next, writer);
}

/// A count of objects in a reply.
pub(super) fn read_count(reader: &mut Reader<'_>) -> Read<usize> {
    let count = usize::try_from(reader.u32("items")?);
    let count = count.map_err(|_| DecodeError::new(Fault::Short, "items"))?;
    limit(count, usize::try_from(PAGE_OBJECTS_MAX).unwrap_or(usize::MAX), "items")?;
    Ok(count)
}

pub(super) fn read_next(reader: &mut Reader<'_>) -> Read<Option<Cursor>> {
    let mut next = None;
    reader.tail(|tag, value| {
        if tag == 0x0001 {
            next = read_cursor(value, "next")?;
        }
        Ok(tag == 0x0001)
    })?;
    Ok(next)
}
