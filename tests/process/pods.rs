//! What lives on the hosts of a reconciliation under kill -9: pods that start, move, begin a second life, end properly, or
//! vanish without a word. Knows for each what is certain, and never reconciles.

use crate::support::line::{Answer, Line, hello_of};
use crate::support::network::text;
use crate::support::seed::Choices;
use addrd_client::plain_allocate;
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, AllocateFlags, AllocationGet, AllocationState, AllocationUpdate,
    Fences, Release, Reply, Request, Strategy, Target,
};
use addrd_client::protocol::{
    Instance, NetworkId, OwnerId, ProjectId, Retry, Revision, SessionId, Setting, Slot, Status,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Networks, which all projects use.
pub(crate) const NETWORKS: [NetworkId; 2] = [NetworkId::from_u128(1), NetworkId::from_u128(2)];
/// Hosts of each cluster: the same names everywhere.
pub(crate) const HOSTS: [&str; 3] = ["n1", "n2", "n3"];
/// Longest time from a list to the arrival of the last of its parts, as far as a client can see to it.
pub(crate) const LATE: Duration = Duration::from_millis(700);

/// Something that uses an address for certain, or did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pod {
    pub(crate) network: NetworkId,
    pub(crate) address: IpAddr,
    pub(crate) revision: Revision,
    pub(crate) instance: Instance,
    /// Where it runs, whatever the server knows of that.
    pub(crate) host: usize,
    pub(crate) is_alive: bool,
    /// Lives so far: whoever read it before knows whether it is the same.
    pub(crate) life: u64,
}

/// A manager with its hosts, and what lives there.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) project: ProjectId,
    pub(crate) manager: &'static str,
    /// Nobody tells the server where a pod has moved to but the host that lists it.
    pub(crate) is_silent: bool,
    pub(crate) pods: BTreeMap<OwnerId, Pod>,
    /// Hosts that have to say at once what lives on them.
    pub(crate) announce: [bool; HOSTS.len()],
}

/// All clusters, and what was found.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) faults: Vec<String>,
    pub(crate) counts: Counts,
    pub(crate) is_over: bool,
}

/// What happened, for the output of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) started: u64,
    pub(crate) leaked: u64,
    pub(crate) released: u64,
    pub(crate) moved: u64,
    pub(crate) calls: u64,
    pub(crate) given_up: u64,
    pub(crate) stale: u64,
    pub(crate) dry: u64,
}

pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that is opened again whenever it is gone.
pub(crate) struct Lane {
    address: SocketAddr,
    session: SessionId,
    epoch: u64,
    line: Option<Line>,
}

impl Lane {
    pub(crate) fn new(address: SocketAddr, choices: &mut Choices) -> Self {
        Self { address, session: SessionId::from_u128(choices.id()), epoch: 0, line: None }
    }

