//! Every message as a value. One file a room of operations; layouts are in SPEC.md section 9.

pub mod allocate;
pub mod allocation;
pub mod backup;
pub mod batch;
pub mod connection;
pub mod failure;
pub mod history;
pub mod hold;
pub mod host_lease;
pub mod job;
pub mod list;
pub mod network;
pub mod pin;
pub mod pool;
pub mod port;
pub mod principal;
pub mod project;
pub mod reconcile;
pub mod release;
pub mod renew;
pub mod scope;
pub mod segment;
pub mod subnet;
pub mod transaction;
pub mod transfer;
pub mod usage;
pub mod watch;

use crate::id::{NetworkId, ProjectId};
use crate::opcode::Opcode;
use serde::{Deserialize, Serialize};

pub use allocate::{Allocate, AllocateExtras, AllocateFlags, Allocated, FamilyChoice, Strategy};
pub use allocation::{
    Allocation, AllocationFilter, AllocationGet, AllocationList, AllocationPage, AllocationState,
    AllocationUpdate, Lookup, Lookups,
};
pub use backup::{BackupBlock, BackupRead};
pub use batch::{Batch, BatchItem, BatchMode, BatchReply, BatchResult};
pub use connection::{
    AdoptAction, Adoption, ClockAccept, ClockAccepted, GoAway, GoAwayReason, Hello, HelloReply,
    Ping, ServerAdopt, ServerStatus,
};
pub use failure::{Candidate, CandidateReason, Detail, Failure, QuotaResource};
pub use history::{History, HistoryEntry, HistoryKind, HistoryPage, HistorySubject};
pub use hold::{HoldEnd, HoldEnded, HoldRelease};
pub use host_lease::{
    EndHost, EndedHost, HostLease, HostLeaseList, HostLeasePage, HostLeaseState, OnEnd, RenewHost,
    RenewedHost,
};
pub use job::{Job, JobGet, JobKind, JobList, JobPage, JobState};
pub use list::{Cursor, PageRequest};
pub use network::{
    Network, NetworkCreate, NetworkDelete, NetworkFind, NetworkGet, NetworkList, NetworkPage,
    NetworkUpdate,
};
pub use pin::{Pin, PinCreate, PinDelete, PinList, PinPage};
pub use pool::{
    FromPool, PoolCreate, PoolDelete, PoolGet, PoolList, PoolPage, PoolPreview, PoolPreviewed,
    PoolUpdate, PrefixChoice, SubnetOnboard, SubnetPool,
};
pub use port::{
    FixedIp, FixedIpWanted, IpAllocation, Port, PortCreate, PortDelete, PortFilter, PortGet,
    PortList, PortPage, PortUpdate,
};
pub use principal::{
    Grant, Principal, PrincipalCreate, PrincipalDelete, PrincipalGet, PrincipalList, PrincipalPage,
    PrincipalUpdate, TokenCreate, TokenRevoke, TokenShown, Verb, Verbs,
};
pub use project::{
    Project, ProjectCreate, ProjectDelete, ProjectGet, ProjectList, ProjectPage, ProjectUpdate,
    ProjectUse, QUOTA_MAX, QuotaSettings, Quotas,
};
pub use reconcile::{
    Live, ManagerList, ManagerPage, ManagerUse, Reconcile, Reconciled, SuspectList, Suspects,
};
pub use release::{Fences, Release, Released, Target};
pub use renew::{Renew, RenewOwner, Renewed, RenewedOwner};
pub use scope::{
    AddressScope, ScopeCreate, ScopeDelete, ScopeGet, ScopeList, ScopePage, ScopeUpdate,
};
pub use segment::{
    HostList, HostMapping, HostPage, Segment, SegmentCreate, SegmentDelete, SegmentGet,
    SegmentHosts, SegmentList, SegmentPage, SegmentUpdate,
};
pub use subnet::{
    Exclusion, ExclusionMode, Ipv6Mode, Route, Service, Subnet, SubnetCreate, SubnetDelete,
    SubnetExclude, SubnetGet, SubnetInclude, SubnetKind, SubnetList, SubnetName, SubnetPage,
    SubnetUpdate,
};
pub use transaction::{Transaction, TransactionItem};
pub use transfer::Transfer;
pub use usage::{
    FreeRanges, FreeRangesReply, Growth, NetworkUsage, SubnetUsage, Usage, UsageTotals,
};
pub use watch::{
    Event, EventKind, EventObject, Events, FeedPosition, Gone, HostEvent, LevelEvent, PinEvent,
    Unwatch, Watch, WatchEnd, WatchEndReason, Watching,
};

