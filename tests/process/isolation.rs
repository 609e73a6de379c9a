//! Two projects hammer one server, each its own networks and one that both share: neither hears anything of the
//! other's, and what each is counted is its own.
//!
//! Known of each other by design: that an address of the shared network is taken, and the network's totals
//! (docs/decisions/0016-shared-networks.md); positions and numbers of jobs, which all projects count together.

use crate::support::recorded::{Asking, Heard, Relay, frame};
use crate::support::seed::Choices;
use crate::support::server::Site;
use crate::support::tenants::{ASKING, Mark, Tenant, ask, make, operator, subnet};
use crate::support::{run, say, scale, soon};
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::{
    Detail, History, HistorySubject, ProjectCreate, Quotas, Reply, Request, Watch,
};
use addrd_client::protocol::{NetworkId, OwnerId, ProjectId, Status};
use addrd_client::{Change, Client, Error};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(300);

const ANN: Mark = Mark(0xa1a1_cafe);
const BOB: Mark = Mark(0xb0b0_cafe);
const HOME: ProjectId = ProjectId::from_u128(0x40);
const SHARED: Uuid = Uuid::from_u128(0x51);
/// Owners of each side; every fourth has an id that the other side uses as well.
const OWNERS: u64 = 48;
/// Networks that a project may have.
const NETWORKS: u64 = 3;

/// What a side holds: on its own network, and on the shared one.
type Held = BTreeMap<(bool, OwnerId), IpAddr>;

/// One side: who it is, how it speaks, and all that it heard.
struct Side {
    tenant: Tenant,
    client: Client,
    /// Asks for what is the other's. An answer may repeat the ids that it asked with, so these aren't searched.
    prying: Client,
    heard: Heard,
    relay: Relay,
}

impl Side {
    async fn made(site: &Site, operator: &Client, name: &'static str, mark: Mark) -> Self {
        let (addresses, subnets, ports) = (Some(10_000), Some(100), Some(100));
        let networks = Some(NETWORKS);
        let quotas = Quotas { addresses, subnets, ports, networks, ..Quotas::default() };
        let tenant = Tenant::made(operator, name, mark, quotas, &[]).await;
        let heard = Heard::default();
        let relay = Relay::start(site.listen(), heard.clone()).await;
        let client = tenant.client(site, relay.address).await;
        let prying = tenant.client(site, site.listen()).await;
        Self { tenant, client, prying, heard, relay }
    }

    fn own(&self) -> Uuid {
        self.tenant.mark.id(0x22)
    }

    /// The client and the network of a place.
    fn at(&self, is_shared: bool) -> (Client, Uuid) {
        match is_shared {
            true => (self.client.on_networks_of(HOME), SHARED),
            false => (self.client.clone(), self.own()),
        }
    }

    /// Its objects.
    async fn settle(&self) {
        let (client, named) = (&self.client, |what: &str| self.tenant.text(what));
        make(client, self.own(), "network_create", json!({ "name": named("network") })).await;
        let texts = self.tenant.mark.looks();
        let address = String::from_utf8(texts[3].clone()).expect("text");
        let cidrs = ["10.7.0.0/22".to_owned(), format!("fd00:{address}::/64")];
        for (number, cidr) in (1..).zip(&cidrs) {
            let name = named(&format!("subnet{number}"));
            subnet(client, self.own(), self.tenant.mark.id(number), cidr, Some(name.as_str()))
                .await;
        }
        let pool = json!({ "name": named("pool"), "family": "v4", "prefixes": ["172.16.0.0/12"],
            "is_default": false, "shared": false });
        make(client, self.tenant.mark.id(0x88), "pool_create", pool).await;
    }

    /// An allocation that says whose it is wherever it can.
    fn allocate(&self, owner: OwnerId) -> Value {
        let named = |what: &str| self.tenant.text(what);
        json!({ "owner": owner, "slot": 0, "instance": "0", "family": "one", "strategy": "default",
            "flags": { "takeover": false, "allow_gateway": false, "allow_resting": false, "want_subnet": false },
            "owner_name": named("owner"), "label": named("label"), "host": named("host"),
            "manager": named("manager") })
    }

