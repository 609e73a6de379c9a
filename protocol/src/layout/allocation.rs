//! Layouts of allocations as objects: get, list, lookup, update.

use super::element::{fixed_address, fixed_length, fixed_prefix};
use super::list::{read_cursor, read_items, read_limit, write_cursor, write_items};
use super::release::{
    BY_ADDRESS, check_fences, read_fence, read_fenced, read_target, write_fenced, write_fences,
    write_target,
};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Instance, Revision, Slot};
use crate::message::allocation::{
    Allocation, AllocationFilter, AllocationGet, AllocationList, AllocationPage, AllocationUpdate,
    LOOKUPS_MAX, Lookup, Lookups, SubnetRef,
};
use crate::message::list::PageRequest;
use crate::prefix::Family;
use crate::setting::Setting;
use crate::text::{MANAGER_BYTES_MAX, TEXT_BYTES_MAX};
use crate::wire::{Reader, TAIL_ENTRY_HEADER_BYTES, Writer, limit};

/// Bytes of an allocation without its tail.
pub(super) const ALLOCATION_BYTES: usize = 112;
/// Bytes of an allocation with all its texts at their longest.
pub(crate) const ALLOCATION_BYTES_MAX: usize = ALLOCATION_BYTES
    + 3 * (TAIL_ENTRY_HEADER_BYTES + TEXT_BYTES_MAX)
    + TAIL_ENTRY_HEADER_BYTES
    + MANAGER_BYTES_MAX
    + TAIL_ENTRY_HEADER_BYTES
    + ID_BYTES
    + TAIL_ENTRY_HEADER_BYTES;
/// Bytes of an id.
const ID_BYTES: usize = 16;
/// Bytes of a subnet's place.
const SUBNET_REF_BYTES: usize = 56;

const REPEATED: u16 = 1;

impl Layout for Allocation {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let number = reader.u128("address")?;
        let address = fixed_address(reader.u8("address")?, number, "address")?;
        let mut allocation = Self {
            address,
            length: fixed_length(reader.u8("length")?, &address, "length")?,
            subnet_length: fixed_length(reader.u8("subnet_length")?, &address, "subnet_length")?,
            state: reader.numbered("state")?,
            slot: Slot(reader.u16("slot")?),
            repeated: reader.flags(REPEATED)? & REPEATED != 0,
            network_id: reader.id("network_id")?,
            subnet_id: reader.id("subnet_id")?,
            project_id: reader.id("project_id")?,
            owner: reader.id("owner")?,
            instance: Instance(reader.u64("instance")?),
            revision: Revision(reader.u64("revision")?),
            time_left_ms: reader.u64("time_left_ms")?,
            owner_name: None,
            label: None,
            host: None,
            manager: None,
            network_project: None,
            follows_host: false,
        };
        reader.tail(|tag, value| {
            match tag {
                0x0001 => allocation.owner_name = Some(value.any_text("owner_name")?),
                0x0002 => allocation.label = Some(value.any_text("label")?),
                0x0003 => allocation.host = Some(value.any_text("host")?),
                0x0004 => allocation.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
                0x0005 => allocation.network_project = Some(value.id("network_project")?),
                0x0006 => allocation.follows_host = true,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(allocation)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.fixed_address(&self.address);
        writer.family(&self.address);
        writer.u8(self.length);
        writer.u8(self.subnet_length);
        writer.numbered(self.state);
        writer.u16(self.slot.0);
        writer.u16(if self.repeated { REPEATED } else { 0 });
        writer.slice(self.network_id.as_bytes());
        writer.slice(self.subnet_id.as_bytes());
        writer.slice(self.project_id.as_bytes());
        writer.slice(self.owner.as_bytes());
        writer.u64(self.instance.0);
        writer.u64(self.revision.0);
        writer.u64(self.time_left_ms);
        writer.entry_text(0x0001, self.owner_name.as_ref());
        writer.entry_text(0x0002, self.label.as_ref());
        writer.entry_text(0x0003, self.host.as_ref());
        writer.entry_text(0x0004, self.manager.as_ref());
        writer.entry_id(0x0005, self.network_project.as_ref().map(|id| id.as_bytes()));
        if self.follows_host {
            writer.entry(0x0006, |_| {});
        }
    }
}

impl Layout for AllocationGet {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (_, target) = read_target(reader, BY_ADDRESS)?;
        reader.no_tags()?;
        Ok(Self { target })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_target(&self.target, 0, writer);
    }
}

impl Layout for AllocationUpdate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (_, target, fences) = read_fenced(reader, 0)?;
        let mut update = Self {
            target,
            fences,
            label: Setting::Unset,
            host: Setting::Unset,
            manager_name: Setting::Unset,
            owner_name: Setting::Unset,
            lease_ms: Setting::Unset,
            follow_host: None,
        };
        reader.tail(|tag, value| read_change(&mut update, tag, value))?;
        check_fences(&update.target, &update.fences, false)?;
        Ok(update)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_fenced(&self.target, &self.fences, 0, writer);
        write_fences(&self.fences, writer);
        writer.entry_text_setting(0x8003, &self.label);
        writer.entry_text_setting(0x8004, &self.host);
        writer.entry_text_setting(0x8005, &self.manager_name);
        writer.entry_text_setting(0x8006, &self.owner_name);
        writer.entry_setting(0x8007, &self.lease_ms, |w, ms| w.u64(*ms));
        if let Some(follow) = self.follow_host {
            writer.entry(0x8008, |w| w.u8(follow.into()));
        }
    }
}

