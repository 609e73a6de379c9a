//! The audit log over lives of an engine that lose power and processes, on a disk that fails as well: it has the lines of
//! everything that was durable, in order, each once.

use super::*;
use crate::audit::{Attempt, Audited, Projection, whole_lines};
use crate::feed::Names;
use crate::limits::{
    AUDIT_DENIALS_PER_SECOND, AUDIT_PAUSE_MS, AUDIT_STALL_MS, HISTORY_GIVE_UP_PERCENT,
};
use crate::model::Asker;
use crate::store::Disk as _;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the lines must be: one projection over everything that became durable, that never ends.
struct Expected {
    projection: Projection,
    at: Seq,
    lines: Vec<Value>,
}

impl Expected {
    fn new() -> Self {
        let projection = Projection::new(Audited::All, Names::default());
        Self { projection, at: Seq(0), lines: Vec::new() }
    }

    /// Writes down what has become durable. A disk that fails is read in the next life.
    fn note(&mut self, stage: &Stage) {
        let durable = Seq(stage.engine.inner.position.get());
        let mut out = Vec::new();
        let _ = stage.reader.each::<StoreError>(self.at, durable, usize::MAX, &mut |batch| {
            self.projection.take(batch, 0, "", &mut out).expect("it can be read");
            self.at = batch.header().last;
            Ok(())
        });
        self.lines.extend(changes(&out));
    }
}

/// Lines of changes, without the time, which isn't the projection's.
fn changes(bytes: &[u8]) -> Vec<Value> {
    assert_eq!(whole_lines(bytes), bytes.len(), "half a line");
    let text = std::str::from_utf8(bytes).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut lines: Vec<Value> = lines.filter(|line| line["kind"] == "change").collect();
    for line in &mut lines {
        line["time"] = Value::Null;
    }
    lines
}

/// All files, in the order in which they were written.
fn written(disk: &FakeDisk) -> Vec<u8> {
    // "audit-0000000001.log" stands in front of "audit.log".
    disk.contents().into_values().flatten().collect()
}

fn run_audited(blank: &FakeDisk, seed: u64) -> usize {
    let random = &mut Random::new(seed);
    let (mut disk, mut audit) = (blank.fork().restart(), FakeDisk::new());
    let (mut tenants, mut expected) = (Tenants::default(), Expected::new());
    for _ in 0..3 {
        let mut stage = Stage::recover_audited(disk, 1 + random.below(3) as u16, &audit);
        (0..random.below(3)).for_each(|_| plan_fault(&audit, 60, random));
        tenants.recovered(&stage);
        tenants.set_up(&stage.engine);
        stage.settle().expect("nothing fails yet");
        expected.note(&stage);
        for _ in 0..100 + random.below(500) {
            tenants.send(&stage.engine, random);
            stage.step(random).expect("the engine's own disk doesn't fail");
            if random.below(8) == 0 {
                step(&mut stage);
            }
            if random.below(40) == 0 {
                stage.clock.advance(random.below(2_000));
            }
            expected.note(&stage);
        }
        if random.below(2) == 0 {
            // The journal forgets what it may, and then the power goes.
            step(&mut stage);
            (0..4).for_each(|_| stage.fold_all());
            expected.note(&stage);
        }
        tenants.take_answers(stage.clock.tick());
        let has_power = random.below(4) == 0;
        audit = if has_power { audit.restart() } else { audit.power_loss(random) };
        disk = if has_power { stage.disk.restart() } else { stage.disk.power_loss(random) };
        drop(stage);
        tenants.cut_off();
    }
    let mut last = Stage::recover_audited(disk, 2, &audit);
    expected.note(&last);
    last.settle().expect("nothing fails");
    expected.note(&last);
    for _ in 0..10_000 {
        last.clock.advance(1);
        if step(&mut last) == Progress::Idle {
            break;
        }
    }
    let found = changes(&written(&audit));
    let unique: BTreeSet<_> =
        found.iter().map(|line| (line["position"].as_u64(), line["item"].as_u64())).collect();
    assert_eq!(unique.len(), found.len(), "a line twice");
    assert_eq!(found.len(), expected.lines.len(), "lines");
    for (found, expected) in found.iter().zip(&expected.lines) {
        assert_eq!(found, expected);
    }
    found.len()
}

fn step(stage: &mut Stage) -> Progress {
    stage.auditor.as_mut().expect("there is one").step()
}

#[test]
fn the_audit_log_has_every_change_once_whatever_fails() {
    let blank = blank_disk();
    let seeds = match number("ADDRD_AUDIT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ADDRD_SCHEDULES").unwrap_or(60).min(500),
    };
    let count = seeds.end - seeds.start;
    let mut lines = 0;
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run_audited(&blank, seed))) {
            Ok(found) => lines += found,
            Err(panic) => {
                tell(seed);
                resume_unwind(panic);
            }
        }
    }
    assert!(lines as u64 > count * 100, "only {lines} lines in {count} seeds");
}

#[expect(clippy::print_stderr, reason = "the seed of a failing run is read in its output")]
fn tell(seed: u64) {
    eprintln!("ADDRD_AUDIT_SEED={seed} fails");
}