    /// One owner of this side, of those that a worker has to itself.
    fn owner(&self, worker: u64, choices: &mut Choices) -> OwnerId {
        let number = 0x1000 + worker * OWNERS + choices.below(0..OWNERS);
        if number.is_multiple_of(4) {
            OwnerId::from_u128(number.into())
        } else {
            OwnerId(self.tenant.mark.id(number))
        }
    }

    /// Works until it has done its rounds; what it holds then.
    async fn work(&self, other: &Tenant, worker: u64, rounds: u64, mut choices: Choices) -> Held {
        let mut held = Held::new();
        for round in 0..rounds {
            let is_shared = choices.one_in(2);
            let (client, network) = self.at(is_shared);
            let owner = self.owner(worker, &mut choices);
            let key = (is_shared, owner);
            if let Some(address) = held.remove(&key) {
                // It is still there, whatever the other side did to its owner of the same id.
                let again = make(&client, network, "allocate", self.allocate(owner)).await;
                let Reply::Allocated(again) = again else { panic!("{again:?}") };
                assert_eq!((again.first.address, again.first.repeated), (address, true), "{owner}");
                let target =
                    json!({ "target": { "key": { "owner": owner, "slot": 0 } }, "any": false });
                make(&client, network, "release", target).await;
            } else {
                let got = make(&client, network, "allocate", self.allocate(owner)).await;
                let Reply::Allocated(got) = got else { panic!("{got:?}") };
                assert!(!got.first.repeated, "{owner} was not held");
                held.insert(key, got.first.address);
            }
            match round % 12 {
                2 => self.port(&client, network, worker).await,
                4 => self.hold(&client, network, worker).await,
                6 => self.look(&client, network, owner).await,
                8 => self.host(&client, worker).await,
                10 => self.pry(other, &mut choices).await,
                _ => {}
            }
        }
        held
    }

    /// A port that comes and goes.
    async fn port(&self, client: &Client, network: Uuid, worker: u64) {
        let (port_id, named) =
            (self.tenant.mark.id(0x99 + worker), |what: &str| self.tenant.text(what));
        let body = json!({ "port_id": port_id, "allow_gateway": false, "host": named("host"),
            "description": named("port"), "device_owner": named("device") });
        make(client, network, "port_create", body).await;
        make(client, network, "port_get", json!({ "port_id": port_id })).await;
        make(client, network, "port_delete", json!({ "port_id": port_id, "expected": "0" })).await;
    }

    /// A hold that is given up, and a transaction on a network and a pool that is undone.
    async fn hold(&self, client: &Client, network: Uuid, worker: u64) {
        let owner = OwnerId(self.tenant.mark.id(0x77 + worker));
        let mut body = self.allocate(owner);
        body["hold_token"] = json!(self.tenant.mark.id(0x78));
        let Reply::Allocated(held) = make(client, network, "allocate", body).await else { return };
        let target = json!({ "target": { "key": { "owner": owner, "slot": 0 } },
            "revision": held.first.revision, "token": self.tenant.mark.id(0x78) });
        make(client, network, "hold_cancel", target).await;
        let mut prefix = self.allocate(owner);
        prefix["length"] = json!(24);
        let items = json!({ "items": [
            { "network": self.own(), "operation": { "allocate": self.allocate(owner) } },
            { "network": self.tenant.mark.id(0x88), "pool": true, "operation": { "allocate": prefix } },
        ] });
        make(&self.client, Uuid::nil(), "transaction", items).await;
        let target = json!({ "target": { "key": { "owner": owner, "slot": 0 } }, "any": false });
        make(&self.client, self.own(), "release", target.clone()).await;
        make(&self.client.for_pools(), self.tenant.mark.id(0x88), "release", target).await;
    }

