//! `addrd convert neutron`: rows that the query gave of databases which the real Neutron filled
//! (`tests/fixtures/neutron/make.sh`) against what its API said.

use crate::program::{Ran, Server, program, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A database that the fixtures have.
const DATABASES: [&str; 2] = ["sqlite", "mariadb"];

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/neutron");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn rows(database: &str) -> String {
    fixture(&format!("rows.{database}.jsonl"))
}

fn expected(database: &str) -> Value {
    serde_json::from_str(&fixture(&format!("expected.{database}.json"))).unwrap()
}

/// Where a test converts.
struct Room(TempDir);

impl Room {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Converts these rows into the file.
    fn convert(&self, rows: &str, options: &str) -> Ran {
        fs::write(self.path("rows.jsonl"), rows).unwrap();
        let mut command = program();
        command.args(["convert", "neutron"]).arg(self.path("rows.jsonl"));
        command.arg("--to").arg(self.path("state.jsonl")).args(options.split_whitespace());
        run(command)
    }

    fn state(&self) -> String {
        fs::read_to_string(self.path("state.jsonl")).unwrap()
    }

    /// A conversion that must be refused and leave no file.
    #[track_caller]
    fn refused(&self, rows: &str, code: i32) -> String {
        let error = self.convert(rows, "").fails(code);
        assert!(!self.path("state.jsonl").exists() && !self.path("state.jsonl.part").exists());
        error
    }
}

fn empty() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    (folder, server)
}

/// What lines of a kind say.
fn objects(state: &str, kind: &str) -> Vec<Value> {
    let lines = state.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line.get(kind).cloned()).collect()
}

/// Each port's MAC and addresses, as the server lists them to the project that the file says.
fn ports_of(server: &Server, state: &str) -> BTreeMap<String, Value> {
    let mut ports = BTreeMap::new();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let places: BTreeSet<(String, String)> = objects(state, "port")
        .iter()
        .map(|port| (text(port, "project_id"), text(port, "network_id")))
        .collect();
    for (project, network) in places {
        let line = format!("--project {project} port list {network} -o jsonl");
        for port in server.addrd(&line).ok().lines() {
            let port: Value = serde_json::from_str(port).unwrap();
            let addresses = port["fixed_ips"].as_array().unwrap().iter();
            let mut addresses: Vec<_> = addresses.map(|ip| ip["ip_address"].clone()).collect();
            addresses.sort_by_key(|address| address.as_str().unwrap().to_owned());
            let found = serde_json::json!({ "mac": port["mac"], "addresses": addresses });
            assert_eq!(ports.insert(text(&port, "port_id"), found), None, "one project sees it");
        }
    }
    ports
}

#[test]
fn what_neutron_has_is_imported_and_exported_as_it_was_converted() {
    for database in DATABASES {
        let room = Room::new();
        let account = room.convert(&rows(database), "-o json").json();
        let (state, expected) = (room.state(), expected(database));
        let carried = |kind: &str| account["carried"][kind].clone();
        let counts = &expected["counts"];
        assert_eq!(carried("networks"), counts["networks"], "{account}");
        assert_eq!(carried("subnets"), counts["subnets"]);
        assert_eq!(carried("ports"), counts["ports"]);
        assert_eq!(carried("pools"), counts["subnetpools"]);
        assert_eq!(carried("scopes"), counts["address-scopes"]);
        assert_eq!((carried("segments"), carried("hosts")), (2.into(), 3.into()));
        let (_folder, server) = empty();
        let file = room.path("state.jsonl").display().to_string();
        server.addrd(&format!("import {file}")).ok();
        assert_eq!(server.addrd("export -q").ok(), state, "{database}");
        assert_eq!(account["remarks"], Value::Array(Vec::new()), "{database}");
        let differences = server.addrd(&format!("compare {file} -o json")).json();
        assert_eq!(differences, Value::Array(Vec::new()), "{database}");
        // Each port has its MAC and just its addresses, those that follow from the MAC too.
        let wanted: BTreeMap<String, Value> =
            serde_json::from_value(expected["ports"].clone()).unwrap();
        assert_eq!(ports_of(&server, &state), wanted, "{database}");
        let again = server.addrd(&format!("import {file}"));
        assert!(again.err.contains(" 0 objects to make"), "{again:?}");
    }
}