fn read_change(update: &mut AllocationUpdate, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x8003 => update.label = value.setting("label", |r| r.any_text("label"))?,
        0x8004 => update.host = value.setting("host", |r| r.any_text("host"))?,
        0x8005 => {
            update.manager_name =
                value.setting("manager_name", |r| r.text(MANAGER_BYTES_MAX, "manager_name"))?;
        }
        0x8006 => update.owner_name = value.setting("owner_name", |r| r.any_text("owner_name"))?,
        0x8007 => update.lease_ms = value.setting("lease_ms", super::renew::read_lease)?,
        0x8008 => update.follow_host = Some(value.bool("follow_host")?),
        _ => return read_fence(&mut update.fences, tag, value),
    }
    Ok(true)
}

/// Bit 0: the list shows one state only.
const BY_STATE: u16 = 1;
/// Bit 1: the list shows revisions higher than the one given.
const BY_REVISION: u16 = 1 << 1;

impl Layout for AllocationList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let page = PageRequest { limit: read_limit(reader)?, cursor: None };
        let flags = reader.flags(BY_STATE | BY_REVISION)?;
        let state = reader.numbered("state")?;
        let family = reader.u8("family")?;
        let revision = reader.u64("changed_since")?;
        if flags & BY_REVISION == 0 && revision != 0 {
            return Err(DecodeError::new(Fault::Reserved, "changed_since"));
        }
        if flags & BY_STATE == 0 && state != crate::message::AllocationState::Free {
            return Err(DecodeError::new(Fault::Reserved, "state"));
        }
        let family = match family {
            0 => None,
            number => Some(number_family(number)?),
        };
        let filter = AllocationFilter {
            family,
            state: (flags & BY_STATE != 0).then_some(state),
            changed_since: (flags & BY_REVISION != 0).then_some(Revision(revision)),
            ..AllocationFilter::default()
        };
        let mut list = Self { page, filter };
        reader.tail(|tag, value| read_filter(&mut list, tag, value))?;
        Ok(list)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        let filter = &self.filter;
        writer.u32(self.page.limit);
        let by_state = bit(filter.state.is_some(), BY_STATE);
        writer.u16(by_state | bit(filter.changed_since.is_some(), BY_REVISION));
        writer.u8(filter.state.map_or(0, |state| state as u8));
        writer.u8(filter.family.map_or(0, |family| family as u8));
        writer.u64(filter.changed_since.unwrap_or_default().0);
        write_cursor(0x8001, self.page.cursor.as_ref(), writer);
        writer.entry_id(0x8002, filter.subnet.as_ref().map(crate::id::SubnetId::as_bytes));
        writer.entry_id(0x8003, filter.owner.as_ref().map(crate::id::OwnerId::as_bytes));
        writer.entry_text(0x8004, filter.manager.as_ref());
        writer.entry_text(0x8005, filter.host.as_ref());
        writer.entry_text(0x8006, filter.label.as_ref());
    }
}

