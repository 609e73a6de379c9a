//! Which operation does what. Decides nothing itself.

use super::refusal::{Refused, refuse, unsupported};
use super::shard::{Answer, At, Scope, Shard};
use crate::model::{EffectSink, NetworkId, Status};
use addrd_protocol::message::{Reply, Request};

impl Shard {
    /// Applies a request on one network of this shard, or this shard's part of a gathered one
    /// ([`super::is_gathered`]). Effects go into the sink and are absorbed.
    ///
    /// Shape: no memory is allocated for plain allocate and release requests once the shard's
    /// slabs have grown; every request looks at a bounded number of objects.
    ///
    /// # Errors
    /// A refusal; state and sink are then as before, but for leases that had ended and that the request
    /// came across.
    pub fn apply(
        &mut self,
        at: &At,
        scope: &Scope,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        if !scope.pool {
            self.acting = scope.guest();
        }
        self.set_time(at);
        self.restoring = scope.restoring;
        match request {
            Request::Allocate(request) => {
                let network = self.seek(scope)?;
                ok(Reply::Allocated(self.allocate(network, request, sink)?))
            }
            Request::Release(request) => {
                let network = self.seek(scope)?;
                match self.release(network, request, sink)? {
                    Some(released) => ok(Reply::Released(released)),
                    None => Ok((Status::NOT_HELD, Reply::Empty)),
                }
            }
            Request::NetworkFind(_)
            | Request::NetworkList(_)
            | Request::Lookup(_)
            | Request::JobGet(_)
            | Request::JobList(_)
            | Request::SuspectList(_)
            | Request::ManagerList(_)
            | Request::HostLeaseList(_) => self.read_any(at, scope, request),
            Request::RenewOwner(request) if scope.network == NetworkId::NIL => {
                ok(Reply::RenewedOwner(self.renew_everywhere(scope.project, request, sink)?))
            }
            Request::Reconcile(request) => {
                let network = self.network_if_named(scope)?;
                ok(Reply::Reconciled(Box::new(self.reconcile(scope, network, request)?)))
            }
            _ => {
                super::classify::check_guest(scope, request)?;
                let network = self.network_of(scope)?;
                self.apply_on(at, network, request, sink)
            }
        }
    }

    /// Requests on one network but the two hottest.
    fn apply_on(
        &mut self,
        at: &At,
        network: u32,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        ok(match request {
            Request::Batch(request) => Reply::Batch(Box::new(self.batch(network, request, sink)?)),
            Request::AllocationUpdate(request) => {
                Reply::Allocation(Box::new(self.allocation_update(network, request, sink)?))
            }
            Request::Transfer(request) => {
                Reply::Allocation(Box::new(self.transfer(network, request, sink)?))
            }
            Request::Renew(request) => Reply::Renewed(self.renew(network, request, sink)?),
            Request::RenewOwner(request) => {
                Reply::RenewedOwner(self.renew_owner(network, request, sink)?)
            }
            Request::HoldConfirm(_) | Request::HoldCancel(_) | Request::HoldRelease(_) => {
                return self.apply_to_hold(network, request, sink);
            }
            Request::SubnetUpdate(request) => {
                Reply::Subnet(Box::new(self.subnet_update(network, request, sink)?))
            }
            Request::SubnetExclude(request) => {
                Reply::Subnet(Box::new(self.subnet_exclude(network, request, sink)?))
            }
            Request::SubnetInclude(request) => {
                Reply::Subnet(Box::new(self.subnet_include(network, request, sink)?))
            }
            Request::SegmentCreate(_)
            | Request::SegmentUpdate(_)
            | Request::SegmentDelete(_)
            | Request::SegmentHosts(_)
            | Request::PortCreate(_)
            | Request::PortUpdate(_)
            | Request::PortDelete(_)
            | Request::PinCreate(_)
            | Request::PinDelete(_) => self.apply_planned(network, request, sink)?,
            Request::NetworkUpdate(request) if !super::is_spanning_update(request) => {
                Reply::Network(Box::new(self.network_update(network, request, sink)?))
            }
            _ => self.read(at, network, request)?,
        })
    }

