//! The messages behind `vectors/`: every operation both ways, every kind of failure detail, every
//! status. A sample is never changed, only added: a vector is a promise.

use addrd_protocol::codec::ReplyOrFailure;
use addrd_protocol::message::allocate::{AllocatedAddress, SubnetSettings};
use addrd_protocol::message::allocation::SubnetRef;
use addrd_protocol::message::*;
use addrd_protocol::opcode::NetworkRule;
use addrd_protocol::*;
use bytes::Bytes;
use uuid::Uuid;

/// A request with its name.
pub(crate) struct RequestSample {
    pub(crate) name: String,
    pub(crate) header: RequestHeader,
    pub(crate) request: Request,
}

/// A reply with its name.
pub(crate) struct ReplySample {
    pub(crate) name: String,
    pub(crate) opcode: Opcode,
    pub(crate) request_id: u64,
    pub(crate) status: Status,
    pub(crate) body: ReplyOrFailure,
}

pub(crate) const PROJECT: ProjectId =
    ProjectId::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111);
pub(crate) const NETWORK: NetworkId =
    NetworkId::from_u128(0x2222_2222_2222_4222_8222_2222_2222_2222);
pub(crate) const SUBNET: SubnetId = SubnetId::from_u128(0x3333_3333_3333_4333_8333_3333_3333_3333);
const SUBNET6: SubnetId = SubnetId::from_u128(0x3636_3636_3636_4636_8636_3636_3636_3636);
const OWNER: OwnerId = OwnerId::from_u128(0x4444_4444_4444_4444_8444_4444_4444_4444);
const SERVER: ServerId = ServerId::from_u128(0x5555_5555_5555_4555_8555_5555_5555_5555);
const SESSION: SessionId = SessionId::from_u128(0x6666_6666_6666_4666_8666_6666_6666_6666);
const TOKEN: Uuid = Uuid::from_u128(0x7777_7777_7777_4777_8777_7777_7777_7777);
const REVISION: Revision = Revision(0x0001_9a00_0000_0007);

pub(crate) fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn some(value: &str) -> Option<Text> {
    Some(text(value))
}

fn read<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn range(first: &str, last: &str) -> Range {
    Range::new(read(first), read(last)).unwrap()
}

fn route(destination: &str, next_hop: &str) -> Route {
    Route { destination: read(destination), next_hop: read(next_hop) }
}

fn cursor() -> Option<Cursor> {
    Some(Cursor(Bytes::from_static(&[1, 0x20, 0xff])))
}

fn page() -> PageRequest {
    PageRequest { limit: 100, cursor: cursor() }
}

/// A plain allocate: 96 bytes.
pub(crate) fn plain_allocate() -> Allocate {
    Allocate {
        owner: OWNER,
        slot: Slot(0),
        instance: Instance(0),
        family: FamilyChoice::One,
        strategy: Strategy::Default,
        length: None,
        flags: AllocateFlags::default(),
        extras: None,
    }
}

fn full_allocate() -> Allocate {
    Allocate {
        owner: OwnerId::from_text("web-1"),
        slot: Slot(3),
        instance: Instance(u64::MAX),
        family: FamilyChoice::V4,
        strategy: Strategy::Exact,
        length: Some(28),
        flags: AllocateFlags {
            takeover: true,
            allow_gateway: true,
            allow_resting: true,
            want_subnet: true,
        },
        extras: Some(Box::new(AllocateExtras {
            subnets: vec![SUBNET, SUBNET6],
            exact: Some(read("10.0.0.16")),
            preferred: Some(read("2001:db8::5")),
            limit: Some(range("10.0.0.0", "10.0.0.127")),
            lease_ms: Some(60_000),
            hold_token: Some(TOKEN),
            hold_ms: Some(30_000),
            manager: some("cluster-a/podnet"),
            host: some("node-7"),
            label: some("app=web,tier=front"),
            owner_name: some("web-1"),
            trace: Some(Uuid::from_u128(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)),
        })),
    }
}

fn allocate_with(extras: AllocateExtras) -> Request {
    Request::Allocate(Allocate { extras: Some(Box::new(extras)), ..plain_allocate() })
}

fn key() -> Target {
    Target::Key { owner: OWNER, slot: Slot(1) }
}

fn release(target: Target, fences: Fences, any: bool) -> Release {
    Release { target, fences, any }
}

