//! Quotas of projects over real sockets, with several workers: 64 connections race for the last ten
//! addresses of a project, and whatever happens, a kill -9 included, no project ever has more than
//! its quota, and what is used is what is held.

use crate::support::network::subnet;
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::{eventually, run, scale};
use addrd_client::protocol::message::{
    Allocation, AllocationFilter, Detail, Fences, NetworkCreate, PortCreate, PortDelete,
    ProjectCreate, ProjectUpdate, QuotaResource, QuotaSettings, Quotas, Release, Strategy, Target,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, PortId, ProjectId, Revision, Setting, Slot, Status,
};
use addrd_client::{Client, Error, plain_allocate};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const CLIENTS: u64 = 64;
/// Addresses that are left when the race begins.
const LAST: u64 = 10;
/// What the project has before.
const HELD: u64 = 5;
/// Networks, so that several workers decide.
const NETWORKS: u128 = 8;

/// The project that races on networks of its own, and the one that is everybody's guest.
const OWNER: ProjectId = ProjectId::from_u128(0x0a);
const GUEST: ProjectId = ProjectId::from_u128(0x0b);

const fn network(number: u128) -> NetworkId {
    NetworkId::from_u128(0x40 + number)
}

fn owner(number: u64) -> OwnerId {
    OwnerId::from_u128(number.into())
}

/// Four workers, and eight shared networks of a project.
fn site() -> Site {
    Site::new().with_config("workers = 4\njournal_records_max = 262144\n")
}

async fn set_up(site: &Site, quotas: Quotas) {
    let client = site.client().await;
    for project in [OWNER, GUEST] {
        let create = ProjectCreate { quotas, ..ProjectCreate::default() };
        client.in_project(project).project_create(create).await.expect("a project is made");
    }
    let home = client.in_project(OWNER);
    for number in 0..NETWORKS {
        let shared = NetworkCreate { shared: true, ..NetworkCreate::default() };
        home.network_create(network(number), shared).await.expect("a network is made");
        let subnet = subnet(network(number), "10.0.0.0/20", Strategy::Next);
        home.subnet_create(network(number), subnet).await.expect("a subnet is made");
    }
}

fn addresses(count: u64) -> Quotas {
    Quotas { addresses: Some(count), ..Quotas::default() }
}

/// A connection of a project, on the networks of [`OWNER`].
async fn client_of(site: &Site, project: ProjectId) -> Client {
    site.client().await.in_project(project).on_networks_of(OWNER)
}

/// What a project has on a network.
async fn held(client: &Client, network: NetworkId, project: ProjectId) -> Vec<Allocation> {
    let listed = client.allocations(network, AllocationFilter::default());
    let mut all = listed.take(usize::MAX).await.expect("a list goes on");
    all.retain(|one| one.project_id == project);
    all
}

/// How much a project has on all networks.
async fn holds(site: &Site, project: ProjectId) -> u64 {
    let client = client_of(site, project).await;
    let mut count = 0;
    for number in 0..NETWORKS {
        count += held(&client, network(number), project).await.len() as u64;
    }
    count
}

async fn let_go(
    client: &Client,
    network: NetworkId,
    owner: OwnerId,
    slot: Slot,
) -> Result<(), Error> {
    let target = Target::Key { owner, slot };
    let release = Release { target, fences: Fences::default(), any: false };
    client.release(network, release).await.map(drop)
}

async fn used(site: &Site, project: ProjectId) -> u64 {
    let shown = site.client().await.in_project(project).project_get(None).await.unwrap();
    shown.used.addresses.expect("project_get tells what is used")
}

/// Whether it was got; else it was over the quota, with the numbers that must be.
fn is_got<T>(outcome: Result<T, Error>, limit: u64) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) if error.is(Status::QUOTA) => {
            let failure = error.failure().expect("a refusal has a body");
            let [Detail::Quota { resource, limit: told, used, asked }] = failure.details[..] else {
                panic!("{failure:?}");
            };
            assert_eq!(resource, QuotaResource::Addresses);
            assert_eq!(told, u128::from(limit));
            assert!(used + asked > told, "{failure:?} is no reason to refuse");
            assert!(used <= told, "the quota was passed: {failure:?}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn sixty_four_connections_race_for_the_last_ten() {
    run(Duration::from_secs(300), async {
        let site = site();
        let server = site.start().await;
        set_up(&site, addresses(HELD + LAST)).await;
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let project = if number % 2 == 0 { OWNER } else { GUEST };
            clients.push((project, client_of(&site, project).await));
        }
        for round in 0..scale("ADDRD_ROUNDS", 20).min(40) {
            for project in [OWNER, GUEST] {
                for number in 0..HELD {
                    let client = client_of(&site, project).await;
                    client
                        .allocate(network(0), plain_allocate(owner(1_000 + number)))
                        .await
                        .unwrap();
                }
            }
            // 32 connections of each project, all at once, two requests each; some ask by a port.
            let mut race = JoinSet::new();
            for (number, (project, client)) in (0..CLIENTS).zip(clients.iter().cloned()) {
                race.spawn(async move { (project, take_two(&client, number, round).await) });
            }
            let mut got = [0; 2];
            while let Some(done) = race.join_next().await {
                let (project, count) = done.unwrap();
                got[usize::from(project == GUEST)] += count;
            }
            assert_eq!(got, [LAST; 2], "round {round}");
            for project in [OWNER, GUEST] {
                assert_eq!(used(&site, project).await, HELD + LAST);
                assert_eq!(holds(&site, project).await, HELD + LAST);
                release_all(&site, project).await;
                assert_eq!(used(&site, project).await, 0);
            }
        }
        server.stop().await;
        site.check_is_clean();
    });
}

