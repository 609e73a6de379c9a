//! A worker: owns its networks, decides operations in the order of its ring, hands over. It waits
//! for nothing but room in the committer's ring, and never replies by itself except with what is
//! durable already.

use super::access::AccessDesk;
use super::answer;
use super::audit::AuditDesk;
use super::figures::WorkerFigures;
use super::gather::Gather;
use super::handover::{Delivery, HandOver};
use super::late::LateRefusals;
use super::levels;
use super::operation::{Parcel, Stages};
use super::pressure::{Pressure, Refuse};
use super::sequencer::{Away, Lent, Loan, Sequenced};
use super::{Clock, Progress};
use crate::allocator::{At, JobProgress, Shard, is_renewal};
use crate::journal::RecordBuffer;
use crate::limits;
use crate::model::{Asked, EffectSink, Incarnation, Seq, Status, Tick};
use crate::planted::{Bug, is_planted};
use addrd_sync::{
    Class, Consumer, Cost, Doorbell, DrainCounter, DrainWatch, DurableMark, Level, Producer,
};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a worker's ring carries.
#[derive(Debug)]
pub enum Work {
    /// Operations of one connection.
    Parcel(Parcel),
    /// A part of a gathered operation.
    Part(Arc<Gather>),
    /// The sequencer wants the state. It stands behind everything that was pushed before.
    Lend(Loan),
}

/// What workers share with the other threads.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// What may grow.
    pub pressure: Arc<Pressure>,
    /// Durable position of the journal.
    pub position: Arc<DurableMark>,
    /// Restores that the data has seen.
    pub incarnation: Incarnation,
    /// Rings when something was handed over.
    pub committer_bell: Doorbell,
    /// The tick at which adoption mode began, for those who only tell of it; 0 = it is not on.
    pub adoption: Arc<Level>,
    /// Who may do what, for connections.
    pub access: Arc<AccessDesk>,
    /// Where is told what operators asked for in vain.
    pub audit: Arc<AuditDesk>,
}

/// One worker. `step` is all of it; the thread around it only sleeps.
pub struct Worker {
    source: usize,
    /// `None` while lent.
    shard: Option<Box<Shard>>,
    /// Where the state comes back from while it is lent.
    away: Option<Away>,
    intake: Consumer<Work>,
    backlog: VecDeque<Work>,
    taken: Vec<(Work, Cost)>,
    /// Operations of the first parcel of the backlog that are decided already.
    parcel_done: usize,
    out: Producer<HandOver>,
    handed: u64,
    own_mark: Arc<DurableMark>,
    sequenced: u64,
    sequencer_mark: Arc<DurableMark>,
    sequencer: Producer<Sequenced>,
    sequencer_bell: Doorbell,
    drain: DrainCounter,
    late: LateRefusals,
    shared: Shared,
    figures: WorkerFigures,
    has_jobs: bool,
    /// Drains since the last slice of a job.
    drains_without_slice: u32,
    /// Whether leases are not ended, since the clock is in doubt or owners re-take theirs.
    was_stopped: bool,
    /// When something of this worker was handed over last that has its tick in the journal.
    marked: Tick,
    /// The journal knows when it ended.
    has_marked_end: bool,
    is_closed: bool,
}

/// What a worker is made of.
#[derive(Debug)]
pub struct WorkerParts {
    /// Its number.
    pub source: usize,
    /// Its state, recovered.
    pub shard: Box<Shard>,
    /// Its ring.
    pub intake: Consumer<Work>,
    /// The committer's ring.
    pub out: Producer<HandOver>,
    /// Its hand-overs that are durable.
    pub own_mark: Arc<DurableMark>,
    /// The sequencer's hand-overs that are durable.
    pub sequencer_mark: Arc<DurableMark>,
    /// The sequencer's ring, for jobs that end with work that spans workers.
    pub sequencer: Producer<Sequenced>,
    /// Wakes the sequencer.
    pub sequencer_bell: Doorbell,
    /// Its drain counter.
    pub drain: DrainCounter,
    /// Sees those of all workers.
    pub watch: DrainWatch,
    /// What it shares.
    pub shared: Shared,
    /// Its figures.
    pub figures: WorkerFigures,
}