fn all_fences() -> Fences {
    Fences {
        revision: Some(REVISION),
        owner: Some(OWNER),
        instance: Some(Instance(7)),
        manager: some("cluster-a/podnet"),
    }
}

fn update() -> AllocationUpdate {
    AllocationUpdate {
        target: Target::Address(read("10.0.0.2")),
        fences: Fences { revision: Some(REVISION), ..Fences::default() },
        label: Setting::Value(text("app=db")),
        host: Setting::Null,
        manager_name: Setting::Unset,
        owner_name: Setting::Value(text("")),
    }
}

fn subnet_create() -> SubnetCreate {
    SubnetCreate {
        subnet_id: SUBNET,
        cidr: read("10.0.0.0/24"),
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Default,
        enable_dhcp: false,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
    }
}

fn subnet_update() -> SubnetUpdate {
    SubnetUpdate {
        subnet_id: SUBNET,
        expected: Revision(0),
        strategy: Setting::Unset,
        enable_dhcp: Setting::Unset,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        dns_servers: Setting::Unset,
        routes: Setting::Unset,
        name: Setting::Unset,
        description: Setting::Unset,
    }
}

fn connection_requests() -> Vec<(&'static str, Request)> {
    let hello = Hello {
        version_min: 1,
        version_max: 1,
        features: 0,
        session: SessionId::NIL,
        epoch: 0,
        server_id: None,
        client: None,
        manager: None,
        host: None,
    };
    let full = Hello {
        version_max: 3,
        session: SESSION,
        epoch: 42,
        server_id: Some(SERVER),
        client: some("example/1.0"),
        manager: some("cluster-a/podnet"),
        host: some("node-7"),
        ..hello.clone()
    };
    vec![
        ("hello_plain", Request::Hello(Box::new(hello))),
        ("hello_full", Request::Hello(Box::new(full))),
        ("ping", Request::Ping(Ping {})),
        ("server_status", Request::ServerStatus),
        ("job_get", Request::JobGet(JobGet { job_id: JobId(9) })),
        ("job_list_first", Request::JobList(Box::default())),
        ("job_list_next", Request::JobList(Box::new(JobList { page: page() }))),
    ]
}

fn network_requests() -> Vec<(&'static str, Request)> {
    let create = NetworkCreate { name: some("blue"), description: some("pods, zone 1") };
    let update = NetworkUpdate {
        expected: REVISION,
        name: Setting::Value(text("green")),
        description: Setting::Null,
    };
    let list = NetworkList { page: page(), name_prefix: some("bl") };
    let force = NetworkDelete { force: true, expected: REVISION };
    vec![
        ("network_create_plain", Request::NetworkCreate(Box::default())),
        ("network_create_full", Request::NetworkCreate(Box::new(create))),
        ("network_get", Request::NetworkGet(NetworkGet {})),
        ("network_find", Request::NetworkFind(Box::new(NetworkFind { name: text("blue") }))),
        ("network_list_first", Request::NetworkList(Box::default())),
        ("network_list_next", Request::NetworkList(Box::new(list))),
        ("network_update_nothing", Request::NetworkUpdate(Box::default())),
        ("network_update_full", Request::NetworkUpdate(Box::new(update))),
        ("network_delete_plain", Request::NetworkDelete(NetworkDelete::default())),
        ("network_delete_force", Request::NetworkDelete(force)),
    ]
}

fn subnet_requests() -> Vec<(&'static str, Request)> {
    let create = |create| Request::SubnetCreate(Box::new(create));
    let full = SubnetCreate {
        subnet_id: SUBNET6,
        cidr: read("fd00:64::/64"),
        kind: SubnetKind::Routed,
        strategy: Strategy::Lowest,
        enable_dhcp: true,
        gateway: Setting::Value(read("fd00:64::1")),
        pools: Setting::Value(vec![
            range("fd00:64::100", "fd00:64::1ff"),
            range("fd00:64::300", "fd00:64::300"),
        ]),
        dns_servers: vec![read("fd00:64::53"), read("192.0.2.53")],
        routes: vec![route("::/0", "fd00:64::1"), route("10.0.0.0/8", "10.64.0.1")],
        name: some("front"),
        description: some("IPv6 of the front"),
    };
    let nulls = SubnetCreate { gateway: Setting::Null, pools: Setting::Null, ..subnet_create() };
    let no_pools = SubnetCreate { pools: Setting::Value(Vec::new()), ..subnet_create() };
    let named = |subnet| Request::SubnetGet(Box::new(SubnetGet { subnet }));
    vec![
        ("subnet_create_plain", create(subnet_create())),
        ("subnet_create_nulls", create(nulls)),
        ("subnet_create_without_pools", create(no_pools)),
        ("subnet_create_full", create(full)),
        ("subnet_get_by_id", named(SubnetName::Id(SUBNET))),
        ("subnet_get_by_name", named(SubnetName::Name(text("front")))),
        ("subnet_get_by_cidr", named(SubnetName::Cidr(read("10.0.0.0/24")))),
        ("subnet_list_first", Request::SubnetList(Box::default())),
        ("subnet_list_next", Request::SubnetList(Box::new(SubnetList { page: page() }))),
    ]
}

