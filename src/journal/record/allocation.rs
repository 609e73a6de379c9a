//! Records of cells: the hot path, millions a second. Allocates only for rare fields.

use super::field::{decode_text, encode_text, state_of};
use super::{CellGlance, CellMark, Head, RecordError, RecordKind, finish};
use crate::journal::reader::Reader;
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, Effect, HeldBy, Instance, OwnerId, ProjectId,
    Revision, Slot, SubnetHandle,
};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::AllocationState;
use uuid::Uuid;

// Flags. Bits 0 and 1: width of the offset.
const WIDTH_4: u8 = 0;
const WIDTH_8: u8 = 1;
const WIDTH_16: u8 = 2;
const WIDTH_MASK: u8 = 0b11;
// Bits 2 and 3: state.
const STATE_SHIFT: u32 = 2;
const STATE_MASK: u8 = 0b1100;
const MOVES_CURSOR: u8 = 0b1_0000;
/// The state of what is gone, if it was nobody's.
const RESTED: u8 = (AllocationState::Quarantined as u8) << STATE_SHIFT;
/// It follows a life of its host, which stands behind everything else.
const FOLLOWS: u8 = 0b10_0000;
/// A number of an item stands behind the token.
const ITEM: u8 = 0b100_0000;
const FLAGS_PUT: u8 = WIDTH_MASK | STATE_MASK | MOVES_CURSOR | FOLLOWS | ITEM;

// Presence bits; optional fields follow the fixed ones in this order.
const SLOT: u16 = 1;
const INSTANCE: u16 = 1 << 1;
const DEADLINE: u16 = 1 << 2;
const QUARANTINE_END: u16 = 1 << 3;
const MANAGER: u16 = 1 << 4;
const HOST: u16 = 1 << 5;
const PORT: u16 = 1 << 6;
const PROJECT: u16 = 1 << 7;
const PRINCIPAL: u16 = 1 << 8;
const TOKEN: u16 = 1 << 9;
const TRACE: u16 = 1 << 10;
const LABEL: u16 = 1 << 11;
const OWNER_NAME: u16 = 1 << 12;
const BLOCK_BITS: u16 = 1 << 13;
const FENCE: u16 = 1 << 14;
const FORMER: u16 = 1 << 15;
const EXTRAS: u16 = DEADLINE
    | QUARANTINE_END
    | MANAGER
    | HOST
    | PORT
    | PROJECT
    | PRINCIPAL
    | TOKEN
    | TRACE
    | LABEL
    | OWNER_NAME;
const PRESENCE_PUT: u16 = SLOT | INSTANCE | EXTRAS | BLOCK_BITS | FENCE | FORMER;

/// In front of a former holder: it was of another project than the network.
const FORMER_PROJECT: u8 = 1;

pub(super) fn encode_put(row: &AllocationRow, out: &mut Vec<u8>) {
    if is_planted(Bug::RestNotEncoded) && row.state == AllocationState::Quarantined {
        let project = row.extras.as_deref().and_then(|extras| extras.project);
        let held_by = HeldBy { owner: row.owner, slot: row.slot, project };
        return encode_gone(&row.place, row.changed, Some(&held_by), out);
    }
    let head = Head {
        kind: RecordKind::AllocationPut,
        flags: width_of(row.place.offset)
            | ((row.state as u8) << STATE_SHIFT)
            | if row.moves_cursor { MOVES_CURSOR } else { 0 }
            | if item_of(row).is_some() { ITEM } else { 0 }
            | if follows_of(row).is_some() { FOLLOWS } else { 0 },
        presence: presence_of(row),
        network: row.place.network,
        revision: row.changed,
    };
    let start = head.write(out);
    out.extend_from_slice(&row.place.subnet.0.to_be_bytes());
    encode_offset(row.place.offset, out);
    out.extend_from_slice(row.owner.as_bytes());
    if head.presence != 0 {
        encode_rare(&head, row, out);
    }
    if let Some(life) = follows_of(row) {
        out.extend_from_slice(&life.to_be_bytes());
    }
    finish(out, start);
}

