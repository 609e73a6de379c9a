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

#[test]
fn a_prefix_of_a_pool_has_a_lease_like_an_address() {
    let server = blue();
    server.addrd("pool create nodes 10.128.0.0/16 --default-length 24").ok();
    let given = server.addrd("allocate --pool nodes --owner node-7 --lease 7d -o json").json();
    assert!(is_left(&given["time_left_ms"], 7 * DAY_MS), "{given}");
    let renewed = server.addrd("renew --pool nodes --owner node-7 --lease 2d -o json").json();
    assert!(is_left(&renewed["time_left_ms"], 2 * DAY_MS), "{renewed}");
    server.addrd("allocate blue --owner node-7 --lease 1h").ok();
    // All of an owner: in a pool, and wherever it is.
    let all = server.addrd("renew --pool nodes --owner node-7 --all --lease 3d -o json").json();
    assert_eq!(all["renewed"], 1, "{all}");
    let all = server.addrd("renew --owner node-7 --all --lease 4d -o json").json();
    assert_eq!(all["renewed"], 2, "{all}");
    let gone = server.addrd("renew --owner nobody --all --lease 4d").fails(3);
    assert!(gone.contains("EXPIRED"), "{gone}");
    server.addrd("allocate --pool nodes --owner node-8 --lease 1s").ok();
    let begin = Instant::now();
    while server.addrd("pool get nodes -o json").json()["taken"] != 1 {
        assert!(begin.elapsed() < PATIENCE, "its lease has ended long ago");
    }
    server.addrd("renew --pool nodes --owner node-8 --lease 1h").fails(4);
}

#[test]
fn a_lease_goes_on_where_an_export_of_leases_is_imported() {
    let server = blue();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    server.addrd("pool create nodes 10.128.0.0/16 --default-length 24").ok();
    server.addrd("allocate blue --owner web-1 --lease 7d").ok();
    server.addrd("allocate blue --owner web-2").ok();
    server.addrd("allocate --pool nodes --owner node-7 --lease 5d").ok();
    server.addrd("port create blue 22222222-2222-4222-8222-222222222222 --ip 10.0.0.9").ok();
    server.addrd("allocation update 10.0.0.9 --lease 3d").ok();
    let (with, without) = (path("with.jsonl"), path("without.jsonl"));
    let said = server.addrd(&format!("export --leases {with}")).err;
    assert!(!said.contains("lease"), "{said}");
    server.addrd(&format!("export {without}")).ok();
    let left = |server: &Server, line: &str| server.addrd(line).json()["time_left_ms"].clone();
    for (file, has_leases) in [(&with, true), (&without, false)] {
        let other = Server::dev();
        // Its sample network is in the file.
        other.addrd("network delete demo --force --yes").ok();
        other.addrd(&format!("import {file}")).ok();
        // Again: what goes on is neither compared nor moved.
        other.addrd(&format!("import {file}")).ok();
        for (line, days) in [
            ("allocation get 10.0.0.2 -o json", 7),
            ("allocation get 10.0.0.9 -o json", 3),
            ("allocation get --pool nodes --owner node-7 -o json", 5),
        ] {
            let left = left(&other, line);
            let is_so = if has_leases { is_left(&left, days * DAY_MS) } else { left == 0 };
            assert!(is_so, "{file}: {line}: {left}");
        }
        assert_eq!(left(&other, "allocation get 10.0.0.3 -o json"), 0);
        other.addrd(&format!("compare {file}")).ok();
    }
}
