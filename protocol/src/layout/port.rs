//! Layouts of port operations.

use super::element::{fixed_address, fixed_length};
use super::list::{read_cursor, read_items, read_page, write_cursor, write_items, write_page};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Revision, Slot};
use crate::mac::Mac;
use crate::message::port::{
    FixedIp, FixedIpWanted, PORT_ADDRESSES_MAX, Port, PortCreate, PortDelete, PortFilter, PortGet,
    PortList, PortPage, PortUpdate,
};
use crate::setting::Setting;
use crate::text::{DEVICE_OWNER_BYTES_MAX, TEXT_BYTES_MAX};
use crate::wire::{ITEM_HEADER_BYTES, Reader, TAIL_ENTRY_HEADER_BYTES, Writer, limit};

/// Bytes of a port before its addresses.
pub(super) const PORT_BYTES: usize = 56;
/// Bytes of an address.
const FIXED_IP_BYTES: usize = 48;

/// Bytes of a port's addresses with their lengths.
const fn fixed_ips_bytes(count: usize) -> usize {
    count.saturating_mul(ITEM_HEADER_BYTES + FIXED_IP_BYTES)
}

/// Bytes of a port with all that it may have, each at its longest.
pub(crate) const PORT_BYTES_MAX: usize = PORT_BYTES
    + fixed_ips_bytes(PORT_ADDRESSES_MAX)
    + 3 * TAIL_ENTRY_HEADER_BYTES
    + 2 * TEXT_BYTES_MAX
    + DEVICE_OWNER_BYTES_MAX;

/// Bytes of the result of a port in a batch, which has no texts and fewer addresses.
pub(super) const PORT_RESULT_BYTES_MAX: usize =
    PORT_BYTES + fixed_ips_bytes(crate::message::port::BATCH_FIXED_IPS_MAX);

const ALLOW_GATEWAY: u16 = 1;
const REPEATED: u8 = 1;
const MORE: u8 = 1 << 1;
const AUTOMATIC: u8 = 1;
const HAS_SUBNET: u8 = 1;
const HAS_ADDRESS: u8 = 1 << 1;
const HAS_SLOT: u8 = 1 << 2;

fn unknown<T>(value: u8, field: &'static str) -> Read<T> {
    Err(DecodeError::new(Fault::Unknown { value: value.into() }, field))
}

/// Which of the two are given, then the subnet, then the address.
fn read_wanted(reader: &mut Reader<'_>) -> Read<FixedIpWanted> {
    let given = reader.u8("fixed_ips")?;
    if given & !(HAS_SUBNET | HAS_ADDRESS | HAS_SLOT) != 0 {
        return unknown(given, "fixed_ips");
    }
    let mut wanted = FixedIpWanted::default();
    if given & HAS_SUBNET != 0 {
        wanted.subnet_id = Some(reader.nonzero_id("subnet_id")?);
    }
    if given & HAS_ADDRESS != 0 {
        wanted.ip_address = Some(reader.address("ip_address")?);
    }
    if given & HAS_SLOT != 0 {
        wanted.slot = Some(Slot(reader.u16("slot")?));
    }
    Ok(wanted)
}

fn write_wanted(writer: &mut Writer<'_>, wanted: &FixedIpWanted) {
    let bit = |given: bool, bit: u8| if given { bit } else { 0 };
    let subnet = bit(wanted.subnet_id.is_some(), HAS_SUBNET);
    let address = bit(wanted.ip_address.is_some(), HAS_ADDRESS);
    writer.u8(subnet | address | bit(wanted.slot.is_some(), HAS_SLOT));
    if let Some(subnet) = &wanted.subnet_id {
        writer.slice(subnet.as_bytes());
    }
    if let Some(address) = &wanted.ip_address {
        writer.address(address);
    }
    if let Some(slot) = wanted.slot {
        writer.u16(slot.0);
    }
}

fn read_fixed_ips(value: &mut Reader<'_>) -> Read<Setting<Vec<FixedIpWanted>>> {
    value.setting("fixed_ips", |r| r.list(PORT_ADDRESSES_MAX, "fixed_ips", read_wanted))
}

