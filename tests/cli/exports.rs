//! `addrd export`: what is in the file, in which order, and that it says nothing of its own.

use crate::program::Server;
use serde_json::Value;
use std::fs;

/// A server with something of every kind that an export has.
fn full() -> Server {
    let server = Server::dev();
    for line in [
        "network delete demo --force --yes",
        "project create team",
        "scope create inside --family v4",
        "pool create nodes 10.128.0.0/16 --scope inside --default-length 24 --quota 4096",
        "network create blue --description servers",
        "segment create blue 11111111-1111-4111-8111-111111111111 --description rack-1",
        "host create blue 11111111-1111-4111-8111-111111111111 node-1",
        "subnet create blue 10.0.0.0/24 --name web --dns 10.0.0.53",
        "subnet create blue fd00:0:0:1::/64 --ipv6-ra-mode slaac --ipv6-address-mode slaac --enable-dhcp",
        "subnet exclude blue web 10.0.0.100-10.0.0.109 --reason printers",
        "port create blue 22222222-2222-4222-8222-222222222222 --mac 02:00:00:00:00:01 --ip 10.0.0.9",
        "allocate blue --owner a --label tier=web --host node-1 --address 10.0.0.105",
        "allocate blue --owner a --slot 1 --length 28",
        "pin create blue 10.0.0.40 --owner db",
        "allocate --pool nodes --length 24 --owner node-7",
    ] {
        server.addrd(line).ok();
    }
    server
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The kind of a line and what it says.
fn kind(line: &Value) -> (&str, &Value) {
    let members = line.as_object().unwrap();
    assert_eq!(members.len(), 1, "a line is an object with one member: {line}");
    let (kind, value) = members.iter().next().unwrap();
    (kind.as_str(), value)
}

#[test]
fn an_export_has_everything_once_and_in_an_order_in_which_it_can_be_made() {
    let server = full();
    let text = server.addrd("export -q").ok();
    let lines = lines(&text);
    let kinds: Vec<&str> = lines.iter().map(|line| kind(line).0).collect();
    assert_eq!(
        kinds,
        [
            "export",
            "project",
            "project",
            "scope",
            "pool",
            "network",
            "segment",
            "host",
            "subnet",
            "subnet",
            "port",
            "allocation",
            "allocation",
            "pin",
            "exclusion",
            "prefix",
            "end"
        ],
        "{text}"
    );
    let of = |wanted: &str| {
        let found = lines.iter().map(kind).filter(|(kind, _)| *kind == wanted);
        found.map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(of("export")[0]["version"], 1);
    assert_eq!(of("end")[0]["objects"], kinds.len() - 2);
    let pool = of("pool")[0];
    assert_eq!(pool["prefixes"][0], "10.128.0.0/16");
    assert_eq!((&pool["default_length"], &pool["default_quota"]), (&24.into(), &4_096.into()));
    let web = of("subnet")[0];
    assert_eq!((&web["cidr"], &web["gateway"]), (&"10.0.0.0/24".into(), &"10.0.0.1".into()));
    assert_eq!(web["pools"][0]["first"], "10.0.0.2");
    // The allocations of a port are its own, that of the address which follows from its MAC too.
    let port = of("port")[0];
    assert_eq!(port["fixed_ips"].as_array().unwrap().len(), 2, "{port}");
    assert_eq!(port["fixed_ips"][0]["ip_address"], "10.0.0.9");
    assert_eq!(port["fixed_ips"][1]["ip_address"], "fd00::1:0:ff:fe00:1");
    let held = of("allocation");
    assert_eq!((&held[0]["length"], &held[0]["slot"]), (&28.into(), &1.into()));
    assert_eq!((&held[1]["address"], &held[1]["owner_name"]), (&"10.0.0.105".into(), &"a".into()));
    assert_eq!((&held[1]["label"], &held[1]["host"]), (&"tier=web".into(), &"node-1".into()));
    assert_eq!(of("pin")[0]["address"], "10.0.0.40");
    assert_eq!(of("exclusion")[0]["reason"], "printers");
    assert_eq!(
        (&of("prefix")[0]["address"], &of("prefix")[0]["length"]),
        (&"10.128.0.0".into(), &24.into())
    );
    for word in ["revision", "repeated", "deleting", "allocations", "position"] {
        assert!(!text.contains(&format!("\"{word}\"")), "{word} is the server's own: {text}");
    }
}

#[test]
fn the_same_state_gives_the_same_bytes_and_a_file_appears_whole() {
    let server = full();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl");
    let text = server.addrd("export -q").ok();
    // A change that is taken back leaves no trace.
    server.addrd("allocate blue --owner b").ok();
    server.addrd("release --network blue --owner b").ok();
    let said = server.addrd(&format!("export {}", file.display()));
    assert!(said.err.contains("15 objects of 2 projects"), "{said:?}");
    assert_eq!(said.ok(), "");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["state.jsonl"], "nothing unfinished is left");
    let error = server.addrd(&format!("export {}", folder.path().display())).fails(2);
    assert!(error.contains("is a directory"), "{error}");
    let missing = folder.path().join("nowhere").join("state.jsonl");
    let error = server.addrd(&format!("export {}", missing.display())).fails(1);
    assert!(error.contains("can't be written"), "{error}");
}

#[test]
fn one_project_is_exported_alone() {
    let server = full();
    server.addrd("--project team network create red").ok();
    let text = server.addrd("export -q --project team").ok();
    let kinds: Vec<String> = lines(&text).iter().map(|line| kind(line).0.to_owned()).collect();
    assert_eq!(kinds, ["export", "project", "network", "end"], "{text}");
    server.addrd("export --project nobody").fails(4);
}

/// A server with nothing in it.
fn empty() -> Server {
    let server = Server::dev();
    server.addrd("network delete demo --force --yes").ok();
    server
}

/// A file with these lines.
fn written(folder: &tempfile::TempDir, lines: &[String]) -> String {
    let path = folder.path().join("lines.jsonl");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    path.display().to_string()
}

#[test]
fn what_was_exported_and_imported_is_exported_again_to_the_byte() {
    let (server, other) = (full(), empty());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl");
    server.addrd(&format!("export -q {}", file.display())).ok();
    let before = other.addrd("export -q").ok();
    let tried = other.addrd(&format!("import --dry-run {}", file.display()));
    assert!(tried.err.contains("14 objects to make, 1 there already"), "{tried:?}");
    tried.ok();
    assert_eq!(other.addrd("export -q").ok(), before, "a dry run changes nothing");
    let made = other.addrd(&format!("import {}", file.display()));
    assert!(made.err.contains("14 objects made, 1 there already"), "{made:?}");
    made.ok();
    assert_eq!(other.addrd("export -q").ok(), fs::read_to_string(&file).unwrap());
    let again = other.addrd(&format!("import {}", file.display()));
    assert!(again.err.contains("0 objects made, 15 there already"), "{again:?}");
    again.ok();
}

/// A server whose rules became narrower than what is there: none of this could be made anew.
fn narrowed() -> Server {
    let server = empty();
    for line in [
        "pool create nodes 10.128.0.0/16 --min 20 --max 30",
        "pool create rack 10.128.0.0/20 --parent nodes",
        "network create carved",
        "subnet create carved 10.128.32.0/30 --from-pool nodes",
        "allocate --pool nodes --length 28 --owner node-7",
        "pool update nodes --quota 1 --min 22 --max 24 --default-length 24",
        "network create blue",
        "segment create blue 11111111-1111-4111-8111-111111111111",
        "host create blue 11111111-1111-4111-8111-111111111111 node-1 node-2",
        "subnet create blue 10.0.0.0/24 --segment 11111111-1111-4111-8111-111111111111",
        "port create blue on-1 --host node-1 --mac 02:00:00:00:00:01",
        "port create blue on-2 --host node-2 --mac 02:00:00:00:00:02",
        "host delete blue 11111111-1111-4111-8111-111111111111 node-1",
        // It waits for its host, and still does although one could tell by now.
        "port create blue waits --mac 02:00:00:00:00:03",
        "network create green",
        "subnet create green 10.1.0.0/24",
        "subnet create green fd00:0:0:1::/64 --ipv6-ra-mode slaac --ipv6-address-mode slaac --enable-dhcp",
        // Its slots are 1 and 2, since 0 was taken without the port.
        "allocate green --owner 33333333-3333-4333-8333-333333333333 --address 10.1.0.77",
        "port create green 33333333-3333-4333-8333-333333333333 --device-owner compute:nova --mac 02:00:00:00:00:04",
        "port create green none --no-ips --mac 02:00:00:00:00:05",
        "subnet update green 10.1.0.0/24 --service-type network:dhcp",
        "subnet create green 10.2.0.0/24",
        "port create green late --mac 02:00:00:00:00:06",
        // An address of a port can have a label like every other.
        "allocation update --network green 10.2.0.2 --label tier=web",
    ] {
        server.addrd(line).ok();
    }
    server
}

#[test]
fn what_could_not_be_made_anew_is_imported_as_it_was() {
    let server = narrowed();
    let text = server.addrd("export -q").ok();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl");
    server.addrd(&format!("export -q {}", file.display())).ok();
    let other = empty();
    other.addrd(&format!("import -q {}", file.display())).ok();
    assert_eq!(other.addrd("export -q").ok(), text);
    let again = other.addrd(&format!("import {}", file.display()));
    assert!(again.err.contains("checked: 0 objects to make"), "{again:?}");
    again.ok();
    other.addrd(&format!("compare {}", file.display())).ok();
    // For everybody else the rules hold as before.
    let error = other.addrd("allocate --pool nodes --length 28 --owner node-8").fails(2);
    assert!(error.contains("LENGTH_ABOVE_MAX"), "{error}");
    let error = other.addrd("allocate --pool nodes --length 24 --owner node-8").fails(3);
    assert!(error.contains("QUOTA"), "{error}");
}

#[test]
fn a_file_of_an_older_program_is_read() {
    let file = format!("{}/tests/fixtures/state.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&file).unwrap();
    let other = empty();
    other.addrd(&format!("import -q {file}")).ok();
    // It knew no rests; its subnets get what one gets that says nothing.
    let again = other.addrd("export -q").ok();
    let rests = r#","quarantine_ms":30000"#;
    let subnets = text.lines().filter(|line| line.starts_with(r#"{"subnet":"#)).count();
    assert_eq!(again.matches(rests).count(), subnets);
    assert_eq!(again.replace(rests, ""), text);
}

#[test]
fn an_import_goes_on_where_another_was_interrupted() {
    let (server, other) = (full(), empty());
    let folder = tempfile::tempdir().unwrap();
    let text = server.addrd("export -q").ok();
    let all: Vec<String> = text.lines().map(str::to_owned).collect();
    for objects in [3, 8, 12] {
        let mut part = all[..=objects].to_vec();
        part.push(format!("{{\"end\":{{\"objects\":{objects}}}}}"));
        other.addrd(&format!("import -q {}", written(&folder, &part))).ok();
    }
    other.addrd(&format!("import -q {}", written(&folder, &all))).ok();
    assert_eq!(other.addrd("export -q").ok(), text);
}

#[test]
fn every_fault_of_a_file_is_told_with_its_line_and_nothing_is_changed() {
    let (server, other) = (full(), empty());
    other.addrd("network create blue").ok();
    other.addrd("subnet create blue 10.0.0.0/24").ok();
    other.addrd("allocate blue --owner elsewhere --address 10.0.0.105").ok();
    let before = other.addrd("export -q").ok();
    let folder = tempfile::tempdir().unwrap();
    let text = server.addrd("export -q").ok();
    let at = |kind: &str| {
        let start = format!("{{\"{kind}\"");
        text.lines().position(|line| line.starts_with(&start)).unwrap()
    };
    let whole: Vec<String> = text.lines().map(str::to_owned).collect();
    let told = |change: &dyn Fn(&mut Vec<String>), server: &Server| {
        let mut lines = whole.clone();
        change(&mut lines);
        let error = server.addrd(&format!("import {}", written(&folder, &lines))).fails(3);
        assert!(error.contains("nothing was changed"), "{error}");
        error
    };
    let fresh = empty();
    let empty_before = fresh.addrd("export -q").ok();
    // The same line twice; the count no longer fits either.
    let error = told(&|lines| lines.insert(at("pin"), lines[at("pin")].clone()), &fresh);
    assert!(error.contains("says it already") && error.contains("2 faults"), "{error}");
    // An address that another line has, one outside every subnet, a subnet of no segment.
    let (held, port) = (at("allocation"), at("port"));
    let error =
        told(&|lines| lines[held + 1] = lines[held + 1].replace("10.0.0.105", "10.0.0.9"), &fresh);
    assert!(
        error.contains(&format!("line {}: 10.0.0.9: taken by line {}", held + 2, port + 1)),
        "{error}"
    );
    let error =
        told(&|lines| lines[held + 1] = lines[held + 1].replace("10.0.0.105", "10.9.0.1"), &fresh);
    assert!(error.contains("INVALID_ADDRESS") && error.contains("10.9.0.1"), "{error}");
    let error = told(
        &|lines| lines[at("host")] = lines[at("host")].replace("11111111", "99999999"),
        &fresh,
    );
    assert!(error.contains("NOT_FOUND") && error.contains("segment 99999999"), "{error}");
    let error =
        told(&|lines| lines[at("subnet") + 1] = lines[at("subnet")].replace("web", "x"), &fresh);
    assert!(error.contains("says it already"), "{error}");
    // What can't be read, and what is known to nobody.
    let error = told(&|lines| lines[held] = "{\"allocation\":{}}".to_owned(), &fresh);
    assert!(error.contains(&format!("line {}: missing field", held + 1)), "{error}");
    let error = told(&|lines| lines[held] = "{\"unicorn\":{}}".to_owned(), &fresh);
    assert!(error.contains("unknown variant `unicorn`"), "{error}");
    assert_eq!(fresh.addrd("export -q").ok(), empty_before);
    // What the server has otherwise.
    let error = told(&|_| {}, &other);
    assert!(error.contains("10.0.0.105: taken on the server"), "{error}");
    assert!(error.contains("overlaps 10.0.0.0/24") || error.contains("with another"), "{error}");
    assert_eq!(other.addrd("export -q").ok(), before);
    // A file that was cut short.
    let cut = written(&folder, &whole[..whole.len() - 1]);
    let error = fresh.addrd(&format!("import {cut}")).fails(2);
    assert!(error.contains("cut short"), "{error}");
    fresh.addrd("import /nonexistent.jsonl").fails(2);
    assert_eq!(fresh.addrd("export -q").ok(), empty_before);
}

#[test]
fn what_the_server_would_refuse_is_told_by_the_first_pass() {
    let file = format!("{}/tests/fixtures/state.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(file).unwrap();
    let (folder, server) = (tempfile::tempdir().unwrap(), empty());
    let before = server.addrd("export -q").ok();
    let too_long = format!("\"{}\"", "x".repeat(65));
    for (kind, from, to, fault) in [
        ("subnet", "\"last\":\"10.0.0.254\"", "\"last\":\"10.0.1.254\"", "POOL_OUTSIDE"),
        ("subnet", "\"gateway\":\"10.0.0.1\"", "\"gateway\":\"10.0.0.2\"", "GATEWAY_IN_POOL"),
        ("subnet", "\"gateway\":\"10.0.0.1\"", "\"gateway\":\"10.0.0.0\"", "INVALID_GATEWAY"),
        ("subnet", "\"cidr\":\"10.128.0.0/24\"", "\"cidr\":\"10.127.0.0/24\"", "OUTSIDE_POOL"),
        ("subnet", "\"name\":\"web\"", "\"name\":\"10.0.0.1\"", "INVALID_NAME"),
        ("pool", "\"min_length\":8", "\"min_length\":25", "POOL_BOUNDS"),
        ("prefix", "10.128.16.0", "10.128.0.0", "PREFIX_TAKEN"),
        ("network", "\"name\":\"blue\"", "\"name\":\"b/ue\"", "INVALID_NAME"),
        ("port", "02:00:00:00:00:01", "03:00:00:00:00:01", "INVALID_MAC"),
        ("port", "\"compute:nova\"", &too_long, "OUT_OF_RANGE"),
        ("port", "\"10.0.0.9\"", "\"10.0.0.255\"", "INVALID_ADDRESS"),
        ("allocation", "\"10.0.0.105\"", "\"10.0.0.0\"", "INVALID_ADDRESS"),
        ("exclusion", "\"last\":\"10.0.0.109\"", "\"last\":\"10.0.1.9\"", "OUT_OF_RANGE"),
        ("scope", "\"family\":\"v4\"", "\"family\":\"v6\"", "FAMILY_MISMATCH"),
    ] {
        let start = format!("{{\"{kind}\"");
        let mut done = false;
        let lines: Vec<String> = text
            .lines()
            .map(|line| match !done && line.starts_with(&start) && line.contains(from) {
                false => line.to_owned(),
                true => {
                    done = true;
                    line.replacen(from, to, 1)
                }
            })
            .collect();
        assert!(done, "no {kind} has {from}");
        let error = server.addrd(&format!("import {}", written(&folder, &lines))).fails(3);
        assert!(error.contains(fault) && error.contains("nothing was changed"), "{to}: {error}");
        assert_eq!(server.addrd("export -q").ok(), before);
    }
    // A name that another object of the file has.
    let twice = text.replace("\"name\":\"red\"", "\"name\":\"blue\"");
    let twice = twice.replace(
        "\"project_id\":\"7bf55487-68a5-5456-9126-902b5655c437\",\"network_id\"",
        "\"project_id\":\"61646472-6400-5000-8000-64656661756c\",\"network_id\"",
    );
    let lines: Vec<String> = twice.lines().map(str::to_owned).collect();
    let error = server.addrd(&format!("import {}", written(&folder, &lines))).fails(3);
    assert!(error.contains("NAME_IN_USE: the name blue"), "{error}");
}

#[test]
fn what_collides_with_networks_that_a_file_does_not_name_is_told_by_the_first_pass() {
    let (server, folder) = (empty(), tempfile::tempdir().unwrap());
    for line in [
        "scope create inside --family v4",
        "pool create nodes 10.128.0.0/16 --scope inside --default-length 24",
        "pool create racks 10.64.0.0/16 --default-length 24",
        "network create green --scope-v4 inside",
        "subnet create green 10.1.0.0/24",
        "network create carved",
        "subnet create carved --from-pool racks",
        "allocate --pool racks --length 24 --owner node-7",
    ] {
        server.addrd(line).ok();
    }
    let text = server.addrd("export -q").ok();
    let green: Vec<&str> = text.lines().filter(|line| line.contains("green")).collect();
    let line_of = |part: &str| text.lines().find(|line| line.contains(part)).unwrap();
    let id = |line: &str, member: &str| {
        let start = line.find(&format!("\"{member}\":\"")).unwrap() + member.len() + 4;
        line[start..start + 36].to_owned()
    };
    let (scope, racks) =
        (id(line_of("inside"), "address_scope_id"), id(line_of("racks"), "subnet_pool_id"));
    assert_eq!(green.len(), 1);
    let home = "\"project_id\":\"61646472-6400-5000-8000-64656661756c\",\"network_id\":\"77777777-7777-4777-8777-777777777777\"";
    let network = |more: &str| format!("{{\"network\":{{{home}{more}}}}}");
    let subnet = |cidr: &str, more: &str| {
        format!(
            "{{\"subnet\":{{{home},\"subnet_id\":\"88888888-8888-4888-8888-888888888888\",\"cidr\":\"{cidr}\"{more}}}}}"
        )
    };
    let pooled = format!(",\"from_pool\":{{\"subnet_pool_id\":\"{racks}\"}}");
    let before = server.addrd("export -q").ok();
    for (objects, fault) in [
        (vec![network(",\"name\":\"green\"")], "NAME_IN_USE"),
        (
            vec![network(&format!(",\"scope_v4\":\"{scope}\"")), subnet("10.1.0.128/25", "")],
            "PREFIX_OVERLAP: 10.1.0.128/25 overlaps the subnet 10.1.0.0/24",
        ),
        (
            vec![network(&format!(",\"scope_v4\":\"{scope}\"")), subnet("10.128.0.0/24", "")],
            "PREFIX_OVERLAP: 10.128.0.0/24 overlaps 10.128.0.0/16 of a subnet pool",
        ),
        // What a subnet of another network has of the pool, and what an owner has.
        (vec![network(""), subnet("10.64.0.0/24", &pooled)], "PREFIX_TAKEN"),
        (vec![network(""), subnet("10.64.1.0/24", &pooled)], "PREFIX_TAKEN"),
    ] {
        let mut lines = vec!["{\"export\":{\"version\":1}}".to_owned()];
        lines.extend(objects.iter().cloned());
        lines.push(format!("{{\"end\":{{\"objects\":{}}}}}", objects.len()));
        let error = server.addrd(&format!("import {}", written(&folder, &lines))).fails(3);
        assert!(
            error.contains(fault) && error.contains("1 fault; nothing was changed"),
            "{fault}: {error}"
        );
        assert_eq!(server.addrd("export -q").ok(), before);
    }
    // The network itself can be named, with what its subnet has of the pool.
    server
        .addrd(&format!(
            "import -q {}",
            written(&folder, &text.lines().map(str::to_owned).collect::<Vec<_>>())
        ))
        .ok();
}

#[test]
fn a_file_is_compared_with_a_server() {
    let (server, other) = (full(), empty());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl").display().to_string();
    server.addrd(&format!("export -q {file}")).ok();
    assert_eq!(server.addrd(&format!("compare {file} -o json")).json(), Value::Array(Vec::new()));
    other.addrd(&format!("import -q {file}")).ok();
    let same = other.addrd(&format!("compare {file}"));
    assert_eq!((same.code, same.out.as_str(), same.err.as_str()), (0, "", "no difference\n"));
    other.addrd("subnet update blue web --dns 10.0.0.54").ok();
    other.addrd("release --network blue --owner a --slot 1").ok();
    other.addrd("allocate blue --owner new --address 10.0.0.77").ok();
    let ran = other.addrd(&format!("compare {file} -o json"));
    assert_eq!((ran.code, ran.err.contains("3 differences")), (3, true), "{ran:?}");
    let found: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let [subnet, gone, new] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(subnet["only_in"], "both");
    assert_eq!(
        (&subnet["file"]["dns_servers"][0], &subnet["server"]["dns_servers"][0]),
        (&"10.0.0.53".into(), &"10.0.0.54".into())
    );
    assert_eq!(subnet["file"].as_object().unwrap().len(), 1, "only what differs: {subnet}");
    assert_eq!((&gone["only_in"], &gone["file"]["slot"]), (&"file".into(), &1.into()));
    assert_eq!(
        (&new["only_in"], &new["server"]["address"]),
        (&"server".into(), &"10.0.0.77".into())
    );
}

#[test]
fn an_import_without_a_server_makes_a_data_directory_that_appears_whole() {
    let server = full();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl").display().to_string();
    let data = folder.path().join("data");
    server.addrd(&format!("export -q {file}")).ok();
    let text = fs::read_to_string(&file).unwrap();
    let import =
        |more: &str| server.addrd(&format!("import {file} --data {} {more}", data.display()));
    let names = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert!(import("--dry-run").err.contains("14 objects to make"));
    assert_eq!(names(), ["state.jsonl"], "a dry run leaves nothing");
    // A file with a fault leaves nothing either.
    let fault = text.replace("10.0.0.105", "10.9.0.1");
    fs::write(&file, &fault).unwrap();
    assert!(import("").fails(3).contains("INVALID_ADDRESS"));
    assert_eq!(names(), ["state.jsonl"]);
    fs::write(&file, &text).unwrap();
    // Where no directory can be made, that is what is said.
    let error = server.addrd(&format!("import {file} --data /proc/nowhere")).fails(2);
    assert!(error.contains("data directory /proc/nowhere.part"), "{error}");
    // What another import left is neither used nor removed.
    let part = folder.path().join("data.part");
    fs::create_dir(&part).unwrap();
    assert!(import("").fails(3).contains("data.part is there"));
    assert_eq!(names(), ["data.part", "state.jsonl"]);
    fs::remove_dir(&part).unwrap();
    import("").ok();
    assert_eq!(names(), ["data", "state.jsonl"]);
    assert!(import("").fails(3).contains("is not empty"));
    server.addrd(&format!("check {}", data.display())).ok();
    let made = Server::start(&data, &[]);
    assert_eq!(made.addrd("export -q").ok(), text);
}

#[test]
fn what_projects_share_and_pools_that_take_from_pools_are_made_again() {
    let (server, other) = (empty(), empty());
    for line in [
        "project create team",
        "scope create inside --family v4 --shared",
        "pool create nodes 10.128.0.0/16 --scope inside --shared --min 16",
        "--project team pool create edge --parent nodes --parent-length 20",
        "--project team network create red",
        "--project team subnet create red --from-pool edge --length 24 --name first",
        "--project team subnet create red --from-pool edge --length 25 --gateway 10.128.1.126",
        "--project team allocate red --owner gw --address 10.128.0.1 --allow-gateway",
        "network create blue",
        "subnet create blue fd00:0:0:1::/64 --routed --no-pools",
        "port create blue 22222222-2222-4222-8222-222222222222 --no-ips --host node-1",
        "port create blue 33333333-3333-4333-8333-333333333333 --ip fd00:0:0:1::7 --ip fd00:0:0:1::5",
        "allocate blue --owner big --address fd00:0:0:1:1:: --length 80",
    ] {
        server.addrd(line).ok();
    }
    let folder = tempfile::tempdir().unwrap();
    let text = server.addrd("export -q").ok();
    let file = folder.path().join("state.jsonl");
    fs::write(&file, &text).unwrap();
    other.addrd(&format!("import -q {}", file.display())).ok();
    assert_eq!(other.addrd("export -q").ok(), text);
    // What subnets and pools have of a pool follows from their lines.
    assert!(!text.contains("{\"prefix\""), "{text}");
    // The pool counts what was carved, as before.
    let taken = |server: &Server| server.addrd("pool get nodes -o json").json()["taken"].clone();
    assert_eq!(taken(&other), taken(&server));
}

/// 1,100 allocations with every text at its longest: more than one step of the journal takes.
#[test]
fn lines_with_long_texts_go_in_smaller_batches() {
    let folder = tempfile::tempdir().unwrap();
    let server = empty();
    server.addrd("network create long").ok();
    server.addrd("subnet create long 10.20.0.0/20").ok();
    let long = "x".repeat(250);
    let one = format!("--host {long} --label {long} --manager {} -q", "m".repeat(60));
    server.addrd(&format!("allocate --network long --owner {} {one}", "y".repeat(250))).ok();
    let mut whole: Vec<String> =
        server.addrd("export -q").ok().lines().map(str::to_owned).collect();
    let at = whole.iter().position(|line| line.starts_with("{\"allocation\"")).unwrap();
    let first: Value = serde_json::from_str(&whole[at]).unwrap();
    let more = (0..1_100_u32).map(|number| {
        let mut line = first.clone();
        let held = &mut line["allocation"];
        held["address"] = format!("10.20.{}.{}", 1 + number / 250, number % 250).into();
        held["owner"] = format!("00000000-0000-4000-8000-{number:012}").into();
        held["owner_name"] = format!("{number:0>250}").into();
        line.to_string()
    });
    let more: Vec<String> = more.collect();
    whole.splice(at + 1..at + 1, more);
    let end = whole.len() - 1;
    whole[end] = format!("{{\"end\":{{\"objects\":{}}}}}", end - 1);
    let file = written(&folder, &whole);
    let fresh = empty();
    let said = fresh.addrd(&format!("import {file}"));
    assert_eq!(said.code, 0, "{said:?}");
    let count = fresh.addrd("list --network long -q").ok().lines().count();
    assert_eq!(count, 1_101);
}