/// Header of a request, without its length (SPEC.md section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHeader {
    /// Operation.
    pub opcode: Opcode,
    /// Chosen by the client, unique among its requests in flight on the connection; not 0. In JSON a decimal
    /// string.
    #[serde(with = "usage::decimal")]
    pub request_id: u64,
    /// The request is not applied later than this after its arrival, ms; 0 = no limit.
    pub timeout_ms: u32,
    /// Project; all zero = the default project.
    pub project: ProjectId,
    /// Network; all zero where the operation has none.
    pub network: NetworkId,
    /// The network field carries the id of a subnet pool: what the operation does, it does to
    /// prefixes of that pool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pool: bool,
    /// The project that the network belongs to, if it is shared by another one than `project`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_project: Option<ProjectId>,
    /// What the request makes was there before: rules about what may be made anew don't hold for it,
    /// those that keep two from having the same do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restoring: bool,
}

/// A decoded request body. Rare and large ones are boxed, so that a ring slot stays small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// [`Opcode::HELLO`].
    Hello(Box<Hello>),
    /// [`Opcode::PING`].
    Ping(Ping),
    /// [`Opcode::SERVER_STATUS`].
    ServerStatus,
    /// [`Opcode::CLOCK_ACCEPT`].
    ClockAccept(ClockAccept),
    /// [`Opcode::SERVER_ADOPT`].
    ServerAdopt(ServerAdopt),
    /// [`Opcode::BACKUP_READ`].
    BackupRead(BackupRead),
    /// [`Opcode::WATCH`].
    Watch(Box<Watch>),
    /// [`Opcode::UNWATCH`].
    Unwatch(Unwatch),
    /// [`Opcode::HISTORY`].
    History(Box<History>),
    /// [`Opcode::JOB_GET`].
    JobGet(JobGet),
    /// [`Opcode::JOB_LIST`].
    JobList(Box<JobList>),
    /// [`Opcode::NETWORK_CREATE`].
    NetworkCreate(Box<NetworkCreate>),
    /// [`Opcode::NETWORK_GET`].
    NetworkGet(NetworkGet),
    /// [`Opcode::NETWORK_LIST`].
    NetworkList(Box<NetworkList>),
    /// [`Opcode::NETWORK_UPDATE`].
    NetworkUpdate(Box<NetworkUpdate>),
    /// [`Opcode::NETWORK_DELETE`].
    NetworkDelete(NetworkDelete),
    /// [`Opcode::NETWORK_FIND`].
    NetworkFind(Box<NetworkFind>),
    /// [`Opcode::SUBNET_CREATE`].
    SubnetCreate(Box<SubnetCreate>),
    /// [`Opcode::SUBNET_GET`].
    SubnetGet(Box<SubnetGet>),
    /// [`Opcode::SUBNET_LIST`].
    SubnetList(Box<SubnetList>),
    /// [`Opcode::SUBNET_UPDATE`].
    SubnetUpdate(Box<SubnetUpdate>),
    /// [`Opcode::SUBNET_DELETE`].
    SubnetDelete(SubnetDelete),
    /// [`Opcode::SUBNET_EXCLUDE`].
    SubnetExclude(Box<SubnetExclude>),
    /// [`Opcode::SUBNET_INCLUDE`].
    SubnetInclude(Box<SubnetInclude>),
    /// [`Opcode::USAGE`].
    Usage(Box<Usage>),
    /// [`Opcode::FREE_RANGES`].
    FreeRanges(Box<FreeRanges>),
    /// [`Opcode::SUBNET_ONBOARD`].
    SubnetOnboard(SubnetOnboard),
    /// [`Opcode::ALLOCATE`].
    Allocate(Allocate),
    /// [`Opcode::RELEASE`].
    Release(Release),
    /// [`Opcode::ALLOCATION_UPDATE`].
    AllocationUpdate(Box<AllocationUpdate>),
    /// [`Opcode::BATCH`].
    Batch(Box<Batch>),
    /// [`Opcode::TRANSACTION`].
    Transaction(Box<Transaction>),
    /// [`Opcode::ALLOCATION_GET`].
    AllocationGet(Box<AllocationGet>),
    /// [`Opcode::ALLOCATION_LIST`].
    AllocationList(Box<AllocationList>),
    /// [`Opcode::LOOKUP`].
    Lookup(Box<Lookup>),
    /// [`Opcode::RENEW`].
    Renew(Renew),
    /// [`Opcode::RENEW_OWNER`].
    RenewOwner(RenewOwner),
    /// [`Opcode::HOLD_CONFIRM`].
    HoldConfirm(HoldEnd),
    /// [`Opcode::HOLD_CANCEL`].
    HoldCancel(HoldEnd),
    /// [`Opcode::HOLD_RELEASE`].
    HoldRelease(Box<HoldRelease>),
    /// [`Opcode::TRANSFER`].
    Transfer(Box<Transfer>),
    /// [`Opcode::RECONCILE`].
    Reconcile(Box<Reconcile>),
    /// [`Opcode::SUSPECT_LIST`].
    SuspectList(Box<SuspectList>),
    /// [`Opcode::MANAGER_LIST`].
    ManagerList(Box<ManagerList>),
    /// [`Opcode::RENEW_HOST`].
    RenewHost(Box<RenewHost>),
    /// [`Opcode::END_HOST`].
    EndHost(Box<EndHost>),
    /// [`Opcode::HOST_LEASE_LIST`].
    HostLeaseList(Box<HostLeaseList>),
    /// [`Opcode::PROJECT_CREATE`].
    ProjectCreate(Box<ProjectCreate>),
    /// [`Opcode::PROJECT_GET`].
    ProjectGet(Box<ProjectGet>),
    /// [`Opcode::PROJECT_LIST`].
    ProjectList(Box<ProjectList>),
    /// [`Opcode::PROJECT_UPDATE`].
    ProjectUpdate(Box<ProjectUpdate>),
    /// [`Opcode::PROJECT_DELETE`].
    ProjectDelete(ProjectDelete),
    /// [`Opcode::PRINCIPAL_CREATE`].
    PrincipalCreate(Box<PrincipalCreate>),
    /// [`Opcode::PRINCIPAL_GET`].
    PrincipalGet(Box<PrincipalGet>),
    /// [`Opcode::PRINCIPAL_LIST`].
    PrincipalList(Box<PrincipalList>),
    /// [`Opcode::PRINCIPAL_UPDATE`].
    PrincipalUpdate(Box<PrincipalUpdate>),
    /// [`Opcode::PRINCIPAL_DELETE`].
    PrincipalDelete(PrincipalDelete),
    /// [`Opcode::TOKEN_CREATE`].
    TokenCreate(Box<TokenCreate>),
    /// [`Opcode::TOKEN_REVOKE`].
    TokenRevoke(TokenRevoke),
    /// [`Opcode::SCOPE_CREATE`].
    ScopeCreate(Box<ScopeCreate>),
    /// [`Opcode::SCOPE_GET`].
    ScopeGet(Box<ScopeGet>),
    /// [`Opcode::SCOPE_LIST`].
    ScopeList(Box<ScopeList>),
    /// [`Opcode::SCOPE_UPDATE`].
    ScopeUpdate(Box<ScopeUpdate>),
    /// [`Opcode::SCOPE_DELETE`].
    ScopeDelete(ScopeDelete),
    /// [`Opcode::POOL_CREATE`].
    PoolCreate(Box<PoolCreate>),
    /// [`Opcode::POOL_GET`].
    PoolGet(Box<PoolGet>),
    /// [`Opcode::POOL_LIST`].
    PoolList(Box<PoolList>),
    /// [`Opcode::POOL_UPDATE`].
    PoolUpdate(Box<PoolUpdate>),
    /// [`Opcode::POOL_DELETE`].
    PoolDelete(PoolDelete),
    /// [`Opcode::POOL_PREVIEW`].
    PoolPreview(Box<PoolPreview>),
    /// [`Opcode::SEGMENT_CREATE`].
    SegmentCreate(Box<SegmentCreate>),
    /// [`Opcode::SEGMENT_GET`].
    SegmentGet(SegmentGet),
    /// [`Opcode::SEGMENT_LIST`].
    SegmentList(Box<SegmentList>),
    /// [`Opcode::SEGMENT_UPDATE`].
    SegmentUpdate(Box<SegmentUpdate>),
    /// [`Opcode::SEGMENT_DELETE`].
    SegmentDelete(SegmentDelete),
    /// [`Opcode::SEGMENT_HOSTS`].
    SegmentHosts(Box<SegmentHosts>),
    /// [`Opcode::HOST_LIST`].
    HostList(Box<HostList>),
    /// [`Opcode::PORT_CREATE`].
    PortCreate(Box<PortCreate>),
    /// [`Opcode::PORT_GET`].
    PortGet(PortGet),
    /// [`Opcode::PORT_LIST`].
    PortList(Box<PortList>),
    /// [`Opcode::PORT_UPDATE`].
    PortUpdate(Box<PortUpdate>),
    /// [`Opcode::PORT_DELETE`].
    PortDelete(PortDelete),
    /// [`Opcode::PIN_CREATE`].
    PinCreate(Box<PinCreate>),
    /// [`Opcode::PIN_DELETE`].
    PinDelete(PinDelete),
    /// [`Opcode::PIN_LIST`].
    PinList(Box<PinList>),
}

