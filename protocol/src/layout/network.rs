//! Layouts of network operations.

use super::list::{read_items, read_named, write_items, write_named};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::Revision;
use crate::message::{
    Network, NetworkCreate, NetworkDelete, NetworkFind, NetworkGet, NetworkList, NetworkPage,
    NetworkUpdate,
};
use crate::wire::{Reader, Writer};

/// Bytes of a network without its tail.
pub(super) const NETWORK_BYTES: usize = 56;

const DELETING: u16 = 1;
const REPEATED: u16 = 1 << 1;
const SHARED: u16 = 1 << 2;
const FORCE: u16 = 1;

impl Layout for NetworkCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut create = Self::default();
        reader.tail(|tag, value| {
            match tag {
                0x8001 => create.name = Some(value.name("name")?),
                0x8002 => create.description = Some(value.any_text("description")?),
                0x8020 => create.scope_v4 = Some(value.nonzero_id("scope_v4")?),
                0x8021 => create.scope_v6 = Some(value.nonzero_id("scope_v6")?),
                0x8022 => create.shared = value.bool("shared")?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, self.name.as_ref());
        writer.entry_text(0x8002, self.description.as_ref());
        writer.entry_id(0x8020, self.scope_v4.as_ref().map(|id| id.as_bytes()));
        writer.entry_id(0x8021, self.scope_v6.as_ref().map(|id| id.as_bytes()));
        if self.shared {
            writer.entry(0x8022, |writer| writer.u8(1));
        }
    }
}

impl Layout for NetworkGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        reader.no_tags().map(|()| Self {})
    }

    fn write(&self, _: &mut Writer<'_>) {}
}

impl Layout for NetworkFind {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut name = None;
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                name = Some(value.name("name")?);
            }
            Ok(tag == 0x8001)
        })?;
        name.map(|name| Self { name }).ok_or(DecodeError::new(Fault::Missing, "name"))
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, Some(&self.name));
    }
}

impl Layout for NetworkList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        read_named(reader).map(|(page, name_prefix)| Self { page, name_prefix })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_named(&self.page, self.name_prefix.as_ref(), writer);
    }
}

impl Layout for NetworkUpdate {
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

impl Layout for NetworkDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let flags = reader.flags(FORCE)?;
        reader.zero::<6>("reserved")?;
        let expected = Revision(reader.u64("expected")?);
        reader.no_tags()?;
        Ok(Self { force: flags & FORCE != 0, expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u16(if self.force { FORCE } else { 0 });
        writer.slice(&[0; 6]);
        writer.u64(self.expected.0);
    }
}

impl Layout for Network {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let network_id = reader.id("network_id")?;
        let project_id = reader.id("project_id")?;
        let revision = Revision(reader.u64("revision")?);
        let allocations = reader.u64("allocations")?;
        let subnets = reader.u32("subnets")?;
        let flags = reader.flags(DELETING | REPEATED | SHARED)?;
        reader.zero::<2>("reserved")?;
        let (mut name, mut description) = (None, None);
        let (mut scope_v4, mut scope_v6) = (None, None);
        reader.tail(|tag, value| {
            match tag {
                0x0001 => name = Some(value.name("name")?),
                0x0002 => description = Some(value.any_text("description")?),
                0x0020 => scope_v4 = Some(value.id("scope_v4")?),
                0x0021 => scope_v6 = Some(value.id("scope_v6")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            network_id,
            project_id,
            revision,
            subnets,
            allocations,
            deleting: flags & DELETING != 0,
            repeated: flags & REPEATED != 0,
            shared: flags & SHARED != 0,
            name,
            description,
            scope_v4,
            scope_v6,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        writer.slice(self.network_id.as_bytes());
        writer.slice(self.project_id.as_bytes());
        writer.u64(self.revision.0);
        writer.u64(self.allocations);
        writer.u32(self.subnets);
        let flags = bit(self.deleting, DELETING) | bit(self.repeated, REPEATED);
        writer.u16(flags | bit(self.shared, SHARED));
        writer.u16(0);
        writer.entry_text(0x0001, self.name.as_ref());
        writer.entry_text(0x0002, self.description.as_ref());
        writer.entry_id(0x0020, self.scope_v4.as_ref().map(|id| id.as_bytes()));
        writer.entry_id(0x0021, self.scope_v6.as_ref().map(|id| id.as_bytes()));
    }
}

impl Layout for NetworkPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, NETWORK_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
