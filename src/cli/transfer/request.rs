//! From a line to the request that makes its object, or makes it again. Pure.

use super::line::{Held, InNetwork, Line};
use addrd_protocol::message::{
    Allocate, AllocateExtras, AllocateFlags, FamilyChoice, ProjectCreate, ProjectUpdate,
    QuotaSettings, Request, SegmentHosts, Strategy,
};
use addrd_protocol::{NetworkId, ProjectId, Setting, Text};

/// A request and where it belongs.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) place: Place,
    pub(super) request: Request,
}

/// What the header of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) project: ProjectId,
    /// A network, scope or pool; all zero = none.
    pub(super) network: NetworkId,
    /// The project of the network, if it is another one.
    pub(super) home: Option<ProjectId>,
    /// What is asked for is a prefix of a pool.
    pub(super) pool: bool,
}

impl Asked {
    /// Of an object; `None` for the first and the last line.
    pub(super) fn of(line: Line) -> Option<Self> {
        Some(match line {
            Line::Export(_) | Line::End(_) => return None,
            Line::Project(line) => {
                let request = match line.project_id {
                    // It is there already, as every server has it.
                    ProjectId::DEFAULT => Request::ProjectUpdate(Box::new(told(line.object))),
                    _ => Request::ProjectCreate(Box::new(line.object)),
                };
                Self::new(line.project_id, NetworkId::NIL, request)
            }
            Line::Scope(line) => {
                let request = Request::ScopeCreate(Box::new(line.object));
                Self::new(line.project_id, NetworkId(line.address_scope_id.0), request)
            }
            Line::Pool(line) => {
                let request = Request::PoolCreate(Box::new(line.object));
                Self::new(line.project_id, NetworkId(line.subnet_pool_id.0), request)
            }
            Line::Prefix(line) => {
                // Without a length a pool gives one of its own.
                let bits = if line.object.address.is_ipv4() { 32 } else { 128 };
                let length = line.object.length.or(Some(bits));
                let request = Request::Allocate(Allocate { length, ..allocate(line.object) });
                let mut asked =
                    Self::new(line.project_id, NetworkId(line.subnet_pool_id.0), request);
                asked.place.pool = true;
                asked
            }
            Line::Network(line) => {
                Self::inside(*line, |object| Request::NetworkCreate(Box::new(object)))
            }
            Line::Segment(line) => {
                Self::inside(*line, |object| Request::SegmentCreate(Box::new(object)))
            }
            Line::Host(line) => Self::inside(*line, |mapping| {
                let (segment_id, add) = (mapping.segment_id, vec![mapping.host]);
                Request::SegmentHosts(Box::new(SegmentHosts {
                    segment_id,
                    add,
                    remove: Vec::new(),
                }))
            }),
            Line::Subnet(line) => {
                Self::inside(*line, |object| Request::SubnetCreate(Box::new(object)))
            }
            Line::Port(line) => Self::inside(*line, |object| Request::PortCreate(Box::new(object))),
            Line::Allocation(line) => Self::inside(*line, |held| Request::Allocate(allocate(held))),
            Line::Pin(line) => Self::inside(*line, |object| Request::PinCreate(Box::new(object))),
            Line::Exclusion(line) => {
                Self::inside(*line, |object| Request::SubnetExclude(Box::new(object)))
            }
        })
    }

    /// Whether what it makes may be made although a rule was narrowed since.
    pub(super) fn is_restoring(&self) -> bool {
        self.request.opcode().may_restore()
    }

    fn new(project: ProjectId, network: NetworkId, request: Request) -> Self {
        Self { place: Place { project, network, home: None, pool: false }, request }
    }

    fn inside<T>(line: InNetwork<T>, request: impl FnOnce(T) -> Request) -> Self {
        let home = line.network_project.filter(|home| *home != line.project_id);
        let asked = Self::new(line.project_id, line.network_id, request(line.object));
        Self { place: Place { home, ..asked.place }, ..asked }
    }
}

/// What a line says of a project that is there.
fn told(project: ProjectCreate) -> ProjectUpdate {
    let given = |text: Option<Text>| text.map_or(Setting::Unset, Setting::Value);
    let quota = |quota: Option<u64>| quota.map_or(Setting::Unset, Setting::Value);
    let ProjectCreate { name, description, quotas } = project;
    let (name, description) = (given(name), given(description));
    let quotas = QuotaSettings {
        addresses: quota(quotas.addresses),
        prefixes: quota(quotas.prefixes),
        networks: quota(quotas.networks),
        subnets: quota(quotas.subnets),
        ports: quota(quotas.ports),
        resting: quota(quotas.resting),
    };
    ProjectUpdate { name, description, quotas, ..ProjectUpdate::default() }
}

/// Exactly what the line says.
fn allocate(held: Held) -> Allocate {
    let family = if held.address.is_ipv4() { FamilyChoice::V4 } else { FamilyChoice::V6 };
    Allocate {
        owner: held.owner,
        slot: held.slot,
        instance: held.instance,
        family,
        strategy: Strategy::Exact,
        length: held.length,
        flags: AllocateFlags { allow_gateway: true, ..AllocateFlags::default() },
        extras: Some(Box::new(AllocateExtras {
            exact: Some(held.address),
            manager: held.manager,
            host: held.host,
            label: held.label,
            owner_name: held.owner_name,
            lease_ms: held.lease_ms,
            ..AllocateExtras::default()
        })),
    }
}
