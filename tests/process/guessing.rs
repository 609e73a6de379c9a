//! Ids of another project are guessed, each of them, in every operation: what there is and one may not see is
//! answered as what isn't there, to the byte.
//!
//! Two projects of one principal are twins: alike, and asked alike. One asks with the ids that somebody else's
//! objects have, the other with ids that nobody has. So each answer to the one must be that to the other, whatever the
//! operation and whatever was asked before. The requests are those of the vectors of the protocol, so that a new
//! operation, or a new field with an id, is tried as well.

use crate::support::recorded::{Asking, Heard, Told, frame};
use crate::support::server::Site;
use crate::support::tenants::{ASKING, Mark, PROJECT, Tenant, canary, make, operator, subnet};
use crate::support::{run, say};
use addrd_client::Client;
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::{ProjectCreate, Quotas, Request};
use addrd_client::protocol::{NetworkId, Opcode, ProjectId, Status};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(300);

const BOB: Mark = Mark(0xb0b0_cafe);
/// Nobody has an id of it.
const GHOST: Mark = Mark(0x6057_cafe);
/// The twins.
const ONE: Mark = Mark(0xa1a1_cafe);
const OTHER: Mark = Mark(0xa2a2_cafe);
/// Whose networks are everybody's.
const HOME: ProjectId = ProjectId::from_u128(0x40);
/// The twins' own network, pool and scope, alike in each.
const OWN: Uuid = Uuid::from_u128(0x0e);
/// Networks that all share, alike; each twin is on its own.
const SHARED: [NetworkId; 2] = [NetworkId::from_u128(0x51), NetworkId::from_u128(0x52)];

/// The byte of which each id in the vectors is made; somebody has an object of each kind under each of them.
const VECTOR_IDS: [u8; 12] =
    [0x11, 0x22, 0x33, 0x36, 0x44, 0x66, 0x77, 0x88, 0x89, 0x99, 0xaa, 0xbb];

fn vector_id(byte: u8) -> [u8; 16] {
    let mut id = [byte; 16];
    (id[6], id[8]) = (0x40 | byte & 15, 0x80 | byte & 15);
    id
}

/// What stands for an id of the vectors; projects are named by two of them.
fn id(mark: Mark, byte: u8) -> Uuid {
    mark.id(if byte == 0x11 { PROJECT } else { byte.into() })
}

/// Somebody has one of each kind under these; two names of the project are one.
fn objects() -> impl Iterator<Item = u8> {
    VECTOR_IDS.into_iter().filter(|byte| *byte != 0x11)
}

/// Subnets of which the vectors ask.
async fn both_families(client: &Client, network: Uuid) {
    for (number, cidr) in (0x5b..).zip(["10.0.0.0/24", "fd00:64::/64"]) {
        subnet(client, network, Uuid::from_u128(number), cidr, None).await;
    }
}

/// An allocation that says whose it is wherever it can.
fn allocate(owner: Uuid, slot: u16) -> Value {
    json!({ "owner": owner, "slot": slot, "instance": "0", "family": "one", "strategy": "default",
        "flags": { "takeover": false, "allow_gateway": false, "allow_resting": false, "want_subnet": false },
        "owner_name": canary("bob", "owner"), "label": canary("bob", "label"), "host": "n1", "manager": "cni" })
}

