//! The native client against the real program: a server that stops, is killed and comes back, and
//! several ways to the same one.

#[path = "cli/program.rs"]
#[expect(dead_code, reason = "the command line's tests use the rest")]
mod program;

use addrd_client::protocol::message::{
    AllocationFilter, Batch, BatchItem, BatchMode, BatchResult, EventKind, EventObject, Fences,
    Grant, Lookup, NetworkCreate, NetworkDelete, PortFilter, PrincipalCreate, PrincipalUpdate,
    Release, Strategy, SubnetCreate, SubnetKind, SuspectList, Target, TokenCreate, TokenRevoke,
    Verb, Verbs, Watch,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, PrincipalId, Revision, Setting, Slot, Status, SubnetId, Text, TokenHash,
    TokenId,
};
use addrd_client::{BackoffLimits, Change, Client, Deleted, Error, Settings, plain_allocate};
use program::Server;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

const NETWORK: NetworkId = NetworkId::from_u128(0xb1);

fn settings(place: &str) -> Settings {
    let backoff =
        BackoffLimits { first: Duration::from_millis(5), most: Duration::from_millis(100) };
    Settings { lanes: 3, backoff, ..Settings::to([place]).unwrap() }
}

/// A network with a subnet of 65,536 addresses.
async fn make(client: &Client) {
    client.network_create(NETWORK, NetworkCreate::default()).await.unwrap();
    let create = SubnetCreate {
        subnet_id: SubnetId::from_u128(1),
        cidr: "10.0.0.0/16".parse().unwrap(),
        kind: SubnetKind::Routed,
        strategy: Strategy::Default,
        enable_dhcp: false,
        gateway: Setting::Null,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        quarantine_ms: Some(0),
        service: Default::default(),
    };
    client.subnet_create(NETWORK, create).await.unwrap();
}

fn owner(number: u32) -> OwnerId {
    OwnerId::from_text(&format!("owner-{number}"))
}

fn release(number: u32) -> Release {
    let target = Target::Key { owner: owner(number), slot: Slot(0) };
    Release { target, fences: Fences::default(), any: false }
}

#[tokio::test]
async fn every_operation_answers_in_its_type() {
    let server = Server::dev();
    let client = Client::connect(settings(&server.place)).await.unwrap();
    make(&client).await;
    let one = client.allocate(NETWORK, plain_allocate(owner(1))).await.unwrap().first;
    let again = client.allocate(NETWORK, plain_allocate(owner(1))).await.unwrap().first;
    assert_eq!((again.address, again.repeated), (one.address, true));
    let found = client.lookup(NetworkId::NIL, Lookup::Address(one.address)).await.unwrap();
    assert_eq!(found.allocations.len(), 1);
    let items = (2..100).map(|n| BatchItem::Allocate(plain_allocate(owner(n)))).collect();
    let batch = Batch { mode: BatchMode::AllOrNothing, items };
    let reply = client.batch(NETWORK, batch).await.unwrap();
    assert!(reply.results.iter().all(|result| matches!(result, BatchResult::Allocated(_))));
    let pages = client.allocations(NETWORK, AllocationFilter::default()).page_objects(7);
    let listed: BTreeSet<IpAddr> =
        pages.take(usize::MAX).await.unwrap().iter().map(|held| held.address).collect();
    assert_eq!(listed.len(), 99);
    assert!(client.release(NETWORK, release(1)).await.unwrap().is_some());
    assert!(client.release(NETWORK, release(1)).await.unwrap().is_none());
    let error = client.network_get(NetworkId::from_u128(404)).await.unwrap_err();
    assert!(error.is(Status::NOT_FOUND));
    let error = client.network_delete(NETWORK, NetworkDelete::default()).await.unwrap_err();
    assert!(error.is(Status::IN_USE));
    let forced = NetworkDelete { force: true, ..NetworkDelete::default() };
    let deleted = client.network_delete(NETWORK, forced).await.unwrap();
    assert!(matches!(deleted, Deleted::ByJob(_)));
    client.deleted(deleted).await.unwrap();
    assert!(client.network_get(NETWORK).await.unwrap_err().is(Status::NOT_FOUND));
}

