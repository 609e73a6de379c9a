//! Networks, subnets, allocations, counts: what each command changes and shows.

use crate::program::{Server, at_terminal};
use serde_json::Value;

/// A server with the network `blue` and the subnet 10.0.0.0/24.
fn blue() -> Server {
    let server = Server::dev();
    server.addrd("network create blue --description servers").ok();
    server.addrd("subnet create blue 10.0.0.0/24 --name web").ok();
    server
}

#[test]
fn networks_are_changed_and_deleted() {
    let server = blue();
    let shown = server.addrd("network get blue -o json").json();
    assert_eq!((&shown["description"], &shown["subnets"]), (&"servers".into(), &1.into()));
    server.addrd("network update blue").fails(2);
    server.addrd("network update blue --name green --no-description").ok();
    let shown = server.addrd("network get green -o json").json();
    assert_eq!(shown["description"], Value::Null);
    let id = shown["network_id"].as_str().unwrap();
    server.addrd(&format!("network get {id}")).ok();
    assert_eq!(server.addrd("network list --prefix gr -q").ok(), format!("{id}\n"));
    server.addrd("allocate green --owner a").ok();
    let error = server.addrd("network delete green").fails(3);
    assert!(error.contains("IN_USE"), "{error}");
    server.addrd("network delete green --force --dry-run").ok();
    server.addrd("network get green").ok();
    assert_eq!(server.addrd("network delete green --force -q").ok(), format!("{id}\n"));
    server.addrd("network get green").fails(4);
}

#[test]
fn subnets_are_named_in_three_ways_changed_and_deleted() {
    let server = blue();
    let by_name = server.addrd("subnet get blue web -o json").json();
    let by_cidr = server.addrd("subnet get blue 10.0.0.0/24 -o json").json();
    let id = by_name["subnet_id"].as_str().unwrap();
    let by_id = server.addrd(&format!("subnet get blue {id} -o json")).json();
    assert!(by_name == by_cidr && by_cidr == by_id);
    assert_eq!(by_name["gateway"], "10.0.0.1");
    server
        .addrd("subnet update blue web --no-gateway --pool 10.0.0.10-10.0.0.19 --dns 10.0.0.53")
        .ok();
    let shown = server.addrd("subnet get blue web -o json").json();
    assert_eq!(shown["gateway"], Value::Null);
    assert_eq!(shown["pools"][0]["first"], "10.0.0.10");
    assert_eq!(shown["dns_servers"][0], "10.0.0.53");
    assert_eq!(server.addrd("allocate blue --owner a -q").ok(), "10.0.0.10\n");
    let error = server.addrd("subnet delete blue web").fails(3);
    assert!(error.contains("IN_USE"), "{error}");
    server.addrd("subnet delete blue web --force").ok();
    assert_eq!(server.addrd("subnet list blue -q").ok(), "");
}

#[test]
fn a_routed_subnet_keeps_nothing_back() {
    let server = blue();
    server.addrd("subnet create blue 10.9.0.0/30 --routed --strategy lowest").ok();
    let got: Vec<String> = ["a", "b", "c", "d"]
        .iter()
        .map(|owner| {
            server.addrd(&format!("allocate blue -q --subnet 10.9.0.0/30 -w {owner}")).ok()
        })
        .collect();
    assert_eq!(got, ["10.9.0.0\n", "10.9.0.1\n", "10.9.0.2\n", "10.9.0.3\n"]);
}

#[test]
fn exclusions_keep_ranges_back() {
    let server = blue();
    server.addrd("allocate blue --owner a --address 10.0.0.3").ok();
    let shown =
        server.addrd("subnet exclude blue web 10.0.0.2-10.0.0.9 --reason printers -o json").json();
    assert_eq!(shown["live_inside"][0], "10.0.0.3");
    assert_eq!(server.addrd("allocate blue --owner b -q").ok(), "10.0.0.10\n");
    server.addrd("subnet include blue web 10.0.0.2-10.0.0.9").ok();
    let free = server.addrd("free blue web -o json").json();
    assert_eq!(free[0]["first"], "10.0.0.2");
}

