//! Samples of shared networks: made so, used by another project, and found by it; of what is made
//! again as it was; and of transactions, which can have all of it.

use super::sample_ports::{port_create, restored_port};
use super::sample_replies::{allocation, network};
use super::*;

/// The project that the network of these samples belongs to.
const OTHER: ProjectId = ProjectId::from_u128(0xbbbb_bbbb_bbbb_4bbb_8bbb_bbbb_bbbb_bbbb);

/// Number of the first request and of the first reply.
const FIRST: u64 = 0x0700;

fn owner_requests() -> Vec<(&'static str, Request)> {
    let create = NetworkCreate { shared: true, ..NetworkCreate::default() };
    let update = |shared| NetworkUpdate { shared, ..NetworkUpdate::default() };
    vec![
        ("network_create_shared", Request::NetworkCreate(Box::new(create))),
        ("network_share", Request::NetworkUpdate(Box::new(update(Setting::Value(true))))),
        ("network_unshare", Request::NetworkUpdate(Box::new(update(Setting::Null)))),
    ]
}

fn guest_requests() -> Vec<(&'static str, Request)> {
    let key = Target::Key { owner: OWNER, slot: Slot(0) };
    let labelled = AllocateExtras { label: some("app=web"), ..AllocateExtras::default() };
    let labelled = Allocate { extras: Some(Box::new(labelled)), ..plain_allocate() };
    let release = Release { target: key, fences: Fences::default(), any: false };
    let port = BatchItem::PortCreate(Box::new(port_create()));
    let items = vec![BatchItem::Allocate(plain_allocate()), port];
    let batch = Batch { mode: BatchMode::AllOrNothing, items };
    vec![
        ("shared_allocate", Request::Allocate(plain_allocate())),
        ("shared_allocate_labelled", Request::Allocate(labelled)),
        ("shared_release", Request::Release(release)),
        ("shared_batch", Request::Batch(Box::new(batch))),
        ("shared_get", Request::AllocationGet(Box::new(AllocationGet { target: key }))),
        ("shared_list", Request::AllocationList(Box::default())),
        ("shared_lookup", Request::Lookup(Box::new(Lookup::Owner(OWNER)))),
        ("shared_usage", Request::Usage(Box::default())),
        ("shared_port_create", Request::PortCreate(Box::new(port_create()))),
        ("shared_network_get", Request::NetworkGet(NetworkGet {})),
    ]
}

/// Two networks, one of them another project's, and a pool.
fn transaction() -> Transaction {
    let key = Target::Key { owner: OWNER, slot: Slot(0) };
    let release = Release { target: key, fences: Fences::default(), any: false };
    let item = |network, operation| TransactionItem {
        network,
        pool: false,
        network_project: None,
        operation,
    };
    let prefix = Allocate { length: Some(24), ..plain_allocate() };
    let items = vec![
        item(NETWORK, BatchItem::Allocate(plain_allocate())),
        TransactionItem {
            network_project: Some(OTHER),
            ..item(NETWORK, BatchItem::PortCreate(Box::new(port_create())))
        },
        TransactionItem { pool: true, ..item(NetworkId(POOL.0), BatchItem::Allocate(prefix)) },
        item(NETWORK, BatchItem::Release(release)),
    ];
    Transaction { items }
}

fn restoring_requests() -> Vec<(&'static str, Request)> {
    let port = BatchItem::PortCreate(Box::new(restored_port()));
    let items = vec![BatchItem::Allocate(plain_allocate()), port];
    let batch = Batch { mode: BatchMode::Independent, items };
    vec![
        ("restore_allocation", Request::Allocate(plain_allocate())),
        ("restore_port", Request::PortCreate(Box::new(restored_port()))),
        ("restore_batch", Request::Batch(Box::new(batch))),
    ]
}

/// Requests of this room.
pub(super) fn requests() -> Vec<RequestSample> {
    let own = owner_requests().into_iter().map(|sample| (None, false, sample));
    let guests = guest_requests().into_iter().map(|sample| (Some(OTHER), false, sample));
    let restoring = restoring_requests().into_iter().map(|sample| (None, true, sample));
    let transaction = Request::Transaction(Box::new(transaction()));
    let transaction = [(None, false, ("transaction", transaction))];
    let sample = |(number, (network_project, restoring, (name, request))): (u64, _)| {
        let request: Request = request;
        let header =
            RequestHeader { network_project, restoring, ..header(request.opcode(), number) };
        RequestSample { name: String::from(name), header, request }
    };
    (FIRST..).zip(own.chain(guests).chain(restoring).chain(transaction)).map(sample).collect()
}

/// Replies of this room.
pub(super) fn replies() -> Vec<ReplySample> {
    let shared = Network { shared: true, project_id: OTHER, ..network() };
    let held = Allocation { network_project: Some(OTHER), ..allocation() };
    let guests =
        Allocation { owner: OwnerId::NIL, slot: Slot(0), instance: Instance(0), ..held.clone() };
    let subnet = SubnetRef {
        network_id: NETWORK,
        subnet_id: SUBNET,
        cidr: read("10.0.0.0/24"),
        network_project: Some(OTHER),
    };
    let found = Lookups { allocations: vec![held.clone()], subnets: vec![subnet], more: false };
    let done = BatchReply { results: vec![BatchResult::PortDeleted, BatchResult::NotHeld] };
    let all = [
        ("network_shared", Opcode::NETWORK_GET, Reply::Network(Box::new(shared))),
        ("shared_held", Opcode::ALLOCATION_GET, Reply::Allocation(Box::new(held))),
        ("shared_held_by_a_guest", Opcode::ALLOCATION_GET, Reply::Allocation(Box::new(guests))),
        ("shared_found", Opcode::LOOKUP, Reply::Lookups(Box::new(found))),
        ("transaction", Opcode::TRANSACTION, Reply::Batch(Box::new(done))),
    ];
    let sample = |(request_id, (name, opcode, reply)): (u64, (&str, Opcode, Reply))| ReplySample {
        name: name.to_owned(),
        opcode,
        request_id,
        status: Status::OK,
        body: ReplyOrFailure::Reply(reply),
    };
    (FIRST..).zip(all).map(sample).collect()
}
