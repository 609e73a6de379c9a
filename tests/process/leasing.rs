//! Leases over kill -9: clients that renew in time keep their addresses, whatever the server goes through;
//! an address whose lease ended goes to others, and never while its holder may still use it.

use crate::support::line::{Answer, Line, hello_of};
use crate::support::network::{POOLED, POOLED_LENGTH, network, prefix};
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::workload::CLOCKS_DIFFER_MS;
use crate::support::{eventually, run, say, scale};
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, Fences, PoolCreate, Release, Renew, Reply, Request, Strategy, Target,
};
use addrd_client::protocol::{
    Family, NetworkId, OwnerId, PoolId, Retry, Revision, SessionId, Slot, Status,
};
use addrd_client::{Client, plain_allocate};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// More than there are addresses: what ends is taken at once.
const TENANTS: u64 = 20;
/// Usable addresses of the network, or blocks of the pool.
const SIZE: usize = 13;
/// Shortest and longest lease, ms.
const LEASE_MS: std::ops::Range<u64> = 1_000..3_000;
/// Leases that must have ended before a run is over: else it showed nothing.
const ENDED_LEAST: u64 = 40;

/// A time in which a tenant may use an address for certain.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    owner: OwnerId,
    address: IpAddr,
    from: Instant,
    until: Instant,
}

/// What all tenants wrote down.
#[derive(Debug, Default)]
struct Found {
    tenures: Vec<Tenure>,
    renewed: u64,
    ended: u64,
    released: u64,
    faults: Vec<String>,
    is_over: bool,
}

type Shared = Arc<Mutex<Found>>;

fn lock(found: &Shared) -> std::sync::MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a tenant was told it holds.
#[derive(Clone, Copy, Debug)]
struct Lease {
    address: IpAddr,
    revision: Revision,
    until: Instant,
}

struct Tenant {
    owner: OwnerId,
    network: NetworkId,
    choices: Choices,
    session: SessionId,
    epoch: u64,
    line: Option<Line>,
    found: Shared,
}

impl Tenant {
    /// Sends one request; `None` = its outcome is unknown.
    async fn ask(&mut self, address: SocketAddr, request: &Request) -> Option<(Instant, Answer)> {
        if self.line.is_none() {
            self.epoch += 1;
            let hello = hello_of(self.session, self.epoch);
            self.line = Line::open(address, &hello).await.ok();
        }
        let Some(line) = &mut self.line else {
            // Nobody listens: the server is being started again.
            tokio::time::sleep(Duration::from_millis(10)).await;
            return None;
        };
        let sent = Instant::now();
        line.queue(self.network, request);
        let answer = match line.flush().await {
            Ok(()) => line.next().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok((_, answer)) => Some((sent, answer)),
            Err(_) => {
                self.line = None;
                None
            }
        }
    }

    /// Holds, renews, lets go and forgets, until the run is over.
    async fn live(mut self, address: SocketAddr) {
        let mut lease = None;
        while !lock(&self.found).is_over {
            lease = match lease {
                None => self.take(address).await,
                Some(lease) => self.go_on(address, lease).await,
            };
        }
    }

