//! The fold: records of a chunk, sorted by the row of the state that they change, applied to old
//! rows. Pure: no file, no library.
//!
//! Records are absolute, so a chunk may be applied again to rows that already have it: the result
//! is the same. That is what mends a crash between two slices.

use super::cells::{GroupKey, settled};
use super::journal::{Anchor, Place};
use super::order::sort_by_number;
use super::schema::{GROUP_CELLS, host_key};
use crate::journal::{BatchError, BatchView, CellMark, RecordError, cell_mark, decode, encode};
use crate::model::{
    AllocationRow, Effect, HostName, JobId, LevelRow, NetworkHandle, Revision, Seq, SubnetHandle,
    Thing, Tick,
};
use addrd_protocol::prefix::number_of;
use foldhash::HashMap;
use std::collections::BTreeMap;
use std::ops::Range;

/// Records of some batches that follow each other.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The records, one after the other.
    arena: Vec<u8>,
    /// Those of cells, sorted by [`Chunk::seal`].
    cells: Vec<CellItem>,
    /// Those of everything else, and the marks; sorted likewise.
    objects: Vec<ObjectItem>,
    /// Last revision of each network.
    revisions: HashMap<NetworkHandle, Revision>,
    /// Last place of each subnet's cursor.
    cursors: HashMap<(NetworkHandle, SubnetHandle), u128>,
    /// How many records it has.
    pub(crate) records: u64,
    /// Its last hand-over.
    pub(crate) last: Seq,
    /// Checksum of its last batch.
    pub(crate) last_crc: u32,
    /// Where that batch stands.
    pub(crate) last_place: Place,
    /// Tick of its last batch.
    pub(crate) tick: Tick,
    /// Highest network handle in it.
    pub(crate) network_handle_max: u32,
    /// Highest job number in it.
    pub(crate) job_max: u64,
    /// Adoption mode, if it began or ended.
    pub(crate) adoption: Option<Tick>,
}

/// A record of a cell: where it belongs and where its bytes are. 24 bytes: there are millions.
/// Its order is that in which they are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CellItem {
    /// Network, then subnet.
    subnet: u64,
    /// Number of the group, or `u64::MAX` for it and everything above.
    group: u64,
    /// Place in the group.
    cell: u32,
    /// Place in the arena; grows with the journal's order.
    at: u32,
}

impl CellItem {
    fn new(key: GroupKey, offset: u128, at: u32) -> Self {
        Self {
            subnet: u64::from(key.network.0) << 32 | u64::from(key.subnet.0),
            group: u64::try_from(key.group).unwrap_or(u64::MAX),
            cell: (offset % GROUP_CELLS) as u32,
            at,
        }
    }

    /// Its place in the subnet, as a number in the order of places.
    fn place(&self) -> u128 {
        u128::from(self.group) * GROUP_CELLS + u128::from(self.cell)
    }

    const fn is_wide(&self) -> bool {
        self.group == u64::MAX
    }
}

/// A record of something else, or only a mark ([`MARK`]) that its row needs a new mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ObjectItem {
    key: ObjectKey,
    at: u32,
}

/// Place of an item that has no record.
const MARK: u32 = u32::MAX;

/// A row, or rows that are folded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ObjectKey {
    /// A network, pool, scope or project, and its revision.
    Network(NetworkHandle),
    /// A subnet, its exclusions and its cursor.
    Subnet(NetworkHandle, SubnetHandle),
    /// A segment, host, port or pin, by the revision at which it was made.
    Thing(Thing, NetworkHandle, Revision),
    /// A job.
    Job(JobId),
    /// A host lease.
    HostLease([u8; 32]),
}

/// Part of the items of a chunk, for one key.
pub(crate) type Items = Range<usize>;

impl Chunk {
    /// An empty chunk behind the batch at which the state ends.
    pub(crate) fn behind(anchor: Anchor) -> Self {
        let Anchor { last, crc: last_crc, place: last_place } = anchor;
        Self { last, last_crc, last_place, ..Self::default() }
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// If it doesn't follow what the chunk has, or a record can't be read.
    pub(crate) fn add(&mut self, batch: &BatchView<'_>, place: Place) -> Result<(), BatchError> {
        let header = batch.header();
        header.follows(self.last, self.last_crc)?;
        let mut records = batch.records();
        while let Some(record) = records.next_raw() {
            let record = record?;
            let at = u32::try_from(self.arena.len()).unwrap_or(MARK);
            assert!(at != MARK, "a chunk has a bound on its bytes");
            match cell_mark(record).map_err(BatchError::Record)? {
                Some(mark) => self.add_cell(&mark, at),
                None => {
                    let (effect, _) = decode(record).map_err(BatchError::Record)?;
                    self.add_object(&effect, at);
                }
            }
            self.arena.extend_from_slice(record);
            self.records += 1;
        }
        (self.last, self.last_crc, self.tick) = (header.last, header.crc, header.tick);
        self.last_place = place;
        Ok(())
    }

    /// Bytes of its records.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.len()
    }

