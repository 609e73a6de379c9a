//! The lines of a batch: each record that somebody may want to know of, with who asked for it.

use super::line::{Change, Line, LineKind, Object};
use super::mark::Mark;
use crate::feed::{Names, Other};
use crate::journal::{BatchError, BatchView, RecordKind, decode};
use crate::model::{
    AllocationPlace, Asked, Asker, Effect, HeldBy, NetworkHandle, OwnerId, ProjectId, Revision,
    Slot, SubnetHandle, ThingWas,
};
use addrd_protocol::Opcode;
use addrd_protocol::message::AllocationState;
use uuid::Uuid;

/// What has lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audited {
    /// Changes of what there is to allocate from, and of who may do what.
    Administration,
    /// Every change.
    All,
}

/// Follows the journal, record by record.
#[derive(Debug)]
pub struct Projection {
    audited: Audited,
    names: Names,
}

/// What a line says of a record.
struct Told {
    change: Change,
    project: Option<ProjectId>,
    object: Object,
    /// What was asked for, if the record says it.
    operation: Option<Opcode>,
    trace: Option<Uuid>,
}

impl Projection {
    /// Goes on from the names at a position.
    #[must_use]
    pub const fn new(audited: Audited, names: Names) -> Self {
        Self { audited, names }
    }

    /// Follows a batch whose records have their lines already, or shall have none.
    ///
    /// # Errors
    /// [`BatchError`]: a record that can't be read.
    pub fn pass(&mut self, batch: &BatchView<'_>) -> Result<(), BatchError> {
        let mut records = batch.records();
        while let Some(record) = records.next_raw() {
            let record = record?;
            if !is_cell(record) {
                let (effect, _) = decode(record).map_err(BatchError::Record)?;
                self.names.note(&effect);
            }
        }
        Ok(())
    }

    /// Appends the lines of a batch behind its first `skip` records, which are only followed; gives how many lines
    /// there are.
    ///
    /// Shape: records of cells are passed over by their kind unless they have lines.
    ///
    /// # Errors
    /// [`BatchError`]: a record that can't be read.
    pub fn take(
        &mut self,
        batch: &BatchView<'_>,
        skip: u32,
        time: &str,
        out: &mut Vec<u8>,
    ) -> Result<u64, BatchError> {
        let position = batch.header().last;
        let (mut asked, mut item, mut lines) = (Asked::default(), 0_u32, 0);
        let mut records = batch.records();
        while let Some(record) = records.next_raw() {
            let record = record?;
            item = item.saturating_add(1);
            if is_cell(record) && self.audited == Audited::Administration {
                continue;
            }
            let (effect, _) = decode(record).map_err(BatchError::Record)?;
            if let Effect::Asked(other) = effect {
                asked = other;
                continue;
            }
            if let Some(told) = self.told(&effect, asked.by).filter(|_| item > skip) {
                line_of(told, asked, time, Mark { position, item }).write(out);
                lines += 1;
            }
        }
        Ok(lines)
    }

    /// What is told of a record. What goes is named by what was before it, what is put by what is behind it.
    fn told(&mut self, effect: &Effect, by: Asker) -> Option<Told> {
        let gone = self.gone(effect);
        self.names.note(effect);
        gone.or_else(|| self.put(effect, by))
    }

    fn gone(&self, effect: &Effect) -> Option<Told> {
        let told = match effect {
            Effect::NetworkGone { network, revision } => self.place_gone(*network, *revision),
            Effect::ObjectGone { object, revision } => self.object_gone(*object, *revision),
            Effect::SubnetGone { network, subnet, revision } => {
                let mut told = self.in_subnet("subnet", (*network, *subnet), *revision);
                told.object.id = told.object.subnet.take();
                told
            }
            Effect::ExclusionGone { network, subnet, revision, first } => {
                let mut told = self.in_subnet("exclusion", (*network, *subnet), *revision);
                let name = self.names.subnet(*network, *subnet).ok();
                told.object.address = name.and_then(|name| name.row.prefix.address_at(*first));
                told
            }
            Effect::AllocationGone { place, revision, held_by } if self.is_all() => {
                self.allocation_gone(place, *revision, held_by.as_ref())
            }
            Effect::ThingGone { network, revision, created, was } if self.is_all() => {
                self.thing_gone(*network, *revision, *created, was)
            }
            _ => return None,
        };
        Some(Told { change: Change::Gone, ..told })
    }

