//! Host leases at the command line.

use crate::program::Server;

#[test]
fn a_host_begins_renews_and_ends_and_what_follows_goes_with_it() {
    let server = Server::dev();
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    let follow = "allocate blue --owner web-1 --manager cni --host n1 --follow-host";
    let refused = server.addrd(follow).fails(3);
    assert!(refused.contains("no lease"), "{refused}");
    server.addrd("host-lease renew --manager cni n1 --lease 10m").fails(3);
    let begin = "host-lease renew --manager cni n1 --lease 10m --on-end release --begin 7 -o json";
    let begun = server.addrd(begin).json();
    assert_eq!((&begun["life"], &begun["was"]), (&"7".into(), &"absent".into()), "{begun}");
    server.addrd(follow).ok();
    let renew = "host-lease renew --manager cni n1 --lease 20m --on-end release -o json";
    let renewed = server.addrd(renew).json();
    assert_eq!((&renewed["following"], &renewed["was"]), (&1.into(), &"running".into()));
    let list = server.addrd("host-lease list --manager cni").ok();
    for shown in ["n1", "running", "release"] {
        assert!(list.contains(shown), "{list}");
    }
    let held = server.addrd("allocation get --network blue --owner web-1 -o json").json();
    assert_eq!(held["follows_host"], true, "{held}");
    assert!(held["time_left_ms"].as_u64().unwrap() > 600_000, "{held}");
    let ended = server.addrd("host-lease end --manager cni n1 --on-end release -o json").json();
    assert_eq!(ended["following"], 1, "{ended}");
    server.addrd("allocation get --network blue --owner web-1").fails(4);
    server.addrd("host-lease end --manager cni n1").fails(3);
    assert_eq!(server.addrd("host-lease list --manager cni -q").ok(), "");
}
