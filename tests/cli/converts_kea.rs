//! `addrd convert kea`: lease files that real servers wrote (`tests/fixtures/kea/make.sh`) against
//! what those servers themselves said that they hold.

use crate::program::{Ran, Server, program, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const LEASES_4: &str = "kea-leases4.csv";
const LEASES_6: &str = "kea-leases6.csv";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kea")
}

/// A copy of the fixtures that a test may change.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixtures()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Changes a file.
    #[track_caller]
    fn edit(&self, name: &str, change: impl Fn(&str) -> String) {
        let before = fs::read_to_string(self.path(name)).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "the change of {name} changes nothing");
        fs::write(self.path(name), after).unwrap();
    }

    /// Converts these files with these options.
    fn convert(&self, files: &[&str], options: &str) -> Ran {
        let mut command = program();
        command.args(["convert", "kea"]).args(files.iter().map(|name| self.path(name)));
        let at = expected()["at"].to_string();
        if !options.contains("--at") {
            command.args(["--at", &at]);
        }
        command.args(options.split_whitespace());
        run(command)
    }

    /// All four, into a file.
    fn convert_all(&self, options: &str) -> Ran {
        let to = self.path("state.jsonl");
        let options = format!("--to {} {options}", to.display());
        self.convert(&["dhcp4.conf", LEASES_4, "dhcp6.conf", LEASES_6], &options)
    }

    fn state(&self) -> String {
        fs::read_to_string(self.path("state.jsonl")).unwrap()
    }

    /// A conversion that must be refused and leave no file.
    #[track_caller]
    fn refused(&self, code: i32) -> String {
        let error = self.convert_all("").fails(code);
        assert!(!self.path("state.jsonl").exists() && !self.path("state.jsonl.part").exists());
        error
    }
}