fn write_fixed_ips(setting: &Setting<Vec<FixedIpWanted>>, writer: &mut Writer<'_>) {
    writer.entry_setting(0x8001, setting, |w, list| {
        list.iter().for_each(|wanted| write_wanted(w, wanted));
    });
}

fn write_mac(mac: Option<Mac>, writer: &mut Writer<'_>) {
    writer.slice(&mac.unwrap_or_default().0);
}

impl Layout for PortCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let port_id = reader.nonzero_id("port_id")?;
        let flags = reader.flags(ALLOW_GATEWAY)?;
        let mac = reader.maybe_mac("mac")?;
        let ip_allocation = reader.maybe_numbered("ip_allocation")?;
        reader.zero::<7>("reserved")?;
        let mut create = Self {
            port_id,
            mac,
            allow_gateway: flags & ALLOW_GATEWAY != 0,
            ip_allocation,
            fixed_ips: Setting::Unset,
            host: None,
            device_owner: None,
            description: None,
        };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => create.fixed_ips = read_fixed_ips(value)?,
                0x8002 => create.host = Some(value.any_text("host")?),
                0x8003 => {
                    let owner = value.text(DEVICE_OWNER_BYTES_MAX, "device_owner")?;
                    create.device_owner = Some(owner);
                }
                0x8004 => create.description = Some(value.any_text("description")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(create)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.port_id.as_bytes());
        writer.u16(if self.allow_gateway { ALLOW_GATEWAY } else { 0 });
        write_mac(self.mac, writer);
        writer.maybe_numbered(self.ip_allocation);
        writer.slice(&[0; 7]);
        write_fixed_ips(&self.fixed_ips, writer);
        writer.entry_text(0x8002, self.host.as_ref());
        writer.entry_text(0x8003, self.device_owner.as_ref());
        writer.entry_text(0x8004, self.description.as_ref());
    }
}

impl Layout for PortGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let port_id = reader.nonzero_id("port_id")?;
        reader.no_tags()?;
        Ok(Self { port_id })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.port_id.as_bytes());
    }
}

impl Layout for PortList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut list = Self { page: read_page(reader)?, filter: PortFilter::default() };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => list.page.cursor = read_cursor(value, "cursor")?,
                0x8002 => list.filter.host = Some(value.any_text("host")?),
                0x8003 => {
                    let owner = value.text(DEVICE_OWNER_BYTES_MAX, "device_owner")?;
                    list.filter.device_owner = Some(owner);
                }
                0x8004 => list.filter.mac = Some(value.mac("mac")?),
                0x8005 => list.filter.changed_since = Some(Revision(value.u64("changed_since")?)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(list)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_page(&self.page, writer);
        write_cursor(0x8001, self.page.cursor.as_ref(), writer);
        writer.entry_text(0x8002, self.filter.host.as_ref());
        writer.entry_text(0x8003, self.filter.device_owner.as_ref());
        writer.entry_mac(0x8004, self.filter.mac);
        if let Some(since) = self.filter.changed_since {
            writer.entry(0x8005, |w| w.u64(since.0));
        }
    }
}

impl Layout for PortUpdate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let port_id = reader.nonzero_id("port_id")?;
        let flags = reader.flags(ALLOW_GATEWAY)?;
        let mac = reader.maybe_mac("mac")?;
        let mut update = Self {
            port_id,
            expected: Revision(reader.u64("expected")?),
            allow_gateway: flags & ALLOW_GATEWAY != 0,
            mac,
            fixed_ips: Setting::Unset,
            host: Setting::Unset,
            device_owner: Setting::Unset,
            description: Setting::Unset,
        };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => update.fixed_ips = read_fixed_ips(value)?,
                0x8002 => update.host = value.setting("host", |r| r.any_text("host"))?,
                0x8003 => {
                    update.device_owner = value.setting("device_owner", |r| {
                        r.text(DEVICE_OWNER_BYTES_MAX, "device_owner")
                    })?;
                }
                0x8004 => {
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
        writer.slice(self.port_id.as_bytes());
        writer.u16(if self.allow_gateway { ALLOW_GATEWAY } else { 0 });
        write_mac(self.mac, writer);
        writer.u64(self.expected.0);
        write_fixed_ips(&self.fixed_ips, writer);
        writer.entry_text_setting(0x8002, &self.host);
        writer.entry_text_setting(0x8003, &self.device_owner);
        writer.entry_text_setting(0x8004, &self.description);
    }
}

