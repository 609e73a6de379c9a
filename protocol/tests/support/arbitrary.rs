//! Messages made from bytes: every valid value can come out, and shorter bytes give simpler ones,
//! so that a failing case shrinks. Makes canonical values only: what decoding gives back.

use addrd_protocol::message::allocate::{AllocatedAddress, SubnetSettings};
use addrd_protocol::message::allocation::SubnetRef;
use addrd_protocol::message::*;
use addrd_protocol::*;
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use uuid::Uuid;

/// Gives out bytes, and zeros once they are used up.
pub(crate) struct Source(std::vec::IntoIter<u8>);

impl Source {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into_iter())
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.next().unwrap_or(0)
    }

    fn number(&mut self) -> u128 {
        (0..16).fold(0, |number, _| number << 8 | u128::from(self.byte()))
    }

    /// 0 to `most`, with both ends likely.
    fn up_to(&mut self, most: u64) -> u64 {
        match self.byte() {
            0..64 => 0,
            64..96 => most,
            _ => u64::try_from(self.number() % (u128::from(most) + 1)).unwrap(),
        }
    }

    fn count(&mut self, most: usize) -> usize {
        usize::try_from(self.up_to(most as u64)).unwrap()
    }

    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()].clone()
    }

    pub(crate) fn make<T: Made>(&mut self) -> T {
        T::made(self)
    }

    fn list<T: Made>(&mut self, most: usize) -> Vec<T> {
        (0..self.count(most)).map(|_| self.make()).collect()
    }

    fn text_of(&mut self, most: usize) -> Text {
        let letters = ["a", "Z", "=", " ", ",", "\"", "ü", "網", "😀"];
        let mut text = String::new();
        for _ in 0..self.count(most) {
            let letter = self.pick(&letters);
            if text.len() + letter.len() <= most {
                text.push_str(letter);
            }
        }
        Text::new(&text).unwrap()
    }

    fn name(&mut self) -> Text {
        let letters = ["x", "Q", "7", "-", "_", "."];
        let tail: String = (0..self.count(62)).map(|_| self.pick(&letters)).collect();
        // A name of hex digits alone can read as an id.
        Text::new(&format!("n{tail}")).unwrap()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() % 2 == 1).then(|| make(self))
    }

    fn setting<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Setting<T> {
        match self.byte() % 3 {
            0 => Setting::Unset,
            1 => Setting::Null,
            _ => Setting::Value(make(self)),
        }
    }

    fn address_of(&mut self, family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(self.make())),
            // The first bits keep it from mapping an IPv4 address.
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(self.number() | 1 << 127)),
        }
    }

    /// Texts that are not empty.
    fn filled_list(&mut self, most: usize, bytes: usize) -> Vec<Text> {
        let texts: Vec<Text> = (0..self.count(most)).map(|_| self.text_of(bytes)).collect();
        texts.into_iter().filter(|text| !text.is_empty()).collect()
    }

    fn lease_ms(&mut self) -> u64 {
        self.up_to(315_360_000_000).max(1_000)
    }

    fn manager(&mut self) -> Text {
        self.text_of(text::MANAGER_BYTES_MAX)
    }
}

/// A value that can be made from bytes.
pub(crate) trait Made {
    fn made(source: &mut Source) -> Self;
}

macro_rules! made_by {
    ($($type:ty = |$source:ident| $value:expr;)*) => {$(
        impl Made for $type {
            fn made($source: &mut Source) -> Self {
                $value
            }
        }
    )*};
}

macro_rules! made_of_fields {
    ($($type:ident { $($field:ident $(= |$source:ident| $value:expr)?),* $(,)? })*) => {$(
        impl Made for $type {
            fn made(source: &mut Source) -> Self {
                let _ = &source; // Empty messages take nothing from it.
                Self { $($field: made_of_fields!(@ source $($source $value)?),)* }
            }
        }
    )*};
    (@ $outer:ident) => { $outer.make() };
    (@ $outer:ident $source:ident $value:expr) => {{ let $source = &mut *$outer; $value }};
}

impl<T: Made> Made for Box<T> {
    fn made(source: &mut Source) -> Self {
        Self::new(source.make())
    }
}

impl<T: Made> Made for Option<T> {
    fn made(source: &mut Source) -> Self {
        source.maybe(T::made)
    }
}

impl<T: Made> Made for Setting<T> {
    fn made(source: &mut Source) -> Self {
        source.setting(T::made)
    }
}

mod arbitrary_history;
mod arbitrary_leases;
mod arbitrary_managers;
mod arbitrary_principals;
mod arbitrary_watch;

fn id(source: &mut Source) -> Uuid {
    Uuid::from_u128(source.number().max(1))
}

impl Made for TransactionItem {
    fn made(source: &mut Source) -> Self {
        let (network, operation) = (source.make(), source.make());
        let pool = source.make();
        // What is a pool's has no project of a network.
        let network_project = if pool { None } else { source.make() };
        Self { network, pool, network_project, operation }
    }
}