    async fn take(&mut self, address: SocketAddr) -> Option<Lease> {
        let lease_ms = self.choices.below(LEASE_MS);
        let extras = AllocateExtras { lease_ms: Some(lease_ms), ..AllocateExtras::default() };
        let strategies = match self.network == POOLED {
            true => [Strategy::Lowest, Strategy::Default],
            false => [Strategy::Lowest, Strategy::Random],
        };
        let request = Request::Allocate(Allocate {
            strategy: *self.choices.pick(&strategies),
            extras: Some(Box::new(extras)),
            ..plain_allocate(self.owner)
        });
        let (sent, answer) = self.ask(address, &request).await?;
        match answer {
            Ok(Reply::Allocated(got)) => {
                let (got, left) = (got.first, got.first.time_left_ms);
                let lease = Lease {
                    address: got.address,
                    revision: got.revision,
                    until: sent + Duration::from_millis(left),
                };
                self.note(&lease);
                Some(lease)
            }
            Err(failure)
                if [Status::EXHAUSTED, Status::POOL_EXHAUSTED].contains(&failure.status) =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
                None
            }
            Err(failure) if failure.status.retry() == Retry::Later => None,
            other => {
                self.fault(format!("allocate got {other:?}"));
                None
            }
        }
    }

    /// Most tenants renew in time, some let go, and some are gone for good without a word.
    async fn go_on(&mut self, address: SocketAddr, lease: Lease) -> Option<Lease> {
        let left = lease.until.saturating_duration_since(Instant::now());
        let pause = left.mul_f64(self.choices.below(10..60) as f64 / 100.0);
        match self.choices.below(0..8) {
            0 => {
                tokio::time::sleep(pause).await;
                self.release(address, &lease).await;
                None
            }
            1..=3 => {
                tokio::time::sleep(left).await;
                Some(self.renew(address, lease).await?)
            }
            _ => {
                tokio::time::sleep(pause).await;
                self.renew(address, lease).await
            }
        }
    }

    async fn renew(&mut self, address: SocketAddr, mut lease: Lease) -> Option<Lease> {
        let lease_ms = self.choices.below(LEASE_MS);
        // A renewal may make a lease shorter, also one whose answer is lost.
        let shorter = Instant::now() + Duration::from_millis(lease_ms);
        lease.until = lease.until.min(shorter);
        self.cut(&lease, lease.until);
        let fences = Fences { revision: Some(lease.revision), ..Fences::default() };
        let target = match self.choices.one_in(2) {
            true => Target::Key { owner: self.owner, slot: Slot(0) },
            false => Target::Address(lease.address),
        };
        let request = Request::Renew(Renew { target, fences, lease_ms });
        let Some((sent, answer)) = self.ask(address, &request).await else {
            return (Instant::now() < lease.until).then_some(lease);
        };
        match answer {
            Ok(Reply::Renewed(renewed)) => {
                let until = sent + Duration::from_millis(renewed.time_left_ms);
                let longer = Lease { until, ..lease };
                self.note(&longer);
                lock(&self.found).renewed += 1;
                Some(longer)
            }
            Err(failure) if failure.status.retry() == Retry::Later => Some(lease),
            Err(failure) if self.may_have_ended(&lease) => {
                // By its address it may be another's by now.
                let lawful = [Status::EXPIRED, Status::STALE, Status::NOT_HOLDER];
                if !lawful.contains(&failure.status) {
                    self.fault(format!("a renewal after its time got {failure:?}"));
                }
                lock(&self.found).ended += 1;
                None
            }
            other => {
                self.fault(format!("a renewal in time got {other:?}"));
                None
            }
        }
    }

    async fn release(&mut self, address: SocketAddr, lease: &Lease) {
        let sent = Instant::now();
        self.cut(lease, sent);
        let fences = Fences { revision: Some(lease.revision), ..Fences::default() };
        let target = Target::Key { owner: self.owner, slot: Slot(0) };
        let request = Request::Release(Release { target, fences, any: false });
        match self.ask(address, &request).await {
            Some((_, Ok(Reply::Released(_)))) => lock(&self.found).released += 1,
            Some((_, Ok(Reply::Empty))) if self.may_have_ended(lease) => {}
            Some((_, Err(failure))) if failure.status.retry() == Retry::Later => {}
            None => {}
            Some((_, other)) => self.fault(format!("a release got {other:?} for {lease:?}")),
        }
    }

    /// By its holder's clock, which starts when the request is sent.
    fn may_have_ended(&self, lease: &Lease) -> bool {
        Instant::now() + Duration::from_millis(CLOCKS_DIFFER_MS) >= lease.until
    }

    fn note(&self, lease: &Lease) {
        let Lease { address, until, .. } = *lease;
        let tenure = Tenure { owner: self.owner, address, from: Instant::now(), until };
        lock(&self.found).tenures.push(tenure);
    }

    /// From then on the tenant does not use it.
    fn cut(&self, lease: &Lease, end: Instant) {
        let mut found = lock(&self.found);
        let own = |tenure: &&mut Tenure| {
            tenure.owner == self.owner && tenure.address == lease.address && tenure.until > end
        };
        found.tenures.iter_mut().filter(own).for_each(|tenure| tenure.until = end);
    }

    fn fault(&self, what: String) {
        lock(&self.found).faults.push(format!("{}: {what}", self.owner));
    }
}

