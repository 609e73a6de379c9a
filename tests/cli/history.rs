//! `addrd history`: who held an address, what an owner held, and what a question about nothing gets.

use crate::program::Server;
use serde_json::Value;
use tempfile::TempDir;

/// A server that keeps history, and its folder.
fn keeping() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &["--dev"]);
    (folder, server)
}

#[test]
fn a_server_that_keeps_none_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let off = ["--dev", "--set", "history_days=0"];
    let server = Server::start(&folder.path().join("data"), &off);
    let said = server.addrd("history 10.0.0.9").fails(3);
    assert!(said.contains("HISTORY_OFF") && said.contains("history_days"), "{said}");
}

fn told(entries: &Value) -> Vec<(String, String)> {
    let entries = entries.as_array().unwrap();
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
    entries.iter().map(|entry| (text(entry, "kind"), text(entry, "address"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, what)| ((*kind).to_owned(), (*what).to_owned())).collect()
}

#[test]
fn changes_of_an_address_and_of_an_owner_are_told_also_when_the_network_is_gone() {
    let (_folder, server) = keeping();
    let network = server.addrd("network create blue -o json").json()["network_id"].clone();
    let network = network.as_str().unwrap();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    server.addrd("allocate blue --owner web-1 --address 10.0.0.9 --host n1").ok();
    let first = server.addrd("history 10.0.0.9 -o json").json();
    assert_eq!(told(&first), pairs(&[("allocated", "10.0.0.9")]));
    assert_eq!(first[0]["owner_name"], "web-1");
    assert_eq!(first[0]["host"], "n1");
    assert_eq!(first[0]["network_name"], "blue");
    let before = first[0]["time"].as_str().unwrap().to_owned();
    server.addrd("allocation update 10.0.0.9 --label app=web").ok();
    server.addrd("release 10.0.0.9").ok();
    let all = [("resting", "10.0.0.9"), ("changed", "10.0.0.9"), ("allocated", "10.0.0.9")];
    assert_eq!(told(&server.addrd("history 10.0.0.9 -o json").json()), pairs(&all));
    assert_eq!(told(&server.addrd("history --owner web-1 -o json").json()), pairs(&all));
    let oldest_first = server.addrd("history --owner web-1 --slot 0 --oldest-first -o json").json();
    assert_eq!(told(&oldest_first), pairs(&[all[2], all[1], all[0]]));
    assert_eq!(told(&server.addrd("history --owner web-1 --slot 1 -o json").json()), pairs(&[]));
    let now = server.addrd("history 10.0.0.9 --at now -o json").json();
    assert_eq!(now[0]["owner"], Value::Null, "{now}");
    let then = server.addrd(&format!("history 10.0.0.9 --at {before} -o json")).json();
    assert_eq!(then[0]["owner"], "web-1", "{then}");
    let held = server.addrd(&format!("history --owner web-1 --at {before} -q")).ok();
    assert_eq!(held.trim(), "web-1");
    server.addrd("network delete blue --force --yes").ok();
    let by_id = server.addrd(&format!("history 10.0.0.9 --network {network} -o json")).json();
    let kinds = told(&by_id);
    assert!(kinds.ends_with(&pairs(&all)), "{kinds:?}");
    let shown = server.addrd("history 10.0.0.9");
    assert!(shown.ok().contains("web-1"));
}

#[test]
fn a_time_before_all_is_known_is_answered_with_a_warning() {
    let (_folder, server) = keeping();
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    server.addrd("allocate blue --owner web-1 --address 10.0.0.9").ok();
    let early = server.addrd("history 10.0.0.9 --at 1h");
    assert!(early.err.contains("before all changes are known"), "{}", early.err);
    let early = server.addrd("history 10.0.0.9 --at 1h -o json").json();
    assert_eq!(early[0]["owner"], Value::Null, "it was allocated later");
    assert!(early[0]["reach"].as_str().is_some_and(|reach| reach.ends_with('Z')), "{early}");
}

#[test]
fn wrong_times_cursors_and_networks_are_told_clearly() {
    let (_folder, server) = keeping();
    server.addrd("history").fails(2);
    server.addrd("history 10.0.0.9 --owner web-1").fails(2);
    server.addrd("history 10.0.0.9 --slot 1").fails(2);
    let bad = server.addrd("history 10.0.0.9 --at yesterday").fails(2);
    assert!(bad.contains("expected a time in UTC"), "{bad}");
    let bad = server.addrd("history 10.0.0.9 --from 1h --to 2h").fails(2);
    assert!(bad.contains("--from is later than --to"), "{bad}");
    server.addrd("history 10.0.0.9 --network nowhere").fails(4);
    let never = "history 10.0.0.9 --network 3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let never = server.addrd(never).fails(4);
    assert!(never.contains("now or in history"), "{never}");
    assert_eq!(server.addrd("history 10.0.0.9 -o json").json(), serde_json::json!([]));
}

/// The id of owner web-2: a release tells no more of whose it was.
const WEB_2: &str = "631f8fb3-95e1-5c0f-8726-b8b6f8cbf1a4";

#[test]
fn what_was_there_before_history_was_switched_on_is_seen_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--dev", "--set", "history_days=0"]);
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24 --quarantine 1h").ok();
    for (owner, address) in [("web-1", "10.0.0.9"), ("web-2", "10.0.0.10"), ("web-3", "10.0.0.11")]
    {
        server.addrd(&format!("allocate blue --owner {owner} --address {address}")).ok();
    }
    server.addrd("release 10.0.0.11").ok();
    server.end(rustix::process::Signal::TERM);
    let server = Server::start(&data, &["--dev"]);
    let told_of = |address: &str| told(&server.addrd(&format!("history {address} -o json")).json());
    // Nothing has changed since: who holds it now did then.
    assert_eq!(told_of("10.0.0.9"), pairs(&[]));
    let then = server.addrd("history 10.0.0.9 --at now -o json").json();
    assert_eq!(then[0]["owner"], "web-1", "{then}");
    let before = then[0]["reach"].as_str().unwrap().to_owned();
    // The first entry of each says whose it was.
    server.addrd("allocation update 10.0.0.9 --label app=web").ok();
    server.addrd("release 10.0.0.10").ok();
    server.addrd("allocate blue --owner web-3 --address 10.0.0.11").ok();
    assert_eq!(told_of("10.0.0.9"), pairs(&[("changed", "10.0.0.9")]));
    assert_eq!(told_of("10.0.0.10"), pairs(&[("resting", "10.0.0.10")]));
    assert_eq!(
        told_of("10.0.0.11"),
        pairs(&[("allocated", "10.0.0.11"), ("rest_ended", "10.0.0.11")])
    );
    let expected =
        [("10.0.0.9", "web-1".into()), ("10.0.0.10", WEB_2.into()), ("10.0.0.11", Value::Null)];
    for (address, owner) in expected {
        let then = server.addrd(&format!("history {address} --at {before} -o json")).json();
        assert_eq!(then[0]["owner"], owner, "{address}: {then}");
    }
}