made_by! {
    bool = |s| s.byte() % 2 == 1;
    u8 = |s| s.byte();
    u16 = |s| s.up_to(u16::MAX.into()) as u16;
    u32 = |s| s.up_to(u32::MAX.into()) as u32;
    u64 = |s| s.up_to(u64::MAX);
    u128 = |s| s.number();
    Uuid = |s| id(s);
    ProjectId = |s| Self(id(s));
    NetworkId = |s| Self(id(s));
    SubnetId = |s| Self(id(s));
    PoolId = |s| Self(id(s));
    AddressScopeId = |s| Self(id(s));
    SegmentId = |s| Self(id(s));
    PortId = |s| Self(id(s));
    Mac = |s| Self::from_number(s.up_to((1 << 48) - 1).max(1));
    Ipv6Mode = |s| s.pick(&[Self::Slaac, Self::Stateful, Self::Stateless]);
    IpAllocation = |s| s.pick(&[Self::Immediate, Self::Deferred, Self::Unaddressed]);
    OwnerId = |s| Self(id(s));
    SessionId = |s| Self(id(s));
    ServerId = |s| Self(id(s));
    PrincipalId = |s| Self(id(s));
    Slot = |s| Self(s.make());
    Revision = |s| Self(s.make());
    Instance = |s| Self(s.make());
    Seq = |s| Self(s.make());
    JobId = |s| Self(s.make());
    Incarnation = |s| Self(s.make());
    Text = |s| s.text_of(text::TEXT_BYTES_MAX);
    Cursor = |s| {
        let count = s.count(list::CURSOR_BYTES_MAX);
        Self(Bytes::from((0..count).map(|_| s.byte()).collect::<Vec<u8>>()))
    };
    Family = |s| s.pick(&[Self::V4, Self::V6]);
    FamilyChoice = |s| s.pick(&[Self::One, Self::V4, Self::V6, Self::Each, Self::Both]);
    Strategy = |s| s.pick(&[
        Self::Default, Self::Lowest, Self::Next, Self::Random, Self::Hashed, Self::Exact,
        Self::Eui64,
    ]);
    AllocationState = |s| s.pick(&[
        Self::Free, Self::Held, Self::Allocated, Self::Quarantined,
    ]);
    SubnetKind = |s| s.pick(&[Self::Broadcast, Self::Routed]);
    ExclusionMode = |s| s.pick(&[Self::Automatic, Self::Everyone]);
    BatchMode = |s| s.pick(&[Self::Independent, Self::AllOrNothing]);
    PrefixChoice = |s| s.pick(&[Self::Exact, Self::Length, Self::DefaultLength]);
    AdoptAction = |s| s.pick(&[Self::Begin, Self::End]);
    OnEnd = |s| s.pick(&[Self::Report, Self::Release]);
    HostLeaseState = |s| s.pick(&[Self::Absent, Self::Running, Self::Overdue, Self::Ended]);
    JobKind = |s| s.pick(&[Self::NetworkDelete, Self::SubnetDelete, Self::SubnetFill]);
    JobState = |s| s.pick(&[Self::Running, Self::Done]);
    IpAddr = |s| { let family = s.make(); s.address_of(family) };
    Prefix = |s| {
        let address: IpAddr = s.make();
        let most = u64::from(Family::of(&address).bits());
        // Below one bit an IPv6 prefix would lose the bit that keeps it from being mapped.
        let least = if address.is_ipv6() { 1 } else { 0 };
        Self::truncated(address, s.up_to(most).max(least) as u8).unwrap()
    };
    Range = |s| {
        let family = s.make();
        let (one, other) = (s.address_of(family), s.address_of(family));
        Self::new(one.min(other), one.max(other)).unwrap()
    };
    Route = |s| {
        let destination: Prefix = s.make();
        Self { destination, next_hop: s.address_of(destination.family()) }
    };
    SubnetName = |s| match s.byte() % 3 {
        0 => Self::Id(s.make()),
        1 => Self::Name(s.name()),
        _ => Self::Cidr(s.make()),
    };
    Target = |s| match s.byte() % 2 {
        0 => Self::Key { owner: s.make(), slot: s.make() },
        _ => Self::Address(s.make()),
    };
    Lookup = |s| match s.byte() % 2 {
        0 => Self::Address(s.make()),
        _ => Self::Owner(s.make()),
    };
    Allocate = |s| {
        let family = s.make();
        let pair = matches!(family, FamilyChoice::Each | FamilyChoice::Both);
        let slot: Slot = s.make();
        let extras: AllocateExtras = s.make();
        Self {
            owner: s.make(),
            slot: if pair { Slot(slot.0.min(u16::MAX - 1)) } else { slot },
            instance: s.make(),
            family,
            strategy: s.make(),
            length: s.maybe(|s| s.up_to(128) as u8),
            flags: s.make(),
            extras: (extras != AllocateExtras::default()).then(|| Box::new(extras)),
        }
    };
    AllocatedAddress = |s| {
        let address: IpAddr = s.make();
        let most = u64::from(Family::of(&address).bits());
        Self {
            address, length: s.up_to(most) as u8, subnet_length: s.up_to(most) as u8,
            subnet_id: s.make(), slot: s.make(), revision: s.make(), state: s.make(),
            time_left_ms: s.make(), repeated: s.make(), was_preferred: s.make(),
            from_quarantine: s.make(), taken_over: s.make(),
        }
    };
    Allocated = |s| Self {
        first: s.make(),
        second: s.make(),
        settings: s.maybe(|s| Box::new([s.make(), s.make()])),
    };
    FixedIp = |s| {
        let ip_address: IpAddr = s.make();
        let subnet_length = s.up_to(Family::of(&ip_address).bits().into()) as u8;
        Self {
            ip_address, subnet_length, subnet_id: s.make(), slot: s.make(), revision: s.make(),
            automatic: s.make(),
        }
    };
    Released = |s| {
        let address: IpAddr = s.make();
        let length = s.up_to(Family::of(&address).bits().into()) as u8;
        Self { address, length, subnet_id: s.make(), revision: s.make(), state: s.make() }
    };
    Allocation = |s| {
        let address: IpAddr = s.make();
        let most = u64::from(Family::of(&address).bits());
        Self {
            address, length: s.up_to(most) as u8, subnet_length: s.up_to(most) as u8,
            state: s.make(), network_id: s.make(), subnet_id: s.make(), project_id: s.make(),
            owner: s.make(), slot: s.make(), instance: s.make(), revision: s.make(),
            time_left_ms: s.make(), repeated: s.make(), owner_name: s.make(), label: s.make(),
            host: s.make(), manager: s.maybe(Source::manager), network_project: s.make(),
            follows_host: s.make(),
        }
    };
    BatchItem = |s| match s.byte() % 11 {
        0 => {
            let mut allocate: Allocate = s.make();
            allocate.flags.want_subnet = false;
            Self::Allocate(allocate)
        }
        1 => Self::Release(s.make()),
        2 => Self::PortCreate(s.make()),
        3 => Self::PortUpdate(s.make()),
        4 => Self::PortDelete(s.make()),
        5 => Self::Renew(s.make()),
        7 => Self::HoldConfirm(s.make()),
        8 => Self::HoldCancel(s.make()),
        9 => Self::HoldRelease(s.make()),
        10 => Self::Transfer(s.make()),
        _ => Self::Update(s.make()),
    };
    BatchResult = |s| match s.byte() % 9 {
        0 => {
            let mut allocated: Allocated = s.make();
            allocated.settings = None;
            Self::Allocated(allocated)
        }
        1 => Self::Released(s.make()),
        2 => Self::NotHeld,
        3 => Self::Updated(s.make()),
        4 => Self::PortDeleted,
        6 => Self::Renewed(s.make()),
        8 => Self::HoldEnded(s.make()),
        5 => {
            let mut port: Box<Port> = s.make();
            (port.host, port.device_owner, port.description) = (None, None, None);
            port.fixed_ips.truncate(port::BATCH_FIXED_IPS_MAX);
            Self::Port(port)
        }
        _ => {
            let mut failed: Box<Failure> = s.make();
            failed.details.truncate(1);
            Self::Failed(failed)
        }
    };
    Detail = |s| match s.byte() % 8 {
        0 => Self::Bounds { value: s.make(), least: s.make(), most: s.make() },
        1 => Self::Held(s.make()),
        2 => Self::Current { revision: s.make(), instance: s.make() },
        3 => Self::Other { network_id: s.make(), subnet_id: s.make(), cidr: s.make() },
        4 => Self::Count { count: s.make() },
        5 => Self::Candidate(s.make()),
        6 => Self::Quota {
            resource: s.make(), limit: s.make(), used: s.make(), asked: s.make(),
        },
        _ => Self::Bound { name: s.make() },
    };
    QuotaResource = |s| s.pick(&[
        Self::Pool, Self::Addresses, Self::Prefixes, Self::Networks, Self::Subnets, Self::Ports,
        Self::Resting,
    ]);
    Quotas = |s| {
        let mut quota = || s.maybe(|s| s.up_to(QUOTA_MAX));
        Self {
            addresses: quota(), prefixes: quota(), networks: quota(), subnets: quota(),
            ports: quota(), resting: quota(),
        }
    };
    QuotaSettings = |s| {
        let mut quota = || s.setting(|s| s.up_to(QUOTA_MAX));
        Self {
            addresses: quota(), prefixes: quota(), networks: quota(), subnets: quota(),
            ports: quota(), resting: quota(),
        }
    };
    ProjectUse = |s| {
        let mut count = || s.maybe(|s| s.up_to(QUOTA_MAX));
        Self { addresses: count(), prefixes: count(), subnets: count(), ports: count(), resting: count() }
    };
    CandidateReason = |s| s.pick(&[
        Self::Exhausted, Self::Family, Self::Limit, Self::Deleting, Self::NoPools, Self::Length,
        Self::NotFound, Self::Fragmented, Self::AutoAddress, Self::ServiceType, Self::Segment,
    ]);
    Failure = |s| {
        let known: Vec<Status> = Status::ALL.iter().copied().filter(|s| !s.is_done()).collect();
        Self {
            status: s.pick(&known),
            retry_after_ms: s.make(),
            item: s.maybe(|s| s.up_to(u64::from(u16::MAX) - 1) as u16),
            field: s.make(),
            message: s.make(),
            // Three of the longest details always fit.
            details: s.list(3),
        }
    };
    Hello = |s| {
        let version_min = s.byte().max(1);
        Self {
            version_min, version_max: s.byte().max(version_min), features: s.make(),
            session: s.make(), epoch: s.make(), server_id: s.make(), client: s.make(),
            manager: s.maybe(Source::manager), host: s.make(), token: s.make(),
        }
    };
}

