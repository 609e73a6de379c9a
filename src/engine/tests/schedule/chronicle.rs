//! Somebody who writes down every change that is journalled, and asks history about them: what is told is
//! what was, and what is missing is said to be. Changes nothing.

use super::*;
use crate::engine::tests::stage::HISTORY;
use crate::model::{
    AllocationExtras, AllocationPlace, Effect, Family, NetworkHandle, Prefix, SubnetHandle, Tick,
};
use crate::store::Disk;
use crate::store::history::{Ask, HistorySettings, Looker, Subject};
use addrd_protocol::message::HistoryEntry;
use addrd_protocol::{OwnerId, Slot};
use std::collections::BTreeMap;
use std::net::IpAddr;
use uuid::Uuid;

/// A network or pool: its project and id, and the family of a pool.
type Home = (ProjectId, Uuid, Option<Family>);

/// One change of somebody's.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    position: u64,
    time_ms: u64,
    home: Home,
    address: IpAddr,
    revision: u64,
    holder: ProjectId,
    owner: OwnerId,
    slot: Slot,
}

/// What is compared of an entry.
type Told = (u64, u64, Uuid, IpAddr, u64, ProjectId, OwnerId, Slot);

/// Every change that was journalled.
pub(super) struct Chronicle {
    homes: BTreeMap<NetworkHandle, Home>,
    subnets: BTreeMap<(NetworkHandle, SubnetHandle), Prefix>,
    lines: Vec<Line>,
    /// Everything up to here was written down.
    at: Seq,
    /// Nothing is in the way of history: then nothing may be missing at all.
    pub(super) is_gentle: bool,
    pub(super) settings: HistorySettings,
    /// Something of history's disk has failed.
    has_failed: bool,
    /// Entries that were compared.
    pub(super) compared: u64,
}

impl Chronicle {
    /// Half of the seeds are gentle.
    pub(super) fn new(random: &mut Random) -> Self {
        let is_gentle = random.below(2) == 0;
        let bytes_max = [40 << 10, 150 << 10, HISTORY.bytes_max][random.below(3) as usize];
        let age_ms_max = [32 * 500, HISTORY.age_ms_max][random.below(2) as usize];
        let rough = HistorySettings { bytes_max, age_ms_max, ..HISTORY };
        Self {
            homes: BTreeMap::new(),
            subnets: BTreeMap::new(),
            lines: Vec::new(),
            at: Seq(0),
            is_gentle,
            has_failed: false,
            settings: if is_gentle { HISTORY } else { rough },
            compared: 0,
        }
    }

    /// A life begins: history may fail in it, alone.
    pub(super) fn begin(&self, stage: &mut Stage, random: &mut Random) {
        stage.is_rough = !self.is_gentle;
        for _ in 0..if self.is_gentle { 0 } else { random.below(4) } {
            plan_fault(&stage.history_disk, 80, random);
        }
    }

    /// Writes down what has become durable. A disk that fails is read in the next life.
    pub(super) fn note(&mut self, stage: &Stage) {
        let durable = Seq(stage.engine.inner.position.get());
        if self.at >= durable {
            return;
        }
        let mut batches = Vec::new();
        let _ = stage.reader.each::<StoreError>(self.at, durable, usize::MAX, &mut |batch| {
            let header = *batch.header();
            let effects: Vec<_> = batch.records().map(|record| record.unwrap()).collect();
            batches.push((header.last, header.tick, effects));
            Ok(())
        });
        for (last, tick, effects) in batches {
            effects.iter().for_each(|effect| self.follow(effect, last, tick));
            self.at = last;
        }
    }

    fn follow(&mut self, effect: &Effect, position: Seq, tick: Tick) {
        match effect {
            Effect::NetworkPut(row) => {
                self.homes.insert(row.network, (row.project, row.id.0, None));
            }
            Effect::PoolPut(row) => {
                self.homes.insert(row.handle, (row.project, row.id.0, Some(row.family)));
            }
            Effect::SubnetPut(row) => {
                self.subnets.insert((row.network, row.subnet), row.prefix);
            }
            Effect::AllocationPut(row) => {
                let none = AllocationExtras::default();
                let extras = row.extras.as_deref().unwrap_or(&none);
                let mut line = self.line(&row.place, row.changed, position, tick);
                if let Some(former) = extras.former.as_deref() {
                    let holder = former.project.unwrap_or(line.home.0);
                    let (owner, slot) = (former.owner, former.slot);
                    self.lines.push(Line { holder, owner, slot, ..line.clone() });
                }
                line.holder = extras.project.unwrap_or(line.home.0);
                (line.owner, line.slot) = (row.owner, row.slot);
                self.lines.push(line);
            }
            Effect::AllocationGone { place, revision, held_by } => {
                let mut line = self.line(place, *revision, position, tick);
                if let Some(held_by) = held_by {
                    line.holder = held_by.project.unwrap_or(line.home.0);
                    (line.owner, line.slot) = (held_by.owner, held_by.slot);
                }
                self.lines.push(line);
            }
            _ => {}
        }
    }

    fn line(&self, place: &AllocationPlace, revision: Revision, at: Seq, tick: Tick) -> Line {
        let home = self.homes[&place.network];
        let address = match home.2 {
            Some(family) => family.address(place.offset),
            None => self.subnets[&(place.network, place.subnet)].address_at(place.offset),
        };
        Line {
            position: at.0,
            time_ms: tick.0,
            home,
            address: address.expect("an address of its subnet"),
            revision: revision.0,
            holder: home.0,
            owner: OwnerId::NIL,
            slot: Slot(0),
        }
    }

