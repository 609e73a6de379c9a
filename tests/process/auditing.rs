//! The audit log of the real binary: it has every change once, with who asked for it, through kill -9 again and again;
//! what was denied or tried in vain stands there, and nothing that a client wrote.

use crate::support::network::{create, subnet, text};
use crate::support::server::{Site, addrd};
use crate::support::tenants::operator;
use crate::support::{eventually, run, scale, soon};
use addrd_client::protocol::message::{
    Fences, Grant, PrincipalCreate, ProjectCreate, Release, Strategy, Target, TokenCreate, Verb,
    Verbs,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, PrincipalId, ProjectId, Slot, Status, Token, TokenHash,
};
use addrd_client::{Client, Settings, TokenSource, plain_allocate};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(300);
const NETWORK: NetworkId = NetworkId::from_u128(0x72);
const CLIENTS: u128 = 4;
/// Small files, so that several are written; a small journal, so that the fold waits for them.
const AUDITED: &str =
    "journal_records_max = 262144\nauthentication = true\naudit_bytes = \"64MiB\"\n";
/// A client writes it wherever it may write something.
const CANARY: &str = "canary-5ef1";

/// A principal with these verbs in the default project, and a token of its.
async fn principal(site: &Site, number: u128, verbs: &[Verb]) -> Token {
    let operator = operator(site).await;
    let verbs = verbs.iter().fold(Verbs::NONE, |all, verb| all.with(*verb));
    let grant = Grant { project_id: Some(ProjectId::DEFAULT), verbs, manager: None };
    let principal_id = PrincipalId::from_u128(number);
    let create = PrincipalCreate {
        principal_id,
        name: Some(text(&format!("{CANARY}-{number}"))),
        grants: vec![grant],
        ..PrincipalCreate::default()
    };
    operator.principal_create(create).await.expect("a principal");
    let mut command = addrd();
    let place = format!("unix:{}", site.data().join("addrd.sock").display());
    command.args(["--server", &place, "token", "create", &principal_id.to_string(), "-q"]);
    let made = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
    let made = made.expect("the binary starts");
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).expect("text").trim().parse().expect("a token alone")
}

async fn client(site: &Site, token: &Token) -> Client {
    let token = Some(TokenSource::Fixed(token.clone()));
    let settings = Settings { token, ..site.settings() };
    soon("a client", Client::connect(settings)).await.expect("it is let in")
}

fn folder(site: &Site) -> PathBuf {
    site.data().join("audit")
}

/// Files in the order in which they were written.
fn files(folder: &Path) -> Vec<PathBuf> {
    let names =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a name").path());
    let mut names: Vec<PathBuf> = names.collect();
    // "audit-0000000001.log" stands in front of "audit.log".
    names.sort();
    names
}