made_of_fields! {
    AllocateFlags { takeover, allow_gateway, allow_resting, want_subnet }
    AllocateExtras {
        subnets = |s| s.list(allocate::CANDIDATES_MAX), exact, preferred, limit,
        lease_ms = |s| s.maybe(Source::lease_ms), hold_token,
        hold_ms = |s| s.maybe(|s| s.up_to(315_360_000_000).max(1_000)), hold_item,
        manager = |s| s.maybe(Source::manager), host, label, owner_name, trace, mac, follow_host,
    }
    Service {
        ipv6_ra_mode, ipv6_address_mode,
        service_types = |s| s.filled_list(subnet::SERVICE_TYPES_MAX, text::DEVICE_OWNER_BYTES_MAX),
        segment_id,
    }
    SegmentCreate { segment_id, description }
    SegmentGet { segment_id }
    SegmentList { page }
    SegmentUpdate { segment_id, expected, description }
    SegmentDelete { segment_id, expected }
    SegmentHosts {
        segment_id,
        add = |s| s.filled_list(segment::SEGMENT_HOSTS_MAX, text::TEXT_BYTES_MAX),
        remove = |s| s.filled_list(segment::SEGMENT_HOSTS_MAX, text::TEXT_BYTES_MAX),
    }
    Segment { segment_id, network_id, revision, subnets, hosts, repeated, description }
    SegmentPage { position, items = |s| s.list(8), next }
    HostList { page, segment_id, host }
    HostMapping { segment_id, host }
    HostPage { position, items = |s| s.list(8), next }
    FixedIpWanted { subnet_id, ip_address, slot }
    PortCreate {
        port_id, mac, allow_gateway, ip_allocation,
        fixed_ips = |s| s.setting(|s| s.list(port::PORT_ADDRESSES_MAX)),
        host, device_owner = |s| s.maybe(Source::manager), description,
    }
    PortGet { port_id }
    PortFilter { host, device_owner = |s| s.maybe(Source::manager), mac, changed_since }
    PortList { page, filter }
    PortUpdate {
        port_id, expected, allow_gateway, mac,
        fixed_ips = |s| s.setting(|s| s.list(port::PORT_ADDRESSES_MAX)),
        host, device_owner = |s| s.setting(Source::manager), description,
    }
    PortDelete { port_id, expected }
    Port {
        port_id, network_id, revision, mac, ip_allocation, repeated, more,
        fixed_ips = |s| s.list(port::PORT_ADDRESSES_MAX), host,
        device_owner = |s| s.maybe(Source::manager), description,
    }
    PortPage { position, items = |s| s.list(4), next }
    PinCreate { address, owner, slot, owner_name }
    PinDelete { address }
    PinList { page, subnet_id }
    Pin { address, subnet_id, owner, slot, revision, held, repeated, owner_name }
    PinPage { position, items = |s| s.list(8), next }
    SubnetSettings {
        gateway, dns_servers = |s| s.list(subnet::DNS_SERVERS_MAX),
        routes = |s| s.list(subnet::ROUTES_MAX),
    }
    Fences { revision, owner, instance, manager = |s| s.maybe(Source::manager) }
    AllocationGet { target }
    PageRequest { limit = |s| s.up_to(1_000) as u32, cursor }
    AllocationFilter {
        subnet, family, state, owner, manager = |s| s.maybe(Source::manager), host, label,
        changed_since,
    }
    AllocationList { page, filter }
    AllocationPage { position, items = |s| s.list(8), next }
    Lookups { allocations = |s| s.list(6), subnets = |s| s.list(6), more }
    SubnetRef { network_id, subnet_id, cidr, network_project }
    Batch { mode, items = |s| { let mut items = s.list(6); items.push(s.make()); items } }
    BatchReply { results = |s| s.list(2) }
    Transaction { items = |s| { let mut items = s.list(6); items.push(s.make()); items } }
    Ping {}
    ClockAccept {}
    ClockAccepted { moved_ms }
    ServerAdopt { action }
    BackupRead { backup_id, block, row_bytes_a_second = |s| s.pick(&[0, 65_536, 1 << 40]) }
    BackupBlock {
        block, last, wait_ms, bytes = |s| {
            let count = s.count(300);
            (0..count).map(|_| s.byte()).collect::<Vec<u8>>().into()
        }
    }
    Adoption { adopting, repeated, lasted_ms }
    HelloReply {
        version, role, adopting, features, server_id, incarnation, position, frame_bytes_max,
        batch_bytes_max, batch_items_max, credit, idle_ms, server,
    }
    ServerStatus {
        server_id, incarnation, position, folded, journal_records, journal_records_max, uptime_ms,
        workers, connections, adopting, networks, allocations, state, version,
    }
    Job { job_id, kind, state, network_id, subnet_id, done, total }
    JobGet { job_id }
    JobList { page }
    JobPage { items = |s| s.list(8), next }
    NetworkCreate { name = |s| s.maybe(Source::name), description, scope_v4, scope_v6, shared }
    NetworkGet {}
    NetworkFind { name = |s| s.name() }
    NetworkList { page, name_prefix = |s| s.maybe(Source::name) }
    NetworkUpdate { expected, name = |s| s.setting(Source::name), description, shared }
    NetworkDelete { force, expected }
    Network {
        network_id, project_id, revision, subnets, allocations, deleting, repeated,
        shared, name = |s| s.maybe(Source::name), description, scope_v4, scope_v6,
    }
    NetworkPage { position, items = |s| s.list(8), next }
    SubnetCreate {
        subnet_id, cidr, kind, strategy, enable_dhcp, gateway,
        pools = |s| s.setting(|s| s.list(subnet::POOLS_MAX)),
        dns_servers = |s| s.list(subnet::DNS_SERVERS_MAX),
        routes = |s| s.list(subnet::ROUTES_MAX), name = |s| s.maybe(Source::name), description,
        from_pool, quarantine_ms,
        service,
    }
    FromPool {
        subnet_pool_id, by, allowed = |s| s.list(pool::CHOICE_PREFIXES_MAX),
        disallowed = |s| s.list(pool::CHOICE_PREFIXES_MAX),
    }
    ProjectCreate { name = |s| s.maybe(Source::name), description, quotas }
    ProjectGet { name = |s| s.maybe(Source::name) }
    ProjectList { page, name_prefix = |s| s.maybe(Source::name) }
    ProjectUpdate { expected, name = |s| s.setting(Source::name), description, quotas }
    ProjectDelete { expected }
    Project {
        project_id, revision, networks, subnet_pools, address_scopes, repeated,
        name = |s| s.maybe(Source::name), description, quotas, used,
    }
    ProjectPage { position, items = |s| s.list(8), next }
    ScopeCreate { family, shared, name = |s| s.maybe(Source::name), description }
    ScopeGet { name = |s| s.maybe(Source::name) }
    ScopeList { page, name_prefix = |s| s.maybe(Source::name) }
    ScopeUpdate { expected, name = |s| s.setting(Source::name), description, shared }
    ScopeDelete { expected }
    AddressScope {
        address_scope_id, project_id, revision, subnet_pools, networks, family, shared, repeated,
        name = |s| s.maybe(Source::name), description,
    }
    ScopePage { position, items = |s| s.list(8), next }
    PoolCreate {
        family, prefixes = |s| s.list(pool::POOL_PREFIXES_MAX),
        min_length = |s| s.maybe(|s| s.up_to(128) as u8),
        max_length = |s| s.maybe(|s| s.up_to(128) as u8),
        default_length = |s| s.maybe(|s| s.up_to(128) as u8), default_quota, address_scope_id,
        parent_id, parent_length = |s| s.maybe(|s| s.up_to(128) as u8), is_default, shared,
        name = |s| s.maybe(Source::name), description,
    }
    PoolGet { name = |s| s.maybe(Source::name) }
    PoolList { page, name_prefix = |s| s.maybe(Source::name) }
    PoolUpdate {
        expected, prefixes = |s| s.list(pool::POOL_PREFIXES_MAX),
        add_prefixes = |s| s.list(pool::POOL_PREFIXES_MAX),
        remove_prefixes = |s| s.list(pool::POOL_PREFIXES_MAX),
        min_length = |s| s.setting(|s| s.up_to(128) as u8),
        max_length = |s| s.setting(|s| s.up_to(128) as u8),
        default_length = |s| s.setting(|s| s.up_to(128) as u8), default_quota, address_scope_id,
        is_default, shared, name = |s| s.setting(Source::name), description,
    }
    PoolDelete { expected }
    PoolPreview {
        length = |s| s.maybe(|s| s.up_to(128) as u8), exact,
        allowed = |s| s.list(pool::CHOICE_PREFIXES_MAX),
        disallowed = |s| s.list(pool::CHOICE_PREFIXES_MAX),
    }
    PoolPreviewed { cidr }
    SubnetOnboard { subnet_pool_id, expected }
    SubnetPool {
        subnet_pool_id, project_id, revision, taken, size, used, used_by_project, family,
        min_length = |s| s.up_to(128) as u8, max_length = |s| s.up_to(128) as u8,
        default_length = |s| s.up_to(128) as u8, is_default, shared, repeated,
        prefixes = |s| s.list(pool::POOL_PREFIXES_MAX), default_quota, address_scope_id, parent_id,
        name = |s| s.maybe(Source::name), description,
    }
    PoolPage { position, items = |s| s.list(4), next }
    SubnetGet { subnet }
    SubnetList { page }
    SubnetUpdate {
        subnet_id, expected, strategy, enable_dhcp, gateway,
        pools = |s| s.setting(|s| s.list(subnet::POOLS_MAX)),
        dns_servers = |s| s.setting(|s| s.list(subnet::DNS_SERVERS_MAX)),
        routes = |s| s.setting(|s| s.list(subnet::ROUTES_MAX)),
        name = |s| s.setting(Source::name), description,
        service_types = |s| s.setting(|s| {
            s.filled_list(subnet::SERVICE_TYPES_MAX, text::DEVICE_OWNER_BYTES_MAX)
        }),
        segment_id, quarantine_ms,
    }
    SubnetDelete { subnet_id, force, expected }
    Exclusion { range, mode, reason }
    SubnetExclude { subnet_id, exclusion }
    SubnetInclude { subnet_id, range }
    Subnet {
        subnet_id, network_id, revision, cidr, kind, strategy, enable_dhcp, deleting, repeated,
        allocations, gateway, pools = |s| s.list(subnet::POOLS_MAX),
        dns_servers = |s| s.list(subnet::DNS_SERVERS_MAX),
        routes = |s| s.list(subnet::ROUTES_MAX), exclusions = |s| s.list(subnet::EXCLUSIONS_MAX),
        name = |s| s.maybe(Source::name), description,
        live_inside = |s| s.list(subnet::LIVE_INSIDE_MAX),
        overlaps = |s| s.list(subnet::OVERLAPS_MAX), quarantine_ms, subnet_pool_id, service, filling,
    }
    SubnetPage { position, items = |s| s.list(4), next }
    Usage { subnet, cursor, changed_since, family, totals_only }
    SubnetUsage {
        subnet_id, cidr, size, pool_size, free, held, allocated, quarantined, excluded, pinned,
        used_outside, growth_1h, growth_24h, watched_ms,
    }
    Growth {
        net = |s| s.make::<u128>().cast_signed(),
        exhausted_in_ms = |s| s.make::<Option<u64>>().filter(|ms| *ms < u64::MAX),
    }
    UsageTotals {
        family, subnets, size, pool_size, free, held, allocated, quarantined, excluded, pinned,
        used_outside,
    }
    NetworkUsage {
        network_id, whole, totals = |s| s.list(usage::USAGE_TOTALS_MAX), subnets = |s| s.list(8),
        next, revision, gone = |s| s.list(8),
    }
    FreeRanges { subnet, limit = |s| s.up_to(1_000) as u32, from }
    FreeRangesReply { subnet_id, ranges = |s| s.list(8), next }
    Candidate {
        subnet_id, reason, pool_size, allocated, held, quarantined, excluded, next_free_in_ms,
    }
}

