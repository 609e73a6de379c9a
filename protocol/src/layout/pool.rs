//! Layouts of subnet pool operations.

use super::element::{PREFIX_BYTES_MAX, fixed_prefix};
use super::list::{read_items, read_named, write_items, write_named};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::Revision;
use crate::message::pool::{
    CHOICE_PREFIXES_MAX, POOL_PREFIXES_MAX, PoolCreate, PoolDelete, PoolGet, PoolList, PoolPage,
    PoolPreview, PoolPreviewed, PoolUpdate, SubnetOnboard, SubnetPool,
};
use crate::prefix::Prefix;
use crate::text::{NAME_BYTES_MAX, TEXT_BYTES_MAX, Text};
use crate::wire::{Reader, TAIL_ENTRY_HEADER_BYTES, Writer};

/// Bytes of a pool without its tail.
const POOL_BYTES: usize = 104;

/// Bytes of a pool with all that it may have, each at its longest.
pub(crate) const POOL_BYTES_MAX: usize = POOL_BYTES
    + 6 * TAIL_ENTRY_HEADER_BYTES
    + POOL_PREFIXES_MAX * PREFIX_BYTES_MAX
    + 8
    + 2 * 16
    + NAME_BYTES_MAX
    + TEXT_BYTES_MAX;

const IS_DEFAULT: u16 = 1;
const SHARED: u16 = 1 << 1;
const REPEATED: u16 = 1 << 2;

/// A length that is not given.
const LENGTH_NONE: u8 = 255;

fn bit(set: bool, bit: u16) -> u16 {
    if set { bit } else { 0 }
}

/// A prefix length, or 255 for none.
fn read_length(reader: &mut Reader<'_>, field: &'static str) -> Read<Option<u8>> {
    match reader.u8(field)? {
        LENGTH_NONE => Ok(None),
        length => crate::wire::within(length.into(), 0, 128, field).map(|_| Some(length)),
    }
}

/// A prefix length that is given.
fn read_bits(reader: &mut Reader<'_>, field: &'static str) -> Read<u8> {
    read_length(reader, field)?.ok_or(DecodeError::new(
        Fault::Range { value: LENGTH_NONE.into(), least: 0, most: 128 },
        field,
    ))
}

fn prefixes(reader: &mut Reader<'_>, field: &'static str) -> Read<Vec<Prefix>> {
    reader.list(POOL_PREFIXES_MAX, field, |r| r.prefix(field))
}

/// Prefixes that a choice is confined to, or keeps away from.
pub(super) fn read_choice(reader: &mut Reader<'_>, field: &'static str) -> Read<Vec<Prefix>> {
    reader.list(CHOICE_PREFIXES_MAX, field, |r| r.prefix(field))
}

/// A body that has nothing but a name, if that.
pub(super) fn read_name(reader: &mut Reader<'_>) -> Read<Option<Text>> {
    let mut name = None;
    reader.tail(|tag, value| {
        if tag == 0x8001 {
            name = Some(value.name("name")?);
        }
        Ok(tag == 0x8001)
    })?;
    Ok(name)
}

impl Layout for PoolCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let family = reader.numbered("family")?;
        let min_length = read_length(reader, "min_length")?;
        let max_length = read_length(reader, "max_length")?;
        let default_length = read_length(reader, "default_length")?;
        let parent_length = read_length(reader, "parent_length")?;
        reader.zero::<1>("reserved")?;
        let flags = reader.flags(IS_DEFAULT | SHARED)?;
        let mut create = Self {
            family,
            prefixes: Vec::new(),
            min_length,
            max_length,
            default_length,
            default_quota: None,
            address_scope_id: None,
            parent_id: None,
            parent_length,
            is_default: flags & IS_DEFAULT != 0,
            shared: flags & SHARED != 0,
            name: None,
            description: None,
        };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => create.prefixes = prefixes(value, "prefixes")?,
                0x8002 => create.default_quota = Some(value.u64("default_quota")?),
                0x8003 => create.address_scope_id = Some(value.nonzero_id("address_scope_id")?),
                0x8004 => create.parent_id = Some(value.nonzero_id("parent_id")?),
                0x8005 => create.name = Some(value.name("name")?),
                0x8006 => create.description = Some(value.any_text("description")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.numbered(self.family);
        let lengths = [self.min_length, self.max_length, self.default_length, self.parent_length];
        writer.slice(&lengths.map(|length| length.unwrap_or(LENGTH_NONE)));
        writer.u8(0);
        writer.u16(bit(self.is_default, IS_DEFAULT) | bit(self.shared, SHARED));
        writer.entry_list(0x8001, &self.prefixes, Writer::prefix);
        if let Some(quota) = self.default_quota {
            writer.entry(0x8002, |w| w.u64(quota));
        }
        writer.entry_id(0x8003, self.address_scope_id.as_ref().map(|id| id.as_bytes()));
        writer.entry_id(0x8004, self.parent_id.as_ref().map(|id| id.as_bytes()));
        writer.entry_text(0x8005, self.name.as_ref());
        writer.entry_text(0x8006, self.description.as_ref());
    }
}