fn lines(folder: &Path) -> Vec<Value> {
    let mut all = Vec::new();
    for file in files(folder) {
        let text = std::fs::read_to_string(&file).expect("text");
        assert!(text.is_empty() || text.ends_with('\n'), "half a line");
        assert!(!text.contains(CANARY), "what a client wrote is in {}", file.display());
        all.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")));
    }
    all
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[derive(Debug, Default)]
struct Facts {
    allocated: Vec<(OwnerId, String)>,
    released: Vec<OwnerId>,
}

/// Allocates and releases until the server is gone.
async fn work(client: Client, facts: Arc<Mutex<Facts>>, first: u128) {
    for count in 0.. {
        let owner = OwnerId::from_u128(first + count);
        let mut allocate = plain_allocate(owner);
        allocate.extras.get_or_insert_default().label = Some(text(CANARY));
        let Ok(got) = client.allocate(NETWORK, allocate).await else { return };
        facts.lock().unwrap().allocated.push((owner, got.first.address.to_string()));
        if count % 4 == 0 {
            continue;
        }
        let target = Target::Key { owner, slot: Slot(0) };
        let release = Release { target, fences: Fences::default(), any: false };
        let Ok(_) = client.release(NETWORK, release).await else { return };
        facts.lock().unwrap().released.push(owner);
    }
}

#[test]
fn the_audit_log_has_every_change_once_through_kill_9() {
    let rounds = u128::from(scale("ADDRD_ROUNDS", 6));
    run(LIMIT + Duration::from_secs(30) * u32::try_from(rounds).unwrap(), async {
        let site = Site::new().with_config(&format!("{AUDITED}audit = \"all\"\n"));
        let mut server = site.start().await;
        let boss = operator(&site).await;
        create(&boss, NETWORK, CANARY).await.expect("a network");
        boss.subnet_create(NETWORK, subnet(NETWORK, "10.64.0.0/12", Strategy::Next))
            .await
            .expect("a subnet");
        let verbs = [Verb::Allocate, Verb::ReleaseOwn];
        let tokens = [principal(&site, 1, &verbs).await, principal(&site, 2, &verbs).await];
        let facts: [Arc<Mutex<Facts>>; 2] = Default::default();
        for round in 0..rounds {
            let mut tasks = JoinSet::new();
            for number in 0..CLIENTS {
                let side = (number % 2) as usize;
                let first = (1 + round * CLIENTS + number) << 64;
                tasks.spawn(work(
                    client(&site, &tokens[side]).await,
                    Arc::clone(&facts[side]),
                    first,
                ));
            }
            let target = 400 * (round as usize + 1);
            let count =
                || facts.iter().map(|facts| facts.lock().unwrap().allocated.len()).sum::<usize>();
            eventually("enough answers", async || (count() >= target).then_some(())).await;
            // They would go on with the next server.
            tasks.abort_all();
            server.kill();
            while tasks.join_next().await.is_some() {}
            server = site.start().await;
        }
        server.stop().await;
        check_chain(&lines(&folder(&site)));
        for (side, facts) in facts.iter().enumerate() {
            let principal = PrincipalId::from_u128(side as u128 + 1).to_string();
            check_facts(&lines(&folder(&site)), &principal, &facts.lock().unwrap());
        }
        site.check_is_clean();
    });
}

/// Lines stand in the order of the journal, each change once, nothing missing.
fn check_chain(lines: &[Value]) {
    assert_eq!(lines[0]["kind"], "begin");
    assert!(of_kind(lines, "gap").is_empty(), "a gap");
    let place = |line: &Value| (line["position"].as_u64().unwrap(), line["item"].as_u64().unwrap());
    let changes: Vec<_> = of_kind(lines, "change").into_iter().map(place).collect();
    assert!(changes.windows(2).all(|pair| pair[0] < pair[1]), "out of order, or twice");
    let all: Vec<_> = lines.iter().map(|line| line["position"].as_u64().unwrap()).collect();
    assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "a position that falls");
    // What every address was: nobody takes what somebody has, and what goes was there.
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    for line in of_kind(lines, "change") {
        let object = &line["object"];
        if object["kind"] != "allocation" {
            continue;
        }
        let address = object["address"].as_str().expect("an address").to_owned();
        let owner = object["owner"].as_str().expect("an owner").to_owned();
        if line["change"] == "put" {
            assert_eq!(held.insert(address, owner), None, "{line}");
        } else {
            assert_eq!(held.remove(&address), Some(owner), "{line}");
        }
    }
}

/// What was answered has its line, with who asked for it.
fn check_facts(lines: &[Value], principal: &str, facts: &Facts) {
    let mut puts = BTreeMap::new();
    let mut gone = BTreeMap::new();
    for line in of_kind(lines, "change") {
        if line["object"]["kind"] != "allocation" || line["principal"] != principal {
            continue;
        }
        assert_eq!((&line["by"], &line["result"]), (&"principal".into(), &"OK".into()), "{line}");
        let owner = line["object"]["owner"].as_str().expect("an owner").to_owned();
        let (seen, operation) = match line["change"].as_str() {
            Some("put") => (&mut puts, "allocate"),
            _ => (&mut gone, "release"),
        };
        assert_eq!(line["operation"], operation, "{line}");
        let address = line["object"]["address"].as_str().expect("an address").to_owned();
        assert_eq!(seen.insert(owner, address), None, "twice: {line}");
    }
    assert!(facts.allocated.len() > 100 && facts.released.len() > 100, "too little was seen");
    for (owner, address) in &facts.allocated {
        assert_eq!(puts.get(&owner.to_string()), Some(address), "{owner}");
    }
    for owner in &facts.released {
        assert!(gone.contains_key(&owner.to_string()), "the release by {owner}");
    }
}

