//! Lines of whole batches, also from the middle of one.

use super::*;
use crate::feed::Names;
use crate::journal::{BatchIdentity, BatchSealer, BatchView, RecordBuffer};
use crate::model::*;
use addrd_protocol::Opcode;
use addrd_protocol::message::{AllocationState, Strategy, SubnetKind};
use serde_json::Value;

const SERVER: ServerId = ServerId::from_u128(5);
const OWN: ProjectId = ProjectId::from_u128(0xa);
const GUEST: ProjectId = ProjectId::from_u128(0xb);
const NETWORK: NetworkHandle = NetworkHandle(1);
const SUBNET: SubnetHandle = SubnetHandle(1);
const WEB: PrincipalId = PrincipalId::from_u128(0x77);
const OWNER: OwnerId = OwnerId::from_u128(0x33);
const TRACE: uuid::Uuid = uuid::Uuid::from_u128(0x44);
/// Nothing of it may stand in a line.
const CANARY: &str = "canary";

fn canary() -> Option<Text> {
    Text::new(CANARY).ok()
}

fn network() -> Effect {
    Effect::NetworkPut(Box::new(NetworkRow {
        network: NETWORK,
        revision: Revision(1),
        project: OWN,
        id: NetworkId::from_u128(0x11),
        deleting: false,
        shared: true,
        name: canary(),
        description: canary(),
        scope_v4: None,
        scope_v6: None,
    }))
}

fn subnet() -> Effect {
    Effect::SubnetPut(Box::new(SubnetRow {
        network: NETWORK,
        subnet: SUBNET,
        revision: Revision(2),
        id: SubnetId::from_u128(0x22),
        prefix: "10.0.0.0/24".parse().unwrap(),
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Next,
        enable_dhcp: false,
        deleting: false,
        gateway: None,
        pools: Vec::new(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: canary(),
        description: canary(),
        pool: None,
        service: Default::default(),
        level: 0,
        quarantine_ms: 0,
    }))
}

fn principal() -> Effect {
    Effect::PrincipalPut(Box::new(PrincipalRow {
        handle: NetworkHandle(9),
        revision: Revision(1),
        id: WEB,
        disabled: false,
        name: canary(),
        description: canary(),
        grants: Vec::new(),
        certificate_names: canary().into_iter().collect(),
        unix_users: Vec::new(),
        tokens: Vec::new(),
    }))
}

fn place() -> AllocationPlace {
    AllocationPlace { network: NETWORK, subnet: SUBNET, offset: 5, block_bits: 0 }
}

fn allocation() -> Effect {
    let extras = AllocationExtras {
        project: Some(GUEST),
        trace: Some(TRACE),
        label: canary(),
        manager: canary(),
        host: canary(),
        owner_name: canary(),
        ..AllocationExtras::default()
    };
    Effect::AllocationPut(AllocationRow {
        place: place(),
        revision: Revision(10),
        changed: Revision(10),
        owner: OWNER,
        slot: Slot(2),
        instance: Instance(0),
        state: AllocationState::Allocated,
        moves_cursor: false,
        extras: Some(Box::new(extras)),
    })
}

fn released() -> Effect {
    let held_by = Some(HeldBy { owner: OWNER, slot: Slot(2), project: Some(GUEST) });
    Effect::AllocationGone { place: place(), revision: Revision(11), held_by }
}

/// A row of the journal: who asked, for what, and what came of it.
fn row(sealer: &mut BatchSealer, steps: &[(Asker, Opcode, Effect)]) -> Vec<u8> {
    let mut records = RecordBuffer::default();
    for (by, opcode, effect) in steps {
        records.sign(Asked::new(*by, *opcode));
        records.push(effect);
    }
    records.close();
    let parts = [records.as_bytes()];
    let header = sealer.seal(Tick(9), 1, records.record_count(), &parts);
    [&header.encode()[..], records.as_bytes()].concat()
}

fn sealer() -> BatchSealer {
    let identity = BatchIdentity { server: SERVER, incarnation: Incarnation(1), term: 0 };
    BatchSealer::new(identity, Seq(5), 0)
}

fn all_steps() -> Vec<(Asker, Opcode, Effect)> {
    let web = Asker::Principal(WEB);
    vec![
        (Asker::Operator, Opcode::PRINCIPAL_CREATE, principal()),
        (web, Opcode::NETWORK_CREATE, network()),
        (web, Opcode::SUBNET_CREATE, subnet()),
        (web, Opcode::ALLOCATE, allocation()),
        (Asker::Nobody, Opcode::ALLOCATE, released()),
        (web, Opcode::BATCH, allocation()),
        (web, Opcode::RELEASE, released()),
        (
            Asker::Operator,
            Opcode::SUBNET_DELETE,
            Effect::SubnetGone { network: NETWORK, subnet: SUBNET, revision: Revision(12) },
        ),
        (
            Asker::Operator,
            Opcode::NETWORK_DELETE,
            Effect::NetworkGone { network: NETWORK, revision: Revision(13) },
        ),
        (
            Asker::Operator,
            Opcode::PRINCIPAL_DELETE,
            Effect::ObjectGone { object: NetworkHandle(9), revision: Revision(14) },
        ),
    ]
}

fn lines_of(audited: Audited, rows: &[Vec<u8>], skip: u32) -> Vec<Value> {
    let mut projection = Projection::new(audited, Names::default());
    let mut out = Vec::new();
    let mut count = 0;
    for row in rows {
        let batch = BatchView::decode(row, SERVER).unwrap();
        count += projection.take(&batch, skip, "now", &mut out).unwrap();
    }
    assert_eq!(whole_lines(&out), out.len());
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(CANARY), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, count);
    lines
}

