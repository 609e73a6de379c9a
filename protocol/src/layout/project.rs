//! Layouts of project operations.

use super::list::{read_cursor, read_items, read_page, write_cursor, write_items, write_page};
use super::{Layout, Read};
use crate::id::Revision;
use crate::message::project::{
    Project, ProjectCreate, ProjectDelete, ProjectGet, ProjectList, ProjectPage, ProjectUpdate,
};
use crate::text::NAME_BYTES_MAX;
use crate::wire::{Reader, Writer};

/// Bytes of a project without its tail.
const PROJECT_BYTES: usize = 40;

const REPEATED: u16 = 1;

impl Layout for ProjectCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut create = Self::default();
        reader.tail(|tag, value| {
            match tag {
                0x8001 => create.name = Some(value.name("name")?),
                0x8002 => create.description = Some(value.any_text("description")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, self.name.as_ref());
        writer.entry_text(0x8002, self.description.as_ref());
    }
}

impl Layout for ProjectGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        super::pool::read_name(reader).map(|name| Self { name })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, self.name.as_ref());
    }
}

impl Layout for ProjectList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut list = Self { page: read_page(reader)?, name_prefix: None };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => list.page.cursor = read_cursor(value, "cursor")?,
                0x8002 => list.name_prefix = Some(value.text(NAME_BYTES_MAX, "name_prefix")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(list)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_page(&self.page, writer);
        write_cursor(0x8001, self.page.cursor.as_ref(), writer);
        writer.entry_text(0x8002, self.name_prefix.as_ref());
    }
}

impl Layout for ProjectUpdate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let expected = Revision(reader.u64("expected")?);
        let mut update = Self { expected, ..Self::default() };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => update.name = value.setting("name", |r| r.name("name"))?,
                0x8002 => {
                    update.description =
                        value.setting("description", |r| r.any_text("description"))?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(update)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.expected.0);
        writer.entry_text_setting(0x8001, &self.name);
        writer.entry_text_setting(0x8002, &self.description);
    }
}

impl Layout for ProjectDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let expected = Revision(reader.u64("expected")?);
        reader.no_tags().map(|()| Self { expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.expected.0);
    }
}

impl Layout for Project {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let project_id = reader.id("project_id")?;
        let revision = Revision(reader.u64("revision")?);
        let networks = reader.u32("networks")?;
        let subnet_pools = reader.u32("subnet_pools")?;
        let address_scopes = reader.u32("address_scopes")?;
        let flags = reader.flags(REPEATED)?;
        reader.zero::<2>("reserved")?;
        let (mut name, mut description) = (None, None);
        reader.tail(|tag, value| {
            match tag {
                0x0001 => name = Some(value.name("name")?),
                0x0002 => description = Some(value.any_text("description")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            project_id,
            revision,
            networks,
            subnet_pools,
            address_scopes,
            repeated: flags & REPEATED != 0,
            name,
            description,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.project_id.as_bytes());
        writer.u64(self.revision.0);
        writer.u32(self.networks);
        writer.u32(self.subnet_pools);
        writer.u32(self.address_scopes);
        writer.u16(if self.repeated { REPEATED } else { 0 });
        writer.u16(0);
        writer.entry_text(0x0001, self.name.as_ref());
        writer.entry_text(0x0002, self.description.as_ref());
    }
}

impl Layout for ProjectPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, PROJECT_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
