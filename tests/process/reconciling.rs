//! Reconciliation over kill -9 (decision 0027): clusters whose hosts have the same names, lists in parts that are lost, doubled and
//! late, dry runs in between, pods that start, move and vanish meanwhile. What lives keeps its address; what is dead is gone
//! after two complete calls behind the last crash.

use super::pods::{Cluster, Counts, HOSTS, Keeper, LATE, Lane, NETWORKS, Pod, Shared, World, lock};
use crate::support::network::{PROJECTS, network, subnet, text};
use crate::support::seed::Choices;
use crate::support::server::{Server, Site};
use crate::support::{eventually, run, say, scale};
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, AllocationFilter, AllocationState, Batch, BatchItem, BatchMode, Live,
    NetworkCreate, ProjectCreate, Reconcile, Reply, Request, Strategy, SuspectList,
};
use addrd_client::protocol::{NetworkId, OwnerId, ProjectId, Retry, Slot, Status};
use addrd_client::{Client, Error, plain_allocate};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far longer than a list is on its way, also on a machine that does other things.
const GRACE: Duration = Duration::from_millis(3_000);
/// Keepers of a cluster, and pods of each.
const KEEPERS: u64 = 3;
const PODS: u64 = 10;
/// How often the missing parts of a call are sent.
const TRIES: u64 = 4;
/// Calls of a dry run are so far ahead: had one any effect, each later call would be refused.
const DRY_AHEAD: u64 = 1_000_000;

/// Speaks for a host.
struct Agent {
    world: Shared,
    cluster: usize,
    host: usize,
    lane: Lane,
    choices: Choices,
    call: u64,
    /// The last call about each network, or all.
    last: BTreeMap<NetworkId, u64>,
    /// Parts that arrive when a later call has begun, and when their list was made.
    late: Vec<(Instant, NetworkId, Reconcile)>,
}

/// A call that is being made.
struct Asking {
    network: NetworkId,
    made: Instant,
    parts: Vec<Reconcile>,
}

