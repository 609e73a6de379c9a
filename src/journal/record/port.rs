//! Records of ports, segments, hosts and pins: each begins with the revision at which it was made.

use super::field::{decode_text, encode_text, ip_allocation};
use super::object::presence;
use super::{Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::model::{
    Effect, HostRow, Mac, NetworkHandle, OwnerId, PinRow, PortId, PortRow, ProjectId, Revision,
    SegmentId, SegmentRow, Slot, SubnetHandle, Text, Thing, ThingWas,
};

const DESCRIPTION: u16 = 1;
const HOST: u16 = 1 << 1;
const DEVICE_OWNER: u16 = 1 << 2;
/// The slots need more than 4 bytes.
const MANY_SLOTS: u16 = 1 << 3;
const PROJECT: u16 = 1 << 4;
const OWNER_NAME: u16 = 1;

fn texts<'a>(all: impl IntoIterator<Item = &'a Option<Text>>, out: &mut Vec<u8>) {
    for text in all.into_iter().flatten() {
        encode_text(text, out);
    }
}

fn text_at(
    head: &Head,
    bit: u16,
    field: &'static str,
    body: &mut Reader<'_>,
) -> Result<Option<Text>, RecordError> {
    head.has(bit).then(|| decode_text(body, field)).transpose()
}

pub(super) fn encode_port(row: &PortRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::PortPut, row.network, row.revision);
    let few_slots = u32::try_from(row.slots);
    head.presence = presence(row.description.is_some(), DESCRIPTION)
        | presence(row.host.is_some(), HOST)
        | presence(row.device_owner.is_some(), DEVICE_OWNER)
        | presence(few_slots.is_err(), MANY_SLOTS)
        | presence(row.project.is_some(), PROJECT);
    let start = head.write(out);
    out.extend_from_slice(&row.created.0.to_be_bytes());
    out.extend_from_slice(row.id.as_bytes());
    out.extend_from_slice(&row.mac.0);
    out.push(row.ip_allocation as u8);
    match few_slots {
        Ok(slots) => out.extend_from_slice(&slots.to_be_bytes()),
        Err(_) => out.extend_from_slice(&row.slots.to_be_bytes()),
    }
    if let Some(project) = &row.project {
        out.extend_from_slice(project.as_bytes());
    }
    texts([&row.description, &row.host, &row.device_owner], out);
    finish(out, start);
}

pub(super) fn decode_port(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, DESCRIPTION | HOST | DEVICE_OWNER | MANY_SLOTS | PROJECT)?;
    let created = Revision(body.u64()?);
    let id = PortId::from_bytes(body.array()?);
    let mac = Mac(body.array()?);
    let ip_allocation = ip_allocation(body.u8()?)?;
    let slots = if head.has(MANY_SLOTS) { body.u128()? } else { body.u32()?.into() };
    if head.has(MANY_SLOTS) && slots <= u32::MAX.into() {
        return Err(RecordError::Field("slots"));
    }
    let project = if head.has(PROJECT) { Some(ProjectId::from_bytes(body.array()?)) } else { None };
    Ok(Effect::PortPut(Box::new(PortRow {
        network: head.network,
        revision: head.revision,
        created,
        id,
        mac,
        ip_allocation,
        slots,
        project,
        description: text_at(head, DESCRIPTION, "description", body)?,
        host: text_at(head, HOST, "host", body)?,
        device_owner: text_at(head, DEVICE_OWNER, "device owner", body)?,
    })))
}

pub(super) fn encode_segment(row: &SegmentRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::SegmentPut, row.network, row.revision);
    head.presence = presence(row.description.is_some(), DESCRIPTION);
    let start = head.write(out);
    out.extend_from_slice(&row.created.0.to_be_bytes());
    out.extend_from_slice(row.id.as_bytes());
    texts([&row.description], out);
    finish(out, start);
}

pub(super) fn decode_segment(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, DESCRIPTION)?;
    Ok(Effect::SegmentPut(Box::new(SegmentRow {
        network: head.network,
        revision: head.revision,
        created: Revision(body.u64()?),
        id: SegmentId::from_bytes(body.array()?),
        description: text_at(head, DESCRIPTION, "description", body)?,
    })))
}

