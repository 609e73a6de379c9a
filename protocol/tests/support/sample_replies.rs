//! The replies and failures behind `vectors/`. Never changed, only added to, as in `samples.rs`.

use super::*;

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

pub(super) fn allocation() -> Allocation {
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
        network_project: None,
        follows_host: false,
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

pub(super) fn network() -> Network {
    Network {
        network_id: NETWORK,
        project_id: PROJECT,
        revision: REVISION,
        subnets: 0,
        allocations: 0,
        deleting: false,
        repeated: false,
        shared: false,
        name: None,
        description: None,
        scope_v4: None,
        scope_v6: None,
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

pub(super) fn subnet() -> Subnet {
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
        quarantine_ms: 0,
        subnet_pool_id: None,
        service: Service::default(),
        filling: None,
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
        adopting: false,
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
        adopting: true,
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
        growth_1h: None,
        growth_24h: None,
        watched_ms: None,
    }
}

fn usage_totals() -> Vec<UsageTotals> {
    let v6 = UsageTotals {
        family: Family::V6,
        subnets: 1,
        size: 1 << 64,
        pool_size: (1 << 64) - 2,
        free: (1 << 64) - 8,
        held: 1,
        allocated: 2,
        quarantined: 1,
        excluded: 1,
        pinned: 1,
        used_outside: 1,
    };
    let v4 = UsageTotals { family: Family::V4, subnets: 70_000, free: u128::MAX - 7, ..v6.clone() };
    vec![v4, v6]
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
    let usages = NetworkUsage {
        network_id: NETWORK,
        whole: true,
        totals: usage_totals().split_off(1),
        subnets: vec![usage()],
        next: cursor(),
        revision: Revision(0),
        gone: Vec::new(),
    };
    let ranges = FreeRangesReply {
        subnet_id: SUBNET,
        ranges: vec![range("10.0.0.3", "10.0.0.99"), range("fd00:64::3", "fd00:64::ffff")],
        next: Some(read("10.0.0.110")),
    };
    let subnet_found = SubnetRef {
        network_id: NETWORK,
        subnet_id: SUBNET,
        cidr: read("10.0.0.0/24"),
        network_project: None,
    };
    let subnets_found = vec![subnet_found];
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
            "quota",
            Opcode::SUBNET_CREATE,
            failure(
                Status::QUOTA,
                vec![Detail::Quota {
                    resource: QuotaResource::Pool,
                    limit: 256,
                    used: 255,
                    asked: 2,
                }],
            ),
        ),
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
    samples.extend(sample_ports::replies());
    samples.extend(sample_shared::replies());
    samples.extend(goaways());
    samples.extend(failures());
    let catalogue = (1_000..).zip(catalogue_replies());
    samples.extend(catalogue.map(|(request_id, (name, opcode, reply))| ReplySample {
        name: name.to_owned(),
        opcode,
        request_id,
        status: Status::OK,
        body: ReplyOrFailure::Reply(reply),
    }));
    let changed = NetworkUsage {
        network_id: NETWORK,
        whole: false,
        totals: usage_totals(),
        subnets: vec![usage()],
        next: cursor(),
        revision: REVISION,
        gone: vec![SUBNET, SUBNET6],
    };
    let totals =
        NetworkUsage { subnets: Vec::new(), next: None, gone: Vec::new(), ..changed.clone() };
    let hour = Growth { net: -3, exhausted_in_ms: None };
    let day = Growth { net: 1 << 62, exhausted_in_ms: Some(259_200_000) };
    let grown = SubnetUsage {
        growth_1h: Some(hour),
        growth_24h: Some(day),
        watched_ms: Some(86_400_000),
        ..usage()
    };
    let grown = NetworkUsage { subnets: vec![grown], ..changed.clone() };
    let usages = [("usage_changed", changed), ("usage_totals", totals), ("usage_growth", grown)];
    samples.extend((3_000..).zip(usages).map(|(request_id, (name, usage))| ReplySample {
        name: name.to_owned(),
        opcode: Opcode::USAGE,
        request_id,
        status: Status::OK,
        body: ReplyOrFailure::Reply(Reply::Usage(Box::new(usage))),
    }));
    samples.extend((4_000..).zip(lease_replies()).map(|(request_id, (name, opcode, reply))| {
        let body = ReplyOrFailure::Reply(reply);
        ReplySample { name: name.to_owned(), opcode, request_id, status: Status::OK, body }
    }));
    samples.extend(sample_watch::replies());
    samples.extend(sample_rests::replies());
    samples.extend(sample_holds::replies());
    samples.extend(sample_managers::replies());
    samples.extend(sample_host_leases::replies());
    samples.extend(sample_transfers::replies());
    samples.extend(sample_history::replies().into_iter().chain(sample_principals::replies()));
    samples
}

/// Replies about leases.
fn lease_replies() -> Vec<(&'static str, Opcode, Reply)> {
    let renewed =
        Renewed { address: read("10.0.0.2"), length: 32, revision: REVISION, time_left_ms: 60_000 };
    let endless = Renewed { address: read("fd00:64::10"), length: 124, time_left_ms: 0, ..renewed };
    let counts = RenewedOwner { renewed: 2, endless: 1, expired: 3, stale: 4 };
    let failed = BatchResult::Failed(Box::new(failure(Status::EXPIRED, Vec::new())));
    let results = vec![BatchResult::Renewed(renewed), failed];
    vec![
        ("renew", Opcode::RENEW, Reply::Renewed(renewed)),
        ("renew_endless", Opcode::RENEW, Reply::Renewed(endless)),
        ("renew_owner", Opcode::RENEW_OWNER, Reply::RenewedOwner(counts)),
        ("batch_renew", Opcode::BATCH, Reply::Batch(Box::new(BatchReply { results }))),
        (
            "clock_accept",
            Opcode::CLOCK_ACCEPT,
            Reply::ClockAccepted(ClockAccepted { moved_ms: 31_536_000_000 }),
        ),
        (
            "backup_read",
            Opcode::BACKUP_READ,
            Reply::BackupBlock(BackupBlock {
                block: 7,
                last: false,
                wait_ms: 0,
                bytes: Bytes::from_static(b"adk"),
            }),
        ),
        (
            "backup_read_wait",
            Opcode::BACKUP_READ,
            Reply::BackupBlock(BackupBlock {
                block: 8,
                last: false,
                wait_ms: 20,
                bytes: Bytes::new(),
            }),
        ),
        (
            "server_adopt",
            Opcode::SERVER_ADOPT,
            Reply::Adoption(Adoption { adopting: false, repeated: false, lasted_ms: 3_600_000 }),
        ),
    ]
}

fn project() -> Project {
    Project {
        project_id: PROJECT,
        revision: REVISION,
        networks: 2,
        subnet_pools: 1,
        address_scopes: 0,
        repeated: false,
        name: None,
        description: None,
        quotas: Quotas::default(),
        used: ProjectUse::default(),
    }
}

fn scope() -> AddressScope {
    AddressScope {
        address_scope_id: SCOPE,
        project_id: PROJECT,
        revision: REVISION,
        subnet_pools: 1,
        networks: 2,
        family: Family::V4,
        shared: false,
        repeated: false,
        name: None,
        description: None,
    }
}

fn pool() -> SubnetPool {
    SubnetPool {
        subnet_pool_id: POOL,
        project_id: PROJECT,
        revision: REVISION,
        taken: 3,
        size: 65_536,
        used: 768,
        used_by_project: 512,
        family: Family::V4,
        min_length: 8,
        max_length: 32,
        default_length: 24,
        is_default: false,
        shared: false,
        repeated: false,
        prefixes: vec![read("10.0.0.0/16")],
        default_quota: None,
        address_scope_id: None,
        parent_id: None,
        name: None,
        description: None,
    }
}

fn full_project() -> Project {
    let quotas = Quotas {
        addresses: Some(1_000),
        prefixes: Some(0),
        networks: Some(10),
        subnets: Some(20),
        ports: Some(500),
        resting: Some(5_000),
    };
    Project {
        repeated: true,
        name: some("blue-team"),
        description: some("web"),
        quotas,
        used: ProjectUse {
            addresses: Some(999),
            prefixes: Some(0),
            subnets: Some(3),
            ports: Some(17),
            resting: Some(4),
        },
        ..project()
    }
}

fn catalogue_replies() -> Vec<(&'static str, Opcode, Reply)> {
    let full_project = full_project();
    let full_scope = AddressScope {
        shared: true,
        repeated: true,
        name: some("global"),
        description: some("routed everywhere"),
        ..scope()
    };
    let full_pool = SubnetPool {
        is_default: true,
        shared: true,
        repeated: true,
        prefixes: vec![read("10.0.0.0/16"), read("192.168.0.0/24")],
        default_quota: Some(4_096),
        address_scope_id: Some(SCOPE),
        parent_id: Some(PARENT),
        name: some("nodes"),
        description: some("node blocks"),
        ..pool()
    };
    let projects = ProjectPage {
        position: Seq(1_234),
        items: vec![project(), full_project.clone()],
        next: cursor(),
    };
    let scopes =
        ScopePage { position: Seq(1_234), items: vec![scope(), full_scope.clone()], next: None };
    let pools =
        PoolPage { position: Seq(1_234), items: vec![pool(), full_pool.clone()], next: None };
    let scoped = Network {
        scope_v4: Some(SCOPE),
        scope_v6: Some(AddressScopeId::from_u128(2)),
        ..network()
    };
    let carved = Subnet { subnet_pool_id: Some(POOL), ..subnet() };
    let previewed = PoolPreviewed { cidr: read("10.0.1.0/26") };
    vec![
        ("project_plain", Opcode::PROJECT_CREATE, Reply::Project(Box::new(project()))),
        ("project_full", Opcode::PROJECT_GET, Reply::Project(Box::new(full_project.clone()))),
        ("project_updated", Opcode::PROJECT_UPDATE, Reply::Project(Box::new(full_project))),
        ("projects", Opcode::PROJECT_LIST, Reply::Projects(Box::new(projects))),
        ("project_deleted", Opcode::PROJECT_DELETE, Reply::Empty),
        ("scope_plain", Opcode::SCOPE_CREATE, Reply::Scope(Box::new(scope()))),
        ("scope_full", Opcode::SCOPE_GET, Reply::Scope(Box::new(full_scope.clone()))),
        ("scope_updated", Opcode::SCOPE_UPDATE, Reply::Scope(Box::new(full_scope))),
        ("scopes", Opcode::SCOPE_LIST, Reply::Scopes(Box::new(scopes))),
        ("scope_deleted", Opcode::SCOPE_DELETE, Reply::Empty),
        ("pool_plain", Opcode::POOL_CREATE, Reply::Pool(Box::new(pool()))),
        ("pool_full", Opcode::POOL_GET, Reply::Pool(Box::new(full_pool.clone()))),
        ("pool_updated", Opcode::POOL_UPDATE, Reply::Pool(Box::new(full_pool))),
        ("subnet_onboarded", Opcode::SUBNET_ONBOARD, Reply::Pool(Box::new(pool()))),
        ("pools", Opcode::POOL_LIST, Reply::Pools(Box::new(pools))),
        ("pool_deleted", Opcode::POOL_DELETE, Reply::Empty),
        ("pool_previewed", Opcode::POOL_PREVIEW, Reply::Previewed(previewed)),
        ("network_scoped", Opcode::NETWORK_CREATE, Reply::Network(Box::new(scoped))),
        ("subnet_from_pool", Opcode::SUBNET_CREATE, Reply::Subnet(Box::new(carved))),
    ]
}

fn goaways() -> Vec<ReplySample> {
    let reasons = [
        ("shutdown", GoAwayReason::Shutdown),
        ("session_replaced", GoAwayReason::SessionReplaced),
        ("idle", GoAwayReason::Idle),
        ("slow_reader", GoAwayReason::SlowReader),
        ("access_ended", GoAwayReason::AccessEnded),
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
