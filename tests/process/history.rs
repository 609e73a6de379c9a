//! History of the real binary through kill -9, again and again: every acknowledged allocation and release is
//! told, once, and nothing that didn't happen is.

use crate::support::network::subnet;
use crate::support::server::Site;
use crate::support::{eventually, run, scale};
use addrd_client::protocol::message::{
    Fences, History, HistoryEntry, HistoryKind, HistorySubject, NetworkCreate, Release, Strategy,
    Target,
};
use addrd_client::protocol::{NetworkId, OwnerId, Revision, Slot};
use addrd_client::{Client, plain_allocate};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const NETWORK: NetworkId = NetworkId::from_u128(0x71);
const CLIENTS: u128 = 8;
/// Owners of each client, used in turn: each has a history of many holders' lives.
const OWNERS: u128 = 64;

/// What one owner was told, in order: allocations with their revisions, releases of them.
type Facts = BTreeMap<OwnerId, Vec<Fact>>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fact {
    Allocated(IpAddr, Revision),
    Released(IpAddr),
}

/// Allocates and releases until the server is gone.
async fn work(client: Client, facts: Arc<Mutex<Facts>>, number: u128, round: u128) {
    for count in 0.. {
        let owner = OwnerId::from_u128((number << 64) | (1 + (count + 7 * round) % OWNERS));
        let Ok(got) = client.allocate(NETWORK, plain_allocate(owner)).await else { return };
        let (address, revision) = (got.first.address, got.first.revision);
        let fact = Fact::Allocated(address, revision);
        if !got.first.repeated {
            facts.lock().unwrap().entry(owner).or_default().push(fact);
        }
        if count % 3 == 0 {
            continue;
        }
        let target = Target::Key { owner, slot: Slot(0) };
        let release = Release { target, fences: Fences::default(), any: false };
        let Ok(_) = client.release(NETWORK, release).await else { return };
        facts.lock().unwrap().entry(owner).or_default().push(Fact::Released(address));
    }
}

/// Everything that history tells of an owner, oldest first.
async fn all_of(client: &Client, owner: OwnerId) -> Vec<HistoryEntry> {
    let mut question = History {
        subject: HistorySubject::Owner(owner),
        slot: None,
        oldest_first: true,
        from_ms: 0,
        to_ms: 0,
        limit: 50,
        cursor: None,
    };
    let mut entries = Vec::new();
    loop {
        let page = client.history(NETWORK, question.clone()).await.expect("an answer");
        assert!(!page.incomplete, "nothing is damaged");
        entries.extend(page.items);
        question.cursor = page.next;
        if question.cursor.is_none() {
            return entries;
        }
    }
}

/// Whether the facts are among the entries, in their order; what had no answer may stand between.
fn tells(entries: &[HistoryEntry], facts: &[Fact]) -> bool {
    let mut left = entries.iter();
    facts.iter().all(|fact| {
        left.any(|entry| match *fact {
            Fact::Allocated(address, revision) => {
                entry.kind == HistoryKind::Allocated
                    && (entry.address, entry.fence) == (address, revision)
            }
            Fact::Released(address) => {
                matches!(entry.kind, HistoryKind::Released | HistoryKind::Resting)
                    && entry.address == address
            }
        })
    })
}

#[test]
fn history_tells_all_that_was_acknowledged_once_through_kill_9() {
    let rounds = u128::from(scale("ADDRD_ROUNDS", 6));
    run(Duration::from_secs(600), async {
        let config = "history_days = 30\njournal_records_max = 262144\n";
        let site = Site::new().with_config(config);
        let mut server = site.start().await;
        let client = site.client().await;
        client.network_create(NETWORK, NetworkCreate::default()).await.expect("a network");
        let cidr = subnet(NETWORK, "10.0.0.0/16", Strategy::Next);
        client.subnet_create(NETWORK, cidr).await.expect("a subnet");
        let facts = Arc::<Mutex<Facts>>::default();
        for round in 0..rounds {
            let count = || facts.lock().unwrap().values().map(Vec::len).sum::<usize>();
            let target = count() + 400;
            let mut clients = JoinSet::new();
            for number in 1..=CLIENTS {
                let client = site.client().await;
                clients.spawn(work(client, Arc::clone(&facts), number, round));
            }
            eventually("enough answers", async || (count() >= target).then_some(())).await;
            clients.abort_all();
            server.kill();
            while clients.join_next().await.is_some() {}
            server = site.start().await;
        }
        let client = site.client().await;
        let facts = facts.lock().unwrap().clone();
        for (owner, facts) in &facts {
            let entries = all_of(&client, *owner).await;
            assert!(tells(&entries, facts), "{owner}: {facts:?} is not all in {entries:?}");
            let mut revisions: Vec<_> = entries.iter().map(|entry| entry.revision).collect();
            let count = revisions.len();
            revisions.sort_unstable();
            revisions.dedup();
            assert_eq!(revisions.len(), count, "{owner}: nothing is told twice");
            let in_order = entries.windows(2).all(|two| two[0].position <= two[1].position);
            assert!(in_order, "{owner}: the oldest comes first");
        }
        server.stop().await;
        site.check_is_clean();
    });
}