    fn put(&self, effect: &Effect, by: Asker) -> Option<Told> {
        Some(match effect {
            Effect::NetworkPut(row) => whole("network", row.project, row.id.0, row.revision),
            Effect::PoolPut(row) => whole("subnet_pool", row.project, row.id.0, row.revision),
            Effect::ScopePut(row) => whole("address_scope", row.project, row.id.0, row.revision),
            Effect::ProjectPut(row) => whole("project", row.id, row.id.0, row.revision),
            Effect::PrincipalPut(row) => {
                Told { project: None, ..whole("principal", ProjectId::NIL, row.id.0, row.revision) }
            }
            Effect::SubnetPut(row) => {
                let mut told = self.in_subnet("subnet", (row.network, row.subnet), row.revision);
                told.object.id = told.object.subnet.take();
                told.object.address = Some(row.prefix.first());
                told.object.length = Some(row.prefix.length());
                told
            }
            Effect::ExclusionPut(row) => {
                let of = (row.network, row.subnet);
                let mut told = self.in_subnet("exclusion", of, row.revision);
                told.object.address = Some(row.exclusion.range.first());
                told
            }
            // Who had it begun: its end and what it does in between are the server's.
            Effect::JobPut(row) if by != Asker::Nobody => {
                let object = Object {
                    kind: "job",
                    number: Some(row.job.0),
                    network: Some(row.network_id.0),
                    ..Object::default()
                };
                told(Some(row.project), object)
            }
            Effect::Adoption { since } => {
                let object = Object { kind: "adoption", ..Object::default() };
                let change = if since.0 == 0 { Change::Gone } else { Change::Put };
                Told { change, ..told(None, object) }
            }
            other if self.is_all() => return self.put_of_all(other),
            _ => return None,
        })
    }

    fn put_of_all(&self, effect: &Effect) -> Option<Told> {
        Some(match effect {
            Effect::AllocationPut(row) => {
                let extras = row.extras.as_deref();
                let project = extras.and_then(|extras| extras.project);
                let is_leaving = row.state == AllocationState::Quarantined;
                let holder = (row.owner, row.slot, project);
                let mut told = self.cell("allocation", &row.place, row.changed, Some(holder));
                told.operation = Some(if is_leaving { Opcode::RELEASE } else { Opcode::ALLOCATE });
                told.trace = extras.and_then(|extras| extras.trace);
                told
            }
            Effect::PortPut(row) => {
                let mut told = self.in_network("port", row.network, row.revision);
                told.object.id = Some(row.id.0);
                told.project = row.project.or(told.project);
                told
            }
            Effect::SegmentPut(row) => {
                let mut told = self.in_network("segment", row.network, row.revision);
                told.object.id = Some(row.id.0);
                told
            }
            Effect::HostPut(row) => {
                let mut told = self.in_network("host", row.network, row.created);
                told.object.id = Some(row.segment.0);
                told
            }
            Effect::PinPut(row) => {
                let holder = (row.owner, row.slot, None);
                let place = AllocationPlace {
                    network: row.network,
                    subnet: row.subnet,
                    offset: row.offset,
                    block_bits: 0,
                };
                self.cell("pin", &place, row.created, Some(holder))
            }
            // Everything else is either told above, or nobody's doing.
            _ => return None,
        })
    }

    const fn is_all(&self) -> bool {
        matches!(self.audited, Audited::All)
    }

    fn place_gone(&self, handle: NetworkHandle, revision: Revision) -> Told {
        match self.names.place(handle) {
            Ok(place) => {
                let kind = if place.is_pool { "subnet_pool" } else { "network" };
                whole(kind, place.project, place.id, revision)
            }
            Err(_) => told(None, nameless("network", handle)),
        }
    }

    fn object_gone(&self, handle: NetworkHandle, revision: Revision) -> Told {
        match self.names.other(handle) {
            Some(Other::Scope { project, id, .. }) => {
                whole("address_scope", *project, *id, revision)
            }
            Some(Other::Project(project)) => whole("project", *project, project.0, revision),
            Some(Other::Principal(id)) => {
                Told { project: None, ..whole("principal", ProjectId::NIL, id.0, revision) }
            }
            None => self.place_gone(handle, revision),
        }
    }

    fn in_network(&self, kind: &'static str, handle: NetworkHandle, revision: Revision) -> Told {
        let mut object = Object { kind, revision: Some(revision.0), ..Object::default() };
        let Ok(place) = self.names.place(handle) else {
            object.number = Some(handle.0.into());
            return told(None, object);
        };
        let of = if place.is_pool { &mut object.pool } else { &mut object.network };
        *of = Some(place.id);
        told(Some(place.project), object)
    }

