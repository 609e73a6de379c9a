//! Layouts of confirm and cancel.

use super::element::{fixed_address, fixed_length};
use super::release::{
    BY_ADDRESS, check_fences, read_fence, read_fenced, read_target, write_fenced, write_fences,
    write_target,
};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::Revision;
use crate::message::hold::{HOLD_MS_MAX, HOLD_MS_MIN};
use crate::message::{HoldEnd, HoldEnded, HoldRelease};
use crate::wire::{Reader, Writer, within};

/// Bit 1 of a target's flags: what is held is a release.
const RELEASE: u16 = 1 << 1;

const REPEATED: u8 = 1;
const LATE: u8 = 1 << 1;

impl Layout for HoldEnd {
    fn read(outer: &mut Reader<'_>) -> Read<Self> {
        let reader = &mut outer.block::<48>("body")?;
        let (flags, target) = read_target(reader, BY_ADDRESS | RELEASE)?;
        let revision = Revision(reader.u64("revision")?);
        let token = reader.nonzero_id("token")?;
        outer.no_tags()?;
        Ok(Self { target, revision, token, release: flags & RELEASE != 0 })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_target(&self.target, if self.release { RELEASE } else { 0 }, writer);
        writer.u64(self.revision.0);
        writer.slice(self.token.as_bytes());
    }
}

impl Layout for HoldRelease {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (_, target, mut fences) = read_fenced(reader, 0)?;
        let token = reader.nonzero_id("token")?;
        let hold_ms = match reader.u64("hold_ms")? {
            0 => None,
            ms => Some(within(ms, HOLD_MS_MIN, HOLD_MS_MAX, "hold_ms")?),
        };
        reader.tail(|tag, value| read_fence(&mut fences, tag, value))?;
        check_fences(&target, &fences, false)?;
        Ok(Self { target, fences, token, hold_ms })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_fenced(&self.target, &self.fences, 0, writer);
        writer.slice(self.token.as_bytes());
        writer.u64(self.hold_ms.unwrap_or(0));
        write_fences(&self.fences, writer);
    }
}

impl Layout for HoldEnded {
    fn read(outer: &mut Reader<'_>) -> Read<Self> {
        let reader = &mut outer.block::<32>("body")?;
        let number = reader.u128("address")?;
        let revision = Revision(reader.u64("revision")?);
        let address = fixed_address(reader.u8("address")?, number, "address")?;
        let length = fixed_length(reader.u8("length")?, &address, "length")?;
        let state = reader.numbered("state")?;
        let bits = reader.u8("flags")?;
        if bits & !(REPEATED | LATE) != 0 {
            return Err(DecodeError::new(Fault::Unknown { value: bits.into() }, "flags"));
        }
        reader.zero::<4>("reserved")?;
        outer.no_tags()?;
        let (repeated, late) = (bits & REPEATED != 0, bits & LATE != 0);
        Ok(Self { address, length, revision, state, repeated, late })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        writer.fixed_address(&self.address);
        writer.u64(self.revision.0);
        writer.family(&self.address);
        writer.u8(self.length);
        writer.numbered(self.state);
        writer.u8(bit(self.repeated, REPEATED) | bit(self.late, LATE));
        writer.slice(&[0; 4]);
    }
}