#[test]
fn tables_become_a_data_directory_without_a_server() {
    let room = Room::new();
    room.convert(&rows("mariadb"), "").ok();
    let (file, data) = (room.path("state.jsonl"), room.path("data"));
    let import = format!("import {} --data {}", file.display(), data.display());
    crate::program::addrd("127.0.0.1:1", &import).ok();
    let server = Server::start(&data, &[]);
    assert_eq!(server.addrd("export -q").ok(), room.state());
}

#[test]
fn attributes_are_those_of_neutron() {
    let room = Room::new();
    room.convert(&rows("mariadb"), "").ok();
    let state = room.state();
    let find = |kind: &str, name: &str, value: &str| {
        let objects = objects(&state, kind);
        let found = objects.into_iter().find(|object| object[name] == value);
        found.unwrap_or_else(|| panic!("no {kind} with {name} {value}: {state}"))
    };
    let scope = find("scope", "description", "inside");
    assert_eq!((&scope["family"], &scope["shared"]), (&"v4".into(), &true.into()));
    let pool = find("pool", "description", "nodes");
    assert_eq!(pool["prefixes"], serde_json::json!(["10.128.0.0/16", "10.200.0.0/16"]));
    assert_eq!(pool["address_scope_id"], scope["address_scope_id"]);
    assert_eq!((&pool["is_default"], &pool["shared"]), (&true.into(), &true.into()));
    assert_eq!(
        (&pool["min_length"], &pool["max_length"], &pool["default_length"]),
        (&16.into(), &28.into(), &24.into())
    );
    assert_eq!(find("pool", "description", "v6 nodes")["default_quota"], 100);
    let web = find("network", "description", "web");
    assert_eq!(web["scope_v4"], scope["address_scope_id"]);
    assert_eq!(web["project_id"], "0e0e0e0e-0e0e-0e0e-0e0e-0e0e0e0e0e0e");
    assert_eq!(find("network", "description", "café \"x\" \\ y")["name"], Value::Null);
    let subnet = find("subnet", "description", "web v4");
    assert_eq!(subnet["dns_servers"], serde_json::json!(["10.0.0.54", "10.0.0.53"]));
    assert_eq!(subnet["routes"][0]["next_hop"], "10.128.0.9");
    assert_eq!(subnet["from_pool"]["subnet_pool_id"], pool["subnet_pool_id"]);
    assert_eq!(find("subnet", "description", "web v6")["ipv6_ra_mode"], "slaac");
    let gapped = find("subnet", "cidr", "192.0.2.0/24");
    assert_eq!((&gapped["gateway"], &gapped["enable_dhcp"]), (&Value::Null, &false.into()));
    assert_eq!(gapped["pools"][0]["first"], "192.0.2.10");
    assert_eq!(gapped["pools"].as_array().unwrap().len(), 2);
    assert_eq!(find("subnet", "cidr", "2001:db8:b::/64")["pools"], serde_json::json!([]));
    let special = find("subnet", "cidr", "203.0.113.0/28");
    assert_eq!(special["service_types"].as_array().unwrap().len(), 2);
    let waits = find("port", "description", "waits");
    assert_eq!(waits["ip_allocation"], "deferred", "it waits for its host");
    // It asked for none, and has what follows from its MAC.
    let none = find("port", "description", "none");
    assert_eq!(none["ip_allocation"], "none");
    assert_eq!(none["fixed_ips"][0]["ip_address"], "2001:db8:100:0:f816:3eff:fee9:3ef5");
    let router = find("port", "device_owner", "network:router_interface");
    assert_eq!((&router["allow_gateway"], &router["description"]), (&true.into(), &Value::Null));
    assert_eq!(find("port", "description", "web-3")["host"], "node-3");
    // A network that everybody uses, with ports of another project.
    let network = find("network", "description", "blue");
    let shared = objects(&state, "network").into_iter().filter(|net| net["shared"] == true);
    let shared: Vec<Value> = shared.collect();
    assert_eq!((shared.len(), &shared[0]["project_id"]), (1, &network["project_id"]));
    let ports = objects(&state, "port");
    let guests: Vec<&Value> =
        ports.iter().filter(|port| !port["network_project"].is_null()).collect();
    assert_eq!(guests.len(), 10);
    for guest in guests {
        assert_eq!(guest["network_id"], shared[0]["network_id"]);
        assert_eq!(guest["network_project"], shared[0]["project_id"]);
        assert_eq!(guest["project_id"], "0e0e0e0e-0e0e-0e0e-0e0e-0e0e0e0e0e0e");
    }
}