fn subnet_changes() -> Vec<(&'static str, Request)> {
    let change = |change| Request::SubnetUpdate(Box::new(change));
    let values = SubnetUpdate {
        expected: REVISION,
        strategy: Setting::Value(Strategy::Random),
        enable_dhcp: Setting::Value(true),
        gateway: Setting::Value(read("10.0.0.254")),
        pools: Setting::Value(vec![range("10.0.0.10", "10.0.0.20")]),
        dns_servers: Setting::Value(vec![read("10.0.0.53")]),
        routes: Setting::Value(vec![route("0.0.0.0/0", "10.0.0.254")]),
        name: Setting::Value(text("back")),
        description: Setting::Value(text("moved")),
        ..subnet_update()
    };
    let nulls = SubnetUpdate {
        strategy: Setting::Null,
        enable_dhcp: Setting::Null,
        gateway: Setting::Null,
        pools: Setting::Null,
        dns_servers: Setting::Null,
        routes: Setting::Null,
        name: Setting::Null,
        description: Setting::Null,
        ..subnet_update()
    };
    let empty = SubnetUpdate {
        pools: Setting::Value(Vec::new()),
        dns_servers: Setting::Value(Vec::new()),
        ..subnet_update()
    };
    let exclude = |mode, reason| {
        let exclusion = Exclusion { range: range("10.0.0.100", "10.0.0.109"), mode, reason };
        Request::SubnetExclude(Box::new(SubnetExclude { subnet_id: SUBNET, exclusion }))
    };
    let include = SubnetInclude { subnet_id: SUBNET, range: range("10.0.0.100", "10.0.0.109") };
    let delete = |force, expected| {
        Request::SubnetDelete(SubnetDelete { subnet_id: SUBNET, force, expected })
    };
    vec![
        ("subnet_update_nothing", change(subnet_update())),
        ("subnet_update_values", change(values)),
        ("subnet_update_nulls", change(nulls)),
        ("subnet_update_empty_lists", change(empty)),
        ("subnet_delete_plain", delete(false, Revision(0))),
        ("subnet_delete_force", delete(true, REVISION)),
        ("subnet_exclude_automatic", exclude(ExclusionMode::Automatic, None)),
        ("subnet_exclude_everyone", exclude(ExclusionMode::Everyone, some("old DHCP server"))),
        ("subnet_include", Request::SubnetInclude(Box::new(include))),
    ]
}

fn usage_requests() -> Vec<(&'static str, Request)> {
    let usage = |subnet, cursor| Request::Usage(Box::new(Usage { subnet, cursor }));
    let free =
        |subnet, limit, from| Request::FreeRanges(Box::new(FreeRanges { subnet, limit, from }));
    vec![
        ("usage_of_network", usage(None, None)),
        ("usage_of_subnet", usage(Some(SubnetName::Id(SUBNET)), None)),
        ("usage_next", usage(None, cursor())),
        ("free_ranges_first", free(SubnetName::Cidr(read("10.0.0.0/24")), 0, None)),
        ("free_ranges_from", free(SubnetName::Name(text("front")), 10, Some(read("10.0.0.64")))),
    ]
}

