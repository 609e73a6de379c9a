//! Layouts of host leases.

use super::list::{read_count, read_limit};
use super::reconcile::needed;
use super::renew::read_lease;
use super::{Layout, Read};
use crate::message::host_lease::{
    EndHost, EndedHost, HostLease, HostLeaseList, HostLeasePage, RenewHost, RenewedHost,
};
use crate::text::{MANAGER_BYTES_MAX, Text};
use crate::wire::{Reader, Writer};

/// Manager and host, without which no request is.
fn read_place(reader: &mut Reader<'_>) -> Read<(Text, Text)> {
    let (mut manager, mut host) = (None, None);
    reader.tail(|tag, value| {
        match tag {
            0x8001 => manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
            0x8002 => host = Some(value.any_text("host")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((needed(manager, "manager")?, needed(host, "host")?))
}

fn write_place(manager: &Text, host: &Text, writer: &mut Writer<'_>) {
    writer.entry_text(0x8001, Some(manager));
    writer.entry_text(0x8002, Some(host));
}

impl Layout for RenewHost {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let lease_ms = read_lease(reader)?;
        let (begin, life) = (reader.u64("begin")?, reader.u64("life")?);
        let on_end = reader.numbered("on_end")?;
        reader.zero::<7>("reserved")?;
        let (manager, host) = read_place(reader)?;
        Ok(Self { manager, host, lease_ms, on_end, begin, life })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.lease_ms);
        writer.u64(self.begin);
        writer.u64(self.life);
        writer.numbered(self.on_end);
        writer.slice(&[0; 7]);
        write_place(&self.manager, &self.host, writer);
    }
}

impl Layout for RenewedHost {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let renewed = Self {
            time_left_ms: reader.u64("time_left_ms")?,
            following: reader.u64("following")?,
            life: reader.u64("life")?,
            was: reader.numbered("was")?,
        };
        reader.zero::<7>("reserved")?;
        reader.no_tags()?;
        Ok(renewed)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.time_left_ms);
        writer.u64(self.following);
        writer.u64(self.life);
        writer.numbered(self.was);
        writer.slice(&[0; 7]);
    }
}

impl Layout for EndHost {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let life = reader.u64("life")?;
        let on_end = reader.numbered("on_end")?;
        reader.zero::<7>("reserved")?;
        let (manager, host) = read_place(reader)?;
        Ok(Self { manager, host, on_end, life })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.life);
        writer.numbered(self.on_end);
        writer.slice(&[0; 7]);
        write_place(&self.manager, &self.host, writer);
    }
}

impl Layout for EndedHost {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let following = reader.u64("following")?;
        let more = reader.flags(MORE_ITEMS)? & MORE_ITEMS != 0;
        let ended = Self { following, was: reader.numbered("was")?, more };
        reader.zero::<5>("reserved")?;
        reader.no_tags()?;
        Ok(ended)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.following);
        writer.u16(if self.more { MORE_ITEMS } else { 0 });
        writer.numbered(self.was);
        writer.slice(&[0; 5]);
    }
}

impl Layout for HostLeaseList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let limit = read_limit(reader)?;
        reader.zero::<4>("reserved")?;
        let (mut manager, mut after) = (None, None);
        reader.tail(|tag, value| {
            match tag {
                0x8001 => manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
                0x8002 => after = Some(value.any_text("after")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self { manager: needed(manager, "manager")?, limit, after })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.limit);
        writer.u32(0);
        writer.entry_text(0x8001, Some(&self.manager));
        writer.entry_text(0x8002, self.after.as_ref());
    }
}

/// Bytes of a host lease without the name of its host.
const HOST_LEASE_BYTES: usize = 32;

impl Layout for HostLease {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (time_left_ms, following) = (reader.u64("time_left_ms")?, reader.u64("following")?);
        let life = reader.u64("life")?;
        let (state, on_end) = (reader.numbered("state")?, reader.numbered("on_end")?);
        reader.zero::<6>("reserved")?;
        let mut host = None;
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                host = Some(value.any_text("host")?);
            }
            Ok(tag == 0x0001)
        })?;
        let host = needed(host, "host")?;
        Ok(Self { host, time_left_ms, following, life, state, on_end })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.time_left_ms);
        writer.u64(self.following);
        writer.u64(self.life);
        writer.numbered(self.state);
        writer.numbered(self.on_end);
        writer.slice(&[0; 6]);
        writer.entry_text(0x0001, Some(&self.host));
    }
}

const MORE_ITEMS: u16 = 1;

impl Layout for HostLeasePage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let count = read_count(reader)?;
        let flags = reader.flags(MORE_ITEMS)?;
        reader.zero::<2>("reserved")?;
        let items = reader.items(count, HOST_LEASE_BYTES, HostLease::read)?;
        reader.no_tags()?;
        Ok(Self { items, more: flags & MORE_ITEMS != 0 })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.count32(self.items.len());
        writer.u16(if self.more { MORE_ITEMS } else { 0 });
        writer.u16(0);
        self.items.iter().for_each(|item| writer.item(|w| item.write(w)));
    }
}