#[tokio::test]
async fn principals_and_tokens_are_made_changed_and_ended() {
    let server = Server::dev();
    let client = Client::connect(settings(&server.place)).await.unwrap();
    let principal_id = PrincipalId::from_u128(7);
    let name = Text::new("cni").unwrap();
    let create =
        PrincipalCreate { principal_id, name: Some(name.clone()), ..PrincipalCreate::default() };
    let made = client.principal_create(create.clone()).await.unwrap();
    assert!(!made.repeated && client.principal_create(create).await.unwrap().repeated);
    assert_eq!(client.principal_get(principal_id).await.unwrap(), made);
    assert_eq!(client.principal_find(name).await.unwrap(), made);
    let (token_id, hash) = (TokenId(1), TokenHash([2; 32]));
    let token = TokenCreate { principal_id, token_id, hash, life_ms: 0 };
    assert_eq!(client.token_create(token).await.unwrap().tokens[0].token_id, token_id);
    let revoke = TokenRevoke { token_id, after_ms: 3_600_000 };
    let ending = client.token_revoke(revoke).await.unwrap();
    assert!(ending.tokens[0].time_left_ms.is_some_and(|left| left <= 3_600_000));
    let verbs = Verbs::NONE.with(Verb::Read);
    let grants = Setting::Value(vec![Grant { project_id: None, verbs, manager: None }]);
    let expected = made.revision;
    let update = PrincipalUpdate { principal_id, expected, grants, ..PrincipalUpdate::default() };
    // The token has changed it.
    assert!(client.principal_update(update.clone()).await.unwrap_err().is(Status::STALE));
    let update = PrincipalUpdate { expected: ending.revision, ..update };
    assert_eq!(client.principal_update(update).await.unwrap().grants[0].verbs, verbs);
    let other =
        PrincipalCreate { principal_id: PrincipalId::from_u128(8), ..PrincipalCreate::default() };
    client.principal_create(other).await.unwrap();
    let listed = client.principals(None).page_objects(1).take(usize::MAX).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|principal| principal.principal_id).collect();
    assert_eq!(ids, [principal_id, PrincipalId::from_u128(8)]);
    let named = client.principals(Text::new("cn").ok()).take(usize::MAX).await.unwrap();
    assert_eq!(named.len(), 1);
    client.principal_delete(principal_id, Revision(0)).await.unwrap();
    let gone = client.principal_delete(principal_id, Revision(0)).await.unwrap_err();
    assert!(gone.is(Status::NOT_FOUND));
}

/// Allocates for many owners while the server ends and comes back; what it is told must be so.
async fn through_an_end(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let socket = format!("unix:{}", data.join("addrd.sock").display());
    let first = Server::start(&data, &[]);
    let client = Client::connect(settings(&socket)).await.unwrap();
    make(&client).await;
    let mut calls = JoinSet::new();
    for number in 0..500 {
        let client = client.clone();
        calls.spawn(async move {
            let allocate = plain_allocate(owner(number));
            client.allocate(NETWORK, allocate).await.map(|got| (number, got.first))
        });
    }
    let mut told = vec![calls.join_next().await.unwrap().unwrap().unwrap()];
    let restarted = tokio::task::spawn_blocking(move || restart(first, &data, signal));
    while let Some(call) = calls.join_next().await {
        told.push(call.unwrap().unwrap());
    }
    let _second = restarted.await.unwrap();
    let addresses: BTreeSet<IpAddr> = told.iter().map(|(_, got)| got.address).collect();
    assert_eq!(addresses.len(), 500, "nobody shares an address");
    for (number, got) in told {
        let held = client.allocate(NETWORK, plain_allocate(owner(number))).await.unwrap().first;
        assert_eq!((held.address, held.revision), (got.address, got.revision));
    }
}

fn restart(server: Server, data: &Path, signal: Signal) -> Server {
    server.end(signal);
    Server::start(data, &[])
}

#[tokio::test]
async fn calls_ride_through_a_stop_and_a_start() {
    through_an_end(Signal::TERM).await;
}

#[tokio::test]
async fn calls_ride_through_a_kill_and_a_start() {
    through_an_end(Signal::KILL).await;
}