impl Layout for PoolGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        read_name(reader).map(|name| Self { name })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, self.name.as_ref());
    }
}

impl Layout for PoolList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        read_named(reader).map(|(page, name_prefix)| Self { page, name_prefix })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_named(&self.page, self.name_prefix.as_ref(), writer);
    }
}

impl Layout for PoolUpdate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let expected = Revision(reader.u64("expected")?);
        let mut update = Self { expected, ..Self::default() };
        reader.tail(|tag, value| read_change(&mut update, tag, value))?;
        Ok(update)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.expected.0);
        writer.entry_list(0x8001, &self.prefixes, Writer::prefix);
        writer.entry_setting(0x8002, &self.default_quota, |w, quota| w.u64(*quota));
        writer.entry_setting(0x8003, &self.address_scope_id, |w, id| w.slice(id.as_bytes()));
        writer.entry_text_setting(0x8005, &self.name);
        writer.entry_text_setting(0x8006, &self.description);
        writer.entry_list(0x8007, &self.add_prefixes, Writer::prefix);
        writer.entry_list(0x8008, &self.remove_prefixes, Writer::prefix);
        writer.entry_setting(0x8009, &self.min_length, |w, bits| w.u8(*bits));
        writer.entry_setting(0x800a, &self.max_length, |w, bits| w.u8(*bits));
        writer.entry_setting(0x800b, &self.default_length, |w, bits| w.u8(*bits));
        writer.entry_setting(0x800c, &self.is_default, |w, on| w.u8((*on).into()));
        writer.entry_setting(0x800d, &self.shared, |w, on| w.u8((*on).into()));
    }
}

fn read_change(update: &mut PoolUpdate, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x8001 => update.prefixes = prefixes(value, "prefixes")?,
        0x8002 => {
            update.default_quota = value.setting("default_quota", |r| r.u64("default_quota"))?;
        }
        0x8003 => {
            update.address_scope_id =
                value.setting("address_scope_id", |r| r.nonzero_id("address_scope_id"))?;
        }
        0x8005 => update.name = value.setting("name", |r| r.name("name"))?,
        0x8006 => {
            update.description = value.setting("description", |r| r.any_text("description"))?;
        }
        0x8007 => update.add_prefixes = prefixes(value, "add_prefixes")?,
        0x8008 => update.remove_prefixes = prefixes(value, "remove_prefixes")?,
        0x8009 => {
            update.min_length = value.setting("min_length", |r| read_bits(r, "min_length"))?
        }
        0x800a => {
            update.max_length = value.setting("max_length", |r| read_bits(r, "max_length"))?
        }
        0x800b => {
            update.default_length =
                value.setting("default_length", |r| read_bits(r, "default_length"))?;
        }
        0x800c => update.is_default = value.setting("is_default", |r| r.bool("is_default"))?,
        0x800d => update.shared = value.setting("shared", |r| r.bool("shared"))?,
        _ => return Ok(false),
    }
    Ok(true)
}

impl Layout for PoolDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let expected = Revision(reader.u64("expected")?);
        reader.no_tags().map(|()| Self { expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.expected.0);
    }
}

impl Layout for SubnetOnboard {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let subnet_pool_id = reader.nonzero_id("subnet_pool_id")?;
        let expected = Revision(reader.u64("expected")?);
        reader.no_tags()?;
        Ok(Self { subnet_pool_id, expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.subnet_pool_id.as_bytes());
        writer.u64(self.expected.0);
    }
}