fn expected() -> Value {
    let text = fs::read_to_string(fixtures().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What the servers said: address (with the length of a prefix) to the owner that it must have.
fn expected_owners() -> BTreeMap<String, String> {
    let expected = expected();
    let held = expected["held"].as_array().unwrap();
    held.iter().map(expected_owner).collect()
}

fn expected_owner(lease: &Value) -> (String, String) {
    let text = |name: &str| lease[name].as_str().unwrap_or_default();
    let address = match text("type") {
        "IA_PD" => format!("{}/{}", text("ip-address"), lease["prefix-len"]),
        _ => text("ip-address").to_owned(),
    };
    let owner = match address.as_str() {
        // Reserved by client id.
        "10.20.0.6" => "client-id:00:70:62:78".to_owned(),
        _ if text("duid").is_empty() => format!("mac:{}", text("hw-address")),
        _ => format!("duid:{}", text("duid")),
    };
    (address, owner)
}

/// What lines of a kind say, by a member and another.
fn pairs(state: &str, kind: &str, owner: impl Fn(&Value) -> bool) -> BTreeMap<String, String> {
    let lines = state.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter_map(|line| line.get(kind).cloned()).filter(owner);
    let pair = |line: Value| {
        let length = line["length"].as_u64().map(|length| format!("/{length}"));
        let address = line["address"].as_str().unwrap().to_owned() + &length.unwrap_or_default();
        (address, line["owner_name"].as_str().unwrap_or_default().to_owned())
    };
    lines.map(pair).collect()
}

/// A server without anything in it.
fn empty() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    (folder, server)
}

#[test]
fn what_kea_holds_is_held_by_the_same_clients_and_exported_as_it_was_converted() {
    let copy = Copy::new();
    let account = copy.convert_all("-o json").json();
    let state = copy.state();
    let counts = &expected()["counts"];
    let number = |value: &Value| value.as_u64().unwrap();
    let (carried, left_out) = (&account["carried"], &account["left_out"]);
    assert_eq!(
        number(&carried["allocations"]) + number(&carried["prefixes"]),
        number(&counts["held"]) + number(&counts["declined"]),
        "{account}"
    );
    assert_eq!(left_out["leases reclaimed"], counts["reclaimed"], "{account}");
    assert_eq!(left_out["leases expired"], counts["expired"], "{account}");
    let (_folder, server) = empty();
    let file = copy.path("state.jsonl").display().to_string();
    server.addrd(&format!("import {file}")).ok();
    assert_eq!(server.addrd("export -q").ok(), state, "the server has just what the file says");
    let differences = server.addrd(&format!("compare {file} -o json")).json();
    assert_eq!(differences, Value::Array(Vec::new()));
    // Each lease is held by its client, and nothing else is but what was declined.
    let is_declined = |line: &Value| line["owner_name"] == "kea-declined";
    let mut held = pairs(&state, "allocation", |line| !is_declined(line));
    held.extend(pairs(&state, "prefix", |_| true));
    assert_eq!(held, expected_owners());
    let declined = pairs(&state, "allocation", is_declined);
    assert_eq!(declined.len() as u64, number(&counts["declined"]));
    let text = server.addrd("lookup 10.20.0.5 -o json").ok();
    assert!(text.contains("mac:02:aa:00:00:00:01") && text.contains("hostname=printer"), "{text}");
    let text = server.addrd("lookup 10.20.0.6 -o json").ok();
    assert!(text.contains("hw=02:aa:00:00:00:09") && text.contains("client-id:00:70"), "{text}");
    // Reservations keep their addresses for their owners, and are no leases.
    let pins: Vec<String> = pairs(&state, "pin", |_| true).into_keys().collect();
    assert_eq!(pins, ["10.20.0.20", "10.20.0.5", "10.20.0.6", "2001:db8:20::5"]);
    let again = server.addrd(&format!("import {file}"));
    assert!(again.err.contains(" 0 objects to make"), "{again:?}");
}

#[test]
fn a_conversion_becomes_a_data_directory_without_a_server() {
    let copy = Copy::new();
    let converted = copy.convert_all("");
    assert!(converted.out.contains("prefixes"), "{converted:?}");
    let (file, data) = (copy.path("state.jsonl"), copy.path("data"));
    let import = format!("import {} --data {}", file.display(), data.display());
    crate::program::addrd("127.0.0.1:1", &import).ok();
    let server = Server::start(&data, &[]);
    assert_eq!(server.addrd("export -q").ok(), copy.state());
}

#[test]
fn lines_go_to_standard_output_and_a_dry_run_writes_nothing() {
    let copy = Copy::new();
    copy.convert_all("").ok();
    let files = ["dhcp4.conf", LEASES_4, "dhcp6.conf", LEASES_6];
    let ran = copy.convert(&files, "");
    assert!(ran.err.contains("leases reclaimed"), "{ran:?}");
    assert_eq!(ran.ok(), copy.state());
    let quiet = copy.convert(&files, "-q");
    assert_eq!((quiet.err.as_str(), quiet.out == copy.state()), ("", true));
    fs::remove_file(copy.path("state.jsonl")).unwrap();
    let dry = copy.convert_all("--dry-run").ok();
    assert!(dry.contains("allocations"), "{dry}");
    assert!(!copy.path("state.jsonl").exists());
}

#[test]
fn the_last_row_counts_also_across_the_files_of_a_clean_up() {
    let copy = Copy::new();
    copy.convert_all("").ok();
    let whole = copy.state();
    // What is read with another file may be named too, as a pattern of a shell does.
    let to = format!("--to {}", copy.path("state.jsonl").display());
    let all = ["dhcp4.conf", "kea-leases4.csv.2", LEASES_4, "dhcp6.conf", LEASES_6];
    copy.convert(&all, &to).ok();
    assert_eq!(copy.state(), whole);
    // The same rows in one file, and while a clean-up is at work.
    let old = fs::read_to_string(copy.path("kea-leases4.csv.2")).unwrap();
    let new = fs::read_to_string(copy.path(LEASES_4)).unwrap();
    let (header, rows) = new.split_once('\n').unwrap();
    fs::write(copy.path(LEASES_4), format!("{old}{rows}")).unwrap();
    fs::remove_file(copy.path("kea-leases4.csv.2")).unwrap();
    copy.convert_all("").ok();
    assert_eq!(copy.state(), whole, "in one file");
    fs::write(copy.path("kea-leases4.csv.2"), &old).unwrap();
    fs::write(copy.path("kea-leases4.csv.1"), &new).unwrap();
    fs::write(copy.path(LEASES_4), format!("{header}\n")).unwrap();
    copy.convert_all("").ok();
    assert_eq!(copy.state(), whole, "in three");
    // What is complete makes what it was made of old.
    fs::rename(copy.path("kea-leases4.csv.2"), copy.path("kea-leases4.csv.completed")).unwrap();
    fs::write(copy.path("kea-leases4.csv.1"), "no lease file").unwrap();
    fs::write(copy.path(LEASES_4), &new).unwrap();
    copy.convert_all("").ok();
    assert_eq!(copy.state(), whole, "completed");
    // A later row takes the address away, gives it to another, or ends it.
    let row = |client: &str, valid: u32, state: u8| {
        format!("10.20.0.5,{client},,{valid},4102444800,20,0,0,,{state},\n")
    };
    for (row, owner) in [
        (row("02:ee:00:00:00:01", 86_400, 0), Some("mac:02:ee:00:00:00:01")),
        (row("02:ee:00:00:00:01", 86_400, 1), Some("kea-declined")),
        (row("02:aa:00:00:00:01", 0, 0), None),
        (row("02:aa:00:00:00:01", 86_400, 2), None),
        (row("02:aa:00:00:00:01", 86_400, 3), None),
    ] {
        fs::write(copy.path(LEASES_4), format!("{new}{row}")).unwrap();
        copy.convert_all("").ok();
        let held = pairs(&copy.state(), "allocation", |_| true);
        assert_eq!(held.get("10.20.0.5").map(String::as_str), owner, "{row}");
    }
}

#[test]
fn a_lease_ends_at_its_time_and_one_without_end_never() {
    let copy = Copy::new();
    let held = |options: &str| {
        copy.convert_all(options).ok();
        let state = copy.state();
        let mut held = pairs(&state, "allocation", |_| true);
        held.extend(pairs(&state, "prefix", |_| true));
        (held, state)
    };
    let at = expected()["at"].as_u64().unwrap();
    let short = held("").0.len();
    let (before, _) = held(&format!("--at {}", at - 4));
    assert_eq!(before.len(), short + 1, "the lease of three seconds was live before");
    let (after, state) = held("--at 4102444800");
    let left: Vec<String> = after.into_keys().collect();
    // A reserved prefix is its owner's, leased or not.
    assert_eq!(left, ["10.60.0.1", "2001:db8:8000:4200::/56"]);
    assert!(state.contains("expire=never"), "{state}");
}

#[test]
fn a_lease_ends_when_keas_would_if_that_is_asked_for() {
    let copy = Copy::new();
    copy.convert_all("--leases").ok();
    let at = expected()["at"].as_u64().unwrap();
    let state = copy.state();
    let (mut ending, mut endless) = (0, 0);
    for line in state.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let Some(held) = line.get("allocation").or_else(|| line.get("prefix")) else { continue };
        let label = held["label"].as_str().unwrap_or_default();
        let expire = label.split(',').find_map(|pair| pair.strip_prefix("expire="));
        match expire.and_then(|expire| expire.parse::<u64>().ok()) {
            Some(expire) => {
                // Whoever holds it has a minute at least to find the new server.
                let left = ((expire - at) * 1_000).max(60_000);
                assert_eq!(held["lease_ms"], left, "{held}");
                ending += 1;
            }
            None => {
                assert_eq!(held.get("lease_ms"), None, "{held}");
                endless += 1;
            }
        }
    }
    assert!(ending > 0 && endless > 0, "{ending} end, {endless} don't");
    let (_folder, server) = empty();
    server.addrd(&format!("import {}", copy.path("state.jsonl").display())).ok();
    let said = server.addrd("export").err;
    assert!(said.contains(&format!("{ending} allocations have a lease")), "{said}");
}

