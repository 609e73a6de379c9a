//! Layouts of segment and host operations.

use super::list::{read_cursor, read_items, read_page, write_cursor, write_items, write_page};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::Revision;
use crate::message::segment::{
    HostList, HostMapping, HostPage, SEGMENT_HOSTS_MAX, Segment, SegmentCreate, SegmentDelete,
    SegmentGet, SegmentHosts, SegmentList, SegmentPage, SegmentUpdate,
};
use crate::setting::Setting;
use crate::text::{TEXT_BYTES_MAX, Text};
use crate::wire::{Reader, Writer};

/// Bytes of a segment without its tail.
pub(super) const SEGMENT_BYTES: usize = 56;
/// Bytes of a mapping without its tail.
const HOST_BYTES: usize = 16;

const REPEATED: u16 = 1;

impl Layout for SegmentCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut create = Self { segment_id: reader.nonzero_id("segment_id")?, description: None };
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                create.description = Some(value.any_text("description")?);
            }
            Ok(tag == 0x8001)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.segment_id.as_bytes());
        writer.entry_text(0x8001, self.description.as_ref());
    }
}

impl Layout for SegmentGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let segment_id = reader.nonzero_id("segment_id")?;
        reader.no_tags()?;
        Ok(Self { segment_id })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.segment_id.as_bytes());
    }
}

impl Layout for SegmentList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut page = read_page(reader)?;
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                page.cursor = read_cursor(value, "cursor")?;
            }
            Ok(tag == 0x8001)
        })?;
        Ok(Self { page })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_page(&self.page, writer);
        write_cursor(0x8001, self.page.cursor.as_ref(), writer);
    }
}

impl Layout for SegmentUpdate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let segment_id = reader.nonzero_id("segment_id")?;
        let expected = Revision(reader.u64("expected")?);
        let mut update = Self { segment_id, expected, description: Setting::Unset };
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                update.description = value.setting("description", |r| r.any_text("description"))?;
            }
            Ok(tag == 0x8001)
        })?;
        Ok(update)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.segment_id.as_bytes());
        writer.u64(self.expected.0);
        writer.entry_text_setting(0x8001, &self.description);
    }
}

impl Layout for SegmentDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let segment_id = reader.nonzero_id("segment_id")?;
        let expected = Revision(reader.u64("expected")?);
        reader.no_tags()?;
        Ok(Self { segment_id, expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.segment_id.as_bytes());
        writer.u64(self.expected.0);
    }
}

fn hosts(reader: &mut Reader<'_>, field: &'static str) -> Read<Vec<Text>> {
    reader.list(SEGMENT_HOSTS_MAX, field, |r| r.short_text(TEXT_BYTES_MAX, field))
}

impl Layout for SegmentHosts {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let segment_id = reader.nonzero_id("segment_id")?;
        let mut change = Self { segment_id, add: Vec::new(), remove: Vec::new() };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => change.add = hosts(value, "add")?,
                0x8002 => change.remove = hosts(value, "remove")?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(change)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.segment_id.as_bytes());
        writer.entry_list(0x8001, &self.add, Writer::short_text);
        writer.entry_list(0x8002, &self.remove, Writer::short_text);
    }
}

impl Layout for Segment {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let segment_id = reader.id("segment_id")?;
        let network_id = reader.id("network_id")?;
        let revision = Revision(reader.u64("revision")?);
        let (subnets, hosts) = (reader.u32("subnets")?, reader.u32("hosts")?);
        let flags = reader.flags(REPEATED)?;
        reader.zero::<6>("reserved")?;
        let mut segment = Self {
            segment_id,
            network_id,
            revision,
            subnets,
            hosts,
            repeated: flags & REPEATED != 0,
            description: None,
        };
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                segment.description = Some(value.any_text("description")?);
            }
            Ok(tag == 0x0001)
        })?;
        Ok(segment)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.segment_id.as_bytes());
        writer.slice(self.network_id.as_bytes());
        writer.u64(self.revision.0);
        writer.u32(self.subnets);
        writer.u32(self.hosts);
        writer.u16(if self.repeated { REPEATED } else { 0 });
        writer.slice(&[0; 6]);
        writer.entry_text(0x0001, self.description.as_ref());
    }
}

impl Layout for SegmentPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, SEGMENT_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}

impl Layout for HostList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut list = Self { page: read_page(reader)?, segment_id: None, host: None };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => list.page.cursor = read_cursor(value, "cursor")?,
                0x8002 => list.segment_id = Some(value.nonzero_id("segment_id")?),
                0x8003 => list.host = Some(value.any_text("host")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(list)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_page(&self.page, writer);
        write_cursor(0x8001, self.page.cursor.as_ref(), writer);
        writer.entry_id(0x8002, self.segment_id.as_ref().map(crate::id::SegmentId::as_bytes));
        writer.entry_text(0x8003, self.host.as_ref());
    }
}

impl Layout for HostMapping {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let segment_id = reader.id("segment_id")?;
        let mut host = None;
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                host = Some(value.any_text("host")?);
            }
            Ok(tag == 0x0001)
        })?;
        let host = host.ok_or(DecodeError::new(Fault::Missing, "host"))?;
        Ok(Self { segment_id, host })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.segment_id.as_bytes());
        writer.entry_text(0x0001, Some(&self.host));
    }
}

impl Layout for HostPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, HOST_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
