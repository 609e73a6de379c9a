//! The store on real files: what is appended and folded is there after opening again; wrong
//! directories are refused. Crashes and faults are tested from outside, on a fake disk.

use super::*;
use crate::journal::RecordBuffer;
use crate::model::{
    AllocationExtras, AllocationPlace, AllocationRow, Effect, EffectSink, HeldBy, Instance, Mac,
    NetworkHandle, NetworkId, NetworkRow, OwnerId, PortId, PortRow, ProjectId, Revision, Slot,
    SubnetHandle, SubnetId, SubnetRow, Tick,
};
use addrd_protocol::message::{AllocationState, IpAllocation, Strategy, SubnetKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const NETWORK: NetworkHandle = NetworkHandle(1);
const SUBNET: SubnetHandle = SubnetHandle(1);

fn settings() -> Settings {
    Settings {
        journal_records_max: 4_096,
        state_cache_bytes: 1 << 20,
        state_bytes: 1 << 20,
        reserve_bytes: 4_096,
        fold_slice_bytes: 16 << 10,
    }
}

fn create(path: &Path) -> Store {
    let disk = Arc::new(RealDisk::make(path).unwrap());
    Store::create(disk, &settings(), ServerId::from_u128(5)).unwrap()
}

fn open(path: &Path) -> Result<Store, StoreError> {
    once_unlocked(|| open_now(path))
}

fn open_now(path: &Path) -> Result<Store, StoreError> {
    Store::open(Arc::new(RealDisk::new(path)), &settings())
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    effects: Vec<Effect>,
    revisions: Vec<(NetworkHandle, Revision)>,
    cursors: Vec<(NetworkHandle, SubnetHandle, u128)>,
}

impl Restore for Seen {
    fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        self.effects.push(effect.clone());
        Ok(())
    }

    fn revision(&mut self, network: NetworkHandle, revision: Revision) {
        self.revisions.push((network, revision));
    }

    fn cursor(&mut self, network: NetworkHandle, subnet: SubnetHandle, cursor: u128) {
        self.cursors.push((network, subnet, cursor));
    }
}

fn network() -> Effect {
    Effect::NetworkPut(Box::new(NetworkRow {
        network: NETWORK,
        revision: Revision(1),
        project: ProjectId::DEFAULT,
        id: NetworkId::from_u128(1),
        deleting: false,
        shared: false,
        name: None,
        description: None,
        scope_v4: None,
        scope_v6: None,
    }))
}

fn subnet() -> Effect {
    Effect::SubnetPut(Box::new(SubnetRow {
        network: NETWORK,
        subnet: SUBNET,
        revision: Revision(2),
        id: SubnetId::from_u128(2),
        prefix: "10.0.0.0/16".parse().unwrap(),
        kind: SubnetKind::Routed,
        strategy: Strategy::Next,
        enable_dhcp: false,
        deleting: false,
        gateway: None,
        pools: Vec::new(),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        pool: None,
        quarantine_ms: 0,
        service: Default::default(),
        level: 0,
    }))
}

fn place(offset: u128) -> AllocationPlace {
    AllocationPlace { network: NETWORK, subnet: SUBNET, offset, block_bits: 0 }
}

fn put(offset: u128, revision: u64, moves_cursor: bool) -> Effect {
    Effect::AllocationPut(AllocationRow {
        place: place(offset),
        revision: Revision(revision),
        changed: Revision(revision),
        owner: OwnerId::from_u128(offset),
        slot: Slot(0),
        instance: Instance(0),
        state: AllocationState::Allocated,
        moves_cursor,
        extras: None,
    })
}

fn append(store: &mut Store, effects: &[Effect], trim_to: Seq) {
    let mut buffer = RecordBuffer::default();
    effects.iter().for_each(|effect| buffer.push(effect));
    let parts = vec![buffer.as_bytes()];
    let mut sealer = store.journal.sealer(store.identity());
    let header = sealer.seal(Tick(77), 1, buffer.record_count(), &parts);
    store.journal.append(&Round { rows: &[BatchRow { header, parts }], trim_to }).unwrap();
}

fn fold_all(store: &mut Store) -> Seq {
    let durable = Seq(store.journal.position().next.0 - 1);
    assert!(store.checkpointer.begin(u64::MAX, durable));
    loop {
        if let Step::Finished(folded) = store.checkpointer.step().unwrap() {
            return folded;
        }
    }
}

fn recover(store: &mut Store) -> (Seen, Recovered) {
    let mut seen = Seen::default();
    let recovered = store.recover(&mut seen).unwrap();
    (seen, recovered)
}

