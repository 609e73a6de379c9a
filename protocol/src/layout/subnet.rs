//! Layouts of subnet operations.

use super::element::{
    ADDRESS_BYTES_MAX, PREFIX_BYTES_MAX, RANGE_BYTES_MAX, fixed_prefix, fixed_range,
};
use super::list::{read_cursor, read_items, read_page, write_cursor, write_items, write_page};
use super::pool::read_choice;
use super::{Layout, Read};
use crate::error::{DecodeError, EncodeError, Fault};
use crate::id::{JobId, Revision};
use crate::message::FromPool;
use crate::message::subnet::{
    DNS_SERVERS_MAX, EXCLUSIONS_MAX, Exclusion, LIVE_INSIDE_MAX, OVERLAPS_MAX, POOLS_MAX,
    ROUTES_MAX, SERVICE_TYPES_MAX, Service, Subnet, SubnetCreate, SubnetDelete, SubnetExclude,
    SubnetGet, SubnetInclude, SubnetList, SubnetPage, SubnetUpdate,
};
use crate::prefix::{Prefix, Range};
use crate::setting::Setting;
use crate::text::{DEVICE_OWNER_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX, Text};
use crate::wire::{Reader, TAIL_ENTRY_HEADER_BYTES, Writer};
use std::net::IpAddr;

/// Bytes of a subnet without its tail.
pub(super) const SUBNET_BYTES: usize = 72;

/// Bytes of a subnet with all that it may have, each at its longest.
pub(crate) const SUBNET_BYTES_MAX: usize = SUBNET_BYTES
    + 16 * TAIL_ENTRY_HEADER_BYTES
    + ADDRESS_BYTES_MAX
    + POOLS_MAX * RANGE_BYTES_MAX
    + DNS_SERVERS_MAX * ADDRESS_BYTES_MAX
    + ROUTES_MAX * (PREFIX_BYTES_MAX + ADDRESS_BYTES_MAX)
    + NAME_BYTES_MAX
    + TEXT_BYTES_MAX
    + EXCLUSIONS_MAX * (RANGE_BYTES_MAX + 3 + TEXT_BYTES_MAX)
    + LIVE_INSIDE_MAX * ADDRESS_BYTES_MAX
    + OVERLAPS_MAX * 16
    + 16
    + 2
    + SERVICE_TYPES_MAX * (1 + DEVICE_OWNER_BYTES_MAX)
    + 16
    + 8
    + 8;

const DHCP: u16 = 1;
const DELETING: u16 = 1 << 1;
const REPEATED: u16 = 1 << 2;
const FORCE: u16 = 1;

fn bit(set: bool, bit: u16) -> u16 {
    if set { bit } else { 0 }
}

fn pools(reader: &mut Reader<'_>) -> Read<Vec<Range>> {
    reader.list(POOLS_MAX, "pools", |r| r.range("pools"))
}

fn dns_servers(reader: &mut Reader<'_>) -> Read<Vec<IpAddr>> {
    reader.list(DNS_SERVERS_MAX, "dns_servers", |r| r.address("dns_servers"))
}

fn routes(reader: &mut Reader<'_>) -> Read<Vec<crate::message::Route>> {
    reader.list(ROUTES_MAX, "routes", |r| r.route())
}

/// The server says what is out of range.
fn quarantine(reader: &mut Reader<'_>) -> Read<u64> {
    reader.u64("quarantine_ms")
}

/// Address, family and length of a prefix at the places of a fixed part.
fn write_prefix(prefix: &Prefix, writer: &mut Writer<'_>) {
    writer.family(&prefix.first());
    writer.u8(prefix.length());
}