    /// Something of what was written down is asked about.
    fn ask(&self, random: &mut Random) -> Option<Ask> {
        let one = &self.lines[random.below(self.lines.len() as u64) as usize];
        let other = &self.lines[random.below(self.lines.len() as u64) as usize];
        let subject = match random.below(2) {
            0 => Subject::Address(one.address),
            _ if one.owner.is_nil() => return None,
            _ => Subject::Owner(one.owner, (random.below(2) == 0).then_some(one.slot)),
        };
        let is_home = random.below(2) == 0;
        let times = [(0, u64::MAX), (other.time_ms, u64::MAX), (0, other.time_ms)];
        let (from, to) = times[random.below(3) as usize];
        Some(Ask {
            project: [one.holder, one.home.0, other.holder][random.below(3) as usize],
            home: is_home.then_some((one.home.0, one.home.1)),
            is_pool: one.home.2.is_some(),
            subject,
            from: Tick(from),
            to: Tick(to),
            oldest_first: random.below(2) == 0,
            limit: 1 + random.below(9) as usize,
            mark: None,
        })
    }

    /// What a question must be answered with, if nothing is missing.
    fn expected(&self, ask: &Ask) -> Vec<Told> {
        let is_asked = |line: &&Line| {
            let is_subject = match ask.subject {
                // What is more than one address is not asked for by others of it.
                Subject::Address(address) => line.address == address,
                Subject::Owner(owner, slot) => {
                    line.owner == owner && slot.is_none_or(|slot| slot == line.slot)
                }
            };
            let is_own = line.holder == ask.project;
            let is_host = line.home.0 == ask.project && matches!(ask.subject, Subject::Address(_));
            let is_home = ask.home.is_none_or(|home| home == (line.home.0, line.home.1));
            let in_time = ask.from.0 <= line.time_ms && line.time_ms <= ask.to.0;
            is_subject
                && (is_own || is_host)
                && is_home
                && in_time
                && line.home.2.is_some() == ask.is_pool
        };
        let told = |line: &Line| {
            let (owner, slot) = match line.holder == ask.project {
                true => (line.owner, line.slot),
                false => (OwnerId::NIL, Slot(0)),
            };
            let Line { position, time_ms, home, address, revision, holder, .. } = *line;
            (position, time_ms, home.1, address, revision, holder, owner, slot)
        };
        let mut lines: Vec<Told> = self.lines.iter().filter(is_asked).map(told).collect();
        if !ask.oldest_first {
            lines.reverse();
        }
        lines
    }

    /// Asks a few things: nothing is made up, and what is missing is said to be.
    pub(super) fn check(&mut self, stage: &Stage, random: &mut Random) {
        self.note(stage);
        self.has_failed |= stage.history_disk.failed() || stage.disk.failed();
        let bytes: usize = stage.history_disk.contents().values().map(Vec::len).sum();
        let known = stage.shelf.figures();
        let (bytes, has_failed) = (bytes as u64, self.has_failed);
        // Also what a failing disk did not remove counts, and no less than there is; if it doesn't say how long a file is that
        // it keeps, as much as that could be.
        // Nothing does before the files were looked at.
        let is_counted = bytes <= known.bytes || known.last == Seq(0);
        let is_within = bytes <= self.settings.bytes_max
            && (has_failed || known.bytes <= self.settings.bytes_max);
        assert!(
            is_counted && is_within,
            "{bytes} bytes of history, failed: {has_failed}: {known:?}"
        );
        let disk = Arc::new(stage.history_disk.clone()) as Arc<dyn Disk>;
        let server = stage.engine.inner.identity.server_id;
        let looker = Looker::new(disk, Arc::clone(&stage.shelf), server);
        for _ in 0..if self.lines.is_empty() { 0 } else { 4 } {
            let Some(ask) = self.ask(random) else { continue };
            self.check_answer(stage, &looker, ask);
        }
    }

    fn check_answer(&mut self, stage: &Stage, looker: &Looker, mut ask: Ask) {
        let (mut told, mut reach, mut upto) = (Vec::new(), Tick(0), u64::MAX);
        let mut is_incomplete = false;
        let expected = self.expected(&ask);
        loop {
            let page = looker.look(&ask);
            told.extend(page.entries.iter().map(told_of));
            (reach, upto) = (reach.max(page.reach), upto.min(page.position.0));
            is_incomplete |= page.is_incomplete;
            self.has_failed |= stage.history_disk.failed() || stage.disk.failed();
            ask.mark = page.next;
            if page.next.is_none() {
                break;
            }
        }
        let mut rest = expected.iter();
        // What a journal whose disk fails doesn't give to read is written down in the next life.
        for entry in told.iter().filter(|entry| entry.0 <= self.at.0) {
            let is_so = rest.any(|line| line == entry);
            assert!(
                is_so,
                "made up, or told twice: {entry:?}; {ask:?}: {expected:?}; {:?}",
                stage.shelf.view()
            );
        }
        self.compared += told.len() as u64;
        assert!(self.has_failed || !is_incomplete, "nothing has failed");
        let is_missing = |line: &&Told| line.0 <= upto && !told.contains(line);
        let mut missing = expected.iter().filter(is_missing);
        let silent = missing.find(|line| self.is_gentle || !is_incomplete && line.1 >= reach.0);
        assert_eq!(
            silent,
            None,
            "missing, and not told; {ask:?}, {reach:?}, up to {upto}, incomplete: {is_incomplete}, failed: \
             {}; {:?}",
            self.has_failed,
            stage.shelf.view()
        );
    }
}

fn told_of(entry: &HistoryEntry) -> Told {
    (
        entry.position.0,
        entry.time_ms,
        entry.network_id.0,
        entry.address,
        entry.revision.0,
        entry.project_id,
        entry.owner,
        entry.slot,
    )
}
