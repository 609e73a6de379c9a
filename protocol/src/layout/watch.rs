//! Layouts of watches, events and their end.

use super::element::{Numbered, fixed_address, fixed_length};
use super::{Layout, Read};
use crate::error::{DecodeError, Fault};
use crate::id::{Incarnation, Revision, Seq, Slot};
use crate::message::watch::{
    EVENTS_MAX, Event, EventKind, EventObject, Events, FeedPosition, Gone, HostEvent, LevelEvent,
    PinEvent, Unwatch, Watch, WatchEnd, Watching,
};
use crate::wire::{Reader, Writer, limit};

/// Bytes of an event before its object.
const EVENT_HEAD_BYTES: usize = 32;
/// Bytes of the shortest event: that of a host.
const EVENT_BYTES_MIN: usize = EVENT_HEAD_BYTES + 32;
/// Bytes of what is left of an object, without its tail.
const GONE_BYTES: usize = 104;
/// Bytes of a crossing of a level.
const LEVEL_BYTES: usize = 104;

/// Bit 0 of a watch: it begins behind the position given.
const FROM: u16 = 1;
/// Bit 1: releases of a forced deletion are told one by one.
const SINGLES: u16 = 1 << 1;
/// Bit 0 of a frame of events: nothing else was known.
const UP_TO_DATE: u16 = 1;
/// What an event says: the object is now so, or it is gone.
const PUT: u8 = 1;
const GONE: u8 = 2;

/// The bits of all kinds.
const KINDS: u16 = 0x1ffe;

fn read_position(reader: &mut Reader<'_>) -> Read<FeedPosition> {
    let position = Seq(reader.u64("position")?);
    let incarnation = Incarnation(reader.u32("incarnation")?);
    Ok(FeedPosition { incarnation, position })
}

fn write_position(at: FeedPosition, writer: &mut Writer<'_>) {
    writer.u64(at.position.0);
    writer.u32(at.incarnation.0);
}

impl Layout for Watch {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let from = read_position(reader)?;
        let flags = reader.flags(FROM | SINGLES)?;
        let mask = reader.u16("kinds")?;
        if mask & !KINDS != 0 {
            let value = u64::from(mask & !KINDS);
            return Err(DecodeError::new(Fault::Unknown { value }, "kinds"));
        }
        let begins = flags & FROM != 0;
        if !begins && from != FeedPosition::NONE {
            return Err(DecodeError::new(Fault::Reserved, "position"));
        }
        let mut watch = Self {
            from: begins.then_some(from),
            singles: flags & SINGLES != 0,
            kinds: EventKind::ALL.into_iter().filter(|kind| mask & kind.bit() != 0).collect(),
            ..Self::default()
        };
        reader.tail(|tag, value| {
            match tag {
                0x8001 => watch.subnet = Some(value.nonzero_id("subnet")?),
                0x8002 => watch.owner = Some(value.nonzero_id("owner")?),
                0x8003 => watch.label = Some(value.any_text("label")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(watch)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_position(self.from.unwrap_or(FeedPosition::NONE), writer);
        let from = if self.from.is_some() { FROM } else { 0 };
        writer.u16(from | if self.singles { SINGLES } else { 0 });
        writer.u16(self.kinds.iter().fold(0, |mask, kind| mask | kind.bit()));
        writer.entry_id(0x8001, self.subnet.as_ref().map(|id| id.as_bytes()));
        writer.entry_id(0x8002, self.owner.as_ref().map(|id| id.as_bytes()));
        writer.entry_text(0x8003, self.label.as_ref());
    }
}

impl Layout for Watching {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let begins = read_position(reader)?;
        let heartbeat_ms = reader.u32("heartbeat_ms")?;
        reader.no_tags()?;
        Ok(Self { begins, heartbeat_ms })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        write_position(self.begins, writer);
        writer.u32(self.heartbeat_ms);
    }
}

impl Layout for Unwatch {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let watch = reader.u64("watch")?;
        reader.no_tags()?;
        Ok(Self { watch })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.watch);
    }
}

