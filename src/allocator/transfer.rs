//! Transfer: an allocation changes hands and keeps its address. Chooses no address, ends nothing but
//! what is over under the key that it moves to.
//!
//! Source: docs/decisions/0030-transfer.md.

use super::Shard;
use super::allocate::owner_text;
use super::pins::pinned;
use super::refusal::{Refused, refuse_field};
use super::release::{no_fence, nothing_held};
use super::subnet::last_of;
use crate::model::{EffectSink, HeldBy, Instance, ProjectId, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::{Allocation, Fences, Target, Transfer};

/// Advice to who gives something to a project of which too many addresses rest, ms: when the next of
/// them is free is that project's own.
const RESTING_RETRY_MS: u32 = 1_000;

/// Who is to hold an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holding {
    held_by: HeldBy,
    instance: Instance,
}

impl Shard {
    /// Gives an allocation another owner, slot, instance or project.
    pub(super) fn transfer(
        &mut self,
        network: u32,
        request: &Transfer,
        sink: &mut impl EffectSink,
    ) -> Result<Allocation, Refused> {
        check_request(request)?;
        let target = Target::Address(request.address);
        let at = self.find_live(network, &target)?.ok_or_else(|| nothing_held(&target))?;
        self.check_own(at)?;
        let (held, wanted) = self.holdings_of(network, at, request);
        if held == wanted {
            self.check_fences(at, &fences_of_repeat(request))?;
            self.note_alive(at);
            return Ok(Allocation { repeated: true, ..self.allocation(at) });
        }
        self.check_fences(at, &request.fences)?;
        self.check_transferable(at)?;
        let goes_abroad = held.held_by.project != wanted.held_by.project;
        let moves = held.held_by != wanted.held_by;
        if moves {
            self.check_new_key(network, &wanted.held_by, sink)?;
            self.check_new_pins(at, &wanted.held_by)?;
        }
        if goes_abroad {
            let project = wanted.held_by.project;
            self.check_may_use(network, project)?;
            let account = self.account_of(network, project);
            let block_bits = self.ledger.at(at).block_bits;
            self.check_resting_of(account, sink)
                .and_then(|()| self.pay_from(account, block_bits))
                .map_err(of_taker)?;
        }
        Ok(self.commit_transferred(network, at, request, &wanted, sink))
    }

    /// Who holds an allocation, and who is to hold it.
    fn holdings_of(&self, network: u32, at: u32, request: &Transfer) -> (Holding, Holding) {
        let held = Holding { held_by: self.holder_of(at), instance: self.ledger.at(at).instance };
        let home = self.networks.at(network).project;
        let named = |project: ProjectId| Some(project).filter(|project| *project != home);
        let held_by = HeldBy {
            owner: request.to_owner.unwrap_or(held.held_by.owner),
            slot: request.to_slot.unwrap_or(held.held_by.slot),
            project: request.to_project.map_or(held.held_by.project, named),
        };
        let instance = request.to_instance.unwrap_or(held.instance);
        (held, Holding { held_by, instance })
    }

    /// Refuses what belongs to an object, and what somebody has yet to confirm.
    fn check_transferable(&self, at: u32) -> Result<(), Refused> {
        if self.port_of(at).is_some() {
            let owner = owner_text(self.ledger.at(at).owner());
            let message = format_args!(
                "it is an address of port {owner}, which has its addresses for itself: update the port"
            );
            return Err(refuse_field(Status::HELD_BY_OBJECT, "address", message));
        }
        self.check_token(at, None, "address")
    }

    /// Refuses a key that holds something; a lease of it that is over ends.
    fn check_new_key(
        &mut self,
        network: u32,
        wanted: &HeldBy,
        sink: &mut impl EffectSink,
    ) -> Result<(), Refused> {
        let key = self.key_for(network, wanted.project, wanted.owner, wanted.slot);
        let Some(other) = self.ledger.find_key(&self.subnets, &key) else { return Ok(()) };
        if self.end_if_over(other, sink) {
            return Ok(());
        }
        let (owner, slot) = (owner_text(wanted.owner), wanted.slot.0);
        let message = format_args!("slot {slot} of owner {owner} holds an address already");
        Err(self.shown(refuse_field(Status::KEY_IN_USE, "to_owner", message), other))
    }

    /// Refuses an address that is kept for somebody else, whoever has it now.
    fn check_new_pins(&self, at: u32, wanted: &HeldBy) -> Result<(), Refused> {
        let record = self.ledger.at(at);
        let first = self.ledger.offset(record);
        let span = (first, last_of(first, record.block_bits));
        let is_guest = wanted.project.is_some();
        if !self.is_pinned_beside(record.subnet, span, (wanted.owner, wanted.slot), is_guest) {
            return Ok(());
        }
        let address = self.subnets.at(record.subnet).address(first);
        Err(pinned(&address, "address"))
    }