fn follows_of(row: &AllocationRow) -> Option<u64> {
    row.extras.as_deref().and_then(|extras| extras.follows)
}

pub(super) fn decode_put(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    head.only(FLAGS_PUT, PRESENCE_PUT)?;
    non_zero(head.has(TOKEN) || head.flags & ITEM == 0, "item")?;
    let subnet = SubnetHandle(body.u32()?);
    let offset = decode_offset(head.flags, body)?;
    let mut row = AllocationRow {
        place: AllocationPlace { network: head.network, subnet, offset, block_bits: 0 },
        revision: head.revision,
        changed: head.revision,
        owner: OwnerId::from_bytes(body.array()?),
        slot: Slot(0),
        instance: Instance(0),
        state: state_of((head.flags & STATE_MASK) >> STATE_SHIFT)?,
        moves_cursor: head.flags & MOVES_CURSOR != 0,
        extras: None,
    };
    if head.presence != 0 {
        decode_rare(head, body, &mut row)?;
    }
    if head.flags & FOLLOWS != 0 {
        let life = body.u64()?;
        non_zero(life != 0, "life")?;
        row.extras.get_or_insert_default().follows = Some(life);
    }
    Ok(Effect::AllocationPut(row))
}

pub(super) fn encode_gone(
    place: &AllocationPlace,
    revision: Revision,
    held_by: Option<&HeldBy>,
    out: &mut Vec<u8>,
) {
    let bit = |present: bool, bit: u16| if present { bit } else { 0 };
    let of_holder = held_by.map_or(0, |held_by| {
        bit(held_by.slot.0 != 0, SLOT) | bit(held_by.project.is_some(), PROJECT)
    });
    let head = Head {
        kind: RecordKind::AllocationGone,
        flags: width_of(place.offset) | if held_by.is_none() { RESTED } else { 0 },
        presence: of_holder | bit(place.block_bits != 0, BLOCK_BITS),
        network: place.network,
        revision,
    };
    let start = head.write(out);
    out.extend_from_slice(&place.subnet.0.to_be_bytes());
    encode_offset(place.offset, out);
    if let Some(held_by) = held_by {
        encode_holder(held_by, out);
    }
    if place.block_bits != 0 {
        out.push(place.block_bits);
    }
    finish(out, start);
}

fn encode_holder(held_by: &HeldBy, out: &mut Vec<u8>) {
    out.extend_from_slice(held_by.owner.as_bytes());
    if held_by.slot.0 != 0 {
        out.extend_from_slice(&held_by.slot.0.to_be_bytes());
    }
    if let Some(project) = &held_by.project {
        out.extend_from_slice(project.as_bytes());
    }
}

pub(super) fn decode_gone(head: &Head, body: &mut Reader<'_>) -> Result<Effect, RecordError> {
    let rested = head.flags & STATE_MASK == RESTED;
    let of_holder = if rested { 0 } else { SLOT | PROJECT };
    head.only(WIDTH_MASK | if rested { RESTED } else { 0 }, of_holder | BLOCK_BITS)?;
    let subnet = SubnetHandle(body.u32()?);
    let offset = decode_offset(head.flags, body)?;
    let held_by = if rested { None } else { Some(decode_holder(head, body)?) };
    let block_bits = if head.has(BLOCK_BITS) { decode_block_bits(body)? } else { 0 };
    let place = AllocationPlace { network: head.network, subnet, offset, block_bits };
    Ok(Effect::AllocationGone { place, revision: head.revision, held_by })
}

fn decode_holder(head: &Head, body: &mut Reader<'_>) -> Result<HeldBy, RecordError> {
    let owner = OwnerId::from_bytes(body.array()?);
    let mut held_by = HeldBy { owner, slot: Slot(0), project: None };
    if head.has(SLOT) {
        held_by.slot = Slot(body.u16()?);
        non_zero(held_by.slot.0 != 0, "slot")?;
    }
    if head.has(PROJECT) {
        held_by.project = Some(ProjectId::from_bytes(body.array()?));
    }
    Ok(held_by)
}