    fn add_cell(&mut self, mark: &CellMark, at: u32) {
        let key = GroupKey::at(mark.network, mark.subnet, mark.offset);
        self.cells.push(CellItem::new(key, mark.offset, at));
        if let Some(cursor) = mark.cursor {
            self.cursors.insert((mark.network, mark.subnet), cursor);
        }
        self.revisions.insert(mark.network, mark.revision);
    }

    fn add_object(&mut self, effect: &Effect, at: u32) {
        if let Some((handle, revision)) = effect.numbered() {
            self.network_handle_max = self.network_handle_max.max(handle.0);
            self.objects.push(ObjectItem { key: ObjectKey::Network(handle), at });
            return self.note_revision(effect, handle, revision);
        }
        let (key, network, revision) = match effect {
            Effect::NetworkGone { network, revision }
            | Effect::ObjectGone { object: network, revision } => {
                (ObjectKey::Network(*network), *network, *revision)
            }
            Effect::SubnetPut(row) => {
                (ObjectKey::Subnet(row.network, row.subnet), row.network, row.revision)
            }
            Effect::SubnetGone { network, subnet, revision } => {
                self.cursors.remove(&(*network, *subnet));
                (ObjectKey::Subnet(*network, *subnet), *network, *revision)
            }
            Effect::ExclusionPut(row) => {
                (ObjectKey::Subnet(row.network, row.subnet), row.network, row.revision)
            }
            Effect::ExclusionGone { network, subnet, revision, .. } => {
                (ObjectKey::Subnet(*network, *subnet), *network, *revision)
            }
            Effect::SegmentPut(row) => {
                thing(Thing::Segment, row.network, row.created, row.revision)
            }
            Effect::HostPut(row) => thing(Thing::Host, row.network, row.created, row.created),
            Effect::PortPut(row) => thing(Thing::Port, row.network, row.created, row.revision),
            Effect::PinPut(row) => thing(Thing::Pin, row.network, row.created, row.created),
            Effect::ThingGone { network, revision, created, was } => {
                thing(was.thing(), *network, *created, *revision)
            }
            Effect::JobPut(row) => {
                self.job_max = self.job_max.max(row.job.0);
                (ObjectKey::Job(row.job), row.network, row.revision)
            }
            Effect::JobGone { network, revision, job } => {
                (ObjectKey::Job(*job), *network, *revision)
            }
            Effect::LevelPut(row) => {
                let key = match row.subnet {
                    Some(subnet) => ObjectKey::Subnet(row.network, subnet),
                    None => ObjectKey::Network(row.network),
                };
                (key, row.network, row.revision)
            }
            Effect::HostLeasePut(row) => return self.add_host_lease(&row.of, at),
            Effect::HostLeaseGone { of, .. } => return self.add_host_lease(of, at),
            Effect::Adoption { since } => {
                self.adoption = Some(*since);
                return;
            }
            Effect::NetworkPut(_)
            | Effect::ProjectPut(_)
            | Effect::ScopePut(_)
            | Effect::PoolPut(_)
            | Effect::PrincipalPut(_)
            | Effect::Asked(_)
            | Effect::AllocationPut(_)
            | Effect::AllocationGone { .. } => return,
        };
        self.objects.push(ObjectItem { key, at });
        self.note_revision(effect, network, revision);
    }

    /// It is of no network, and has no revision.
    fn add_host_lease(&mut self, of: &HostName, at: u32) {
        let key = ObjectKey::HostLease(host_key(of));
        self.objects.push(ObjectItem { key, at });
    }

    /// A network's last record ends its revisions; a job may outlive its network.
    fn note_revision(&mut self, effect: &Effect, network: NetworkHandle, revision: Revision) {
        match effect {
            Effect::NetworkGone { .. } | Effect::ObjectGone { .. } => {
                self.revisions.remove(&network);
            }
            Effect::JobPut(_) | Effect::JobGone { .. } if revision == Revision(0) => {}
            _ => {
                self.revisions.insert(network, revision);
            }
        }
    }