#[test]
fn one_network_can_have_it_all() {
    let copy = Copy::new();
    copy.convert_all("--network office").ok();
    let state = copy.state();
    assert_eq!(state.lines().filter(|line| line.starts_with("{\"network\"")).count(), 1);
    assert_eq!(pairs(&state, "allocation", |_| true).len(), {
        copy.convert_all("").ok();
        pairs(&copy.state(), "allocation", |_| true).len()
    });
    copy.convert_all("--network office").ok();
    let (_folder, server) = empty();
    let file = copy.path("state.jsonl").display().to_string();
    server.addrd(&format!("import {file}")).ok();
    assert_eq!(server.addrd("export -q").ok(), copy.state());
    fs::remove_file(copy.path("state.jsonl")).unwrap();
    assert!(copy.convert_all("--network 10.0.0.1").fails(2).contains("can be no name"));
}

#[test]
fn every_row_that_can_not_be_carried_over_is_told_with_its_line() {
    let rows = fs::read_to_string(fixtures().join(LEASES_4)).unwrap();
    let last = rows.lines().count() + 1;
    for (row, fault) in [
        ("10.30.0.9,02:aa", "2 fields for 11 columns"),
        ("10.77.0.9,02:aa:00:00:00:01,,60,4102444800,77,0,0,,0,", "10.77.0.9 lies in no subnet"),
        ("10.30.0.9,02:aa:00:00:00:01,,60,4102444800,20,0,0,,0,", "in subnet 30 of the configur"),
        ("10.30.0.9,,,60,4102444800,30,0,0,,0,", "names no client"),
        ("10.30.0.999,02:aa:00:00:00:01,,60,4102444800,30,0,0,,0,", "address is \"10.30.0.999\""),
        ("fd00::1,02:aa:00:00:00:01,,60,4102444800,30,0,0,,0,", "of another family"),
        ("10.30.0.9,02:aa:00:00:00:01,,x,4102444800,30,0,0,,0,", "valid_lifetime is \"x\""),
        ("10.30.0.9,02:aa:00:00:00:01,,60,-5,30,0,0,,0,", "expire is \"-5\""),
        ("10.30.0.9,02:aa:00:00:00:01,,60,4102444800,30,0,0,,9,", "state is \"9\""),
    ] {
        let copy = Copy::new();
        copy.edit(LEASES_4, |text| format!("{text}{row}\n"));
        let error = copy.refused(3);
        assert!(error.contains(&format!("{LEASES_4}:{last}: ")), "{row}: {error}");
        assert!(error.contains(fault) && error.contains("1 fault; nothing"), "{row}: {error}");
        // Without it, all else is there.
        let skipped = copy.convert_all("--skip-faulty -o json").json();
        assert_eq!(skipped["faults"], 1);
        let kept = pairs(&copy.state(), "allocation", |_| true).len() as u64;
        assert_eq!(skipped["carried"]["allocations"].as_u64(), Some(kept), "{skipped}");
    }
    let copy = Copy::new();
    let row = "2001:db8:7777::,00:01,60,4102444800,20,60,2,1,56,0,0,,,0,,,";
    copy.edit(LEASES_6, |text| format!("{text}{row}\n"));
    assert!(copy.refused(3).contains("2001:db8:7777::/56 lies in no pd-pool"));
    let row = "2001:db8:8000:4242::,00:01,60,4102444800,20,60,2,1,64,0,0,,,0,,,";
    let copy = Copy::new();
    copy.edit(LEASES_6, |text| format!("{text}{row}\n"));
    let error = copy.refused(3);
    assert!(error.contains("two owners: it lies in 2001:db8:8000:4200::/56"), "{error}");
    // All are counted, the first hundred are shown.
    let copy = Copy::new();
    copy.edit(LEASES_4, |text| format!("{text}{}", "x\n".repeat(150)));
    let error = copy.refused(3);
    assert!(error.contains("150 faults"), "{error}");
    assert_eq!(error.matches(" fields for ").count(), 100);
    // A file of other columns, and one whose last row was cut in the middle.
    let copy = Copy::new();
    copy.edit(LEASES_4, |text| text.replacen("hwaddr", "mac", 1));
    assert!(copy.refused(2).contains("there is no column \"hwaddr\""));
    let copy = Copy::new();
    copy.edit(LEASES_4, |text| text[..text.len() - 20].to_owned());
    assert!(copy.refused(3).contains(" fields for 11 columns"));
}