fn number_family(number: u8) -> Read<Family> {
    use super::element::Numbered;
    let unknown = Fault::Unknown { value: number.into() };
    <Family as Numbered>::of(number).ok_or(DecodeError::new(unknown, "family"))
}

fn read_filter(list: &mut AllocationList, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x8001 => list.page.cursor = read_cursor(value, "cursor")?,
        0x8002 => list.filter.subnet = Some(value.id("subnet")?),
        0x8003 => list.filter.owner = Some(value.id("owner")?),
        0x8004 => list.filter.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
        0x8005 => list.filter.host = Some(value.any_text("host")?),
        0x8006 => list.filter.label = Some(value.any_text("label")?),
        _ => return Ok(false),
    }
    Ok(true)
}

impl Layout for AllocationPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, ALLOCATION_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}

/// What a lookup asks for: 1 = an address, 2 = an owner.
const LOOKUP_ADDRESS: u8 = 1;
const LOOKUP_OWNER: u8 = 2;

impl Layout for Lookup {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let kind = reader.u8("kind")?;
        let family = reader.u8("family")?;
        reader.zero::<6>("reserved")?;
        let lookup = match (kind, family) {
            (LOOKUP_ADDRESS, family) => {
                Self::Address(fixed_address(family, reader.u128("address")?, "address")?)
            }
            (LOOKUP_OWNER, 0) => Self::Owner(reader.nonzero_id("owner")?),
            (LOOKUP_OWNER, _) => return Err(DecodeError::new(Fault::Reserved, "family")),
            (kind, _) => {
                return Err(DecodeError::new(Fault::Unknown { value: kind.into() }, "kind"));
            }
        };
        reader.no_tags()?;
        Ok(lookup)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Address(address) => {
                writer.u8(LOOKUP_ADDRESS);
                writer.family(address);
                writer.slice(&[0; 6]);
                writer.fixed_address(address);
            }
            Self::Owner(owner) => {
                writer.u8(LOOKUP_OWNER);
                writer.slice(&[0; 7]);
                writer.slice(owner.as_bytes());
            }
        }
    }
}

const MORE: u16 = 1;

impl Layout for Lookups {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let allocations = usize::from(reader.u16("allocations")?);
        let subnets = usize::from(reader.u16("subnets")?);
        let flags = reader.flags(MORE)?;
        reader.zero::<2>("reserved")?;
        limit(allocations, LOOKUPS_MAX, "allocations")?;
        limit(subnets, LOOKUPS_MAX, "subnets")?;
        let found = Self {
            allocations: reader.items(allocations, ALLOCATION_BYTES, Allocation::read)?,
            subnets: reader.items(subnets, SUBNET_REF_BYTES, SubnetRef::read)?,
            more: flags & MORE != 0,
        };
        reader.no_tags()?;
        Ok(found)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.count16(self.allocations.len());
        writer.count16(self.subnets.len());
        writer.u16(if self.more { MORE } else { 0 });
        writer.u16(0);
        self.allocations.iter().for_each(|allocation| writer.item(|w| allocation.write(w)));
        self.subnets.iter().for_each(|subnet| writer.item(|w| subnet.write(w)));
    }
}

impl Layout for SubnetRef {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let network_id = reader.id("network_id")?;
        let subnet_id = reader.id("subnet_id")?;
        let number = reader.u128("cidr")?;
        let (family, length) = (reader.u8("cidr")?, reader.u8("cidr")?);
        reader.zero::<6>("reserved")?;
        let cidr = fixed_prefix(family, number, length)?;
        let mut network_project = None;
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                network_project = Some(value.id("network_project")?);
            }
            Ok(tag == 0x0001)
        })?;
        Ok(Self { network_id, subnet_id, cidr, network_project })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.network_id.as_bytes());
        writer.slice(self.subnet_id.as_bytes());
        writer.fixed_address(&self.cidr.first());
        writer.family(&self.cidr.first());
        writer.u8(self.cidr.length());
        writer.slice(&[0; 6]);
        writer.entry_id(0x0001, self.network_project.as_ref().map(|id| id.as_bytes()));
    }
}
