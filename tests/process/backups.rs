//! T20: backup of the real binary under load, go on, destroy, restore, adopt: everything that was
//! acknowledged before the backup began is there, nothing half, every owner gets its own again, and no
//! address has two. The client or the server of a backup may be killed at any moment.

use crate::support::network::subnet;
use crate::support::seed::Choices;
use crate::support::server::{Server, Site, addrd};
use crate::support::{eventually, run, scale};
use addrd_client::protocol::message::{
    AdoptAction, Allocate, AllocateExtras, Allocated, Allocation, AllocationFilter, Batch,
    BatchItem, BatchMode, BatchResult, FamilyChoice, Fences, NetworkCreate, Release, Strategy,
    Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Revision, Slot, Status};
use addrd_client::{Client, Error, plain_allocate};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const NETWORK: NetworkId = NetworkId::from_u128(0x60);
/// Owners that nobody touches: they are rows of the state when a backup begins.
const OLD: u128 = 4_096;
/// At this rate their rows take seconds.
const RATE: &str = "128KiB";
const CLIENTS: u128 = 8;

/// What one owner was told.
#[derive(Clone, Copy, Debug)]
struct Fact {
    /// Its two addresses, which came together.
    pair: [(IpAddr, Revision); 2],
    /// When it was told, in the order of the record.
    told: u64,
    /// When it asked for the end, and when it was told that it is done.
    released: Option<(u64, Option<u64>)>,
}

/// Everything that anybody was told.
#[derive(Debug, Default)]
struct Record {
    clock: u64,
    facts: BTreeMap<OwnerId, Fact>,
    /// Owners that asked and have no answer.
    unknown: BTreeSet<OwnerId>,
}

impl Record {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn learn(&mut self, owner: OwnerId, got: &Allocated) {
        let told = self.tick();
        let second = got.second.expect("both");
        let pair = [&got.first, &second].map(|one| (one.address, one.revision));
        self.facts.insert(owner, Fact { pair, told, released: None });
        self.unknown.remove(&owner);
    }

    /// An owner is about to release, if it holds something.
    fn let_go(&mut self, owner: OwnerId) -> Option<u64> {
        let now = self.tick();
        let fact = self.facts.get_mut(&owner).filter(|fact| fact.released.is_none())?;
        fact.released = Some((now, None));
        Some(now)
    }
}

type Shared = Arc<Mutex<Record>>;

fn owner(number: u128) -> OwnerId {
    OwnerId::from_u128(number)
}

fn pair(owner: OwnerId) -> Allocate {
    Allocate { family: FamilyChoice::Both, ..plain_allocate(owner) }
}

async fn make_network(site: &Site) {
    let client = site.client().await;
    client.network_create(NETWORK, NetworkCreate::default()).await.expect("a network");
    for cidr in ["10.0.0.0/12", "fd00::/64"] {
        let made = client.subnet_create(NETWORK, subnet(NETWORK, cidr, Strategy::Next)).await;
        made.expect("a subnet");
    }
}

/// Owners whose addresses are in the folded state.
async fn settle_old_ones(site: &Site, record: &Shared) {
    let client = site.client().await;
    for first in (1..=OLD).step_by(512) {
        let items = (first..first + 512).map(|n| BatchItem::Allocate(pair(owner(n)))).collect();
        let mode = BatchMode::Independent;
        let done = client.batch(NETWORK, Batch { mode, items }).await.expect("a batch");
        for (number, result) in (first..).zip(done.results) {
            let BatchResult::Allocated(got) = result else { panic!("{result:?}") };
            record.lock().unwrap().learn(owner(number), &got);
        }
    }
}

/// Allocates pairs and releases some again, for as long as it may live.
async fn work(client: Client, record: Shared, number: u128, mut choices: Choices) {
    for count in 0.. {
        let new = owner((number << 64) | count);
        record.lock().unwrap().unknown.insert(new);
        let got = client.allocate(NETWORK, pair(new)).await.expect("the server lives");
        record.lock().unwrap().learn(new, &got);
        if !choices.one_in(3) {
            continue;
        }
        let old = owner((number << 64) | u128::from(choices.below(0..count as u64 + 1)));
        let Some(asked) = record.lock().unwrap().let_go(old) else { continue };
        for slot in 0..2 {
            let release = release_of(old, slot, None);
            client.release(NETWORK, release).await.expect("the server lives");
        }
        let mut record = record.lock().unwrap();
        let done = record.tick();
        if let Some(fact) = record.facts.get_mut(&old) {
            fact.released = Some((asked, Some(done)));
        }
    }
}

fn release_of(owner: OwnerId, slot: u16, revision: Option<Revision>) -> Release {
    let target = Target::Key { owner, slot: Slot(slot) };
    let fences = Fences { revision, ..Fences::default() };
    Release { target, fences, any: false }
}

