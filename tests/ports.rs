//! Ports over TCP: the races that hurt elsewhere, run side by side by many clients, and a kill in
//! between; and the command line. What must hold: an address has one holder, nothing is half done.

#[path = "cli/program.rs"]
#[expect(dead_code, reason = "the command line's tests use the rest")]
mod program;

use addrd_client::protocol::message::{
    FromPool, Ipv6Mode, JobState, NetworkCreate, PoolCreate, Port, PortCreate, PortDelete,
    PortFilter, ScopeCreate, Service, SubnetCreate, SubnetDelete, SubnetKind,
};
use addrd_client::protocol::{
    AddressScopeId, Family, NetworkId, OwnerId, PoolId, PortId, Revision, Setting, Status, SubnetId,
};
use addrd_client::{Client, Error, Settings, plain_allocate};
use program::Server;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;
use tokio::task::JoinSet;

const NETWORK: NetworkId = NetworkId::from_u128(0xb1);

async fn client(server: &Server) -> Client {
    let settings = Settings { lanes: 4, ..Settings::to([server.place.as_str()]).unwrap() };
    Client::connect(settings).await.unwrap()
}

fn subnet(number: u128, cidr: &str) -> SubnetCreate {
    SubnetCreate {
        subnet_id: SubnetId::from_u128(number),
        cidr: cidr.parse().unwrap(),
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
        service: Service::default(),
    }
}

fn slaac(number: u128, cidr: &str) -> SubnetCreate {
    let mode = Some(Ipv6Mode::Slaac);
    let service = Service { ipv6_ra_mode: mode, ipv6_address_mode: mode, ..Service::default() };
    SubnetCreate { enable_dhcp: true, service, ..subnet(number, cidr) }
}

fn port(number: u128) -> PortCreate {
    PortCreate::of(PortId::from_u128(number))
}

/// Runs them all at once and gives what became of each.
async fn together<T: Send + 'static>(
    all: impl IntoIterator<Item: Future<Output = Result<T, Error>> + Send + 'static>,
) -> Vec<Result<T, Error>> {
    let mut running = JoinSet::new();
    for one in all {
        running.spawn(one);
    }
    running.join_all().await
}

async fn ports(client: &Client) -> Vec<Port> {
    client.ports(NETWORK, PortFilter::default()).take(usize::MAX).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_creates_of_one_prefix() {
    let server = Server::dev();
    let client = client(&server).await;
    client.network_create(NETWORK, NetworkCreate::default()).await.unwrap();
    let creates = (1..=40).map(|number| {
        let client = client.clone();
        async move { client.subnet_create(NETWORK, subnet(number, "10.0.0.0/24")).await }
    });
    let outcomes = together(creates).await;
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(made, 1);
    let overlap = |error: &Error| error.is(Status::PREFIX_OVERLAP);
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(overlap));
}