/// The fixed part of a frame of events.
pub(crate) fn write_events_head(
    (watch, resume, up_to_date): (u64, FeedPosition, bool),
    count: usize,
    writer: &mut Writer<'_>,
) {
    writer.u64(watch);
    write_position(resume, writer);
    writer.u16(if up_to_date { UP_TO_DATE } else { 0 });
    writer.count16(count);
}

impl Layout for Events {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let watch = reader.u64("watch")?;
        let resume = read_position(reader)?;
        let up_to_date = reader.flags(UP_TO_DATE)? & UP_TO_DATE != 0;
        let count = usize::from(reader.u16("items")?);
        limit(count, EVENTS_MAX, "items")?;
        let items = reader.items(count, EVENT_BYTES_MIN, Event::read)?;
        reader.no_tags()?;
        Ok(Self { watch, resume, up_to_date, items })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let head = (self.watch, self.resume, self.up_to_date);
        write_events_head(head, self.items.len(), writer);
        self.items.iter().for_each(|event| writer.item(|w| event.write(w)));
    }
}

impl Layout for Event {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let position = Seq(reader.u64("position")?);
        let revision = Revision(reader.u64("revision")?);
        let time_ms = reader.u64("time_ms")?;
        let kind = reader.numbered("kind")?;
        let change = reader.u8("change")?;
        reader.zero::<6>("reserved")?;
        let object = match change {
            PUT => read_object(kind, reader)?,
            GONE => EventObject::Gone(Box::new(Gone { kind, ..Gone::read(reader)? })),
            other => {
                let unknown = Fault::Unknown { value: other.into() };
                return Err(DecodeError::new(unknown, "change"));
            }
        };
        Ok(Self { position, revision, time_ms, object })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.position.0);
        writer.u64(self.revision.0);
        writer.u64(self.time_ms);
        writer.numbered(self.object.kind());
        let is_gone = matches!(self.object, EventObject::Gone(_));
        writer.u8(if is_gone { GONE } else { PUT });
        writer.slice(&[0; 6]);
        match &self.object {
            EventObject::Project(object) => object.write(writer),
            EventObject::Scope(object) => object.write(writer),
            EventObject::Pool(object) => object.write(writer),
            EventObject::Network(object) => object.write(writer),
            EventObject::Segment(object) => object.write(writer),
            EventObject::Host(object) => object.write(writer),
            EventObject::Subnet(object) => object.write(writer),
            EventObject::Port(object) => object.write(writer),
            EventObject::Pin(object) => object.write(writer),
            EventObject::Allocation(object) => object.write(writer),
            EventObject::Job(object) => object.write(writer),
            EventObject::Level(object) => object.write(writer),
            EventObject::Gone(gone) => gone.write(writer),
        }
    }
}

fn read_object(kind: EventKind, reader: &mut Reader<'_>) -> Read<EventObject> {
    match kind {
        EventKind::Project => Layout::read(reader).map(EventObject::Project),
        EventKind::Scope => Layout::read(reader).map(EventObject::Scope),
        EventKind::Pool => Layout::read(reader).map(EventObject::Pool),
        EventKind::Network => Layout::read(reader).map(EventObject::Network),
        EventKind::Segment => Layout::read(reader).map(EventObject::Segment),
        EventKind::Host => Layout::read(reader).map(EventObject::Host),
        EventKind::Subnet => Layout::read(reader).map(EventObject::Subnet),
        EventKind::Port => Layout::read(reader).map(EventObject::Port),
        EventKind::Pin => Layout::read(reader).map(EventObject::Pin),
        EventKind::Allocation => Layout::read(reader).map(EventObject::Allocation),
        EventKind::Job => Layout::read(reader).map(EventObject::Job),
        EventKind::Level => Layout::read(reader).map(EventObject::Level),
    }
}

impl Layout for HostEvent {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let network_id = reader.id("network_id")?;
        Ok(Self { network_id, mapping: Layout::read(reader)? })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.network_id.as_bytes());
        self.mapping.write(writer);
    }
}