/// An object of each kind under each id, in a project of somebody and on what he shares; a job that is done.
async fn settle(bob: &Client) -> Value {
    for byte in objects() {
        let (own, named) = (id(BOB, byte), |what: &str| canary("bob", &format!("{what}{byte:x}")));
        make(bob, own, "network_create", json!({ "name": named("network") })).await;
        make(
            bob,
            own,
            "scope_create",
            json!({ "name": named("scope"), "family": "v4", "shared": false }),
        )
        .await;
        let cidr = format!("172.{byte}.0.0/16");
        let body = json!({ "name": named("pool"), "family": "v4", "prefixes": [cidr],
            "is_default": false, "shared": false });
        make(bob, own, "pool_create", body).await;
    }
    let network = id(BOB, 0x22);
    let lent = bob.on_networks_of(HOME);
    let places = [(bob, network), (&lent, SHARED[0].0), (&lent, SHARED[1].0)];
    for byte in objects() {
        let own = id(BOB, byte);
        let body = json!({ "subnet_id": own, "kind": "broadcast", "cidr": format!("10.0.{byte}.0/24"),
            "strategy": "lowest", "enable_dhcp": false, "name": canary("bob", &format!("subnet{byte:x}")) });
        make(bob, network, "subnet_create", body).await;
        let described = json!({ "segment_id": own, "description": canary("bob", "segment") });
        make(bob, network, "segment_create", described).await;
        for (client, network) in places {
            make(client, network, "allocate", allocate(own, 0)).await;
            let body = json!({ "port_id": own, "allow_gateway": false, "host": canary("bob", "host"),
                "description": canary("bob", "port"), "device_owner": canary("bob", "device") });
            make(client, network, "port_create", body).await;
        }
        let pooled = bob.for_pools();
        let mut body = allocate(own, 0);
        body["length"] = json!(24);
        make(&pooled, id(BOB, 0x88), "allocate", body).await;
    }
    for (client, network) in places {
        let mut held = allocate(id(BOB, 0x44), 1);
        held["hold_token"] = json!(id(BOB, 0x77));
        held["hold_ms"] = json!(600_000);
        make(client, network, "allocate", held).await;
    }
    let host = json!({ "begin": "7", "host": "n1", "lease_ms": 600_000, "life": "0", "manager": "cni",
        "on_end": "report" });
    make(bob, Uuid::nil(), "renew_host", host).await;
    let pinned = json!({ "address": "10.0.34.200", "owner": id(BOB, 0x44), "slot": 0,
        "owner_name": canary("bob", "pin") });
    make(bob, network, "pin_create", pinned).await;
    let hosts =
        json!({ "segment_id": id(BOB, 0x88), "add": [canary("bob", "rack")], "remove": [] });
    make(bob, network, "segment_hosts", hosts).await;
    // Something that is gone, and the job that took it away.
    let gone = BOB.id(0xdead);
    make(bob, gone, "network_create", json!({ "name": canary("bob", "gone") })).await;
    subnet(bob, gone, BOB.id(1), "10.0.0.0/24", Some(&canary("bob", "s"))).await;
    make(bob, gone, "allocate", allocate(id(BOB, 0x44), 0)).await;
    make(bob, gone, "network_delete", json!({ "force": true, "expected": "0" })).await;
    let jobs = bob.jobs().take(10).await.expect("a list");
    serde_json::to_value(jobs[0].job_id).expect("a number")
}

/// All that somebody can list, without what moves by itself.
async fn listed(asking: &mut Asking, project: ProjectId) -> Vec<String> {
    let mut all = Vec::new();
    let network = NetworkId(id(BOB, 0x22));
    let lists = [
        ("scope_list", NetworkId::NIL, false),
        ("pool_list", NetworkId::NIL, false),
        ("job_list", NetworkId::NIL, false),
        ("host_lease_list", NetworkId::NIL, false),
        ("subnet_list", network, false),
        ("allocation_list", network, false),
        ("port_list", network, false),
        ("segment_list", network, false),
        ("pin_list", network, false),
        ("host_list", network, false),
        ("allocation_list", NetworkId(id(BOB, 0x88)), true),
        ("allocation_list", SHARED[0], false),
        ("allocation_list", SHARED[1], false),
        ("port_list", SHARED[0], false),
        ("port_list", SHARED[1], false),
        // Not those that he shares: their totals are of all guests.
        ("network_get", network, false),
    ];
    for (operation, network, pool) in lists {
        let body = match operation {
            "host_lease_list" => json!({ "manager": "cni", "limit": 0 }),
            "network_get" => json!({}),
            _ => json!({ "limit": 0 }),
        };
        let request: Request = serde_json::from_value(json!({ operation: body })).expect("a list");
        let home = Some(HOME).filter(|_| SHARED.contains(&network));
        let told = asking.ask(&frame(project, network, pool, home, &request)).await;
        assert!(told.is_done(), "{operation}: {told:?}");
        all.push(still(&format!("{:?}", told.body)));
    }
    all
}

