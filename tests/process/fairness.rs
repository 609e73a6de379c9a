//! One connection at full blast does not starve 63 others that have one request in flight each:
//! they keep half of the rate that they have alone, and are never told to come later. Rates are
//! compared within one run, over short windows in turn, by their medians. What else the machine
//! does can spoil a comparison, so it is made again; what is unfair is so every time.

use crate::support::network::network;
use crate::support::pump::{Load, Pumps};
use crate::support::server::Site;
use crate::support::{run_alone, say};
use std::time::{Duration, Instant};

/// Connections with one request in flight.
const QUIET: usize = 63;
/// Requests in flight of the loud one: all that the credit allows.
const LOUD_IN_FLIGHT: usize = 256;
/// Windows of each kind in a comparison.
const WINDOWS: usize = 7;
/// Comparisons of which one must come out well.
const COMPARISONS: usize = 5;
/// Length of a window.
const WINDOW: Duration = Duration::from_millis(400);

#[test]
fn one_loud_connection_leaves_the_others_half_of_their_rate() {
    run_alone(Duration::from_secs(300), async {
        let site = Site::new();
        let server = site.start().await;
        let network = network(&site.client().await, 1, &["10.0.0.0/12"]).await;
        let quiet = Load { network, owners: 1 << 64, connections: QUIET, in_flight: 1, items: 1 };
        let loud = Load { owners: 2 << 64, connections: 1, in_flight: LOUD_IN_FLIGHT, ..quiet };
        let quiet = Pumps::start(site.listen(), quiet).await;
        let loud = Pumps::start(site.listen(), loud).await;
        quiet.open();
        rate(&quiet).await;
        let mut is_fair = false;
        for _ in 0..COMPARISONS {
            is_fair = compare(&quiet, &loud).await;
            if is_fair {
                break;
            }
        }
        let (quiet, loud) = (quiet.end().await, loud.end().await);
        assert!(loud.done > quiet.done / 63, "the loud one was not loud: {loud:?}");
        assert!(quiet.later.is_empty(), "the quiet ones were told to come later: {quiet:?}");
        assert!(is_fair, "less than half of their rate, {COMPARISONS} times");
        server.stop().await;
    });
}

/// Whether the quiet ones keep half of their rate.
async fn compare(quiet: &Pumps, loud: &Pumps) -> bool {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let loud_before = loud.counts().done;
    for _ in 0..WINDOWS {
        alone.push(rate(quiet).await);
        loud.open();
        beside.push(rate(quiet).await);
        loud.shut().await;
    }
    let (alone, beside) = (median(alone), median(beside));
    let loud = loud.counts().done - loud_before;
    say(&format!("63 x 1: {alone:.0}/s alone, {beside:.0}/s beside a loud one that did {loud}"));
    beside >= alone / 2.0
}

/// Replies a second over one window.
async fn rate(pumps: &Pumps) -> f64 {
    let (began, before) = (Instant::now(), pumps.counts().done);
    tokio::time::sleep(WINDOW).await;
    (pumps.counts().done - before) as f64 / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
