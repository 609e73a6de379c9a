//! Networks beyond their own worker: names are unique in a project, scopes are of the catalogue.

use super::{Catalogue, Named, Tee};
use crate::allocator::Shard;
use crate::allocator::refusal::{Refused, limit, refuse_field};
use crate::allocator::shard::{At, Scope};
use crate::allocator::subnets::rules;
use crate::limits::{NETWORK_DELETE_OBJECTS_MAX, NETWORKS_MAX};
use crate::model::{
    AddressScopeId, Effect, EffectSink, Family, NetworkHandle, NetworkRow, ObjectRef, Revision,
    Setting, Status, SubnetHandle, Text,
};
use addrd_protocol::message::{Network, NetworkCreate, NetworkDelete, NetworkUpdate, Reply};

impl Catalogue {
    pub(super) fn network_create(
        &mut self,
        shard: &mut Shard,
        at: &At,
        scope: &Scope,
        request: &NetworkCreate,
        sink: &mut impl EffectSink,
    ) -> Result<Network, Refused> {
        if let Some(existing) = shard.find_network(scope.project, scope.network) {
            if shard.networks.at(existing).deleting {
                return Err(rules::deleting("network"));
            }
            return repeated(shard.network(existing), request);
        }
        self.check_project(scope.project)?;
        if scope.network.is_nil() {
            let message = format_args!("a network's id is not all zero");
            return Err(refuse_field(Status::OUT_OF_RANGE, "network", message));
        }
        if let Some(name) = &request.name {
            self.check_name(Named::Network, scope.project, name)?;
        }
        let scope_v4 = self.scope_ref(scope, Family::V4, "scope_v4", request.scope_v4)?;
        let scope_v6 = self.scope_ref(scope, Family::V6, "scope_v6", request.scope_v6)?;
        let count = self.networks.len() as u128;
        if count >= NETWORKS_MAX.into() || self.next_handle == u32::MAX {
            return Err(limit("NETWORKS_MAX", count + 1, NETWORKS_MAX.into()));
        }
        shard.check_room_for_records()?;
        self.check_network_quota(scope.project)?;
        let row = NetworkRow {
            network: self.take_handle(),
            revision: Revision(at.tick.first_revision() + 1),
            project: scope.project,
            id: scope.network,
            deleting: false,
            shared: request.shared,
            name: request.name.clone(),
            description: request.description.clone(),
            scope_v4,
            scope_v6,
        };
        let effect = Effect::NetworkPut(Box::new(row));
        shard.commit(&effect, sink);
        self.note(&effect);
        let made = shard.network_of(scope)?;
        Ok(shard.network(made))
    }

    fn scope_ref(
        &self,
        scope: &Scope,
        family: Family,
        field: &str,
        id: Option<AddressScopeId>,
    ) -> Result<Option<ObjectRef>, Refused> {
        let Some(id) = id else { return Ok(None) };
        let row = &self.scope_of(scope.project, field, id)?.row;
        if row.family != family {
            let name = super::choose::family_name(row.family);
            let message = format_args!("{field} is of {name}");
            return Err(refuse_field(Status::FAMILY_MISMATCH, field, message));
        }
        Ok(Some(ObjectRef { handle: row.handle, id: row.id.0 }))
    }

    pub(super) fn network_update(
        &mut self,
        shard: &mut Shard,
        scope: &Scope,
        request: &NetworkUpdate,
        sink: &mut impl EffectSink,
    ) -> Result<Network, Refused> {
        if let Setting::Value(name) = &request.name {
            rules::check_name(name)?;
            if !self.is_named(scope, name) {
                self.check_name(Named::Network, scope.project, name)?;
            }
        }
        let network = shard.network_of(scope)?;
        let (changed, kept) = Tee::of(sink, |tee| shard.network_update(network, request, tee))?;
        self.note_all(&kept);
        Ok(changed)
    }

    /// Whether the network of a header has this name.
    fn is_named(&self, scope: &Scope, name: &Text) -> bool {
        let handle = self.names.get(&(Named::Network, scope.project, name.clone()));
        let named = handle.and_then(|handle| self.networks.get(handle));
        named.is_some_and(|network| network.id == scope.network)
    }

    pub(super) fn network_delete(
        &mut self,
        shard: &mut Shard,
        scope: &Scope,
        request: &NetworkDelete,
        sink: &mut impl EffectSink,
    ) -> Result<Reply, Refused> {
        let network = shard.network_of(scope)?;
        let carved = self.carved_of(shard.networks.at(network).handle);
        let (reply, kept) = Tee::of(sink, |tee| shard.network_delete(network, request, tee))?;
        self.note_all(&kept);
        if reply == Reply::Empty {
            for (pool, base) in carved {
                self.give(pool, base, sink);
            }
        }
        Ok(reply)
    }

    /// Pool and first address of a network's subnets that come from pools, as many as one deletion
    /// takes with it.
    fn carved_of(&self, network: NetworkHandle) -> Vec<(NetworkHandle, u128)> {
        let all = (network, SubnetHandle(0))..=(network, SubnetHandle(u32::MAX));
        let bound = self.bound.range(all).take(NETWORK_DELETE_OBJECTS_MAX as usize);
        bound.filter_map(|(_, bound)| Some((bound.pool?, bound.base))).collect()
    }
}

/// The network that exists, if what can never change agrees.
fn repeated(network: Network, request: &NetworkCreate) -> Result<Network, Refused> {
    let differs = if network.scope_v4 != request.scope_v4 {
        Some("scope_v4")
    } else if network.scope_v6 != request.scope_v6 {
        Some("scope_v6")
    } else {
        None
    };
    let Some(field) = differs else { return Ok(Network { repeated: true, ..network }) };
    let message = format_args!("network {} exists with another {field}", network.network_id);
    Err(refuse_field(Status::ID_IN_USE, field, message))
}
