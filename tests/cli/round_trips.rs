//! Export, import, export: random states, made by commands that know nothing of each other, come
//! back to the byte.

use crate::program::Server;
use crate::seed::Choices;
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
        let command = match self.number(24) {
            0 => self.pool_create(),
            1 | 2 => self.pool_update(),
            3 | 4 => format!(
                "allocate --pool {} --length {} --owner node-{}",
                self.pool(),
                20 + self.number(10),
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
            _ => match self.number(3) {
                0 => format!("release {} --yes", self.address()),
                1 => format!("port delete {} port-{} --yes", self.network(), self.number(9)),
                _ => format!("pool onboard {} --network {}", self.pool(), self.network()),
            },
        };
        format!("--project {} {command}", self.one(&PROJECTS))
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