#[tokio::test]
async fn another_way_to_the_same_server_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let socket = format!("unix:{}", data.join("addrd.sock").display());
    let endpoints = ["127.0.0.1:1", socket.as_str(), server.place.as_str()];
    let client = Client::connect(Settings::to(endpoints).unwrap()).await.unwrap();
    make(&client).await;
    let id = client.server().unwrap().server_id;
    // Pinned to what answered: another data set is refused.
    let other = Server::dev();
    let pinned = Settings { server_id: Some(id), ..settings(&other.place) };
    let error = Client::connect(pinned).await.unwrap_err();
    assert!(matches!(error, Error::WrongServer { expected, .. } if expected == id), "{error}");
}

/// What is held, by address.
type Held = BTreeMap<IpAddr, OwnerId>;

/// Between the pages and behind the last one addresses come and go, also such as were listed before: the watch from
/// the list's position tells all of that.
#[tokio::test]
async fn a_list_and_a_watch_from_its_position_end_with_the_exact_state() {
    let server = Server::dev();
    let client = Client::connect(settings(&server.place)).await.unwrap();
    make(&client).await;
    for number in 0..60 {
        client.allocate(NETWORK, plain_allocate(owner(number))).await.unwrap();
    }
    let list = || client.allocations(NETWORK, AllocationFilter::default()).page_objects(7);
    let mut listed = list();
    assert_eq!(listed.position(), None, "nothing was read yet");
    let (mut known, mut round, mut began) = (Held::new(), 0, None);
    while let Some(page) = listed.next_page().await.unwrap() {
        assert_eq!(*began.get_or_insert(listed.position()), listed.position(), "of the first page");
        known.extend(page.iter().map(|held| (held.address, held.owner)));
        // One that was listed, one that will be, and a new one.
        client.release(NETWORK, release(round)).await.unwrap();
        client.release(NETWORK, release(59 - round)).await.unwrap();
        client.allocate(NETWORK, plain_allocate(owner(100 + round))).await.unwrap();
        round += 1;
    }
    assert!(round > 5, "{round} pages");
    client.release(NETWORK, release(30)).await.unwrap();
    client.allocate(NETWORK, plain_allocate(owner(200))).await.unwrap();
    let mut again = list();
    let truth: Held =
        again.collect().await.unwrap().iter().map(|held| (held.address, held.owner)).collect();
    assert_ne!(known, truth, "the list alone is of no time");
    let from = listed.position();
    assert!(from.unwrap().position < again.position().unwrap().position);
    let watch = Watch { from, kinds: vec![EventKind::Allocation], ..Watch::default() };
    let mut changes = client.watch(NETWORK, watch).await.unwrap();
    while let Change::Event(event) = changes.next().await.unwrap() {
        match event.object {
            EventObject::Allocation(held) => drop(known.insert(held.address, held.owner)),
            EventObject::Gone(gone) => drop(known.remove(&gone.address.unwrap())),
            other => panic!("not asked for: {other:?}"),
        }
    }
    assert_eq!(known, truth);
}

/// Each list of what a watch tells has a position, with the incarnation of the server that told it.
#[tokio::test]
async fn lists_say_from_where_to_watch() {
    let server = Server::dev();
    let client = Client::connect(settings(&server.place)).await.unwrap();
    make(&client).await;
    let incarnation = client.server().unwrap().incarnation;
    macro_rules! position_of {
        ($list:expr) => {{
            let mut list = $list;
            list.collect().await.unwrap();
            list.position()
        }};
    }
    for position in [
        position_of!(client.networks(None)),
        position_of!(client.subnets(NETWORK)),
        position_of!(client.allocations(NETWORK, AllocationFilter::default())),
        position_of!(client.ports(NETWORK, PortFilter::default())),
        position_of!(client.projects(None)),
        position_of!(client.pools(None)),
    ] {
        let position = position.unwrap();
        assert_eq!(position.incarnation, incarnation);
        let watch = Watch { from: Some(position), ..Watch::default() };
        client.watch(NetworkId::NIL, watch).await.unwrap();
    }
    assert_eq!(position_of!(client.jobs()), None);
    assert_eq!(position_of!(client.suspects(NetworkId::NIL, SuspectList::default())), None);
}
