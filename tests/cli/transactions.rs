//! Addresses in several networks at once, and transactions from a file.

use crate::program::Server;

fn networks() -> Server {
    let server = Server::dev();
    for (name, cidr) in
        [("front", "10.1.0.0/24"), ("back", "10.2.0.0/24"), ("tight", "10.3.0.0/30")]
    {
        server.addrd(&format!("network create {name}")).ok();
        server.addrd(&format!("subnet create {name} {cidr}")).ok();
    }
    server
}

#[test]
fn an_owner_gets_an_address_in_each_network_or_in_none() {
    let server = networks();
    let shown = server.addrd("allocate front back tight --owner pod-1").ok();
    for part in ["front", "10.1.0.2", "back", "10.2.0.2", "tight", "10.3.0.2"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let again = server.addrd("allocate front back --owner pod-1 -q").ok();
    assert_eq!(again, "10.1.0.2\n10.2.0.2\n");
    let listed = server.addrd("allocate front back --owner pod-1 -o json").json();
    assert_eq!((&listed[1]["address"], &listed[1]["repeated"]), (&"10.2.0.2".into(), &true.into()));
    // The last has one address only.
    let refused = server.addrd("allocate front back tight --owner pod-2").fails(3);
    assert!(refused.contains("network tight is in the way: nothing was allocated"), "{refused}");
    assert_eq!(server.addrd("list front -q").ok(), "10.1.0.2\n");
    let wrong = server.addrd("allocate front back --owner pod-3 --address 10.1.0.9").fails(2);
    assert!(wrong.contains("--address is for one network"), "{wrong}");
    let dry = server.addrd("allocate front back --owner pod-4 --dry-run").ok();
    assert!(dry.contains("\"operation\""), "{dry}");
    assert_eq!(server.addrd("list front -q").ok(), "10.1.0.2\n");
}

#[test]
fn a_transaction_comes_from_a_file() {
    let server = networks();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changes.json");
    let dry = server.addrd("allocate front back --owner pod-4 --dry-run").ok();
    std::fs::write(&file, dry).unwrap();
    let path = file.display();
    let done = server.addrd(&format!("transaction {path}")).json();
    let second = &done["results"][1]["allocated"]["first"]["address"];
    assert_eq!(second, "10.2.0.2", "{done}");
    server.addrd("network delete --yes --force front").ok();
    server.addrd("lookup 10.1.0.2").fails(4);
    let refused = server.addrd(&format!("transaction {path}")).fails(4);
    assert!(refused.contains("there is no network"), "{refused}");
    std::fs::write(&file, "{\"items\": [{\"netwrok\": \"x\"}]}").unwrap();
    let wrong = server.addrd(&format!("transaction {path}")).fails(2);
    assert!(wrong.contains("not a transaction") && wrong.contains("netwrok"), "{wrong}");
}