fn backup(site: &Site, file: &Path) -> Child {
    let mut command = addrd();
    command
        .args(["server", "backup", "--rate", RATE, "--timeout", "5", "--server"])
        .arg(site.listen().to_string());
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

fn restore(file: &Path, data: &Path) -> Output {
    addrd().args(["server", "restore"]).arg(file).arg(data).output().unwrap()
}

/// Fetches a backup; another one may be held for a while by who was killed.
async fn fetched(site: &Site, file: &Path) {
    eventually("a backup", async || {
        let output = ended(backup(site, file)).await;
        let code = output.status.code();
        // On a machine that is busy otherwise the journal may fill up faster than it is fetched.
        let is_over = String::from_utf8_lossy(&output.stderr).contains("BACKUP_OVER");
        assert!(matches!(code, Some(0 | 6)) || is_over, "{output:?}");
        (code == Some(0)).then_some(())
    })
    .await;
}

/// Kills the client of a backup once it has begun to write.
async fn kill_a_client(site: &Site, file: &Path) {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut child = backup(site, file);
    eventually("the first block", async || {
        assert!(child.try_wait().unwrap().is_none(), "it takes seconds");
        std::fs::metadata(&part).ok().filter(|found| found.len() > 0).map(drop)
    })
    .await;
    child.kill().unwrap();
    ended(child).await;
    assert!(!file.exists(), "half a backup has the name of a whole one");
    let refused = restore(&part, &site.data().with_extension("never"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("cut off"), "{said}");
    assert!(!site.data().with_extension("never").exists());
}

async fn listed(client: &Client) -> Vec<Allocation> {
    let mut pages = client.allocations(NETWORK, AllocationFilter::default());
    let mut all = Vec::new();
    while let Some(one) = pages.next().await.expect("a page") {
        all.push(one);
    }
    all
}

/// What is restored: all that was told before `begin`, pairs whole, no address twice.
fn judge(found: &[Allocation], record: &Record, begin: u64) {
    let mut addresses = BTreeSet::new();
    let mut held: BTreeMap<OwnerId, BTreeMap<u16, (IpAddr, Revision)>> = BTreeMap::new();
    for one in found {
        assert!(addresses.insert(one.address), "{} has two owners", one.address);
        held.entry(one.owner).or_default().insert(one.slot.0, (one.address, one.revision));
    }
    let mut checked = 0;
    for (owner, fact) in &record.facts {
        let slots: Option<Vec<_>> = held.get(owner).map(|slots| slots.values().copied().collect());
        if fact.told < begin && fact.released.is_none() {
            assert_eq!(slots.as_deref(), Some(&fact.pair[..]), "{owner} was told before");
            checked += 1;
        }
        if fact.released.is_some_and(|(_, done)| done.is_some_and(|done| done < begin)) {
            assert_eq!(slots, None, "{owner} was released before");
        }
        if fact.released.is_none() {
            let whole = slots.is_none_or(|slots| slots.len() == 2);
            assert!(whole, "{owner} has half of its pair");
        }
    }
    assert!(checked >= OLD as usize, "{checked} were told before");
    for owner in held.keys() {
        let known = record.facts.contains_key(owner) || record.unknown.contains(owner);
        assert!(known, "{owner} never asked for anything");
    }
}

fn exact(owner: OwnerId, slot: u16, address: IpAddr) -> Allocate {
    let extras = AllocateExtras { exact: Some(address), ..AllocateExtras::default() };
    let slot = Slot(slot);
    Allocate { slot, extras: Some(Box::new(extras)), ..plain_allocate(owner) }
}

fn status_of<T: std::fmt::Debug>(answer: Result<T, Error>) -> Status {
    match answer {
        Ok(_) => Status::OK,
        Err(Error::Refused(failure)) => failure.status,
        Err(error) => panic!("{error}"),
    }
}

/// Many at once, each for itself.
async fn all(client: &Client, items: Vec<BatchItem>) -> Vec<BatchResult> {
    let mut results = Vec::new();
    for items in items.chunks(512) {
        let (mode, items) = (BatchMode::Independent, items.to_vec());
        let done = client.batch(NETWORK, Batch { mode, items }).await.expect("a batch");
        results.extend(done.results);
    }
    results
}

fn releases(owner: OwnerId) -> [BatchItem; 2] {
    [0, 1].map(|slot| BatchItem::Release(release_of(owner, slot, None)))
}

/// Owners repeat what they were told: releases, then what they hold. Nothing else is given meanwhile.
async fn adopt(client: &Client, record: &Record) {
    let lost = record.facts.values().flat_map(|fact| fact.pair).map(|(_, revision)| revision);
    let newest = lost.max().expect("somebody was told something");
    let released = record.facts.iter().filter(|(_, fact)| fact.released.is_some());
    let gone = released.map(|(owner, _)| owner).chain(&record.unknown);
    for result in all(client, gone.flat_map(|owner| releases(*owner)).collect()).await {
        assert!(!matches!(result, BatchResult::Failed(_)), "a release again: {result:?}");
    }
    let alive = record.facts.iter().filter(|(_, fact)| fact.released.is_none());
    let held: Vec<_> = alive
        .flat_map(|(owner, fact)| (0..).zip(fact.pair).map(|(slot, told)| (*owner, slot, told)))
        .collect();
    let asked = held
        .iter()
        .map(|(owner, slot, (address, _))| BatchItem::Allocate(exact(*owner, *slot, *address)));
    let mut retaken = Vec::new();
    for ((owner, slot, told), result) in held.iter().zip(all(client, asked.collect()).await) {
        let (address, revision) = *told;
        let BatchResult::Allocated(got) = result else {
            panic!("{owner} can't re-take {address}: {result:?}")
        };
        assert_eq!(got.first.address, address);
        if got.first.repeated {
            assert_eq!(got.first.revision, revision, "{owner}: {address}");
            continue;
        }
        assert!(got.first.revision > newest, "a revision that was given before comes again");
        retaken.push((*owner, *slot, revision));
    }
    assert!(!retaken.is_empty(), "nothing came after the backup");
    for (owner, slot, revision) in retaken.iter().take(20) {
        let stale = client.release(NETWORK, release_of(*owner, *slot, Some(*revision))).await;
        assert_eq!(status_of(stale), Status::STALE, "of the lost future");
    }
    // The advice to wait is longer than this: the first answer is the last.
    let impatient = client.with_timeout(Duration::from_secs(5));
    let refused = impatient.allocate(NETWORK, pair(owner(u128::MAX))).await;
    assert_eq!(status_of(refused), Status::ADOPTING);
}

#[test]
fn a_backup_under_load_is_restored_and_everybody_gets_their_own_again() {
    let rounds = scale("ADDRD_BACKUPS", 2);
    run(Duration::from_secs(300 + 120 * rounds), async {
        let mut choices = Choices::of_test("backups");
        for round in 0..rounds {
            // As a server is that nobody asked to keep history.
            let site = Site::new().with_config("history_days = 0\n");
            let record = Shared::default();
            let server = site.start().await;
            make_network(&site).await;
            settle_old_ones(&site, &record).await;
            server.stop().await;
            let server = site.start().await;
            let file = site.data().with_extension("backup");
            let (begin, home) = one_life(&site, server, &record, &file, &mut choices, round).await;
            drop(home);
            let other = Site::new();
            let output = restore(&file, &other.data());
            assert!(output.status.success(), "{output:?}");
            other.check_is_clean();
            let server = other.start().await;
            let client = other.client().await;
            let found = listed(&client).await;
            let record = record.lock().unwrap().clone_facts();
            judge(&found, &record, begin);
            adopt(&client, &record).await;
            client.server_adopt(AdoptAction::End).await.expect("the end of the mode");
            let fresh = client.allocate(NETWORK, pair(owner(u128::MAX))).await.expect("a pair");
            let known: BTreeSet<IpAddr> = live(&record).collect();
            assert!(!known.contains(&fresh.first.address), "it is somebody's");
            let held: BTreeSet<IpAddr> = listed(&client).await.iter().map(|a| a.address).collect();
            assert!(known.is_subset(&held), "somebody is missing");
            server.stop().await;
            other.check_is_clean();
        }
    });
}

impl Record {
    fn clone_facts(&self) -> Self {
        Self { clock: self.clock, facts: self.facts.clone(), unknown: self.unknown.clone() }
    }
}

fn live(record: &Record) -> impl Iterator<Item = IpAddr> {
    let facts = record.facts.values().filter(|fact| fact.released.is_none());
    facts.flat_map(|fact| fact.pair.map(|(address, _)| address))
}

/// Load, a backup in the middle of it, and the end by kill -9 while another one is fetched. Gives when
/// the whole one began.
async fn one_life(
    site: &Site,
    server: Server<'_>,
    record: &Shared,
    file: &Path,
    choices: &mut Choices,
    round: u64,
) -> (u64, JoinSet<()>) {
    let mut crowd = JoinSet::new();
    for number in 1..=CLIENTS {
        let client = site.client().await;
        crowd.spawn(work(client, Arc::clone(record), number, choices.fork()));
    }
    let told = async |more: u64| {
        let target = record.lock().unwrap().clock + more;
        eventually("answers", async || (record.lock().unwrap().clock >= target).then_some(()))
            .await;
    };
    told(choices.below(100..1_000)).await;
    if round == 0 {
        kill_a_client(site, &file.with_extension("killed")).await;
    }
    let begin = record.lock().unwrap().tick();
    fetched(site, file).await;
    told(choices.below(100..1_000)).await;
    let never = file.with_extension("never");
    let last = backup(site, &never);
    told(choices.below(10..200)).await;
    server.kill();
    // Nobody has seen an answer that isn't recorded: they are stopped between two.
    crowd.abort_all();
    while let Some(end) = crowd.join_next().await {
        assert!(end.is_err_and(|end| end.is_cancelled()), "a client failed before the end");
    }
    let output = ended(last).await;
    assert!(!output.status.success() && !never.exists(), "{output:?}");
    (begin, crowd)
}