/// Two addresses on two networks, one of them with a port in some rounds; gives how many it got.
async fn take_two(client: &Client, number: u64, round: u64) -> u64 {
    let place = |shift: u64| network(u128::from(number + round + shift) % NETWORKS);
    let own = owner(1 + number);
    let first = async {
        if round % 3 == 2 && number % 4 < 2 {
            return client.port_create(place(0), port(number)).await.map(drop);
        }
        client.allocate(place(0), plain_allocate(own)).await.map(drop)
    };
    let second = async { client.allocate(place(3), plain_allocate(own)).await.map(drop) };
    let (first, second) = tokio::join!(first, second);
    [first, second].into_iter().map(|one| u64::from(is_got(one, HELD + LAST))).sum()
}

/// A port with one address, of IPv4 since there is no other.
fn port(number: u64) -> PortCreate {
    PortCreate::of(PortId::from_u128(0x9000 + u128::from(number)))
}

async fn release_all(site: &Site, project: ProjectId) {
    let client = client_of(site, project).await;
    for number in 0..NETWORKS {
        let ports = client.ports(network(number), Default::default());
        for port in ports.take(usize::MAX).await.unwrap() {
            let delete = PortDelete { port_id: port.port_id, expected: Revision(0) };
            client.port_delete(network(number), delete).await.unwrap();
        }
        for one in held(&client, network(number), project).await {
            let_go(&client, network(number), one.owner, one.slot).await.unwrap();
        }
    }
}

#[test]
fn a_quota_holds_across_kill_9() {
    let rounds = scale("ADDRD_ROUNDS", 20).min(60) / 2;
    run(Duration::from_secs(300 + 30 * rounds), async {
        let mut choices = Choices::of_test("quotas");
        let site = site();
        let mut server = site.start().await;
        set_up(&site, addresses(LAST)).await;
        for round in 0..rounds {
            let count = Arc::new(Mutex::new(Some(0_u64)));
            let mut work = JoinSet::new();
            for number in 0..CLIENTS / 2 {
                let project = if number % 2 == 0 { OWNER } else { GUEST };
                let client = client_of(&site, project).await;
                let count = Arc::clone(&count);
                work.spawn(async move { churn(&client, number, &count).await });
            }
            let target = choices.below(200..2_000);
            eventually("enough answers", async || {
                count.lock().unwrap().is_some_and(|answers| answers >= target).then_some(())
            })
            .await;
            server.kill();
            *count.lock().unwrap() = None;
            server = site.start().await;
            while let Some(done) = work.join_next().await {
                done.unwrap();
            }
            for project in [OWNER, GUEST] {
                let held = holds(&site, project).await;
                assert!(held <= LAST, "round {round}: {held} of {LAST} are held");
                assert_eq!(used(&site, project).await, held, "round {round}");
                // Exactly the rest can be had.
                let client = client_of(&site, project).await;
                for number in 0..LAST + 2 {
                    let place = network(u128::from(number) % NETWORKS);
                    let got = client.allocate(place, plain_allocate(owner(5_000 + number))).await;
                    assert_eq!(is_got(got, LAST), held + number < LAST, "round {round}");
                }
                release_all(&site, project).await;
            }
        }
        // One that is set anew holds as well.
        let quotas = QuotaSettings { addresses: Setting::Value(1), ..QuotaSettings::default() };
        let update = ProjectUpdate { quotas, ..ProjectUpdate::default() };
        site.client().await.in_project(GUEST).project_update(update).await.unwrap();
        server.kill();
        let server = site.start().await;
        let client = client_of(&site, GUEST).await;
        for number in 0..3 {
            let got = client.allocate(network(number), plain_allocate(owner(1))).await;
            assert_eq!(is_got(got, 1), number == 0);
        }
        server.stop().await;
        site.check_is_clean();
    });
}

/// Takes and lets go until there is nothing to count answers in.
async fn churn(client: &Client, number: u64, count: &Mutex<Option<u64>>) {
    let mut turn = number;
    while count.lock().unwrap().is_some() {
        turn += 1;
        let place = network(u128::from(turn) % NETWORKS);
        // What has no answer has an unknown outcome; the next start tells.
        if let_go(client, place, owner(number), Slot(0)).await.is_err() {
            continue;
        }
        match client.allocate(place, plain_allocate(owner(number))).await {
            Ok(_) => {}
            Err(error) if error.is(Status::QUOTA) => {
                let other = network(u128::from(turn + 1) % NETWORKS);
                drop(let_go(client, other, owner(number), Slot(0)).await);
            }
            Err(_) => continue,
        }
        if let Some(answers) = &mut *count.lock().unwrap() {
            *answers += 1;
        }
    }
}
