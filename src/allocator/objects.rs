//! Objects as replies show them. Reads only.

use super::Shard;
use super::network::Network;
use crate::model::{AddressScopeId, JobRow, PoolId, ProjectId};
use addrd_protocol::message::{Allocation, Job, JobState, Network as NetworkReply, Subnet};

impl Shard {
    /// An allocation as the request at hand may see it.
    pub(super) fn allocation(&self, at: u32) -> Allocation {
        let network = self.subnets.at(self.ledger.at(at).subnet).network;
        self.allocation_for(at, self.actor(network))
    }

    /// An allocation as a project sees it: of another one's where it is, and whose.
    pub(super) fn allocation_for(&self, at: u32, viewer: ProjectId) -> Allocation {
        let whole = self.whole_allocation(at);
        if whole.project_id == viewer {
            return whole;
        }
        whole.as_others_see()
    }

    fn whole_allocation(&self, at: u32) -> Allocation {
        let record = self.ledger.at(at);
        let subnet = self.subnets.at(record.subnet);
        let network = self.networks.at(subnet.network);
        let extras = self.ledger.extras_row(record).cloned().unwrap_or_default();
        let project_id = extras.project.unwrap_or(network.project);
        Allocation {
            address: subnet.address(self.ledger.offset(record)),
            length: subnet.family.bits() - record.block_bits,
            subnet_length: subnet.row.prefix.length(),
            state: record.state(),
            network_id: network.id,
            subnet_id: subnet.row.id,
            project_id,
            owner: record.owner(),
            slot: record.slot,
            instance: record.instance,
            revision: record.revision,
            time_left_ms: self.time_left(record),
            repeated: false,
            owner_name: extras.owner_name,
            label: extras.label,
            host: extras.host,
            manager: extras.manager,
            network_project: extras.project.map(|_| network.project),
            follows_host: extras.follows.is_some(),
        }
    }

    /// A subnet as it is.
    pub(super) fn subnet(&self, at: u32) -> Subnet {
        let subnet = self.subnets.at(at);
        let row = &subnet.row;
        Subnet {
            subnet_id: row.id,
            network_id: self.networks.at(subnet.network).id,
            revision: row.revision,
            cidr: row.prefix,
            kind: row.kind,
            strategy: row.strategy,
            enable_dhcp: row.enable_dhcp,
            deleting: row.deleting,
            repeated: false,
            allocations: subnet.allocations,
            gateway: row.gateway,
            pools: row.pools.clone(),
            dns_servers: row.dns_servers.clone(),
            routes: row.routes.clone(),
            exclusions: subnet.exclusions.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            live_inside: Vec::new(),
            overlaps: Vec::new(),
            quarantine_ms: row.quarantine_ms,
            subnet_pool_id: row.pool.map(|pool| PoolId(pool.id)),
            service: row.service.clone(),
            filling: None,
        }
    }

    /// A network as it is.
    pub(super) fn network(&self, at: u32) -> NetworkReply {
        let network: &Network = self.networks.at(at);
        NetworkReply {
            network_id: network.id,
            project_id: network.project,
            revision: network.attributes,
            subnets: network.order.count(),
            allocations: network.allocations,
            deleting: network.deleting,
            repeated: false,
            shared: network.shared,
            name: network.name.clone(),
            description: network.description.clone(),
            scope_v4: network.scope_v4.map(|scope| AddressScopeId(scope.id)),
            scope_v6: network.scope_v6.map(|scope| AddressScopeId(scope.id)),
        }
    }
}

/// A job as it is.
pub(super) fn job(row: &JobRow) -> Job {
    Job {
        job_id: row.job,
        kind: row.kind,
        state: if row.finished { JobState::Done } else { JobState::Running },
        network_id: row.network_id,
        subnet_id: row.subnet_id,
        done: row.done,
        total: row.total,
    }
}