/// Changes the first row that has the text.
#[track_caller]
fn edited(rows: &str, of: &str, from: &str, to: &str) -> (String, usize) {
    let at = rows.lines().position(|row| row.contains(of) && row.contains(from));
    let at = at.unwrap_or_else(|| panic!("no row with {of} and {from}"));
    let lines = rows.lines().enumerate().map(|(number, row)| match number == at {
        true => row.replacen(from, to, 1),
        false => row.to_owned(),
    });
    (lines.collect::<Vec<_>>().join("\n") + "\n", at + 1)
}

#[test]
fn every_row_that_can_not_be_carried_over_is_told_with_its_line() {
    let rows = rows("sqlite");
    let nobody = "99999999-9999-4999-8999-999999999999";
    let network = format!("\"network_id\":\"{nobody}\",\"x\":\"");
    let subnet = format!("\"subnet_id\":\"{nobody}\",\"x\":\"");
    let port = format!("\"port_id\":\"{nobody}\",\"x\":\"");
    for (table, from, to, fault) in [
        ("\"ports\"", "\"network_id\":\"", network.as_str(), "there is no network 99999999"),
        ("\"subnets\"", "\"network_id\":\"", network.as_str(), "there is no network 99999999"),
        ("\"ipallocations\"", "\"subnet_id\":\"", subnet.as_str(), "there is no subnet 99999999"),
        ("\"ipallocations\"", "\"port_id\":\"", port.as_str(), "there is no port 99999999"),
        (
            "\"ipallocations\"",
            "\"ip_address\":\"1",
            "\"ip_address\":\"9",
            "lies outside its subnet",
        ),
        ("\"ipallocations\"", "\"ip_address\":", "\"address\":", "missing field `ip_address`"),
        ("\"subnets\"", "\"cidr\":\"", "\"cidr\":\"x", "a prefix is ADDRESS/LENGTH"),
        (
            "\"subnets\"",
            "\"subnetpool_id\":\"",
            "\"subnetpool_id\":\"x",
            "there is no subnet pool x",
        ),
        ("\"ports\"", "\"mac_address\":\"fa:", "\"mac_address\":\"fb:", "no MAC of an interface"),
        ("\"ports\"", "\"table\":\"ports\"", "\"table\":\"unicorns\"", "unknown variant"),
        ("\"end\"", "\"ports\":", "\"ports\":9", "it says"),
        ("\"networks\"", "}", "", "EOF"),
    ] {
        let room = Room::new();
        let (rows, line) = edited(&rows, table, from, to);
        let error = room.refused(&rows, 3);
        let told = error.lines().find(|told| told.contains(&format!("rows.jsonl:{line}: ")));
        assert!(told.is_some_and(|told| told.contains(fault)), "{to}: {error}");
        assert!(error.contains("nothing was written"), "{error}");
    }
}