    /// Sorts the items: by row, and in the journal's order inside one.
    pub(crate) fn seal(&mut self) {
        let networks = self.revisions.keys().map(|network| ObjectKey::Network(*network));
        let subnets = self.cursors.keys().map(|(n, subnet)| ObjectKey::Subnet(*n, *subnet));
        let marks = networks.chain(subnets).map(|key| ObjectItem { key, at: MARK });
        self.objects.extend(marks);
        self.objects.sort_unstable();
        // They are in the journal's order: it stays inside each cell.
        sort_by_number(&mut self.cells, CellItem::place);
        sort_by_number(&mut self.cells, |item| u128::from(item.subnet));
        self.sort_wide();
    }

    /// Brings items whose group's number is cut into the order of their whole numbers.
    fn sort_wide(&mut self) {
        let arena = &self.arena;
        for wide in self.cells.chunk_by_mut(|a, b| (a.subnet, a.group) == (b.subnet, b.group)) {
            if wide.first().is_some_and(CellItem::is_wide) {
                wide.sort_by_cached_key(|item| (group_at(arena, item.at), item.cell, item.at));
            }
        }
    }

    /// The group that begins at item `at`, and its items.
    pub(crate) fn cells_at(&self, at: usize) -> Option<(GroupKey, Items)> {
        let first = self.cells.get(at)?;
        let key = group_at(&self.arena, first.at)?;
        let rest = &self.cells[at..];
        let count = rest.iter().take_while(|item| self.is_in(item, first, key)).count();
        Some((key, at..at + count))
    }

    fn is_in(&self, item: &CellItem, first: &CellItem, key: GroupKey) -> bool {
        (item.subnet, item.group) == (first.subnet, first.group)
            && (!item.is_wide() || group_at(&self.arena, item.at) == Some(key))
    }

    /// The object that begins at item `at`, and its items.
    pub(crate) fn objects_at(&self, at: usize) -> Option<(ObjectKey, Items)> {
        let key = self.objects.get(at)?.key;
        let count = self.objects[at..].iter().take_while(|item| item.key == key).count();
        Some((key, at..at + count))
    }

    /// Applies items to the cells of their group, which are ordered by offset.
    pub(crate) fn fold_cells(
        &self,
        items: Items,
        cells: &mut Vec<AllocationRow>,
    ) -> Result<(), RecordError> {
        // Records are absolute: of a cell only the last one counts.
        for cell in self.cells[items].chunk_by(|a, b| a.cell == b.cell) {
            let Some(last) = cell.last() else { continue };
            let effect = self.effect(last.at)?;
            let offset = match &effect {
                Effect::AllocationPut(row) => row.place.offset,
                Effect::AllocationGone { place, .. } => place.offset,
                _ => continue,
            };
            let found = cells.binary_search_by_key(&offset, |cell| cell.place.offset);
            match (effect, found) {
                (Effect::AllocationPut(row), Ok(at)) => cells[at] = settled(row),
                (Effect::AllocationPut(row), Err(at)) => cells.insert(at, settled(row)),
                (_, Ok(at)) => drop(cells.remove(at)),
                (_, Err(_)) => {}
            }
        }
        Ok(())
    }

    /// Applies items to a network.
    pub(crate) fn fold_network(
        &self,
        network: NetworkHandle,
        items: Items,
        state: &mut NetworkGroup,
    ) -> Result<(), RecordError> {
        for (record, effect) in self.records_of(items) {
            state.row = match effect? {
                Effect::LevelPut(level) => state.row.take().map(|row| with_level(row, &level)),
                Effect::NetworkPut(_)
                | Effect::ProjectPut(_)
                | Effect::ScopePut(_)
                | Effect::PoolPut(_)
                | Effect::PrincipalPut(_) => Some(record.to_vec()),
                _ => None,
            };
        }
        if state.row.is_none() {
            state.revision = None;
        } else if let Some(revision) = self.revisions.get(&network) {
            state.revision = Some(*revision);
        }
        Ok(())
    }

    /// Applies items to a subnet.
    pub(crate) fn fold_subnet(
        &self,
        subnet: (NetworkHandle, SubnetHandle),
        items: Items,
        state: &mut SubnetGroup,
    ) -> Result<(), RecordError> {
        for (record, effect) in self.records_of(items) {
            state.apply(record, &effect?);
        }
        if state.row.is_none() {
            state.cursor = None;
        } else if let Some(cursor) = self.cursors.get(&subnet) {
            state.cursor = Some(*cursor);
        }
        Ok(())
    }

