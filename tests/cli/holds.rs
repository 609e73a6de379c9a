//! Holds at the command line: held, shown, confirmed, cancelled, and confirmed late.

use crate::program::Server;
use std::time::{Duration, Instant};

/// Longest wait for the end of a hold of a second; reached only by a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn blue() -> Server {
    let server = Server::dev();
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24").ok();
    server
}

#[test]
fn what_is_held_is_shown_so_until_it_is_confirmed() {
    let server = blue();
    let given = server.addrd("allocate blue --owner web-1 --hold request-7 -o json").json();
    assert_eq!((&given["address"], &given["state"]), (&"10.0.0.2".into(), &"held".into()));
    assert!(given["time_left_ms"].as_u64().is_some_and(|left| left > 0 && left <= 60_000));
    assert!(server.addrd("list blue").ok().contains("held"));
    let usage = server.addrd("usage blue -o json").json();
    assert_eq!(
        (&usage["totals"][0]["held"], &usage["totals"][0]["allocated"]),
        (&"1".into(), &"0".into())
    );
    assert!(server.addrd("export").err.contains("held under a token and not confirmed yet: 1"));

    server.addrd("confirm 10.0.0.2 --token request-8").fails(3);
    server.addrd("allocate blue --owner web-1").fails(3);
    let revision = given["revision"].as_str().unwrap();
    server.addrd("confirm 10.0.0.2 --token request-7 --revision 7").fails(3);
    let line = format!(
        "confirm --network blue --owner web-1 --token request-7 --revision {revision} -o json"
    );
    let confirmed = server.addrd(&line).json();
    assert_eq!((&confirmed["state"], &confirmed["repeated"]), (&"allocated".into(), &false.into()));
    assert_eq!(confirmed["revision"], given["revision"]);
    assert_eq!(server.addrd(&line).json()["repeated"], true);
    server.addrd("cancel 10.0.0.2 --token request-7").fails(3);
    assert!(server.addrd("lookup 10.0.0.2").ok().contains("allocated"));
}

#[test]
fn several_end_each_for_itself() {
    let server = blue();
    for owner in ["a", "b", "c"] {
        server.addrd(&format!("allocate blue --owner {owner} --hold t --hold-for 10m")).ok();
    }
    assert_eq!(server.addrd("cancel 10.0.0.4 --token t -q").ok(), "10.0.0.4\n");
    let again = server.addrd("cancel 10.0.0.4 --token t").ok();
    assert!(again.contains("10.0.0.4 is not held"), "{again}");
    let ran = server.addrd("confirm 10.0.0.2 10.0.0.4 10.0.0.3 --token t -q");
    assert_eq!((ran.code, &*ran.out), (4, "10.0.0.2\n10.0.0.3\n"), "{ran:?}");
    assert!(ran.err.contains("10.0.0.4 is not done"), "{ran:?}");
    let usage = server.addrd("usage blue -o json").json();
    assert_eq!(
        (&usage["totals"][0]["held"], &usage["totals"][0]["allocated"]),
        (&"0".into(), &"2".into())
    );
    server.addrd("confirm 10.0.0.2 10.0.0.3 --token t --revision 5").fails(2);
    server.addrd("confirm 10.0.0.2").fails(2);
    server.addrd("allocate blue --hold t --lease 5m").fails(2);
    server.addrd("allocate blue --hold-for 5m").fails(2);
}

#[test]
fn what_ran_out_is_confirmed_late() {
    let server = blue();
    server.addrd("allocate blue --owner web-1 --hold t --hold-for 1s").ok();
    let begin = Instant::now();
    while server.addrd("usage blue -o json").json()["totals"][0]["quarantined"] != "1" {
        assert!(begin.elapsed() < PATIENCE, "it has run out long ago");
    }
    let confirmed = server.addrd("confirm --network blue --owner web-1 --token t").ok();
    assert!(confirmed.contains("had run out"), "{confirmed}");
    // Whose it is by now only the revision tells.
    let said = server.addrd("confirm 10.0.0.2 --token t").fails(3);
    assert!(said.contains("--revision"), "{said}");
    assert!(server.addrd("list blue").ok().contains("web-1"));
}

#[test]
fn a_held_release_frees_once_it_is_confirmed() {
    let server = blue();
    server.addrd("allocate blue --owner web-1").ok();
    let held = server.addrd("release 10.0.0.2 --hold t --hold-for 10m -o json").json();
    assert_eq!((&held["state"], &held["repeated"]), (&"allocated".into(), &false.into()), "{held}");
    server.addrd("allocate blue --owner web-1").fails(3);
    assert_eq!(server.addrd("cancel 10.0.0.2 --release --token t -q").ok(), "10.0.0.2\n");
    server.addrd("confirm 10.0.0.2 --release --token t").fails(3);
    server.addrd("release --network blue --owner web-1 --hold t").ok();
    let gone = server.addrd("confirm 10.0.0.2 --release --token t -o json").json();
    assert_ne!(gone["state"], "allocated", "{gone}");
    assert_eq!(server.addrd("list blue -q").ok(), "");
    server.addrd("release 10.0.0.3 --hold-for 10m").fails(2);
}

/// What is held is taken: an import hears of it before it makes anything.
#[test]
fn an_import_is_told_of_what_is_held_by_its_first_pass() {
    let (server, folder) = (Server::dev(), tempfile::tempdir().unwrap());
    server.addrd("network create blue").ok();
    server.addrd("subnet create blue 10.0.0.0/24 --quarantine 0").ok();
    for line in ["allocate blue --owner web-1", "allocate blue --owner web-2"] {
        server.addrd(line).ok();
    }
    let file = folder.path().join("state.jsonl");
    let file = file.to_str().unwrap();
    server.addrd(&format!("export {file}")).ok();
    for line in ["release 10.0.0.2", "release 10.0.0.3"] {
        server.addrd(line).ok();
    }
    server.addrd("allocate blue --owner other --address 10.0.0.3 --hold t --hold-for 10m").ok();
    let ran = server.addrd(&format!("import {file}"));
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("10.0.0.3"), "{ran:?}");
    assert_eq!(server.addrd("list blue -q").ok(), "10.0.0.3\n", "nothing was made");
}