/// Many networks ask for one prefix, each by its own client; exactly one gets it, the others get this.
async fn one_wins(client: &Client, create: &SubnetCreate, refused: Status) {
    let networks: Vec<NetworkId> = (0..40).map(|n| NetworkId::from_u128(0xc00 + n)).collect();
    let creates = networks.iter().map(|&network| {
        let (client, create) = (client.clone(), create.clone());
        async move { client.subnet_create(network, create).await }
    });
    let outcomes = together(creates).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let mut losers = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(losers.all(|error| error.is(refused)));
    let mut there = 0;
    for network in networks {
        there += client.subnets(network).take(usize::MAX).await.unwrap().len();
    }
    assert_eq!(there, 1, "and nobody else has a subnet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_creates_of_one_prefix_from_a_pool() {
    let server = Server::dev();
    let client = client(&server).await;
    let pool = PoolId::from_u128(0xb2);
    let create = PoolCreate::of(Family::V4, vec!["10.0.0.0/16".parse().unwrap()]);
    client.pool_create(pool, create).await.unwrap();
    for number in 0..40 {
        let network = NetworkId::from_u128(0xc00 + number);
        client.network_create(network, NetworkCreate::default()).await.unwrap();
    }
    let from_pool = Some(Box::new(FromPool { subnet_pool_id: pool, ..FromPool::default() }));
    let exact = SubnetCreate { from_pool, ..subnet(1, "10.0.7.0/24") };
    one_wins(&client, &exact, Status::PREFIX_TAKEN).await;
    let after = client.pool_get(pool).await.unwrap();
    assert_eq!((after.taken, after.used, after.used_by_project), (1, 256, 256));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_creates_of_one_prefix_in_a_scope_without_a_pool() {
    let server = Server::dev();
    let client = client(&server).await;
    let scope = AddressScopeId::from_u128(0xb3);
    let create = ScopeCreate { family: Family::V4, shared: false, name: None, description: None };
    client.scope_create(scope, create).await.unwrap();
    for number in 0..40 {
        let network = NetworkId::from_u128(0xc00 + number);
        let create = NetworkCreate { scope_v4: Some(scope), ..NetworkCreate::default() };
        client.network_create(network, create).await.unwrap();
    }
    one_wins(&client, &subnet(1, "10.0.7.0/24"), Status::PREFIX_OVERLAP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subnet_is_deleted_while_ports_are_created() {
    let server = Server::dev();
    let client = client(&server).await;
    client.network_create(NETWORK, NetworkCreate::default()).await.unwrap();
    for round in 0..10 {
        client.subnet_create(NETWORK, subnet(1, "10.0.0.0/24")).await.unwrap();
        let creates = (1..=20).map(|number| {
            let client = client.clone();
            async move { client.port_create(NETWORK, port(round * 100 + number)).await.map(|_| ()) }
        });
        let deleting = {
            let client = client.clone();
            let subnet_id = SubnetId::from_u128(1);
            let delete = SubnetDelete { subnet_id, force: false, expected: Revision(0) };
            async move { client.subnet_delete(NETWORK, delete).await.is_ok() }
        };
        let (outcomes, gone) = tokio::join!(together(creates), deleting);
        assert!(outcomes.iter().all(Result::is_ok), "without a subnet a port has no address");
        let all = ports(&client).await;
        let addressed = all.iter().filter(|port| !port.fixed_ips.is_empty()).count();
        assert!(!gone || addressed == 0, "a port has an address of a subnet that is gone");
        for port in all {
            let delete = PortDelete { port_id: port.port_id, expected: Revision(0) };
            client.port_delete(NETWORK, delete).await.unwrap();
        }
        if !gone {
            let subnet_id = SubnetId::from_u128(1);
            let delete = SubnetDelete { subnet_id, force: false, expected: Revision(0) };
            client.subnet_delete(NETWORK, delete).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auto_address_subnet_comes_while_ports_are_created() {
    let server = Server::dev();
    let client = client(&server).await;
    client.network_create(NETWORK, NetworkCreate::default()).await.unwrap();
    client.subnet_create(NETWORK, subnet(1, "10.0.0.0/16")).await.unwrap();
    let create = |number| {
        let client = client.clone();
        async move { client.port_create(NETWORK, port(number)).await }
    };
    together((1..=300).map(create)).await.into_iter().for_each(|made| drop(made.unwrap()));
    let coming = client.subnet_create(NETWORK, slaac(2, "fd00:1::/64"));
    let (late, made) = tokio::join!(together((301..=600).map(create)), coming);
    late.into_iter().for_each(|made| drop(made.unwrap()));
    let made = made.unwrap();
    let job = client.job_wait(made.filling.expect("there were ports"), |_| ()).await.unwrap();
    assert_eq!(job.state, JobState::Done);
    let all = ports(&client).await;
    let addresses: BTreeSet<IpAddr> =
        all.iter().flat_map(|port| port.fixed_ips.iter().map(|fixed| fixed.ip_address)).collect();
    assert_eq!((all.len(), addresses.len()), (600, 1_200), "each has both, and none is shared");
    for port in all {
        let fixed = port.fixed_ips[1];
        let eui64 = (0xfd00_0001_u128 << 96) | u128::from(port.mac.eui64());
        assert!(fixed.automatic);
        assert_eq!(fixed.ip_address, IpAddr::V6(eui64.into()), "{}", port.mac);
    }
}

/// Counts of many subnets come in pages, and who polls gets only what changed. `ADDRD_SUBNETS` sets
/// how many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_of_many_subnets_is_polled() {
    let many: u32 = std::env::var("ADDRD_SUBNETS").map_or(2_500, |text| text.parse().unwrap());
    let server = Server::dev();
    let client = client(&server).await;
    client.network_create(NETWORK, NetworkCreate::default()).await.unwrap();
    let began = Instant::now();
    let mut next = 0..many;
    while !next.is_empty() {
        let some: Vec<u32> = next.by_ref().take(200).collect();
        let create = |number: u32| {
            let first = Ipv4Addr::from(0x0a00_0000 + 4 * number);
            let (client, id) = (client.clone(), u128::from(number) + 1);
            async move { client.subnet_create(NETWORK, subnet(id, &format!("{first}/30"))).await }
        };
        together(some.into_iter().map(create))
            .await
            .into_iter()
            .for_each(|made| drop(made.unwrap()));
    }
    let (made, began) = (began.elapsed(), Instant::now());
    let all = client.usage(NETWORK, None).await.unwrap();
    let (listed, began) = (began.elapsed(), Instant::now());
    assert_eq!(all.subnets.len(), many as usize);
    client.allocate(NETWORK, plain_allocate(OwnerId::from_u128(1))).await.unwrap();
    let changed = client.usage_changed(NETWORK, all.revision).await.unwrap();
    let (polled, began) = (began.elapsed(), Instant::now());
    assert_eq!(changed.subnets.len(), 1, "the one that gave an address");
    assert_eq!((changed.whole, &changed.gone[..]), (false, &[][..]));
    let sums = client.usage_totals(NETWORK).await.unwrap();
    let summed = began.elapsed();
    let [of] = &sums.totals[..] else { panic!("{sums:?}") };
    assert_eq!((of.subnets, of.size, of.allocated), (many, u128::from(many) * 4, 1));
    assert_eq!((sums.totals, sums.subnets), (changed.totals, Vec::new()));
    let gone = SubnetId::from_u128(many.into());
    let delete = SubnetDelete { subnet_id: gone, force: false, expected: Revision(0) };
    client.subnet_delete(NETWORK, delete).await.unwrap();
    let polled_again = client.usage_changed(NETWORK, changed.revision).await.unwrap();
    assert_eq!((polled_again.subnets, polled_again.gone), (Vec::new(), vec![gone]));
    say(&format!(
        "{many} subnets: made in {made:?}, counted in {listed:?}, polled in {polled:?}, summed in {summed:?}"
    ));
}

#[expect(clippy::print_stderr, reason = "figures are read in the output of the run")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[test]
fn ports_segments_hosts_and_pins_on_the_command_line() {
    let server = Server::dev();
    server.addrd("network create blue").ok();
    server.addrd("segment create blue rack-1 --description left").ok();
    server.addrd("host create blue rack-1 node-1 node-2").ok();
    let id = server.addrd("segment get blue rack-1 -q").ok();
    server.addrd(&format!("subnet create blue 10.0.0.0/24 --segment {}", id.trim())).ok();
    let port = server.addrd("port create blue web-1 --host node-1 -o json").json();
    assert_eq!(port["fixed_ips"][0]["ip_address"], "10.0.0.2");
    let error = server.addrd("port create blue web-2 --host node-9").fails(3);
    assert!(error.contains("HOST_NOT_CONNECTED"), "{error}");
    let wanted = "port update blue web-1 --ip 10.0.0.9 --ip subnet=10.0.0.0/24 -q";
    assert_eq!(server.addrd(wanted).ok(), "10.0.0.2\n10.0.0.9\n");
    server.addrd("pin create blue 10.0.0.50 --owner printer").ok();
    let taken = server.addrd("port create blue web-3 --ip 10.0.0.50").fails(3);
    assert!(taken.contains("PINNED"), "{taken}");
    assert_eq!(server.addrd("pin list blue -q").ok(), "10.0.0.50\n");
    server.addrd("pin delete blue 10.0.0.50").ok();
    assert_eq!(server.addrd("host list blue --segment rack-1 -q").ok(), "node-1\nnode-2\n");
    server.addrd("port delete blue web-1").ok();
    server.addrd("port get blue web-1").fails(4);
    assert!(server.addrd("segment delete blue rack-1").fails(3).contains("IN_USE"));
}