    fn in_subnet(
        &self,
        kind: &'static str,
        (network, subnet): (NetworkHandle, SubnetHandle),
        revision: Revision,
    ) -> Told {
        let mut told = self.in_network(kind, network, revision);
        match self.names.subnet(network, subnet) {
            Ok(name) => told.object.subnet = Some(name.row.id.0),
            Err(_) => told.object.number = Some(subnet.0.into()),
        }
        told
    }

    fn cell(
        &self,
        kind: &'static str,
        at: &AllocationPlace,
        revision: Revision,
        holder: Option<(OwnerId, Slot, Option<ProjectId>)>,
    ) -> Told {
        let mut told = self.in_network(kind, at.network, revision);
        match self.names.spot(at) {
            Ok(spot) => {
                told.object.address = Some(spot.address);
                told.object.length = (at.block_bits > 0).then_some(spot.length);
                told.object.subnet = (!spot.place.is_pool).then_some(spot.subnet.0);
            }
            Err(_) => told.object.number = Some(at.network.0.into()),
        }
        if let Some((owner, slot, project)) = holder {
            told.object.owner = Some(owner.0);
            told.object.slot = Some(slot.0);
            told.project = project.or(told.project);
        }
        told
    }

    fn allocation_gone(
        &self,
        place: &AllocationPlace,
        revision: Revision,
        held_by: Option<&HeldBy>,
    ) -> Told {
        let kind = if held_by.is_some() { "allocation" } else { "rest" };
        let holder = held_by.map(|held| (held.owner, held.slot, held.project));
        let mut told = self.cell(kind, place, revision, holder);
        // A rest goes because somebody takes its place, or by itself.
        let operation = if held_by.is_some() { Opcode::RELEASE } else { Opcode::ALLOCATE };
        told.operation = Some(operation);
        told
    }

    fn thing_gone(
        &self,
        network: NetworkHandle,
        revision: Revision,
        created: Revision,
        was: &ThingWas,
    ) -> Told {
        match was {
            ThingWas::Segment(id) => {
                let mut told = self.in_network("segment", network, revision);
                told.object.id = Some(id.0);
                told
            }
            ThingWas::Host => {
                let mut told = self.in_network("host", network, revision);
                let host = self.names.host(network, created).ok();
                told.object.id = host.map(|(segment, _)| segment.0);
                told
            }
            ThingWas::Port { id, project } => {
                let mut told = self.in_network("port", network, revision);
                told.object.id = Some(id.0);
                told.project = project.or(told.project);
                told
            }
            ThingWas::Pin { subnet, offset, owner, slot } => {
                let place =
                    AllocationPlace { network, subnet: *subnet, offset: *offset, block_bits: 0 };
                self.cell("pin", &place, revision, Some((*owner, *slot, None)))
            }
        }
    }
}

fn line_of(told: Told, asked: Asked, time: &str, at: Mark) -> Line<'_> {
    // Where nobody is known it may be that nobody asked.
    let operation = match asked.by {
        Asker::Nobody => None,
        _ => asked.opcode.or(told.operation),
    };
    Line {
        time,
        kind: LineKind::Change,
        position: at.position.0,
        item: at.item,
        project: told.project.map(|project| project.0),
        operation: operation.map(Opcode::name),
        change: Some(told.change),
        object: Some(told.object),
        result: Some(crate::model::Status::OK.name()),
        trace: told.trace,
        ..Line::default()
    }
    .by(asked.by)
}

const fn told(project: Option<ProjectId>, object: Object) -> Told {
    Told { change: Change::Put, project, object, operation: None, trace: None }
}

fn whole(kind: &'static str, project: ProjectId, id: Uuid, revision: Revision) -> Told {
    let revision = Some(revision.0);
    told(Some(project), Object { kind, id: Some(id), revision, ..Object::default() })
}

fn nameless(kind: &'static str, handle: NetworkHandle) -> Object {
    Object { kind, number: Some(handle.0.into()), ..Object::default() }
}

/// Whether it is a record of an allocation, which names nothing.
fn is_cell(record: &[u8]) -> bool {
    let kind = record.get(2).copied().unwrap_or_default();
    kind == RecordKind::AllocationPut as u8 || kind == RecordKind::AllocationGone as u8
}