#[test]
fn allocations_take_what_was_asked_for() {
    let server = blue();
    let exact = "allocate blue --owner a --address 10.0.0.77 -q";
    assert_eq!(server.addrd(exact).ok(), "10.0.0.77\n");
    let taken = server.addrd("allocate blue --owner b --address 10.0.0.77").fails(3);
    assert!(taken.contains("ADDRESS_TAKEN"), "{taken}");
    let gateway = server.addrd("allocate blue --owner b --address 10.0.0.1").fails(3);
    assert!(gateway.contains("IS_GATEWAY"), "{gateway}");
    let preferred = "allocate blue --owner c --prefer 10.0.0.77 -q";
    assert_ne!(server.addrd(preferred).ok(), "10.0.0.77\n");
    let ranged = "allocate blue --owner d --range 10.0.0.100-10.0.0.101 -q";
    assert_eq!(server.addrd(ranged).ok(), "10.0.0.100\n");
    assert_eq!(
        server.addrd("allocate blue --owner a --slot 1 --address 10.0.0.78 -q").ok(),
        "10.0.0.78\n"
    );
    let block = server.addrd("allocate blue --owner e --length 28 -o json").json();
    assert_eq!(block["length"], 28);
    let wanted = server.addrd("allocate blue --owner f --want-subnet -o json").json();
    assert_eq!(wanted["settings"][0]["gateway"], "10.0.0.1");
}

#[test]
fn what_is_written_beside_an_allocation_is_changed_and_found() {
    let server = blue();
    server.addrd("allocate blue --owner a --host node-1 --label role=web,zone=b").ok();
    server.addrd("allocate blue --owner b --host node-2").ok();
    assert_eq!(server.addrd("list blue --host node-2 -q").ok(), "10.0.0.3\n");
    assert_eq!(server.addrd("lookup --label role=web -q").ok(), "10.0.0.2\n");
    server.addrd("lookup --label role=none").fails(4);
    server.addrd("allocation update 10.0.0.2").fails(2);
    let changed =
        server.addrd("allocation update 10.0.0.2 --host node-9 --no-label -o json").json();
    assert_eq!((&changed["host"], &changed["label"]), (&"node-9".into(), &Value::Null));
    let shown = server.addrd("allocation get --network blue --owner a -o json").json();
    assert_eq!(shown["host"], "node-9");
    assert_eq!(shown["revision"], changed["revision"]);
}

#[test]
fn releases_are_fenced_by_what_was_shown_or_said() {
    let server = blue();
    let got = server.addrd("allocate blue --owner a -o json").json();
    server.addrd("release 10.0.0.2 --revision 1").fails(3);
    server.addrd("release 10.0.0.2 --owner b").fails(3);
    server.addrd("release 10.0.0.2 --dry-run").ok();
    let revision = got["revision"].as_str().unwrap();
    server.addrd(&format!("release 10.0.0.2 --revision {revision}")).ok();
    server.addrd("allocate blue --owner a").ok();
    let gone = server.addrd("release --network blue --owner a -o json").json();
    assert_eq!(gone["state"], "quarantined");
    let nothing = server.addrd("release --network blue --owner a -o json").json();
    assert_eq!(nothing["status"], "NOT_HELD");
    server.addrd("release").fails(2);
    server.addrd("release 192.0.2.1").fails(4);
    server.addrd("release --network nowhere --owner a").fails(4);
}

#[test]
fn what_is_released_rests_as_long_as_its_subnet_says() {
    let server = blue();
    let shown = server.addrd("subnet get blue web -o json").json();
    assert_eq!(shown["quarantine_ms"], 30_000);
    server.addrd("subnet create blue 10.9.0.0/30 --name tiny --quarantine 10m").ok();
    assert!(server.addrd("subnet get blue tiny").ok().contains("10m"));
    server.addrd("allocate blue --owner a --subnet tiny").ok();
    server.addrd("release 10.9.0.2").ok();
    let full = server.addrd("allocate blue --owner b --subnet tiny").fails(3);
    assert!(full.contains("EXHAUSTED") && full.contains("resting 1"), "{full}");
    let resting = server.addrd("allocate blue --owner b --address 10.9.0.2").fails(3);
    assert!(resting.contains("ADDRESS_RESTING"), "{resting}");
    let listed = server.addrd("allocation list blue --state quarantined -o json").json();
    assert_eq!(listed[0]["address"], "10.9.0.2");
    assert_eq!(server.addrd("allocation list blue -q").ok(), "", "it is held by nobody");
    assert!(server.addrd("release 10.9.0.2").ok().contains("not held"));
    let back = server.addrd("allocate blue --owner a --subnet tiny -o json").json();
    assert_eq!((&back["address"], &back["from_quarantine"]), (&"10.9.0.2".into(), &true.into()));
    server.addrd("release 10.9.0.2").ok();
    let taken =
        server.addrd("allocate blue --owner b --subnet tiny --allow-resting -o json").json();
    assert_eq!(taken["from_quarantine"], true);
    server.addrd("subnet update blue tiny --quarantine 0").ok();
    assert_eq!(server.addrd("release 10.9.0.2").ok(), "released 10.9.0.2\n");
    server.addrd("subnet update blue tiny --quarantine 366d").fails(2);
}

