//! T9: bad peers and malformed frames together, for as long as wanted, beside good clients: memory is
//! bounded and flat, and falls back when they are gone.

use super::frames::{ENEMIES, FLOOD_BYTES_MAX, flood, must_be_well};
use super::peers::{Idle, Numbers, Peers, full_network};
use crate::support::good::Good;
use crate::support::hostile::CANARY;
use crate::support::seed::Choices;
use crate::support::server::{Server, Site};
use crate::support::{eventually, run, say, scale};
use addrd_client::protocol::NetworkId;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Frames that an enemy sends before it looks whether it is to go on.
const FRAMES_AT_ONCE: u64 = 1_000;
/// Waves of bad peers that are compared, at least.
const WAVES_LEAST: usize = 2;
/// Memory may differ by so many percent and still be called the same.
const SAME_PERCENT: u64 = 10;
/// And by so many bytes: pages of the data files and rows of what good clients do come and go.
const SAME_BYTES: u64 = 8 << 20;
/// Connections of the good clients, which stay.
const CONNECTIONS_GOOD_MAX: f64 = 4.0;

#[test]
fn memory_is_flat_under_bad_peers_and_frames_and_falls_back() {
    let (numbers, seconds) = (Numbers::of_run(), scale("ADDRD_SECONDS", 10));
    run(Duration::from_secs(900 + 3 * seconds), async {
        let choices = Choices::of_test("endurance");
        let site = numbers.site();
        let server = site.start().await;
        let full = full_network(&site).await;
        let fresh = server.resident_bytes();
        let good = Good::start(&site, 4, CANARY).await;
        let mut stage = Stage { site: &site, server: &server, numbers, full, choices };
        // What is made once and kept (tables, pages of files, what the allocator holds back) has its size after a third.
        let first = stage.load(1, Duration::from_secs(seconds / 3)).await;
        let before = stage.rest().await;
        let highs = stage.load(WAVES_LEAST, Duration::from_secs(seconds)).await;
        let most = numbers.bytes_max(fresh, 0) + FLOOD_BYTES_MAX;
        let after = stage.rest().await;
        say(&format!(
            "{numbers:?}; memory {fresh} bytes fresh, {before} after first waves ({first:?}); \
             highest of each wave {highs:?}; {after} afterwards"
        ));
        let highest = |of: &[u64]| of.iter().copied().max().unwrap_or_default();
        assert!(highest(&highs) < most, "{highs:?} bytes, allowed {most}");
        let (early, late) = highs.split_at(highs.len() / 2);
        let (early, late) = (highest(early), highest(late));
        assert!(late <= more(early), "not flat: {early}, later {late} bytes");
        eventually("memory to fall back", async || {
            (server.resident_bytes() <= more(before)).then_some(())
        })
        .await;
        say(&format!("good clients: {}", good.end().await));
        must_be_well(&site, server).await;
    });
}

/// The most that counts as the same.
fn more(bytes: u64) -> u64 {
    bytes + bytes * SAME_PERCENT / 100 + SAME_BYTES
}

/// Bytes in flight that good clients alone may have.
const REST_BYTES_MAX: f64 = 1_048_576.0;

/// A server, and who comes upon it.
struct Stage<'a> {
    site: &'a Site,
    server: &'a Server<'a>,
    numbers: Numbers,
    full: NetworkId,
    choices: Choices,
}

impl Stage<'_> {
    /// Waves of bad peers between idle ones and under malformed frames, so many and for so long at least. Returns the
    /// highest memory of each.
    async fn load(&mut self, least: usize, time: Duration) -> Vec<u64> {
        let idle = Idle::open(self.site, self.numbers).await;
        let (stop, stopped) = watch::channel(false);
        let mut enemies = JoinSet::new();
        for number in 0..ENEMIES {
            let (mut choices, to, stopped) =
                (self.choices.fork(), self.site.listen(), stopped.clone());
            let from = Ipv4Addr::new(127, 0, 1, 1 + number as u8);
            enemies.spawn(async move {
                while !*stopped.borrow() {
                    flood(choices.fork(), from, to, FRAMES_AT_ONCE).await;
                }
            });
        }
        let (began, mut highs) = (Instant::now(), Vec::new());
        while highs.len() < least || began.elapsed() < time {
            let mut peers = Peers::new();
            self.numbers.set_out(self.site, self.full, &mut peers).await;
            highs.push(peers.gone(self.site, self.server, ENEMIES as usize).await);
        }
        stop.send_replace(true);
        while let Some(done) = enemies.join_next().await {
            done.expect("the server sends frames and closes");
        }
        idle.end().await;
        highs
    }

    /// Memory when only the good clients are left.
    async fn rest(&self) -> u64 {
        eventually("bad peers to be gone", async || {
            let figures = self.site.figures().await;
            let connections = figures.get("addrd_connections")?;
            let in_flight = figures.get("addrd_bytes_in_flight")?;
            (connections <= CONNECTIONS_GOOD_MAX && in_flight < REST_BYTES_MAX).then_some(())
        })
        .await;
        self.server.resident_bytes()
    }
}
