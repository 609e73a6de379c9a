//! What objects are shown with: where they are, in every command and form that shows them.

use crate::program::Server;
use serde_json::Value;

/// A server with the networks `blue` (both families) and `green`, and an owner with an address in
/// each.
fn two_networks() -> Server {
    let server = Server::dev();
    for (network, cidr) in [("blue", "10.0.0.0/24"), ("green", "10.1.0.0/24")] {
        server.addrd(&format!("network create {network}")).ok();
        server.addrd(&format!("subnet create {network} {cidr}")).ok();
        server.addrd(&format!("allocate {network} --owner web-1 --label role=web")).ok();
    }
    server.addrd("subnet create blue fd00::/64").ok();
    server
}

/// Whether some line has all these words.
fn has_line(text: &str, words: &[&str]) -> bool {
    text.lines().any(|line| words.iter().all(|word| line.split_whitespace().any(|w| w == *word)))
}

#[test]
fn allocations_are_shown_with_the_name_of_their_network_and_the_prefix_of_their_subnet() {
    let server = two_networks();
    for line in ["list", "lookup web-1", "lookup --label role=web", "list -o plain"] {
        let shown = server.addrd(line).ok();
        assert!(has_line(&shown, &["10.0.0.2", "10.0.0.0/24", "blue"]), "{line}: {shown}");
        assert!(has_line(&shown, &["10.1.0.2", "10.1.0.0/24", "green"]), "{line}: {shown}");
    }
    for line in
        ["list green", "lookup 10.1.0.2", "allocation get 10.1.0.2", "list --state allocated"]
    {
        let shown = server.addrd(line).ok();
        assert!(shown.contains("green") && shown.contains("10.1.0.0/24"), "{line}: {shown}");
        let json = server.addrd(&format!("{line} -o json")).json();
        let object = json.as_array().map_or(&json, |all| {
            all.iter().find(|object| object["address"] == "10.1.0.2").unwrap()
        });
        assert_eq!(object["network_name"], "green", "{line}: {json}");
        assert_eq!(object["cidr"], "10.1.0.0/24", "{line}: {json}");
    }
    let changed = server.addrd("allocation update 10.0.0.2 --host node-3 -o json").json();
    assert_eq!((&changed["cidr"], &changed["host"]), (&"10.0.0.0/24".into(), &"node-3".into()));
}

#[test]
fn counts_are_shown_with_the_name_of_their_network() {
    let server = two_networks();
    for line in ["usage", "usage green"] {
        assert!(has_line(&server.addrd(line).ok(), &["10.1.0.0/24", "green"]), "{line}");
        let counted = server.addrd(&format!("{line} -o json")).json();
        // One network is an object, all of them are a list.
        let networks = counted.as_array().cloned().unwrap_or_else(|| vec![counted.clone()]);
        assert_eq!(counted.is_array(), line == "usage", "{counted}");
        let green = networks.iter().find(|one| one["subnets"][0]["cidr"] == "10.1.0.0/24");
        assert_eq!(green.unwrap()["network_name"], "green", "{counted}");
    }
}

#[test]
fn what_has_no_name_is_shown_by_its_id() {
    let server = two_networks();
    let id = server.addrd("network get blue -q").ok();
    server.addrd("network update blue --no-name").ok();
    assert!(has_line(&server.addrd("list").ok(), &["10.0.0.2", id.trim()]));
    let found = server.addrd("lookup 10.0.0.2 -o json").json();
    assert_eq!(
        (&found[0]["network_name"], &found[0]["network_id"]),
        (&Value::Null, &id.trim().into())
    );
}

#[test]
fn a_lookup_is_a_list_to_programs_whatever_it_finds() {
    let server = two_networks();
    for (line, count) in [("lookup 10.0.0.2", 1), ("lookup web-1", 2), ("lookup blue", 1)] {
        let found = server.addrd(&format!("{line} -o json")).json();
        assert_eq!(found.as_array().map(Vec::len), Some(count), "{line}: {found}");
    }
    assert_eq!(server.addrd("lookup blue -o json").json()[0]["name"], "blue");
    // To people one is shown with all that is known of it.
    assert!(has_line(&server.addrd("lookup 10.0.0.2").ok(), &["owner_name", "web-1"]));
    server.addrd("lookup nobody -o json").fails(4);
    let error = server.addrd("lookup 10.0.0.99").fails(4);
    assert!(error.contains("10.0.0.0/24 of blue"), "{error}");
}

#[test]
fn both_addresses_of_an_allocation_say_where_they_are() {
    let server = two_networks();
    let got = server.addrd("allocate blue --owner a --family both -o json").json();
    assert_eq!(
        (&got["cidr"], &got["second"]["cidr"]),
        (&"10.0.0.0/24".into(), &"fd00::/64".into())
    );
    assert!(got["network_id"].is_string());
    assert_eq!(got["second"]["network_id"], got["network_id"]);
}

#[test]
fn jobs_and_prefixes_are_shown_with_names_too() {
    let server = two_networks();
    server.addrd("subnet delete green 10.1.0.0/24 --force").ok();
    assert!(has_line(&server.addrd("job list").ok(), &["done", "green"]));
    assert_eq!(server.addrd("job list -o json").json()[0]["network_name"], "green");
    server.addrd("network delete green --force").ok();
    server.addrd("pool create nodes 10.128.0.0/16").ok();
    server.addrd("allocate --pool nodes --length 24 --owner node-7").ok();
    for line in ["list --pool nodes", "lookup node-7 --pool nodes"] {
        let found = server.addrd(&format!("{line} -o json")).json();
        assert_eq!(found[0]["network_name"], "nodes", "{line}: {found}");
        assert!(server.addrd(line).ok().contains("nodes"), "{line}");
    }
}

#[test]
fn a_port_without_an_id_gets_one_and_tells_it() {
    let server = two_networks();
    let made = server.addrd("port create blue -o json").json();
    let other = server.addrd("port create blue -o json").json();
    assert_ne!(made["port_id"], other["port_id"]);
    let id = made["port_id"].as_str().unwrap();
    let found = server.addrd(&format!("port get blue {id} -o json")).json();
    assert_eq!(found["fixed_ips"], made["fixed_ips"]);
    let quiet = server.addrd("port create blue --no-ips -q");
    let id = quiet.err.trim().strip_prefix("port ").unwrap_or_else(|| panic!("{quiet:?}"));
    server.addrd(&format!("port get blue {id}")).ok();
    assert_eq!(quiet.ok(), "");
}