#[test]
fn attempts_and_administration_stand_in_it_and_nothing_that_clients_write() {
    run(LIMIT, async {
        let site = Site::new().with_config(AUDITED);
        let mut server = site.start().await;
        let boss = operator(&site).await;
        create(&boss, NETWORK, CANARY).await.expect("a network");
        boss.subnet_create(NETWORK, subnet(NETWORK, "10.1.0.0/16", Strategy::Next))
            .await
            .expect("a subnet");
        let token = principal(&site, 1, &[Verb::Allocate]).await;
        let web = client(&site, &token).await;
        web.allocate(NETWORK, plain_allocate(OwnerId::from_u128(1))).await.expect("an address");
        // Denied, by a grant that is missing.
        let other = ProjectId::from_u128(0x99);
        let create_project =
            || ProjectCreate { name: Some(text(CANARY)), ..ProjectCreate::default() };
        let denied = web.in_project(other).project_create(create_project()).await;
        assert!(denied.is_err_and(|error| error.is(Status::NOT_ALLOWED)));
        // Refused, though it may be asked.
        let nobody = PrincipalId::from_u128(77);
        let hash = TokenHash([9; 32]);
        let vain = TokenCreate { principal_id: nobody, token_id: token.id, hash, life_ms: 0 };
        assert!(boss.token_create(vain).await.is_err());
        // Nobody at all.
        let wrong = Token::new(token.id, [7; 32]);
        let settings = Settings {
            token: Some(TokenSource::Fixed(wrong)),
            connect_rounds_max: 1,
            ..site.settings()
        };
        assert!(soon("an answer", Client::connect(settings)).await.is_err());
        let audit = folder(&site);
        eventually("the attempts", async || {
            (of_kind(&lines(&audit), "attempt").len() >= 3).then_some(())
        })
        .await;
        server.kill();
        server = site.start().await;
        server.stop().await;

        let lines = lines(&audit);
        check_chain(&lines);
        let changes = of_kind(&lines, "change");
        assert!(changes.iter().all(|line| line["object"]["kind"] != "allocation"), "not asked for");
        let made = |kind: &str| {
            changes
                .iter()
                .filter(|line| line["object"]["kind"] == kind)
                .map(|line| {
                    (line["by"].as_str(), line["operation"].as_str(), line["change"].as_str())
                })
                .collect::<Vec<_>>()
        };
        let by_operator = |operation| (Some("operator"), Some(operation), Some("put"));
        assert_eq!(made("network"), [by_operator("network_create")]);
        assert_eq!(made("subnet"), [by_operator("subnet_create")]);
        assert_eq!(
            made("principal"),
            [by_operator("principal_create"), by_operator("token_create")]
        );
        let attempts: Vec<_> = of_kind(&lines, "attempt")
            .into_iter()
            .map(|line| (line["operation"].as_str().unwrap(), line["result"].as_str().unwrap()))
            .collect();
        assert!(attempts.contains(&("project_create", "NOT_ALLOWED")), "{attempts:?}");
        assert!(attempts.contains(&("token_create", "NOT_FOUND")), "{attempts:?}");
        assert!(attempts.contains(&("hello", "UNAUTHENTICATED")), "{attempts:?}");
        let told = std::fs::read_to_string(audit.join("audit.log")).expect("text");
        assert!(!told.contains(&token.reveal()), "a token");
        let mode = |path: &Path| {
            std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
        };
        assert_eq!((mode(&audit), mode(&audit.join("audit.log"))), (0o750, 0o640));
    });
}

#[test]
fn a_server_that_cannot_keep_its_audit_log_does_not_start() {
    run(LIMIT, async {
        let site = Site::new();
        let blocked = site.data().with_file_name("blocked");
        std::fs::write(&blocked, "no directory").expect("written");
        let config =
            format!("audit = \"all\"\naudit_directory = {:?}\n", blocked.display().to_string());
        let site = site.with_config(&config);
        let mut command = site.command();
        let ended = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread");
        let ended = ended.expect("the binary starts");
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        let said = site.log();
        assert!(said.contains("audit log") && said.contains("blocked"), "{said}");
    });
}