#[test]
fn a_configuration_that_does_not_fit_is_told_with_its_place() {
    let told = |name: &str, from: &str, to: &str| {
        let copy = Copy::new();
        copy.edit(name, |text| text.replacen(from, to, 1));
        copy.refused(3)
    };
    let error = told("dhcp4.conf", "\"client-id\": \"00:70:62:78\"", "\"hw-address\": \"zz\"");
    assert!(
        error.contains("Dhcp4.shared-networks[0].subnet4[0].reservations[2]: \"zz\" is no"),
        "{error}"
    );
    // Two owners of one address, or of one prefix.
    let error = told("dhcp4.conf", "10.20.0.6", "10.20.0.5");
    assert!(error.contains("reservations[2]: 10.20.0.5 has two owners: see"), "{error}");
    let error = told("dhcp6.conf", "2001:db8:8000:4200::/56", "2001:db8:8000::/56");
    assert!(error.contains("2001:db8:8000:: has two owners: duid:"), "{error}");
    let second = "\"shared-networks\": [ { \"name\": \"floor 1\" },";
    let error = told("dhcp4.conf", "\"shared-networks\": [", second);
    assert!(error.contains("\"floor-1\": there is another network \"floor-1\""), "{error}");
    for (name, from, to, fault) in [
        ("dhcp4.conf", "10.20.0.6\"", "10.21.0.6\"", "10.21.0.6 lies outside its subnet"),
        ("dhcp4.conf", "10.20.0.10 -", "10.20.1.10 -", "pool \"10.20.1.10 - 10.20.0.59\""),
        ("dhcp4.conf", "10.20.0.59\"", "10.20.9.59\"", "lies outside 10.20.0.0/24"),
        ("dhcp4.conf", "\"10.40.0.0/24\"", "\"10.30.1.0/24\"", "overlaps 10.30.0.0/22"),
        ("dhcp4.conf", "\"10.30.0.1, ", "\"gate, ", "option routers: \"gate\" is no address"),
        ("dhcp6.conf", "2001:db8:8000:4200::/56", "fd00::/56", "fd00::/56 lies in no pd-pool"),
        ("dhcp6.conf", "\"delegated-len\": 64", "\"delegated-len\": 32", "does not fit"),
    ] {
        let error = told(name, from, to);
        assert!(error.contains(fault), "{to}: {error}");
    }
}