fn allocate_requests() -> Vec<(&'static str, Request)> {
    let v6 = Allocate { family: FamilyChoice::V6, strategy: Strategy::Hashed, ..plain_allocate() };
    let both = Allocate { family: FamilyChoice::Both, slot: Slot(4), ..plain_allocate() };
    let each = Allocate {
        family: FamilyChoice::Each,
        strategy: Strategy::Next,
        instance: Instance(7),
        ..plain_allocate()
    };
    let block = Allocate { family: FamilyChoice::V4, length: Some(28), ..plain_allocate() };
    let eui64 = Allocate { strategy: Strategy::Eui64, length: Some(0), ..plain_allocate() };
    let label = AllocateExtras { label: some("app=web"), ..AllocateExtras::default() };
    let exact = AllocateExtras { exact: Some(read("10.0.0.9")), ..AllocateExtras::default() };
    vec![
        ("allocate_plain", Request::Allocate(plain_allocate())),
        ("allocate_v6_hashed", Request::Allocate(v6)),
        ("allocate_both", Request::Allocate(both)),
        ("allocate_each_with_instance", Request::Allocate(each)),
        ("allocate_block", Request::Allocate(block)),
        ("allocate_eui64", Request::Allocate(eui64)),
        ("allocate_label", allocate_with(label)),
        ("allocate_exact", allocate_with(exact)),
        ("allocate_full", Request::Allocate(full_allocate())),
    ]
}

fn release_requests() -> Vec<(&'static str, Request)> {
    let by_address = Target::Address(read("10.0.0.2"));
    let revision = Fences { revision: Some(REVISION), ..Fences::default() };
    let instance = Fences { instance: Some(Instance(0)), ..Fences::default() };
    vec![
        ("release_by_key", Request::Release(release(key(), Fences::default(), false))),
        ("release_by_key_and_instance", Request::Release(release(key(), instance, false))),
        ("release_by_address", Request::Release(release(by_address, revision, false))),
        ("release_any", Request::Release(release(by_address, Fences::default(), true))),
        (
            "release_all_fences",
            Request::Release(release(Target::Address(read("fd00:64::2")), all_fences(), false)),
        ),
    ]
}

fn allocation_requests() -> Vec<(&'static str, Request)> {
    let by_key = AllocationUpdate {
        target: key(),
        fences: all_fences(),
        label: Setting::Null,
        host: Setting::Value(text("node-8")),
        manager_name: Setting::Value(text("cluster-b")),
        owner_name: Setting::Null,
    };
    let get = |target| Request::AllocationGet(Box::new(AllocationGet { target }));
    let filter = AllocationFilter {
        subnet: Some(SUBNET),
        family: Some(Family::V4),
        state: Some(AllocationState::Free),
        owner: Some(OWNER),
        manager: some("cluster-a/podnet"),
        host: some("node-7"),
        label: some("app=web"),
        changed_since: Some(Revision(0)),
    };
    let list = AllocationList { page: page(), filter };
    vec![
        ("allocation_update_by_address", Request::AllocationUpdate(Box::new(update()))),
        ("allocation_update_by_key", Request::AllocationUpdate(Box::new(by_key))),
        ("allocation_get_by_key", get(key())),
        ("allocation_get_by_address", get(Target::Address(read("fd00:64::2")))),
        ("allocation_list_first", Request::AllocationList(Box::default())),
        ("allocation_list_full", Request::AllocationList(Box::new(list))),
        ("lookup_address", Request::Lookup(Box::new(Lookup::Address(read("10.0.0.2"))))),
        ("lookup_owner", Request::Lookup(Box::new(Lookup::Owner(OWNER)))),
        ("batch_independent", Request::Batch(Box::new(batch(BatchMode::Independent)))),
        ("batch_all_or_nothing", Request::Batch(Box::new(batch(BatchMode::AllOrNothing)))),
    ]
}

fn batch(mode: BatchMode) -> Batch {
    let label = AllocateExtras { label: some("app=web"), ..AllocateExtras::default() };
    let second = Allocate { slot: Slot(1), extras: Some(Box::new(label)), ..plain_allocate() };
    let items = vec![
        BatchItem::Allocate(plain_allocate()),
        BatchItem::Allocate(second),
        BatchItem::Release(release(key(), Fences::default(), false)),
        BatchItem::Update(Box::new(update())),
    ];
    Batch { mode, items }
}

/// Every request sample.
pub(crate) fn requests() -> Vec<RequestSample> {
    let all = [
        connection_requests(),
        network_requests(),
        subnet_requests(),
        subnet_changes(),
        usage_requests(),
        allocate_requests(),
        release_requests(),
        allocation_requests(),
    ];
    let sample = |(number, (name, request)): (u64, (&str, Request))| RequestSample {
        name: name.to_owned(),
        header: header(request.opcode(), number),
        request,
    };
    (1..).zip(all.into_iter().flatten()).map(sample).collect()
}