/// A decoded reply body whose status class is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello(Box<HelloReply>),
    /// To [`Request::Ping`], and to operations whose success carries nothing.
    Empty,
    /// To [`Request::ServerStatus`].
    ServerStatus(Box<ServerStatus>),
    /// To [`Request::ClockAccept`].
    ClockAccepted(ClockAccepted),
    /// To [`Request::ServerAdopt`].
    Adoption(Adoption),
    /// To [`Request::BackupRead`].
    BackupBlock(BackupBlock),
    /// To [`Request::Watch`].
    Watching(Watching),
    /// The server's own [`Opcode::EVENTS`], request id 0.
    Events(Box<Events>),
    /// The server's own [`Opcode::WATCH_END`], request id 0.
    WatchEnd(WatchEnd),
    /// To [`Request::History`].
    History(Box<HistoryPage>),
    /// To [`Request::JobGet`], and to deletions that became a job.
    Job(Box<Job>),
    /// To [`Request::JobList`].
    Jobs(Box<JobPage>),
    /// To network create, get, update, find.
    Network(Box<Network>),
    /// To [`Request::NetworkList`].
    Networks(Box<NetworkPage>),
    /// To subnet create, get, update, exclude, include.
    Subnet(Box<Subnet>),
    /// To [`Request::SubnetList`].
    Subnets(Box<SubnetPage>),
    /// To [`Request::Usage`].
    Usage(Box<NetworkUsage>),
    /// To [`Request::FreeRanges`].
    FreeRanges(Box<FreeRangesReply>),
    /// To [`Request::Allocate`].
    Allocated(Allocated),
    /// To [`Request::Release`].
    Released(Released),
    /// To [`Request::AllocationUpdate`], [`Request::AllocationGet`] and [`Request::Transfer`].
    Allocation(Box<Allocation>),
    /// To [`Request::Batch`] and [`Request::Transaction`].
    Batch(Box<BatchReply>),
    /// To [`Request::AllocationList`].
    Allocations(Box<AllocationPage>),
    /// To [`Request::Lookup`].
    Lookups(Box<Lookups>),
    /// To [`Request::Renew`].
    Renewed(Renewed),
    /// To [`Request::RenewOwner`].
    RenewedOwner(RenewedOwner),
    /// To [`Request::HoldConfirm`], [`Request::HoldCancel`] and [`Request::HoldRelease`].
    HoldEnded(HoldEnded),
    /// To [`Request::Reconcile`].
    Reconciled(Box<Reconciled>),
    /// To [`Request::SuspectList`].
    Suspects(Box<Suspects>),
    /// To [`Request::ManagerList`].
    Managers(Box<ManagerPage>),
    /// To [`Request::RenewHost`].
    RenewedHost(RenewedHost),
    /// To [`Request::EndHost`].
    EndedHost(EndedHost),
    /// To [`Request::HostLeaseList`].
    HostLeases(Box<HostLeasePage>),
    /// To project create, get, update.
    Project(Box<Project>),
    /// To [`Request::ProjectList`].
    Projects(Box<ProjectPage>),
    /// To the operations on one principal, but its deletion, and on tokens.
    Principal(Box<Principal>),
    /// To [`Request::PrincipalList`].
    Principals(Box<PrincipalPage>),
    /// To scope create, get, update.
    Scope(Box<AddressScope>),
    /// To [`Request::ScopeList`].
    Scopes(Box<ScopePage>),
    /// To pool create, get, update.
    Pool(Box<SubnetPool>),
    /// To [`Request::PoolList`].
    Pools(Box<PoolPage>),
    /// To [`Request::PoolPreview`].
    Previewed(PoolPreviewed),
    /// To segment create, get, update, hosts.
    Segment(Box<Segment>),
    /// To [`Request::SegmentList`].
    Segments(Box<SegmentPage>),
    /// To [`Request::HostList`].
    Hosts(Box<HostPage>),
    /// To port create, get, update.
    Port(Box<Port>),
    /// To [`Request::PortList`].
    Ports(Box<PortPage>),
    /// To pin create.
    Pin(Box<Pin>),
    /// To [`Request::PinList`].
    Pins(Box<PinPage>),
}