/// The revision of the head is the one at which it was made: a mapping never changes.
pub(super) fn encode_host(row: &HostRow, out: &mut Vec<u8>) {
    let start = Head::bare(RecordKind::HostPut, row.network, row.created).write(out);
    out.extend_from_slice(row.segment.as_bytes());
    encode_text(&row.host, out);
    finish(out, start);
}

pub(super) fn decode_host(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, 0)?;
    Ok(Effect::HostPut(Box::new(HostRow {
        network: head.network,
        created: head.revision,
        segment: SegmentId::from_bytes(body.array()?),
        host: decode_text(body, "host")?,
    })))
}

/// The revision of the head is the one at which it was made: a pin never changes.
pub(super) fn encode_pin(row: &PinRow, out: &mut Vec<u8>) {
    let mut head = Head::bare(RecordKind::PinPut, row.network, row.created);
    head.presence = presence(row.owner_name.is_some(), OWNER_NAME);
    let start = head.write(out);
    out.extend_from_slice(&row.subnet.0.to_be_bytes());
    out.extend_from_slice(&row.offset.to_be_bytes());
    out.extend_from_slice(row.owner.as_bytes());
    out.extend_from_slice(&row.slot.0.to_be_bytes());
    texts([&row.owner_name], out);
    finish(out, start);
}

pub(super) fn decode_pin(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(0, OWNER_NAME)?;
    Ok(Effect::PinPut(Box::new(PinRow {
        network: head.network,
        created: head.revision,
        subnet: SubnetHandle(body.u32()?),
        offset: body.u128()?,
        owner: OwnerId::from_bytes(body.array()?),
        slot: Slot(body.u16()?),
        owner_name: text_at(head, OWNER_NAME, "owner name", body)?,
    })))
}

pub(super) fn encode_gone(
    network: NetworkHandle,
    revision: Revision,
    created: Revision,
    was: &ThingWas,
    out: &mut Vec<u8>,
) {
    let mut head = Head::bare(RecordKind::ThingGone, network, revision);
    if let ThingWas::Port { project, .. } = was {
        head.presence = presence(project.is_some(), PROJECT);
    }
    let start = head.write(out);
    out.push(was.thing() as u8);
    out.extend_from_slice(&created.0.to_be_bytes());
    match was {
        ThingWas::Segment(id) => out.extend_from_slice(id.as_bytes()),
        ThingWas::Host => {}
        ThingWas::Port { id, project } => {
            out.extend_from_slice(id.as_bytes());
            if let Some(project) = project {
                out.extend_from_slice(project.as_bytes());
            }
        }
        ThingWas::Pin { subnet, offset, owner, slot } => {
            out.extend_from_slice(&subnet.0.to_be_bytes());
            out.extend_from_slice(&offset.to_be_bytes());
            out.extend_from_slice(owner.as_bytes());
            out.extend_from_slice(&slot.0.to_be_bytes());
        }
    }
    finish(out, start);
}

pub(super) fn decode_gone(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    let thing = Thing::from_number(body.u8()?).ok_or(RecordError::Field("thing"))?;
    head.only(0, if thing == Thing::Port { PROJECT } else { 0 })?;
    let created = Revision(body.u64()?);
    let was = match thing {
        Thing::Segment => ThingWas::Segment(SegmentId::from_bytes(body.array()?)),
        Thing::Host => ThingWas::Host,
        Thing::Port => {
            let id = PortId::from_bytes(body.array()?);
            let project = head.has(PROJECT).then(|| body.array().map(ProjectId::from_bytes));
            ThingWas::Port { id, project: project.transpose()? }
        }
        Thing::Pin => ThingWas::Pin {
            subnet: SubnetHandle(body.u32()?),
            offset: body.u128()?,
            owner: OwnerId::from_bytes(body.array()?),
            slot: Slot(body.u16()?),
        },
    };
    Ok(Effect::ThingGone { network: head.network, revision: head.revision, created, was })
}