/// A text without the numbers that follow these words.
fn still(text: &str) -> String {
    let mut text = text.to_owned();
    for word in ["position: Seq(", "time_left_ms: "] {
        let parts: Vec<&str> = text.split(word).collect();
        let rest =
            parts[1..].iter().map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
        text = [parts[0]].into_iter().chain(rest).collect::<Vec<_>>().join(word);
    }
    text
}

/// Where a request is made, and about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In the own project and network: only ids within are another's.
    OwnNetwork,
    /// In the own project, on the other's network, pool or scope.
    OtherNetwork,
    /// In the own project, on the other's network as if he shared it.
    AsGuest,
    /// On a network that all share, about what the other has there.
    Shared,
    /// In the other's project.
    OtherProject,
}

/// A request of the vectors, asked by a twin with the ids of somebody.
fn asked(vector: &[u8], way: Way, twin: usize) -> Vec<u8> {
    let (own, mark) = ([(ONE, BOB), (OTHER, GHOST)])[twin];
    let mut frame = vector.to_vec();
    for byte in VECTOR_IDS {
        let from = vector_id(byte);
        for at in 24..frame.len().saturating_sub(15) {
            if frame[at..at + 16] == from {
                frame[at..at + 16].copy_from_slice(id(mark, byte).as_bytes());
            }
        }
    }
    let other = ProjectId(mark.id(PROJECT));
    let project = if way == Way::OtherProject { other } else { ProjectId(own.id(PROJECT)) };
    frame[24..40].copy_from_slice(project.as_bytes());
    let has_network = frame[40..56] != [0; 16];
    let is_pool = frame[5] & 2 != 0;
    let named = match way {
        Way::OwnNetwork => Some(OWN),
        Way::Shared if !is_pool => Some(SHARED[twin].0),
        _ => None,
    };
    if let Some(named) = named.filter(|_| has_network) {
        frame[40..56].copy_from_slice(named.as_bytes());
    }
    let home = match way {
        Way::AsGuest => Some(other),
        Way::Shared => Some(HOME),
        _ => None,
    };
    if let Some(home) = home.filter(|_| has_network && !is_pool) {
        if frame[5] & 4 == 0 {
            frame[5] |= 4;
            frame.splice(64..64, [0; 16]);
            let length = u32::try_from(frame.len()).expect("a frame is short");
            frame[..4].copy_from_slice(&length.to_be_bytes());
        }
        frame[64..80].copy_from_slice(home.as_bytes());
    }
    frame
}

/// What a twin was told, in the words that the other would be told: ids put in the place of each other, and
/// revisions, which are of the own objects' times, left out.
fn told_alike(told: &Told) -> String {
    let ReplyOrFailure::Failure(failure) = &told.body else { return told.status.to_string() };
    let mut text = still(&format!("{} bytes, {failure:?}", told.frame.len()));
    for (one, other) in [(BOB, GHOST), (ONE, OTHER)] {
        for (from, to) in one.looks().iter().zip(&other.looks()) {
            let [from, to] = [from, to].map(|look| String::from_utf8_lossy(look));
            text = text.replace(&*from, &to);
        }
    }
    text = text.replace(&SHARED[0].to_string(), &SHARED[1].to_string());
    // All projects count positions together, so they move on between two questions.
    let digits_shown = if told.status == Status::RELIST { 0 } else { 13 };
    let mut shown = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        shown.push_str(if digits.len() > digits_shown { "#" } else { &digits });
        digits.clear();
        shown.push(character);
    }
    shown
}

