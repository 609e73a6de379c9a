//! Which operation does what. Decides nothing itself.

use super::refusal::{Refused, refuse, unsupported};
use super::shard::{Answer, At, Scope, Shard};
use crate::limits::RECORDS_FULL_PERCENT;
use crate::model::{EffectSink, NetworkId, ProjectId, Status};
use addrd_protocol::message::{Lookup, Release, Reply, Request, Target};

impl Shard {
    /// Applies a request on one network of this shard, or this shard's part of a gathered one
    /// ([`super::is_gathered`]). Effects go into the sink and are absorbed.
    ///
    /// Shape: no memory is allocated for plain allocate and release requests once the shard's
    /// slabs have grown; every request looks at a bounded number of objects.
    ///
    /// # Errors
    /// A refusal; state and sink are then as before.
    pub fn apply(
        &mut self,
        at: &At,
        scope: &Scope,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        check_project(scope)?;
        match request {
            Request::Allocate(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Allocated(self.allocate(network, request, sink)?))
            }
            Request::Release(request) => {
                let network = self.network_of(scope)?;
                match self.release(network, request, sink)? {
                    Some(released) => ok(Reply::Released(released)),
                    None => Ok((Status::NOT_HELD, Reply::Empty)),
                }
            }
            Request::Batch(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Batch(Box::new(self.batch(network, request, sink)?)))
            }
            Request::AllocationUpdate(request) => {
                let network = self.network_of(scope)?;
                let updated = self.allocation_update(network, request, sink)?;
                ok(Reply::Allocation(Box::new(updated)))
            }
            Request::SubnetCreate(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Subnet(Box::new(self.subnet_create(network, request, sink)?)))
            }
            Request::SubnetUpdate(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Subnet(Box::new(self.subnet_update(network, request, sink)?)))
            }
            Request::SubnetDelete(request) => {
                let network = self.network_of(scope)?;
                ok(self.subnet_delete(network, request, sink)?)
            }
            Request::SubnetExclude(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Subnet(Box::new(self.subnet_exclude(network, request, sink)?)))
            }
            Request::SubnetInclude(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Subnet(Box::new(self.subnet_include(network, request, sink)?)))
            }
            Request::NetworkUpdate(request) if !super::is_spanning_update(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Network(Box::new(self.network_update(network, request, sink)?)))
            }
            _ => self.read(at, scope, request),
        }
    }

    /// Reads what a request will read first, so that it is near when the request is applied. Changes
    /// nothing and promises nothing: calls for the requests of a drain overlap their waits.
    pub fn prefetch(&self, scope: &Scope, request: &Request) {
        let owner = match request {
            Request::Allocate(request) => request.owner,
            Request::Release(Release { target: Target::Key { owner, .. }, .. }) => *owner,
            _ => return,
        };
        if let Some(network) = self.find_network(scope.project, scope.network) {
            let salt = self.networks.at(network).owner_salt;
            std::hint::black_box(self.ledger.touch(&self.subnets, scope.project, owner, salt));
        }
    }

    /// Requests that change nothing.
    fn read(&self, at: &At, scope: &Scope, request: &Request) -> Answer {
        match request {
            Request::NetworkGet(_) => {
                let network = self.network_of(scope)?;
                ok(Reply::Network(Box::new(self.network(network))))
            }
            Request::NetworkFind(request) => {
                let found = self.find_network_name(scope.project, &request.name);
                let found = found.ok_or_else(|| super::lookup::no_network_named(&request.name))?;
                ok(Reply::Network(Box::new(self.network(found))))
            }
            Request::NetworkList(request) => {
                ok(Reply::Networks(Box::new(self.network_list(at, scope.project, request)?)))
            }
            Request::SubnetGet(request) => {
                let network = self.network_of(scope)?;
                let subnet = self.find_named_subnet(network, &request.subnet)?;
                ok(Reply::Subnet(Box::new(self.subnet(subnet))))
            }
            Request::SubnetList(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Subnets(Box::new(self.subnet_list(at, network, request)?)))
            }
            Request::Usage(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Usage(Box::new(self.usage(at, network, request)?)))
            }
            Request::FreeRanges(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::FreeRanges(Box::new(self.free_ranges(network, request)?)))
            }
            Request::AllocationGet(request) => {
                let network = self.network_of(scope)?;
                ok(Reply::Allocation(Box::new(self.allocation_get(network, request)?)))
            }
            Request::AllocationList(request) => {
                let network = self.network_of(scope)?;
                let page = self.allocation_list(at, network, request)?;
                ok(Reply::Allocations(Box::new(page)))
            }
            Request::Lookup(request) => self.lookup_request(scope, request),
            Request::JobGet(request) => ok(Reply::Job(Box::new(self.job_get(scope, request)?))),
            Request::JobList(request) => {
                ok(Reply::Jobs(Box::new(self.job_list(at, scope, request)?)))
            }
            _ => Err(unsupported("opcode", "this operation on one worker")),
        }
    }

    fn lookup_request(&self, scope: &Scope, request: &Lookup) -> Answer {
        let network = match scope.network {
            NetworkId::NIL => None,
            _ => Some(self.network_of(scope)?),
        };
        ok(Reply::Lookups(Box::new(self.lookup(scope.project, network, request))))
    }

    /// The network of a header.
    #[inline]
    pub(super) fn network_of(&self, scope: &Scope) -> Result<u32, Refused> {
        let found = self.find_network(scope.project, scope.network);
        found.ok_or_else(|| no_network(scope.network))
    }

    /// Refuses creation when the bound on records is nearly reached.
    pub(super) fn check_room_for_records(&self) -> Result<(), Refused> {
        let most = self.settings.records_max / 100 * RECORDS_FULL_PERCENT;
        if self.records() < most {
            return Ok(());
        }
        Err(memory_full(self.records(), most))
    }
}

#[cold]
fn no_network(id: NetworkId) -> Refused {
    refuse(Status::NOT_FOUND, format_args!("there is no network {id}"))
}

#[cold]
fn memory_full(records: u64, most: u64) -> Refused {
    let message = format_args!(
        "{records} of {most} records are in memory: only reads and releases are served"
    );
    refuse(Status::MEMORY_FULL, message)
}

/// Refuses projects that are not built yet.
pub(super) fn check_project(scope: &Scope) -> Result<(), Refused> {
    if scope.project == ProjectId::DEFAULT {
        return Ok(());
    }
    Err(unsupported("project", "a project other than the default one"))
}

#[inline]
fn ok(reply: Reply) -> Answer {
    Ok((Status::OK, reply))
}