impl Layout for SubnetCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let subnet_id = reader.nonzero_id("subnet_id")?;
        let number = reader.u128("cidr")?;
        let (family, length) = (reader.u8("cidr")?, reader.u8("cidr")?);
        let cidr = fixed_prefix(family, number, length)?;
        let kind = reader.numbered("kind")?;
        let strategy = reader.numbered("strategy")?;
        let flags = reader.flags(DHCP)?;
        reader.zero::<2>("reserved")?;
        let mut create = Self {
            subnet_id,
            cidr,
            kind,
            strategy,
            enable_dhcp: flags & DHCP != 0,
            gateway: Setting::Unset,
            pools: Setting::Unset,
            dns_servers: Vec::new(),
            routes: Vec::new(),
            name: None,
            description: None,
            from_pool: None,
            quarantine_ms: None,
            service: Service::default(),
        };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => create.gateway = value.setting("gateway", |r| r.address("gateway"))?,
                0x8002 => create.pools = value.setting("pools", pools)?,
                0x8003 => create.dns_servers = dns_servers(value)?,
                0x8004 => create.routes = routes(value)?,
                0x8005 => create.name = Some(value.name("name")?),
                0x8006 => create.description = Some(value.any_text("description")?),
                0x800b => create.quarantine_ms = Some(quarantine(value)?),
                0x8020..=0x8022 => read_from_pool(&mut create.from_pool, tag, value)?,
                _ => return read_service(&mut create.service, 0x8007, tag, value),
            }
            Ok(true)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.subnet_id.as_bytes());
        writer.fixed_address(&self.cidr.first());
        write_prefix(&self.cidr, writer);
        writer.numbered(self.kind);
        writer.numbered(self.strategy);
        writer.u16(bit(self.enable_dhcp, DHCP));
        writer.u16(0);
        writer.entry_setting(0x8001, &self.gateway, Writer::address);
        writer.entry_setting(0x8002, &self.pools, |w, list| list.iter().for_each(|r| w.range(r)));
        writer.entry_list(0x8003, &self.dns_servers, Writer::address);
        writer.entry_list(0x8004, &self.routes, Writer::route);
        writer.entry_text(0x8005, self.name.as_ref());
        writer.entry_text(0x8006, self.description.as_ref());
        write_service(&self.service, 0x8007, writer);
        if let Some(quarantine_ms) = self.quarantine_ms {
            writer.entry(0x800b, |w| w.u64(quarantine_ms));
        }
        if let Some(from) = &self.from_pool {
            writer.entry(0x8020, |w| {
                w.numbered(from.by);
                w.slice(from.subnet_pool_id.as_bytes());
            });
            writer.entry_list(0x8021, &from.allowed, Writer::prefix);
            writer.entry_list(0x8022, &from.disallowed, Writer::prefix);
        }
    }
}

/// Pool and way of choosing (tag 0x8020), then what the choice is confined to.
fn read_from_pool(
    from: &mut Option<Box<FromPool>>,
    tag: u16,
    value: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    if tag == 0x8020 {
        let by = value.numbered("by")?;
        let subnet_pool_id = value.id("subnet_pool_id")?;
        *from = Some(Box::new(FromPool { subnet_pool_id, by, ..FromPool::default() }));
        return Ok(());
    }
    let missing = DecodeError::new(Fault::Missing, "subnet_pool_id");
    let from = from.as_mut().ok_or(missing)?;
    match tag {
        0x8021 => from.allowed = read_choice(value, "allowed")?,
        _ => from.disallowed = read_choice(value, "disallowed")?,
    }
    Ok(())
}

fn service_types(reader: &mut Reader<'_>) -> Read<Vec<Text>> {
    let text = |r: &mut Reader<'_>| r.short_text(DEVICE_OWNER_BYTES_MAX, "service_types");
    reader.list(SERVICE_TYPES_MAX, "service_types", text)
}

