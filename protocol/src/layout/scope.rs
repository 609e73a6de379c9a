//! Layouts of address scope operations.

use super::list::{read_items, read_named, write_items, write_named};
use super::{Layout, Read};
use crate::id::Revision;
use crate::message::scope::{
    AddressScope, ScopeCreate, ScopeDelete, ScopeGet, ScopeList, ScopePage, ScopeUpdate,
};
use crate::wire::{Reader, Writer};

/// Bytes of a scope without its tail.
const SCOPE_BYTES: usize = 56;

const SHARED: u16 = 1;
const REPEATED: u16 = 1 << 1;

fn bit(set: bool, bit: u16) -> u16 {
    if set { bit } else { 0 }
}

impl Layout for ScopeCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let family = reader.numbered("family")?;
        reader.zero::<1>("reserved")?;
        let flags = reader.flags(SHARED)?;
        reader.zero::<4>("reserved")?;
        let mut create =
            Self { family, shared: flags & SHARED != 0, name: None, description: None };
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
        writer.numbered(self.family);
        writer.u8(0);
        writer.u16(bit(self.shared, SHARED));
        writer.u32(0);
        writer.entry_text(0x8001, self.name.as_ref());
        writer.entry_text(0x8002, self.description.as_ref());
    }
}

impl Layout for ScopeGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        super::pool::read_name(reader).map(|name| Self { name })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, self.name.as_ref());
    }
}

impl Layout for ScopeList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        read_named(reader).map(|(page, name_prefix)| Self { page, name_prefix })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_named(&self.page, self.name_prefix.as_ref(), writer);
    }
}

impl Layout for ScopeUpdate {
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
                0x8003 => update.shared = value.setting("shared", |r| r.bool("shared"))?,
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
        writer.entry_setting(0x8003, &self.shared, |w, on| w.u8((*on).into()));
    }
}

impl Layout for ScopeDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let expected = Revision(reader.u64("expected")?);
        reader.no_tags().map(|()| Self { expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.expected.0);
    }
}

impl Layout for AddressScope {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let address_scope_id = reader.id("address_scope_id")?;
        let project_id = reader.id("project_id")?;
        let revision = Revision(reader.u64("revision")?);
        let subnet_pools = reader.u32("subnet_pools")?;
        let networks = reader.u32("networks")?;
        let family = reader.numbered("family")?;
        reader.zero::<1>("reserved")?;
        let flags = reader.flags(SHARED | REPEATED)?;
        reader.zero::<4>("reserved")?;
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
            address_scope_id,
            project_id,
            revision,
            subnet_pools,
            networks,
            family,
            shared: flags & SHARED != 0,
            repeated: flags & REPEATED != 0,
            name,
            description,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.address_scope_id.as_bytes());
        writer.slice(self.project_id.as_bytes());
        writer.u64(self.revision.0);
        writer.u32(self.subnet_pools);
        writer.u32(self.networks);
        writer.numbered(self.family);
        writer.u8(0);
        writer.u16(bit(self.shared, SHARED) | bit(self.repeated, REPEATED));
        writer.u32(0);
        writer.entry_text(0x0001, self.name.as_ref());
        writer.entry_text(0x0002, self.description.as_ref());
    }
}

impl Layout for ScopePage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, SCOPE_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
