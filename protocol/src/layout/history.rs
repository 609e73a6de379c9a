//! Layouts of questions about what was.

use super::element::{fixed_address, fixed_length};
use super::list::{read_count, read_cursor, read_limit, read_next, write_cursor};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Incarnation, Instance, Revision, Seq, Slot};
use crate::message::history::{History, HistoryEntry, HistoryPage, HistorySubject};
use crate::text::MANAGER_BYTES_MAX;
use crate::wire::{Reader, TAIL_ENTRY_HEADER_BYTES, Writer, within};

/// Bytes of an entry without its tail.
pub(super) const ENTRY_BYTES: usize = 144;
/// Bytes of an entry with all that it may have.
pub(crate) const ENTRY_BYTES_MAX: usize = ENTRY_BYTES
    + 3 * (TAIL_ENTRY_HEADER_BYTES + crate::text::TEXT_BYTES_MAX)
    + TAIL_ENTRY_HEADER_BYTES
    + MANAGER_BYTES_MAX
    + 3 * (TAIL_ENTRY_HEADER_BYTES + 16);

const BY_OWNER: u16 = 1;
const BY_SLOT: u16 = 1 << 1;
const OLDEST_FIRST: u16 = 1 << 2;

const fn bit(set: bool, bit: u16) -> u16 {
    if set { bit } else { 0 }
}

impl Layout for History {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let flags = reader.flags(BY_OWNER | BY_SLOT | OLDEST_FIRST)?;
        let slot = reader.u16("slot")?;
        let family = reader.u8("family")?;
        reader.zero::<3>("reserved")?;
        let by_owner = flags & BY_OWNER != 0;
        let subject = if by_owner {
            HistorySubject::Owner(reader.nonzero_id("owner")?)
        } else {
            HistorySubject::Address(fixed_address(family, reader.u128("address")?, "address")?)
        };
        if by_owner && family != 0 {
            return Err(DecodeError::new(Fault::Reserved, "family"));
        }
        let by_slot = flags & BY_SLOT != 0;
        if (by_slot && !by_owner) || (!by_slot && slot != 0) {
            return Err(DecodeError::new(Fault::Reserved, "slot"));
        }
        let from_ms = reader.u64("from_ms")?;
        let to_ms = reader.u64("to_ms")?;
        if to_ms != 0 {
            within(to_ms, from_ms, u64::MAX, "to_ms")?;
        }
        let mut history = Self {
            subject,
            slot: by_slot.then_some(Slot(slot)),
            oldest_first: flags & OLDEST_FIRST != 0,
            from_ms,
            to_ms,
            limit: read_limit(reader)?,
            cursor: None,
        };
        reader.zero::<4>("reserved")?;
        reader.tail(|tag, value| {
            if tag == 0x8001 {
                history.cursor = read_cursor(value, "cursor")?;
            }
            Ok(tag == 0x8001)
        })?;
        Ok(history)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let by_owner = matches!(self.subject, HistorySubject::Owner(_));
        writer.u16(
            bit(by_owner, BY_OWNER)
                | bit(self.slot.is_some(), BY_SLOT)
                | bit(self.oldest_first, OLDEST_FIRST),
        );
        writer.u16(self.slot.unwrap_or_default().0);
        match &self.subject {
            HistorySubject::Address(address) => {
                writer.family(address);
                writer.slice(&[0; 3]);
                writer.fixed_address(address);
            }
            HistorySubject::Owner(owner) => {
                writer.u32(0);
                writer.slice(owner.as_bytes());
            }
        }
        writer.u64(self.from_ms);
        writer.u64(self.to_ms);
        writer.u32(self.limit);
        writer.u32(0);
        write_cursor(0x8001, self.cursor.as_ref(), writer);
    }
}