#[test]
fn an_owner_that_holds_several_must_say_which() {
    let server = blue();
    server.addrd("allocate blue --owner a").ok();
    server.addrd("allocate blue --owner a --slot 1").ok();
    assert_eq!(server.addrd("lookup a -q").ok().lines().count(), 2);
    server.addrd("release --owner a").fails(2);
    server.addrd("release --owner a --slot 1").ok();
    server.addrd("release --owner a").ok();
    server.addrd("lookup a").fails(4);
}

#[test]
fn counts_and_free_ranges_agree_with_what_is_held() {
    let server = blue();
    server.addrd("allocate blue --owner a").ok();
    let usage = server.addrd("usage blue web -o json").json();
    let counts = &usage["subnets"][0];
    assert_eq!((&counts["pool_size"], &counts["free"]), (&"253".into(), &"252".into()));
    assert_eq!(server.addrd("free blue web -q").ok(), "10.0.0.3-10.0.0.254\n");
    let next = server.addrd("free blue web --addresses 2 -q").ok();
    assert_eq!(next, "10.0.0.3\n10.0.0.4\n");
    assert_eq!(server.addrd("free blue web --from 10.0.0.250 -q").ok(), "10.0.0.250-10.0.0.254\n");
    assert_eq!(server.addrd("usage -q").ok().lines().count(), 3);
}

#[test]
fn counts_are_summed_and_polled_with_the_revision_that_is_printed() {
    let server = blue();
    server.addrd("subnet create blue fd00:9::/64 --name web6").ok();
    let first = server.addrd("usage blue -o json").json();
    let sums = |usage: &serde_json::Value| -> Vec<(String, String)> {
        let totals = usage["totals"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        totals.map(|one| (text(&one["family"]), text(&one["allocated"]))).collect()
    };
    let pair = |family: &str, allocated: &str| (family.to_owned(), allocated.to_owned());
    assert_eq!(sums(&first), [pair("v4", "0"), pair("v6", "0")], "{first}");
    let since = first["revision"].as_str().unwrap();
    let poll = format!("usage blue --changed-since {since}");
    let polled = server.addrd(&format!("{poll} -o json")).json();
    assert_eq!((&polled["whole"], &polled["subnets"]), (&false.into(), &serde_json::json!([])));
    server.addrd("allocate blue --owner a --family v4").ok();
    let gone = server.addrd("subnet get blue web6 -q").ok();
    server.addrd("subnet delete blue web6").ok();
    let polled = server.addrd(&format!("{poll} -o json")).json();
    assert_eq!(polled["subnets"].as_array().unwrap().len(), 1, "{polled}");
    assert_eq!(polled["gone"], serde_json::json!([gone.trim()]));
    assert_eq!(sums(&polled), [pair("v4", "1")]);
    let table = server.addrd(&poll);
    let told = table.err.clone();
    let shown = table.ok();
    assert!(shown.lines().last().unwrap().starts_with("all 1 v4 "), "sums stand below: {shown}");
    assert!(told.contains(gone.trim()), "{told}");
    let next = polled["revision"].as_str().unwrap();
    assert!(told.contains(&format!("addrd usage blue --changed-since {next}")), "{told}");
    let unknown = server.addrd("usage blue --changed-since 1").err;
    assert!(unknown.contains("not remembered"), "{unknown}");
    assert_eq!(server.addrd("usage blue --ip-version 6 -q").ok(), "");
    let networks = server.addrd("usage --totals --ip-version 4 -o json").json();
    let blue = networks.as_array().unwrap().iter().find(|one| one["network_name"] == "blue");
    assert_eq!(sums(blue.unwrap()), [pair("v4", "1")]);
    assert_eq!(blue.unwrap()["subnets"], serde_json::json!([]));
    server.addrd("usage blue web --ip-version 4").fails(2);
}

#[test]
fn the_server_and_its_jobs_can_be_looked_at() {
    let server = blue();
    let status = server.addrd("server status -o json").json();
    assert_eq!(status["state"], "ready");
    server.addrd("allocate blue --owner a").ok();
    server.addrd("network delete blue --force").ok();
    let jobs = server.addrd("job list -o json").json();
    assert_eq!(jobs[0]["state"], "done", "{jobs}");
    let job = jobs[0]["job_id"].as_str().unwrap();
    server.addrd(&format!("job get {job}")).ok();
    server.addrd(&format!("job wait {job}")).ok();
    server.addrd("job get 999999").fails(4);
}

#[test]
fn lookups_find_networks_by_name() {
    let server = blue();
    assert!(server.addrd("lookup blue").ok().contains("servers"));
    let error = server.addrd("lookup 10.0.0.9").fails(4);
    assert!(error.contains("10.0.0.0/24"), "it says where the address would be: {error}");
}

#[test]
fn somebody_at_a_terminal_is_asked_before_something_is_destroyed() {
    let server = blue();
    server.addrd("allocate blue --owner a").ok();
    for answer in ["n\n", "\n", "what?\n"] {
        let (code, shown) = at_terminal(&server.place, "network delete blue --force", answer);
        assert_eq!(code, 3, "{shown}");
        assert!(shown.contains("1 allocations") && shown.contains("[y/N]"), "{shown}");
    }
    server.addrd("network get blue").ok();
    let (code, shown) = at_terminal(&server.place, "subnet delete blue web --force", "y\n");
    assert_eq!(code, 0, "{shown}");
    let (code, shown) = at_terminal(&server.place, "network delete blue --force --yes", "");
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("[y/N]"), "{shown}");
    server.addrd("network get blue").fails(4);
}