impl Agent {
    async fn live(mut self) {
        while !lock(&self.world).is_over {
            let is_new = self.lane.open().await;
            let must_announce = {
                let mut world = lock(&self.world);
                let of = &mut world.clusters[self.cluster];
                std::mem::take(&mut of.announce[self.host]) || is_new && of.is_silent
            };
            if must_announce {
                self.announce().await;
                continue;
            }
            if self.choices.one_in(4) {
                self.rehearse().await;
            }
            self.call().await;
            let pause = self.choices.below(10..150);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// What lives on the host at this moment.
    fn list(&mut self, network: NetworkId, parts: u64) -> Asking {
        let world = lock(&self.world);
        let of = &world.clusters[self.cluster];
        let here = |pod: &&Pod| {
            pod.is_alive
                && pod.host == self.host
                && [NetworkId::NIL, pod.network].contains(&network)
        };
        let pods = of.pods.iter().filter(|(_, pod)| here(pod));
        let live: Vec<Live> = pods
            .map(|(owner, pod)| Live { owner: *owner, slot: Slot(0), instance: pod.instance })
            .collect();
        let made = Instant::now();
        self.call += 1;
        self.last.insert(network, self.call);
        let part = |part: u64| {
            let mine = live.iter().enumerate();
            let mine = mine.filter(|(at, _)| *at as u64 % parts == part).map(|(_, one)| *one);
            Reconcile {
                part: part as u16,
                parts: parts as u16,
                ..call_of(of.manager, self.host, self.call, mine.collect())
            }
        };
        Asking { network, made, parts: (0..parts).map(part).collect() }
    }

    /// A whole list of all networks, at once: something has come here, or the server has started again.
    async fn announce(&mut self) {
        let asking = self.list(NetworkId::NIL, 1);
        for part in &asking.parts {
            if self.send(asking.network, part).await != Some(true) {
                lock(&self.world).clusters[self.cluster].announce[self.host] = true;
            }
        }
    }

    /// Tells what an empty list would come to, and nothing comes of it.
    async fn rehearse(&mut self) {
        let (project, manager) = self.names();
        let dry = Reconcile {
            dry_run: true,
            ..call_of(manager, self.host, self.call + DRY_AHEAD, Vec::new())
        };
        let request = Request::Reconcile(Box::new(dry));
        match self.lane.ask(project, NetworkId::NIL, &request).await {
            Some(Ok(Reply::Reconciled(told))) if told.complete && told.listed == 0 => {
                lock(&self.world).counts.dry += 1;
            }
            Some(Err(failure)) if failure.status.retry() == Retry::Later => {}
            None => {}
            other => self.fault(format!("a dry run got {other:?}")),
        }
    }

    /// A call in parts, of which some are lost, some come twice and some late; what is missing is sent again.
    async fn call(&mut self) {
        let network = *self.choices.pick(&[NetworkId::NIL, NETWORKS[0], NETWORKS[1]]);
        let parts = self.choices.below(1..5);
        let asking = self.list(network, parts);
        for _ in 0..TRIES {
            let mut order = asking.parts.clone();
            let mut is_complete = false;
            while !order.is_empty() {
                let at = self.choices.below(0..order.len() as u64) as usize;
                let part = order.swap_remove(at);
                for _ in 0..*self.choices.pick(&[0, 1, 1, 1, 2]) {
                    if self.choices.one_in(3) {
                        let pause = self.choices.below(0..100);
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                    }
                    if asking.made.elapsed() > LATE {
                        lock(&self.world).counts.given_up += 1;
                        return;
                    }
                    if self.choices.one_in(10) {
                        self.late.push((asking.made, network, part.clone()));
                        continue;
                    }
                    match self.send(network, &part).await {
                        Some(complete) => is_complete |= complete,
                        // The server is gone, and what it knew of the call.
                        None => is_complete = false,
                    }
                }
                self.send_late(asking.made).await;
            }
            if is_complete {
                lock(&self.world).counts.calls += 1;
                return;
            }
        }
        lock(&self.world).counts.given_up += 1;
    }

    /// Parts of calls before the one whose list was made then.
    async fn send_late(&mut self, made: Instant) {
        let (older, own) =
            std::mem::take(&mut self.late).into_iter().partition::<Vec<_>, _>(|one| one.0 < made);
        self.late = own;
        for (listed, network, part) in older {
            if listed.elapsed() <= LATE {
                _ = self.send(network, &part).await;
            }
        }
    }

    /// Sends a part. Whether its call is complete; `None` = nobody knows.
    async fn send(&mut self, network: NetworkId, part: &Reconcile) -> Option<bool> {
        let (project, _) = self.names();
        let request = Request::Reconcile(Box::new(part.clone()));
        match self.lane.ask(project, network, &request).await? {
            Ok(Reply::Reconciled(told)) if told.call == part.call => Some(told.complete),
            Err(failure) if failure.status.retry() == Retry::Later => None,
            Err(failure)
                if failure.status == Status::RECONCILE_STALE
                    && part.call < self.last.get(&network).copied().unwrap_or_default() =>
            {
                lock(&self.world).counts.stale += 1;
                Some(false)
            }
            other => {
                self.fault(format!("{part:?} got {other:?}"));
                None
            }
        }
    }

    fn names(&self) -> (ProjectId, &'static str) {
        let world = lock(&self.world);
        let of = &world.clusters[self.cluster];
        (of.project, of.manager)
    }

    fn fault(&self, what: String) {
        let place = (self.cluster, HOSTS[self.host]);
        lock(&self.world).faults.push(format!("{place:?}: {what}"));
    }
}

/// A call of one part, about a host.
fn call_of(manager: &str, host: usize, call: u64, live: Vec<Live>) -> Reconcile {
    Reconcile {
        manager: text(manager),
        host: text(HOSTS[host]),
        call,
        part: 0,
        parts: 1,
        grace_ms: GRACE.as_millis() as u32,
        dry_run: false,
        live,
    }
}

fn clusters() -> Vec<Cluster> {
    // The third has the manager's name of the first, in another project.
    let all =
        [(PROJECTS[0], "east", false), (PROJECTS[0], "west", true), (PROJECTS[1], "east", false)];
    let cluster = |(project, manager, is_silent)| Cluster {
        project,
        manager,
        is_silent,
        pods: BTreeMap::new(),
        announce: [false; HOSTS.len()],
    };
    all.into_iter().map(cluster).collect()
}

async fn make_networks(client: &Client) {
    let project = ProjectCreate::default();
    client.in_project(PROJECTS[1]).project_create(project).await.expect("a project is made");
    for (network, cidr) in NETWORKS.into_iter().zip(["10.0.0.0/26", "10.1.0.0/26"]) {
        let create = NetworkCreate { shared: true, ..NetworkCreate::default() };
        client.network_create(network, create).await.expect("a network is made");
        let create = subnet(network, cidr, Strategy::Next);
        client.subnet_create(network, create).await.expect("a subnet is made");
    }
}

/// What a project holds, by owner and manager.
async fn held(
    client: &Client,
    project: ProjectId,
) -> BTreeMap<(OwnerId, String), (NetworkId, IpAddr)> {
    let client = client.in_project(project).on_networks_of(ProjectId::DEFAULT);
    let mut found = BTreeMap::new();
    for network in NETWORKS {
        let all = client.allocations(network, AllocationFilter::default());
        for one in all.take(usize::MAX).await.expect("a list goes on") {
            let manager = one.manager.as_ref().map_or("", |name| name.as_str()).to_owned();
            if one.project_id == project && one.state == AllocationState::Allocated {
                found.insert((one.owner, manager), (network, one.address));
            }
        }
    }
    found
}

/// What lives, in the same form.
fn alive(cluster: &Cluster) -> BTreeMap<(OwnerId, String), (NetworkId, IpAddr)> {
    let alive = cluster.pods.iter().filter(|(_, pod)| pod.is_alive);
    alive
        .map(|(owner, pod)| ((*owner, cluster.manager.to_owned()), (pod.network, pod.address)))
        .collect()
}

async fn released(site: &Site) -> u64 {
    let figures = site.figures().await;
    figures.get("addrd_suspects_released_total").expect("a figure of releases") as u64
}

/// Every host says what lives on it, all of it, once.
async fn call_of_everybody(client: &Client, world: &Shared, number: u64) {
    for cluster in 0..3 {
        for host in 0..HOSTS.len() {
            let (project, call) = {
                let world = lock(world);
                let of = &world.clusters[cluster];
                let here = of.pods.iter().filter(|(_, pod)| pod.is_alive && pod.host == host);
                let live = here.map(|(owner, pod)| Live {
                    owner: *owner,
                    slot: Slot(0),
                    instance: pod.instance,
                });
                (of.project, call_of(of.manager, host, number, live.collect()))
            };
            let client = client.in_project(project);
            let told = client.reconcile(NetworkId::NIL, &call, &call.live).await;
            let told = told.expect("a call is answered");
            assert!(told.complete && !told.too_early, "{cluster}, {host}: {told:?}");
        }
    }
}

/// Begins everything that goes on beside the kills.
fn set_out(site: &Site, world: &Shared, choices: &mut Choices) -> tokio::task::JoinSet<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for cluster in 0..3 {
        for keeper in 0..KEEPERS {
            // The same owners live in the first and in the third cluster.
            let base = u128::from(cluster as u64 % 2 * 1_000 + keeper * PODS + 1);
            let owners = (0..PODS).map(|at| OwnerId::from_u128(base + u128::from(at))).collect();
            let lane = Lane::new(site.listen(), choices);
            let choices = choices.fork();
            let keeper = Keeper { world: Arc::clone(world), cluster, owners, lane, choices };
            tasks.spawn(keeper.live());
        }
        for host in 0..HOSTS.len() {
            let agent = Agent {
                world: Arc::clone(world),
                cluster,
                host,
                lane: Lane::new(site.listen(), choices),
                choices: choices.fork(),
                call: 0,
                last: BTreeMap::new(),
                late: Vec::new(),
            };
            tasks.spawn(agent.live());
        }
    }
    tasks
}

/// Kills the server in the middle of things, now and then right behind releases; how many those were.
async fn kill_and_start<'a>(
    site: &'a Site,
    server: Server<'a>,
    world: &Shared,
    choices: &mut Choices,
    awaits_releases: bool,
) -> (Server<'a>, u64) {
    let calls = lock(world).counts.calls + choices.below(1..20);
    let least = if awaits_releases { choices.below(1..8) } else { 0 };
    let done = async || {
        let is_over = !lock(world).faults.is_empty();
        let has_called = lock(world).counts.calls >= calls;
        (is_over || has_called && released(site).await >= least).then_some(())
    };
    eventually("calls and releases", done).await;
    let until = Instant::now() + Duration::from_micros(choices.below(0..50_000));
    while Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let count = released(site).await;
    server.kill();
    (site.start().await, count)
}

