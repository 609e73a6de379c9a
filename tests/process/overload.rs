//! Requests faster than the journal can be folded, over its smallest journal: the server gets
//! slower or says "later", stays inside every bound, and comes back; nothing acknowledged is lost
//! (P7, I8).

use crate::support::crowd::Crowd;
use crate::support::network::network;
use crate::support::pump::{Load, Pumps};
use crate::support::seed::Choices;
use crate::support::server::{Server, Site};
use crate::support::workload::{End, make_networks};
use crate::support::{eventually, run_alone, say, scale};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Connections at full blast, each on its own owners.
const LOUD: usize = 8;
/// Batches in flight of each.
const IN_FLIGHT: usize = 32;
/// Items of a batch: the addresses that are held at once fit the network.
const ITEMS: usize = 512;
/// Gauges that must have a bound beside them.
const BOUNDED: [&str; 5] = [
    "addrd_bytes_in_flight",
    "addrd_connections",
    "addrd_journal_records",
    "addrd_ring_operations",
    "addrd_sessions",
];
/// Clients whose every answer is kept.
const CLIENTS: u64 = 16;
/// What the process may have in memory: caches, bytes in flight, a chunk of the fold, state.
const RESIDENT_BYTES_MAX: u64 = 768 << 20;

#[test]
fn overload_stays_inside_the_bounds_and_ends() {
    let seconds = scale("ADDRD_SECONDS", 10);
    run_alone(Duration::from_secs(300 + 3 * seconds), async {
        let mut choices = Choices::of_test("overload");
        let site = Site::new();
        let mut server = site.start().await;
        let client = site.client().await;
        make_networks(&client).await;
        let network = network(&client, 1, &["10.64.0.0/12"]).await;
        let lengths = file_lengths(&site);
        let mut crowd = Crowd::new(CLIENTS, &mut choices);
        let work = crowd.set_out(&site);
        let loud = Load {
            network,
            owners: 1 << 64,
            connections: LOUD,
            in_flight: IN_FLIGHT,
            items: ITEMS,
        };
        let loud = Pumps::start(site.listen(), loud).await;
        loud.open();
        let began = Instant::now();
        let mut fullest = 0;
        while began.elapsed() < Duration::from_secs(seconds) {
            fullest = fullest.max(inside_bounds(&site, &server, &lengths).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        loud.shut().await;
        // It comes back: what was written is folded, and new requests are served.
        eventually("the journal to be folded", async || {
            let status = client.server_status().await.expect("a status");
            assert!(status.journal_records <= status.journal_records_max, "{status:?}");
            (status.journal_records < status.journal_records_max / 10).then_some(())
        })
        .await;
        let answers = crowd.run.answers();
        eventually("answers after it", async || {
            (crowd.run.answers() > answers + 100).then_some(())
        })
        .await;
        let counts = loud.end().await;
        crowd.run.stop();
        for end in crowd.come_home(work).await {
            assert!(matches!(end, End::Told), "a client lost its connection: {end:?}");
        }
        server.kill();
        server = site.start().await;
        crowd.compare_with_lists(&site).await;
        crowd.check_history();
        say(&format!("{counts:?}; the journal held at most {fullest} records"));
        server.stop().await;
        site.check_is_clean();
    });
}

/// Bytes of each file of the data directory.
fn file_lengths(site: &Site) -> BTreeMap<String, u64> {
    let entries = std::fs::read_dir(site.data()).expect("a data directory");
    let length = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let length = entry.metadata().map_or(0, |meta| meta.len());
        (entry.file_name().to_string_lossy().into_owned(), length)
    };
    entries.map(length).collect()
}

/// Looks at every bound that can be seen from outside; returns the records in the journal.
async fn inside_bounds(site: &Site, server: &Server<'_>, before: &BTreeMap<String, u64>) -> u64 {
    let resident = server.resident_bytes();
    assert!(resident < RESIDENT_BYTES_MAX, "{resident} bytes in memory");
    let now = file_lengths(site);
    // Its length is fixed from the start.
    assert_eq!(now["journal.ring"], before["journal.ring"], "the journal's file grew");
    let figures = site.figures().await;
    let bounded = figures.bounded();
    for name in BOUNDED {
        let found = bounded.iter().any(|(gauge, ..)| gauge.split('{').next() == Some(name));
        assert!(found, "{name} or its limit is not in /metrics");
    }
    for (name, value, most) in bounded {
        assert!(value <= most, "{name} is {value}, its bound {most}");
    }
    figures.get("addrd_journal_records").unwrap_or_default() as u64
}