/// A header with a network where the operation has one.
pub(crate) fn header(opcode: Opcode, request_id: u64) -> RequestHeader {
    let network = match opcode.network_rule() {
        NetworkRule::None => NetworkId::NIL,
        _ => NETWORK,
    };
    RequestHeader { opcode, request_id, timeout_ms: 5_000, project: PROJECT, network }
}

fn address(text: &str, length: u8) -> AllocatedAddress {
    let address: std::net::IpAddr = read(text);
    let (subnet_id, subnet_length) = if address.is_ipv4() { (SUBNET, 24) } else { (SUBNET6, 64) };
    AllocatedAddress {
        address,
        length,
        subnet_length,
        subnet_id,
        slot: Slot(0),
        revision: REVISION,
        state: AllocationState::Allocated,
        time_left_ms: 0,
        repeated: false,
        was_preferred: false,
        from_quarantine: false,
        taken_over: false,
    }
}

/// The shortest reply to an allocate: 80 bytes.
pub(crate) fn plain_allocated() -> Allocated {
    Allocated { first: address("10.0.0.2", 32), second: None, settings: None }
}

fn full_allocated() -> Allocated {
    let second = AllocatedAddress {
        slot: Slot(1),
        state: AllocationState::Held,
        time_left_ms: 30_000,
        repeated: true,
        was_preferred: true,
        from_quarantine: true,
        taken_over: true,
        ..address("fd00:64::2", 128)
    };
    let settings = [
        SubnetSettings {
            gateway: Some(read("10.0.0.1")),
            dns_servers: vec![read("10.0.0.53"), read("10.0.0.54")],
            routes: vec![route("0.0.0.0/0", "10.0.0.1")],
        },
        SubnetSettings { gateway: Some(read("fd00:64::1")), ..SubnetSettings::default() },
    ];
    Allocated {
        first: address("10.0.0.2", 32),
        second: Some(second),
        settings: Some(Box::new(settings)),
    }
}

fn allocation() -> Allocation {
    Allocation {
        address: read("10.0.0.2"),
        length: 32,
        subnet_length: 24,
        state: AllocationState::Allocated,
        network_id: NETWORK,
        subnet_id: SUBNET,
        project_id: PROJECT,
        owner: OWNER,
        slot: Slot(1),
        instance: Instance(7),
        revision: REVISION,
        time_left_ms: 0,
        repeated: false,
        owner_name: None,
        label: None,
        host: None,
        manager: None,
    }
}

fn full_allocation() -> Allocation {
    Allocation {
        time_left_ms: 59_999,
        repeated: true,
        owner_name: some("web-1"),
        label: some("app=web"),
        host: some("node-7"),
        manager: some("cluster-a/podnet"),
        ..allocation()
    }
}

fn network() -> Network {
    Network {
        network_id: NETWORK,
        project_id: PROJECT,
        revision: REVISION,
        subnets: 0,
        allocations: 0,
        deleting: false,
        repeated: false,
        name: None,
        description: None,
    }
}

fn full_network() -> Network {
    Network {
        subnets: 2,
        allocations: 70_000,
        deleting: true,
        repeated: true,
        name: some("blue"),
        description: some("pods, zone 1"),
        ..network()
    }
}