impl Layout for PinEvent {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let network_id = reader.id("network_id")?;
        Ok(Self { network_id, pin: Layout::read(reader)? })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.network_id.as_bytes());
        self.pin.write(writer);
    }
}

impl Layout for LevelEvent {
    fn read(outer: &mut Reader<'_>) -> Read<Self> {
        let reader = &mut outer.block::<LEVEL_BYTES>("level")?;
        let event = Self {
            network_id: reader.id("network_id")?,
            subnet_id: reader.id("subnet_id")?,
            subnet_pool_id: reader.id("subnet_pool_id")?,
            project_id: reader.id("project_id")?,
            used: reader.u128("used")?,
            size: reader.u128("size")?,
            level: percent(reader, "level")?,
            before: percent(reader, "before")?,
        };
        reader.zero::<6>("reserved")?;
        outer.no_tags()?;
        Ok(event)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.network_id.as_bytes());
        writer.slice(self.subnet_id.as_bytes());
        writer.slice(self.subnet_pool_id.as_bytes());
        writer.slice(self.project_id.as_bytes());
        writer.u128(self.used);
        writer.u128(self.size);
        writer.u8(self.level);
        writer.u8(self.before);
        writer.slice(&[0; 6]);
    }
}

fn percent(reader: &mut Reader<'_>, field: &'static str) -> Read<u8> {
    match reader.u8(field)? {
        percent @ 0..=100 => Ok(percent),
        other => {
            let range = Fault::Range { value: other.into(), least: 0, most: 100 };
            Err(DecodeError::new(range, field))
        }
    }
}

impl Layout for Gone {
    /// The kind stands in front of it, in the event.
    fn read(outer: &mut Reader<'_>) -> Read<Self> {
        let reader = &mut outer.block::<GONE_BYTES>("gone")?;
        let mut gone = Self {
            kind: EventKind::Project,
            id: reader.id("id")?,
            network_id: reader.id("network_id")?,
            project_id: reader.id("project_id")?,
            subnet_id: reader.id("subnet_id")?,
            owner: reader.id("owner")?,
            slot: Slot(0),
            address: None,
            length: 0,
            host: None,
            network_project: None,
        };
        let number = reader.u128("address")?;
        gone.slot = Slot(reader.u16("slot")?);
        let (family, length) = (reader.u8("address")?, reader.u8("length")?);
        reader.zero::<4>("reserved")?;
        if family == 0 {
            if number != 0 || length != 0 {
                return Err(DecodeError::new(Fault::Reserved, "address"));
            }
        } else {
            let address = fixed_address(family, number, "address")?;
            gone.length = fixed_length(length, &address, "length")?;
            gone.address = Some(address);
        }
        outer.tail(|tag, value| {
            match tag {
                0x0001 => gone.host = Some(value.any_text("host")?),
                0x0002 => gone.network_project = Some(value.id("network_project")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(gone)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.slice(self.id.as_bytes());
        writer.slice(self.network_id.as_bytes());
        writer.slice(self.project_id.as_bytes());
        writer.slice(self.subnet_id.as_bytes());
        writer.slice(self.owner.as_bytes());
        match &self.address {
            Some(address) => {
                writer.fixed_address(address);
                writer.u16(self.slot.0);
                writer.family(address);
                writer.u8(self.length);
            }
            None => {
                writer.u128(0);
                writer.u16(self.slot.0);
                writer.u16(0);
            }
        }
        writer.u32(0);
        writer.entry_text(0x0001, self.host.as_ref());
        writer.entry_id(0x0002, self.network_project.as_ref().map(|id| id.as_bytes()));
    }
}

impl Layout for WatchEnd {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let watch = reader.u64("watch")?;
        let resume = read_position(reader)?;
        let reason = reader.numbered("reason")?;
        reader.zero::<3>("reserved")?;
        let oldest = Seq(reader.u64("oldest")?);
        reader.no_tags()?;
        Ok(Self { watch, resume, reason, oldest })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.watch);
        write_position(self.resume, writer);
        writer.u8(self.reason.number());
        writer.slice(&[0; 3]);
        writer.u64(self.oldest.0);
    }
}