/// Four entries in a row, the first of them with the tag `first`.
fn read_service(service: &mut Service, first: u16, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag.wrapping_sub(first) {
        0 => service.ipv6_ra_mode = Some(value.numbered("ipv6_ra_mode")?),
        1 => service.ipv6_address_mode = Some(value.numbered("ipv6_address_mode")?),
        2 => service.service_types = service_types(value)?,
        3 => service.segment_id = Some(value.nonzero_id("segment_id")?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn write_service(service: &Service, first: u16, writer: &mut Writer<'_>) {
    let modes = [service.ipv6_ra_mode, service.ipv6_address_mode];
    for (tag, mode) in (first..).zip(modes) {
        if let Some(mode) = mode {
            writer.entry(tag, |w| w.numbered(mode));
        }
    }
    let tag = |place: u16| first.wrapping_add(place);
    writer.entry_list(tag(2), &service.service_types, Writer::short_text);
    writer.entry_id(tag(3), service.segment_id.as_ref().map(crate::id::SegmentId::as_bytes));
}

impl Layout for SubnetGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut subnet = None;
        reader.tail(|tag, value| value.subnet_name(tag, &mut subnet))?;
        subnet.map(|subnet| Self { subnet }).ok_or(DecodeError::new(Fault::Missing, "subnet"))
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_subnet_name(&self.subnet);
    }
}

impl Layout for SubnetList {
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

impl Layout for SubnetUpdate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let subnet_id = reader.nonzero_id("subnet_id")?;
        let expected = Revision(reader.u64("expected")?);
        let mut update = Self {
            subnet_id,
            expected,
            strategy: Setting::Unset,
            enable_dhcp: Setting::Unset,
            gateway: Setting::Unset,
            pools: Setting::Unset,
            dns_servers: Setting::Unset,
            routes: Setting::Unset,
            name: Setting::Unset,
            description: Setting::Unset,
            service_types: Setting::Unset,
            segment_id: Setting::Unset,
            quarantine_ms: Setting::Unset,
        };
        reader.tail(|tag, value| read_change(&mut update, tag, value))?;
        Ok(update)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.subnet_id.as_bytes());
        writer.u64(self.expected.0);
        writer.entry_setting(0x8001, &self.gateway, Writer::address);
        writer.entry_setting(0x8002, &self.pools, |w, list| list.iter().for_each(|r| w.range(r)));
        writer.entry_setting(0x8003, &self.dns_servers, |w, list| {
            list.iter().for_each(|address| w.address(address));
        });
        writer.entry_setting(0x8004, &self.routes, |w, list| list.iter().for_each(|r| w.route(r)));
        writer.entry_text_setting(0x8005, &self.name);
        writer.entry_text_setting(0x8006, &self.description);
        writer.entry_setting(0x8007, &self.strategy, |w, strategy| w.numbered(*strategy));
        writer.entry_setting(0x8008, &self.enable_dhcp, |w, on| w.u8((*on).into()));
        writer.entry_setting(0x8009, &self.service_types, |w, list| {
            list.iter().for_each(|text| w.short_text(text));
        });
        writer.entry_setting(0x800a, &self.segment_id, |w, id| w.slice(id.as_bytes()));
        writer.entry_setting(0x800b, &self.quarantine_ms, |w, ms| w.u64(*ms));
    }
}

fn read_change(update: &mut SubnetUpdate, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x8001 => update.gateway = value.setting("gateway", |r| r.address("gateway"))?,
        0x8002 => update.pools = value.setting("pools", pools)?,
        0x8003 => update.dns_servers = value.setting("dns_servers", dns_servers)?,
        0x8004 => update.routes = value.setting("routes", routes)?,
        0x8005 => update.name = value.setting("name", |r| r.name("name"))?,
        0x8006 => {
            update.description = value.setting("description", |r| r.any_text("description"))?;
        }
        0x8007 => update.strategy = value.setting("strategy", |r| r.numbered("strategy"))?,
        0x8008 => update.enable_dhcp = value.setting("enable_dhcp", |r| r.bool("enable_dhcp"))?,
        0x8009 => update.service_types = value.setting("service_types", service_types)?,
        0x800a => {
            update.segment_id = value.setting("segment_id", |r| r.nonzero_id("segment_id"))?;
        }
        0x800b => update.quarantine_ms = value.setting("quarantine_ms", quarantine)?,
        _ => return Ok(false),
    }
    Ok(true)
}