    /// Applies items to a job, a thing or a host lease: its record, if there still is one.
    pub(crate) fn fold_record(
        &self,
        items: Items,
        state: &mut Option<Vec<u8>>,
    ) -> Result<(), RecordError> {
        for (record, effect) in self.records_of(items) {
            *state = match effect? {
                Effect::HostLeaseGone { life, .. } if life_of(state.as_deref()) > life => continue,
                Effect::HostLeasePut(row) if life_of(state.as_deref()) > row.life => continue,
                Effect::JobGone { .. }
                | Effect::ThingGone { .. }
                | Effect::HostLeaseGone { .. } => None,
                _ => Some(record.to_vec()),
            };
        }
        Ok(())
    }

    fn records_of(
        &self,
        items: Items,
    ) -> impl Iterator<Item = (&[u8], Result<Effect, RecordError>)> {
        let items = self.objects[items].iter().filter(|item| item.at != MARK);
        items.map(|item| match decode(&self.arena[item.at as usize..]) {
            Ok((effect, length)) => (&self.arena[item.at as usize..][..length], Ok(effect)),
            Err(error) => (&[][..], Err(error)),
        })
    }

    fn effect(&self, at: u32) -> Result<Effect, RecordError> {
        decode(&self.arena[at as usize..]).map(|(effect, _)| effect)
    }

    /// How many items there are of cells and of objects.
    pub(crate) fn item_counts(&self) -> (usize, usize) {
        (self.cells.len(), self.objects.len())
    }
}

fn group_at(arena: &[u8], at: u32) -> Option<GroupKey> {
    let mark = cell_mark(arena.get(at as usize..)?).ok()??;
    Some(GroupKey::at(mark.network, mark.subnet, mark.offset))
}

/// The last life that began of a host whose lease is stored so; 0 = it has none.
fn life_of(state: Option<&[u8]>) -> u64 {
    match state.map(decode) {
        Some(Ok((Effect::HostLeasePut(row), _))) => row.life,
        _ => 0,
    }
}

/// The record of a subnet or pool with the level of its use. What stands under the number by now may
/// be something else, if the chunk is applied again: that is replaced by its own record further on.
fn with_level(row: Vec<u8>, level: &LevelRow) -> Vec<u8> {
    let mut effect = match decode(&row) {
        Ok((effect, _)) => effect,
        // It was read and checked before.
        Err(_) => return row,
    };
    match &mut effect {
        Effect::SubnetPut(row) => row.level = level.level,
        Effect::PoolPut(row) => row.level = level.level,
        _ => return row,
    }
    let mut record = Vec::with_capacity(row.len() + 1);
    encode(&effect, &mut record);
    record
}

/// Where a record of a thing belongs, its network and revision.
const fn thing(
    thing: Thing,
    network: NetworkHandle,
    created: Revision,
    revision: Revision,
) -> (ObjectKey, NetworkHandle, Revision) {
    (ObjectKey::Thing(thing, network, created), network, revision)
}

/// A network as the state has it: its record, its last revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetworkGroup {
    pub(crate) row: Option<Vec<u8>>,
    pub(crate) revision: Option<Revision>,
}

/// A subnet as the state has it: records of it and of its exclusions, its cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubnetGroup {
    /// The record, and the number of the first address of the prefix.
    pub(crate) row: Option<(Vec<u8>, u128)>,
    /// By number of the first address of the range.
    pub(crate) exclusions: BTreeMap<u128, Vec<u8>>,
    pub(crate) cursor: Option<u128>,
}

impl SubnetGroup {
    fn apply(&mut self, record: &[u8], effect: &Effect) {
        match effect {
            Effect::SubnetPut(row) => self.row = Some((record.to_vec(), row.prefix.base())),
            Effect::SubnetGone { .. } => *self = Self::default(),
            // Without a subnet there is nothing to note: applied again over its later end.
            Effect::LevelPut(level) => {
                self.row = self.row.take().map(|(row, base)| (with_level(row, level), base));
            }
            Effect::ExclusionPut(row) => {
                let number = number_of(&row.exclusion.range.first());
                self.exclusions.insert(number, record.to_vec());
            }
            Effect::ExclusionGone { first, .. } => {
                // Without a subnet there is nothing to end: applied again over its later end.
                if let Some((_, base)) = &self.row {
                    self.exclusions.remove(&base.wrapping_add(*first));
                }
            }
            _ => {}
        }
    }
}
