//! Managers, hosts and reconciliation at the command line.

use crate::program::Server;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longest wait for the grace of a second; reached only by a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn blue() -> Server {
    let server = Server::dev();
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    for owner in ["web-1", "web-2"] {
        server.addrd(&format!("allocate blue --owner {owner} --manager cni --host n1")).ok();
    }
    server.addrd("allocate blue --owner web-3 --manager cni --host n2").ok();
    server.addrd("allocate blue --owner web-4 --manager other --host n1").ok();
    server
}

#[test]
fn what_two_lists_lack_is_released() {
    let server = blue();
    let lists = tempfile::tempdir().unwrap();
    let list = |name: &str, text: &str| {
        let path = lists.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let live =
        list("live.txt", "web-1\n\n{\"owner\": \"web-9\", \"slot\": 3, \"instance\": \"7\"}\n");
    let line = format!("reconcile --manager cni --host n1 --grace 1s {live} -o json");
    let dry = server.addrd(&format!("{line} --dry-run")).json();
    assert_eq!((&dry["suspects"], &dry["released"]), (&1.into(), &0.into()), "{dry}");
    assert_eq!(server.addrd("suspect list -q").ok(), "");
    let first = server.addrd(&line).json();
    assert_eq!((&first["complete"], &first["listed"]), (&true.into(), &1.into()), "{first}");
    let held = server.addrd("suspect list --manager cni --host n1").ok();
    assert!(held.contains("10.0.0.3") && held.contains("web-2"), "{held}");
    for other in ["--host n2", "--manager other", "--network demo"] {
        assert_eq!(server.addrd(&format!("suspect list -q {other}")).ok(), "", "{other}");
    }
    let begin = Instant::now();
    loop {
        let next = server.addrd(&line).json();
        if next["released"] == 1 {
            break;
        }
        assert_eq!(next["too_early"], true, "{next}");
        assert!(begin.elapsed() < PATIENCE, "the grace of a second was over long ago");
    }
    let left = server.addrd("list blue -q").ok();
    assert_eq!(left.lines().collect::<Vec<_>>(), ["10.0.0.2", "10.0.0.4", "10.0.0.5"]);
}

#[test]
fn managers_and_hosts_are_listed() {
    let server = blue();
    let all = server.addrd("manager list -o json").json();
    let names: Vec<_> = all.as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["cni", "other"]);
    assert_eq!(all[0]["allocations"], 3);
    assert_eq!(server.addrd("manager hosts cni -q").ok(), "n1\nn2\n");
    assert_eq!(server.addrd("manager hosts nobody -q").ok(), "");
}

#[test]
fn what_is_no_list_is_refused() {
    let server = blue();
    server.addrd("reconcile --manager cni --host n1 nowhere.txt").fails(2);
    let stale = "reconcile --manager cni --host n1 /dev/null --call";
    server.addrd(&format!("{stale} 8")).ok();
    let refused = server.addrd(&format!("{stale} 7")).fails(3);
    assert!(refused.contains("RECONCILE_STALE") || refused.contains("call 8"), "{refused}");
}

/// More than a page holds; as many as are asked for, once each.
#[test]
fn all_suspects_are_listed() {
    let server = Server::dev();
    for (name, cidr) in [("front", "10.1.0.0/22"), ("back", "10.2.0.0/22")] {
        server.addrd(&format!("network create {name}")).ok();
        server.addrd(&format!("subnet create {name} {cidr}")).ok();
    }
    let first = "44444444-4444-4444-8444-000000000000";
    let ask = format!("allocate front back --owner {first} --manager cni --host n1 --dry-run");
    let mut all = server.addrd(&ask).json();
    let two = all["items"].as_array().unwrap().clone();
    let as_owner = |item: &serde_json::Value, number: u32| -> serde_json::Value {
        let owner = format!("44444444-4444-4444-8444-{number:012}");
        serde_json::from_str(&item.to_string().replace(first, &owner)).unwrap()
    };
    let items = (0..300).flat_map(|number| two.iter().map(move |item| as_owner(item, number)));
    all["items"] = items.collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.json");
    std::fs::write(&file, all.to_string()).unwrap();
    server.addrd(&format!("transaction {}", file.display())).ok();
    server.addrd("reconcile --manager cni --host n1 /dev/null").ok();
    let count = |line: &str| {
        let listed = server.addrd(&format!("suspect list {line} -q")).ok();
        let once: BTreeSet<&str> = listed.lines().collect();
        assert_eq!(once.len(), listed.lines().count(), "{line}");
        once.len()
    };
    assert_eq!(count(""), 600);
    assert_eq!(count("--manager cni --host n1"), 600);
    assert_eq!(count("--network back"), 300);
    assert_eq!((count("--limit 7"), count("--limit 257")), (7, 257));
    assert_eq!(server.addrd("suspect list -o json").json().as_array().unwrap().len(), 600);
}
