//! Rows of the state that hold cells: up to 32 neighbours in a row, their texts apart. Pure.

use super::schema::GROUP_CELLS;
use crate::journal::{Reader, RecordError, decode_text, encode_text, state_of};
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, Instance, NetworkHandle, OwnerId, ProjectId,
    Revision, Slot, SubnetHandle,
};
use uuid::Uuid;

// Presence bits of a cell.
const SLOT: u16 = 1;
const INSTANCE: u16 = 1 << 1;
const DEADLINE: u16 = 1 << 2;
const QUARANTINE_END: u16 = 1 << 3;
const PORT: u16 = 1 << 4;
const PROJECT: u16 = 1 << 5;
const PRINCIPAL: u16 = 1 << 6;
const TOKEN: u16 = 1 << 7;
const BLOCK_BITS: u16 = 1 << 8;
const CHANGED: u16 = 1 << 9;
const TEXTS: u16 = 1 << 10;
const FOLLOWS: u16 = 1 << 11;
const ITEM: u16 = 1 << 12;
const KNOWN: u16 = (1 << 13) - 1;

// Presence bits of a text row.
const MANAGER: u8 = 1;
const HOST: u8 = 1 << 1;
const LABEL: u8 = 1 << 2;
const OWNER_NAME: u8 = 1 << 3;

/// Which row a cell is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    pub(crate) network: NetworkHandle,
    pub(crate) subnet: SubnetHandle,
    /// Offset divided by 32.
    pub(crate) group: u128,
}

impl GroupKey {
    pub(crate) const fn at(network: NetworkHandle, subnet: SubnetHandle, offset: u128) -> Self {
        Self { network, subnet, group: offset / GROUP_CELLS }
    }

    /// `None` for a group that no offset is in: the key is damaged.
    pub(crate) const fn first_offset(&self) -> Option<u128> {
        self.group.checked_mul(GROUP_CELLS)
    }
}

/// The body of a group's row: the cells, which are ordered by offset.
pub(crate) fn encode_cells(cells: &[AllocationRow]) -> Vec<u8> {
    let mut out = Vec::with_capacity(cells.len() * 32);
    for cell in cells {
        encode_cell(cell, &mut out);
    }
    out
}

fn encode_cell(cell: &AllocationRow, out: &mut Vec<u8>) {
    let presence = presence_of(cell);
    let position = (cell.place.offset % GROUP_CELLS) as u8;
    out.push(position | ((cell.state as u8) << 5));
    out.extend_from_slice(&presence.to_be_bytes());
    out.extend_from_slice(&cell.revision.0.to_be_bytes());
    out.extend_from_slice(cell.owner.as_bytes());
    if presence & !TEXTS != 0 {
        encode_rare(presence, cell, out);
    }
}

