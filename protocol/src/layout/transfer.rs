//! Layout of a transfer.

use super::release::{check_fences, read_fence, read_fenced, write_fenced, write_fences};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Instance, OwnerId, ProjectId, Slot};
use crate::message::{Target, Transfer};
use crate::wire::{Reader, Writer};

/// Bit 4: the new owner is given.
const TO_OWNER: u16 = 1 << 4;
/// Bit 5: the new slot is given.
const TO_SLOT: u16 = 1 << 5;
/// Bit 6: the new instance is given.
const TO_INSTANCE: u16 = 1 << 6;

/// What no flag announces must be zero.
fn given<T>(is_given: bool, is_zero: bool, value: T, field: &'static str) -> Read<Option<T>> {
    match (is_given, is_zero) {
        (true, _) => Ok(Some(value)),
        (false, true) => Ok(None),
        (false, false) => Err(DecodeError::new(Fault::Reserved, field)),
    }
}

impl Layout for Transfer {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (flags, target, mut fences) = read_fenced(reader, TO_OWNER | TO_SLOT | TO_INSTANCE)?;
        let Target::Address(address) = target else {
            return Err(DecodeError::new(Fault::Missing, "address"));
        };
        let owner: OwnerId = reader.id("to_owner")?;
        let instance = Instance(reader.u64("to_instance")?);
        let slot = Slot(reader.u16("to_slot")?);
        reader.zero::<6>("reserved")?;
        if flags & TO_OWNER != 0 && owner.is_nil() {
            return Err(DecodeError::new(Fault::Missing, "to_owner"));
        }
        let to_owner = given(flags & TO_OWNER != 0, owner.is_nil(), owner, "to_owner")?;
        let to_slot = given(flags & TO_SLOT != 0, slot.0 == 0, slot, "to_slot")?;
        let to_instance =
            given(flags & TO_INSTANCE != 0, instance.0 == 0, instance, "to_instance")?;
        let (mut to_project, mut owner_name) = (None, None);
        reader.tail(|tag, value| {
            match tag {
                0x8003 => owner_name = Some(value.any_text("owner_name")?),
                0x8004 => to_project = Some(value.id("to_project")?),
                _ => return read_fence(&mut fences, tag, value),
            }
            Ok(true)
        })?;
        check_fences(&target, &fences, false)?;
        let read = Self { address, fences, to_owner, to_slot, to_instance, to_project, owner_name };
        if read.is_empty() {
            return Err(DecodeError::new(Fault::Missing, "to_owner"));
        }
        if read.owner_name.is_some() && read.to_owner.is_none() {
            return Err(DecodeError::new(Fault::Conflict, "owner_name"));
        }
        Ok(read)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = bit(self.to_owner.is_some(), TO_OWNER)
            | bit(self.to_slot.is_some(), TO_SLOT)
            | bit(self.to_instance.is_some(), TO_INSTANCE);
        write_fenced(&Target::Address(self.address), &self.fences, flags, writer);
        writer.slice(self.to_owner.unwrap_or_default().as_bytes());
        writer.u64(self.to_instance.unwrap_or_default().0);
        writer.u16(self.to_slot.unwrap_or_default().0);
        writer.slice(&[0; 6]);
        write_fences(&self.fences, writer);
        writer.entry_text(0x8003, self.owner_name.as_ref());
        writer.entry_id(0x8004, self.to_project.as_ref().map(ProjectId::as_bytes));
    }
}
