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

mod sample_history;
mod sample_holds;
mod sample_host_leases;
mod sample_managers;
mod sample_ports;
mod sample_principals;
mod sample_replies;
mod sample_rests;
mod sample_shared;
mod sample_transfers;
mod sample_watch;
pub(crate) use sample_replies::replies;

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
const POOL: PoolId = PoolId::from_u128(0x8888_8888_8888_4888_8888_8888_8888_8888);
const PARENT: PoolId = PoolId::from_u128(0x8989_8989_8989_4989_8989_8989_8989_8989);
const SCOPE: AddressScopeId = AddressScopeId::from_u128(0xaaaa_aaaa_aaaa_4aaa_8aaa_aaaa_aaaa_aaaa);
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
            hold_item: None,
            manager: some("cluster-a/podnet"),
            host: some("node-7"),
            label: some("app=web,tier=front"),
            owner_name: some("web-1"),
            trace: Some(Uuid::from_u128(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)),
            mac: None,
            follow_host: false,
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
        lease_ms: Setting::Unset,
        follow_host: None,
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
        from_pool: None,
        quarantine_ms: None,
        service: Service::default(),
    }
}

fn subnet_update() -> SubnetUpdate {
    SubnetUpdate::of(SUBNET)
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
        token: None,
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
    let create = NetworkCreate {
        name: some("blue"),
        description: some("pods, zone 1"),
        ..NetworkCreate::default()
    };
    let update = NetworkUpdate {
        expected: REVISION,
        name: Setting::Value(text("green")),
        description: Setting::Null,
        ..NetworkUpdate::default()
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
        from_pool: None,
        quarantine_ms: None,
        service: Service::default(),
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

fn polling_requests() -> Vec<(&'static str, Request)> {
    let changed = Usage { cursor: cursor(), changed_since: Some(REVISION), ..Usage::default() };
    let family =
        Usage { changed_since: Some(REVISION), family: Some(Family::V6), ..Usage::default() };
    let totals = Usage { family: Some(Family::V4), totals_only: true, ..Usage::default() };
    vec![
        ("usage_changed", Request::Usage(Box::new(changed))),
        ("usage_changed_family", Request::Usage(Box::new(family))),
        ("usage_totals", Request::Usage(Box::new(totals))),
    ]
}

fn usage_requests() -> Vec<(&'static str, Request)> {
    let usage =
        |subnet, cursor| Request::Usage(Box::new(Usage { subnet, cursor, ..Usage::default() }));
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
        lease_ms: Setting::Unset,
        follow_host: None,
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

/// Requests about leases.
fn lease_requests() -> Vec<(&'static str, Request)> {
    let by_address = Target::Address(read("fd00:64::2"));
    let renew = |target, fences| Renew { target, fences, lease_ms: 60_000 };
    let update = |lease_ms| {
        let changed = AllocationUpdate { lease_ms, owner_name: Setting::Unset, ..update() };
        Request::AllocationUpdate(Box::new(changed))
    };
    let items = vec![
        BatchItem::Renew(renew(key(), Fences::default())),
        BatchItem::Renew(renew(by_address, all_fences())),
    ];
    let batch = Batch { mode: BatchMode::Independent, items };
    let all = RenewOwner { owner: OWNER, instance: None, lease_ms: 315_360_000_000 };
    vec![
        ("renew_by_key", Request::Renew(renew(key(), Fences::default()))),
        ("renew_all_fences", Request::Renew(renew(by_address, all_fences()))),
        ("renew_owner", Request::RenewOwner(all)),
        (
            "renew_owner_of_instance",
            Request::RenewOwner(RenewOwner { instance: Some(Instance(7)), lease_ms: 1_000, ..all }),
        ),
        ("batch_renew", Request::Batch(Box::new(batch))),
        ("allocation_update_lease", update(Setting::Value(60_000))),
        ("allocation_update_no_lease", update(Setting::Null)),
        ("clock_accept", Request::ClockAccept(ClockAccept {})),
        ("server_adopt", Request::ServerAdopt(ServerAdopt { action: AdoptAction::Begin })),
        (
            "backup_read",
            Request::BackupRead(BackupRead {
                backup_id: Uuid::from_u128(0xbbbb_bbbb_bbbb_4bbb_8bbb_bbbb_bbbb_bbbb),
                block: 7,
                row_bytes_a_second: 67_108_864,
            }),
        ),
        ("server_adopt_end", Request::ServerAdopt(ServerAdopt { action: AdoptAction::End })),
    ]
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
    let mut samples: Vec<RequestSample> =
        (1..).zip(all.into_iter().flatten()).map(sample).collect();
    // Those of the catalogue came later; their request ids begin at 1,000.
    let catalogue = [
        project_requests(),
        scope_requests(),
        pool_requests(),
        pool_updates(),
        pool_choices(),
        carving_requests(),
    ];
    let more = (1_000..).zip(catalogue.into_iter().flatten());
    samples.extend(more.map(sample));
    // Polling came later still.
    samples.extend((3_000..).zip(polling_requests()).map(sample));
    samples.extend(prefix_requests());
    samples.extend(sample_ports::requests());
    samples.extend(sample_shared::requests());
    samples.extend((4_000..).zip(lease_requests()).map(sample));
    samples.extend(sample_watch::requests());
    samples.extend(sample_rests::requests());
    samples.extend(sample_holds::requests());
    samples.extend(sample_managers::requests());
    samples.extend(sample_host_leases::requests());
    samples.extend(sample_transfers::requests());
    samples.extend(sample_history::requests());
    samples.extend(sample_principals::requests());
    samples
}

fn project_requests() -> Vec<(&'static str, Request)> {
    let quotas = Quotas { addresses: Some(1_000), ports: Some(0), ..Quotas::default() };
    let create = ProjectCreate { name: some("blue-team"), description: some("web"), quotas };
    let all = QuotaSettings {
        addresses: Setting::Value(2_000),
        prefixes: Setting::Null,
        networks: Setting::Value(10),
        subnets: Setting::Value(20),
        ports: Setting::Value(QUOTA_MAX),
        resting: Setting::Value(4_096),
    };
    let update = ProjectUpdate {
        expected: REVISION,
        name: Setting::Value(text("green-team")),
        description: Setting::Null,
        quotas: all,
    };
    let list = ProjectList { page: page(), name_prefix: some("bl") };
    let by_name = ProjectGet { name: some("blue-team") };
    vec![
        ("project_create_plain", Request::ProjectCreate(Box::default())),
        ("project_create_full", Request::ProjectCreate(Box::new(create))),
        ("project_get", Request::ProjectGet(Box::default())),
        ("project_get_by_name", Request::ProjectGet(Box::new(by_name))),
        ("project_list_first", Request::ProjectList(Box::default())),
        ("project_list_next", Request::ProjectList(Box::new(list))),
        ("project_update_nothing", Request::ProjectUpdate(Box::default())),
        ("project_update_full", Request::ProjectUpdate(Box::new(update))),
        ("project_delete", Request::ProjectDelete(ProjectDelete { expected: REVISION })),
    ]
}

fn scope_requests() -> Vec<(&'static str, Request)> {
    let plain = ScopeCreate { family: Family::V4, shared: false, name: None, description: None };
    let full = ScopeCreate {
        family: Family::V6,
        shared: true,
        name: some("global"),
        description: some("routed everywhere"),
    };
    let update = ScopeUpdate {
        expected: REVISION,
        name: Setting::Value(text("local")),
        description: Setting::Null,
        shared: Setting::Value(false),
    };
    let list = ScopeList { page: page(), name_prefix: some("gl") };
    vec![
        ("scope_create_plain", Request::ScopeCreate(Box::new(plain))),
        ("scope_create_full", Request::ScopeCreate(Box::new(full))),
        ("scope_get", Request::ScopeGet(Box::default())),
        ("scope_get_by_name", Request::ScopeGet(Box::new(ScopeGet { name: some("global") }))),
        ("scope_list_first", Request::ScopeList(Box::default())),
        ("scope_list_next", Request::ScopeList(Box::new(list))),
        ("scope_update_nothing", Request::ScopeUpdate(Box::default())),
        ("scope_update_full", Request::ScopeUpdate(Box::new(update))),
        ("scope_delete", Request::ScopeDelete(ScopeDelete::default())),
    ]
}

fn pool_create() -> PoolCreate {
    PoolCreate::of(Family::V4, vec![read("10.0.0.0/16")])
}

fn pool_requests() -> Vec<(&'static str, Request)> {
    let full = PoolCreate {
        family: Family::V6,
        prefixes: vec![read("2001:db8::/32"), read("fd00::/8")],
        min_length: Some(40),
        max_length: Some(64),
        default_length: Some(56),
        default_quota: Some(256),
        address_scope_id: Some(SCOPE),
        is_default: true,
        shared: true,
        name: some("homes"),
        description: some("delegated prefixes"),
        ..pool_create()
    };
    let below = PoolCreate {
        prefixes: Vec::new(),
        parent_id: Some(PARENT),
        parent_length: Some(20),
        ..pool_create()
    };
    let list = PoolList { page: page(), name_prefix: some("no") };
    vec![
        ("pool_create_plain", Request::PoolCreate(Box::new(pool_create()))),
        ("pool_create_full", Request::PoolCreate(Box::new(full))),
        ("pool_create_with_parent", Request::PoolCreate(Box::new(below))),
        ("pool_get", Request::PoolGet(Box::default())),
        ("pool_get_by_name", Request::PoolGet(Box::new(PoolGet { name: some("nodes") }))),
        ("pool_list_first", Request::PoolList(Box::default())),
        ("pool_list_next", Request::PoolList(Box::new(list))),
    ]
}

fn pool_updates() -> Vec<(&'static str, Request)> {
    let values = PoolUpdate {
        expected: REVISION,
        prefixes: vec![read("10.0.0.0/15")],
        min_length: Setting::Value(16),
        max_length: Setting::Value(28),
        default_length: Setting::Value(26),
        default_quota: Setting::Value(1 << 40),
        address_scope_id: Setting::Value(SCOPE),
        is_default: Setting::Value(true),
        shared: Setting::Value(true),
        name: Setting::Value(text("nodes")),
        description: Setting::Value(text("node blocks")),
        ..PoolUpdate::default()
    };
    let nulls = PoolUpdate {
        min_length: Setting::Null,
        max_length: Setting::Null,
        default_length: Setting::Null,
        default_quota: Setting::Null,
        address_scope_id: Setting::Null,
        is_default: Setting::Null,
        shared: Setting::Null,
        name: Setting::Null,
        description: Setting::Null,
        ..PoolUpdate::default()
    };
    let moves = PoolUpdate {
        add_prefixes: vec![read("10.2.0.0/16"), read("192.168.0.0/16")],
        remove_prefixes: vec![read("10.0.128.0/17")],
        ..PoolUpdate::default()
    };
    let update = |update| Request::PoolUpdate(Box::new(update));
    vec![
        ("pool_update_nothing", update(PoolUpdate::default())),
        ("pool_update_values", update(values)),
        ("pool_update_nulls", update(nulls)),
        ("pool_update_prefixes", update(moves)),
    ]
}

fn pool_choices() -> Vec<(&'static str, Request)> {
    let preview = PoolPreview {
        length: Some(26),
        exact: None,
        allowed: vec![read("10.0.0.0/20")],
        disallowed: vec![read("10.0.0.0/24"), read("10.0.3.0/24")],
    };
    let onboard = SubnetOnboard { subnet_pool_id: POOL, expected: Revision(7) };
    let exact = PoolPreview { exact: Some(read("10.0.7.0/24")), ..PoolPreview::default() };
    vec![
        ("pool_delete", Request::PoolDelete(PoolDelete::default())),
        ("pool_preview_plain", Request::PoolPreview(Box::default())),
        ("pool_preview_full", Request::PoolPreview(Box::new(preview))),
        ("pool_preview_exact", Request::PoolPreview(Box::new(exact))),
        ("subnet_onboard", Request::SubnetOnboard(onboard)),
    ]
}

fn carving_requests() -> Vec<(&'static str, Request)> {
    let scoped = NetworkCreate {
        scope_v4: Some(SCOPE),
        scope_v6: Some(AddressScopeId::from_u128(2)),
        ..NetworkCreate::default()
    };
    let carved = |cidr: &str, from| {
        let create =
            SubnetCreate { cidr: read(cidr), from_pool: Some(Box::new(from)), ..subnet_create() };
        Request::SubnetCreate(Box::new(create))
    };
    let exact = FromPool { subnet_pool_id: POOL, ..FromPool::default() };
    let length = FromPool {
        by: PrefixChoice::Length,
        allowed: vec![read("10.0.0.0/20")],
        disallowed: vec![read("10.0.0.0/24")],
        ..exact.clone()
    };
    let default = FromPool { by: PrefixChoice::DefaultLength, ..FromPool::default() };
    vec![
        ("network_create_scoped", Request::NetworkCreate(Box::new(scoped))),
        ("subnet_create_exactly_from_pool", carved("10.0.7.0/24", exact)),
        ("subnet_create_by_length", carved("0.0.0.0/26", length)),
        ("subnet_create_by_default_length", carved("::/0", default)),
    ]
}

/// Operations on prefixes of a pool: the header says so.
fn prefix_requests() -> Vec<RequestSample> {
    let owner = AllocateExtras { owner_name: some("node-7"), ..AllocateExtras::default() };
    let allocate = Allocate {
        owner: OwnerId::from_text("node-7"),
        length: Some(24),
        extras: Some(Box::new(owner)),
        ..plain_allocate()
    };
    let get = AllocationGet { target: Target::Address(read("10.0.7.0")) };
    let all = vec![
        ("prefix_allocate", Request::Allocate(allocate)),
        ("prefix_release", Request::Release(release(key(), Fences::default(), false))),
        ("prefix_get", Request::AllocationGet(Box::new(get))),
        ("prefix_list", Request::AllocationList(Box::default())),
        ("prefix_lookup", Request::Lookup(Box::new(Lookup::Owner(OWNER)))),
        ("prefix_usage", Request::Usage(Box::default())),
    ];
    let sample = |(number, (name, request)): (u64, (&str, Request))| {
        let mut header = header(request.opcode(), number);
        (header.network, header.pool) = (NetworkId(POOL.0), true);
        RequestSample { name: name.to_owned(), header, request }
    };
    (1_100..).zip(all).map(sample).collect()
}

/// A header with a network where the operation has one.
pub(crate) fn header(opcode: Opcode, request_id: u64) -> RequestHeader {
    let network = match opcode.network_rule() {
        NetworkRule::None => NetworkId::NIL,
        _ => NETWORK,
    };
    RequestHeader {
        opcode,
        request_id,
        timeout_ms: 5_000,
        project: PROJECT,
        network,
        pool: false,
        network_project: None,
        restoring: false,
    }
}
