//! Release, read and update of one allocation, behind its fences. Allocates nothing.

use super::Shard;
use super::record::Record;
use super::refusal::{Refused, refuse, refuse_field, with};
use crate::model::{AllocationExtras, EffectSink, OwnerId, ProjectId, Setting, Slot, Status, Text};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::release::{Fences, Release, Released, Target};
use addrd_protocol::message::{
    Allocation, AllocationGet, AllocationState, AllocationUpdate, Detail,
};
use addrd_protocol::text::MANAGER_BYTES_MAX;
use uuid::Uuid;

impl Shard {
    /// Releases one allocation; `None` = nothing was held.
    pub(super) fn release(
        &mut self,
        network: u32,
        request: &Release,
        sink: &mut impl EffectSink,
    ) -> Result<Option<Released>, Refused> {
        let by_address = matches!(request.target, Target::Address(_));
        if by_address && !request.any && request.fences.is_empty() {
            return Err(no_fence("; or any, to release it whoever holds it"));
        }
        let Some(at) = self.find_target(network, &request.target)? else { return Ok(None) };
        self.check_own(at)?;
        if self.end_if_over(at, sink) {
            return Ok(None);
        }
        self.check_fences(at, &request.fences)?;
        let record = self.ledger.at(at);
        let subnet = self.subnets.at(record.subnet);
        let address = subnet.address(self.ledger.offset(record));
        let length = subnet.family.bits() - record.block_bits;
        let subnet_id = subnet.row.id;
        let state = match self.rest_of(at) {
            0 => AllocationState::Free,
            _ => AllocationState::Quarantined,
        };
        let revision = self.commit_gone(at, sink);
        Ok(Some(Released { address, length, subnet_id, revision, state }))
    }

    /// Reads one allocation.
    pub(super) fn allocation_get(
        &self,
        network: u32,
        request: &AllocationGet,
    ) -> Result<Allocation, Refused> {
        let at = self.find_live(network, &request.target)?;
        at.map(|at| self.allocation(at)).ok_or_else(|| nothing_held(&request.target))
    }