#[test]
fn subnets_and_prefixes_come_from_a_pool() {
    let server = blue();
    let made = server
        .addrd("pool create nodes 10.128.0.0/17 10.128.128.0/17 --default-length 24 -o json")
        .json();
    assert_eq!(made["prefixes"][0], "10.128.0.0/16");
    assert_eq!(server.addrd("pool preview nodes --length 26 -q").ok(), "10.128.0.0/26\n");
    let got = "allocate --pool nodes --length 24 --owner node-7 -q";
    assert_eq!(server.addrd(got).ok(), "10.128.0.0/24\n");
    assert_eq!(server.addrd(got).ok(), "10.128.0.0/24\n", "the same again");
    // It lies in a pool and in no subnet.
    let shown = server.addrd(got.trim_end_matches(" -q")).ok();
    assert!(shown.contains("pool") && !shown.contains("0.0.0.0/0"), "{shown}");
    let shown = server.addrd("list --pool nodes -o json").json();
    assert_eq!(shown[0]["cidr"], serde_json::Value::Null);
    server.addrd("network create green").ok();
    let carve = "subnet create green --from-pool nodes --length 26 --name a -o json";
    assert_eq!(server.addrd(carve).json()["cidr"], "10.128.1.0/26");
    assert_eq!(server.addrd(carve).json()["cidr"], "10.128.1.0/26", "the same again");
    let shown = server.addrd("pool get nodes -o json").json();
    assert_eq!((&shown["taken"], &shown["used"]), (&2.into(), &"320".into()));
    let listed = server.addrd("list --pool nodes -q").ok();
    assert_eq!(listed, "10.128.0.0/24\n10.128.1.0/26\n");
    let usage = server.addrd("usage --pool nodes -o json").json();
    assert_eq!(usage["subnets"][0]["allocated"], "320");
    assert_eq!((&usage["totals"][0]["allocated"], &usage["whole"]), (&"320".into(), &true.into()));
    assert_eq!(server.addrd("lookup node-7 --pool nodes -q").ok(), "10.128.0.0/24\n");
    // Without --pool too, since no network has either.
    for what in ["node-7", "10.128.0.0", "10.128.0.77"] {
        assert_eq!(server.addrd(&format!("lookup {what} -q")).ok(), "10.128.0.0/24\n", "{what}");
    }
    server.addrd("lookup 10.128.255.1").fails(4);
    let taken = server.addrd("allocate --pool nodes --length 24 --owner x --address 10.128.0.0");
    assert!(taken.fails(3).contains("(exact)"));
    let error = server.addrd("release 10.128.1.0 --pool nodes").fails(3);
    assert!(error.contains("HELD_BY_OBJECT"), "{error}");
    let error = server.addrd("pool delete nodes --yes").fails(3);
    assert!(error.contains("POOL_IN_USE"), "{error}");
    let error = server.addrd("subnet create green --from-pool nodes --length 4").fails(2);
    assert!(error.contains("LENGTH_BELOW_MIN"), "{error}");
    server.addrd("release --pool nodes --owner node-7").ok();
    server.addrd("subnet delete green a").ok();
    server.addrd("pool update nodes --add 10.64.0.0/16 --remove 10.128.0.0/17 --quota 512").ok();
    let shown = server.addrd("pool get nodes -o json").json();
    assert_eq!(shown["prefixes"], serde_json::json!(["10.64.0.0/16", "10.128.128.0/17"]));
    let error = server.addrd("allocate --pool nodes --length 22 --owner b").fails(3);
    assert!(error.contains("QUOTA") && error.contains("512"), "{error}");
    server.addrd("pool delete nodes --yes").ok();
    server.addrd("pool get nodes").fails(4);
}

