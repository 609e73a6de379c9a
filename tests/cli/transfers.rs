//! Transfers at the command line: what changes hands, what is shown, and what is refused.

use crate::program::Server;

fn blue() -> Server {
    let server = Server::dev();
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    server
}

#[test]
fn an_address_goes_to_another_owner_and_keeps_its_lease_and_label() {
    let server = blue();
    let given =
        server.addrd("allocate blue --owner web-1 --lease 7d --label app=web -o json").json();
    let now = server.addrd("transfer 10.0.0.2 --to-owner web-2 -o json").json();
    assert_eq!(
        (&now["address"], &now["owner_name"]),
        (&"10.0.0.2".into(), &"web-2".into()),
        "{now}"
    );
    assert_eq!(now["label"], "app=web");
    assert_ne!(now["revision"], given["revision"]);
    let shown = server.addrd("lookup 10.0.0.2").ok();
    assert!(shown.contains("web-2") && shown.contains("6d23h"), "{shown}");
    // The old owner finds nothing, and what it sends late touches nothing.
    server.addrd("allocation get --network blue --owner web-1").fails(4);
    let late = format!("release 10.0.0.2 --revision {}", given["revision"].as_str().unwrap());
    server.addrd(&late).fails(3);
    // Sent again it was so already.
    let again = server.addrd("transfer 10.0.0.2 --owner web-1 --to-owner web-2 -o json").json();
    assert_eq!(
        (&again["repeated"], &again["revision"]),
        (&true.into(), &now["revision"]),
        "{again}"
    );
    server.addrd("transfer 10.0.0.2 --owner web-1 --to-owner web-3").fails(3);
    let shown = server.addrd("transfer 10.0.0.2 --owner web-2 --to-owner web-3").ok();
    assert!(shown.contains("10.0.0.2") && shown.contains("web-3"), "{shown}");
}

#[test]
fn slots_and_instances_change_and_what_is_in_the_way_is_told() {
    let server = blue();
    server.addrd("allocate blue --owner web-1").ok();
    server.addrd("allocate blue --owner web-2").ok();
    let moved = "transfer --network blue --owner web-1 --to-slot 3 --to-instance 7 -o json";
    let moved = server.addrd(moved).json();
    assert_eq!((&moved["slot"], &moved["instance"]), (&3.into(), &"7".into()), "{moved}");
    let refused = server.addrd("transfer 10.0.0.2 --to-owner web-2 --to-slot 0").fails(3);
    assert!(refused.contains("KEY_IN_USE") || refused.contains("holds an address"), "{refused}");
    server.addrd("transfer 10.0.0.2").fails(2);
    server.addrd("transfer 10.0.0.99 --to-owner web-9").fails(4);
    let dry = server.addrd("transfer 10.0.0.2 --to-owner web-9 --dry-run").ok();
    assert!(dry.contains("web-9"), "{dry}");
    server.addrd("lookup web-9").fails(4);
}

#[test]
fn a_shared_address_goes_to_another_project() {
    let server = blue();
    server.addrd("project create team").ok();
    server.addrd("network update blue --shared true").ok();
    server.addrd("allocate blue --owner web-1").ok();
    server.addrd("transfer 10.0.0.2 --to-project nobody").fails(4);
    let given = server.addrd("transfer 10.0.0.2 --to-project team -o json").json();
    assert_eq!(given["address"], "10.0.0.2");
    let listed = server.addrd("list blue --project team").ok();
    assert!(listed.contains("10.0.0.2") && listed.contains("web-1"), "{listed}");
    server.addrd("release 10.0.0.2").fails(3);
}

#[test]
fn leases_in_all_networks_are_renewed_at_once() {
    let server = blue();
    server.addrd("network create red").ok();
    server.addrd("subnet create red 10.1.0.0/24").ok();
    for network in ["blue", "red"] {
        server.addrd(&format!("allocate {network} --owner node-7 --lease 1h")).ok();
    }
    let all = server.addrd("renew --owner node-7 --all --lease 9d -o json").json();
    assert_eq!(
        (&all["renewed"], &all["network_id"]),
        (&2.into(), &serde_json::Value::Null),
        "{all}"
    );
    let shown = server.addrd("lookup node-7").ok();
    assert_eq!(shown.matches("8d23h").count() + shown.matches("9d").count(), 2, "{shown}");
    server.addrd("renew --owner nobody --all --lease 1h").fails(3);
}