    /// All that can be listed and asked; history of an owner that both sides may have, and of an address.
    async fn look(&self, client: &Client, network: Uuid, owner: OwnerId) {
        for list in ["network_list", "pool_list", "scope_list", "job_list"] {
            make(&self.client, Uuid::nil(), list, json!({ "limit": 0 })).await;
        }
        for list in ["subnet_list", "allocation_list", "port_list"] {
            make(client, network, list, json!({ "limit": 0 })).await;
        }
        for ask in ["usage", "network_get", "suspect_list"] {
            make(client, network, ask, json!({})).await;
        }
        make(&self.client, Uuid::nil(), "manager_list", json!({ "limit": 0 })).await;
        make(&self.client, Uuid::nil(), "project_get", json!({})).await;
        make(client, network, "lookup", json!({ "owner": owner })).await;
        make(client, network, "lookup", json!({ "address": "10.7.0.5" })).await;
        for subject in [
            HistorySubject::Owner(owner),
            HistorySubject::Address("10.7.0.5".parse().expect("an address")),
        ] {
            let question = History {
                subject,
                slot: None,
                oldest_first: false,
                from_ms: 0,
                to_ms: 0,
                limit: 50,
                cursor: None,
            };
            let told = client.history(NetworkId(network), question).await.expect("history");
            let others = told.items.iter().filter(|entry| entry.project_id != self.tenant.project);
            assert_eq!(others.count(), 0, "{told:?}");
        }
    }

    /// A host with a lease and a report, as the other side has it under the same names.
    async fn host(&self, client: &Client, worker: u64) {
        let host = format!("n{worker}");
        let body = json!({ "begin": "7", "host": host, "lease_ms": 600_000, "life": "0", "manager": "cni",
            "on_end": "report" });
        make(&self.client, Uuid::nil(), "renew_host", body).await;
        let report = json!({ "call": "1", "dry_run": true, "grace_ms": 60_000, "host": host, "live": [],
            "manager": "cni", "part": 0, "parts": 1 });
        make(client, Uuid::nil(), "reconcile", report).await;
        make(&self.client, Uuid::nil(), "host_lease_list", json!({ "manager": "cni", "limit": 0 }))
            .await;
    }

    /// Asks for what is the other's, in its project and in the own one.
    async fn pry(&self, other: &Tenant, choices: &mut Choices) {
        let network = other.mark.id(0x22);
        let owner = other.mark.id(0x1000 + choices.below(0..OWNERS));
        let theirs = self.prying.in_project(other.project);
        let denied = [
            ("network_list", Uuid::nil(), json!({ "limit": 0 })),
            ("usage", network, json!({})),
            ("allocation_list", network, json!({ "limit": 0 })),
            (
                "release",
                network,
                json!({ "target": { "key": { "owner": owner, "slot": 0 } }, "any": false }),
            ),
        ];
        for (operation, network, body) in denied {
            refused(ask(&theirs, network, operation, body).await, Status::NOT_ALLOWED, operation);
        }
        let lent = self.prying.on_networks_of(other.project);
        for client in [&self.prying, &lent] {
            refused(ask(client, network, "usage", json!({})).await, Status::NOT_FOUND, "usage");
        }
        let shared = self.prying.on_networks_of(HOME);
        let key = json!({ "target": { "key": { "owner": owner, "slot": 0 } } });
        refused(
            ask(&shared, SHARED, "allocation_get", key).await,
            Status::NOT_FOUND,
            "allocation_get",
        );
    }
}

fn refused(told: Result<Reply, Error>, status: Status, what: &str) {
    assert!(matches!(&told, Err(error) if error.is(status)), "{what}: {told:?}");
}

