//! Networks: create, change, delete.

use super::{Naive, Net, Verdict, no, no_field};
use crate::model::{NetworkId, Setting, Status, Text};
use addrd_protocol::message::{NetworkCreate, NetworkDelete, NetworkUpdate};

/// What a deletion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::allocator::tests) enum Deleted {
    AtOnce,
    Job,
}

impl Naive {
    fn name_taken(&self, name: &Text, but: NetworkId) -> bool {
        self.networks.iter().any(|net| net.id != but && net.name.as_ref() == Some(name))
    }

    /// True if it existed.
    pub(in crate::allocator::tests) fn network_create(
        &mut self,
        id: NetworkId,
        request: &NetworkCreate,
    ) -> Verdict<bool> {
        if let Ok(net) = self.net(id) {
            return if net.deleting { no(Status::DELETING) } else { Ok(true) };
        }
        if let Some(name) = &request.name {
            if !name.is_name() {
                return no_field(Status::INVALID_NAME, "name");
            }
            if self.name_taken(name, id) {
                return no_field(Status::NAME_IN_USE, "name");
            }
        }
        let counter = self.first_revision + 1;
        self.networks.push(Net {
            id,
            name: request.name.clone(),
            description: request.description.clone(),
            counter,
            attributes: counter,
            deleting: false,
            subnets: Vec::new(),
            held: Vec::new(),
            resting: Vec::new(),
        });
        Ok(false)
    }

    /// True if it was so already.
    pub(in crate::allocator::tests) fn network_update(
        &mut self,
        id: NetworkId,
        request: &NetworkUpdate,
    ) -> Verdict<bool> {
        if let Setting::Value(name) = &request.name {
            if !name.is_name() {
                return no_field(Status::INVALID_NAME, "name");
            }
            if self.name_taken(name, id) {
                return no_field(Status::NAME_IN_USE, "name");
            }
        }
        let net = self.net_mut(id)?;
        if net.deleting {
            return no(Status::DELETING);
        }
        let pick = |setting: &Setting<Text>, old: &Option<Text>| match setting {
            Setting::Unset => old.clone(),
            Setting::Null => None,
            Setting::Value(text) => Some(text.clone()),
        };
        let name = pick(&request.name, &net.name);
        let description = pick(&request.description, &net.description);
        if (&name, &description) == (&net.name, &net.description) {
            return Ok(true);
        }
        if request.expected.0 != 0 && request.expected.0 != net.attributes {
            return no_field(Status::STALE, "expected");
        }
        net.attributes = net.tick();
        (net.name, net.description) = (name, description);
        Ok(false)
    }

    pub(in crate::allocator::tests) fn network_delete(
        &mut self,
        id: NetworkId,
        request: &NetworkDelete,
    ) -> Verdict<Deleted> {
        let net = self.net_mut(id)?;
        if net.deleting {
            return Ok(Deleted::Job);
        }
        if request.expected.0 != 0 && request.expected.0 != net.attributes {
            return no_field(Status::STALE, "expected");
        }
        if net.held.is_empty() {
            self.networks.retain(|net| net.id != id);
            return Ok(Deleted::AtOnce);
        }
        if !request.force {
            return no(Status::IN_USE);
        }
        net.deleting = true;
        net.attributes = net.tick();
        net.tick();
        Ok(Deleted::Job)
    }

    /// All jobs are done. What their records did to revision counters is not modelled: the real
    /// ones are taken over afterwards.
    pub(in crate::allocator::tests) fn work_jobs(&mut self) {
        self.networks.retain(|net| !net.deleting);
        for net in &mut self.networks {
            let gone: Vec<_> = net.subnets.iter().filter(|s| s.deleting).map(|s| s.id).collect();
            net.held.retain(|held| !gone.contains(&held.subnet));
            net.resting.retain(|rest| !gone.contains(&rest.subnet));
            net.subnets.retain(|sub| !sub.deleting);
        }
    }
}