/// A body of every request kind.
pub(crate) fn request(opcode: Opcode, s: &mut Source) -> Option<Request> {
    Some(match opcode {
        Opcode::HELLO => Request::Hello(s.make()),
        Opcode::PING => Request::Ping(s.make()),
        Opcode::SERVER_STATUS => Request::ServerStatus,
        Opcode::JOB_GET => Request::JobGet(s.make()),
        Opcode::JOB_LIST => Request::JobList(s.make()),
        Opcode::NETWORK_CREATE => Request::NetworkCreate(s.make()),
        Opcode::NETWORK_GET => Request::NetworkGet(s.make()),
        Opcode::NETWORK_LIST => Request::NetworkList(s.make()),
        Opcode::NETWORK_UPDATE => Request::NetworkUpdate(s.make()),
        Opcode::NETWORK_DELETE => Request::NetworkDelete(s.make()),
        Opcode::NETWORK_FIND => Request::NetworkFind(s.make()),
        Opcode::SUBNET_CREATE => Request::SubnetCreate(s.make()),
        Opcode::SUBNET_GET => Request::SubnetGet(s.make()),
        Opcode::SUBNET_LIST => Request::SubnetList(s.make()),
        Opcode::SUBNET_UPDATE => Request::SubnetUpdate(s.make()),
        Opcode::SUBNET_DELETE => Request::SubnetDelete(s.make()),
        Opcode::SUBNET_EXCLUDE => Request::SubnetExclude(s.make()),
        Opcode::SUBNET_INCLUDE => Request::SubnetInclude(s.make()),
        Opcode::USAGE => Request::Usage(s.make()),
        Opcode::FREE_RANGES => Request::FreeRanges(s.make()),
        Opcode::ALLOCATE => Request::Allocate(s.make()),
        Opcode::RELEASE => Request::Release(s.make()),
        Opcode::ALLOCATION_UPDATE => Request::AllocationUpdate(s.make()),
        Opcode::BATCH => Request::Batch(s.make()),
        Opcode::TRANSACTION => Request::Transaction(s.make()),
        Opcode::ALLOCATION_GET => Request::AllocationGet(s.make()),
        Opcode::ALLOCATION_LIST => Request::AllocationList(s.make()),
        Opcode::LOOKUP => Request::Lookup(s.make()),
        Opcode::CLOCK_ACCEPT => Request::ClockAccept(s.make()),
        Opcode::SERVER_ADOPT => Request::ServerAdopt(s.make()),
        Opcode::BACKUP_READ => Request::BackupRead(s.make()),
        Opcode::WATCH => Request::Watch(s.make()),
        Opcode::UNWATCH => Request::Unwatch(s.make()),
        Opcode::HISTORY => Request::History(s.make()),
        Opcode::RENEW => Request::Renew(s.make()),
        Opcode::RENEW_OWNER => Request::RenewOwner(s.make()),
        Opcode::HOLD_CONFIRM => Request::HoldConfirm(s.make()),
        Opcode::HOLD_CANCEL => Request::HoldCancel(s.make()),
        Opcode::HOLD_RELEASE => Request::HoldRelease(s.make()),
        Opcode::TRANSFER => Request::Transfer(s.make()),
        Opcode::RECONCILE => Request::Reconcile(s.make()),
        Opcode::SUSPECT_LIST => Request::SuspectList(s.make()),
        Opcode::MANAGER_LIST => Request::ManagerList(s.make()),
        Opcode::RENEW_HOST => Request::RenewHost(s.make()),
        Opcode::END_HOST => Request::EndHost(s.make()),
        Opcode::HOST_LEASE_LIST => Request::HostLeaseList(s.make()),
        Opcode::PROJECT_CREATE => Request::ProjectCreate(s.make()),
        Opcode::PROJECT_GET => Request::ProjectGet(s.make()),
        Opcode::PROJECT_LIST => Request::ProjectList(s.make()),
        Opcode::PROJECT_UPDATE => Request::ProjectUpdate(s.make()),
        Opcode::PROJECT_DELETE => Request::ProjectDelete(s.make()),
        Opcode::SCOPE_CREATE => Request::ScopeCreate(s.make()),
        Opcode::SCOPE_GET => Request::ScopeGet(s.make()),
        Opcode::SCOPE_LIST => Request::ScopeList(s.make()),
        Opcode::SCOPE_UPDATE => Request::ScopeUpdate(s.make()),
        Opcode::SCOPE_DELETE => Request::ScopeDelete(s.make()),
        Opcode::POOL_CREATE => Request::PoolCreate(s.make()),
        Opcode::POOL_GET => Request::PoolGet(s.make()),
        Opcode::POOL_LIST => Request::PoolList(s.make()),
        Opcode::POOL_UPDATE => Request::PoolUpdate(s.make()),
        Opcode::POOL_DELETE => Request::PoolDelete(s.make()),
        Opcode::POOL_PREVIEW => Request::PoolPreview(s.make()),
        Opcode::SUBNET_ONBOARD => Request::SubnetOnboard(s.make()),
        _ => return port_request(opcode, s),
    })
}