#[test]
fn subnets_that_a_network_has_go_into_a_pool() {
    let server = blue();
    server.addrd("pool create nodes 10.128.0.0/16").ok();
    let onboard = "pool onboard nodes --network blue";
    let plan = server.addrd(&format!("{onboard} --dry-run")).ok();
    assert!(plan.contains("subnet_pool_id"), "{plan}");
    assert_eq!(server.addrd("pool get nodes -o json").json()["taken"], 0);
    let pooled = server.addrd(&format!("{onboard} -o json")).json();
    assert_eq!(pooled["prefixes"], serde_json::json!(["10.0.0.0/24", "10.128.0.0/16"]));
    assert_eq!(server.addrd(&format!("{onboard} -o json")).json()["repeated"], true);
    server.addrd("pool create other 10.0.0.0/8").ok();
    let error = server.addrd("pool onboard other --network blue").fails(3);
    assert!(error.contains("POOL_AFFINITY") && error.contains("10.0.0.0/24"), "{error}");
}

#[test]
fn quotas_are_set_shown_kept_to_and_taken_away() {
    let server = Server::dev();
    server.addrd("project create team --quota addresses=2 --quota networks=1").ok();
    server.addrd("--project team network create blue").ok();
    let error = server.addrd("--project team network create green").fails(3);
    assert!(error.contains("quota of networks: 1 of 1 used, 1 more asked for"), "{error}");
    server.addrd("--project team subnet create blue 10.0.0.0/24").ok();
    for owner in ["a", "b"] {
        server.addrd(&format!("--project team allocate blue --owner {owner}")).ok();
    }
    let error = server.addrd("--project team allocate blue --owner c").fails(3);
    assert!(error.contains("quota of addresses: 2 of 2 used, 1 more asked for"), "{error}");
    let shown = server.addrd("project get team").ok();
    assert!(shown.contains("addresses 2 of 2, prefixes 0, networks 1 of 1, subnets 1"), "{shown}");
    let json = server.addrd("project get team --output json").ok();
    for member in ["\"quota_addresses\": 2", "\"used_addresses\": 2", "\"used_ports\": 0"] {
        assert!(json.contains(member), "{member}: {json}");
    }
    server.addrd("project set team --quota addresses=none --quota ports=0").ok();
    server.addrd("--project team allocate blue --owner c").ok();
    let error = server.addrd("--project team port create blue").fails(3);
    assert!(error.contains("quota of ports: 0 of 0 used"), "{error}");
    let error = server.addrd("project set team --quota cores=1").fails(2);
    assert!(error.contains("addresses, prefixes, networks, subnets, ports and resting"), "{error}");
    server.addrd("project set team --quota ports=9007199254740992").fails(2);
}

#[test]
fn projects_and_address_scopes_are_made_used_and_deleted() {
    let server = blue();
    server.addrd("project create team").ok();
    server.addrd("--project team network create blue").ok();
    assert_eq!(server.addrd("--project team network list -q").ok().lines().count(), 1);
    let error = server.addrd("project delete team --yes").fails(3);
    assert!(error.contains("IN_USE"), "{error}");
    server.addrd("scope create global --family v4 --shared").ok();
    server.addrd("pool create outer 172.16.0.0/12 --scope global").ok();
    let error = server.addrd("pool create inner 172.20.0.0/16 --scope global").fails(3);
    assert!(error.contains("SCOPE_OVERLAP"), "{error}");
    server.addrd("pool create inner --parent outer --parent-length 16").ok();
    server.addrd("network create routed --scope-v4 global").ok();
    let error = server.addrd("subnet create routed 172.16.0.0/24").fails(3);
    assert!(error.contains("PREFIX_OVERLAP"), "{error}");
    server.addrd("subnet create routed --from-pool inner --length 24").ok();
    let error = server.addrd("scope delete global --yes").fails(3);
    assert!(error.contains("IN_USE"), "{error}");
    server.addrd("--project team network delete blue --yes").ok();
    server.addrd("project delete team --yes").ok();
    server.addrd("--project team network create blue").fails(4);
    assert_eq!(server.addrd("project list -q").ok().lines().count(), 1);
}
