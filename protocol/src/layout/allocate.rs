//! Layouts of allocate and its reply.

use super::element::{fixed_address, fixed_length};
use super::renew::read_lease;
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Instance, Revision, Slot};
use crate::message::allocate::{
    Allocate, AllocateExtras, AllocateFlags, Allocated, AllocatedAddress, CANDIDATES_MAX,
    FamilyChoice, PAIR_SLOT_MAX, SubnetSettings,
};
use crate::message::hold::{HOLD_MS_MAX, HOLD_MS_MIN};
use crate::message::subnet::{DNS_SERVERS_MAX, ROUTES_MAX};
use crate::text::MANAGER_BYTES_MAX;
use crate::wire::{Reader, Writer, within};

/// The byte that says "a single address" where a length stands.
const LENGTH_NONE: u8 = 255;
/// Longest prefix, in bits.
const LENGTH_MAX: u64 = 128;

const TAKEOVER: u16 = 1;
const ALLOW_GATEWAY: u16 = 1 << 1;
const ALLOW_RESTING: u16 = 1 << 2;
const WANT_SUBNET: u16 = 1 << 3;

fn flags_of(bits: u16) -> AllocateFlags {
    AllocateFlags {
        takeover: bits & TAKEOVER != 0,
        allow_gateway: bits & ALLOW_GATEWAY != 0,
        allow_resting: bits & ALLOW_RESTING != 0,
        want_subnet: bits & WANT_SUBNET != 0,
    }
}

fn bits_of(flags: AllocateFlags) -> u16 {
    let bit = |set: bool, bit: u16| if set { bit } else { 0 };
    bit(flags.takeover, TAKEOVER)
        | bit(flags.allow_gateway, ALLOW_GATEWAY)
        | bit(flags.allow_resting, ALLOW_RESTING)
        | bit(flags.want_subnet, WANT_SUBNET)
}

impl Layout for Allocate {
    #[inline]
    fn read(outer: &mut Reader<'_>) -> Read<Self> {
        let reader = &mut outer.block::<32>("body")?;
        let bits = reader.flags(TAKEOVER | ALLOW_GATEWAY | ALLOW_RESTING | WANT_SUBNET)?;
        let family = reader.numbered("family")?;
        let strategy = reader.numbered("strategy")?;
        let slot = Slot(reader.u16("slot")?);
        let length = match reader.u8("length")? {
            LENGTH_NONE => None,
            bits => within(bits.into(), 0, LENGTH_MAX, "length").map(|_| Some(bits))?,
        };
        reader.zero::<1>("reserved")?;
        let owner = reader.nonzero_id("owner")?;
        let instance = Instance(reader.u64("instance")?);
        if matches!(family, FamilyChoice::Each | FamilyChoice::Both) {
            within(slot.0.into(), 0, PAIR_SLOT_MAX.into(), "slot")?;
        }
        let extras = read_extras(outer)?;
        let flags = flags_of(bits);
        Ok(Self { owner, slot, instance, family, strategy, length, flags, extras })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u16(bits_of(self.flags));
        writer.numbered(self.family);
        writer.numbered(self.strategy);
        writer.u16(self.slot.0);
        writer.u8(self.length.unwrap_or(LENGTH_NONE));
        writer.u8(0);
        writer.slice(self.owner.as_bytes());
        writer.u64(self.instance.0);
        if let Some(extras) = &self.extras {
            write_extras(extras, writer);
        }
    }
}

#[inline]
fn read_extras(reader: &mut Reader<'_>) -> Read<Option<Box<AllocateExtras>>> {
    let mut extras: Option<Box<AllocateExtras>> = None;
    reader.tail(|tag, value| read_extra(extras.get_or_insert_default(), tag, value))?;
    // Unknown tags and empty lists leave a plain request.
    Ok(extras.filter(|all| **all != AllocateExtras::default()))
}

