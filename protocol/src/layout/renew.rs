//! Layouts of renewals.

use super::element::{fixed_address, fixed_length};
use super::release::{check_fences, read_fence, read_fenced, write_fenced, write_fences};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Instance, Revision};
use crate::message::renew::{LEASE_MS_MAX, LEASE_MS_MIN};
use crate::message::{Renew, RenewOwner, Renewed, RenewedOwner};
use crate::wire::{Reader, Writer, within};

/// Bit 0: the instance is a fence.
const BY_INSTANCE: u16 = 1;

pub(super) fn read_lease(reader: &mut Reader<'_>) -> Read<u64> {
    within(reader.u64("lease_ms")?, LEASE_MS_MIN, LEASE_MS_MAX, "lease_ms")
}

impl Layout for Renew {
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (_, target, mut fences) = read_fenced(reader, 0)?;
        let lease_ms = read_lease(reader)?;
        reader.tail(|tag, value| read_fence(&mut fences, tag, value))?;
        check_fences(&target, &fences, false)?;
        Ok(Self { target, fences, lease_ms })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        write_fenced(&self.target, &self.fences, 0, writer);
        writer.u64(self.lease_ms);
        write_fences(&self.fences, writer);
    }
}

impl Layout for Renewed {
    #[inline]
    fn read(outer: &mut Reader<'_>) -> Read<Self> {
        let reader = &mut outer.block::<40>("body")?;
        let number = reader.u128("address")?;
        let revision = Revision(reader.u64("revision")?);
        let time_left_ms = reader.u64("time_left_ms")?;
        let address = fixed_address(reader.u8("address")?, number, "address")?;
        let length = fixed_length(reader.u8("length")?, &address, "length")?;
        reader.zero::<6>("reserved")?;
        outer.no_tags()?;
        Ok(Self { address, length, revision, time_left_ms })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        writer.fixed_address(&self.address);
        writer.u64(self.revision.0);
        writer.u64(self.time_left_ms);
        writer.family(&self.address);
        writer.u8(self.length);
        writer.slice(&[0; 6]);
    }
}

impl Layout for RenewOwner {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let flags = reader.flags(BY_INSTANCE)?;
        reader.zero::<6>("reserved")?;
        let owner = reader.nonzero_id("owner")?;
        let instance = Instance(reader.u64("instance")?);
        let lease_ms = read_lease(reader)?;
        if flags & BY_INSTANCE == 0 && instance.0 != 0 {
            return Err(DecodeError::new(Fault::Reserved, "instance"));
        }
        reader.no_tags()?;
        let instance = (flags & BY_INSTANCE != 0).then_some(instance);
        Ok(Self { owner, instance, lease_ms })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u16(if self.instance.is_some() { BY_INSTANCE } else { 0 });
        writer.slice(&[0; 6]);
        writer.slice(self.owner.as_bytes());
        writer.u64(self.instance.unwrap_or_default().0);
        writer.u64(self.lease_ms);
    }
}

impl Layout for RenewedOwner {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let counts = Self {
            renewed: reader.u32("renewed")?,
            endless: reader.u32("endless")?,
            expired: reader.u32("expired")?,
            stale: reader.u32("stale")?,
        };
        reader.no_tags()?;
        Ok(counts)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let Self { renewed, endless, expired, stale } = *self;
        [renewed, endless, expired, stale].into_iter().for_each(|count| writer.u32(count));
    }
}