/// What is being put together during one drain.
struct Draft {
    records: RecordBuffer,
    deliveries: Vec<Delivery>,
    /// Refusals by a quota, and what tells of them.
    late: Vec<Delivery>,
    operations: u32,
    reply_bytes: usize,
}

impl Draft {
    fn new(deliveries: usize) -> Self {
        Self {
            records: RecordBuffer::with_capacity(0),
            deliveries: Vec::with_capacity(deliveries),
            late: Vec::new(),
            operations: 0,
            reply_bytes: 0,
        }
    }

    const fn is_full(&self, records: usize) -> bool {
        records >= limits::DRAIN_RECORD_BYTES_MAX
            || self.reply_bytes >= limits::DRAIN_REPLY_BYTES_MAX
    }
}

impl Worker {
    /// Ready for its first step.
    #[must_use]
    pub fn new(mut parts: WorkerParts) -> Self {
        // Downtime is not the fault of those who would have renewed meanwhile.
        let marked = parts.shared.clock.tick();
        parts.shard.grant_restart_grace(marked);
        parts.shard.tell_hosts(parts.source == 0);
        if let Some(counts) = parts.shard.level_counts() {
            parts.figures.levels(counts);
        }
        // In adoption mode the deadlines at hand may be older than what owners were told.
        let was_stopped = parts.shared.clock.is_doubted() || parts.shard.is_adopting();
        parts.shard.stop_expiry(was_stopped);
        Self {
            source: parts.source,
            shard: Some(parts.shard),
            away: None,
            intake: parts.intake,
            backlog: VecDeque::new(),
            taken: Vec::new(),
            parcel_done: 0,
            out: parts.out,
            handed: 0,
            own_mark: parts.own_mark,
            sequenced: 0,
            sequencer_mark: parts.sequencer_mark,
            sequencer: parts.sequencer,
            sequencer_bell: parts.sequencer_bell,
            drain: parts.drain,
            late: LateRefusals::new(parts.watch, parts.source),
            shared: parts.shared,
            figures: parts.figures,
            has_jobs: true,
            drains_without_slice: 0,
            was_stopped,
            marked,
            has_marked_end: false,
            is_closed: false,
        }
    }

    /// Takes one drain, decides it, hands it over. After a step that lent the state, the next one
    /// waits until it comes back.
    pub fn step(&mut self) -> Progress {
        let has_pushed = self.push_late();
        if self.late.is_full() {
            return if has_pushed { Progress::Worked } else { Progress::Idle };
        }
        match self.step_on() {
            Progress::Idle if has_pushed => Progress::Worked,
            // Somebody waits for what this worker still has.
            Progress::Finished if !self.late.is_empty() => Progress::Idle,
            progress => progress,
        }
    }

    fn step_on(&mut self) -> Progress {
        if let Some(away) = self.away.take() {
            self.take_back(away.wait());
            return Progress::Worked;
        }
        self.notice_time();
        if self.backlog.is_empty() {
            let operations = if self.shared.pressure.is_crowded() {
                limits::DRAIN_OPERATIONS_CROWDED
            } else {
                limits::DRAIN_OPERATIONS_MAX
            };
            let limit = Cost::new(operations, u32::MAX);
            self.intake.pop_many(limit, &mut self.taken);
            self.backlog.extend(self.taken.drain(..).map(|(work, _)| work));
            self.read_ahead();
        }
        match self.backlog.front() {
            Some(Work::Lend(_)) => self.lend(),
            None if self.is_mark_due() => self.mark_time(),
            None if self.intake.is_finished() => Progress::Finished,
            None if !self.can_go_on() => self.rest(),
            _ => self.decide_drain(),
        }
    }