fn encode_rare(presence: u16, cell: &AllocationRow, out: &mut Vec<u8>) {
    if presence & SLOT != 0 {
        out.extend_from_slice(&cell.slot.0.to_be_bytes());
    }
    if presence & INSTANCE != 0 {
        out.extend_from_slice(&cell.instance.0.to_be_bytes());
    }
    if let Some(extras) = cell.extras.as_deref() {
        for number in [extras.deadline, extras.quarantine_end].into_iter().flatten() {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for id in [extras.port, extras.project.map(|project| project.0)].into_iter().flatten() {
            out.extend_from_slice(id.as_bytes());
        }
        if let Some(principal) = extras.principal {
            out.extend_from_slice(&principal.to_be_bytes());
        }
        if let Some(token) = extras.token {
            out.extend_from_slice(token.as_bytes());
        }
        if presence & ITEM != 0 {
            out.extend_from_slice(&extras.item.unwrap_or_default().to_be_bytes());
        }
    }
    if presence & BLOCK_BITS != 0 {
        out.push(cell.place.block_bits);
    }
    if presence & CHANGED != 0 {
        out.extend_from_slice(&cell.changed.0.to_be_bytes());
    }
    if let Some(life) = cell.extras.as_deref().and_then(|extras| extras.follows) {
        out.extend_from_slice(&life.to_be_bytes());
    }
}

fn presence_of(cell: &AllocationRow) -> u16 {
    let bit = |present: bool, bit: u16| if present { bit } else { 0 };
    let own = bit(cell.slot.0 != 0, SLOT)
        | bit(cell.instance.0 != 0, INSTANCE)
        | bit(cell.place.block_bits != 0, BLOCK_BITS)
        | bit(cell.changed != cell.revision, CHANGED);
    let Some(extras) = cell.extras.as_deref() else { return own };
    own | bit(extras.deadline.is_some(), DEADLINE)
        | bit(extras.quarantine_end.is_some(), QUARANTINE_END)
        | bit(extras.port.is_some(), PORT)
        | bit(extras.project.is_some(), PROJECT)
        | bit(extras.principal.is_some(), PRINCIPAL)
        | bit(extras.token.is_some(), TOKEN)
        | bit(extras.token.is_some() && extras.item.is_some(), ITEM)
        | bit(extras.follows.is_some(), FOLLOWS)
        | bit(has_texts(extras), TEXTS)
}

const fn has_texts(extras: &AllocationExtras) -> bool {
    extras.manager.is_some()
        || extras.host.is_some()
        || extras.label.is_some()
        || extras.owner_name.is_some()
}

/// Whether the cell has a row of texts.
pub(crate) fn cell_has_texts(cell: &AllocationRow) -> bool {
    cell.extras.as_deref().is_some_and(has_texts)
}

/// Reads the body of a group's row.
///
/// `texts` gives the body of the text row of an offset, for cells that have one.
pub(crate) fn decode_cells(
    key: GroupKey,
    body: &[u8],
    out: &mut Vec<AllocationRow>,
    texts: &mut dyn FnMut(u128) -> Option<Vec<u8>>,
) -> Result<(), RecordError> {
    let first = key.first_offset().ok_or(RecordError::Field("group"))?;
    let mut reader = Reader::new(body);
    let mut previous = None;
    while !reader.is_empty() {
        let mut cell = decode_cell(key, first, &mut reader)?;
        if previous >= Some(cell.0.place.offset) {
            return Err(RecordError::Field("order of cells"));
        }
        previous = Some(cell.0.place.offset);
        if cell.1 {
            let body = texts(cell.0.place.offset).ok_or(RecordError::Field("texts of a cell"))?;
            decode_texts(&body, cell.0.extras.get_or_insert_default())?;
        }
        out.push(cell.0);
    }
    Ok(())
}

/// The cell without its texts, and whether it has some.
fn decode_cell(
    key: GroupKey,
    first_offset: u128,
    reader: &mut Reader<'_>,
) -> Result<(AllocationRow, bool), RecordError> {
    let first = reader.u8()?;
    let presence = reader.u16()?;
    if presence & !KNOWN != 0 || presence & (TOKEN | ITEM) == ITEM {
        return Err(RecordError::Field("presence bits of a cell"));
    }
    let revision = Revision(reader.u64()?);
    let mut cell = AllocationRow {
        place: AllocationPlace {
            network: key.network,
            subnet: key.subnet,
            offset: first_offset | u128::from(first & 31),
            block_bits: 0,
        },
        revision,
        changed: revision,
        owner: OwnerId::from_bytes(reader.array()?),
        slot: Slot(0),
        instance: Instance(0),
        state: state_of(first >> 5)?,
        moves_cursor: false,
        extras: None,
    };
    if presence & !TEXTS != 0 {
        decode_rare(presence, reader, &mut cell)?;
    }
    Ok((cell, presence & TEXTS != 0))
}

fn decode_rare(
    presence: u16,
    reader: &mut Reader<'_>,
    cell: &mut AllocationRow,
) -> Result<(), RecordError> {
    let has = |bit: u16| presence & bit != 0;
    if has(SLOT) {
        cell.slot = Slot(reader.u16()?);
        only(cell.slot.0 != 0, "slot")?;
    }
    if has(INSTANCE) {
        cell.instance = Instance(reader.u64()?);
        only(cell.instance.0 != 0, "instance")?;
    }
    if has(DEADLINE | QUARANTINE_END | PORT | PROJECT | PRINCIPAL | TOKEN) {
        let extras = cell.extras.get_or_insert_default();
        if has(DEADLINE) {
            extras.deadline = Some(reader.u64()?);
        }
        if has(QUARANTINE_END) {
            extras.quarantine_end = Some(reader.u64()?);
        }
        if has(PORT) {
            extras.port = Some(Uuid::from_bytes(reader.array()?));
        }
        if has(PROJECT) {
            extras.project = Some(ProjectId::from_bytes(reader.array()?));
        }
        if has(PRINCIPAL) {
            extras.principal = Some(reader.u32()?);
        }
        if has(TOKEN) {
            extras.token = Some(Uuid::from_bytes(reader.array()?));
        }
        if has(ITEM) {
            extras.item = Some(reader.u16()?);
        }
    }
    if has(BLOCK_BITS) {
        cell.place.block_bits = reader.u8()?;
        only(matches!(cell.place.block_bits, 1..=128), "block bits")?;
    }
    if has(CHANGED) {
        cell.changed = Revision(reader.u64()?);
        only(cell.changed != cell.revision, "changed")?;
    }
    if has(FOLLOWS) {
        let life = reader.u64()?;
        only(life != 0, "life")?;
        cell.extras.get_or_insert_default().follows = Some(life);
    }
    Ok(())
}

/// What the presence bits could have left out must not stand there: one cell, one encoding.
const fn only(holds: bool, field: &'static str) -> Result<(), RecordError> {
    if holds { Ok(()) } else { Err(RecordError::Field(field)) }
}

/// The body of a cell's text row; only for cells that have texts.
pub(crate) fn encode_texts(extras: &AllocationExtras) -> Vec<u8> {
    let texts = [&extras.manager, &extras.host, &extras.label, &extras.owner_name];
    let mut out = vec![0];
    for (text, bit) in texts.into_iter().zip([MANAGER, HOST, LABEL, OWNER_NAME]) {
        if let Some(text) = text {
            out[0] |= bit;
            encode_text(text, &mut out);
        }
    }
    out
}

/// Reads the body of a text row.
pub(crate) fn decode_texts(body: &[u8], extras: &mut AllocationExtras) -> Result<(), RecordError> {
    let mut reader = Reader::new(body);
    let presence = reader.u8()?;
    if presence == 0 || presence & !(MANAGER | HOST | LABEL | OWNER_NAME) != 0 {
        return Err(RecordError::Field("presence bits of texts"));
    }
    let mut next =
        |bit: u8, field| (presence & bit != 0).then(|| decode_text(&mut reader, field)).transpose();
    extras.manager = next(MANAGER, "manager")?;
    extras.host = next(HOST, "host")?;
    extras.label = next(LABEL, "label")?;
    extras.owner_name = next(OWNER_NAME, "owner name")?;
    if reader.is_empty() { Ok(()) } else { Err(RecordError::Trailing) }
}

/// What the state keeps of a cell: neither the trace id nor the former holder, and no move of the cursor.
pub(crate) fn settled(mut cell: AllocationRow) -> AllocationRow {
    cell.moves_cursor = false;
    if let Some(extras) = &mut cell.extras {
        (extras.trace, extras.former) = (None, None);
        if **extras == AllocationExtras::default() {
            cell.extras = None;
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use addrd_protocol::message::AllocationState;

    #[test]
    fn an_item_stands_behind_its_token_and_never_alone() {
        let place = AllocationPlace {
            network: NetworkHandle(1),
            subnet: SubnetHandle(2),
            offset: 33,
            block_bits: 0,
        };
        let row = |token, item| AllocationRow {
            place,
            revision: Revision(7),
            changed: Revision(7),
            owner: OwnerId::from_u128(9),
            slot: Slot(3),
            instance: Instance(0),
            state: AllocationState::Held,
            moves_cursor: false,
            extras: Some(Box::new(AllocationExtras {
                deadline: Some(5),
                token,
                item,
                ..AllocationExtras::default()
            })),
        };
        let key = GroupKey::at(place.network, place.subnet, place.offset);
        let read = |body: &[u8]| {
            let mut out = Vec::new();
            decode_cells(key, body, &mut out, &mut |_| None).map(|()| out)
        };
        let token = Some(Uuid::from_u128(4));
        for item in [None, Some(0), Some(u16::MAX)] {
            let cells = vec![row(token, item)];
            assert_eq!(read(&encode_cells(&cells)).unwrap(), cells);
        }
        let mut alone = encode_cells(&[row(token, Some(1))]);
        let [high, low] = (ITEM | DEADLINE | SLOT).to_be_bytes();
        alone.splice(1..3, [high, low]);
        assert!(read(&alone).is_err());
    }
}