/// Two owners that could use one address at the same time.
fn doubled(tenures: &[Tenure]) -> Option<(Tenure, Tenure)> {
    let differ = Duration::from_millis(CLOCKS_DIFFER_MS);
    tenures.iter().enumerate().find_map(|(at, one)| {
        let mut others = tenures[..at].iter().filter(|other| {
            other.address == one.address
                && other.owner != one.owner
                && other.from + differ < one.until
                && one.from + differ < other.until
        });
        others.next_back().map(|other| (*other, *one))
    })
}

#[test]
fn the_checker_finds_two_who_use_one_address() {
    let now = Instant::now();
    let tenure = |owner, from, until| Tenure {
        owner: OwnerId::from_u128(owner),
        address: "10.0.0.2".parse().expect("an address"),
        from: now + Duration::from_millis(from),
        until: now + Duration::from_millis(until),
    };
    assert!(doubled(&[tenure(1, 0, 100), tenure(2, 50, 150)]).is_some());
    assert!(doubled(&[tenure(2, 50, 150), tenure(1, 0, 100)]).is_some());
    assert!(doubled(&[tenure(1, 0, 100), tenure(1, 50, 150)]).is_none(), "its own");
    assert!(doubled(&[tenure(1, 0, 100), tenure(2, 100, 150)]).is_none(), "one after the other");
}

#[test]
fn leases_end_for_nobody_who_renews_through_kill_9_and_for_everybody_else() {
    prove("leasing", async |client| network(client, 1, &["10.0.0.0/28"]).await);
}

/// Prefixes of a pool are the sequencer's, and end by its turns.
#[test]
fn leases_of_prefixes_end_as_those_of_addresses_do() {
    prove("leasing-prefixes", async |client| {
        // As many blocks as there are addresses.
        let all = ["10.9.0.0/25", "10.9.0.128/26", "10.9.0.192/28"];
        let all = all.into_iter().map(prefix).collect();
        let create = PoolCreate {
            default_length: Some(POOLED_LENGTH),
            max_length: Some(POOLED_LENGTH),
            ..PoolCreate::of(Family::V4, all)
        };
        client.pool_create(PoolId(POOLED.0), create).await.expect("a pool");
        POOLED
    });
}

/// Tenants of one network or pool over kill -9.
fn prove(name: &str, ground: impl AsyncFn(&Client) -> NetworkId) {
    let rounds = scale("ADDRD_ROUNDS", 4);
    run(Duration::from_secs(240 + 30 * rounds), async {
        let mut choices = Choices::of_test(name);
        // Downtime counts: else nothing would end between two kills.
        let config = "restart_grace = \"0s\"\njournal_records_max = 262144\n";
        let site = Site::new().with_config(config);
        let mut server = site.start().await;
        let client = site.client().await;
        let network = ground(&client).await;
        let found = Shared::default();
        let mut tenants = tokio::task::JoinSet::new();
        for number in 1..=TENANTS {
            let tenant = Tenant {
                owner: OwnerId::from_u128(u128::from(number)),
                network,
                session: SessionId::from_u128(choices.id()),
                choices: choices.fork(),
                epoch: 0,
                line: None,
                found: Arc::clone(&found),
            };
            tenants.spawn(tenant.live(site.listen()));
        }
        for round in 1..=rounds {
            let target = ENDED_LEAST * round / rounds;
            let ended = async || (lock(&found).ended >= target).then_some(());
            eventually("leases to end", ended).await;
            tokio::time::sleep(Duration::from_millis(choices.below(0..50))).await;
            server.kill();
            server = site.start().await;
        }
        lock(&found).is_over = true;
        while let Some(done) = tenants.join_next().await {
            done.expect("a tenant ends");
        }
        {
            let found = lock(&found);
            let counts = (found.tenures.len(), found.renewed, found.ended, found.released);
            say(&format!("{counts:?} tenures, renewals, leases that ended, releases"));
            assert_eq!(found.faults, Vec::<String>::new());
            assert_eq!(doubled(&found.tenures).map(|pair| format!("{pair:?}")), None);
            assert!(found.renewed > 0 && found.released > 0);
        }
        let (asker, unit) = match network == POOLED {
            true => (client.for_pools(), 1 << (32 - POOLED_LENGTH)),
            false => (client.clone(), 1),
        };
        let all = async || {
            let usage = asker.usage(network, None).await.ok()?;
            let free: u128 = usage.subnets.iter().map(|subnet| subnet.free).sum();
            (free == SIZE as u128 * unit).then_some(())
        };
        eventually("every address to be free", all).await;
        server.stop().await;
        site.check_is_clean();
    });
}
