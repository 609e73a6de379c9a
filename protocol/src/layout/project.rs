//! Layouts of project operations.

use super::list::{read_items, read_named, write_items, write_named};
use super::{Layout, Read};
use crate::id::Revision;
use crate::message::project::{
    Project, ProjectCreate, ProjectDelete, ProjectGet, ProjectList, ProjectPage, ProjectUpdate,
    ProjectUse, QUOTA_MAX, QuotaSettings, Quotas,
};
use crate::setting::Setting;
use crate::wire::{Reader, Writer, within};

/// Bytes of a project without its tail.
const PROJECT_BYTES: usize = 40;

const REPEATED: u16 = 1;

/// Tag of the first quota; the others follow.
const QUOTAS: u16 = 0x0010;
/// Tag of the first count of what is used; the others follow in the order of the quotas.
const USED: u16 = 0x0020;
/// That a tag is critical.
const CRITICAL: u16 = 0x8000;

/// Names of the quotas in the order of their tags.
const QUOTA_NAMES: [&str; 6] = [
    "quota_addresses",
    "quota_prefixes",
    "quota_networks",
    "quota_subnets",
    "quota_ports",
    "quota_resting",
];

/// The quota of a tag, if there is one.
fn quota_of(first: u16, tag: u16) -> Option<usize> {
    let place = usize::from(tag.checked_sub(first)?);
    (place < QUOTA_NAMES.len()).then_some(place)
}

fn read_quota(value: &mut Reader<'_>, field: &'static str) -> Read<u64> {
    within(value.u64(field)?, 0, QUOTA_MAX, field)
}

impl Quotas {
    fn fields(&self) -> [Option<u64>; 6] {
        [self.addresses, self.prefixes, self.networks, self.subnets, self.ports, self.resting]
    }

    fn fields_mut(&mut self) -> [&mut Option<u64>; 6] {
        let Self { addresses, prefixes, networks, subnets, ports, resting } = self;
        [addresses, prefixes, networks, subnets, ports, resting]
    }

    /// Takes the entry of a tail, if it is a quota.
    fn read_entry(&mut self, first: u16, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
        let Some(place) = quota_of(first, tag) else { return Ok(false) };
        for (field, name) in self.fields_mut().into_iter().zip(QUOTA_NAMES).skip(place).take(1) {
            *field = Some(read_quota(value, name)?);
        }
        Ok(true)
    }

    fn write_entries(&self, first: u16, writer: &mut Writer<'_>) {
        for (tag, quota) in (first..).zip(self.fields()) {
            if let Some(quota) = quota {
                writer.entry(tag, |w| w.u64(quota));
            }
        }
    }
}

impl QuotaSettings {
    fn fields(&self) -> [&Setting<u64>; 6] {
        let Self { addresses, prefixes, networks, subnets, ports, resting } = self;
        [addresses, prefixes, networks, subnets, ports, resting]
    }

    fn fields_mut(&mut self) -> [&mut Setting<u64>; 6] {
        let Self { addresses, prefixes, networks, subnets, ports, resting } = self;
        [addresses, prefixes, networks, subnets, ports, resting]
    }

    fn read_entry(&mut self, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
        let Some(place) = quota_of(CRITICAL | QUOTAS, tag) else { return Ok(false) };
        for (field, name) in self.fields_mut().into_iter().zip(QUOTA_NAMES).skip(place).take(1) {
            *field = value.setting(name, |r| read_quota(r, name))?;
        }
        Ok(true)
    }

    fn write_entries(&self, writer: &mut Writer<'_>) {
        for (tag, setting) in (CRITICAL | QUOTAS..).zip(self.fields()) {
            writer.entry_setting(tag, setting, |w, quota| w.u64(*quota));
        }
    }
}

impl ProjectUse {
    /// The count of a tag, and its name.
    fn count(&mut self, tag: u16) -> Option<(&mut Option<u64>, &'static str)> {
        match tag.checked_sub(USED)? {
            0 => Some((&mut self.addresses, "used_addresses")),
            1 => Some((&mut self.prefixes, "used_prefixes")),
            3 => Some((&mut self.subnets, "used_subnets")),
            4 => Some((&mut self.ports, "used_ports")),
            5 => Some((&mut self.resting, "used_resting")),
            _ => None,
        }
    }

    fn read_entry(&mut self, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
        let Some((count, name)) = self.count(tag) else { return Ok(false) };
        *count = Some(read_quota(value, name)?);
        Ok(true)
    }

    fn write_entries(&self, writer: &mut Writer<'_>) {
        let counts = [self.addresses, self.prefixes, None, self.subnets, self.ports, self.resting];
        for (tag, count) in (USED..).zip(counts) {
            if let Some(count) = count {
                writer.entry(tag, |w| w.u64(count));
            }
        }
    }
}

impl Layout for ProjectCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut create = Self::default();
        reader.tail(|tag, value| {
            match tag {
                0x8001 => create.name = Some(value.name("name")?),
                0x8002 => create.description = Some(value.any_text("description")?),
                tag => return create.quotas.read_entry(CRITICAL | QUOTAS, tag, value),
            }
            Ok(true)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, self.name.as_ref());
        writer.entry_text(0x8002, self.description.as_ref());
        self.quotas.write_entries(CRITICAL | QUOTAS, writer);
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
        read_named(reader).map(|(page, name_prefix)| Self { page, name_prefix })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_named(&self.page, self.name_prefix.as_ref(), writer);
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
                tag => return update.quotas.read_entry(tag, value),
            }
            Ok(true)
        })?;
        Ok(update)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.expected.0);
        writer.entry_text_setting(0x8001, &self.name);
        writer.entry_text_setting(0x8002, &self.description);
        self.quotas.write_entries(writer);
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
        let (mut quotas, mut used) = (Quotas::default(), ProjectUse::default());
        reader.tail(|tag, value| {
            match tag {
                0x0001 => name = Some(value.name("name")?),
                0x0002 => description = Some(value.any_text("description")?),
                tag if tag >= USED => return used.read_entry(tag, value),
                tag => return quotas.read_entry(QUOTAS, tag, value),
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
            quotas,
            used,
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
        self.quotas.write_entries(QUOTAS, writer);
        self.used.write_entries(writer);
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