    /// Refuses a project that is not there, or that may not use the network.
    fn check_may_use(&self, network: u32, project: Option<ProjectId>) -> Result<(), Refused> {
        if self.accounts.of_pools {
            let message = format_args!("a prefix of a subnet pool stays in its project");
            return Err(refuse_field(Status::UNSUPPORTED, "to_project", message));
        }
        let Some(project) = project else { return Ok(()) };
        let is_there = project == ProjectId::DEFAULT || self.projects.contains(&project);
        if is_there && self.networks.at(network).shared {
            return Ok(());
        }
        // Which projects there are is nothing to others: the answer is the same.
        let message =
            format_args!("there is no project {project}, or the network isn't shared with it");
        Err(refuse_field(Status::NOT_FOUND, "to_project", message))
    }

    /// Pushes and absorbs who holds an allocation from now on. Its lease ends when it would have.
    fn commit_transferred(
        &mut self,
        network: u32,
        at: u32,
        request: &Transfer,
        wanted: &Holding,
        sink: &mut impl EffectSink,
    ) -> Allocation {
        let former = self.holder_of(at);
        let record = self.ledger.at(at);
        let (subnet, offset) = (record.subnet, self.ledger.offset(record));
        let grace = self.ledger.grace(record);
        let mut row = self.ledger.row_of(&self.subnets, at);
        row.changed = self.networks.at(network).next_revision();
        if !is_planted(Bug::TransferKeepsRevision) {
            row.revision = row.changed;
        }
        (row.owner, row.slot) = (wanted.held_by.owner, wanted.held_by.slot);
        row.instance = wanted.instance;
        let mut extras = row.extras.take().unwrap_or_default();
        if extras.project != wanted.held_by.project {
            // Its host is another project's from now on, if there is one of that name at all.
            extras.follows = None;
        }
        extras.project = wanted.held_by.project;
        if request.to_owner.is_some() {
            extras.owner_name.clone_from(&request.owner_name);
        }
        extras.former = Some(former).filter(|former| *former != wanted.held_by).map(Box::new);
        row.extras = (*extras != Default::default()).then_some(extras);
        self.commit_changed(at, row, sink);
        let at = self.ledger.find_at(subnet, offset).expect("what was put just now is there");
        if is_planted(Bug::TransferFreesNothing) && former.project != wanted.held_by.project {
            let block_bits = self.ledger.at(at).block_bits;
            self.count_allocation(network, former.project, block_bits, false, true);
        }
        self.ledger.restore_grace(at, grace);
        self.note_alive(at);
        self.allocation(at)
    }
}

/// What bounds another project's quotas have, and what it uses, is nothing to who gives.
#[cold]
fn of_taker(refused: Refused) -> Refused {
    let message = match refused.status {
        Status::QUOTA => format_args!("the project that is to have it may have no more"),
        Status::RESTING_LIMIT => {
            format_args!("too many addresses rest of the project that is to have it")
        }
        _ => return refused,
    };
    let mut shown = refuse_field(refused.status, "to_project", message);
    if refused.status == Status::RESTING_LIMIT {
        shown.retry_after_ms = RESTING_RETRY_MS;
    }
    shown
}

/// What must be so for a request to be done already: what a transfer leaves as it is. Where it names no
/// owner at all, the holder may be anybody who took the address since, so all its fences must hold.
fn fences_of_repeat(request: &Transfer) -> Fences {
    let fences = request.fences.clone();
    let names_no_owner = request.to_owner.is_none() && fences.owner.is_none();
    if names_no_owner && !is_planted(Bug::RepeatedTransferUnfenced) {
        return fences;
    }
    Fences {
        // What was transferred has a new one.
        revision: None,
        owner: fences.owner.filter(|_| request.to_owner.is_none()),
        instance: fences.instance.filter(|_| request.to_instance.is_none()),
        manager: fences.manager,
    }
}

/// Refuses what the decoder lets nobody ask.
fn check_request(request: &Transfer) -> Result<(), Refused> {
    if request.fences.is_empty() {
        return Err(no_fence(""));
    }
    if request.is_empty() {
        let message = format_args!("a transfer names a new owner, slot, instance or project");
        return Err(refuse_field(Status::CONFLICTING_FIELDS, "to_owner", message));
    }
    if request.owner_name.is_some() && request.to_owner.is_none() {
        let message =
            format_args!("a name goes with a new owner; an update changes the name alone");
        return Err(refuse_field(Status::CONFLICTING_FIELDS, "owner_name", message));
    }
    Ok(())
}
