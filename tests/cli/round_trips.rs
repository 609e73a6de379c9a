//! Export, import, export: random states, made by commands that know nothing of each other, come
//! back to the byte.

use crate::program::Server;
use crate::seed::Choices;
use serde_json::Value;
use std::fs;

/// Commands of one state.
const COMMANDS: u64 = 220;
/// States.
const STATES: u64 = 3;
const PROJECTS: [&str; 5] = ["default", "default", "default", "team", "guest"];
const SEGMENTS: [&str; 2] =
    ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
const DEVICE_OWNERS: [&str; 4] =
    ["compute:nova", "network:dhcp", "network:router_interface", "network:distributed"];
const SERVICE_TYPES: [&str; 3] = ["compute:nova", "network:dhcp", "network:routed"];

/// Makes commands out of few names, so that they meet.
struct Maker(Choices);

impl Maker {
    fn number(&mut self, most: u64) -> u64 {
        self.0.below(0..most)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let one: &&str = self.0.pick(of);
        one
    }

    fn network(&mut self) -> String {
        format!("net-{}", self.number(3))
    }

    fn pool(&mut self) -> String {
        format!("pool-{}", self.number(3))
    }

    fn cidr(&mut self) -> String {
        format!("10.{}.0.0/{}", self.number(3), 22 + self.number(6))
    }

    fn address(&mut self) -> String {
        format!("10.{}.0.{}", self.number(3), self.number(40))
    }

    fn maybe(&mut self, word: impl FnOnce(&mut Self) -> String) -> String {
        if self.0.one_in(3) { word(self) } else { String::new() }
    }

    fn command(&mut self) -> String {
        let command = match self.number(38) {
            36 | 37 => return self.quota(),
            0 => self.pool_create(),
            1 | 2 => self.pool_update(),
            3 | 4 => format!(
                "allocate --pool {} --length {} --owner node-{}",
                self.pool(),
                20 + self.number(13),
                self.number(6)
            ),
            5 => format!(
                "network create {} {} {}",
                self.network(),
                self.maybe(|_| "--shared".to_owned()),
                self.maybe(|_| "--scope-v4 inside".to_owned())
            ),
            6 => format!("segment create {} {}", self.network(), self.one(&SEGMENTS)),
            7 | 8 => {
                let verb = self.one(&["create", "create", "delete"]);
                format!(
                    "host {verb} {} {} host-{}",
                    self.network(),
                    self.one(&SEGMENTS),
                    self.number(3)
                )
            }
            9..=11 => self.subnet_create(),
            12 | 13 => self.subnet_update(),
            14..=16 => self.port_create(),
            17 | 18 => self.port_update(),
            19 => format!("allocate {} --owner owner-{} {}", self.network(), self.number(9), {
                let label = self.maybe(|_| "--label tier=web --host host-9".to_owned());
                let address =
                    self.maybe(|maker| format!("--address {} --allow-gateway", maker.address()));
                format!("{label} {address}")
            }),
            20 => format!(
                "allocation update --network {} {} --label a={}",
                self.network(),
                self.address(),
                self.number(9)
            ),
            21 => format!(
                "pin create {} {} --owner owner-{}",
                self.network(),
                self.address(),
                self.number(9)
            ),
            22 => {
                let (first, last) = (self.number(20), 20 + self.number(20));
                let at = self.number(3);
                format!(
                    "subnet exclude {} 10.{at}.0.0/24 10.{at}.0.{first}-10.{at}.0.{last} --everyone",
                    self.network()
                )
            }
            23 => match self.number(3) {
                0 => format!("release {} --yes", self.address()),
                1 => format!("port delete {} port-{} --yes", self.network(), self.number(9)),
                _ => format!("pool onboard {} --network {}", self.pool(), self.network()),
            },
            24..=27 => self.of_ports_address(),
            28 | 29 => self.port_settings(),
            30..=32 => self.six(),
            33 => self.sharing(),
            34 => self.removal(),
            _ => self.block(),
        };
        format!("--project {} {command}", self.one(&PROJECTS))
    }

    /// An address by the key of a port, with or without it.
    fn of_ports_address(&mut self) -> String {
        let (network, number, slot) = (self.network(), self.number(9), self.number(2));
        let key = format!("--owner port-{number} --slot {slot}");
        let takeover = self.maybe(|maker| format!("--takeover --instance {}", maker.number(3)));
        match self.number(6) {
            0 | 1 => format!("release --network {network} {key} --yes"),
            2 => format!("allocate {network} {key} --takeover --host host-8 --manager agent"),
            3 => format!("allocate {network} {key} --length {}", 29 + self.number(4)),
            4 => format!("allocation update --network {network} {key} --label b={number} --host h"),
            _ => format!("allocate {network} {key} {takeover}"),
        }
    }