#[test]
fn two_owners_of_an_address_or_a_mac_are_told_and_left_out_if_asked() {
    let rows = rows("sqlite");
    let room = Room::new();
    // The address of one port is another one's too.
    let own = "\"table\":\"ipallocations\"";
    let row = rows.lines().find(|row| row.contains(own) && row.contains("192.0.2.1")).unwrap();
    let port: Value = serde_json::from_str(row).unwrap();
    let other = rows
        .lines()
        .filter(|row| row.contains(own))
        .map(|row| serde_json::from_str::<Value>(row).unwrap())
        .find(|other| {
            other["network_id"] == port["network_id"] && other["port_id"] != port["port_id"]
        })
        .unwrap();
    let doubled =
        row.replace(port["port_id"].as_str().unwrap(), other["port_id"].as_str().unwrap());
    let more = rows.replacen(row, &format!("{row}\n{doubled}"), 1);
    let count = objects_in(&rows, "ipallocations");
    let more = more.replacen(
        &format!("\"ipallocations\":{count}"),
        &format!("\"ipallocations\":{}", count + 1),
        1,
    );
    let error = room.refused(&more, 3);
    assert!(error.contains("has two owners") && error.contains("1 fault;"), "{error}");
    let account = room.convert(&more, "--skip-faulty -o json").json();
    assert_eq!(account["faults"], 1);
    assert_eq!(account["carried"]["ports"], expected("sqlite")["counts"]["ports"]);
    fs::remove_file(room.path("state.jsonl")).unwrap();
    // The MAC of one is another one's.
    let ports: Vec<Value> = rows
        .lines()
        .filter(|row| row.contains("\"table\":\"ports\""))
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let (first, second) = ports
        .iter()
        .flat_map(|a| ports.iter().map(move |b| (a, b)))
        .find(|(a, b)| a["id"] != b["id"] && a["network_id"] == b["network_id"])
        .unwrap();
    let mac = |port: &Value| port["mac_address"].as_str().unwrap().to_owned();
    let error = room.refused(&rows.replace(&mac(second), &mac(first)), 3);
    assert!(error.contains("has another port of the network"), "{error}");
}

#[test]
fn rows_of_what_is_not_there_are_told() {
    let rows = rows("sqlite");
    let id = "99999999-9999-4999-8999-999999999999";
    for (table, name, fault) in [
        ("\"dnsnameservers\"", "subnet_id", "rows of subnet 99999999"),
        ("\"ipallocationpools\"", "subnet_id", "rows of subnet 99999999"),
        ("\"subnetpoolprefixes\"", "subnetpool_id", "prefixes of subnet pool 99999999"),
    ] {
        let member = format!("\"{name}\":\"");
        let to = format!("{member}{id}\",\"x\":\"");
        let error = Room::new().refused(&edited(&rows, table, &member, &to).0, 3);
        assert!(error.contains(fault), "{error}");
    }
}

fn objects_in(rows: &str, table: &str) -> usize {
    rows.lines().filter(|row| row.contains(&format!("\"table\":\"{table}\""))).count()
}

#[test]
fn a_file_that_the_query_did_not_give_whole_is_refused() {
    let rows = rows("mariadb");
    let room = Room::new();
    let whole = rows.trim_end().lines().count();
    let cut: Vec<&str> = rows.lines().take(whole - 1).collect();
    assert!(room.refused(&cut.join("\n"), 2).contains("it was cut short"));
    let (_, tail) = rows.split_once('\n').unwrap();
    assert!(room.refused(tail, 2).contains("--query"));
    assert!(room.refused("", 2).contains("it was cut short"));
    let newer = rows.replacen("\"version\": 1", "\"version\": 2", 1);
    assert!(room.refused(&newer, 2).contains("version 1 of the query"));
    let more = format!("{rows}{}\n", rows.lines().nth(1).unwrap());
    assert!(room.refused(&more, 3).contains("behind the last row"));
    // Without --raw the program of the database writes each backslash twice.
    let error = room.refused(&rows.replace('\\', "\\\\"), 3);
    assert!(error.contains("rows.jsonl:"), "{error}");
    let query = crate::program::addrd("127.0.0.1:1", "convert neutron --query").ok();
    assert!(query.contains("JSON_OBJECT('table', 'ipallocations'"), "{query}");
}
