//! Networks in their own shard: change and end. Names and scopes are the catalogue's
//! ([`super::catalogue`]).

use super::Shard;
use super::catalogue::switch;
use super::order::Key;
use super::refusal::Refused;
use super::release::write;
use super::subnets::{in_use, rules};
use crate::limits::NETWORK_DELETE_OBJECTS_MAX;
use crate::model::{Effect, EffectSink, Family, NetworkRow, SubnetId};
use addrd_protocol::message::{JobKind, Network, NetworkDelete, NetworkUpdate, Reply};

impl Shard {
    /// Deletes a network: at once if it is empty, as a job if it is not and that is forced.
    pub(super) fn network_delete(
        &mut self,
        at: u32,
        request: &NetworkDelete,
        sink: &mut impl EffectSink,
    ) -> Result<Reply, Refused> {
        let network = self.networks.at(at);
        if network.deleting {
            return self.running_job(at, SubnetId::NIL);
        }
        if request.expected.0 != 0 && request.expected != network.attributes {
            return Err(rules::stale(network.attributes, request.expected));
        }
        let (live, ports) = (network.allocations, network.ports.len() as u64);
        let objects = self.objects_in(at);
        if live + ports > 0 && !request.force {
            return Err(in_use("network", live.max(ports)));
        }
        if live + ports == 0 && objects <= NETWORK_DELETE_OBJECTS_MAX {
            self.end_network(at, sink);
            return Ok(Reply::Empty);
        }
        self.check_room_for_job()?;
        let row = NetworkRow { deleting: true, ..self.network_row(at) };
        self.commit(&Effect::NetworkPut(Box::new(row)), sink);
        let total = live + objects;
        Ok(self.start_job(at, JobKind::NetworkDelete, SubnetId::NIL, total, sink))
    }

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
        switch(&mut row.shared, &request.shared);
        if !renamed && !described && row.shared == network.shared {
            return Ok(Network { repeated: true, ..self.network(at) });
        }
        if request.expected.0 != 0 && request.expected != known {
            return Err(rules::stale(known, request.expected));
        }
        if !row.shared {
            self.check_unused_by_guests(at)?;
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
            shared: network.shared,
            name: network.name.clone(),
            description: network.description.clone(),
            scope_v4: network.scope_v4,
            scope_v6: network.scope_v6,
        }
    }

    /// Deletes a network that has neither allocations nor ports, and the little else in it.
    fn end_network(&mut self, at: u32, sink: &mut impl EffectSink) {
        let handle = self.networks.at(at).handle;
        let first = Key::before(Family::V4, 0);
        loop {
            let next = self.networks.at(at).order.iter_from(first).next();
            let Some(subnet) = next.map(|key| key.subnet()) else { break };
            self.release_all(subnet, sink);
            self.end_pins_in(subnet, usize::MAX, sink);
            self.commit_subnet_gone(subnet, sink);
        }
        let mut left = usize::MAX;
        while self.end_first_thing(at, &mut left, sink) {}
        let revision = self.networks.at(at).next_revision();
        self.commit(&Effect::NetworkGone { network: handle, revision }, sink);
    }
}
