//! The lines that the documentation shows, and the forms of output.

use crate::program::{Server, words_at};
use serde_json::Value;

#[test]
fn the_four_lines_work_when_pasted() {
    let server = Server::dev();
    let shown = server.addrd("allocate demo").ok();
    let mut lines = shown.lines();
    assert_eq!(lines.next(), Some("10.64.0.2"));
    for field in ["owner", "subnet", "revision"] {
        assert!(shown.lines().any(|line| line.starts_with(field)), "{field} is missing:\n{shown}");
    }
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    let shown = server.addrd("allocate blue --owner web-1").ok();
    assert_eq!(shown.lines().next(), Some("10.0.0.2"));
    assert_eq!(server.addrd("allocate blue --owner web-1 -q").ok(), "10.0.0.2\n");
    let found = server.addrd("lookup 10.0.0.2").ok();
    assert!(found.contains("web-1"), "{found}");
    let released = server.addrd("release 10.0.0.2");
    assert!(released.err.contains("held by web-1"), "it shows what it releases: {released:?}");
    assert_eq!(released.err.lines().count(), 1, "and says it once: {released:?}");
    assert_eq!(released.ok(), "released 10.0.0.2 (quarantined)\n");
    assert!(server.addrd("lookup 10.0.0.2").ok().contains("quarantined"), "it rests");
    // The second time there is nothing to release, which is no failure.
    assert!(server.addrd("release 10.0.0.2").ok().contains("not held"));
}

#[test]
fn the_same_commands_again_find_what_they_made() {
    let server = Server::dev();
    let make = || {
        [
            server.addrd("network create blue -q").ok(),
            server.addrd("subnet create blue 10.0.0.0/24 -q").ok(),
            server.addrd("allocate blue --owner web-1 -q").ok(),
        ]
    };
    assert_eq!(make(), make());
    let again = server.addrd("network create blue -o json").json();
    assert_eq!(again["repeated"], true);
    // Renamed, its name is free for another network.
    server.addrd("network update blue --name green").ok();
    let other = server.addrd("network create blue -o json").json();
    assert_eq!((&other["repeated"], &other["name"]), (&Value::from(false), &Value::from("blue")));
}

#[test]
fn json_has_the_names_of_the_protocol() {
    let server = Server::dev();
    let got = server.addrd("allocate demo --owner web-1 --output json").json();
    for name in [
        "address",
        "cidr",
        "subnet_id",
        "network_id",
        "owner",
        "owner_name",
        "slot",
        "revision",
        "state",
    ] {
        assert!(!got[name].is_null(), "{name} is missing: {got}");
    }
    assert_eq!((&got["address"], &got["cidr"]), (&"10.64.0.2".into(), &"10.64.0.0/16".into()));
    assert!(got["revision"].is_string(), "64 bits are decimal strings");
    let found = server.addrd("lookup 10.64.0.2 --output json").json();
    for name in ["address", "cidr", "owner", "owner_name", "slot", "revision", "state", "subnet_id"]
    {
        assert_eq!(found[0][name], got[name], "{name}");
    }
    let list = server.addrd("list demo --output json").json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["address"], "10.64.0.2");
}

#[test]
fn options_work_before_and_after_the_command() {
    let server = Server::dev();
    for owner in ["a", "b", "c"] {
        server.addrd(&format!("allocate demo --owner {owner}")).ok();
    }
    assert_eq!(
        server.addrd("--output plain --no-headers --limit 1 list demo").ok(),
        server.addrd("list demo --output plain --no-headers --limit 1").ok()
    );
    assert_eq!(server.addrd("-q list demo").ok(), "10.64.0.2\n10.64.0.3\n10.64.0.4\n");
    assert_eq!(server.addrd("list -q --limit 2").ok(), "10.64.0.2\n10.64.0.3\n");
    let place = &server.place;
    let before = words_at("127.0.0.1:1", &["--server", place, "list", "demo", "-q"]);
    let after = words_at("127.0.0.1:1", &["list", "demo", "-q", "--server", place]);
    assert_eq!(before.ok(), after.ok(), "the option wins over the environment");
    let several = format!("127.0.0.1:1,{place}");
    words_at(&several, &["list", "demo"]).ok();
}

#[test]
fn every_format_prints_the_same_objects() {
    let server = Server::dev();
    for owner in ["a", "b"] {
        server.addrd(&format!("allocate demo --owner {owner}")).ok();
    }
    let table = server.addrd("list demo").ok();
    assert!(table.starts_with("ADDRESS"), "{table}");
    assert_eq!(table.lines().count(), 3);
    assert_eq!(server.addrd("list demo --no-headers").ok().lines().count(), 2);
    let lines = server.addrd("list demo -o jsonl").ok();
    let addresses: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["address"].clone())
        .collect();
    assert_eq!(addresses, ["10.64.0.2", "10.64.0.3"]);
    let plain = server.addrd("list demo -o plain").ok();
    let rows: Vec<Vec<&str>> = plain.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!((rows[0][0], rows[1][0], rows[2][0]), ("address", "10.64.0.2", "10.64.0.3"));
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    let empty = server.addrd("list demo --owner nobody -o json").json();
    assert_eq!(empty, Value::Array(Vec::new()));
    assert_eq!(server.addrd("list demo --owner nobody -q").ok(), "");
}

#[test]
fn without_an_owner_one_is_made_and_printed() {
    let server = Server::dev();
    let first = server.addrd("allocate demo -o json").json();
    let second = server.addrd("allocate demo -o json").json();
    assert_ne!(first["owner"], second["owner"]);
    let owner = first["owner"].as_str().unwrap();
    let again = server.addrd(&format!("allocate demo --owner {owner} -o json")).json();
    assert_eq!((&again["address"], &again["repeated"]), (&first["address"], &true.into()));
}

#[test]
fn a_mac_is_one_owner_however_it_is_written() {
    let server = Server::dev();
    let one = server.addrd("allocate demo --owner mac:02:00:00:00:00:0A -q").ok();
    let two = server.addrd("allocate demo --owner mac:02-00-00-00-00-0a -q").ok();
    assert_eq!(one, two);
    assert!(server.addrd("lookup mac:02:00:00:00:00:0a").ok().contains(one.trim()));
}