/// Name and bytes of each request that can be made once HELLO was said.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../protocol/vectors/requests.json")).expect("JSON");
    let bytes = |text: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len()).step_by(2).map(byte).collect()
    };
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let all = vectors.iter().map(|vector| (text(&vector["name"]), bytes(&text(&vector["hex"]))));
    let is_left_out = |name: &str| {
        // There is one shared default pool for all, and everybody may know.
        name.starts_with("hello") || name == "pool_create_full"
    };
    all.filter(|(name, _)| !is_left_out(name)).collect()
}

fn opcode_of(frame: &[u8]) -> Opcode {
    Opcode(u16::from_be_bytes([frame[6], frame[7]]))
}

/// Whether it makes an object under the id in its header: from then on that is the own one.
fn makes_what_it_names(frame: &[u8]) -> bool {
    let makers = [Opcode::NETWORK_CREATE, Opcode::SCOPE_CREATE, Opcode::POOL_CREATE];
    makers.contains(&opcode_of(frame))
}

/// Somebody who works beside, so that what he does now would show as well.
async fn work(client: Client) {
    let network = id(BOB, 0x22);
    for number in 1_000.. {
        let owner = BOB.id(number);
        make(&client, network, "allocate", allocate(owner, 0)).await;
        let body = json!({ "owner": owner, "slot": 0 });
        let body = json!({ "target": { "key": body }, "any": false });
        make(&client, network, "release", body).await;
    }
}

#[test]
fn guessed_ids_are_answered_as_those_that_nobody_has() {
    run(LIMIT, async {
        let site = Site::new().with_config(ASKING);
        let server = site.start().await;
        let operator = operator(&site).await;
        let home = operator.in_project(HOME);
        home.project_create(ProjectCreate::default()).await.expect("a project");
        for network in SHARED {
            make(&home, network.0, "network_create", json!({ "shared": true })).await;
            both_families(&home, network.0).await;
        }
        let twin = ProjectId(OTHER.id(PROJECT));
        operator
            .in_project(twin)
            .project_create(ProjectCreate::default())
            .await
            .expect("a project");
        let bob = Tenant::made(&operator, "bob", BOB, Quotas::default(), &[]).await;
        let ann = Tenant::made(&operator, "ann", ONE, Quotas::default(), &[twin]).await;

        let his = bob.client(&site, site.listen()).await;
        let job = settle(&his).await;
        let hers = ann.client(&site, site.listen()).await;
        for client in [&hers, &hers.in_project(twin)] {
            make(client, OWN, "network_create", json!({})).await;
            both_families(client, OWN).await;
            let body = json!({ "family": "v4", "prefixes": ["10.0.0.0/16"], "is_default": false, "shared": false });
            make(client, OWN, "pool_create", body).await;
            make(client, OWN, "scope_create", json!({ "family": "v4", "shared": false })).await;
        }
        let (heard, own) = (Heard::default(), Heard::default());
        let mut asking = Asking::open(site.listen(), &ann.token, &heard).await;
        let mut listing = Asking::open(site.listen(), &bob.token, &own).await;
        let before = listed(&mut listing, bob.project).await;
        let mut beside = JoinSet::new();
        beside.spawn(work(his.clone()));

        let mut asks = 0;
        let ways =
            [Way::OtherProject, Way::OwnNetwork, Way::AsGuest, Way::Shared, Way::OtherNetwork];
        for way in ways {
            // What makes an object comes last, so that all the others are asked about what isn't there.
            let (makers, others): (Vec<_>, Vec<_>) =
                vectors().into_iter().partition(|(_, frame)| makes_what_it_names(frame));
            for (name, vector) in others.iter().chain(&makers).chain(&others) {
                let one = asking.ask(&asked(vector, way, 0)).await;
                let other = asking.ask(&asked(vector, way, 1)).await;
                assert_eq!(told_alike(&one), told_alike(&other), "{way:?}: {name}");
                let is_free = [Opcode::PING, Opcode::UNWATCH].contains(&opcode_of(vector));
                if way == Way::OtherProject && !is_free {
                    assert_eq!(one.status, Status::NOT_ALLOWED, "{name}: {one:?}");
                }
                asks += 2;
            }
        }
        // Ids are repeated in answers, which are those that nobody's ids get; texts have been named by nobody yet.
        let found = heard.of(canary("bob", "").as_bytes());
        assert!(found.is_empty(), "{} times:\n{}", found.len(), found.join("\n"));
        asks += names_and_numbers(&mut asking, ann.project, &job).await;
        assert!(beside.try_join_next().is_none(), "who worked beside was disturbed");
        beside.shutdown().await;
        release_all(&his).await;
        say(&format!("{asks} requests, {} bytes of answers", heard.len()));
        let after = listed(&mut listing, bob.project).await;
        for (before, after) in before.iter().zip(&after) {
            // Item by item, so that a difference can be read.
            let items = |text: &str| text.split("}, ").map(str::to_owned).collect::<Vec<_>>();
            let (before, after) = (items(before), items(after));
            let gone: Vec<_> = before.iter().filter(|item| !after.contains(item)).collect();
            let new: Vec<_> = after.iter().filter(|item| !before.contains(item)).collect();
            assert!(gone.is_empty() && new.is_empty(), "touched: {gone:#?}\nis now {new:#?}");
        }
        // What is looked for is what he himself is told.
        assert!(!own.of(canary("bob", "").as_bytes()).is_empty());
        server.stop().await;
    });
}

