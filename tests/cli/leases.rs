//! Leases at the command line: given, shown, renewed, ended.

use crate::program::Server;
use std::time::{Duration, Instant};

/// Longest wait for the end of a lease of a second; reached only by a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn blue() -> Server {
    let server = Server::dev();
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    server
}

const DAY_MS: u64 = 86_400_000;

/// As much as was asked for, or up to an hour less.
fn is_left(left: &serde_json::Value, whole_ms: u64) -> bool {
    left.as_u64().is_some_and(|left| left <= whole_ms && left > whole_ms - DAY_MS / 24)
}

#[test]
fn a_lease_is_shown_wherever_its_address_is_and_renewed() {
    let server = blue();
    let given = server.addrd("allocate blue --owner web-1 --lease 7d -o json").json();
    assert!(is_left(&given["time_left_ms"], 7 * DAY_MS), "{given}");
    for line in ["list blue", "lookup 10.0.0.2", "allocation get 10.0.0.2"] {
        let shown = server.addrd(line).ok();
        assert!(shown.contains("6d23h"), "{line}: {shown}");
    }
    let said = server.addrd("export").err;
    assert!(said.contains("1 allocations have a lease"), "what a file lacks is told: {said}");
    let renewed = server.addrd("renew 10.0.0.2 --lease 2d -o json").json();
    assert!(is_left(&renewed["time_left_ms"], 2 * DAY_MS), "{renewed}");
    assert_eq!(renewed["revision"], given["revision"]);
    let shown = server.addrd("renew --network blue --owner web-1 --lease 9d").ok();
    let is_shown = ["9d", "8d23h"].iter().any(|left| shown.contains(left));
    assert!(shown.contains("10.0.0.2") && is_shown, "{shown}");
    let all = server.addrd("renew --network blue --owner web-1 --all --lease 1h -o json").json();
    assert_eq!((&all["renewed"], &all["expired"]), (&1.into(), &0.into()), "{all}");
    server.addrd("allocation update 10.0.0.2 --no-lease").ok();
    let shown = server.addrd("renew 10.0.0.2 --lease 1h").ok();
    assert!(shown.contains("without end"), "{shown}");
    server.addrd("allocation update 10.0.0.2 --lease 5d").ok();
    let held = server.addrd("allocation get 10.0.0.2 -o json").json();
    assert!(is_left(&held["time_left_ms"], 5 * DAY_MS), "{held}");
}

#[test]
fn what_is_not_renewed_is_free_again() {
    let server = blue();
    server.addrd("allocate blue --owner web-1 --lease 1s").ok();
    let begin = Instant::now();
    while server.addrd("usage blue -o json").json()["totals"][0]["allocated"] != "0" {
        assert!(begin.elapsed() < PATIENCE, "its lease has ended long ago");
    }
    assert_eq!(server.addrd("list blue -q").ok(), "");
    server.addrd("renew 10.0.0.2 --lease 1h").fails(4);
    let gone = server.addrd("renew --network blue --owner web-1 --all --lease 1h").fails(3);
    assert!(gone.contains("EXPIRED"), "{gone}");
}

#[test]
fn a_duration_needs_a_unit_and_keeps_to_its_bounds() {
    let server = blue();
    for wrong in ["0s", "10", "999ms", "11y", "3651d"] {
        let said = server.addrd(&format!("allocate blue --lease {wrong}")).fails(2);
        assert!(said.contains("1s to 3650d"), "{wrong}: {said}");
    }
}