    /// A drain is known before it is applied: what it will read is read for all of it first.
    fn read_ahead(&mut self) {
        let Some(shard) = &mut self.shard else { return };
        let operations = self.backlog.iter().filter_map(|work| match work {
            Work::Parcel(parcel) => Some(parcel.operations.iter()),
            Work::Part(_) | Work::Lend(_) => None,
        });
        shard.read_ahead(operations.flatten().map(|of| (&of.scope, &of.request)));
    }

    /// Whether a step would find something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        if self.late.is_due() {
            return true;
        }
        let has_intake = !self.intake.is_empty() || self.intake.is_finished();
        !self.late.is_full()
            && (has_intake || self.away.is_some() || self.can_go_on() || self.is_mark_due())
    }

    /// Whether refusals wait for other workers, who ring no bell when they leave a drain.
    #[must_use]
    pub fn waits_for_others(&self) -> bool {
        !self.late.is_empty()
    }

    /// The state; `None` while it is lent.
    #[must_use]
    pub fn state(&self) -> Option<&Shard> {
        self.shard.as_deref()
    }

    /// Nothing is to be decided.
    fn rest(&mut self) -> Progress {
        self.drains_without_slice = self.drains_without_slice.saturating_add(1);
        let (clock, figures) = (&*self.shared.clock, &mut self.figures);
        let is_busy = self.shard.as_mut().is_some_and(|shard| {
            let has_more = figures.samples(shard, clock.tick(), limits::SURVEY_IDLE_SUBNETS);
            figures.rests(shard, clock) || has_more
        });
        if is_busy { Progress::Worked } else { Progress::Idle }
    }

    /// Reads the clock, so that a standstill is noticed before anything is decided.
    fn notice_time(&mut self) {
        let clock = &*self.shared.clock;
        clock.look_again();
        // Before the tick is read: it moves before the doubt ends.
        let is_doubted = clock.is_doubted();
        let (at, refused) = (self.at(), Tick(self.shared.pressure.renewal_refused.get()));
        let Some(shard) = &mut self.shard else { return };
        shard.notice_time(&at, refused);
        let is_stopped = is_doubted || shard.is_adopting();
        if is_stopped != self.was_stopped {
            shard.stop_expiry(is_stopped);
            self.was_stopped = is_stopped;
            // What could not be judged meanwhile is nobody's fault.
            shard.grant_restart_grace(at.tick);
        }
    }

    /// Whether the journal has to learn what time it is: what has a lease or rests is judged by that
    /// after a restart. At the end it always does.
    fn is_mark_due(&self) -> bool {
        let has_times =
            |shard: &Shard| shard.leases() + shard.resting() > 0 || shard.has_host_leases();
        let has_times = self.shard.as_deref().is_some_and(has_times);
        let age = self.shared.clock.tick().since(self.marked);
        let is_last = self.intake.is_finished() && !self.has_marked_end;
        has_times && (is_last || age > limits::TICK_AGE_MS_MAX)
    }

    /// Hands over nothing but the time.
    fn mark_time(&mut self) -> Progress {
        let out = self.out.clone();
        let Ok(permit) = out.admit(Self::ROOM, Class::Ordinary) else {
            return Progress::Blocked;
        };
        let (at, began_ns) = (self.at(), self.shared.clock.monotonic_ns());
        self.handed += 1;
        self.marked = at.tick;
        self.has_marked_end = self.intake.is_finished();
        let (hand_over, cost) = self.finish(Draft::new(0), &at, began_ns);
        permit.push_smaller(HandOver { marks_time: true, ..hand_over }, cost);
        self.shared.committer_bell.ring();
        Progress::Worked
    }

    /// Whether jobs are to be worked on, or leases or rests to be ended, and may be.
    fn can_go_on(&self) -> bool {
        let has_more =
            |shard: &Shard| shard.has_suspects_to_release() || shard.has_levels_to_tell();
        let has_more = || self.shard.as_deref().is_some_and(has_more);
        (self.has_jobs || self.expires_in_ms() == Some(0) || has_more()) && self.may_slice()
    }

    /// Time until the next lease or rest has to be looked at, ms.
    fn expires_in_ms(&self) -> Option<u64> {
        let shard = self.shard.as_deref()?;
        let next = shard.next_expiry().into_iter().chain(shard.next_rest_end()).min()?;
        Some(next.since(self.shared.clock.tick()))
    }

    /// How long it may sleep, ms, `most` at most.
    #[must_use]
    pub fn sleep_ms(&self, most: u64) -> u64 {
        match self.expires_in_ms() {
            // It is due and may not be done, or it would not sleep.
            None | Some(0) => most,
            Some(left) => left.min(most),
        }
    }

    /// Whether the journal has room for a slice. What is left of a nearly full one is for those who
    /// wait for answers: jobs are slow then, but they don't stand still.
    fn may_slice(&self) -> bool {
        let pressure = &self.shared.pressure;
        let is_due = self.drains_without_slice >= limits::JOB_DRAINS_CROWDED;
        (is_due || !pressure.is_crowded()) && pressure.refuse() != Refuse::Mutations
    }

    /// Whether the next thread has room for a drain.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.out.has_room(Self::ROOM, Class::Ordinary)
    }

    /// Takes nothing more; what is in the ring is still decided.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.intake.close();
    }

    /// Whether [`Worker::close`] was called.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The loop has turned.
    pub fn turned(&mut self) {
        self.figures.turned(self.shared.clock.monotonic_ns());
    }

    fn decide_drain(&mut self) -> Progress {
        let out = self.out.clone();
        let Ok(permit) = out.admit(Self::ROOM, Class::Ordinary) else {
            return Progress::Blocked;
        };
        let Some(mut shard) = self.shard.take() else {
            return Progress::Blocked;
        };
        self.drain.enter();
        let began_ns = self.shared.clock.monotonic_ns();
        let at = self.at();
        let mut draft = Draft::new(self.backlog.len());
        draft.records = RecordBuffer::with_capacity(limits::DRAIN_RECORD_CAPACITY);
        if self.leaves_room(limits::REST_SLICE_RECORD_BYTES_MAX) {
            self.end_rests(&mut shard, &at, &mut draft);
        }
        self.decide_backlog(&mut shard, &at, began_ns, &mut draft);
        // From here on the server does what nobody asks for.
        draft.records.sign(Asked::default());
        // Asked before the slice of the jobs takes the turn.
        let may_slice = self.may_slice();
        self.step_jobs(&mut shard, &at, &mut draft);
        self.tell_levels(&mut shard, &mut draft, may_slice);
        self.figures.samples(&mut shard, at.tick, limits::SURVEY_DRAIN_SUBNETS);
        self.figures.drained(&shard, draft.operations, began_ns, &*self.shared.clock);
        let late = std::mem::take(&mut draft.late);
        let worked = draft.operations > 0 || draft.records.record_count() > 0;
        if draft.records.record_count() == 0 && self.is_settled() {
            drop(permit);
            let now = self.shared.clock.monotonic_ns();
            let stages = Stages { began_ns, ..Stages::at(now) };
            draft.deliveries.into_iter().for_each(|delivery| delivery.release(stages));
        } else {
            self.handed += 1;
            if draft.records.record_count() > 0 {
                self.marked = at.tick;
            }
            let (hand_over, cost) = self.finish(draft, &at, began_ns);
            permit.push_smaller(hand_over, cost);
            self.shared.committer_bell.ring();
        }
        // What was freed may be used by others now: its records stand before theirs.
        shard.settle_quotas();
        self.shard = Some(shard);
        self.late.keep(late);
        self.drain.leave();
        self.push_late();
        if worked { Progress::Worked } else { Progress::Idle }
    }

    /// Hands over the refusals whose time has come, while there is room; whether there were any.
    fn push_late(&mut self) -> bool {
        let mut has_pushed = false;
        while self.late.is_due() {
            let out = self.out.clone();
            let Ok(permit) = out.admit(Self::ROOM, Class::Ordinary) else { break };
            let Some(late) = self.late.take_due() else { break };
            self.handed += 1;
            let began_ns = self.shared.clock.monotonic_ns();
            let draft = Draft { deliveries: late, ..Draft::new(0) };
            let (hand_over, cost) = self.finish(draft, &self.at(), began_ns);
            permit.push_smaller(hand_over, cost);
            self.shared.committer_bell.ring();
            has_pushed = true;
        }
        has_pushed
    }

    fn decide_backlog(&mut self, shard: &mut Shard, at: &At, began_ns: u64, draft: &mut Draft) {
        let refuse = self.shared.pressure.refuse();
        while let Some(work) = self.backlog.front_mut() {
            match work {
                Work::Lend(_) => return,
                Work::Part(gather) => {
                    if draft.operations > 0
                        && !answer::fits(gather.operation(), draft.records.bytes())
                    {
                        return;
                    }
                    let answer = decide_part(shard, at, refuse, gather, &mut draft.records);
                    let is_busy = answer::status_of(&answer) == Status::BUSY;
                    if is_busy && is_renewal(&gather.operation().request) {
                        self.shared.pressure.renewal_refused.set(at.tick.0);
                    }
                    let answer = Box::new(answer);
                    let delivery = Delivery::Part { gather: Arc::clone(gather), at: *at, answer };
                    draft.reply_bytes += delivery.bytes();
                    draft.deliveries.push(delivery);
                    draft.operations += 1;
                }
                Work::Parcel(parcel) => {
                    if self.parcel_done == 0 {
                        let waited = began_ns.saturating_sub(parcel.pushed_ns);
                        self.figures.waited(waited, parcel.operations.len());
                    }
                    let (done, pressure) = (self.parcel_done, &*self.shared.pressure);
                    let audit = &*self.shared.audit;
                    let part = ParcelPart { parcel, pressure, audit, done, refuse };
                    self.parcel_done = part.decide(shard, at, draft, &mut self.figures);
                    if self.parcel_done < parcel.operations.len() {
                        return;
                    }
                    self.parcel_done = 0;
                }
            }
            self.backlog.pop_front();
            if draft.is_full(draft.records.bytes()) {
                return;
            }
        }
    }

    /// Whether the first operation of a drain fits behind so many bytes of records.
    fn leaves_room(&self, bytes: usize) -> bool {
        match self.backlog.front() {
            Some(Work::Parcel(parcel)) => {
                let first = parcel.operations.get(self.parcel_done);
                first.is_none_or(|operation| answer::fits(operation, bytes))
            }
            Some(Work::Part(gather)) => answer::fits(gather.operation(), bytes),
            Some(Work::Lend(_)) | None => true,
        }
    }

    /// Takes away rests that have ended, before anything is decided that would come across them.
    fn end_rests(&self, shard: &mut Shard, at: &At, draft: &mut Draft) {
        let is_due = shard.next_rest_end().is_some_and(|end| end <= at.tick);
        if is_due && self.shared.pressure.refuse() != Refuse::Mutations {
            shard.step_rests(at, limits::REST_SLICE_OBJECTS, &mut draft.records);
        }
    }

    /// One slice of the jobs of this worker, if the drain left room for it.
    fn step_jobs(&mut self, shard: &mut Shard, at: &At, draft: &mut Draft) {
        let suspects = match shard.has_suspects_to_release() {
            true => limits::RECONCILE_SLICE_RECORD_BYTES_MAX,
            false => 0,
        };
        let bytes = draft.records.bytes()
            + limits::JOB_SLICE_RECORD_BYTES_MAX
            + limits::EXPIRY_SLICE_RECORD_BYTES_MAX
            + suspects
            + limits::REST_SLICE_RECORD_BYTES_MAX;
        if draft.is_full(bytes) || !self.may_slice() {
            self.drains_without_slice = self.drains_without_slice.saturating_add(1);
            return;
        }
        self.drains_without_slice = 0;
        if draft.operations > 0 {
            self.end_rests(shard, at, draft);
        }
        self.expire(shard, at, draft);
        self.release_suspects(shard, at, draft);
        let progress = shard.step_jobs(at, limits::JOB_SLICE_OBJECTS, &mut draft.records);
        // A port that goes without an address tells nobody why.
        _ = shard.take_quota_refusal();
        match progress {
            JobProgress::Idle => self.has_jobs = false,
            JobProgress::Worked => self.has_jobs = true,
            JobProgress::NeedsFinish(network) => {
                // No room: asked again after the next drain.
                let item = Sequenced::Finish { network };
                self.has_jobs =
                    self.sequencer.try_push(item, Cost::new(1, 0), Class::Reserved).is_err();
                self.sequencer_bell.ring();
            }
        }
    }

    /// Ends some of the leases that are over.
    fn expire(&mut self, shard: &mut Shard, at: &At, draft: &mut Draft) {
        shard.step_expiry(at, limits::EXPIRY_SLICE_OBJECTS, &mut draft.records);
        self.figures.expired(shard.take_ended());
        let ends = shard.take_host_ends();
        super::host_ends::log(&ends);
    }

    /// Releases some of what two reconciliations missed.
    fn release_suspects(&mut self, shard: &mut Shard, at: &At, draft: &mut Draft) {
        if shard.has_suspects_to_release() {
            let most = limits::RECONCILE_SLICE_OBJECTS;
            self.figures.reconciled(shard.step_reconcile(at, most, &mut draft.records));
        }
    }

    /// Tells of subnets that have crossed a level of use, if that fits behind the drain.
    fn tell_levels(&mut self, shard: &mut Shard, draft: &mut Draft, may_slice: bool) {
        let bytes = draft.records.bytes() + limits::LEVEL_SLICE_RECORD_BYTES_MAX;
        let has_room = bytes <= limits::HAND_OVER_RECORD_BYTES_MAX;
        if has_room && may_slice && shard.has_levels_to_tell() {
            levels::log(&shard.tell_levels(&mut draft.records));
        }
        if let Some(counts) = shard.level_counts() {
            self.figures.levels(counts);
        }
    }

    /// Gives the state to the sequencer.
    ///
    /// Everything decided before is in the committer's ring by now, because a drain pushes before
    /// the next step.
    fn lend(&mut self) -> Progress {
        let Some(Work::Lend(loan)) = self.backlog.pop_front() else {
            return Progress::Idle;
        };
        if let Some(shard) = self.shard.take() {
            self.away = Some(loan.give(Lent { shard, sequenced: self.sequenced }));
        }
        Progress::Worked
    }

    fn take_back(&mut self, mut lent: Lent) {
        self.figures.holds(&lent.shard);
        if let Some(counts) = lent.shard.level_counts() {
            self.figures.levels(counts);
        }
        // The sequencer handed over what it refused, behind everything that it rests on.
        _ = lent.shard.take_quota_refusal();
        self.shard = Some(lent.shard);
        self.sequenced = lent.sequenced;
        self.has_jobs = true;
    }

    /// Whether everything that this state rests on is durable.
    fn is_settled(&self) -> bool {
        is_planted(Bug::ReadBeforeCommit)
            || self.own_mark.covers(self.handed) && self.sequencer_mark.covers(self.sequenced)
    }

    fn at(&self) -> At {
        At {
            tick: self.shared.clock.tick(),
            position: Seq(self.shared.position.get()),
            incarnation: self.shared.incarnation,
        }
    }

    fn finish(&self, mut draft: Draft, at: &At, began_ns: u64) -> (HandOver, Cost) {
        draft.records.close();
        let reply_bytes: usize = draft.deliveries.iter().map(Delivery::bytes).sum();
        let bytes = draft.records.bytes() + reply_bytes;
        let cost =
            Cost::new(draft.records.record_count(), u32::try_from(bytes).unwrap_or(u32::MAX));
        let hand_over = HandOver {
            source: self.source,
            number: self.handed,
            tick: at.tick,
            records: draft.records,
            marks_time: false,
            deliveries: draft.deliveries,
            operations: draft.operations,
            began_ns,
            pushed_ns: self.shared.clock.monotonic_ns(),
        };
        (hand_over, cost)
    }
}

