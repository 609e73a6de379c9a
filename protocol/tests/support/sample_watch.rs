//! Samples of the change feed: watches, events of every kind, what is left of objects, ends.

use super::sample_replies::{allocation, network, subnet};
use super::*;

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0a00;
const TIME_MS: u64 = 1_764_255_600_000;
const PORT: PortId = PortId::from_u128(0x9999_9999_9999_4999_8999_9999_9999_9999);
const SEGMENT: SegmentId = SegmentId::from_u128(0x8888_8888_8888_4888_8888_8888_8888_8888);
const OTHER: ProjectId = ProjectId::from_u128(0xbbbb_bbbb_bbbb_4bbb_8bbb_bbbb_bbbb_bbbb);

fn at(position: u64) -> FeedPosition {
    FeedPosition { incarnation: Incarnation(2), position: Seq(position) }
}

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let full = Watch {
        from: Some(at(1_234)),
        singles: true,
        kinds: vec![EventKind::Subnet, EventKind::Allocation],
        subnet: Some(SUBNET),
        owner: Some(OWNER),
        label: some("app=web"),
    };
    let all = [
        ("watch_now", Request::Watch(Box::default())),
        ("watch_full", Request::Watch(Box::new(full))),
        ("unwatch", Request::Unwatch(Unwatch { watch: FIRST })),
    ];
    let sample = |(number, (name, request)): (u64, (&str, Request))| RequestSample {
        name: name.to_owned(),
        header: header(request.opcode(), number),
        request,
    };
    (FIRST..).zip(all).map(sample).collect()
}

fn gone(kind: EventKind) -> Gone {
    Gone {
        kind,
        id: Uuid::nil(),
        network_id: NETWORK,
        project_id: PROJECT,
        subnet_id: SubnetId::NIL,
        owner: OwnerId::NIL,
        slot: Slot(0),
        address: None,
        length: 0,
        host: None,
        network_project: None,
    }
}

fn project() -> Project {
    Project {
        project_id: PROJECT,
        revision: REVISION,
        networks: 0,
        subnet_pools: 0,
        address_scopes: 0,
        repeated: false,
        name: some("web"),
        description: None,
        quotas: Quotas { addresses: Some(256), ..Quotas::default() },
        used: ProjectUse::default(),
    }
}

fn scope() -> AddressScope {
    AddressScope {
        address_scope_id: SCOPE,
        project_id: PROJECT,
        revision: REVISION,
        subnet_pools: 0,
        networks: 0,
        family: Family::V4,
        shared: false,
        repeated: false,
        name: some("inside"),
        description: None,
    }
}

fn pool() -> SubnetPool {
    SubnetPool {
        subnet_pool_id: POOL,
        project_id: PROJECT,
        revision: REVISION,
        taken: 0,
        size: 0,
        used: 0,
        used_by_project: 0,
        family: Family::V4,
        min_length: 8,
        max_length: 32,
        default_length: 26,
        is_default: false,
        shared: false,
        repeated: false,
        prefixes: vec![read("10.0.0.0/16")],
        default_quota: None,
        address_scope_id: Some(SCOPE),
        parent_id: None,
        name: None,
        description: None,
    }
}

fn level() -> LevelEvent {
    LevelEvent {
        network_id: NETWORK,
        subnet_id: SUBNET,
        subnet_pool_id: PoolId::NIL,
        project_id: PROJECT,
        level: 95,
        before: 80,
        used: 242,
        size: 254,
    }
}