    fn port_settings(&mut self) -> String {
        let port = format!("port update {} port-{}", self.network(), self.number(9));
        let host = self.number(3);
        match self.number(6) {
            0 => format!("{port} --default-ips"),
            1 => format!("{port} --no-host"),
            2 | 3 => format!("{port} --host host-{host}"),
            4 => format!("{port} --no-device-owner --no-description"),
            _ => format!("{port} --ip subnet={} --ip subnet={}", self.cidr(), self.cidr()),
        }
    }

    /// On subnets of IPv6.
    fn six(&mut self) -> String {
        let (network, at) = (self.network(), self.number(4));
        let cidr = format!("fd00:{at}::/64");
        let (port, mac) = (self.number(9), self.number(9));
        match self.number(8) {
            0 => format!(
                "subnet update {network} {cidr} --service-type {}",
                self.one(&SERVICE_TYPES)
            ),
            1 => format!("subnet update {network} {cidr} --no-service-types"),
            2 => format!("subnet update {network} {cidr} --segment {}", self.one(&SEGMENTS)),
            3 => format!(
                "allocate {network} --owner six-{port} --subnet {cidr} --mac 02:00:00:00:02:0{mac}"
            ),
            4 => format!(
                "allocate {network} --owner six-{port} --subnet {cidr} --length {}",
                120 + mac
            ),
            5 => format!(
                "port update {network} port-{port} --ip {} --ip subnet={cidr}",
                self.address()
            ),
            6 => format!(
                "port create {network} port-{port} --ip fd00:{at}::{mac} --ip {}",
                self.address()
            ),
            _ => format!(
                "subnet create {network} {cidr} --segment {} --enable-dhcp --ipv6-ra-mode slaac --ipv6-address-mode slaac",
                self.one(&SEGMENTS)
            ),
        }
    }

    fn sharing(&mut self) -> String {
        let shared = self.0.one_in(2);
        match self.number(5) {
            0 => format!("network update {} --shared {shared}", self.network()),
            1 => format!("scope update inside --shared {shared}"),
            2 => format!("pool update {} --scope inside", self.pool()),
            3 => format!("pool update {} --no-scope", self.pool()),
            _ => format!("pool update {} --default {shared}", self.pool()),
        }
    }

    fn removal(&mut self) -> String {
        let network = self.network();
        match self.number(8) {
            0 => format!("subnet delete {network} {} --yes", self.cidr()),
            1 => format!("subnet delete {network} {} --force --yes", self.cidr()),
            2 => format!("subnet delete {network} fd00:{}::/64 --force --yes", self.number(4)),
            3 => format!("segment delete {network} {} --yes", self.one(&SEGMENTS)),
            4 => format!("pin delete {network} {} --yes", self.address()),
            5 => format!("pool delete {} --yes", self.pool()),
            6 => format!("release --pool {} --owner node-{} --yes", self.pool(), self.number(6)),
            _ => format!(
                "pool update {} --{} 10.{}.0.0/18",
                self.pool(),
                self.one(&["add", "remove"]),
                self.number(3)
            ),
        }
    }

    fn block(&mut self) -> String {
        let (network, at, gateway) = (self.network(), self.cidr(), self.address());
        match self.number(5) {
            0 => format!("allocate {network} --owner owner-{} --length 29", self.number(9)),
            1 => format!("subnet update {network} {at} --gateway {gateway}"),
            2 => {
                format!("subnet update {network} {at} --pool {gateway}-{gateway} --strategy random")
            }
            3 => format!("subnet update {network} {at} --no-service-types --enable-dhcp true"),
            _ => format!("subnet update {network} {at} --default-pools --strategy next"),
        }
    }

    /// Mostly below what is used in the end.
    fn quota(&mut self) -> String {
        let project = self.one(&["default", "team", "guest"]);
        let resource = self.one(&["addresses", "prefixes", "networks", "subnets", "ports"]);
        let count = self.one(&["none", "none", "1", "5", "20"]);
        format!("project set {project} --quota {resource}={count}")
    }

