//! A network that one project shares, over TCP, with several projects at it at once. What must hold: an
//! address has one holder over all projects, no project sees another's, and the network doesn't cease to
//! be shared while a guest holds something on it; also across a kill.

#[path = "cli/program.rs"]
#[expect(dead_code, reason = "the command line's tests use the rest")]
mod program;

use addrd_client::protocol::message::{
    Allocate, AllocateExtras, AllocationFilter, Fences, NetworkCreate, NetworkUpdate, PortCreate,
    PortDelete, ProjectCreate, Release, SubnetCreate, SubnetKind, Target,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, PortId, ProjectId, Revision, Setting, Slot, Status, SubnetId, Text,
};
use addrd_client::{Client, Settings, plain_allocate};
use program::Server;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

const NETWORK: NetworkId = NetworkId::from_u128(0xc1);
/// 0 owns the network.
const PROJECTS: u128 = 3;
/// Rounds of each task.
const ROUNDS: u64 = 150;

/// Who certainly holds an address: from the answer to an allocation to the sending of the release.
type Book = Arc<Mutex<BTreeMap<IpAddr, (u128, Revision)>>>;

fn project(number: u128) -> ProjectId {
    if number == 0 { ProjectId::DEFAULT } else { ProjectId::from_u128(number) }
}

async fn client(server: &Server, number: u128) -> Client {
    let settings = Settings { lanes: 2, ..Settings::to([server.place.as_str()]).unwrap() };
    let client = Client::connect(settings).await.unwrap();
    client.in_project(project(number)).on_networks_of(ProjectId::DEFAULT)
}

/// A shared network with 29 addresses for all.
async fn lent(server: &Server) {
    let home = client(server, 0).await;
    for number in 1..PROJECTS {
        let guest = home.in_project(project(number));
        guest.project_create(ProjectCreate::default()).await.unwrap();
    }
    let create = NetworkCreate { shared: true, ..NetworkCreate::default() };
    home.network_create(NETWORK, create).await.unwrap();
    let subnet = SubnetCreate {
        subnet_id: SubnetId::from_u128(1),
        cidr: "10.0.0.0/27".parse().unwrap(),
        kind: SubnetKind::Broadcast,
        strategy: Default::default(),
        enable_dhcp: false,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        quarantine_ms: Some(0),
        service: Default::default(),
    };
    home.subnet_create(NETWORK, subnet).await.unwrap();
}

/// What a project writes beside what it holds.
fn secret(number: u128) -> String {
    format!("canary-of-{number}")
}

/// The same owners in every project.
fn request(number: u128, round: u64) -> Allocate {
    let owner = OwnerId::from_u128(u128::from(1 + round % 7));
    let label = Text::new(&secret(number)).ok();
    let extras = AllocateExtras { label, ..AllocateExtras::default() };
    Allocate {
        slot: Slot((round % 3) as u16),
        extras: Some(Box::new(extras)),
        ..plain_allocate(owner)
    }
}

fn enter(book: &Book, address: IpAddr, number: u128, revision: Revision) {
    let other = book.lock().unwrap().insert(address, (number, revision));
    assert!(
        other.is_none_or(|other| other == (number, revision)),
        "{address}: {other:?} and {number}"
    );
}

fn leave(book: &Book, address: IpAddr) {
    book.lock().unwrap().remove(&address);
}

