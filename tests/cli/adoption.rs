//! Adoption mode at the command line: after data was lost, owners re-take what they hold, and the
//! server chooses again only when an operator says so.

use crate::program::Server;
use rustix::process::Signal;

#[test]
fn a_server_whose_data_was_lost_chooses_nothing_until_it_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--adopt"]);
    let status = server.addrd("server status -o json").json();
    assert_eq!(status["adopting"], true, "{status}");
    assert!(status["state"].as_str().unwrap().contains("adoption mode"), "{status}");
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    let refused = server.addrd("allocate blue --owner web-1 --timeout 1").fails(6);
    assert!(refused.contains("ADOPTING") && refused.contains("server adopt"), "{refused}");
    let line = "allocate blue --address 10.0.0.9 --owner web-1 --lease 1s -q";
    assert_eq!(server.addrd(line).ok().trim(), "10.0.0.9");
    let taken = server.addrd("allocate blue --address 10.0.0.9 --owner web-2").fails(3);
    assert!(taken.contains("ADDRESS_TAKEN"), "{taken}");
    assert_eq!(server.end(Signal::KILL).code(), None);
    // It is durable, and a directory that exists is no new one.
    let server = Server::start(&data, &[]);
    assert_eq!(server.addrd("server status -o json").json()["adopting"], true);
    server.addrd("allocate blue --owner web-2 --timeout 1").fails(6);
    let held = server.addrd("list blue -q").ok();
    assert_eq!(held.trim(), "10.0.0.9", "no lease ends meanwhile");
    let ended = server.addrd("server adopt --end").ok();
    assert!(ended.contains("has ended after"), "{ended}");
    assert!(server.addrd("server adopt --end").ok().contains("was not on"));
    assert_eq!(server.addrd("allocate blue --owner web-2 -q").ok().trim(), "10.0.0.2");
    server.end(Signal::KILL);
    let server = Server::start(&data, &["--adopt"]);
    assert_eq!(server.addrd("server status -o json").json()["adopting"], false);
    let begun = server.addrd("server adopt --begin -o json").json();
    assert_eq!((&begun["adopting"], &begun["repeated"]), (&true.into(), &false.into()));
    server.addrd("allocate blue --owner web-2 -q").ok();
}

#[test]
fn adopt_needs_exactly_one_of_begin_and_end() {
    let server = Server::dev();
    for wrong in ["server adopt", "server adopt --begin --end"] {
        server.addrd(wrong).fails(2);
    }
}
