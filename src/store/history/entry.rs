//! One record as an entry of history, for a project that may see it. Knows no file.

use super::name::Named;
use crate::model::{
    AllocationPlace, AllocationRow, Effect, Family, HeldBy, Incarnation, NetworkId, OwnerId,
    Prefix, ProjectId, Revision, Seq, Slot, SubnetId, Tick,
};
use addrd_protocol::message::{AllocationState, HistoryEntry, HistoryKind};
use std::net::IpAddr;
use uuid::Uuid;

/// The network or pool of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) project: ProjectId,
    pub(super) id: Uuid,
    pub(super) is_pool: bool,
}

/// Where a record is, in addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) home: Home,
    /// The subnet, or the pool again.
    pub(super) subnet: SubnetId,
    pub(super) prefix: Prefix,
}

impl Spot {
    /// Of a pool: its prefixes are counted in all addresses of its family.
    pub(super) fn of_pool(home: Home, family: Family) -> Option<Self> {
        let prefix = Prefix::new(family.address(0)?, 0)?;
        Some(Self { home, subnet: SubnetId(home.id), prefix })
    }

    /// From a subnet's name and its network's.
    pub(super) fn of_subnet(home: Home, named: &Named) -> Option<Self> {
        match named {
            Named::Subnet { id, prefix, .. } => {
                Some(Self { home, subnet: SubnetId(*id), prefix: *prefix })
            }
            _ => None,
        }
    }

    fn address(&self, place: &AllocationPlace) -> Option<(IpAddr, u8)> {
        let address = self.prefix.address_at(place.offset)?;
        Some((address, self.prefix.family().bits().saturating_sub(place.block_bits)))
    }
}

impl Home {
    /// The network or pool that a name is of.
    pub(super) fn of(named: &Named) -> Option<(Self, Option<Family>)> {
        match *named {
            Named::Network { project, id } => Some((Self { project, id, is_pool: false }, None)),
            Named::Pool { project, id, family } => {
                Some((Self { project, id, is_pool: true }, Some(family)))
            }
            Named::Subnet { .. } => None,
        }
    }
}

/// When a record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) tick: Tick,
    pub(super) position: Seq,
    pub(super) incarnation: Incarnation,
}

/// Where the record of a cell is.
pub(super) const fn place_of(effect: &Effect) -> Option<&AllocationPlace> {
    match effect {
        Effect::AllocationPut(row) => Some(&row.place),
        Effect::AllocationGone { place, .. } => Some(place),
        _ => None,
    }
}

/// Who held it until a record, if that transferred it.
pub(super) fn former_of(effect: &Effect) -> Option<HeldBy> {
    match effect {
        Effect::AllocationPut(row) => {
            row.extras.as_deref().and_then(|extras| extras.former.as_deref().copied())
        }
        _ => None,
    }
}

/// Who holds it behind a record, or held it until it went.
fn holder_of(effect: &Effect) -> Option<HeldBy> {
    match effect {
        Effect::AllocationPut(row) => {
            let project = row.extras.as_deref().and_then(|extras| extras.project);
            Some(HeldBy { owner: row.owner, slot: row.slot, project })
        }
        Effect::AllocationGone { held_by, .. } => *held_by,
        _ => None,
    }
}

/// An entry with nothing but where it is and whose it is or was.
fn blank(
    place: &AllocationPlace,
    guest: Option<ProjectId>,
    spot: &Spot,
    when: When,
) -> Option<HistoryEntry> {
    let (address, length) = spot.address(place)?;
    Some(HistoryEntry {
        time_ms: when.tick.0,
        position: when.position,
        incarnation: when.incarnation,
        kind: HistoryKind::RestEnded,
        revision: Revision(0),
        fence: Revision(0),
        address,
        length,
        network_id: NetworkId(spot.home.id),
        subnet_id: spot.subnet,
        project_id: guest.unwrap_or(spot.home.project),
        owner: OwnerId::NIL,
        slot: Slot(0),
        instance: Default::default(),
        ends_ms: 0,
        owner_name: None,
        label: None,
        host: None,
        manager: None,
        network_project: guest.map(|_| spot.home.project),
        trace: None,
        token: None,
    })
}

/// What a project may see of an entry: all if it is its own, of another project's in its own network
/// only that and where it is. `None`: nothing.
fn seen_by(project: ProjectId, whole: HistoryEntry, spot: &Spot) -> Option<HistoryEntry> {
    match (project == whole.project_id, project == spot.home.project) {
        (true, _) => Some(whole),
        (false, true) => Some(as_others_see(whole)),
        (false, false) => None,
    }
}

/// That a record gave away what somebody held, as `project` may see it.
pub(super) fn former_entry(
    effect: &Effect,
    spot: &Spot,
    when: When,
    project: ProjectId,
) -> Option<HistoryEntry> {
    let Effect::AllocationPut(row) = effect else { return None };
    let former = former_of(effect)?;
    let blank = blank(&row.place, former.project, spot, when)?;
    let kind = HistoryKind::Transferred;
    let (owner, slot) = (former.owner, former.slot);
    seen_by(project, HistoryEntry { kind, revision: row.changed, owner, slot, ..blank }, spot)
}

/// The entry of a record, as `project` may see it.
pub(super) fn entry_of(
    effect: &Effect,
    spot: &Spot,
    when: When,
    project: ProjectId,
) -> Option<HistoryEntry> {
    let guest = holder_of(effect).and_then(|holder| holder.project);
    let blank = blank(place_of(effect)?, guest, spot, when)?;
    let whole = match effect {
        Effect::AllocationPut(row) => of_put(row, blank),
        Effect::AllocationGone { revision, held_by, .. } => {
            of_gone(*revision, held_by.as_ref(), blank)
        }
        _ => return None,
    };
    seen_by(project, whole, spot)
}

fn of_put(row: &AllocationRow, blank: HistoryEntry) -> HistoryEntry {
    let extras = row.extras.as_deref().cloned().unwrap_or_default();
    let is_new = row.changed == row.revision;
    let kind = match row.state {
        AllocationState::Quarantined => HistoryKind::Resting,
        AllocationState::Held if is_new => HistoryKind::Held,
        AllocationState::Allocated if extras.token.is_some() => HistoryKind::ReleaseHeld,
        AllocationState::Allocated if is_new => HistoryKind::Allocated,
        _ => HistoryKind::Changed,
    };
    let end = match row.state {
        AllocationState::Quarantined => extras.quarantine_end,
        _ => extras.deadline,
    };
    HistoryEntry {
        kind,
        revision: row.changed,
        fence: row.revision,
        owner: row.owner,
        slot: row.slot,
        instance: row.instance,
        ends_ms: end.unwrap_or(0),
        owner_name: extras.owner_name,
        label: extras.label,
        host: extras.host,
        manager: extras.manager,
        trace: extras.trace,
        token: extras.token,
        ..blank
    }
}

fn of_gone(revision: Revision, held_by: Option<&HeldBy>, blank: HistoryEntry) -> HistoryEntry {
    let Some(held_by) = held_by else { return HistoryEntry { revision, ..blank } };
    let kind = HistoryKind::Released;
    HistoryEntry { kind, revision, owner: held_by.owner, slot: held_by.slot, ..blank }
}

/// What the project of a network sees of what others have in it.
fn as_others_see(whole: HistoryEntry) -> HistoryEntry {
    HistoryEntry {
        owner: OwnerId::NIL,
        slot: Slot(0),
        instance: Default::default(),
        ends_ms: 0,
        owner_name: None,
        label: None,
        host: None,
        manager: None,
        trace: None,
        token: None,
        ..whole
    }
}