impl Layout for SubnetDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let flags = reader.flags(FORCE)?;
        reader.zero::<6>("reserved")?;
        let expected = Revision(reader.u64("expected")?);
        let subnet_id = reader.nonzero_id("subnet_id")?;
        reader.no_tags()?;
        Ok(Self { subnet_id, force: flags & FORCE != 0, expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u16(bit(self.force, FORCE));
        writer.slice(&[0; 6]);
        writer.u64(self.expected.0);
        writer.slice(self.subnet_id.as_bytes());
    }
}

/// Subnet and range: what the 56 bytes of exclude and include begin with; the last 7 follow.
fn write_place(id: &crate::id::SubnetId, range: &Range, writer: &mut Writer<'_>) {
    writer.slice(id.as_bytes());
    writer.fixed_address(&range.first());
    writer.fixed_address(&range.last());
    writer.family(&range.first());
}

fn read_place(reader: &mut Reader<'_>) -> Read<(crate::id::SubnetId, Range)> {
    let subnet_id = reader.nonzero_id("subnet_id")?;
    let (first, last) = (reader.u128("first")?, reader.u128("last")?);
    Ok((subnet_id, fixed_range(reader.u8("family")?, first, last)?))
}

impl Layout for SubnetExclude {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (subnet_id, range) = read_place(reader)?;
        let mode = reader.numbered("mode")?;
        reader.zero::<6>("reserved")?;
        let mut reason = None;
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                reason = Some(value.any_text("reason")?);
            }
            Ok(tag == 0x8001)
        })?;
        Ok(Self { subnet_id, exclusion: Exclusion { range, mode, reason } })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_place(&self.subnet_id, &self.exclusion.range, writer);
        writer.numbered(self.exclusion.mode);
        writer.slice(&[0; 6]);
        writer.entry_text(0x8001, self.exclusion.reason.as_ref());
    }
}

impl Layout for SubnetInclude {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (subnet_id, range) = read_place(reader)?;
        reader.zero::<7>("reserved")?;
        reader.no_tags()?;
        Ok(Self { subnet_id, range })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_place(&self.subnet_id, &self.range, writer);
        writer.slice(&[0; 7]);
    }
}

/// Range, mode, whether there is a reason, its length and text.
fn read_exclusion(reader: &mut Reader<'_>) -> Read<Exclusion> {
    let range = reader.range("exclusions")?;
    let mode = reader.numbered("mode")?;
    let given = reader.bool("reason")?;
    let length = usize::from(reader.u8("reason")?);
    let text = reader.text_of(length, TEXT_BYTES_MAX, "reason")?;
    if !given && length > 0 {
        return Err(DecodeError::new(Fault::Reserved, "reason"));
    }
    Ok(Exclusion { range, mode, reason: given.then_some(text) })
}

fn write_exclusion(writer: &mut Writer<'_>, exclusion: &Exclusion) {
    writer.range(&exclusion.range);
    writer.numbered(exclusion.mode);
    writer.u8(exclusion.reason.is_some().into());
    let text = exclusion.reason.as_deref().unwrap_or_default();
    match u8::try_from(text.len()) {
        Ok(length) => writer.u8(length),
        Err(_) => writer.fail(EncodeError::FieldTooLong { tag: 0x0007 }),
    }
    writer.slice(text.as_bytes());
}