    fn pool_create(&mut self) -> String {
        let name = self.pool();
        let parent = self.maybe(|maker| format!("--parent {} --parent-length 20", maker.pool()));
        let prefix = match parent.is_empty() {
            true => format!("10.{}.0.0/16", self.number(3)),
            false => String::new(),
        };
        let shared = self.maybe(|_| "--shared".to_owned());
        let scope = self.maybe(|_| "--scope inside".to_owned());
        format!("pool create {name} {prefix} {parent} {shared} {scope} --default-length 24")
    }

    fn pool_update(&mut self) -> String {
        let name = self.pool();
        match self.number(4) {
            0 => {
                let least = 20 + self.number(5);
                let (default, most) = (least + self.number(3), least + 2 + self.number(4));
                format!("pool update {name} --min {least} --default-length {default} --max {most}")
            }
            1 => format!("pool update {name} --quota {}", self.number(600)),
            2 => format!("pool update {name} --no-quota --min 16 --max 30 --default-length 24"),
            _ => format!("pool update {name} --shared {}", self.0.one_in(2)),
        }
    }

    fn subnet_create(&mut self) -> String {
        let network = self.network();
        let segment = self.maybe(|maker| format!("--segment {}", maker.one(&SEGMENTS)));
        let types = self.maybe(|maker| format!("--service-type {}", maker.one(&SERVICE_TYPES)));
        match self.number(4) {
            0 => {
                let mode = self.one(&["slaac", "dhcpv6-stateful"]);
                let modes = format!("--ipv6-ra-mode {mode} --ipv6-address-mode {mode}");
                let at = self.number(4);
                format!("subnet create {network} fd00:{at}::/64 --enable-dhcp {modes} {types}")
            }
            1 => format!("subnet create {network} --from-pool {} --length 25", self.pool()),
            _ => {
                let dhcp = self.maybe(|_| "--enable-dhcp".to_owned());
                format!("subnet create {network} {} {segment} {types} {dhcp}", self.cidr())
            }
        }
    }

    fn subnet_update(&mut self) -> String {
        let at = format!("{} {}", self.network(), self.cidr());
        match self.number(4) {
            0 => format!("subnet update {at} --service-type {}", self.one(&SERVICE_TYPES)),
            1 => format!("subnet update {at} --no-gateway"),
            2 => format!("subnet update {at} --no-pools"),
            _ => format!("subnet update {at} --segment {}", self.one(&SEGMENTS)),
        }
    }

    fn port_words(&mut self) -> String {
        let host = self.maybe(|maker| format!("--host host-{}", maker.number(3)));
        let owner = self.maybe(|maker| format!("--device-owner {}", maker.one(&DEVICE_OWNERS)));
        let wanted = match self.number(6) {
            0 => "--no-ips".to_owned(),
            1 => format!("--ip {} --allow-gateway", self.address()),
            2 => format!("--ip {} --ip {}", self.address(), self.address()),
            _ => String::new(),
        };
        format!("{host} {owner} {wanted}")
    }

    fn port_create(&mut self) -> String {
        let number = self.number(9);
        let mac = self.maybe(|_| format!("--mac 02:00:00:00:00:0{number}"));
        format!("port create {} port-{number} {mac} {}", self.network(), self.port_words())
    }

    fn port_update(&mut self) -> String {
        let mac = self.maybe(|maker| format!("--mac 02:00:00:00:01:0{}", maker.number(9)));
        format!(
            "port update {} port-{} {mac} {} --description x",
            self.network(),
            self.number(9),
            self.port_words()
        )
    }
}

/// A server with a random state, and how many commands it took.
fn random(choices: Choices) -> (Server, u64) {
    let server = Server::dev();
    for line in [
        "network delete demo --force --yes",
        "project create team",
        "project create guest",
        "scope create inside --family v4 --shared",
        "pool create pool-0 10.0.0.0/16 --default-length 24 --shared",
        "pool create pool-1 10.1.0.0/16 --scope inside --default-length 24",
        "network create net-0 --shared",
        "network create net-1",
        "segment create net-0 11111111-1111-4111-8111-111111111111",
        "segment create net-1 22222222-2222-4222-8222-222222222222",
    ] {
        server.addrd(line).ok();
    }
    let mut maker = Maker(choices);
    let mut done = 0;
    for _ in 0..COMMANDS {
        let command = maker.command();
        let ran = server.addrd(&command);
        assert!(matches!(ran.code, 0 | 2 | 3 | 4), "{command}: {ran:?}");
        assert!(!ran.err.contains("unexpected argument"), "{command}: {ran:?}");
        done += u64::from(ran.code == 0);
    }
    (server, done)
}