fn objects() -> Vec<EventObject> {
    let segment = Segment {
        segment_id: SEGMENT,
        network_id: NETWORK,
        revision: REVISION,
        subnets: 0,
        hosts: 0,
        repeated: false,
        description: some("rack 12"),
    };
    let mapping = HostMapping { segment_id: SEGMENT, host: text("node-7") };
    let port = Port {
        port_id: PORT,
        network_id: NETWORK,
        revision: REVISION,
        mac: Mac([0xfa, 0x16, 0x3e, 0x00, 0x0a, 0xff]),
        ip_allocation: IpAllocation::Immediate,
        repeated: false,
        more: true,
        fixed_ips: Vec::new(),
        host: some("node-7"),
        device_owner: None,
        description: None,
    };
    let pin = Pin {
        address: read("10.0.0.9"),
        subnet_id: SUBNET,
        owner: OWNER,
        slot: Slot(0),
        revision: REVISION,
        held: false,
        repeated: false,
        owner_name: some("web-1"),
    };
    let job = Job {
        job_id: JobId(7),
        kind: JobKind::SubnetDelete,
        state: JobState::Done,
        network_id: NETWORK,
        subnet_id: SUBNET,
        done: 70_000,
        total: 70_000,
    };
    vec![
        EventObject::Project(Box::new(project())),
        EventObject::Scope(Box::new(scope())),
        EventObject::Pool(Box::new(pool())),
        EventObject::Network(Box::new(Network { subnets: 0, allocations: 0, ..network() })),
        EventObject::Segment(Box::new(segment)),
        EventObject::Host(Box::new(HostEvent { network_id: NETWORK, mapping })),
        EventObject::Subnet(Box::new(Subnet { allocations: 0, ..subnet() })),
        EventObject::Port(Box::new(port)),
        EventObject::Pin(Box::new(PinEvent { network_id: NETWORK, pin })),
        EventObject::Allocation(Box::new(allocation())),
        EventObject::Job(Box::new(job)),
    ]
}

/// A subnet falls, a pool rises.
fn levels() -> Vec<EventObject> {
    let falls = LevelEvent { level: 80, before: 95, used: 228, ..level() };
    let pool = LevelEvent {
        network_id: NetworkId::NIL,
        subnet_id: SubnetId::NIL,
        subnet_pool_id: POOL,
        level: 100,
        before: 0,
        used: 65_536,
        size: 65_536,
        ..level()
    };
    [falls, pool].map(|event| EventObject::Level(Box::new(event))).into()
}

fn departed() -> Vec<EventObject> {
    let project = Gone { id: PROJECT.0, network_id: NetworkId::NIL, ..gone(EventKind::Project) };
    let port = Gone { id: PORT.0, network_project: Some(OTHER), ..gone(EventKind::Port) };
    let host = Gone { id: SEGMENT.0, host: some("node-7"), ..gone(EventKind::Host) };
    let allocation = Gone {
        subnet_id: SUBNET,
        owner: OWNER,
        slot: Slot(3),
        address: Some(read("10.0.0.2")),
        length: 32,
        ..gone(EventKind::Allocation)
    };
    let all = [project, port, host, allocation];
    all.map(|gone| EventObject::Gone(Box::new(gone))).into()
}

fn events(position: u64, up_to_date: bool, objects: Vec<EventObject>) -> Reply {
    let event =
        |object| Event { position: Seq(1_235), revision: REVISION, time_ms: TIME_MS, object };
    let items = objects.into_iter().map(event).collect();
    Reply::Events(Box::new(Events { watch: FIRST, resume: at(position), up_to_date, items }))
}

/// Replies and own frames of this room.
pub(super) fn replies() -> Vec<ReplySample> {
    let begun = Reply::Watching(Watching { begins: at(1_234), heartbeat_ms: 5_000 });
    let allocation = EventObject::Allocation(Box::new(allocation()));
    let end = |reason| {
        Reply::WatchEnd(WatchEnd { watch: FIRST, resume: at(1_235), reason, oldest: Seq(1_300) })
    };
    let all = [
        ("watch_begun", Opcode::WATCH, begun),
        ("events_none", Opcode::EVENTS, events(1_235, true, Vec::new())),
        ("events_allocation", Opcode::EVENTS, events(1_234, false, vec![allocation])),
        ("events_of_every_kind", Opcode::EVENTS, events(1_235, true, objects())),
        ("events_gone", Opcode::EVENTS, events(1_235, true, departed())),
        ("watch_end_slow", Opcode::WATCH_END, end(WatchEndReason::Slow)),
        ("watch_end_relist", Opcode::WATCH_END, end(WatchEndReason::Relist)),
        ("unwatch_done", Opcode::UNWATCH, Reply::Empty),
        ("events_levels", Opcode::EVENTS, events(1_236, true, levels())),
    ];
    let sample = |(request_id, (name, opcode, reply)): (u64, (&str, Opcode, Reply))| ReplySample {
        name: name.to_owned(),
        opcode,
        request_id: if matches!(opcode, Opcode::EVENTS | Opcode::WATCH_END) {
            0
        } else {
            request_id
        },
        status: Status::OK,
        body: ReplyOrFailure::Reply(reply),
    };
    (FIRST..).zip(all).map(sample).collect()
}
