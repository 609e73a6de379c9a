//! Networks that projects share: who may use one, what its guests have there, and what is shown of
//! it to whom. Allocates and releases nothing.
//!
//! Source: protocol/SPEC.md, "Shared networks"; docs/decisions/0016-shared-networks.md.

use super::Shard;
use super::record::Record;
use super::refusal::{Refused, refuse_field, with};
use super::shard::Scope;
use crate::model::{NetworkId, ProjectId, Status};
use crate::planted::{Bug, is_planted};
use addrd_protocol::message::Detail;

impl Shard {
    /// What a project has on networks of others.
    #[must_use]
    pub fn guest_count(&self, project: ProjectId) -> u64 {
        self.guests.get(&project).copied().unwrap_or_default()
    }

    /// Whether a project exists is the catalogue's to say; it tells every shard, since a guest may
    /// allocate in any.
    pub fn know_project(&mut self, project: ProjectId, exists: bool) {
        if exists {
            self.projects.insert(project);
            self.open_account(project);
        } else {
            self.projects.remove(&project);
            self.close_account(project);
        }
    }

    /// The network of a guest's header.
    pub(super) fn admit_guest(&self, scope: &Scope, found: u32) -> Result<u32, Refused> {
        if !self.networks.at(found).shared {
            return Err(super::apply::no_network(scope.network));
        }
        if scope.project != ProjectId::DEFAULT && !self.projects.contains(&scope.project) {
            return Err(super::refusal::no_project(scope.project));
        }
        Ok(found)
    }

    /// Notes whether a network is shared.
    pub(super) fn lend(&mut self, key: (NetworkId, ProjectId), at: u32, shared: bool) {
        if shared {
            self.lent.insert(key, at);
        } else {
            self.lent.remove(&key);
        }
    }

    /// Counts an allocation or port of a guest as there or gone.
    pub(super) fn count_guest(&mut self, network: u32, guest: ProjectId, there: bool) {
        for counts in [&mut self.networks.at_mut(network).guests, &mut self.guests] {
            let count = counts.entry(guest).or_default();
            *count = if there { *count + 1 } else { *count - 1 };
            if *count == 0 {
                counts.remove(&guest);
            }
        }
    }

    /// Refuses to end the sharing of a network that guests use.
    pub(super) fn check_unused_by_guests(&self, network: u32) -> Result<(), Refused> {
        let count: u64 = self.networks.at(network).guests.values().sum();
        if count == 0 || is_planted(Bug::UnsharedUnderGuests) {
            return Ok(());
        }
        let message = format_args!(
            "other projects have {count} allocations and ports on the network; it can cease to be \
             shared once they are gone"
        );
        let refused = refuse_field(Status::IN_USE, "shared", message);
        Err(with(refused, Detail::Count { count: count.into() }))
    }

    /// The project that the request at hand on a network acts for.
    pub(super) fn actor(&self, network: u32) -> ProjectId {
        self.acting.unwrap_or_else(|| self.networks.at(network).project)
    }

    /// Whether an allocation is of the project that the request at hand acts for.
    pub(super) fn is_own(&self, record: &Record) -> bool {
        let network = self.subnets.at(record.subnet).network;
        self.ledger.project_of(&self.subnets, record) == self.actor(network)
    }

    /// Refuses what only the project of an allocation may do.
    pub(super) fn check_own(&self, at: u32) -> Result<(), Refused> {
        if self.is_own(self.ledger.at(at)) {
            return Ok(());
        }
        let message = format_args!(
            "it is held by another project that uses this network; only that can release or change it"
        );
        Err(refuse_field(Status::NOT_HOLDER, "project", message))
    }
}
