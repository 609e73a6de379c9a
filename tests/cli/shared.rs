//! `addrd network --shared`: a project uses a network of another as people do, by its name; nobody sees
//! what is not theirs; and an export makes it again.

use crate::program::Server;
use std::fs;

/// Network `blue` of the default project with 10.0.0.0/28, shared, and projects `team` and `crew`.
fn lent() -> Server {
    let server = Server::dev();
    for line in [
        "network delete demo --force --yes",
        "project create team",
        "project create crew",
        "network create blue --shared",
        "subnet create blue 10.0.0.0/28 --name web --quarantine 0",
        "allocate blue --owner vm-1 --label home=secret --host home-host",
    ] {
        server.addrd(line).ok();
    }
    server
}

#[test]
fn a_shared_network_is_used_by_its_name_and_shows_each_project_its_own() {
    let server = lent();
    let guest = |line: &str| server.addrd(&format!("--project team {line}"));
    let list = guest("network list -o json").json();
    assert_eq!((&list[0]["name"], &list[0]["shared"]), (&"blue".into(), &true.into()));
    let table = guest("network list").ok();
    assert!(table.contains("61646472-6400-5000-8000-64656661756c"), "whose it is: {table}");
    // The same owner is another one here.
    let address = guest("allocate blue --owner vm-1 --label tier=web -q").ok();
    assert_eq!(address, "10.0.0.3\n");
    assert_eq!(guest("allocate blue --owner vm-1 -q").ok(), address);
    let id = list[0]["network_id"].as_str().unwrap().to_owned();
    assert_eq!(guest(&format!("allocate {id} --owner vm-1 -q")).ok(), address);
    let all = guest("list").ok();
    assert!(all.contains("10.0.0.3") && !all.contains("10.0.0.2"), "{all}");
    for line in
        ["list -o json", "list blue -o json", "lookup vm-1 -o json", "lookup 10.0.0.3 -o json"]
    {
        let text = guest(line).ok();
        assert!(text.contains("tier=web") && text.contains("blue"), "{line}: {text}");
        assert!(!text.contains("home"), "{line}: {text}");
    }
    let error = guest("lookup 10.0.0.2").fails(4);
    assert!(error.contains("not held") && !error.contains("home"), "{error}");
    assert!(guest("lookup --label home=secret").fails(4).contains("no allocation"));
    assert_eq!(guest("usage blue -o json").json()["subnets"][0]["allocated"], "2");
    assert!(guest("free blue").ok().contains("10.0.0.4"));
    assert_eq!(guest("subnet list blue -o json").json()[0]["name"], "web");
    // The network's own project sees where it is, and which project has it.
    let own = server.addrd("lookup 10.0.0.3").ok();
    assert!(own.contains("project ") && !own.contains("tier=web"), "{own}");
    let error = server.addrd("release 10.0.0.3").fails(3);
    assert!(error.contains("held by project"), "{error}");
    // Each lets its own go.
    assert!(guest("release 10.0.0.3").ok().contains("10.0.0.3"));
    assert!(server.addrd("lookup vm-1").ok().contains("10.0.0.2"));
}

#[test]
fn only_its_own_project_changes_a_shared_network() {
    let server = lent();
    let guest = |line: &str| server.addrd(&format!("--project team {line}"));
    for line in [
        "network update blue --name mine",
        "network delete blue --yes --force",
        "subnet create blue 10.0.1.0/24",
        "subnet delete blue web --yes --force",
        "pin create blue 10.0.0.9 --owner vm-1",
        "subnet exclude blue web 10.0.0.9",
    ] {
        let error = guest(line).fails(3);
        assert!(error.contains("alone can change it"), "{line}: {error}");
    }
    guest("allocate blue --owner vm-1").ok();
    let error = server.addrd("network update blue --shared false").fails(3);
    assert!(error.contains("IN_USE"), "{error}");
    let error = server.addrd("project delete team --yes").fails(3);
    assert!(error.contains("IN_USE"), "{error}");
    guest("release --network blue --owner vm-1").ok();
    server.addrd("network update blue --shared false").ok();
    guest("allocate blue --owner vm-1").fails(4);
    assert_eq!(guest("network list -q").ok(), "");
    server.addrd("project delete team --yes").ok();
}