#[test]
fn what_only_kea_hands_out_can_be_held_too() {
    let copy = Copy::new();
    // A subnet of two addresses, and a router at the first address of another one.
    copy.edit("dhcp4.conf", |text| {
        let pools = "\"pools\": [ { \"pool\": \"10.70.0.0/31\" } ]";
        let small =
            format!("{{ \"id\": 70, \"subnet\": \"10.70.0.0/31\", {pools} }}, {{ \"id\": 30,");
        let at = text.find("\"id\": 30,").unwrap();
        let open = text[..at].rfind('{').unwrap();
        let behind = text[at..].replacen("\"id\": 30,", &small, 1);
        let behind = behind.replacen("\"10.30.0.1, 10.30.0.2\"", "\"10.30.0.0\"", 1);
        format!("{}{behind}", &text[..open])
    });
    let row = "10.70.0.1,02:aa:00:00:00:70,,60,4102444800,70,0,0,,0,";
    copy.edit(LEASES_4, |text| format!("{text}{row}\n"));
    copy.convert_all("").ok();
    let (_folder, server) = empty();
    let file = copy.path("state.jsonl").display().to_string();
    server.addrd(&format!("import {file}")).ok();
    assert_eq!(server.addrd("export -q").ok(), copy.state());
    assert!(server.addrd("lookup 10.70.0.1").ok().contains("mac:02:aa:00:00:00:70"));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let copy = Copy::new();
    let refused = |files: &[&str]| copy.convert(files, "").fails(2);
    assert!(refused(&[LEASES_4]).contains("needs the configuration"));
    assert!(refused(&["dhcp6.conf", LEASES_4]).contains("needs the configuration"));
    assert!(refused(&["dhcp4.conf", "dhcp4.conf"]).contains("the second configuration"));
    fs::copy(copy.path(LEASES_4), copy.path("other.csv")).unwrap();
    let twice = refused(&["dhcp4.conf", LEASES_4, "other.csv"]);
    assert!(twice.contains("the second lease file"), "{twice}");
    assert!(refused(&["nowhere.conf"]).contains("nowhere.conf: "));
    assert!(refused(&["client.py"]).contains("neither a configuration"));
    copy.edit("dhcp4.conf", |text| text.replacen("\"Dhcp4\": {", "<?include \"x\"?>", 1));
    assert!(refused(&["dhcp4.conf"]).contains("config-write"));
}

#[test]
fn more_reservations_than_pins_are_allocations() {
    let copy = Copy::new();
    let reservations: Vec<String> = (1..=257)
        .map(|n: u32| {
            let (high, low) = (n / 256, n % 256);
            format!("{{\"hw-address\": \"02:ff:0:0:{high:x}:{low:x}\", \"ip-address\": \"10.30.2.{low}\"}}")
                .replace("10.30.2.0\"", "10.30.3.0\"")
                .replace("0:0:1:1\", \"ip-address\": \"10.30.2.1\"", "0:0:1:1\", \"ip-address\": \"10.30.3.1\"")
        })
        .collect();
    let with = |count: usize| {
        let list =
            format!("\"id\": 30, \"reservations\": [{}],", reservations[..count].join(",\n"));
        let text = fs::read_to_string(fixtures().join("dhcp4.conf")).unwrap();
        fs::write(copy.path("dhcp4.conf"), text.replacen("\"id\": 30,", &list, 1)).unwrap();
        let told = copy.convert_all("");
        let state = copy.state();
        let count = |kind: &str| {
            let is_it =
                |line: &Value| line["owner_name"].as_str().is_some_and(|n| n.contains("02:ff:"));
            pairs(&state, kind, is_it).len()
        };
        (count("pin"), count("allocation"), told.err.contains("at most 256 pins"))
    };
    assert_eq!(with(256), (256, 0, false));
    assert_eq!(with(257), (0, 257, true));
    let (_folder, server) = empty();
    server.addrd(&format!("import {}", copy.path("state.jsonl").display())).ok();
    assert_eq!(server.addrd("export -q").ok(), copy.state());
}