#[test]
fn what_lives_is_never_freed_through_kill_9_and_what_died_is_in_the_end() {
    let rounds = scale("ADDRD_ROUNDS", 6);
    run(Duration::from_secs(240 + 30 * rounds), async {
        let mut choices = Choices::of_test("reconciling");
        let site = Site::new();
        let mut server = site.start().await;
        let client = site.client().await;
        make_networks(&client).await;
        let world = Shared::default();
        *lock(&world) = World { clusters: clusters(), ..World::default() };
        let mut tasks = set_out(&site, &world, &mut choices);
        let mut by_calls = 0;
        for round in 0..rounds {
            let awaits_releases = round % 2 == 0;
            let (again, count) =
                kill_and_start(&site, server, &world, &mut choices, awaits_releases).await;
            (server, by_calls) = (again, by_calls + count);
        }
        lock(&world).is_over = true;
        while let Some(done) = tasks.join_next().await {
            done.expect("who lives or lists ends");
        }
        let Counts { started, leaked, stale, dry, .. } = {
            let world = lock(&world);
            say(&format!("{:?}, {by_calls} released by calls", world.counts));
            assert_eq!(world.faults, Vec::<String>::new());
            world.counts
        };
        assert!(started > 0 && leaked > 0 && stale > 0 && dry > 0 && by_calls > 0);
        server.kill();
        let server = site.start().await;
        call_of_everybody(&client, &world, 1).await;
        tokio::time::sleep(GRACE).await;
        call_of_everybody(&client, &world, 2).await;
        for project in [PROJECTS[0], PROJECTS[1]] {
            let lives = {
                let world = lock(&world);
                let own = world.clusters.iter().filter(|of| of.project == project);
                own.flat_map(alive).collect::<BTreeMap<_, _>>()
            };
            let is_so = async || (held(&client, project).await == lives).then_some(());
            eventually("what died to be gone, and nothing else", is_so).await;
        }
        server.stop().await;
        site.check_is_clean();
    });
}