#[test]
fn what_was_appended_and_folded_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mut store = create(&path);
    assert_eq!(recover(&mut store).0, Seen::default());
    append(&mut store, &[network(), subnet()], Seq(0));
    let puts: Vec<_> = (0..300).map(|n| put(n, n as u64 + 3, true)).collect();
    append(&mut store, &puts, Seq(0));
    assert_eq!(fold_all(&mut store), Seq(2));
    append(&mut store, &[put(5_000, 400, false)], Seq(2));
    assert_eq!(store.journal.position().first, Seq(3));
    drop(store);

    let mut store = open(&path).unwrap();
    let (seen, recovered) = recover(&mut store);
    let mut expected = vec![network(), subnet()];
    expected.extend((0..300).map(|n| put(n, n as u64 + 3, false)));
    expected.push(put(5_000, 400, false));
    assert_eq!(seen.effects, expected);
    assert_eq!(seen.revisions, [(NETWORK, Revision(302))]);
    assert_eq!(seen.cursors, [(NETWORK, SUBNET, 300)]);
    assert_eq!((recovered.next, recovered.tick), (Seq(4), Tick(77)));
    assert_eq!((recovered.network_handle_max, recovered.records), (1, 1));
}

#[test]
fn a_fold_cut_short_is_finished_and_the_state_is_of_one_position() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mut store = create(&path);
    append(&mut store, &[network(), subnet()], Seq(0));
    let far = |n: u128| n * 600;
    let puts: Vec<_> = (0..100).map(|n| put(far(n), n as u64 + 3, false)).collect();
    append(&mut store, &puts, Seq(0));
    fold_all(&mut store);
    let gone: Vec<_> = (0..100)
        .map(|n| Effect::AllocationGone {
            place: place(far(n)),
            revision: Revision(n as u64 + 200),
            held_by: Some(HeldBy { owner: OwnerId::from_u128(1), slot: Slot(0), project: None }),
        })
        .collect();
    append(&mut store, &gone, Seq(0));
    append(&mut store, &[put(far(1), 500, false), put(far(99), 501, false)], Seq(0));
    assert!(store.checkpointer.begin(u64::MAX, Seq(4)));
    for _ in 0..4 {
        assert_eq!(store.checkpointer.step().unwrap(), Step::Working);
    }
    append(&mut store, &[put(far(50), 502, false)], Seq(2));
    drop(store);

    for _ in 0..2 {
        let mut store = open(&path).unwrap();
        assert_eq!(store.checkpointer.folded(), Seq(2));
        let (seen, recovered) = recover(&mut store);
        let left = [put(far(1), 500, false), put(far(99), 501, false), put(far(50), 502, false)];
        assert_eq!(&seen.effects[2..], left);
        assert_eq!((recovered.next, recovered.records), (Seq(6), 1));
        assert!(store.checkpointer.is_working());
        assert_eq!(store.checkpointer.step().unwrap(), Step::Working);
    }
    let mut store = open(&path).unwrap();
    recover(&mut store);
    while store.checkpointer.step().unwrap() == Step::Working {}
    assert_eq!(store.checkpointer.folded(), Seq(4));
}

#[test]
fn a_directory_is_private_and_used_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let store = create(&path);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for name in store.disk.names().unwrap() {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
    assert!(matches!(open_now(&path), Err(StoreError::Locked { .. })));
    drop(store);
    let disk = || Arc::new(RealDisk::new(&path));
    let again = once_unlocked(|| Store::create(disk(), &settings(), ServerId::from_u128(6)));
    assert!(matches!(again, Err(StoreError::Exists { .. })));
    assert!(open(&path).is_ok());
}

/// A lock outlives its owner for as long as a child that another test has just forked still has
/// the owner's files, which it loses when it executes its program.
fn once_unlocked<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    const ATTEMPTS_MAX: usize = 100_000;
    for _ in 1..ATTEMPTS_MAX {
        match attempt() {
            Err(StoreError::Locked { .. }) => std::thread::yield_now(),
            other => return other,
        }
    }
    attempt()
}

#[test]
fn what_is_no_data_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    assert!(matches!(open(dir.path()), Err(StoreError::Absent { .. })));
    std::fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
    assert!(matches!(Store::presence(&disk), Err(StoreError::Strange { .. })));
    let created = Store::create(Arc::new(disk), &settings(), ServerId::from_u128(6));
    assert!(matches!(created, Err(StoreError::Strange { .. })));
    assert_eq!(std::fs::read(dir.path().join("thesis.txt")).unwrap(), b"mine");
}

#[test]
fn copies_of_different_times_are_refused_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mut store = create(&path);
    append(&mut store, &[network()], Seq(0));
    drop(store);
    let old = std::fs::read(path.join("journal.ring")).unwrap();
    let mut store = open(&path).unwrap();
    recover(&mut store);
    append(&mut store, &[subnet()], Seq(0));
    fold_all(&mut store);
    drop(store);
    std::fs::write(path.join("journal.ring"), old).unwrap();
    let error = open(&path).unwrap_err();
    let (folded, first, last) = (Seq(2), Seq(1), Seq(1));
    assert!(
        matches!(&error, StoreError::Gap { folded: f, first: a, last: z }
            if (*f, *a, *z) == (folded, first, last)),
        "{error:?}"
    );
}

/// Name, bytes and time of change of every file.
fn pictures(path: &Path) -> Vec<(String, Vec<u8>, std::time::SystemTime)> {
    let mut all: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let time = std::fs::metadata(&path).unwrap().modified().unwrap();
            (path.display().to_string(), std::fs::read(&path).unwrap(), time)
        })
        .collect();
    all.sort();
    all
}