fn short(line: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let object = &line["object"];
    [&line["by"], &line["operation"], &line["change"], &object["kind"]].map(text).join(" ")
}

#[test]
fn each_change_has_a_line_with_who_asked_and_what_for() {
    let rows = [row(&mut sealer(), &all_steps())];
    let lines = lines_of(Audited::All, &rows, 0);
    let told: Vec<String> = lines.iter().map(short).collect();
    let expected = [
        "operator principal_create put principal",
        "principal network_create put network",
        "principal subnet_create put subnet",
        "principal allocate put allocation",
        "- - gone allocation",
        "principal batch put allocation",
        "principal release gone allocation",
        "operator subnet_delete gone subnet",
        "operator network_delete gone network",
        "operator principal_delete gone principal",
    ];
    assert_eq!(told, expected);
    let held = &lines[3];
    assert_eq!(held["principal"], WEB.to_string());
    assert_eq!(held["project"], GUEST.to_string());
    assert_eq!(held["trace"], TRACE.to_string());
    assert_eq!((&held["time"], &held["result"]), (&"now".into(), &"OK".into()));
    let object = &held["object"];
    assert_eq!((&object["address"], &object["slot"]), (&"10.0.0.5".into(), &2.into()));
    assert_eq!(object["owner"], OWNER.to_string());
    assert_eq!(object["network"], NetworkId::from_u128(0x11).to_string());
    assert_eq!(object["subnet"], SubnetId::from_u128(0x22).to_string());
    // What is gone is still called by its name, not by a number.
    assert_eq!(lines[7]["object"]["id"], SubnetId::from_u128(0x22).to_string());
    assert_eq!(lines[9]["object"]["id"], WEB.to_string());
}

#[test]
fn administration_leaves_allocations_out_and_follows_all_names() {
    let rows = [row(&mut sealer(), &all_steps())];
    let told: Vec<String> = lines_of(Audited::Administration, &rows, 0).iter().map(short).collect();
    assert_eq!(told.len(), 6);
    assert!(told.iter().all(|line| !line.ends_with("allocation")), "{told:?}");
    assert!(told.contains(&"operator subnet_delete gone subnet".to_owned()));
}

#[test]
fn lines_go_on_in_the_middle_of_a_batch() {
    let rows = [row(&mut sealer(), &all_steps())];
    let all = lines_of(Audited::All, &rows, 0);
    for (at, line) in all.iter().enumerate() {
        let text = serde_json::to_vec(line).unwrap();
        let mark = Mark::of(&text).unwrap();
        assert_eq!(mark.position, Seq(5));
        assert_eq!(lines_of(Audited::All, &rows, mark.item), all[at + 1..], "behind line {at}");
    }
}

#[test]
fn who_asked_in_one_batch_asked_for_nothing_in_the_next() {
    let mut sealer = sealer();
    let web = Asker::Principal(WEB);
    let first = row(&mut sealer, &all_steps()[..3]);
    let second = row(&mut sealer, &[(Asker::Nobody, Opcode::ALLOCATE, allocation())]);
    let third = row(&mut sealer, &[(web, Opcode::RELEASE, released())]);
    let told: Vec<_> =
        lines_of(Audited::All, &[first, second, third], 0).iter().map(short).collect();
    assert_eq!(told[3..], ["- - put allocation", "principal release gone allocation"]);
}

#[test]
fn what_has_no_name_has_a_number() {
    let web = Asker::Principal(WEB);
    let steps = [(web, Opcode::ALLOCATE, allocation()), (web, Opcode::RELEASE, released())];
    let lines = lines_of(Audited::All, &[row(&mut sealer(), &steps)], 0);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["object"]["number"], 1);
    assert_eq!(lines[0]["object"]["owner"], OWNER.to_string());
}

#[test]
fn an_attempt_is_a_line_with_the_words_of_the_server_alone() {
    let attempt = Attempt {
        tick: Tick(3),
        by: Asker::Principal(WEB),
        origin: "192.0.2.7 \"spiffe://a\"\n\u{7}".to_owned(),
        project: Some(OWN),
        opcode: Opcode::NETWORK_DELETE,
        result: Status::NOT_ALLOWED,
        why: "no grant has the verb manage".to_owned(),
    };
    let at = Mark { position: Seq(8), item: 3 };
    let mut out = Vec::new();
    attempt.write("now", at, &mut out);
    missed("now", 5, at, &mut out);
    assert_eq!(whole_lines(&out), out.len(), "control characters are escaped");
    let mut lines = out.split(|byte| *byte == b'\n');
    let line = lines.next().unwrap();
    assert_eq!(Mark::of(line), Some(at));
    let line: Value = serde_json::from_slice(line).unwrap();
    assert_eq!(line["kind"], "attempt");
    assert_eq!(
        (&line["operation"], &line["result"]),
        (&"network_delete".into(), &"NOT_ALLOWED".into())
    );
    let line: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
    assert_eq!((&line["kind"], &line["count"]), (&"missed".into(), &5.into()));
}

#[test]
fn the_first_line_says_whose_journal_it_is() {
    let mut out = Vec::new();
    let incarnation = Incarnation(3);
    begin("now", Begin { server: SERVER, incarnation, at: Mark::behind(Seq(7)) }, &mut out);
    assert_eq!(Header::of(&out), Some(Header { server: SERVER, incarnation }));
    assert_eq!(Mark::of(&out), Some(Mark::behind(Seq(7))));
    let newer = String::from_utf8(out).unwrap().replace("\"version\":1", "\"version\":2");
    assert_eq!(Header::of(newer.as_bytes()), None);
}