impl Layout for PortDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let port_id = reader.nonzero_id("port_id")?;
        let expected = Revision(reader.u64("expected")?);
        reader.zero::<8>("reserved")?;
        reader.no_tags()?;
        Ok(Self { port_id, expected })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.port_id.as_bytes());
        writer.u64(self.expected.0);
        writer.u64(0);
    }
}

impl Layout for FixedIp {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let number = reader.u128("ip_address")?;
        let subnet_id = reader.id("subnet_id")?;
        let revision = Revision(reader.u64("revision")?);
        let slot = Slot(reader.u16("slot")?);
        let ip_address = fixed_address(reader.u8("ip_address")?, number, "ip_address")?;
        let length = reader.u8("subnet_length")?;
        let subnet_length = fixed_length(length, &ip_address, "subnet_length")?;
        let flags = reader.u8("flags")?;
        if flags & !AUTOMATIC != 0 {
            return unknown(flags, "flags");
        }
        reader.zero::<3>("reserved")?;
        reader.no_tags()?;
        let automatic = flags & AUTOMATIC != 0;
        Ok(Self { ip_address, subnet_length, subnet_id, slot, revision, automatic })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.fixed_address(&self.ip_address);
        writer.slice(self.subnet_id.as_bytes());
        writer.u64(self.revision.0);
        writer.u16(self.slot.0);
        writer.family(&self.ip_address);
        writer.u8(self.subnet_length);
        writer.u8(if self.automatic { AUTOMATIC } else { 0 });
        writer.slice(&[0; 3]);
    }
}

impl Layout for Port {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let port_id = reader.id("port_id")?;
        let network_id = reader.id("network_id")?;
        let revision = Revision(reader.u64("revision")?);
        let mac = Mac(reader.array("mac")?);
        let ip_allocation = reader.numbered("ip_allocation")?;
        let flags = reader.u8("flags")?;
        if flags & !(REPEATED | MORE) != 0 {
            return unknown(flags, "flags");
        }
        let count = usize::from(reader.u16("fixed_ips")?);
        reader.zero::<6>("reserved")?;
        limit(count, PORT_ADDRESSES_MAX, "fixed_ips")?;
        let mut port = Self {
            port_id,
            network_id,
            revision,
            mac,
            ip_allocation,
            repeated: flags & REPEATED != 0,
            more: flags & MORE != 0,
            fixed_ips: reader.items(count, FIXED_IP_BYTES, FixedIp::read)?,
            host: None,
            device_owner: None,
            description: None,
        };
        reader.tail(|tag, value| {
            match tag {
                0x0001 => port.host = Some(value.any_text("host")?),
                0x0002 => {
                    let owner = value.text(DEVICE_OWNER_BYTES_MAX, "device_owner")?;
                    port.device_owner = Some(owner);
                }
                0x0003 => port.description = Some(value.any_text("description")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(port)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        writer.slice(self.port_id.as_bytes());
        writer.slice(self.network_id.as_bytes());
        writer.u64(self.revision.0);
        writer.slice(&self.mac.0);
        writer.numbered(self.ip_allocation);
        writer.u8(bit(self.repeated, REPEATED) | bit(self.more, MORE));
        writer.count16(self.fixed_ips.len());
        writer.slice(&[0; 6]);
        self.fixed_ips.iter().for_each(|fixed| writer.item(|w| fixed.write(w)));
        writer.entry_text(0x0001, self.host.as_ref());
        writer.entry_text(0x0002, self.device_owner.as_ref());
        writer.entry_text(0x0003, self.description.as_ref());
    }
}

impl Layout for PortPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, PORT_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