impl Layout for PoolPreview {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let length = read_length(reader, "length")?;
        reader.zero::<7>("reserved")?;
        let mut preview = Self { length, ..Self::default() };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => preview.exact = Some(value.prefix("exact")?),
                0x8002 => preview.allowed = read_choice(value, "allowed")?,
                0x8003 => preview.disallowed = read_choice(value, "disallowed")?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(preview)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.length.unwrap_or(LENGTH_NONE));
        writer.slice(&[0; 7]);
        if let Some(exact) = &self.exact {
            writer.entry(0x8001, |w| w.prefix(exact));
        }
        writer.entry_list(0x8002, &self.allowed, Writer::prefix);
        writer.entry_list(0x8003, &self.disallowed, Writer::prefix);
    }
}

impl Layout for PoolPreviewed {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let number = reader.u128("cidr")?;
        let (family, length) = (reader.u8("cidr")?, reader.u8("cidr")?);
        reader.zero::<6>("reserved")?;
        reader.no_tags()?;
        Ok(Self { cidr: fixed_prefix(family, number, length)? })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let first = self.cidr.first();
        writer.fixed_address(&first);
        writer.family(&first);
        writer.u8(self.cidr.length());
        writer.slice(&[0; 6]);
    }
}

impl Layout for SubnetPool {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let subnet_pool_id = reader.id("subnet_pool_id")?;
        let project_id = reader.id("project_id")?;
        let revision = Revision(reader.u64("revision")?);
        let taken = reader.u64("taken")?;
        let (size, used) = (reader.u128("size")?, reader.u128("used")?);
        let used_by_project = reader.u128("used_by_project")?;
        let family = reader.numbered("family")?;
        let min_length = read_bits(reader, "min_length")?;
        let max_length = read_bits(reader, "max_length")?;
        let default_length = read_bits(reader, "default_length")?;
        let flags = reader.flags(IS_DEFAULT | SHARED | REPEATED)?;
        reader.zero::<2>("reserved")?;
        let mut pool = Self {
            subnet_pool_id,
            project_id,
            revision,
            taken,
            size,
            used,
            used_by_project,
            family,
            min_length,
            max_length,
            default_length,
            is_default: flags & IS_DEFAULT != 0,
            shared: flags & SHARED != 0,
            repeated: flags & REPEATED != 0,
            prefixes: Vec::new(),
            default_quota: None,
            address_scope_id: None,
            parent_id: None,
            name: None,
            description: None,
        };
        reader.tail(|tag, value| {
            match tag {
                0x0001 => pool.prefixes = prefixes(value, "prefixes")?,
                0x0002 => pool.default_quota = Some(value.u64("default_quota")?),
                0x0003 => pool.address_scope_id = Some(value.id("address_scope_id")?),
                0x0004 => pool.parent_id = Some(value.id("parent_id")?),
                0x0005 => pool.name = Some(value.name("name")?),
                0x0006 => pool.description = Some(value.any_text("description")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(pool)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.subnet_pool_id.as_bytes());
        writer.slice(self.project_id.as_bytes());
        writer.u64(self.revision.0);
        writer.u64(self.taken);
        writer.u128(self.size);
        writer.u128(self.used);
        writer.u128(self.used_by_project);
        writer.numbered(self.family);
        writer.slice(&[self.min_length, self.max_length, self.default_length]);
        let flags = bit(self.is_default, IS_DEFAULT) | bit(self.shared, SHARED);
        writer.u16(flags | bit(self.repeated, REPEATED));
        writer.u16(0);
        writer.entry_list(0x0001, &self.prefixes, Writer::prefix);
        if let Some(quota) = self.default_quota {
            writer.entry(0x0002, |w| w.u64(quota));
        }
        writer.entry_id(0x0003, self.address_scope_id.as_ref().map(|id| id.as_bytes()));
        writer.entry_id(0x0004, self.parent_id.as_ref().map(|id| id.as_bytes()));
        writer.entry_text(0x0005, self.name.as_ref());
        writer.entry_text(0x0006, self.description.as_ref());
    }
}

impl Layout for PoolPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, POOL_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