#[test]
fn ports_of_two_projects_on_one_network() {
    let server = lent();
    let port = "22222222-2222-4222-8222-222222222222";
    let create = |project: &str, more: &str| {
        server.addrd(&format!("--project {project} port create blue {port} {more}"))
    };
    create("team", "--mac 02:00:00:00:00:01 --ip 10.0.0.9").ok();
    let error = create("crew", "--mac 02:00:00:00:00:01").fails(3);
    assert!(error.contains("MAC_IN_USE") && !error.contains(port), "{error}");
    let error = create("crew", "--ip 10.0.0.9").fails(3);
    assert!(error.contains("ADDRESS_TAKEN"), "{error}");
    create("crew", "--ip 10.0.0.10").ok();
    for (project, address) in [("team", "10.0.0.9"), ("crew", "10.0.0.10")] {
        let ports = server.addrd(&format!("--project {project} port list blue -o json")).json();
        assert_eq!(ports.as_array().unwrap().len(), 1);
        assert_eq!(ports[0]["fixed_ips"][0]["ip_address"], address);
    }
    assert_eq!(server.addrd("port list blue -q").ok(), "");
    server.addrd(&format!("--project team port update blue {port} --ip 10.0.0.11")).ok();
    server.addrd(&format!("--project team port delete blue {port} --yes")).ok();
    server.addrd(&format!("--project crew port get blue {port}")).ok();
}

#[test]
fn what_guests_hold_is_exported_made_again_and_compared() {
    let server = lent();
    for line in [
        "--project team allocate blue --owner vm-1 --label tier=web",
        "--project team port create blue 22222222-2222-4222-8222-222222222222 --ip 10.0.0.9",
        "--project crew port create blue 22222222-2222-4222-8222-222222222222 --ip 10.0.0.10",
        "--project crew allocate blue --owner gw --address 10.0.0.1 --allow-gateway",
        "pin create blue 10.0.0.9 --owner later",
        "subnet exclude blue web 10.0.0.8-10.0.0.12",
        "--project crew network create own --shared",
        "--project crew subnet create own fd00:0:0:1::/64",
        "--project crew allocate own --owner vm-1",
        "allocate own --owner vm-1",
    ] {
        server.addrd(line).ok();
    }
    let text = server.addrd("export -q").ok();
    for held in ["10.0.0.2", "10.0.0.3", "10.0.0.9", "10.0.0.10", "10.0.0.1", "fd00:0:0:1::2"] {
        let quoted = format!("\"{held}\"");
        let said = text.lines().filter(|line| {
            (line.contains("{\"allocation\"") || line.contains("{\"port\""))
                && line.contains(&quoted)
        });
        assert_eq!(said.count(), 1, "{held}: {text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl");
    fs::write(&file, &text).unwrap();
    let other = Server::dev();
    other.addrd("network delete demo --force --yes").ok();
    other.addrd(&format!("import -q {}", file.display())).ok();
    assert_eq!(other.addrd("export -q").ok(), text);
    other.addrd(&format!("compare {}", file.display())).ok();
    // Again: everything is there.
    let said = other.addrd(&format!("import {}", file.display()));
    assert!(said.err.contains("0 objects made"), "{said:?}");
    // What is missing is made, and what is in the way is told before anything is made.
    other.addrd("--project team release --network blue --owner vm-1").ok();
    let compared = other.addrd(&format!("compare {}", file.display()));
    assert_eq!(compared.code, 3);
    assert!(compared.err.contains("1 difference"), "{compared:?}");
    other.addrd("allocate blue --owner thief --address 10.0.0.3").ok();
    let error = other.addrd(&format!("import {}", file.display())).fails(3);
    assert!(error.contains("10.0.0.3") && error.contains("nothing was changed"), "{error}");
    other.addrd("release --network blue --owner thief").ok();
    other.addrd(&format!("import -q {}", file.display())).ok();
    assert_eq!(other.addrd("export -q").ok(), text);
    // One project: what it has on networks of others is in it.
    let team = other.addrd("--project team export -q").ok();
    assert!(team.contains("10.0.0.9") && !team.contains("10.0.0.10\""), "{team}");
}

#[test]
fn a_line_on_a_network_that_is_not_shared_is_told_in_the_first_pass() {
    let server = lent();
    server.addrd("--project team allocate blue --owner vm-1").ok();
    let text = server.addrd("export -q").ok().replace("\"shared\":true", "\"shared\":false");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl");
    fs::write(&file, &text).unwrap();
    let other = Server::dev();
    other.addrd("network delete demo --force --yes").ok();
    let error = other.addrd(&format!("import {}", file.display())).fails(3);
    assert!(
        error.contains("NOT_FOUND: there is no network") && error.contains("nothing was changed"),
        "{error}"
    );
    assert_eq!(other.addrd("network list -q").ok(), "");
}