fn port_request(opcode: Opcode, s: &mut Source) -> Option<Request> {
    Some(match opcode {
        Opcode::SEGMENT_CREATE => Request::SegmentCreate(s.make()),
        Opcode::SEGMENT_GET => Request::SegmentGet(s.make()),
        Opcode::SEGMENT_LIST => Request::SegmentList(s.make()),
        Opcode::SEGMENT_UPDATE => Request::SegmentUpdate(s.make()),
        Opcode::SEGMENT_DELETE => Request::SegmentDelete(s.make()),
        Opcode::SEGMENT_HOSTS => Request::SegmentHosts(s.make()),
        Opcode::HOST_LIST => Request::HostList(s.make()),
        Opcode::PORT_CREATE => Request::PortCreate(s.make()),
        Opcode::PORT_GET => Request::PortGet(s.make()),
        Opcode::PORT_LIST => Request::PortList(s.make()),
        Opcode::PORT_UPDATE => Request::PortUpdate(s.make()),
        Opcode::PORT_DELETE => Request::PortDelete(s.make()),
        Opcode::PIN_CREATE => Request::PinCreate(s.make()),
        Opcode::PIN_DELETE => Request::PinDelete(s.make()),
        Opcode::PIN_LIST => Request::PinList(s.make()),
        _ => return arbitrary_principals::request(opcode, s),
    })
}

