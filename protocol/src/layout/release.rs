//! Layouts of release, its reply, and of target and fences, which other messages share.

use super::element::{fixed_address, fixed_length};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Instance, OwnerId, Revision, Slot};
use crate::message::{Fences, Release, Released, Target};
use crate::text::MANAGER_BYTES_MAX;
use crate::wire::{Reader, Writer};

/// Bit 0: by address instead of by key.
pub(super) const BY_ADDRESS: u16 = 1;
/// Bit 1: whoever holds it.
pub(super) const ANY: u16 = 1 << 1;
/// Bit 2: the revision is a fence.
pub(super) const REVISION: u16 = 1 << 2;
/// Bit 3: the instance is a fence.
pub(super) const INSTANCE: u16 = 1 << 3;

/// The 24 bytes that name an allocation, and the flags that stand before them.
#[inline]
pub(super) fn read_target(reader: &mut Reader<'_>, known: u16) -> Read<(u16, Target)> {
    let flags = reader.flags(known)?;
    let slot = reader.u16("slot")?;
    let family = reader.u8("family")?;
    reader.zero::<3>("reserved")?;
    if flags & BY_ADDRESS != 0 {
        if slot != 0 {
            return Err(DecodeError::new(Fault::Reserved, "slot"));
        }
        let address = fixed_address(family, reader.u128("address")?, "address")?;
        return Ok((flags, Target::Address(address)));
    }
    if family != 0 {
        return Err(DecodeError::new(Fault::Reserved, "family"));
    }
    let owner: OwnerId = reader.nonzero_id("owner")?;
    Ok((flags, Target::Key { owner, slot: Slot(slot) }))
}

#[inline]
pub(super) fn write_target(target: &Target, flags: u16, writer: &mut Writer<'_>) {
    match target {
        Target::Key { owner, slot } => {
            writer.u16(flags);
            writer.u16(slot.0);
            writer.u32(0);
            writer.slice(owner.as_bytes());
        }
        Target::Address(address) => {
            writer.u16(flags | BY_ADDRESS);
            writer.u16(0);
            writer.family(address);
            writer.slice(&[0; 3]);
            writer.fixed_address(address);
        }
    }
}

/// Revision and instance: a number that no flag announces must be zero.
#[inline]
fn read_number(reader: &mut Reader<'_>, given: bool, field: &'static str) -> Read<Option<u64>> {
    match (reader.u64(field)?, given) {
        (number, true) => Ok(Some(number)),
        (0, false) => Ok(None),
        _ => Err(DecodeError::new(Fault::Reserved, field)),
    }
}

/// Target and fences: the 40 bytes that release and update begin with. Owner and manager follow
/// in the tail.
#[inline]
pub(super) fn read_fenced(outer: &mut Reader<'_>, known: u16) -> Read<(u16, Target, Fences)> {
    let reader = &mut outer.block::<40>("body")?;
    let (flags, target) = read_target(reader, known | BY_ADDRESS | REVISION | INSTANCE)?;
    let revision = read_number(reader, flags & REVISION != 0, "revision")?.map(Revision);
    let instance = read_number(reader, flags & INSTANCE != 0, "instance")?.map(Instance);
    Ok((flags, target, Fences { revision, owner: None, instance, manager: None }))
}

#[inline]
pub(super) fn write_fenced(target: &Target, fences: &Fences, flags: u16, writer: &mut Writer<'_>) {
    let bit = |set: bool, bit: u16| if set { bit } else { 0 };
    let revision = bit(fences.revision.is_some(), REVISION);
    let instance = bit(fences.instance.is_some(), INSTANCE);
    write_target(target, flags | revision | instance, writer);
    writer.u64(fences.revision.unwrap_or_default().0);
    writer.u64(fences.instance.unwrap_or_default().0);
}

pub(super) fn read_fence(fences: &mut Fences, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x8001 => fences.owner = Some(value.id("owner")?),
        0x8002 => fences.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
        _ => return Ok(false),
    }
    Ok(true)
}

#[inline]
pub(super) fn write_fences(fences: &Fences, writer: &mut Writer<'_>) {
    writer.entry_id(0x8001, fences.owner.as_ref().map(OwnerId::as_bytes));
    writer.entry_text(0x8002, fences.manager.as_ref());
}

/// By address at least one fence must be given.
#[inline]
pub(super) fn check_fences(target: &Target, fences: &Fences, any: bool) -> Read<()> {
    match target {
        Target::Address(_) if fences.is_empty() && !any => {
            Err(DecodeError::new(Fault::Missing, "revision"))
        }
        _ => Ok(()),
    }
}

impl Layout for Release {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (flags, target, mut fences) = read_fenced(reader, ANY)?;
        reader.tail(|tag, value| read_fence(&mut fences, tag, value))?;
        let any = flags & ANY != 0;
        check_fences(&target, &fences, any)?;
        Ok(Self { target, fences, any })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        write_fenced(&self.target, &self.fences, if self.any { ANY } else { 0 }, writer);
        write_fences(&self.fences, writer);
    }
}

impl Layout for Released {
    #[inline]
    fn read(outer: &mut Reader<'_>) -> Read<Self> {
        let reader = &mut outer.block::<48>("body")?;
        let number = reader.u128("address")?;
        let subnet_id = reader.id("subnet_id")?;
        let revision = Revision(reader.u64("revision")?);
        let address = fixed_address(reader.u8("address")?, number, "address")?;
        let length = fixed_length(reader.u8("length")?, &address, "length")?;
        let state = reader.numbered("state")?;
        reader.zero::<5>("reserved")?;
        outer.no_tags()?;
        Ok(Self { address, length, subnet_id, revision, state })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        writer.fixed_address(&self.address);
        writer.slice(self.subnet_id.as_bytes());
        writer.u64(self.revision.0);
        writer.family(&self.address);
        writer.u8(self.length);
        writer.numbered(self.state);
        writer.slice(&[0; 5]);
    }
}