/// Follows all changes of the own project, and those of the shared network, until it is told to end.
async fn follow(client: Client, network: NetworkId) {
    let mut changes = client.watch(network, Watch::default()).await.expect("a watch");
    loop {
        match changes.next().await {
            Ok(Change::Event(_) | Change::UpToDate) => {}
            Err(error) if error.is(Status::RELIST) => {
                changes = client.watch(network, Watch::default()).await.expect("a watch");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Both at once: what each holds at the end.
async fn hammer(sides: &[Side; 2], rounds: u64) -> [Held; 2] {
    let mut choices = Choices::of_test("isolation");
    let mut follows = JoinSet::new();
    for side in sides {
        follows.spawn(follow(side.client.clone(), NetworkId::NIL));
        follows.spawn(follow(side.client.on_networks_of(HOME), NetworkId(SHARED)));
    }
    let (ann, bob) = tokio::join!(
        all_of(&sides[0], &sides[1].tenant, rounds, choices.fork()),
        all_of(&sides[1], &sides[0].tenant, rounds, choices.fork()),
    );
    assert!(follows.try_join_next().is_none(), "a watch ended");
    follows.shutdown().await;
    [ann, bob]
}

/// All workers of a side at once.
async fn all_of(own: &Side, other: &Tenant, rounds: u64, mut choices: Choices) -> Held {
    let [one, two, three] = [0, 1, 2].map(|worker| own.work(other, worker, rounds, choices.fork()));
    let (one, two, three) = tokio::join!(one, two, three);
    [one, two, three].into_iter().flatten().collect()
}

/// What is counted of a network.
async fn counted(client: &Client, network: Uuid) -> u128 {
    let usage = client.usage(NetworkId(network), None).await.expect("counts");
    usage.subnets.iter().map(|subnet| subnet.allocated + subnet.held + subnet.used_outside).sum()
}

/// What a side is told at the end is what it did, and of the shared network the total beside.
async fn check_counts(side: &Side, own: &Held, other: &Held) {
    for is_shared in [false, true] {
        let (client, network) = side.at(is_shared);
        let expected: BTreeMap<OwnerId, IpAddr> = own
            .iter()
            .filter(|((shared, _), _)| *shared == is_shared)
            .map(|((_, owner), address)| (*owner, *address))
            .collect();
        let mut pages = client.allocations(NetworkId(network), Default::default());
        let listed = pages.collect().await.expect("a list");
        let listed: BTreeMap<_, _> = listed.iter().map(|one| (one.owner, one.address)).collect();
        assert_eq!(listed, expected, "{}, shared: {is_shared}", side.tenant.name);
        let others = other.keys().filter(|(shared, _)| *shared && is_shared).count();
        let all = (expected.len() + others) as u128;
        assert_eq!(counted(&client, network).await, all, "{}", side.tenant.name);
    }
    let project = side.client.project_get(None).await.expect("the own project");
    assert_eq!(u64::from(project.networks), 1);
    let used = (project.used.addresses, project.used.subnets, project.used.ports);
    assert_eq!(used, (Some(own.len() as u64), Some(2), Some(0)), "{}", side.tenant.name);
    // A quota says how much is used: by this project.
    for number in 1..NETWORKS {
        make(&side.client, side.tenant.mark.id(0x4000 + number), "network_create", json!({})).await;
    }
    let refused = ask(&side.client, side.tenant.mark.id(0x5000), "network_create", json!({})).await;
    let Err(Error::Refused(failure)) = refused else { panic!("{refused:?}") };
    let [Detail::Quota { limit, used, asked, .. }] = failure.details[..] else {
        panic!("{failure:?}")
    };
    assert_eq!(
        (failure.status, limit, used, asked),
        (Status::QUOTA, NETWORKS.into(), NETWORKS.into(), 1)
    );
}

/// Nothing that tells projects apart is told to whoever asks without a token.
async fn check_metrics(site: &Site, sides: &[Side; 2]) {
    for path in ["/metrics", "/livez", "/readyz", "/healthz", "/"] {
        let body = site.get(path).await.expect("an answer").body;
        for side in sides {
            let marks = side.tenant.mark.looks().split_off(1);
            let texts = [side.tenant.text("").to_string()];
            let marks = marks.into_iter().map(|mark| String::from_utf8(mark).expect("text"));
            for mark in marks.chain(texts) {
                assert!(!body.contains(&mark), "{path} tells of {mark}");
            }
        }
        for label in ["project=", "network=", "subnet=", "pool=", "principal=", "manager=", "host="]
        {
            assert!(
                !body.contains(&format!("{{{label}")) && !body.contains(&format!(",{label}")),
                "{path}: {label}"
            );
        }
    }
}

#[test]
fn projects_hear_nothing_of_each_other_whatever_both_do() {
    let rounds = scale("ADDRD_ISOLATION", 120);
    run(LIMIT + Duration::from_secs(rounds / 2), async {
        let site = Site::new().with_config(ASKING);
        let server = site.start().await;
        let operator = operator(&site).await;
        let home = operator.in_project(HOME);
        home.project_create(ProjectCreate::default()).await.expect("a project");
        make(&home, SHARED, "network_create", json!({ "shared": true })).await;
        subnet(&home, SHARED, Uuid::from_u128(0x5b), "10.7.0.0/22", None).await;
        let sides = [
            Side::made(&site, &operator, "ann", ANN).await,
            Side::made(&site, &operator, "bob", BOB).await,
        ];
        for side in &sides {
            side.settle().await;
        }
        let held = hammer(&sides, rounds).await;
        check_counts(&sides[0], &held[0], &held[1]).await;
        check_counts(&sides[1], &held[1], &held[0]).await;
        check_metrics(&site, &sides).await;
        for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
            strangers_numbers(side, other).await;
            watch_all(side).await;
            let found = other.tenant.found_in(&side.heard);
            assert!(found.is_empty(), "{} heard:\n{}", side.tenant.name, found.join("\n"));
            // The own marks are heard, so what is looked for would be found; but no secret is ever told.
            assert!(side.tenant.found_in(&side.heard).len() > 3);
            assert!(side.heard.of(&side.tenant.token.secret()[..]).is_empty());
        }
        let bytes = sides.iter().map(|side| side.heard.len()).sum::<usize>();
        say(&format!("{rounds} rounds of three workers a side, {bytes} bytes heard"));
        server.stop().await;
        site.check_is_clean();
    });
}

/// All that has changed since the start is told again, and again only what is the own.
async fn watch_all(side: &Side) {
    let server = side.client.server().expect("it was connected");
    let from = json!({ "incarnation": server.incarnation, "position": server.position });
    let from = serde_json::from_value(from).expect("a position");
    for (is_shared, network) in [(false, NetworkId::NIL), (true, NetworkId(SHARED))] {
        let watch = Watch { from: Some(from), singles: true, ..Watch::default() };
        let (client, _) = side.at(is_shared);
        let mut changes = match client.watch(network, watch).await {
            Ok(changes) => changes,
            Err(error) if error.is(Status::RELIST) => continue,
            Err(error) => panic!("{error}"),
        };
        let mut told = 0;
        while let Change::Event(_) = soon("a change", changes.next()).await.expect("a change") {
            told += 1;
        }
        assert!(told > 0, "something had changed");
    }
}

/// A cursor of the other's list, and the number of its job, give nothing of it.
async fn strangers_numbers(side: &Side, other: &Side) {
    let gone = other.tenant.mark.id(0x4001);
    make(&other.client, gone, "network_delete", json!({ "force": true, "expected": "0" })).await;
    let jobs = other.client.jobs().take(10).await.expect("a list");
    for job in jobs {
        let asked = side.prying.job_get(job.job_id).await;
        assert!(asked.is_err_and(|error| error.is(Status::NOT_FOUND)), "{job:?}");
    }
    let mut own = Asking::open(side.relay.address, &side.tenant.token, &side.heard).await;
    let mut theirs = Asking::open(other.relay.address, &other.tenant.token, &other.heard).await;
    for (operation, home) in
        [("allocation_list", None), ("allocation_list", Some(HOME)), ("network_list", None)]
    {
        let request = |cursor: Value| -> Request {
            let mut body = json!({ "limit": 1 });
            if !cursor.is_null() {
                body["cursor"] = cursor;
            }
            serde_json::from_value(json!({ operation: body })).expect("a list")
        };
        let at = |side: &Side| match (operation, home) {
            ("network_list", _) => NetworkId::NIL,
            (_, Some(_)) => NetworkId(SHARED),
            _ => NetworkId(side.own()),
        };
        let first = frame(other.tenant.project, at(other), false, home, &request(Value::Null));
        let told = soon("a page", theirs.ask(&first)).await;
        let cursor = cursor_of(&told.body);
        let next = frame(side.tenant.project, at(side), false, home, &request(cursor));
        let told = soon("a page", own.ask(&next)).await;
        assert!(
            [Status::OK, Status::OUT_OF_RANGE, Status::STALE].contains(&told.status),
            "{told:?}"
        );
    }
}

fn cursor_of(body: &ReplyOrFailure) -> Value {
    let ReplyOrFailure::Reply(reply) = body else { panic!("{body:?}") };
    let value = serde_json::to_value(reply).expect("JSON");
    let page = value.as_object().and_then(|all| all.values().next()).expect("a page");
    assert!(page["next"].is_string(), "{page}");
    page["next"].clone()
}