fn subnet() -> Subnet {
    Subnet {
        subnet_id: SUBNET,
        network_id: NETWORK,
        revision: REVISION,
        cidr: read("10.0.0.0/24"),
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Next,
        enable_dhcp: false,
        deleting: false,
        repeated: false,
        allocations: 0,
        gateway: None,
        pools: Vec::new(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        exclusions: Vec::new(),
        name: None,
        description: None,
        live_inside: Vec::new(),
        overlaps: Vec::new(),
    }
}

fn full_subnet() -> Subnet {
    let exclusion =
        |first, last, mode, reason| Exclusion { range: range(first, last), mode, reason };
    Subnet {
        enable_dhcp: true,
        deleting: true,
        repeated: true,
        allocations: 3,
        gateway: Some(read("10.0.0.1")),
        pools: vec![range("10.0.0.2", "10.0.0.254")],
        dns_servers: vec![read("10.0.0.53")],
        routes: vec![route("0.0.0.0/0", "10.0.0.1")],
        exclusions: vec![
            exclusion("10.0.0.100", "10.0.0.109", ExclusionMode::Automatic, None),
            exclusion("10.0.0.200", "10.0.0.200", ExclusionMode::Everyone, some("printer")),
        ],
        name: some("front"),
        description: some("IPv4 of the front"),
        live_inside: vec![read("10.0.0.101")],
        overlaps: vec![SubnetId::from_u128(0x99)],
        ..subnet()
    }
}

fn job() -> Job {
    Job {
        job_id: JobId(9),
        kind: JobKind::SubnetDelete,
        state: JobState::Running,
        network_id: NETWORK,
        subnet_id: SUBNET,
        done: 256,
        total: 1_000,
    }
}

fn hello_reply() -> HelloReply {
    HelloReply {
        version: 1,
        role: 0,
        features: 0,
        server_id: SERVER,
        incarnation: Incarnation(2),
        position: Seq(1_234),
        frame_bytes_max: 65_536,
        batch_bytes_max: 1_048_576,
        batch_items_max: 1_024,
        credit: 256,
        idle_ms: 300_000,
        server: some("addrd 0.1.0"),
    }
}

fn status_reply() -> ServerStatus {
    ServerStatus {
        server_id: SERVER,
        incarnation: Incarnation(2),
        position: Seq(1_234),
        folded: Seq(1_000),
        journal_records: 70_000,
        journal_records_max: 4_194_304,
        uptime_ms: 86_400_000,
        workers: 1,
        connections: 3,
        networks: 2,
        allocations: 70_000,
        state: text("ready"),
        version: text("0.1.0"),
    }
}

fn usage() -> SubnetUsage {
    SubnetUsage {
        subnet_id: SUBNET6,
        cidr: read("fd00:64::/64"),
        size: 1 << 64,
        pool_size: (1 << 64) - 2,
        free: (1 << 64) - 8,
        held: 1,
        allocated: 2,
        quarantined: 1,
        excluded: 1,
        pinned: 1,
        used_outside: 1,
    }
}

fn plain_replies() -> Vec<(&'static str, Opcode, Reply)> {
    let page = JobPage { items: vec![job()], next: cursor() };
    let done = Job { state: JobState::Done, done: 1_000, ..job() };
    vec![
        ("hello", Opcode::HELLO, Reply::Hello(Box::new(hello_reply()))),
        ("ping", Opcode::PING, Reply::Empty),
        ("server_status", Opcode::SERVER_STATUS, Reply::ServerStatus(Box::new(status_reply()))),
        ("job_get", Opcode::JOB_GET, Reply::Job(Box::new(done))),
        ("job_list", Opcode::JOB_LIST, Reply::Jobs(Box::new(page))),
        ("network_create", Opcode::NETWORK_CREATE, Reply::Network(Box::new(network()))),
        ("network_get", Opcode::NETWORK_GET, Reply::Network(Box::new(full_network()))),
        ("network_find", Opcode::NETWORK_FIND, Reply::Network(Box::new(full_network()))),
        ("network_update", Opcode::NETWORK_UPDATE, Reply::Network(Box::new(full_network()))),
        ("network_delete_done", Opcode::NETWORK_DELETE, Reply::Empty),
        ("network_delete_job", Opcode::NETWORK_DELETE, Reply::Job(Box::new(job()))),
        ("subnet_create", Opcode::SUBNET_CREATE, Reply::Subnet(Box::new(subnet()))),
        ("subnet_get", Opcode::SUBNET_GET, Reply::Subnet(Box::new(full_subnet()))),
        ("subnet_update", Opcode::SUBNET_UPDATE, Reply::Subnet(Box::new(full_subnet()))),
        ("subnet_exclude", Opcode::SUBNET_EXCLUDE, Reply::Subnet(Box::new(full_subnet()))),
        ("subnet_include", Opcode::SUBNET_INCLUDE, Reply::Subnet(Box::new(subnet()))),
        ("subnet_delete_done", Opcode::SUBNET_DELETE, Reply::Empty),
        ("subnet_delete_job", Opcode::SUBNET_DELETE, Reply::Job(Box::new(job()))),
    ]
}

fn list_replies() -> Vec<(&'static str, Opcode, Reply)> {
    let position = Seq(1_234);
    let networks = NetworkPage { position, items: vec![network(), full_network()], next: cursor() };
    let subnets = SubnetPage { position, items: vec![subnet(), full_subnet()], next: None };
    let items = vec![allocation(), full_allocation()];
    let allocations = AllocationPage { position, items, next: cursor() };
    let empty = AllocationPage { position, items: Vec::new(), next: cursor() };
    let usages = NetworkUsage { network_id: NETWORK, subnets: vec![usage()], next: cursor() };
    let ranges = FreeRangesReply {
        subnet_id: SUBNET,
        ranges: vec![range("10.0.0.3", "10.0.0.99"), range("fd00:64::3", "fd00:64::ffff")],
        next: Some(read("10.0.0.110")),
    };
    let subnets_found =
        vec![SubnetRef { network_id: NETWORK, subnet_id: SUBNET, cidr: read("10.0.0.0/24") }];
    let found =
        Lookups { allocations: vec![full_allocation()], subnets: subnets_found, more: true };
    vec![
        ("network_list", Opcode::NETWORK_LIST, Reply::Networks(Box::new(networks))),
        ("subnet_list", Opcode::SUBNET_LIST, Reply::Subnets(Box::new(subnets))),
        ("allocation_list", Opcode::ALLOCATION_LIST, Reply::Allocations(Box::new(allocations))),
        ("allocation_list_empty", Opcode::ALLOCATION_LIST, Reply::Allocations(Box::new(empty))),
        ("usage", Opcode::USAGE, Reply::Usage(Box::new(usages))),
        ("free_ranges", Opcode::FREE_RANGES, Reply::FreeRanges(Box::new(ranges))),
        ("lookup", Opcode::LOOKUP, Reply::Lookups(Box::new(found))),
        ("lookup_nothing", Opcode::LOOKUP, Reply::Lookups(Box::default())),
    ]
}

fn released() -> Released {
    Released {
        address: read("10.0.0.2"),
        length: 32,
        subnet_id: SUBNET,
        revision: Revision(REVISION.0 + 1),
        state: AllocationState::Quarantined,
    }
}

fn allocation_replies() -> Vec<(&'static str, Opcode, Reply)> {
    let repeated = Allocated {
        first: AllocatedAddress { repeated: true, ..address("fd00:64::2", 128) },
        ..plain_allocated()
    };
    let block = Allocated { first: address("10.0.0.16", 28), ..plain_allocated() };
    let failed =
        failure(Status::STALE, vec![Detail::Current { revision: REVISION, instance: Instance(7) }]);
    let results = vec![
        BatchResult::Allocated(plain_allocated()),
        BatchResult::Released(released()),
        BatchResult::NotHeld,
        BatchResult::Updated(Box::new(full_allocation())),
        BatchResult::Failed(Box::new(failed)),
    ];
    vec![
        ("allocate_plain", Opcode::ALLOCATE, Reply::Allocated(plain_allocated())),
        ("allocate_repeated", Opcode::ALLOCATE, Reply::Allocated(repeated)),
        ("allocate_block", Opcode::ALLOCATE, Reply::Allocated(block)),
        ("allocate_full", Opcode::ALLOCATE, Reply::Allocated(full_allocated())),
        ("release", Opcode::RELEASE, Reply::Released(released())),
        (
            "allocation_update",
            Opcode::ALLOCATION_UPDATE,
            Reply::Allocation(Box::new(full_allocation())),
        ),
        ("allocation_get", Opcode::ALLOCATION_GET, Reply::Allocation(Box::new(allocation()))),
        ("batch", Opcode::BATCH, Reply::Batch(Box::new(BatchReply { results }))),
    ]
}

pub(crate) fn failure(status: Status, details: Vec<Detail>) -> Failure {
    Failure {
        status,
        retry_after_ms: 0,
        item: None,
        field: None,
        message: text("for people"),
        details,
    }
}

fn candidate(reason: CandidateReason) -> Detail {
    Detail::Candidate(Candidate {
        subnet_id: SUBNET,
        reason,
        pool_size: 253,
        allocated: 250,
        held: 1,
        quarantined: 1,
        excluded: 1,
        next_free_in_ms: 4_500,
    })
}

/// Failures whose body carries more than a message.
fn detailed_failures() -> Vec<(&'static str, Opcode, Failure)> {
    let reasons = [
        CandidateReason::Family,
        CandidateReason::Limit,
        CandidateReason::Deleting,
        CandidateReason::NoPools,
        CandidateReason::Length,
        CandidateReason::NotFound,
        CandidateReason::Fragmented,
    ];
    let candidates = vec![candidate(CandidateReason::Exhausted)];
    let fell_out = reasons.map(candidate).to_vec();
    let held = vec![Detail::Held(Box::new(full_allocation()))];
    let current = vec![Detail::Current { revision: REVISION, instance: Instance(7) }];
    let other = |cidr: Option<&str>| Detail::Other {
        network_id: NETWORK,
        subnet_id: if cidr.is_some() { SUBNET } else { SubnetId::NIL },
        cidr: cidr.map(read),
    };
    let bounds = Detail::Bounds { value: 65, least: 0, most: 64 };
    let bound = Detail::Bound { name: text("ring_operations_max") };
    let field = |name: &str, failure: Failure| Failure { field: some(name), ..failure };
    let later = |failure: Failure| Failure { retry_after_ms: 20, ..failure };
    let item = |failure: Failure| Failure { item: Some(3), ..failure };
    vec![
        ("exhausted", Opcode::ALLOCATE, failure(Status::EXHAUSTED, candidates)),
        ("no_matching_subnet", Opcode::ALLOCATE, failure(Status::NO_MATCHING_SUBNET, fell_out)),
        ("key_in_use", Opcode::ALLOCATE, failure(Status::KEY_IN_USE, held)),
        ("stale", Opcode::RELEASE, failure(Status::STALE, current)),
        (
            "prefix_overlap",
            Opcode::SUBNET_CREATE,
            field("cidr", failure(Status::PREFIX_OVERLAP, vec![other(Some("10.0.0.0/25"))])),
        ),
        (
            "name_in_use",
            Opcode::NETWORK_CREATE,
            field("name", failure(Status::NAME_IN_USE, vec![other(None)])),
        ),
        (
            "in_use",
            Opcode::SUBNET_DELETE,
            failure(Status::IN_USE, vec![Detail::Count { count: 3 }]),
        ),
        ("limit", Opcode::SUBNET_CREATE, field("pools", failure(Status::LIMIT, vec![bounds]))),
        ("busy", Opcode::ALLOCATE, later(failure(Status::BUSY, vec![bound]))),
        ("batch_refused", Opcode::BATCH, item(failure(Status::ADDRESS_TAKEN, Vec::new()))),
        (
            "no_message",
            Opcode::PING,
            Failure { message: text(""), ..failure(Status::NOT_READY, Vec::new()) },
        ),
    ]
}

/// Every reply sample.
pub(crate) fn replies() -> Vec<ReplySample> {
    let done = [plain_replies(), list_replies(), allocation_replies()].into_iter().flatten();
    let mut samples: Vec<ReplySample> = (1..)
        .zip(done)
        .map(|(request_id, (name, opcode, reply))| ReplySample {
            name: name.to_owned(),
            opcode,
            request_id,
            status: Status::OK,
            body: ReplyOrFailure::Reply(reply),
        })
        .collect();
    samples.push(ReplySample {
        name: "release_not_held".to_owned(),
        opcode: Opcode::RELEASE,
        request_id: 100,
        status: Status::NOT_HELD,
        body: ReplyOrFailure::Reply(Reply::Empty),
    });
    samples.extend(goaways());
    samples.extend(failures());
    samples
}

fn goaways() -> Vec<ReplySample> {
    let reasons = [
        ("shutdown", GoAwayReason::Shutdown),
        ("session_replaced", GoAwayReason::SessionReplaced),
        ("idle", GoAwayReason::Idle),
        ("slow_reader", GoAwayReason::SlowReader),
    ];
    let sample = |(name, reason)| ReplySample {
        name: format!("goaway_{name}"),
        opcode: Opcode::GOAWAY,
        request_id: 0,
        status: Status::OK,
        body: ReplyOrFailure::GoAway(GoAway { reason, last_request_id: 0x0123_4567_89ab_cdef }),
    };
    reasons.map(sample).into()
}

fn failures() -> Vec<ReplySample> {
    let refused = |name: String, opcode, request_id, failure: Failure| ReplySample {
        name,
        opcode,
        request_id,
        status: failure.status,
        body: ReplyOrFailure::Failure(Box::new(failure)),
    };
    let detailed = detailed_failures()
        .into_iter()
        .map(|(name, opcode, failure)| refused(format!("failure_{name}"), opcode, 200, failure));
    let statuses = Status::ALL.iter().filter(|status| !status.is_done()).map(|status| {
        let name = format!("status_{}", status.name().to_lowercase());
        refused(name, Opcode::SERVER_STATUS, 300, failure(*status, Vec::new()))
    });
    let error = failure(Status::FRAME_TOO_LONG, Vec::new());
    let last = refused("error".to_owned(), Opcode::ERROR, 0, error);
    detailed.chain(statuses).chain([last]).collect()
}