/// A restart forgets what calls missed, and may change the number of workers: a list that had begun before is not whole, and
/// says so instead of ending early.
#[test]
fn a_list_of_suspects_does_not_go_on_over_a_restart() {
    run(Duration::from_secs(120), async {
        let settings =
            |workers: u16| format!("workers = {workers}\njournal_records_max = 262144\n");
        let site = Site::new().with_config(&settings(3));
        let server = site.start().await;
        let client = site.client().await;
        for (number, cidr) in (1..).zip(["10.0.0.0/23", "10.1.0.0/23", "10.2.0.0/23"]) {
            let network = network(&client, number, &[cidr]).await;
            let extras = AllocateExtras {
                manager: Some(text("cni")),
                host: Some(text("n1")),
                ..AllocateExtras::default()
            };
            let items = (1..=200).map(|owner| {
                let plain = plain_allocate(OwnerId::from_u128(number << 32 | owner));
                BatchItem::Allocate(Allocate { extras: Some(Box::new(extras.clone())), ..plain })
            });
            let batch = Batch { mode: BatchMode::AllOrNothing, items: items.collect() };
            let done = client.batch(network, batch).await.expect("a batch is answered");
            assert_eq!(done.results.len(), 200);
        }
        let missed = call_of("cni", 0, 1, Vec::new());
        let missed = Reconcile { host: text("n1"), ..missed };
        client.reconcile(NetworkId::NIL, &missed, &[]).await.expect("a call is answered");
        let mut list = client.suspects(NetworkId::NIL, SuspectList::default());
        let first = list.next_page().await.expect("a page comes").expect("there are suspects");
        assert!(!first.is_empty());
        server.stop().await;
        let site = site.with_config(&settings(1));
        let server = site.start().await;
        let Err(Error::Refused(stale)) = list.next_page().await else {
            panic!("a list that is not whole went on");
        };
        assert_eq!((stale.status, stale.field), (Status::STALE, Some(text("cursor"))));
        let again = Reconcile { call: 2, ..missed };
        client.reconcile(NetworkId::NIL, &again, &[]).await.expect("a call is answered");
        let all = client.suspects(NetworkId::NIL, SuspectList::default()).collect().await;
        assert_eq!(all.expect("a list is whole").len(), 600);
        server.stop().await;
    });
}