fn checked(path: &Path) -> CheckReport {
    let disk = || Arc::new(RealDisk::read_only(path));
    once_unlocked(|| check(disk(), &settings(), &mut |_| ())).unwrap()
}

#[test]
fn a_check_touches_nothing_and_finds_nothing_in_a_sound_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mut store = create(&path);
    append(&mut store, &[network(), subnet()], Seq(0));
    append(&mut store, &[put(1, 3, true), put(2, 4, true)], Seq(0));
    fold_all(&mut store);
    append(&mut store, &[put(3, 5, true)], Seq(0));
    drop(store);
    let before = pictures(&path);
    let report = checked(&path);
    assert_eq!(report.findings, []);
    assert_eq!((report.networks, report.subnets, report.allocations), (1, 1, 3));
    assert_eq!((report.folded, report.last), (Seq(2), Seq(3)));
    assert_eq!(pictures(&path), before);
    let store = open(&path).unwrap();
    let used = check(Arc::new(RealDisk::read_only(&path)), &settings(), &mut |_| ());
    assert!(matches!(used, Err(StoreError::Locked { .. })));
    drop(store);
}

#[test]
fn a_check_finds_what_contradicts_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mut store = create(&path);
    let mut twice = put(9, 8, false);
    let mut block = put(64, 6, false);
    let mut outside = put(1 << 16, 9, false);
    if let (Effect::AllocationPut(twice), Effect::AllocationPut(block)) = (&mut twice, &mut block) {
        twice.owner = OwnerId::from_u128(1);
        block.place.block_bits = 3;
    }
    if let Effect::AllocationPut(row) = &mut outside {
        row.place.subnet = SubnetHandle(7);
    }
    let effects = [network(), subnet(), put(1, 3, false), block, put(70, 7, false), twice, outside];
    append(&mut store, &effects, Seq(0));
    drop(store);
    let found: Vec<_> = checked(&path).findings.into_iter().map(|f| f.what).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    for (what, part) in found.iter().zip(["overlaps the one before", "without it", "held twice"]) {
        assert!(what.contains(part), "{what}");
    }
}

/// Its key is free: whoever had it may have another one by now.
#[test]
fn a_check_takes_what_rests_for_nobodys() {
    let checked_with = |quarantine_end| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let mut store = create(&path);
        let mut resting = put(1, 3, false);
        if let Effect::AllocationPut(resting) = &mut resting {
            resting.state = AllocationState::Quarantined;
            resting.owner = OwnerId::from_u128(3);
            let extras = AllocationExtras { quarantine_end, ..Default::default() };
            resting.extras = Some(Box::new(extras));
        }
        append(&mut store, &[network(), subnet(), resting, put(3, 5, false)], Seq(0));
        drop(store);
        checked(&path)
    };
    let report = checked_with(Some(9));
    assert_eq!((report.findings, report.resting, report.allocations), (vec![], 1, 1));
    let found = checked_with(None).findings;
    assert!(found.len() == 1 && found[0].what.contains("without an end"), "{found:?}");
}

#[test]
fn a_check_takes_ports_of_two_projects_with_one_id_for_two_ports() {
    let port = |created, mac, project| {
        let row = PortRow {
            network: NetworkHandle(1),
            revision: Revision(created),
            created: Revision(created),
            id: PortId::from_u128(5),
            mac: Mac([0xfa, 0, 0, 0, 0, mac]),
            ip_allocation: IpAllocation::Immediate,
            slots: 0,
            project,
            host: None,
            device_owner: None,
            description: None,
        };
        Effect::PortPut(Box::new(row))
    };
    let guest = |number| Some(ProjectId::from_u128(number));
    let check = |ports: [Effect; 3]| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let mut store = create(&path);
        let [a, b, c] = ports;
        append(&mut store, &[network(), subnet(), a, b, c], Seq(0));
        drop(store);
        let report = checked(&path);
        assert_eq!(report.ports, 3);
        report.findings.into_iter().map(|found| found.what).collect::<Vec<_>>()
    };
    let found = check([port(11, 1, None), port(12, 2, guest(7)), port(13, 3, guest(8))]);
    assert_eq!(found, Vec::<String>::new());
    let found = check([port(11, 1, None), port(12, 2, guest(7)), port(13, 3, guest(7))]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("port id"), "{found:?}");
}

#[test]
fn a_check_reports_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mut store = create(&path);
    append(&mut store, &[network(), subnet(), put(1, 3, false)], Seq(0));
    drop(store);
    let file = path.join("journal.ring");
    let mut bytes = std::fs::read(&file).unwrap();
    let owner = OwnerId::from_u128(1);
    let is_owner = |at: &usize| bytes[*at..*at + 16] == *owner.as_bytes();
    // Old pages have it too.
    let places: Vec<_> = (0..bytes.len() - 16).filter(is_owner).collect();
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    std::fs::write(&file, bytes).unwrap();
    let report = checked(&path);
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].what.contains("journal.ring is damaged"), "{report:?}");
}