/// What the work beside left behind when it was ended.
async fn release_all(client: &Client) {
    let network = id(BOB, 0x22);
    let held = client.allocations(NetworkId(network), Default::default());
    for one in held.take(1_000).await.expect("a list") {
        if one.owner.0.as_u64_pair().1 >= 1_000 {
            let target =
                json!({ "target": { "key": { "owner": one.owner, "slot": 0 } }, "any": false });
            make(client, network, "release", target).await;
        }
    }
}

/// What is found by a name, or by a number that all projects count together.
async fn names_and_numbers(asking: &mut Asking, project: ProjectId, job: &Value) -> u64 {
    let asks = |who: &str, job: &Value| {
        let name = |what: &str| json!({ "name": canary(who, what) });
        [
            (Uuid::nil(), "network_find", name("network22")),
            (Uuid::nil(), "scope_get", name("scope22")),
            (Uuid::nil(), "pool_get", name("pool22")),
            (OWN, "subnet_get", json!({ "subnet": name("subnet22") })),
            (Uuid::nil(), "project_get", name("team")),
            (
                Uuid::nil(),
                "principal_get",
                json!({ "principal_id": Uuid::nil(), "name": canary(who, "who") }),
            ),
            (Uuid::nil(), "job_get", json!({ "job_id": job })),
            (
                Uuid::nil(),
                "lookup",
                json!({ "owner": (if who == "bob" { BOB } else { GHOST }).id(0x44) }),
            ),
        ]
    };
    let mut count = 0;
    let number = job.as_str().expect("a number").to_owned();
    let ghost: u64 = number.parse::<u64>().expect("a number") + 77_777;
    let ghosts = asks("gho", &json!(ghost.to_string()));
    for ((network, operation, one), (_, _, other)) in asks("bob", job).into_iter().zip(ghosts) {
        let mut told = Vec::new();
        for body in [one, other] {
            let request: Request =
                serde_json::from_value(json!({ operation: body })).expect("a request");
            let answer =
                asking.ask(&frame(project, NetworkId(network), false, None, &request)).await;
            told.push(told_alike(&answer).replace("gho-", "bob-"));
            let last = told.last_mut().expect("it was pushed");
            *last = last.replace(&ghost.to_string(), &number);
            count += 1;
        }
        assert_eq!(told[0], told[1], "{operation}");
    }
    count
}