fn read_extra(extras: &mut AllocateExtras, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x0001 => extras.trace = Some(value.id("trace")?),
        0x8001 => {
            extras.subnets = value.list(CANDIDATES_MAX, "subnets", |r| r.nonzero_id("subnets"))?;
        }
        0x8002 => extras.exact = Some(value.address("exact")?),
        0x8003 => extras.preferred = Some(value.address("preferred")?),
        0x8004 => extras.limit = Some(value.range("limit")?),
        0x8005 => extras.lease_ms = Some(read_lease(value)?),
        0x8006 => extras.hold_token = Some(value.nonzero_id("hold_token")?),
        0x8007 => {
            let hold_ms = value.u64("hold_ms")?;
            extras.hold_ms = Some(within(hold_ms, HOLD_MS_MIN, HOLD_MS_MAX, "hold_ms")?);
        }
        0x8008 => extras.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
        0x8009 => extras.host = Some(value.any_text("host")?),
        0x800a => extras.label = Some(value.any_text("label")?),
        0x800b => extras.owner_name = Some(value.any_text("owner_name")?),
        0x800c => extras.mac = Some(value.mac("mac")?),
        0x800d => extras.follow_host = true,
        0x8010 => extras.hold_item = Some(value.u16("hold_item")?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn write_extras(extras: &AllocateExtras, writer: &mut Writer<'_>) {
    writer.entry_id(0x0001, extras.trace.as_ref().map(uuid::Uuid::as_bytes));
    writer.entry_list(0x8001, &extras.subnets, |w, id| w.slice(id.as_bytes()));
    writer.entry_address(0x8002, extras.exact.as_ref());
    writer.entry_address(0x8003, extras.preferred.as_ref());
    if let Some(limit) = &extras.limit {
        writer.entry(0x8004, |w| w.range(limit));
    }
    if let Some(lease_ms) = extras.lease_ms {
        writer.entry(0x8005, |w| w.u64(lease_ms));
    }
    writer.entry_id(0x8006, extras.hold_token.as_ref().map(uuid::Uuid::as_bytes));
    if let Some(hold_ms) = extras.hold_ms {
        writer.entry(0x8007, |w| w.u64(hold_ms));
    }
    writer.entry_text(0x8008, extras.manager.as_ref());
    writer.entry_text(0x8009, extras.host.as_ref());
    writer.entry_text(0x800a, extras.label.as_ref());
    writer.entry_text(0x800b, extras.owner_name.as_ref());
    writer.entry_mac(0x800c, extras.mac);
    if extras.follow_host {
        writer.entry(0x800d, |_| {});
    }
    if let Some(item) = extras.hold_item {
        writer.entry(0x8010, |w| w.u16(item));
    }
}

const REPEATED: u8 = 1;
const WAS_PREFERRED: u8 = 1 << 1;
const FROM_QUARANTINE: u8 = 1 << 2;
const TAKEN_OVER: u8 = 1 << 3;
const ADDRESS_FLAGS: u8 = REPEATED | WAS_PREFERRED | FROM_QUARANTINE | TAKEN_OVER;

/// One address of 56 bytes, and whether another one follows.
#[inline]
fn read_address(outer: &mut Reader<'_>) -> Read<(AllocatedAddress, bool)> {
    let reader = &mut outer.block::<56>("body")?;
    let number = reader.u128("address")?;
    let subnet_id = reader.id("subnet_id")?;
    let revision = Revision(reader.u64("revision")?);
    let time_left_ms = reader.u64("time_left_ms")?;
    let slot = Slot(reader.u16("slot")?);
    let address = fixed_address(reader.u8("address")?, number, "address")?;
    let length = fixed_length(reader.u8("length")?, &address, "length")?;
    let subnet_length = fixed_length(reader.u8("subnet_length")?, &address, "subnet_length")?;
    let state = reader.numbered("state")?;
    let bits = reader.u8("flags")?;
    if bits & !ADDRESS_FLAGS != 0 {
        return Err(DecodeError::new(Fault::Unknown { value: bits.into() }, "flags"));
    }
    let more = reader.bool("more")?;
    let address = AllocatedAddress {
        address,
        length,
        subnet_length,
        subnet_id,
        slot,
        revision,
        state,
        time_left_ms,
        repeated: bits & REPEATED != 0,
        was_preferred: bits & WAS_PREFERRED != 0,
        from_quarantine: bits & FROM_QUARANTINE != 0,
        taken_over: bits & TAKEN_OVER != 0,
    };
    Ok((address, more))
}

#[inline]
fn write_address(address: &AllocatedAddress, more: bool, writer: &mut Writer<'_>) {
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    writer.fixed_address(&address.address);
    writer.slice(address.subnet_id.as_bytes());
    writer.u64(address.revision.0);
    writer.u64(address.time_left_ms);
    writer.u16(address.slot.0);
    writer.family(&address.address);
    writer.u8(address.length);
    writer.u8(address.subnet_length);
    writer.numbered(address.state);
    writer.u8(bit(address.repeated, REPEATED)
        | bit(address.was_preferred, WAS_PREFERRED)
        | bit(address.from_quarantine, FROM_QUARANTINE)
        | bit(address.taken_over, TAKEN_OVER));
    writer.u8(more.into());
}

impl Layout for Allocated {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (first, more) = read_address(reader)?;
        let second = match more {
            false => None,
            true => match read_address(reader)? {
                (second, false) => Some(second),
                _ => return Err(DecodeError::new(Fault::Unknown { value: 1 }, "more")),
            },
        };
        let mut settings: Option<Box<[SubnetSettings; 2]>> = None;
        reader.tail(|tag, value| {
            match tag {
                0x0001 => {
                    settings = Some(Box::new([read_settings(value)?, SubnetSettings::default()]));
                }
                0x0002 => {
                    let [_, second] = &mut **settings
                        .as_mut()
                        .ok_or(DecodeError::new(Fault::Missing, "settings"))?;
                    *second = read_settings(value)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self { first, second, settings })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        write_address(&self.first, self.second.is_some(), writer);
        if let Some(second) = &self.second {
            write_address(second, false, writer);
        }
        if let Some([first, second]) = self.settings.as_deref() {
            writer.entry(0x0001, |w| write_settings(first, w));
            if *second != SubnetSettings::default() {
                writer.entry(0x0002, |w| write_settings(second, w));
            }
        }
    }
}

fn read_settings(reader: &mut Reader<'_>) -> Read<SubnetSettings> {
    let gateway = match reader.bool("gateway")? {
        false => None,
        true => Some(reader.address("gateway")?),
    };
    let dns_count = reader.u8("dns_servers")?;
    let most = u64::try_from(DNS_SERVERS_MAX).unwrap_or(u64::MAX);
    within(dns_count.into(), 0, most, "dns_servers")?;
    let dns_servers = (0..dns_count).map(|_| reader.address("dns_servers")).collect::<Read<_>>()?;
    let routes = reader.list(ROUTES_MAX, "routes", |r| r.route())?;
    Ok(SubnetSettings { gateway, dns_servers, routes })
}

fn write_settings(settings: &SubnetSettings, writer: &mut Writer<'_>) {
    writer.u8(settings.gateway.is_some().into());
    if let Some(gateway) = &settings.gateway {
        writer.address(gateway);
    }
    match u8::try_from(settings.dns_servers.len()) {
        Ok(count) => writer.u8(count),
        Err(_) => writer.fail(crate::error::EncodeError::FieldTooLong { tag: 0x0001 }),
    }
    settings.dns_servers.iter().for_each(|address| writer.address(address));
    settings.routes.iter().for_each(|route| writer.route(route));
}