impl Worker {
    const ROOM: Cost = Cost::new(limits::HAND_OVER_RECORDS_MAX, limits::HAND_OVER_BYTES_MAX);
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("source", &self.source).finish_non_exhaustive()
    }
}

fn decide_part(
    shard: &mut Shard,
    at: &At,
    refuse: Refuse,
    gather: &Gather,
    records: &mut RecordBuffer,
) -> crate::allocator::Answer {
    records.sign(gather.asked());
    answer::decide(shard, at, refuse, gather.operation(), records)
}

/// A parcel whose first operations may be decided already.
struct ParcelPart<'a> {
    parcel: &'a Parcel,
    pressure: &'a Pressure,
    audit: &'a AuditDesk,
    done: usize,
    refuse: Refuse,
}

impl ParcelPart<'_> {
    /// Decides operations until the parcel ends or the draft is full; gives how many are done.
    fn decide(
        self,
        shard: &mut Shard,
        at: &At,
        draft: &mut Draft,
        figures: &mut WorkerFigures,
    ) -> usize {
        let rest = self.parcel.operations.get(self.done..).unwrap_or_default();
        let mut frames = BytesMut::with_capacity(rest.len() * limits::PLAIN_REPLY_BYTES);
        let mut late = BytesMut::new();
        let (mut done, mut refused) = (0, 0);
        for operation in rest {
            let before = draft.records.bytes();
            // Alone it fits any drain; and rests were ended only if it fits behind them.
            if done + draft.operations as usize > 0 && !answer::fits(operation, before) {
                break;
            }
            draft.records.sign(Asked::new(operation.by(), operation.opcode));
            let answer = answer::decide(shard, at, self.refuse, operation, &mut draft.records);
            let status = answer::status_of(&answer);
            if status == Status::BUSY && is_renewal(&operation.request) {
                self.pressure.renewal_refused.set(at.tick.0);
            }
            figures.answered(operation.opcode, status);
            self.audit.decided(operation, status, at.tick);
            if shard.take_quota_refusal() {
                answer::encode(operation, &answer, &mut late);
                refused += 1;
            } else {
                answer::encode(operation, &answer, &mut frames);
            }
            done += 1;
            let reply_bytes = draft.reply_bytes + frames.len() + late.len();
            if draft.is_full(draft.records.bytes()) || reply_bytes >= limits::DRAIN_REPLY_BYTES_MAX
            {
                break;
            }
        }
        draft.reply_bytes += frames.len() + late.len();
        draft.operations += u32::try_from(done).unwrap_or(u32::MAX);
        draft.deliveries.extend(self.delivery(frames, done - refused));
        draft.late.extend(self.delivery(late, refused));
        self.done + done
    }

    fn delivery(&self, frames: BytesMut, operations: usize) -> Option<Delivery> {
        let outlet = Arc::clone(&self.parcel.outlet);
        let (frames, pushed_ns) = (frames.freeze(), self.parcel.pushed_ns);
        let operations = u32::try_from(operations).unwrap_or(u32::MAX);
        (operations > 0).then(|| Delivery::Frames { outlet, frames, operations, pushed_ns })
    }
}