impl Layout for Subnet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let subnet_id = reader.id("subnet_id")?;
        let network_id = reader.id("network_id")?;
        let number = reader.u128("cidr")?;
        let revision = Revision(reader.u64("revision")?);
        let allocations = reader.u64("allocations")?;
        let (family, length) = (reader.u8("cidr")?, reader.u8("cidr")?);
        let kind = reader.numbered("kind")?;
        let strategy = reader.numbered("strategy")?;
        let flags = reader.flags(DHCP | DELETING | REPEATED)?;
        reader.zero::<2>("reserved")?;
        let mut subnet = Self {
            subnet_id,
            network_id,
            revision,
            cidr: fixed_prefix(family, number, length)?,
            kind,
            strategy,
            enable_dhcp: flags & DHCP != 0,
            deleting: flags & DELETING != 0,
            repeated: flags & REPEATED != 0,
            allocations,
            gateway: None,
            pools: Vec::new(),
            dns_servers: Vec::new(),
            routes: Vec::new(),
            exclusions: Vec::new(),
            name: None,
            description: None,
            live_inside: Vec::new(),
            overlaps: Vec::new(),
            quarantine_ms: 0,
            subnet_pool_id: None,
            service: Service::default(),
            filling: None,
        };
        reader.tail(|tag, value| read_attribute(&mut subnet, tag, value))?;
        Ok(subnet)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.subnet_id.as_bytes());
        writer.slice(self.network_id.as_bytes());
        writer.fixed_address(&self.cidr.first());
        writer.u64(self.revision.0);
        writer.u64(self.allocations);
        write_prefix(&self.cidr, writer);
        writer.numbered(self.kind);
        writer.numbered(self.strategy);
        let flags = bit(self.enable_dhcp, DHCP) | bit(self.deleting, DELETING);
        writer.u16(flags | bit(self.repeated, REPEATED));
        writer.u16(0);
        writer.entry_address(0x0001, self.gateway.as_ref());
        writer.entry_list(0x0002, &self.pools, Writer::range);
        writer.entry_list(0x0003, &self.dns_servers, Writer::address);
        writer.entry_list(0x0004, &self.routes, Writer::route);
        writer.entry_text(0x0005, self.name.as_ref());
        writer.entry_text(0x0006, self.description.as_ref());
        writer.entry_list(0x0007, &self.exclusions, write_exclusion);
        writer.entry_list(0x0008, &self.live_inside, Writer::address);
        writer.entry_list(0x0009, &self.overlaps, |w, id| w.slice(id.as_bytes()));
        write_service(&self.service, 0x000a, writer);
        if let Some(job) = self.filling {
            writer.entry(0x000e, |w| w.u64(job.0));
        }
        if self.quarantine_ms != 0 {
            writer.entry(0x000f, |w| w.u64(self.quarantine_ms));
        }
        writer.entry_id(0x0020, self.subnet_pool_id.as_ref().map(|id| id.as_bytes()));
    }
}

fn read_attribute(subnet: &mut Subnet, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x0001 => subnet.gateway = Some(value.address("gateway")?),
        0x0002 => subnet.pools = pools(value)?,
        0x0003 => subnet.dns_servers = dns_servers(value)?,
        0x0004 => subnet.routes = routes(value)?,
        0x0005 => subnet.name = Some(value.name("name")?),
        0x0006 => subnet.description = Some(value.any_text("description")?),
        0x0007 => {
            subnet.exclusions = value.list(EXCLUSIONS_MAX, "exclusions", read_exclusion)?;
        }
        0x0008 => {
            subnet.live_inside =
                value.list(LIVE_INSIDE_MAX, "live_inside", |r| r.address("live_inside"))?;
        }
        0x0009 => {
            subnet.overlaps = value.list(OVERLAPS_MAX, "overlaps", |r| r.id("overlaps"))?;
        }
        0x0020 => subnet.subnet_pool_id = Some(value.id("subnet_pool_id")?),
        0x000e => subnet.filling = Some(JobId(value.u64("filling")?)),
        0x000f => subnet.quarantine_ms = value.u64("quarantine_ms")?,
        _ => return read_service(&mut subnet.service, 0x000a, tag, value),
    }
    Ok(true)
}

impl Layout for SubnetPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, SUBNET_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