    /// Opens it if need be. Whether it is a new one, which may show a server that was started again.
    pub(crate) async fn open(&mut self) -> bool {
        if self.line.is_some() {
            return false;
        }
        self.epoch += 1;
        self.line = Line::open(self.address, &hello_of(self.session, self.epoch)).await.ok();
        if self.line.is_none() {
            // Nobody listens: the server is being started.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.line.is_some()
    }

    /// Sends one request; `None` = its outcome is unknown.
    pub(crate) async fn ask(
        &mut self,
        project: ProjectId,
        network: NetworkId,
        request: &Request,
    ) -> Option<Answer> {
        self.open().await;
        let line = self.line.as_mut()?;
        line.queue_as(project, network, request);
        let answer = match line.flush().await {
            Ok(()) => line.next().await,
            Err(error) => Err(error),
        };
        if answer.is_err() {
            self.line = None;
        }
        answer.ok().map(|(_, answer)| answer)
    }

    /// The same until it is answered with more than that it should come later.
    pub(crate) async fn insist(
        &mut self,
        project: ProjectId,
        network: NetworkId,
        request: &Request,
    ) -> Answer {
        loop {
            match self.ask(project, network, request).await {
                Some(Err(failure)) if failure.status.retry() == Retry::Later => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Some(answer) => return answer,
                None => {}
            }
        }
    }
}

/// Runs some pods of a cluster, one thing after the other.
pub(crate) struct Keeper {
    pub(crate) world: Shared,
    pub(crate) cluster: usize,
    pub(crate) owners: Vec<OwnerId>,
    pub(crate) lane: Lane,
    pub(crate) choices: Choices,
}

impl Keeper {
    /// Goes on until the run is over. What was begun is done then.
    pub(crate) async fn live(mut self) {
        while !lock(&self.world).is_over {
            let owner = *self.choices.pick(&self.owners);
            let pod = lock(&self.world).clusters[self.cluster].pods.get(&owner).copied();
            match pod.filter(|pod| pod.is_alive) {
                // Most of what died stays so for longer than calls need.
                None if pod.is_none() || self.choices.one_in(40) => self.start(owner, pod).await,
                None => {}
                Some(pod) => match self.choices.below(0..40) {
                    0 | 1 => self.leak(owner),
                    2 => self.release(owner, pod).await,
                    3..10 => self.migrate(owner, pod).await,
                    10 | 11 => self.second_life(owner, pod).await,
                    _ => self.look(owner, pod).await,
                },
            }
            tokio::time::sleep(Duration::from_millis(self.choices.below(0..40))).await;
        }
    }

    fn cluster(&self) -> (ProjectId, &'static str, bool) {
        let world = lock(&self.world);
        let of = &world.clusters[self.cluster];
        (of.project, of.manager, of.is_silent)
    }

    fn change(&self, owner: OwnerId, change: impl FnOnce(&mut Pod)) {
        lock(&self.world).clusters[self.cluster].pods.get_mut(&owner).map(change);
    }

    fn fault(&self, what: String) {
        lock(&self.world).faults.push(format!("cluster {}: {what}", self.cluster));
    }

    fn take(&mut self, owner: OwnerId, instance: Instance, host: usize) -> Request {
        let (_, manager, _) = self.cluster();
        let extras = AllocateExtras {
            manager: Some(text(manager)),
            host: Some(text(HOSTS[host])),
            ..AllocateExtras::default()
        };
        Request::Allocate(Allocate {
            instance,
            flags: AllocateFlags { takeover: true, ..AllocateFlags::default() },
            strategy: *self.choices.pick(&[Strategy::Lowest, Strategy::Random]),
            extras: Some(Box::new(extras)),
            ..plain_allocate(owner)
        })
    }

    /// A pod begins, perhaps under the name of one that vanished, whose address it takes over.
    async fn start(&mut self, owner: OwnerId, before: Option<Pod>) {
        let (project, _, _) = self.cluster();
        // A name belongs to a network.
        let network = before.map_or(*self.choices.pick(&NETWORKS), |pod| pod.network);
        let instance = Instance(before.map_or(1, |pod| pod.instance.0 + 1));
        let host = self.choices.below(0..HOSTS.len() as u64) as usize;
        let request = self.take(owner, instance, host);
        match self.lane.insist(project, network, &request).await {
            Ok(Reply::Allocated(got)) => {
                let (address, revision) = (got.first.address, got.first.revision);
                let life = before.map_or(1, |pod| pod.life + 1);
                let pod = Pod { network, address, revision, instance, host, is_alive: true, life };
                self.begin(owner, pod);
                // What a former life left may say another host.
                if before.is_some() {
                    self.tell(owner, pod).await;
                }
            }
            Err(failure) if failure.status == Status::EXHAUSTED => {}
            other => self.fault(format!("{owner} starts: {other:?}")),
        }
    }