/// A body of every reply with status `OK`.
pub(crate) fn reply(opcode: Opcode, s: &mut Source) -> Option<Reply> {
    Some(match opcode {
        Opcode::HELLO => Reply::Hello(s.make()),
        Opcode::PING => Reply::Empty,
        Opcode::SERVER_STATUS => Reply::ServerStatus(s.make()),
        Opcode::JOB_GET => Reply::Job(s.make()),
        Opcode::JOB_LIST => Reply::Jobs(s.make()),
        Opcode::NETWORK_CREATE
        | Opcode::NETWORK_GET
        | Opcode::NETWORK_UPDATE
        | Opcode::NETWORK_FIND => Reply::Network(s.make()),
        Opcode::NETWORK_LIST => Reply::Networks(s.make()),
        Opcode::NETWORK_DELETE | Opcode::SUBNET_DELETE => match s.byte() % 2 {
            0 => Reply::Empty,
            _ => Reply::Job(s.make()),
        },
        Opcode::SUBNET_CREATE
        | Opcode::SUBNET_GET
        | Opcode::SUBNET_UPDATE
        | Opcode::SUBNET_EXCLUDE
        | Opcode::SUBNET_INCLUDE => Reply::Subnet(s.make()),
        Opcode::SUBNET_LIST => Reply::Subnets(s.make()),
        Opcode::USAGE => Reply::Usage(s.make()),
        Opcode::FREE_RANGES => Reply::FreeRanges(s.make()),
        Opcode::ALLOCATE => Reply::Allocated(s.make()),
        Opcode::RELEASE => Reply::Released(s.make()),
        Opcode::ALLOCATION_UPDATE | Opcode::ALLOCATION_GET | Opcode::TRANSFER => {
            Reply::Allocation(s.make())
        }
        Opcode::BATCH | Opcode::TRANSACTION => Reply::Batch(s.make()),
        Opcode::ALLOCATION_LIST => Reply::Allocations(s.make()),
        Opcode::LOOKUP => Reply::Lookups(s.make()),
        Opcode::CLOCK_ACCEPT => Reply::ClockAccepted(s.make()),
        Opcode::SERVER_ADOPT => Reply::Adoption(s.make()),
        Opcode::BACKUP_READ => Reply::BackupBlock(s.make()),
        Opcode::WATCH => Reply::Watching(s.make()),
        Opcode::EVENTS => Reply::Events(s.make()),
        Opcode::WATCH_END => Reply::WatchEnd(s.make()),
        Opcode::UNWATCH => Reply::Empty,
        Opcode::HISTORY => Reply::History(s.make()),
        Opcode::RENEW => Reply::Renewed(s.make()),
        Opcode::RENEW_OWNER => Reply::RenewedOwner(s.make()),
        Opcode::HOLD_CONFIRM | Opcode::HOLD_CANCEL | Opcode::HOLD_RELEASE => {
            Reply::HoldEnded(s.make())
        }
        Opcode::PROJECT_CREATE | Opcode::PROJECT_GET | Opcode::PROJECT_UPDATE => {
            Reply::Project(s.make())
        }
        Opcode::PROJECT_LIST => Reply::Projects(s.make()),
        Opcode::SCOPE_CREATE | Opcode::SCOPE_GET | Opcode::SCOPE_UPDATE => Reply::Scope(s.make()),
        Opcode::SCOPE_LIST => Reply::Scopes(s.make()),
        Opcode::POOL_CREATE | Opcode::POOL_GET | Opcode::POOL_UPDATE => Reply::Pool(s.make()),
        Opcode::POOL_LIST => Reply::Pools(s.make()),
        Opcode::POOL_PREVIEW => Reply::Previewed(s.make()),
        Opcode::PROJECT_DELETE | Opcode::SCOPE_DELETE | Opcode::POOL_DELETE => Reply::Empty,
        Opcode::SEGMENT_CREATE
        | Opcode::SEGMENT_GET
        | Opcode::SEGMENT_UPDATE
        | Opcode::SEGMENT_HOSTS => Reply::Segment(s.make()),
        Opcode::SEGMENT_LIST => Reply::Segments(s.make()),
        Opcode::HOST_LIST => Reply::Hosts(s.make()),
        Opcode::PORT_CREATE | Opcode::PORT_GET | Opcode::PORT_UPDATE => Reply::Port(s.make()),
        Opcode::PORT_LIST => Reply::Ports(s.make()),
        Opcode::PIN_CREATE => Reply::Pin(s.make()),
        Opcode::PIN_LIST => Reply::Pins(s.make()),
        Opcode::SEGMENT_DELETE | Opcode::PORT_DELETE | Opcode::PIN_DELETE => Reply::Empty,
        _ => return arbitrary_managers::reply(opcode, s),
    })
}