impl Layout for HistoryEntry {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (time_ms, position) = (reader.u64("time_ms")?, Seq(reader.u64("position")?));
        let revision = Revision(reader.u64("revision")?);
        let fence = Revision(reader.u64("fence")?);
        let instance = Instance(reader.u64("instance")?);
        let ends_ms = reader.u64("ends_ms")?;
        let number = reader.u128("address")?;
        let (network_id, subnet_id) = (reader.id("network_id")?, reader.id("subnet_id")?);
        let (project_id, owner) = (reader.id("project_id")?, reader.id("owner")?);
        let slot = Slot(reader.u16("slot")?);
        let address = fixed_address(reader.u8("family")?, number, "address")?;
        let length = fixed_length(reader.u8("length")?, &address, "length")?;
        let kind = reader.numbered("kind")?;
        reader.zero::<3>("reserved")?;
        let incarnation = Incarnation(reader.u32("incarnation")?);
        reader.zero::<4>("reserved")?;
        let mut entry = Self {
            time_ms,
            position,
            incarnation,
            kind,
            revision,
            fence,
            address,
            length,
            network_id,
            subnet_id,
            project_id,
            owner,
            slot,
            instance,
            ends_ms,
            owner_name: None,
            label: None,
            host: None,
            manager: None,
            network_project: None,
            trace: None,
            token: None,
        };
        reader.tail(|tag, value| read_rare(&mut entry, tag, value))?;
        Ok(entry)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.time_ms);
        writer.u64(self.position.0);
        writer.u64(self.revision.0);
        writer.u64(self.fence.0);
        writer.u64(self.instance.0);
        writer.u64(self.ends_ms);
        writer.fixed_address(&self.address);
        writer.slice(self.network_id.as_bytes());
        writer.slice(self.subnet_id.as_bytes());
        writer.slice(self.project_id.as_bytes());
        writer.slice(self.owner.as_bytes());
        writer.u16(self.slot.0);
        writer.family(&self.address);
        writer.u8(self.length);
        writer.numbered(self.kind);
        writer.slice(&[0; 3]);
        writer.u32(self.incarnation.0);
        writer.u32(0);
        writer.entry_text(0x0001, self.owner_name.as_ref());
        writer.entry_text(0x0002, self.label.as_ref());
        writer.entry_text(0x0003, self.host.as_ref());
        writer.entry_text(0x0004, self.manager.as_ref());
        writer.entry_id(0x0005, self.network_project.as_ref().map(|id| id.as_bytes()));
        writer.entry_id(0x0006, self.trace.as_ref().map(uuid::Uuid::as_bytes));
        writer.entry_id(0x0007, self.token.as_ref().map(uuid::Uuid::as_bytes));
    }
}

fn read_rare(entry: &mut HistoryEntry, tag: u16, value: &mut Reader<'_>) -> Read<bool> {
    match tag {
        0x0001 => entry.owner_name = Some(value.any_text("owner_name")?),
        0x0002 => entry.label = Some(value.any_text("label")?),
        0x0003 => entry.host = Some(value.any_text("host")?),
        0x0004 => entry.manager = Some(value.text(MANAGER_BYTES_MAX, "manager")?),
        0x0005 => entry.network_project = Some(value.id("network_project")?),
        0x0006 => entry.trace = Some(value.id("trace")?),
        0x0007 => entry.token = Some(value.id("token")?),
        _ => return Ok(false),
    }
    Ok(true)
}

const INCOMPLETE: u16 = 1;

impl Layout for HistoryPage {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let position = Seq(reader.u64("position")?);
        let reach_ms = reader.u64("reach_ms")?;
        let count = read_count(reader)?;
        let flags = reader.flags(INCOMPLETE)?;
        reader.zero::<2>("reserved")?;
        let items = reader.items(count, ENTRY_BYTES, HistoryEntry::read)?;
        let incomplete = flags & INCOMPLETE != 0;
        Ok(Self { position, reach_ms, incomplete, items, next: read_next(reader)? })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.position.0);
        writer.u64(self.reach_ms);
        writer.count32(self.items.len());
        writer.u16(bit(self.incomplete, INCOMPLETE));
        writer.u16(0);
        self.items.iter().for_each(|item| writer.item(|w| item.write(w)));
        write_cursor(0x0001, self.next.as_ref(), writer);
    }
}
