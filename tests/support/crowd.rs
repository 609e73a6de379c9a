//! Many clients of the workload at once, and everything that is checked about them together.

use super::book::{Figures, Span};
use super::history::{close_ended, double_allocations, early_reuse, false_exhaustion, revisions};
use super::network::{LENT, MANAGER, PROJECTS, held_and_counted, text};
use super::operation::port_of;
use super::seed::Choices;
use super::server::Site;
use super::state::{Key, Listed, Unknown, Verdict, compare, compare_host};
use super::terms::{self, Host, after};
use super::workload::{
    CLOCKS_DIFFER_MS, CONTESTED, CONTESTED_REST_MS, ENDING, End, NETWORKS, PORTED, Run, TIGHT,
    TIGHT_SIZE, Worker, is_port,
};
use super::{eventually, say, soon};
use addrd_client::protocol::message::{HostLeaseList, HostLeaseState, NetworkUpdate, PortFilter};
use addrd_client::protocol::{NetworkId, PortId, ProjectId, Setting, Status};
use addrd_client::{Client, ConnectionError, Error};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// Findings that are shown; the others are counted.
const SHOWN: usize = 20;

/// All clients and their one clock.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) run: Run,
    pub(crate) workers: Vec<Worker>,
    /// Requests without reply that were in, and not in, after a crash.
    pub(crate) settled: (u64, u64),
}

/// Clients at work.
pub(crate) type Work = JoinSet<(Worker, End)>;

impl Crowd {
    pub(crate) fn new(count: u64, choices: &mut Choices) -> Self {
        let workers = (0..count).map(|number| Worker::new(number, choices)).collect();
        Self { run: Run::new(), workers, settled: (0, 0) }
    }

    /// Sends all clients to work.
    pub(crate) fn set_out(&mut self, site: &Site) -> Work {
        let mut work = JoinSet::new();
        for mut worker in std::mem::take(&mut self.workers) {
            let (run, address) = (self.run.clone(), site.listen());
            work.spawn(async move {
                let end = match worker.connect(address).await {
                    Ok(mut line) => worker.work(&mut line, &run).await,
                    Err(error) => End::Lost(error),
                };
                (worker, end)
            });
        }
        work
    }

    /// Waits for all clients and returns why each stopped.
    ///
    /// # Panics
    /// When one panicked.
    pub(crate) async fn come_home(&mut self, mut work: Work) -> Vec<End> {
        let mut ends = Vec::new();
        while let Some(home) = soon("the clients", work.join_next()).await {
            let (worker, end) = home.expect("a client does not panic");
            self.workers.push(worker);
            ends.push(end);
        }
        ends
    }

    /// Lists everything and compares it with what the clients know. No server that they spoke to
    /// may still run, and nobody may be at work.
    ///
    /// # Panics
    /// When a promise is broken.
    pub(crate) async fn compare_with_lists(&mut self, site: &Site) {
        // What was answered wrongly is not entered, and would be found below as well.
        let answers = self.workers.iter_mut().flat_map(|worker| worker.book.findings.drain(..));
        must_be_none("in answers", answers.collect());
        let client = site.client().await;
        let listed = self.list(&client).await;
        for (network, projects) in [(PORTED, &PROJECTS[..1]), (LENT, &PROJECTS[..])] {
            for project in projects {
                let client = client.in_project(*project).on_networks_of(ProjectId::DEFAULT);
                let ports = ports_of(&client, network).await;
                let own = |key: &&Key| (key.network, key.project) == (network, *project);
                let with_addresses = listed.holds.keys().filter(own).filter(|key| is_port(key));
                let with_addresses = with_addresses.map(port_of);
                assert_eq!(ports, with_addresses.collect(), "ports, and owners of their addresses");
            }
        }
        if listed.holds.keys().any(|key| key.project != ProjectId::DEFAULT) {
            let update =
                NetworkUpdate { shared: Setting::Value(false), ..NetworkUpdate::default() };
            let refused = client.network_update(LENT, update).await;
            assert!(is_refused(&refused, Status::IN_USE), "guests have something: {refused:?}");
        }
        let mut known = BTreeMap::new();
        for worker in &self.workers {
            known.extend(worker.book.known.resolved());
        }
        let unknown: Vec<Vec<Unknown>> = self.workers.iter().map(Worker::open_requests).collect();
        let mut findings = compare(&known, &unknown, &listed);
        for (worker, unknown) in self.workers.iter().zip(&unknown) {
            let change = unknown.iter().find_map(|request| request.host);
            let host = worker.book.known.host;
            findings.extend(compare_host(worker.number, host.as_ref(), change, &listed));
        }
        must_be_none("after a restart", findings);
        for request in unknown.iter().flatten() {
            match request.verdict(&listed) {
                Verdict::In => self.settled.0 += 1,
                Verdict::Out | Verdict::Open | Verdict::Unseen => self.settled.1 += 1,
            }
        }
        for worker in &mut self.workers {
            worker.settle(&listed);
        }
    }

