//! Layouts of reconciliation, and of lists of managers and hosts.

use super::list::{read_count, read_cursor, read_limit, read_next, write_cursor};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Instance, OwnerId, Slot};
use crate::message::reconcile::{
    GRACE_MS_MAX, GRACE_MS_MIN, Live, ManagerList, ManagerPage, ManagerUse, RECONCILE_LIVE_MAX,
    RECONCILE_PARTS_MAX, Reconcile, Reconciled, SUSPECTS_MAX, SuspectList, Suspects,
};
use crate::text::{MANAGER_BYTES_MAX, Text};
use crate::wire::{Reader, Writer, limit, within};

const DRY_RUN: u16 = 1;

impl Layout for Live {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let owner: OwnerId = reader.nonzero_id("owner")?;
        Ok(Self {
            owner,
            slot: Slot(reader.u16("slot")?),
            instance: Instance(reader.u64("instance")?),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.owner.as_bytes());
        writer.u16(self.slot.0);
        writer.u64(self.instance.0);
    }
}

/// What a request can't be without.
pub(super) fn needed(text: Option<Text>, field: &'static str) -> Read<Text> {
    text.filter(|text| !text.is_empty()).ok_or(DecodeError::new(Fault::Missing, field))
}

impl Layout for Reconcile {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let flags = reader.flags(DRY_RUN)?;
        let part = reader.u16("part")?;
        let parts = reader.u16("parts")?;
        within(parts.into(), 1, RECONCILE_PARTS_MAX.into(), "parts")?;
        within(part.into(), 0, u64::from(parts).saturating_sub(1), "part")?;
        reader.zero::<2>("reserved")?;
        let call = within(reader.u64("call")?, 1, u64::MAX, "call")?;
        let grace_ms = reader.u32("grace_ms")?;
        within(grace_ms.into(), GRACE_MS_MIN.into(), GRACE_MS_MAX.into(), "grace_ms")?;
        reader.zero::<4>("reserved")?;
        let (mut manager, mut host, mut live) = (None, None, Vec::new());
        reader.tail(|tag, value| {
            match tag {
                0x8001 => manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
                0x8002 => host = Some(value.any_text("host")?),
                0x8003 => live = value.list(RECONCILE_LIVE_MAX, "live", Live::read)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let (manager, host) = (needed(manager, "manager")?, needed(host, "host")?);
        let dry_run = flags & DRY_RUN != 0;
        Ok(Self { manager, host, call, part, parts, grace_ms, dry_run, live })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u16(if self.dry_run { DRY_RUN } else { 0 });
        writer.u16(self.part);
        writer.u16(self.parts);
        writer.u16(0);
        writer.u64(self.call);
        writer.u32(self.grace_ms);
        writer.u32(0);
        writer.entry_text(0x8001, Some(&self.manager));
        writer.entry_text(0x8002, Some(&self.host));
        if !self.live.is_empty() {
            writer.entry(0x8003, |w| self.live.iter().for_each(|live| live.write(w)));
        }
    }
}

const COMPLETE: u16 = 1;
const TOO_EARLY: u16 = 1 << 1;
const RELEASING: u16 = 1 << 2;
const MORE: u16 = 1 << 3;

impl Layout for Reconciled {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let call = reader.u64("call")?;
        let flags = reader.flags(COMPLETE | TOO_EARLY | RELEASING | MORE)?;
        let parts_missing = reader.u16("parts_missing")?;
        reader.zero::<4>("reserved")?;
        let done = Self {
            call,
            complete: flags & COMPLETE != 0,
            parts_missing,
            too_early: flags & TOO_EARLY != 0,
            releasing: flags & RELEASING != 0,
            more: flags & MORE != 0,
            listed: reader.u64("listed")?,
            elsewhere: reader.u64("elsewhere")?,
            other_instance: reader.u64("other_instance")?,
            suspects: reader.u64("suspects")?,
            released: reader.u64("released")?,
        };
        reader.no_tags()?;
        Ok(done)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        writer.u64(self.call);
        writer.u16(
            bit(self.complete, COMPLETE)
                | bit(self.too_early, TOO_EARLY)
                | bit(self.releasing, RELEASING)
                | bit(self.more, MORE),
        );
        writer.u16(self.parts_missing);
        writer.u32(0);
        let counts = [self.listed, self.elsewhere, self.other_instance];
        counts.into_iter().for_each(|count| writer.u64(count));
        writer.u64(self.suspects);
        writer.u64(self.released);
    }
}

impl Layout for SuspectList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut list = Self::default();
        reader.tail(|tag, value| {
            match tag {
                0x8001 => list.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
                0x8002 => list.host = Some(value.any_text("host")?),
                0x8003 => list.cursor = read_cursor(value, "cursor")?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(list)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.entry_text(0x8001, self.manager.as_ref());
        writer.entry_text(0x8002, self.host.as_ref());
        write_cursor(0x8003, self.cursor.as_ref(), writer);
    }
}

const MORE_ITEMS: u16 = 1;

impl Layout for Suspects {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let count = usize::from(reader.u16("allocations")?);
        let flags = reader.flags(MORE_ITEMS)?;
        reader.zero::<4>("reserved")?;
        limit(count, SUSPECTS_MAX, "allocations")?;
        let allocations = reader.items(count, super::allocation::ALLOCATION_BYTES, Layout::read)?;
        let next = read_next(reader)?;
        Ok(Self { allocations, more: flags & MORE_ITEMS != 0, next })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.count16(self.allocations.len());
        writer.u16(if self.more { MORE_ITEMS } else { 0 });
        writer.u32(0);
        self.allocations.iter().for_each(|allocation| writer.item(|w| allocation.write(w)));
        write_cursor(0x0001, self.next.as_ref(), writer);
    }
}

impl Layout for ManagerList {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut list = Self { limit: read_limit(reader)?, ..Self::default() };
        reader.zero::<4>("reserved")?;
        reader.tail(|tag, value| {
            match tag {
                0x8001 => list.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
                0x8002 => list.after = Some(value.any_text("after")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(list)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.limit);
        writer.u32(0);
        writer.entry_text(0x8001, self.manager.as_ref());
        writer.entry_text(0x8002, self.after.as_ref());
    }
}

/// Bytes of a manager or host without its name.
const MANAGER_USE_BYTES: usize = 16;

impl Layout for ManagerUse {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (hosts, allocations) = (reader.u64("hosts")?, reader.u64("allocations")?);
        let mut name = None;
        reader.tail(|tag, value| {
            if tag == 0x0001 {
                name = Some(value.any_text("name")?);
            }
            Ok(tag == 0x0001)
        })?;
        Ok(Self { name, hosts, allocations })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.hosts);
        writer.u64(self.allocations);
        writer.entry_text(0x0001, self.name.as_ref());
    }
}

impl Layout for ManagerPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let count = read_count(reader)?;
        let flags = reader.flags(MORE_ITEMS)?;
        reader.zero::<2>("reserved")?;
        let items = reader.items(count, MANAGER_USE_BYTES, ManagerUse::read)?;
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