/// Panics with the first lines that are not the same.
fn same(before: &str, after: &str) {
    for (number, (old, new)) in before.lines().zip(after.lines()).enumerate() {
        assert_eq!(old, new, "line {}", number + 1);
    }
    assert_eq!(before, after);
}

/// A whole file of a title and objects.
fn ended<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.collect();
    let objects = lines.len() - 1;
    format!("{}\n{{\"end\":{{\"objects\":{objects}}}}}\n", lines.join("\n"))
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The file without what is in one of its networks.
fn without_a_network(choices: &mut Choices, text: &str) -> String {
    let id = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let object = line.as_object()?.values().next()?.get("network_id")?.as_str()?.to_owned();
        Some(object)
    };
    let ids: Vec<String> = text.lines().filter_map(id).collect();
    let gone = choices.pick(&ids);
    let stays = |line: &&str| !line.contains("{\"end\"") && id(line).as_ref() != Some(gone);
    ended(text.lines().filter(stays))
}

#[test]
fn what_random_states_lack_of_a_file_is_made() {
    let mut choices = Choices::of_test("what_random_states_lack_of_a_file_is_made");
    let folder = tempfile::tempdir().unwrap();
    let (whole, part) = (folder.path().join("whole.jsonl"), folder.path().join("part.jsonl"));
    for _ in 0..STATES {
        let (server, _) = random(choices.fork());
        let text = server.addrd("export -q").ok();
        fs::write(&whole, &text).unwrap();
        fs::write(&part, without_a_network(&mut choices, &text)).unwrap();
        let other = Server::dev();
        other.addrd("network delete demo --force --yes").ok();
        // What the file doesn't name is no fault of its.
        for (file, server) in [(&part, &server), (&part, &other), (&whole, &other)] {
            server.addrd(&format!("import -q {}", file.display())).ok();
        }
        // Networks are listed in the order in which they were made.
        assert_eq!(sorted(&text), sorted(&other.addrd("export -q").ok()));
    }
}

#[test]
fn random_states_are_exported_imported_and_exported_to_the_byte() {
    let mut choices = Choices::of_test("random_states_are_exported_imported_and_exported");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl");
    for _ in 0..STATES {
        let (server, done) = random(choices.fork());
        assert!(done > COMMANDS / 8, "only {done} commands did something");
        let text = server.addrd("export -q").ok();
        fs::write(&file, &text).unwrap();
        let other = Server::dev();
        other.addrd("network delete demo --force --yes").ok();
        // It may have been interrupted before, behind any line.
        let count = text.lines().count() as u64;
        let cut = choices.below(1..count);
        fs::write(&file, ended(text.lines().take(cut as usize))).unwrap();
        other.addrd(&format!("import -q {}", file.display())).ok();
        fs::write(&file, &text).unwrap();
        other.addrd(&format!("import -q {}", file.display())).ok();
        same(&text, &other.addrd("export -q").ok());
        // And again: nothing is left to make, where it was imported and where it is from.
        for server in [&server, &other] {
            let again = server.addrd(&format!("import {}", file.display()));
            assert!(again.err.contains("checked: 0 objects to make"), "{again:?}");
            again.ok();
        }
    }
}

#[test]
fn what_chance_makes_rarely_comes_back_too() {
    let server = Server::dev();
    for line in [
        "network delete demo --force --yes",
        "project update default --name main --description ours",
        "pool create nodes 10.5.0.0/16 --default-length 24",
        // Single addresses of a pool.
        "allocate --pool nodes --length 32 --owner node-1",
        "allocate --pool nodes --length 32 --owner node-2",
        "network create blue",
        "subnet create blue 10.0.0.0/24",
        "subnet create blue 10.0.1.0/24",
        // A block, and a single address, by the key that a port's address had.
        "port create blue web-1 --ip 10.0.0.20 --ip 10.0.1.20",
        "port create blue web-2 --ip 10.0.0.21 --ip 10.0.1.21",
        "release --network blue --owner web-1 --slot 0 --yes",
        "release --network blue --owner web-2 --slot 1 --yes",
        "allocate blue --owner web-1 --length 29",
        "allocate blue --owner web-2 --slot 1 --instance 4 --host node-1",
    ] {
        server.addrd(line).ok();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.jsonl");
    let text = server.addrd("export -q").ok();
    fs::write(&file, &text).unwrap();
    let other = Server::dev();
    other.addrd("network delete demo --force --yes").ok();
    other.addrd(&format!("import -q {}", file.display())).ok();
    same(&text, &other.addrd("export -q").ok());
}