    /// Everything that is held, and the leases of hosts.
    async fn list(&self, client: &Client) -> Listed {
        let mut listed = Listed::default();
        for network in NETWORKS {
            let sent = self.run.now();
            let (mut found, counted) = held_and_counted(client, network).await;
            listed.spans.insert(network, Span { sent, answered: self.run.now() });
            let is_exact = counted == found.len() as u128;
            assert!(is_exact || ENDING.contains(&network), "counts and list disagree: {counted}");
            found.values_mut().for_each(|hold| hold.until = hold.until.saturating_add(sent));
            listed.holds.extend(found);
        }
        let sent = self.run.now();
        let list = HostLeaseList { manager: text(MANAGER), limit: 0, after: None };
        let leases = client.host_leases(list).await.expect("hosts are listed");
        listed.hosts_span = Span { sent, answered: self.run.now() };
        for lease in leases.iter().filter(|lease| lease.state != HostLeaseState::Ended) {
            let number = lease.host.as_str().trim_start_matches('h').parse();
            let host = Host {
                life: lease.life,
                on_end: lease.on_end,
                until: after(sent, lease.time_left_ms),
                ended: false,
            };
            listed.hosts.insert(number.expect("hosts have numbers"), host);
        }
        listed
    }

    /// Waits until what has an end has ended, and is free: nobody renews it any more. What is held for long or follows a
    /// host that only reports stays.
    ///
    /// # Panics
    /// When it never ends.
    pub(crate) async fn see_ends(&self, site: &Site) {
        let client = site.client().await;
        let ended = async || {
            let listed = self.list(&client).await;
            let is_lease = |(key, hold): (&Key, &super::state::Hold)| match hold.end {
                terms::End::Lease => true,
                terms::End::Held(_) => key.network != TIGHT,
                terms::End::Never | terms::End::Host => false,
            };
            let is_running = |host: &Host| host.until > listed.hosts_span.sent;
            let is_over =
                !listed.holds.iter().any(is_lease) && !listed.hosts.values().any(is_running);
            let mut counted = 0;
            for network in NETWORKS {
                counted += held_and_counted(&client, network).await.1;
            }
            (is_over && counted == listed.holds.len() as u128).then_some(())
        };
        eventually("what has an end to be free", ended).await;
    }

    /// Checks the whole history.
    ///
    /// # Panics
    /// When a promise is broken.
    pub(crate) fn check_history(&mut self) {
        let mut findings = Vec::new();
        let (mut tenures, mut grants, mut taken, mut claims) = (vec![], vec![], vec![], vec![]);
        for worker in &mut self.workers {
            findings.append(&mut worker.book.findings);
            tenures.extend(worker.book.tenures.iter().cloned());
            grants.extend(worker.book.grants.iter().cloned());
            for (network, uses) in &worker.book.uses {
                if *network == TIGHT {
                    taken.extend(uses.taken.iter().copied());
                    claims.extend(uses.claims.iter().copied());
                } else if !uses.claims.is_empty() {
                    findings.push(format!("{network} was never full: {:?}", uses.claims));
                }
            }
        }
        let on_tight: Vec<_> = grants.iter().filter(|grant| grant.key.network == TIGHT).collect();
        close_ended(&mut taken, &on_tight);
        findings.extend(double_allocations(&tenures));
        findings.extend(revisions(&grants));
        let rest_ns = (CONTESTED_REST_MS - CLOCKS_DIFFER_MS) * 1_000_000;
        findings.extend(early_reuse(&tenures, CONTESTED, rest_ns));
        findings.extend(false_exhaustion(TIGHT_SIZE, &taken, &claims));
        must_be_none("in the history", findings);
        say(&format!(
            "{} answers, {} told to come later, {} grants, {} times exhausted; \
             of the requests without reply {} were in, {} not; {:?}",
            self.acknowledged(),
            self.workers.iter().map(|worker| worker.book.later).sum::<u64>(),
            grants.len(),
            claims.len(),
            self.settled.0,
            self.settled.1,
            self.figures(),
        ));
    }

    /// How often something was seen that takes its time.
    pub(crate) fn figures(&self) -> Figures {
        let mut sum = Figures::default();
        self.workers.iter().for_each(|worker| sum.add(&worker.book.figures));
        sum
    }

    /// Requests that were answered for good.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.workers.iter().map(|worker| worker.book.acknowledged).sum()
    }
}

fn is_refused<T>(answer: &Result<T, Error>, status: Status) -> bool {
    matches!(answer, Err(Error::Refused(failure)) if failure.status == status)
}

/// Every port of a network that a project has there.
async fn ports_of(client: &Client, network: NetworkId) -> BTreeSet<PortId> {
    let mut pages = client.ports(network, PortFilter::default());
    let mut found = BTreeSet::new();
    while let Some(port) = pages.next().await.expect("a list goes on") {
        assert!(found.insert(port.port_id), "{port:?} is listed twice");
    }
    found
}

/// Whether a connection ended as one does when its peer dies.
pub(crate) fn is_cut(end: &End) -> bool {
    matches!(end, End::Lost(ConnectionError::Io { .. } | ConnectionError::Closed))
}

/// Fails with the first findings.
///
/// # Panics
/// When there are any.
pub(crate) fn must_be_none(when: &str, findings: Vec<String>) {
    let shown: Vec<&str> = findings.iter().take(SHOWN).map(String::as_str).collect();
    let count = findings.len();
    assert!(findings.is_empty(), "{count} findings {when}:\n{}", shown.join("\n"));
}