/// Takes and lets go, and looks at what it can see; the same key comes again and again.
async fn hammer(client: Client, number: u128, book: Book) {
    for round in 0..ROUNDS {
        let asked = request(number, round);
        let got = match client.allocate(NETWORK, asked.clone()).await {
            Ok(got) => got.first,
            // Not shared just now, or full.
            Err(error) if error.is(Status::NOT_FOUND) || error.is(Status::EXHAUSTED) => continue,
            Err(error) => panic!("{error}"),
        };
        enter(&book, got.address, number, got.revision);
        if round % 8 == 0 {
            let listed = client.allocations(NETWORK, AllocationFilter::default());
            for held in listed.take(usize::MAX).await.unwrap() {
                let own = held.project_id == project(number);
                assert!(own || number == 0, "{number} sees {held:?}");
                assert_eq!(held.owner.is_nil(), !own, "{number} sees {held:?}");
                let label = held.label.as_deref();
                assert!(label.is_none_or(|label| label == secret(number)), "{number}: {held:?}");
            }
        }
        if round % 3 == 0 {
            let port_id = PortId::from_u128(u128::from(100 + round % 5));
            let create = PortCreate {
                description: Text::new(&secret(number)).ok(),
                ..PortCreate::of(port_id)
            };
            if let Ok(port) = client.port_create(NETWORK, create).await {
                let fixed = port.fixed_ips[0];
                enter(&book, fixed.ip_address, number, fixed.revision);
                leave(&book, fixed.ip_address);
                let expected = Revision(0);
                client.port_delete(NETWORK, PortDelete { port_id, expected }).await.unwrap();
            }
        }
        leave(&book, got.address);
        let target = Target::Key { owner: asked.owner, slot: asked.slot };
        let release = Release { target, fences: Fences::default(), any: false };
        let released = client.release(NETWORK, release).await.unwrap().expect("it was held");
        assert_eq!(released.address, got.address);
    }
}

/// Ends the sharing whenever it can, and begins it again.
async fn toggle(client: Client, book: Book) -> u64 {
    let set = |shared| NetworkUpdate { shared: Setting::Value(shared), ..NetworkUpdate::default() };
    let mut ended = 0;
    for _ in 0..ROUNDS {
        let before = book.lock().unwrap().clone();
        match client.network_update(NETWORK, set(false)).await {
            Ok(network) => {
                assert!(!network.shared);
                ended += 1;
                let after = book.lock().unwrap().clone();
                let mut guests = before.iter().filter(|(_, (number, _))| *number != 0);
                let through = guests.find(|(address, holder)| after.get(address) == Some(holder));
                assert_eq!(through, None, "a guest held it all the time");
                client.network_update(NETWORK, set(true)).await.unwrap();
            }
            Err(error) => assert!(error.is(Status::IN_USE), "{error}"),
        }
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_is_doubled_and_nobody_sees_the_others_while_the_sharing_comes_and_goes() {
    let server = Server::dev();
    lent(&server).await;
    let book = Book::default();
    let mut tasks = JoinSet::new();
    for number in 0..PROJECTS {
        // One task a project: a key is one task's.
        tasks.spawn(hammer(client(&server, number).await, number, Arc::clone(&book)));
    }
    let mut toggling = JoinSet::new();
    toggling.spawn(toggle(client(&server, 0).await, Arc::clone(&book)));
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    toggling.join_all().await;
    // Everybody has let go: now it can end for sure, and guests are strangers.
    let home = client(&server, 0).await;
    let shared = Setting::Value(false);
    home.network_update(NETWORK, NetworkUpdate { shared, ..NetworkUpdate::default() })
        .await
        .unwrap();
    let refused = client(&server, 1).await.allocate(NETWORK, request(1, 0)).await.unwrap_err();
    assert!(refused.is(Status::NOT_FOUND), "{refused}");
    assert_eq!(home.network_get(NETWORK).await.unwrap().allocations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_each_project_finds_its_own_and_the_network_is_still_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    lent(&server).await;
    let mut held = BTreeMap::new();
    for number in 0..PROJECTS {
        let client = client(&server, number).await;
        for round in 0..4 {
            let got = client.allocate(NETWORK, request(number, round)).await.unwrap().first;
            held.insert((number, round), (got.address, got.revision));
        }
    }
    server.end(rustix::process::Signal::KILL);
    let server = Server::start(&data, &[]);
    for (&(number, round), &(address, revision)) in &held {
        let client = client(&server, number).await;
        let again = client.allocate(NETWORK, request(number, round)).await.unwrap().first;
        assert_eq!((again.address, again.revision, again.repeated), (address, revision, true));
    }
    let home = client(&server, 0).await;
    let set = NetworkUpdate { shared: Setting::Value(false), ..NetworkUpdate::default() };
    assert!(home.network_update(NETWORK, set).await.unwrap_err().is(Status::IN_USE));
    // A project that the server knows again may come in, one that it doesn't may not.
    let stranger = home.in_project(ProjectId::from_u128(99)).on_networks_of(ProjectId::DEFAULT);
    let refused = stranger.allocate(NETWORK, request(9, 0)).await.unwrap_err();
    assert!(refused.is(Status::NOT_FOUND), "{refused}");
}