/// Where a put belongs.
#[inline]
pub(super) fn mark_of_put(head: &Head, mut body: Reader<'_>) -> Result<CellMark, RecordError> {
    if head.has(BLOCK_BITS) {
        let Effect::AllocationPut(row) = decode_put(head, &mut body)? else {
            return Err(RecordError::Field("kind"));
        };
        let cursor = row.moves_cursor.then(|| row.place.cursor_behind());
        return Ok(mark(head, row.place.subnet, row.place.offset, cursor));
    }
    let subnet = SubnetHandle(body.u32()?);
    let offset = decode_offset(head.flags, &mut body)?;
    let moves = head.flags & MOVES_CURSOR != 0;
    Ok(mark(head, subnet, offset, moves.then(|| offset.wrapping_add(1))))
}

/// Where a release belongs.
#[inline]
pub(super) fn mark_of_gone(head: &Head, mut body: Reader<'_>) -> Result<CellMark, RecordError> {
    let subnet = SubnetHandle(body.u32()?);
    Ok(mark(head, subnet, decode_offset(head.flags, &mut body)?, None))
}

/// Place and holder of a put, without what is rare.
#[inline]
pub(super) fn glance_at_put(head: &Head, mut body: Reader<'_>) -> Result<CellGlance, RecordError> {
    if head.has(BLOCK_BITS | FORMER) {
        let Effect::AllocationPut(row) = decode_put(head, &mut body)? else {
            return Err(RecordError::Field("kind"));
        };
        let former = row.extras.as_deref().and_then(|extras| extras.former.as_deref());
        let former = former.map(|former| former.owner);
        return Ok(CellGlance { place: row.place, owner: Some(row.owner), former });
    }
    let subnet = SubnetHandle(body.u32()?);
    let offset = decode_offset(head.flags, &mut body)?;
    let owner = OwnerId::from_bytes(body.array()?);
    let place = AllocationPlace { network: head.network, subnet, offset, block_bits: 0 };
    Ok(CellGlance { place, owner: Some(owner), former: None })
}

/// Place and holder of what is gone.
#[inline]
pub(super) fn glance_at_gone(head: &Head, mut body: Reader<'_>) -> Result<CellGlance, RecordError> {
    match decode_gone(head, &mut body)? {
        Effect::AllocationGone { place, held_by, .. } => {
            let owner = held_by.map(|held_by| held_by.owner);
            Ok(CellGlance { place, owner, former: None })
        }
        _ => Err(RecordError::Field("kind")),
    }
}

const fn mark(head: &Head, subnet: SubnetHandle, offset: u128, cursor: Option<u128>) -> CellMark {
    CellMark { network: head.network, revision: head.revision, subnet, offset, cursor }
}

const fn width_of(offset: u128) -> u8 {
    if offset <= u32::MAX as u128 {
        WIDTH_4
    } else if offset <= u64::MAX as u128 {
        WIDTH_8
    } else {
        WIDTH_16
    }
}

