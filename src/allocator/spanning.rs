//! Operations that need all shards at once: names of networks are unique over all of them. The
//! caller has stopped every worker; nothing here waits.

use super::Shard;
use super::apply::check_project;
use super::order::Key;
use super::refusal::{Refused, limit, refuse, unsupported};
use super::release::write;
use super::shard::{Answer, At, Scope};
use super::subnets::in_use;
use super::subnets::rules;
use crate::limits::{NETWORK_DELETE_OBJECTS_MAX, NETWORKS_MAX};
use crate::model::{
    Effect, EffectSink, Family, NetworkHandle, NetworkRow, Revision, Setting, Status, SubnetId,
    worker_of,
};
use addrd_protocol::message::{
    Detail, JobKind, Network, NetworkCreate, NetworkDelete, NetworkUpdate, Reply, Request,
};

/// Applies a request for which [`super::is_spanning`] holds. `shards` are all shards, by worker;
/// `next_handle` is above all handles of networks ever given.
///
/// # Errors
/// A refusal; state and sink are then as before.
pub fn apply_spanning(
    shards: &mut [&mut Shard],
    next_handle: &mut u32,
    at: &At,
    scope: &Scope,
    request: &Request,
    sink: &mut impl EffectSink,
) -> Answer {
    check_project(scope)?;
    let owner = owner_of(shards, scope)?;
    let reply = match request {
        Request::NetworkCreate(request) => {
            let created = create(shards, owner, next_handle, at, scope, request, sink)?;
            Reply::Network(Box::new(created))
        }
        Request::NetworkUpdate(request) => {
            if let Setting::Value(name) = &request.name {
                rules::check_name(name)?;
                check_name_is_free(shards, scope, name)?;
            }
            let shard = &mut *shards[owner];
            let network = shard.network_of(scope)?;
            Reply::Network(Box::new(shard.network_update(network, request, sink)?))
        }
        Request::NetworkDelete(request) => delete(&mut *shards[owner], scope, request, sink)?,
        _ => return Err(unsupported("opcode", "this operation over all workers")),
    };
    Ok((Status::OK, reply))
}

/// Ends the deletion of a network that has no subnets any more
/// ([`super::JobProgress::NeedsFinish`]). Does nothing if it is gone or not empty.
pub fn finish_network(
    shards: &mut [&mut Shard],
    _at: &At,
    network: NetworkHandle,
    sink: &mut impl EffectSink,
) {
    for shard in shards {
        let Some(at) = shard.find_network_handle(network) else { continue };
        let of = shard.networks.at(at);
        if !of.deleting || !shard.is_bare(at) {
            return;
        }
        let running: Vec<_> =
            shard.jobs.values().filter(|job| job.network == network).copied().collect();
        for row in running.into_iter().filter(|job| !job.finished) {
            let revision = shard.networks.at(at).next_revision();
            let row = crate::model::JobRow { revision, finished: true, ..row };
            shard.commit(&Effect::JobPut(row), sink);
        }
        shard.end_network(at, sink);
        shard.forget_finished(sink);
        return;
    }
}

fn owner_of(shards: &[&mut Shard], scope: &Scope) -> Result<usize, Refused> {
    let workers = u16::try_from(shards.len()).unwrap_or(u16::MAX);
    let owner = usize::from(worker_of(scope.project, scope.network, workers).0);
    if owner >= shards.len() {
        return Err(refuse(Status::OUTCOME_UNKNOWN, format_args!("there is no worker")));
    }
    Ok(owner)
}

fn create(
    shards: &mut [&mut Shard],
    owner: usize,
    next_handle: &mut u32,
    at: &At,
    scope: &Scope,
    request: &NetworkCreate,
    sink: &mut impl EffectSink,
) -> Result<Network, Refused> {
    if let Some(existing) = shards[owner].find_network(scope.project, scope.network) {
        if shards[owner].networks.at(existing).deleting {
            return Err(rules::deleting("network"));
        }
        return Ok(Network { repeated: true, ..shards[owner].network(existing) });
    }
    if scope.network.is_nil() {
        let message = format_args!("a network's id is not all zero");
        return Err(super::refusal::refuse_field(Status::OUT_OF_RANGE, "network", message));
    }
    if let Some(name) = &request.name {
        rules::check_name(name)?;
        check_name_is_free(shards, scope, name)?;
    }
    let count: u32 = shards.iter().map(|shard| shard.networks()).sum();
    if count >= NETWORKS_MAX || *next_handle == u32::MAX {
        return Err(limit("NETWORKS_MAX", u128::from(count) + 1, NETWORKS_MAX.into()));
    }
    shards[owner].check_room_for_records()?;
    let row = NetworkRow {
        network: NetworkHandle(*next_handle),
        revision: Revision(at.tick.first_revision() + 1),
        project: scope.project,
        id: scope.network,
        deleting: false,
        name: request.name.clone(),
        description: request.description.clone(),
    };
    *next_handle += 1;
    shards[owner].commit(&Effect::NetworkPut(Box::new(row)), sink);
    let made = shards[owner].network_of(scope)?;
    Ok(shards[owner].network(made))
}

