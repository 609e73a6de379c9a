//! Layouts of pins.

use super::element::fixed_address;
use super::list::{read_cursor, read_items, read_page, write_cursor, write_items, write_page};
use super::{Layout, Read};
use crate::id::{Revision, Slot};
use crate::message::pin::{Pin, PinCreate, PinDelete, PinList, PinPage};
use crate::wire::{Reader, Writer};

/// Bytes of a pin without its tail.
pub(super) const PIN_BYTES: usize = 64;

const HELD: u16 = 1;
const REPEATED: u16 = 1 << 1;

impl Layout for PinCreate {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let number = reader.u128("address")?;
        let owner = reader.nonzero_id("owner")?;
        let slot = Slot(reader.u16("slot")?);
        let address = fixed_address(reader.u8("address")?, number, "address")?;
        reader.zero::<5>("reserved")?;
        let mut owner_name = None;
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                owner_name = Some(value.any_text("owner_name")?);
            }
            Ok(tag == 0x8001)
        })?;
        Ok(Self { address, owner, slot, owner_name })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.fixed_address(&self.address);
        writer.slice(self.owner.as_bytes());
        writer.u16(self.slot.0);
        writer.family(&self.address);
        writer.slice(&[0; 5]);
        writer.entry_text(0x8001, self.owner_name.as_ref());
    }
}

impl Layout for PinDelete {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let number = reader.u128("address")?;
        let address = fixed_address(reader.u8("address")?, number, "address")?;
        reader.zero::<7>("reserved")?;
        reader.no_tags()?;
        Ok(Self { address })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.fixed_address(&self.address);
        writer.family(&self.address);
        writer.slice(&[0; 7]);
    }
}

impl Layout for PinList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut list = Self { page: read_page(reader)?, subnet_id: None };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => list.page.cursor = read_cursor(value, "cursor")?,
                0x8002 => list.subnet_id = Some(value.nonzero_id("subnet_id")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(list)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_page(&self.page, writer);
        write_cursor(0x8001, self.page.cursor.as_ref(), writer);
        writer.entry_id(0x8002, self.subnet_id.as_ref().map(crate::id::SubnetId::as_bytes));
    }
}

impl Layout for Pin {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let number = reader.u128("address")?;
        let subnet_id = reader.id("subnet_id")?;
        let owner = reader.id("owner")?;
        let revision = Revision(reader.u64("revision")?);
        let slot = Slot(reader.u16("slot")?);
        let address = fixed_address(reader.u8("address")?, number, "address")?;
        reader.zero::<1>("reserved")?;
        let flags = reader.flags(HELD | REPEATED)?;
        reader.zero::<2>("reserved")?;
        let mut pin = Self {
            address,
            subnet_id,
            owner,
            slot,
            revision,
            held: flags & HELD != 0,
            repeated: flags & REPEATED != 0,
            owner_name: None,
        };
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                pin.owner_name = Some(value.any_text("owner_name")?);
            }
            Ok(tag == 0x0001)
        })?;
        Ok(pin)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        writer.fixed_address(&self.address);
        writer.slice(self.subnet_id.as_bytes());
        writer.slice(self.owner.as_bytes());
        writer.u64(self.revision.0);
        writer.u16(self.slot.0);
        writer.family(&self.address);
        writer.u8(0);
        writer.u16(bit(self.held, HELD) | bit(self.repeated, REPEATED));
        writer.slice(&[0; 2]);
        writer.entry_text(0x0001, self.owner_name.as_ref());
    }
}

impl Layout for PinPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (position, items, next) = read_items(reader, PIN_BYTES)?;
        Ok(Self { position, items, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_items(self.position, &self.items, self.next.as_ref(), writer);
    }
}