/// In the fewest of 4, 8 or 16 bytes; also that of an exclusion's end.
pub(super) fn encode_offset(offset: u128, out: &mut Vec<u8>) {
    if let Ok(short) = u32::try_from(offset) {
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(middle) = u64::try_from(offset) {
        out.extend_from_slice(&middle.to_be_bytes());
    } else {
        out.extend_from_slice(&offset.to_be_bytes());
    }
}

fn decode_offset(flags: u8, body: &mut Reader<'_>) -> Result<u128, RecordError> {
    let width = flags & WIDTH_MASK;
    let offset = match width {
        WIDTH_4 => u128::from(body.u32()?),
        WIDTH_8 => u128::from(body.u64()?),
        WIDTH_16 => body.u128()?,
        _ => return Err(RecordError::Field("offset width")),
    };
    if width_of(offset) == width { Ok(offset) } else { Err(RecordError::Field("offset")) }
}

fn decode_block_bits(body: &mut Reader<'_>) -> Result<u8, RecordError> {
    match body.u8()? {
        bits @ 1..=128 => Ok(bits),
        _ => Err(RecordError::Field("block bits")),
    }
}

fn presence_of(row: &AllocationRow) -> u16 {
    let bit = |present: bool, bit: u16| if present { bit } else { 0 };
    let own = bit(row.slot.0 != 0, SLOT)
        | bit(row.instance.0 != 0, INSTANCE)
        | bit(row.place.block_bits != 0, BLOCK_BITS)
        | bit(row.revision != row.changed, FENCE);
    let Some(extras) = row.extras.as_deref() else { return own };
    own | bit(extras.deadline.is_some(), DEADLINE)
        | bit(extras.quarantine_end.is_some(), QUARANTINE_END)
        | bit(extras.manager.is_some(), MANAGER)
        | bit(extras.host.is_some(), HOST)
        | bit(extras.port.is_some(), PORT)
        | bit(project_of(extras).is_some(), PROJECT)
        | bit(extras.principal.is_some(), PRINCIPAL)
        | bit(extras.token.is_some(), TOKEN)
        | bit(extras.trace.is_some(), TRACE)
        | bit(extras.label.is_some(), LABEL)
        | bit(extras.owner_name.is_some(), OWNER_NAME)
        | bit(extras.former.is_some(), FORMER)
}

/// Only what has a token has an item.
fn item_of(row: &AllocationRow) -> Option<u16> {
    let extras = row.extras.as_deref().filter(|extras| extras.token.is_some());
    extras.and_then(|extras| extras.item)
}

fn project_of(extras: &AllocationExtras) -> Option<&ProjectId> {
    extras.project.as_ref().filter(|_| !is_planted(Bug::GuestNotEncoded))
}

#[cold]
fn encode_rare(head: &Head, row: &AllocationRow, out: &mut Vec<u8>) {
    if head.has(SLOT) {
        out.extend_from_slice(&row.slot.0.to_be_bytes());
    }
    if head.has(INSTANCE) {
        out.extend_from_slice(&row.instance.0.to_be_bytes());
    }
    if let Some(extras) = row.extras.as_deref() {
        encode_extras(extras, out);
    }
    if head.has(BLOCK_BITS) {
        out.push(row.place.block_bits);
    }
    if head.has(FENCE) {
        out.extend_from_slice(&row.revision.0.to_be_bytes());
    }
    if let Some(former) = row.extras.as_deref().and_then(|extras| extras.former.as_deref()) {
        encode_former(former, out);
    }
}

/// Who held it before: it never has to be looked up.
fn encode_former(former: &HeldBy, out: &mut Vec<u8>) {
    out.push(if former.project.is_some() { FORMER_PROJECT } else { 0 });
    out.extend_from_slice(former.owner.as_bytes());
    out.extend_from_slice(&former.slot.0.to_be_bytes());
    if let Some(project) = &former.project {
        out.extend_from_slice(project.as_bytes());
    }
}

fn decode_former(body: &mut Reader<'_>) -> Result<HeldBy, RecordError> {
    let flags = body.u8()?;
    non_zero(flags & !FORMER_PROJECT == 0, "former holder")?;
    let (owner, slot) = (OwnerId::from_bytes(body.array()?), Slot(body.u16()?));
    let has_project = flags & FORMER_PROJECT != 0;
    let project = has_project.then(|| body.array()).transpose()?.map(ProjectId::from_bytes);
    Ok(HeldBy { owner, slot, project })
}

fn encode_extras(extras: &AllocationExtras, out: &mut Vec<u8>) {
    let number = |value: &Option<u64>, out: &mut Vec<u8>| {
        if let Some(value) = value {
            out.extend_from_slice(&value.to_be_bytes());
        }
    };
    let id = |value: Option<&Uuid>, out: &mut Vec<u8>| {
        if let Some(value) = value {
            out.extend_from_slice(value.as_bytes());
        }
    };
    let text = |value: &Option<crate::model::Text>, out: &mut Vec<u8>| {
        if let Some(value) = value {
            encode_text(value, out);
        }
    };
    number(&extras.deadline, out);
    number(&extras.quarantine_end, out);
    text(&extras.manager, out);
    text(&extras.host, out);
    id(extras.port.as_ref(), out);
    id(project_of(extras).map(|project| &project.0), out);
    if let Some(principal) = extras.principal {
        out.extend_from_slice(&principal.to_be_bytes());
    }
    id(extras.token.as_ref(), out);
    if let Some(item) = extras.item.filter(|_| extras.token.is_some()) {
        out.extend_from_slice(&item.to_be_bytes());
    }
    id(extras.trace.as_ref(), out);
    text(&extras.label, out);
    text(&extras.owner_name, out);
}

#[cold]
fn decode_rare(
    head: &Head,
    body: &mut Reader<'_>,
    row: &mut AllocationRow,
) -> Result<(), RecordError> {
    if head.has(SLOT) {
        row.slot = Slot(body.u16()?);
        non_zero(row.slot.0 != 0, "slot")?;
    }
    if head.has(INSTANCE) {
        row.instance = Instance(body.u64()?);
        non_zero(row.instance.0 != 0, "instance")?;
    }
    if head.has(EXTRAS) {
        row.extras = Some(Box::new(decode_extras(head, body)?));
    }
    if head.has(BLOCK_BITS) {
        row.place.block_bits = decode_block_bits(body)?;
    }
    if head.has(FENCE) {
        row.revision = Revision(body.u64()?);
        non_zero(row.revision != row.changed, "revision")?;
    }
    if head.has(FORMER) {
        let former = decode_former(body)?;
        let project = row.extras.as_deref().and_then(|extras| extras.project);
        let now = HeldBy { owner: row.owner, slot: row.slot, project };
        non_zero(former != now, "former holder")?;
        row.extras.get_or_insert_default().former = Some(Box::new(former));
    }
    Ok(())
}

/// What is absent by flag must not be present with its default: one value, one encoding.
const fn non_zero(holds: bool, field: &'static str) -> Result<(), RecordError> {
    if holds { Ok(()) } else { Err(RecordError::Field(field)) }
}

fn decode_extras(head: &Head, body: &mut Reader<'_>) -> Result<AllocationExtras, RecordError> {
    let mut extras = AllocationExtras::default();
    if head.has(DEADLINE) {
        extras.deadline = Some(body.u64()?);
    }
    if head.has(QUARANTINE_END) {
        extras.quarantine_end = Some(body.u64()?);
    }
    if head.has(MANAGER) {
        extras.manager = Some(decode_text(body, "manager")?);
    }
    if head.has(HOST) {
        extras.host = Some(decode_text(body, "host")?);
    }
    if head.has(PORT) {
        extras.port = Some(Uuid::from_bytes(body.array()?));
    }
    if head.has(PROJECT) {
        extras.project = Some(ProjectId::from_bytes(body.array()?));
    }
    if head.has(PRINCIPAL) {
        extras.principal = Some(body.u32()?);
    }
    if head.has(TOKEN) {
        extras.token = Some(Uuid::from_bytes(body.array()?));
    }
    if head.flags & ITEM != 0 {
        extras.item = Some(body.u16()?);
    }
    if head.has(TRACE) {
        extras.trace = Some(Uuid::from_bytes(body.array()?));
    }
    if head.has(LABEL) {
        extras.label = Some(decode_text(body, "label")?);
    }
    if head.has(OWNER_NAME) {
        extras.owner_name = Some(decode_text(body, "owner name")?);
    }
    Ok(extras)
}