    /// Changes what is written beside an allocation.
    pub(super) fn allocation_update(
        &mut self,
        network: u32,
        request: &AllocationUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Allocation, Refused> {
        let by_address = matches!(request.target, Target::Address(_));
        if by_address && request.fences.is_empty() {
            return Err(no_fence(""));
        }
        if let Some(manager) = request.manager_name.value() {
            check_manager(manager)?;
        }
        if let Some(lease_ms) = request.lease_ms.value() {
            super::leases::check_lease(*lease_ms)?;
        }
        let at = self.find_live(network, &request.target)?;
        let at = at.ok_or_else(|| nothing_held(&request.target))?;
        self.check_own(at)?;
        self.check_fences(at, &request.fences)?;
        if !request.lease_ms.is_unset() && self.ledger.at(at).state() == AllocationState::Held {
            let message =
                format_args!("it is held under a token; what is confirmed can have a lease");
            return Err(refuse_field(Status::CONFLICTING_FIELDS, "lease_ms", message));
        }
        let mut row = self.ledger.row_of(&self.subnets, at);
        let mut extras = row.extras.take().unwrap_or_default();
        if request.follow_host == Some(true) && self.port_of(at).is_some() {
            let message = format_args!("an address of a port goes with its port");
            return Err(refuse_field(Status::HELD_BY_OBJECT, "follow_host", message));
        }
        let was = (extras.manager.clone(), extras.host.clone());
        let is_new = write_settings(&mut extras, request) | self.write_lease(&mut extras, request);
        let (was, asked) = ((was.0.as_ref(), was.1.as_ref()), request.follow_host);
        let is_new = is_new | self.follow(self.project_asking(network), was, asked, &mut extras)?;
        if !is_new {
            self.note_alive(at);
            let mut unchanged = self.allocation(at);
            unchanged.repeated = true;
            return Ok(unchanged);
        }
        row.changed = self.networks.at(network).next_revision();
        row.extras = (*extras != AllocationExtras::default()).then_some(extras);
        self.commit_changed(at, row, sink);
        Ok(self.allocation(at))
    }

    /// Writes when the lease ends; false if it was so already.
    fn write_lease(&self, extras: &mut AllocationExtras, request: &AllocationUpdate) -> bool {
        let deadline = match request.lease_ms {
            Setting::Unset => return false,
            Setting::Null => None,
            Setting::Value(lease_ms) => Some(self.deadline_of(lease_ms)),
        };
        let is_new = extras.deadline != deadline;
        extras.deadline = deadline;
        is_new
    }

    /// The allocation that a target names, if its lease hasn't ended.
    pub(super) fn find_live(&self, network: u32, target: &Target) -> Result<Option<u32>, Refused> {
        let found = self.find_target(network, target)?;
        Ok(found.filter(|&at| !self.is_over(self.ledger.at(at))))
    }

    /// The allocation that a target names. An address inside a block that is not its first one
    /// names nothing, and saying "not held" would be wrong, so it is refused.
    pub(super) fn find_target(
        &self,
        network: u32,
        target: &Target,
    ) -> Result<Option<u32>, Refused> {
        let address = match target {
            Target::Key { owner, slot } => {
                let key = self.key_of(network, *owner, *slot);
                return Ok(self.ledger.find_key(&self.subnets, &key));
            }
            Target::Address(address) => address,
        };
        let Some(at) = self.find_subnet_with(network, address) else { return Ok(None) };
        let offset = self.subnets.at(at).row.prefix.offset_of(address).unwrap_or_default();
        let Some(found) = self.find_covering(at, offset) else { return Ok(None) };
        // What rests is nobody's.
        if !self.sees(self.ledger.at(found)) || self.ledger.at(found).rests() {
            return Ok(None);
        }
        if self.ledger.offset(self.ledger.at(found)) == offset {
            return Ok(Some(found));
        }
        let block = self.allocation(found);
        let message = format_args!(
            "{address} lies inside the block {}/{}; name the block by its first address",
            block.address, block.length
        );
        let refused = refuse_field(Status::INVALID_ADDRESS, "target", message);
        Err(with(refused, Detail::Held(Box::new(block))))
    }

    /// From now on requests are of this project, where it need not be that of the network, and make
    /// something new.
    pub(super) const fn act_for(&mut self, project: Option<ProjectId>) {
        self.acting = project;
        self.restoring = false;
    }

    /// Whether the request at hand may learn of an allocation.
    #[inline]
    pub(super) fn sees(&self, record: &Record) -> bool {
        let own = |project| self.ledger.project_of(&self.subnets, record) == project;
        self.acting.is_none_or(own)
    }

    /// Whether a request of this project, on whatever network, may learn of an allocation: its own,
    /// and on its own network everybody's.
    pub(super) fn sees_as(&self, record: &Record, viewer: ProjectId) -> bool {
        let home = self.subnets.at(record.subnet).project;
        let is_home = self.acting.is_none() && home == viewer;
        is_home || self.ledger.project_of(&self.subnets, record) == viewer
    }

    /// The order of what a key holds.
    pub(super) fn holding(&self, network: u32, owner: OwnerId, slot: Slot) -> Option<u8> {
        let key = self.key_of(network, owner, slot);
        let found = self.ledger.find_key(&self.subnets, &key)?;
        Some(self.ledger.at(found).block_bits)
    }

    /// Owner and object of what a target names, if it belongs to an object.
    pub(super) fn belongs_to(&self, network: u32, target: &Target) -> Option<(OwnerId, Uuid)> {
        let found = self.find_target(network, target).ok().flatten()?;
        let record = self.ledger.at(found);
        Some((record.owner(), self.ledger.extras_row(record)?.port?))
    }

    pub(super) fn check_fences(&self, at: u32, fences: &Fences) -> Result<(), Refused> {
        if fences.is_empty() {
            return Ok(());
        }
        let record = self.ledger.at(at);
        if fences.owner.is_some_and(|owner| owner != record.owner()) {
            return Err(self.other_holder(at, "owner"));
        }
        if let Some(manager) = &fences.manager {
            let held = self.ledger.extras_row(record).and_then(|row| row.manager.as_ref());
            if held != Some(manager) {
                return Err(self.other_holder(at, "manager"));
            }
        }
        let is_compared = !is_planted(Bug::FenceNotCompared);
        if is_compared && fences.revision.is_some_and(|revision| revision != record.revision) {
            return Err(self.stale(at, "revision"));
        }
        if fences.instance.is_some_and(|instance| instance != record.instance) {
            return Err(self.stale(at, "instance"));
        }
        Ok(())
    }

    #[cold]
    fn other_holder(&self, at: u32, field: &str) -> Refused {
        let message = format_args!("it is held by another {field} than the one given");
        let refused = refuse_field(Status::NOT_HOLDER, field, message);
        with(refused, Detail::Held(Box::new(self.allocation(at))))
    }

    #[cold]
    pub(super) fn stale(&self, at: u32, field: &str) -> Refused {
        let record = self.ledger.at(at);
        let (revision, instance) = (record.revision, record.instance);
        let message = format_args!(
            "it is held at revision {revision} by instance {instance}, not at the {field} given"
        );
        let refused = refuse_field(Status::STALE, field, message);
        with(refused, Detail::Current { revision, instance })
    }
}

/// A manager within its bound.
pub(super) fn check_manager(manager: &Text) -> Result<(), Refused> {
    let (bytes, most) = (manager.len() as u128, MANAGER_BYTES_MAX as u128);
    if bytes > most {
        return Err(super::refusal::out_of_range("manager", bytes, 0, most));
    }
    Ok(())
}

#[cold]
pub(super) fn no_fence(or_any: &str) -> Refused {
    let message = format_args!(
        "by address at least one of revision, owner, instance and manager is needed{or_any}"
    );
    refuse_field(Status::CONFLICTING_FIELDS, "revision", message)
}

#[cold]
pub(super) fn nothing_held(target: &Target) -> Refused {
    match target {
        Target::Key { owner, slot } => refuse(
            Status::NOT_FOUND,
            format_args!("slot {} of owner {owner} holds nothing in this network", slot.0),
        ),
        Target::Address(address) => {
            refuse(Status::NOT_FOUND, format_args!("nobody holds {address} in this network"))
        }
    }
}

/// Writes what is given; false if everything was so already.
fn write_settings(extras: &mut AllocationExtras, request: &AllocationUpdate) -> bool {
    let pairs = [
        (&mut extras.label, &request.label),
        (&mut extras.host, &request.host),
        (&mut extras.manager, &request.manager_name),
        (&mut extras.owner_name, &request.owner_name),
    ];
    let mut changed = false;
    for (field, setting) in pairs {
        changed |= write(field, setting);
    }
    changed
}

/// Writes a setting of a text; false if it was so already.
pub(super) fn write(field: &mut Option<Text>, setting: &Setting<Text>) -> bool {
    let value = match setting {
        Setting::Unset => return false,
        Setting::Null => None,
        Setting::Value(text) => Some(text),
    };
    if field.as_ref() == value {
        return false;
    }
    *field = value.map(super::owned);
    true
}