/// A stage at rest with something in its log.
fn quiet(audit: &FakeDisk) -> (Stage, Tenants) {
    let mut stage = Stage::recover_audited(blank_disk().fork().restart(), 1, audit);
    let mut tenants = Tenants::default();
    tenants.recovered(&stage);
    tenants.set_up(&stage.engine);
    stage.settle().expect("nothing fails");
    while step(&mut stage) != Progress::Idle {
        stage.clock.advance(1);
    }
    (stage, tenants)
}

/// Lets something become durable.
fn change(stage: &mut Stage, tenants: &mut Tenants, random: &mut Random) {
    let before = stage.engine.inner.position.get();
    while stage.engine.inner.position.get() == before {
        tenants.send(&stage.engine, random);
        stage.settle().expect("the engine's own disk doesn't fail");
    }
}

/// The server waits for no disk of the log: neither while the auditor tries it nor while it waits to.
#[test]
fn a_disk_that_refuses_for_long_is_left_behind_once_the_journal_is_nearly_full() {
    let (random, audit) = (&mut Random::new(1), FakeDisk::new());
    let (mut stage, mut tenants) = quiet(&audit);
    let (operation, failure) = (DiskOperation::Write, Failure::Error(5));
    let at = audit.count(operation) + 1;
    audit.plan(Fault { operation, at, failure, for_good: true });
    let moved_at = stage.clock.tick();
    change(&mut stage, &mut tenants, random);
    let inner = Arc::clone(&stage.engine.inner);
    let durable = inner.position.get();
    let mut waited_ms = 0;
    while inner.folded.get() < durable {
        assert!(waited_ms < 2 * AUDIT_STALL_MS, "the fold still waits");
        let records = inner.pressure.journal_records_max * HISTORY_GIVE_UP_PERCENT / 100 + 1;
        inner.pressure.journal_records.set(records);
        step(&mut stage);
        stage.fold_all();
        stage.clock.advance(AUDIT_PAUSE_MS);
        waited_ms += AUDIT_PAUSE_MS;
    }
    let given_ms = stage.clock.tick().since(moved_at);
    assert!(given_ms >= AUDIT_STALL_MS, "it was not given its time: {given_ms} ms");
}

/// What was denied just before the end has its line.
#[test]
fn attempts_that_wait_at_the_end_have_their_lines() {
    let audit = FakeDisk::new();
    let (mut stage, _) = quiet(&audit);
    let tick = stage.clock.tick();
    let auditor = stage.auditor.as_mut().expect("there is one");
    for _ in 0..2 * AUDIT_DENIALS_PER_SECOND {
        auditor.desk().note(Attempt {
            tick,
            by: Asker::Nobody,
            origin: String::new(),
            project: None,
            opcode: Opcode::HELLO,
            result: Status::UNAUTHENTICATED,
            why: String::new(),
        });
    }
    auditor.finish();
    let text = String::from_utf8(written(&audit)).unwrap();
    let lines = |kind: &str| text.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert_eq!(lines("attempt"), AUDIT_DENIALS_PER_SECOND as usize * 3 / 10, "{text}");
    assert_eq!(lines("missed"), 1, "{text}");
}

/// A disk that is full takes no line until the oldest have gone.
#[test]
fn a_full_disk_gets_room_from_the_oldest_of_the_log() {
    let first = FakeDisk::new();
    drop(quiet(&first));
    let audit = FakeDisk::new();
    let lines = written(&first);
    let names = ["audit-0000000001.log", "audit-0000000002.log", "audit-0000000003.log"];
    for name in names {
        audit.create(name).and_then(|file| file.write_at(0, &lines)).expect("a file is made");
    }
    let (operation, failure) = (DiskOperation::Write, Failure::Error(28));
    audit.plan(Fault { operation, at: audit.count(operation) + 1, failure, for_good: true });
    audit.set_free_bytes(Some(0));
    let mut stage = Stage::recover_audited(blank_disk().fork().restart(), 1, &audit);
    step(&mut stage);
    let is_paused = stage.auditor.as_ref().expect("there is one").is_paused();
    assert!(is_paused, "it takes no line");
    let left: Vec<_> = audit.contents().into_keys().collect();
    assert_eq!(left, [names[2], "audit.log"], "the newest tells where to go on");
}

/// Operators see at once that it goes on, also where nobody asks for anything.
#[test]
fn a_disk_that_takes_lines_again_is_seen_on_a_server_at_rest() {
    let (random, audit) = (&mut Random::new(1), FakeDisk::new());
    let (mut stage, mut tenants) = quiet(&audit);
    let is_paused = |stage: &Stage| stage.auditor.as_ref().expect("there is one").is_paused();
    let wait = |stage: &mut Stage, wanted: bool| {
        for _ in 0..10_000 {
            if is_paused(stage) == wanted {
                return;
            }
            step(stage);
            stage.clock.advance(10);
        }
        panic!("it is still {}", if wanted { "not paused" } else { "paused" });
    };
    for (operation, failure) in
        [(DiskOperation::Write, Failure::Error(28)), (DiskOperation::Sync, Failure::Error(5))]
    {
        change(&mut stage, &mut tenants, random);
        let at = audit.count(operation) + 1;
        audit.plan(Fault { operation, at, failure, for_good: false });
        wait(&mut stage, true);
        // From here on nobody asks for anything.
        wait(&mut stage, false);
    }
}