    /// A pod lives, and nobody else may use its address.
    fn begin(&self, owner: OwnerId, pod: Pod) {
        let mut world = lock(&self.world);
        let place = (pod.network, pod.address);
        let all = world.clusters.iter().enumerate();
        let taken = all.flat_map(|(at, of)| of.pods.iter().map(move |(id, one)| (at, id, one)));
        let taken = taken
            .filter(|(_, _, one)| one.is_alive && (one.network, one.address) == place)
            .map(|taken| format!("{owner} got {pod:?}, which lives as {taken:?}"));
        let taken: Vec<String> = taken.collect();
        world.faults.extend(taken);
        world.counts.started += 1;
        world.clusters[self.cluster].pods.insert(owner, pod);
    }

    fn leak(&self, owner: OwnerId) {
        self.change(owner, |pod| pod.is_alive = false);
        lock(&self.world).counts.leaked += 1;
    }

    async fn release(&mut self, owner: OwnerId, pod: Pod) {
        self.change(owner, |pod| pod.is_alive = false);
        let (project, _, _) = self.cluster();
        let fences = Fences { revision: Some(pod.revision), ..Fences::default() };
        let target = Target::Key { owner, slot: Slot(0) };
        let request = Request::Release(Release { target, fences, any: false });
        match self.lane.insist(project, pod.network, &request).await {
            Ok(Reply::Released(_) | Reply::Empty) => lock(&self.world).counts.released += 1,
            other => self.fault(format!("{owner} releases {pod:?}: {other:?}")),
        }
    }

    /// A pod runs elsewhere at once; the server learns of it later, or from lists alone.
    async fn migrate(&mut self, owner: OwnerId, pod: Pod) {
        let host = self.choices.below(0..HOSTS.len() as u64) as usize;
        self.change(owner, |pod| pod.host = host);
        lock(&self.world).counts.moved += 1;
        tokio::time::sleep(Duration::from_millis(self.choices.below(0..200))).await;
        self.tell(owner, Pod { host, ..pod }).await;
    }

    async fn tell(&mut self, owner: OwnerId, pod: Pod) {
        let (project, _, is_silent) = self.cluster();
        if is_silent {
            lock(&self.world).clusters[self.cluster].announce[pod.host] = true;
            return;
        }
        let update = AllocationUpdate {
            target: Target::Key { owner, slot: Slot(0) },
            fences: Fences { instance: Some(pod.instance), ..Fences::default() },
            label: Setting::Unset,
            host: Setting::Value(text(HOSTS[pod.host])),
            manager_name: Setting::Unset,
            owner_name: Setting::Unset,
            lease_ms: Setting::Unset,
            follow_host: None,
        };
        let request = Request::AllocationUpdate(Box::new(update));
        match self.lane.insist(project, pod.network, &request).await {
            Ok(Reply::Allocation(now)) if now.address == pod.address => {}
            other => self.fault(format!("{owner} moves as {pod:?}: {other:?}")),
        }
    }

    async fn second_life(&mut self, owner: OwnerId, pod: Pod) {
        let (project, _, _) = self.cluster();
        let instance = Instance(pod.instance.0 + 1);
        let request = self.take(owner, instance, pod.host);
        match self.lane.insist(project, pod.network, &request).await {
            Ok(Reply::Allocated(got)) if got.first.address == pod.address => {
                let revision = got.first.revision;
                self.change(owner, |pod| (pod.instance, pod.revision) = (instance, revision));
            }
            other => self.fault(format!("{owner} lives again as {pod:?}: {other:?}")),
        }
    }

    /// Reads, which touches nothing: what lives is there.
    async fn look(&mut self, owner: OwnerId, pod: Pod) {
        let (project, _, _) = self.cluster();
        let request = Request::AllocationGet(Box::new(AllocationGet {
            target: Target::Key { owner, slot: Slot(0) },
        }));
        let before = Instant::now();
        let answer = self.lane.insist(project, pod.network, &request).await;
        match &answer {
            Ok(Reply::Allocation(is))
                if is.state == AllocationState::Allocated
                    && (is.address, is.revision) == (pod.address, pod.revision) => {}
            _ => self.fault(format!("{owner} as {pod:?} after {:?}: {answer:?}", before.elapsed())),
        }
    }
}