    /// Requests that end a hold, or hold a release.
    fn apply_to_hold(
        &mut self,
        network: u32,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Answer {
        let ended = match request {
            Request::HoldConfirm(request) => self.hold_confirm(network, request, sink)?,
            Request::HoldCancel(request) => self.hold_cancel(network, request, sink)?,
            Request::HoldRelease(request) => self.hold_release(network, request, sink)?,
            _ => return Err(unsupported("opcode", "this operation on a hold")),
        };
        match ended {
            Some(ended) => ok(Reply::HoldEnded(ended)),
            None => Ok((Status::NOT_HELD, Reply::Empty)),
        }
    }

    /// Requests that change ports, segments or pins.
    fn apply_planned(
        &mut self,
        network: u32,
        request: &Request,
        sink: &mut impl EffectSink,
    ) -> Result<Reply, Refused> {
        Ok(match request {
            Request::PortCreate(request) => {
                Reply::Port(Box::new(self.port_create(network, request, sink)?))
            }
            Request::PortUpdate(request) => {
                Reply::Port(Box::new(self.port_update(network, request, sink)?))
            }
            Request::PortDelete(request) => {
                self.port_delete(network, request, sink)?;
                Reply::Empty
            }
            Request::SegmentCreate(request) => {
                Reply::Segment(Box::new(self.segment_create(network, request, sink)?))
            }
            Request::SegmentUpdate(request) => {
                Reply::Segment(Box::new(self.segment_update(network, request, sink)?))
            }
            Request::SegmentHosts(request) => {
                Reply::Segment(Box::new(self.segment_hosts(network, request, sink)?))
            }
            Request::SegmentDelete(request) => {
                self.segment_delete(network, request, sink)?;
                Reply::Empty
            }
            Request::PinCreate(request) => {
                Reply::Pin(Box::new(self.pin_create(network, request, sink)?))
            }
            Request::PinDelete(request) => {
                self.pin_delete(network, request, sink)?;
                Reply::Empty
            }
            _ => return Err(unsupported("opcode", "this operation on one network")),
        })
    }

    /// Requests on one network that change nothing.
    fn read(&self, at: &At, network: u32, request: &Request) -> Result<Reply, Refused> {
        Ok(match request {
            Request::NetworkGet(_) => Reply::Network(Box::new(self.network(network))),
            Request::SubnetGet(request) => {
                let subnet = self.find_named_subnet(network, &request.subnet)?;
                Reply::Subnet(Box::new(self.subnet(subnet)))
            }
            Request::SubnetList(request) => {
                Reply::Subnets(Box::new(self.subnet_list(at, network, request)?))
            }
            Request::Usage(request) => Reply::Usage(Box::new(self.usage(at, network, request)?)),
            Request::FreeRanges(request) => {
                Reply::FreeRanges(Box::new(self.free_ranges(network, request)?))
            }
            Request::AllocationGet(request) => {
                Reply::Allocation(Box::new(self.allocation_get(network, request)?))
            }
            Request::AllocationList(request) => {
                Reply::Allocations(Box::new(self.allocation_list(at, network, request)?))
            }
            Request::PortGet(request) => Reply::Port(Box::new(self.port_get(network, request)?)),
            Request::PortList(request) => {
                Reply::Ports(Box::new(self.port_list(at, network, request)?))
            }
            Request::SegmentGet(request) => {
                Reply::Segment(Box::new(self.segment_get(network, request)?))
            }
            Request::SegmentList(request) => {
                Reply::Segments(Box::new(self.segment_list(at, network, request)?))
            }
            Request::HostList(request) => {
                Reply::Hosts(Box::new(self.host_list(at, network, request)?))
            }
            Request::PinList(request) => {
                Reply::Pins(Box::new(self.pin_list(at, network, request)?))
            }
            _ => return Err(unsupported("opcode", "this operation on one network")),
        })
    }

    /// Requests on one network or on all that this shard has; they change nothing.
    fn read_any(&self, at: &At, scope: &Scope, request: &Request) -> Answer {
        ok(match request {
            Request::NetworkFind(request) => {
                let found = self.find_network_name(scope.project, &request.name);
                let found = found.ok_or_else(|| super::lookup::no_network_named(&request.name))?;
                Reply::Network(Box::new(self.network(found)))
            }
            Request::NetworkList(request) => {
                Reply::Networks(Box::new(self.network_list(at, scope.project, request)?))
            }
            Request::Lookup(request) => {
                let network = self.network_if_named(scope)?;
                Reply::Lookups(Box::new(self.lookup(scope.project, network, request)))
            }
            Request::SuspectList(request) => {
                let network = self.network_if_named(scope)?;
                Reply::Suspects(Box::new(self.suspect_list(at, scope, network, request)?))
            }
            Request::ManagerList(request) => {
                Reply::Managers(Box::new(self.manager_list(scope.project, request)?))
            }
            Request::HostLeaseList(request) => {
                Reply::HostLeases(Box::new(self.host_lease_list(scope.project, request)?))
            }
            Request::JobGet(request) => Reply::Job(Box::new(self.job_get(scope, request)?)),
            Request::JobList(request) => Reply::Jobs(Box::new(self.job_list(at, scope, request)?)),
            _ => return Err(unsupported("opcode", "this operation on all networks")),
        })
    }

    /// The network of a header.
    #[inline]
    pub(super) fn seek(&mut self, scope: &Scope) -> Result<u32, Refused> {
        let found = self.seek_network(scope.home(), scope.network);
        self.admitted(scope, found)
    }

    /// The network of a header.
    pub(super) fn network_of(&self, scope: &Scope) -> Result<u32, Refused> {
        self.admitted(scope, self.find_network(scope.home(), scope.network))
    }

    /// The network of a header, if it names one.
    fn network_if_named(&self, scope: &Scope) -> Result<Option<u32>, Refused> {
        match scope.network {
            NetworkId::NIL => Ok(None),
            _ => self.network_of(scope).map(Some),
        }
    }

    /// The network that was found, if there is one and the project may use it.
    #[inline]
    fn admitted(&self, scope: &Scope, found: Option<u32>) -> Result<u32, Refused> {
        let found = found.ok_or_else(|| no_network(scope.network))?;
        if scope.network_project.is_some() {
            return self.admit_guest(scope, found);
        }
        Ok(found)
    }

    /// Refuses creation when the bound on records is nearly reached.
    pub(super) fn check_room_for_records(&self) -> Result<(), Refused> {
        let most = self.records_most();
        if self.records() < most {
            return Ok(());
        }
        Err(memory_full(self.records(), most))
    }
}

#[cold]
pub(super) fn no_network(id: NetworkId) -> Refused {
    refuse(Status::NOT_FOUND, format_args!("there is no network {id}"))
}

/// Advice when the memory is full, ms: somebody has to release or delete something.
const MEMORY_RETRY_MS: u32 = 5_000;

#[cold]
fn memory_full(records: u64, most: u64) -> Refused {
    let message = format_args!(
        "{records} of {most} records are in memory: only reads, releases and deletions are served"
    );
    let mut refused = refuse(Status::MEMORY_FULL, message);
    refused.retry_after_ms = MEMORY_RETRY_MS;
    refused
}

#[inline]
fn ok(reply: Reply) -> Answer {
    Ok((Status::OK, reply))
}