fn check_name_is_free(
    shards: &[&mut Shard],
    scope: &Scope,
    name: &crate::model::Text,
) -> Result<(), Refused> {
    for shard in shards {
        let Some(other) = shard.find_network_name(scope.project, name) else { continue };
        let network_id = shard.networks.at(other).id;
        if network_id != scope.network {
            let subnet_id = SubnetId::NIL;
            return Err(rules::name_in_use(
                name,
                Detail::Other { network_id, subnet_id, cidr: None },
            ));
        }
    }
    Ok(())
}

fn delete(
    shard: &mut Shard,
    scope: &Scope,
    request: &NetworkDelete,
    sink: &mut impl EffectSink,
) -> Result<Reply, Refused> {
    let at = shard.network_of(scope)?;
    let network = shard.networks.at(at);
    if network.deleting {
        return shard.running_job(at, SubnetId::NIL);
    }
    if request.expected.0 != 0 && request.expected != network.attributes {
        return Err(rules::stale(network.attributes, request.expected));
    }
    let (live, ports) = (network.allocations, network.ports.len() as u64);
    let objects = shard.objects_in(at);
    if live + ports > 0 && !request.force {
        return Err(in_use("network", live.max(ports)));
    }
    if live + ports == 0 && objects <= NETWORK_DELETE_OBJECTS_MAX {
        shard.end_network(at, sink);
        return Ok(Reply::Empty);
    }
    shard.check_room_for_job()?;
    let row = NetworkRow { deleting: true, ..shard.network_row(at) };
    shard.commit(&Effect::NetworkPut(Box::new(row)), sink);
    let total = live + objects;
    Ok(shard.start_job(at, JobKind::NetworkDelete, SubnetId::NIL, total, sink))
}

impl Shard {
    /// Changes attributes of a network whose new name, if any, is free.
    pub(super) fn network_update(
        &mut self,
        at: u32,
        request: &NetworkUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Network, Refused> {
        let network = self.networks.at(at);
        if network.deleting {
            return Err(rules::deleting("network"));
        }
        let known = network.attributes;
        let mut row = self.network_row(at);
        let renamed = write(&mut row.name, &request.name);
        let described = write(&mut row.description, &request.description);
        if !renamed && !described {
            return Ok(Network { repeated: true, ..self.network(at) });
        }
        if request.expected.0 != 0 && request.expected != known {
            return Err(rules::stale(known, request.expected));
        }
        self.commit(&Effect::NetworkPut(Box::new(row)), sink);
        Ok(self.network(at))
    }

    /// The attributes of a network as its next record would have them.
    pub(super) fn network_row(&self, at: u32) -> NetworkRow {
        let network = self.networks.at(at);
        NetworkRow {
            network: network.handle,
            revision: network.next_revision(),
            project: network.project,
            id: network.id,
            deleting: network.deleting,
            name: network.name.clone(),
            description: network.description.clone(),
        }
    }

    /// Deletes a network that has neither allocations nor ports, and the little else in it.
    fn end_network(&mut self, at: u32, sink: &mut impl EffectSink) {
        let handle = self.networks.at(at).handle;
        let first = Key::before(Family::V4, 0);
        loop {
            let next = self.networks.at(at).order.iter_from(first).next();
            let Some(subnet) = next.map(|key| key.subnet()) else { break };
            self.end_pins_in(subnet, usize::MAX, sink);
            self.commit_subnet_gone(subnet, sink);
        }
        let mut left = usize::MAX;
        while self.end_first_thing(at, &mut left, sink) {}
        let revision = self.networks.at(at).next_revision();
        self.commit(&Effect::NetworkGone { network: handle, revision }, sink);
    }
}
