//! The sequencer: decides operations that span workers, over states that the workers lend. While
//! it decides, nobody else can; nothing is provisional. Of its own it has the catalogue, which nobody
//! else changes; what concerns that alone is decided without stopping anybody.

use super::Progress;
use super::access::table_of;
use super::answer;
use super::figures::WorkerFigures;
use super::handover::{Delivery, HandOver};
use super::levels;
use super::operation::{Operation, Parcel};
use super::pressure::Refuse;
use super::worker::Shared;
use crate::access::Authorized;
use crate::allocator::{self, Answer, At, Catalogue, Shard};
use crate::journal::RecordBuffer;
use crate::limits;
use crate::model::{Asked, EffectSink, NetworkHandle, Seq, Status, Tick, worker_of};
use addrd_protocol::message::Request;
use addrd_sync::{Class, Consumer, Cost, Producer};
use bytes::BytesMut;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What the sequencer's ring carries.
#[derive(Debug)]
pub enum Sequenced {
    /// Operations of one connection.
    Parcel(Parcel),
    /// A job has emptied this network; what is left of it spans workers.
    Finish {
        /// The network.
        network: NetworkHandle,
    },
}

/// A worker's state in somebody else's hands.
#[derive(Debug)]
pub struct Lent {
    /// The state.
    pub shard: Box<Shard>,
    /// Number of the sequencer's hand-over that touched it last.
    pub sequenced: u64,
}

/// The worker's end of a loan.
#[derive(Debug)]
pub struct Loan {
    give: SyncSender<Lent>,
    take_back: Receiver<Lent>,
}

/// The sequencer's end of a loan.
#[derive(Debug)]
pub struct Borrowing {
    take: Receiver<Lent>,
    give_back: SyncSender<Lent>,
}

/// Makes the two ends of one loan.
#[must_use]
pub fn loan() -> (Loan, Borrowing) {
    let (give, take) = sync_channel(1);
    let (give_back, take_back) = sync_channel(1);
    (Loan { give, take_back }, Borrowing { take, give_back })
}

/// A state that is away.
#[derive(Debug)]
pub struct Away(Receiver<Lent>);

impl Loan {
    /// Gives the state away. Never waits.
    ///
    /// Panics: if the sequencer died: the state is lost, and the process must stop.
    #[must_use]
    pub fn give(self, lent: Lent) -> Away {
        assert!(self.give.send(lent).is_ok(), "the sequencer took no state that it asked for");
        Away(self.take_back)
    }
}

impl Away {
    /// Waits for the state.
    ///
    /// Panics: if the sequencer died with it: the state is lost, and the process must stop.
    #[must_use]
    pub fn wait(self) -> Lent {
        let Ok(lent) = self.0.recv() else { panic!("the sequencer lost a worker's state") };
        lent
    }
}

impl Borrowing {
    /// Waits for the state.
    ///
    /// Panics: if the worker died: the process must stop.
    #[must_use]
    pub fn take(&self) -> Lent {
        let Ok(lent) = self.take.recv() else { panic!("a worker died before it lent its state") };
        lent
    }

    /// The state, if the worker has given it by now.
    #[must_use]
    pub fn try_take(&self) -> Option<Lent> {
        self.take.try_recv().ok()
    }

    /// Gives it back. Never waits.
    pub fn give_back(self, lent: Lent) {
        assert!(self.give_back.send(lent).is_ok(), "a worker died while its state was lent");
    }
}

/// One rendezvous' worth of work, taken but not decided.
#[derive(Debug, Default)]
pub struct Agenda(Vec<Sequenced>);

impl Agenda {
    /// Whether anything in it concerns a state that a worker has.
    #[must_use]
    pub fn needs_workers(&self) -> bool {
        let alone = |operation: &Authorized<Operation>| {
            allocator::needs_no_shard(&operation.scope, &operation.request)
        };
        self.0.iter().any(|item| match item {
            Sequenced::Parcel(parcel) => !parcel.operations.iter().all(alone),
            Sequenced::Finish { .. } => true,
        })
    }
}

/// The sequencer without the rendezvous: [`Sequencer::take`] says what is to be done,
/// [`Sequencer::decide`] does it over states that somebody got hold of.
pub struct Sequencer {
    source: usize,
    intake: Consumer<Sequenced>,
    taken: Vec<(Sequenced, Cost)>,
    out: Producer<HandOver>,
    handed: u64,
    catalogue: Box<Catalogue>,
    shared: Shared,
    figures: WorkerFigures,
    /// Whether leases are not ended, since the clock is in doubt or owners re-take theirs.
    was_stopped: bool,
    /// When something was handed over last that has its tick in the journal.
    marked: Tick,
    /// The journal knows when it ended.
    has_marked_end: bool,
    /// Changes of principals that connections were told of.
    access_changes: u64,
    /// Turns since leases were ended.
    turns_without_ends: u32,
    is_closed: bool,
}

impl Sequencer {
    /// Ready, with the catalogue as recovery left it.
    #[must_use]
    pub fn new(
        source: usize,
        intake: Consumer<Sequenced>,
        out: Producer<HandOver>,
        mut catalogue: Box<Catalogue>,
        shared: Shared,
        mut figures: WorkerFigures,
    ) -> Self {
        // As a worker does: downtime is nobody's fault, and what is in doubt ends nothing.
        let marked = shared.clock.tick();
        catalogue.grant_restart_grace(marked);
        let was_stopped = shared.clock.is_doubted() || catalogue.is_adopting();
        catalogue.stop_expiry(was_stopped);
        figures.leases(catalogue.leases());
        let access_changes = catalogue.principals().changes();
        Self {
            source,
            intake,
            taken: Vec::new(),
            out,
            handed: 0,
            catalogue,
            shared,
            figures,
            was_stopped,
            marked,
            has_marked_end: false,
            turns_without_ends: 0,
            access_changes,
            is_closed: false,
        }
    }

    /// Whether something waits, or nothing will come any more.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.intake.is_empty() || self.intake.is_finished() || self.may_go_on()
    }

    /// Whether there is work that nobody asked for, and it may be done.
    fn may_go_on(&self) -> bool {
        let may_expire = self.may_expire() && !self.intake.is_finished();
        self.may_tell_levels() || may_expire || self.is_mark_due()
    }

    /// Whether leases of prefixes are to be looked at, and the journal has room for their ends. What is left of a
    /// nearly full one is for those who wait for answers: ends are slow then, but they don't stand still.
    fn may_expire(&self) -> bool {
        let pressure = &self.shared.pressure;
        let is_turn = self.turns_without_ends >= limits::JOB_DRAINS_CROWDED;
        let has_room = pressure.refuse() != Refuse::Mutations;
        self.expires_in_ms() == Some(0) && has_room && (is_turn || !pressure.is_crowded())
    }

    /// Time until the next lease has to be looked at, ms.
    fn expires_in_ms(&self) -> Option<u64> {
        self.catalogue.next_expiry().map(|next| next.since(self.shared.clock.tick()))
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

    /// Whether the journal has to learn what time it is: leases are judged by that after a restart. At the
    /// end it always does.
    fn is_mark_due(&self) -> bool {
        let age = self.shared.clock.tick().since(self.marked);
        let is_last = self.intake.is_finished() && !self.has_marked_end;
        self.catalogue.leases() > 0 && (is_last || age > limits::TICK_AGE_MS_MAX)
    }

    /// Reads the clock, so that a standstill is noticed before anything is decided.
    fn notice_time(&mut self) {
        let clock = &*self.shared.clock;
        clock.look_again();
        // Before the tick is read: it moves before the doubt ends.
        let is_doubted = clock.is_doubted();
        let (at, refused) = (self.at(), Tick(self.shared.pressure.renewal_refused.get()));
        self.catalogue.notice_time(&at, refused);
        let is_stopped = is_doubted || self.catalogue.is_adopting();
        if is_stopped != self.was_stopped {
            self.catalogue.stop_expiry(is_stopped);
            self.was_stopped = is_stopped;
            // What could not be judged meanwhile is nobody's fault.
            self.catalogue.grant_restart_grace(at.tick);
        }
    }

    /// Whether pools have crossed a level of use, and the journal has room for records of it.
    fn may_tell_levels(&self) -> bool {
        self.catalogue.has_levels_to_tell() && self.shared.pressure.refuse() != Refuse::Mutations
    }

    /// Takes nothing more; what is in the ring is still decided.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.intake.close();
    }

    /// Whether [`Sequencer::close`] was called.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The catalogue.
    #[must_use]
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The loop has turned.
    pub fn turned(&mut self) {
        self.figures.turned(self.shared.clock.monotonic_ns());
    }

    /// Takes what one rendezvous decides.
    ///
    /// # Errors
    /// `Idle`: nothing waits. `Blocked`: the committer's ring has no room. `Finished`: nothing will
    /// come any more.
    pub fn take(&mut self) -> Result<Agenda, Progress> {
        self.notice_time();
        self.turns_without_ends = self.turns_without_ends.saturating_add(1);
        if self.intake.is_empty() && !self.may_go_on() {
            let is_finished = self.intake.is_finished();
            return Err(if is_finished { Progress::Finished } else { Progress::Idle });
        }
        if !self.out.has_room(Self::ROOM, Class::Ordinary) {
            return Err(Progress::Blocked);
        }
        let limit =
            Cost::new(limits::RENDEZVOUS_OPERATIONS_MAX, limits::RENDEZVOUS_REQUEST_BYTES_MAX);
        self.intake.pop_many(limit, &mut self.taken);
        Ok(Agenda(self.taken.drain(..).map(|(item, _)| item).collect()))
    }

    /// Decides over the catalogue and all lent states (none if [`Agenda::needs_workers`] says so), pushes one hand-over or, where the agenda does not fit one,
    /// several. Gives the number of the last one, which the states rest on from now on.
    pub fn decide(&mut self, agenda: Agenda, shards: &mut [&mut Shard]) -> u64 {
        let began_ns = self.shared.clock.monotonic_ns();
        let mut draft = Draft { began_ns, ..Draft::default() };
        for item in agenda.0 {
            match item {
                Sequenced::Parcel(parcel) => self.decide_parcel(&parcel, shards, &mut draft),
                Sequenced::Finish { network } => {
                    self.make_room(&mut draft, limits::JOB_SLICE_RECORD_BYTES_MAX);
                    let at = self.at();
                    let records = &mut draft.records;
                    records.sign(Asked::default());
                    allocator::finish_network(&mut self.catalogue, shards, &at, network, records);
                }
            }
        }
        draft.records.sign(Asked::default());
        self.expire(&mut draft);
        self.tell_levels(&mut draft);
        if draft.operations > 0 || !shards.is_empty() {
            self.figures.rendezvous(draft.operations, began_ns, &*self.shared.clock);
        }
        self.figures.leases(self.catalogue.leases());
        self.push(&mut draft);
        self.mark_time(&draft);
        shards.iter_mut().for_each(|shard| shard.settle_quotas());
        self.handed
    }

    /// Ends some of the leases that are over.
    fn expire(&mut self, draft: &mut Draft) {
        if !self.may_expire() {
            return;
        }
        self.turns_without_ends = 0;
        self.make_room(draft, limits::EXPIRY_SLICE_RECORD_BYTES_MAX);
        let (at, before) = (self.at(), draft.records.effect_count());
        self.catalogue.step_expiry(&at, limits::EXPIRY_SLICE_OBJECTS, &mut draft.records);
        self.figures.expired(draft.records.effect_count() - before);
    }

    /// Hands over nothing but the time, if that is due.
    fn mark_time(&mut self, empty: &Draft) {
        if self.is_mark_due() {
            self.has_marked_end = self.intake.is_finished();
            let draft = Draft { began_ns: empty.began_ns, ..Draft::default() };
            self.hand_over(draft, true);
        }
    }

    /// Tells of pools that have crossed a level of use: at most as many as the agenda touched, or,
    /// after a start, as there are.
    fn tell_levels(&mut self, draft: &mut Draft) {
        while self.may_tell_levels() {
            self.make_room(draft, limits::LEVEL_SLICE_RECORD_BYTES_MAX);
            levels::log(&self.catalogue.tell_levels(&mut draft.records));
        }
        if let Some(counts) = self.catalogue.level_counts() {
            self.figures.levels(counts);
        }
    }

    fn decide_parcel(&mut self, parcel: &Parcel, shards: &mut [&mut Shard], draft: &mut Draft) {
        let mut frames = BytesMut::new();
        let mut operations = 0;
        for operation in &parcel.operations {
            if !answer::fits(operation, draft.records.bytes())
                || draft.records.bytes() >= limits::DRAIN_RECORD_BYTES_MAX
                || draft.reply_bytes + frames.len() >= limits::DRAIN_REPLY_BYTES_MAX
            {
                draft.deliver(parcel, &mut frames, &mut operations);
                self.push(draft);
            }
            draft.records.sign(Asked::new(operation.by(), operation.opcode));
            let answer = self.decide_one(operation, shards, draft);
            let status = answer::status_of(&answer);
            self.figures.answered(operation.opcode, status);
            self.shared.audit.decided(operation, status, self.shared.clock.tick());
            answer::encode(operation, &answer, &mut frames);
            operations += 1;
        }
        draft.deliver(parcel, &mut frames, &mut operations);
    }

    fn decide_one(
        &mut self,
        operation: &Operation,
        shards: &mut [&mut Shard],
        draft: &mut Draft,
    ) -> Answer {
        let at = self.at();
        let refuse = self.shared.pressure.refuse();
        let Operation { scope, request, .. } = operation;
        if let Err(refused) = answer::admit(&at, refuse, operation) {
            if refused.status == Status::BUSY && allocator::is_renewal(request) {
                self.shared.pressure.renewal_refused.set(at.tick.0);
            }
            return Err(refused);
        }
        if allocator::is_spanning(scope, request) {
            let catalogue = &mut self.catalogue;
            let (before, records) = (catalogue.adoption(), &mut draft.records);
            let answer = allocator::apply_spanning(catalogue, shards, &at, scope, request, records);
            let since = catalogue.adoption();
            if since != before {
                // HELLO and those who look at the server hear of it once it is durable, as the operator does.
                let level = Arc::clone(&self.shared.adoption);
                draft.deliveries.push(Delivery::Adoption { level, since });
            }
            if self.catalogue.principals().changes() != self.access_changes {
                self.access_changes = self.catalogue.principals().changes();
                let desk = Arc::clone(&self.shared.access);
                let table = Arc::new(table_of(&self.catalogue));
                draft.deliveries.push(Delivery::Access { desk, table });
            }
            return answer;
        }
        if allocator::is_gathered(scope, request) {
            let mut parts = Vec::with_capacity(shards.len());
            for shard in shards.iter_mut() {
                // As if its worker decided it: a part has a hand-over for itself.
                if matches!(request, Request::RenewOwner(_)) {
                    self.make_room(draft, limits::HAND_OVER_RECORD_BYTES_MAX);
                }
                let records = &mut draft.records;
                parts.push(answer::decide(shard, &at, Refuse::Nothing, operation, records));
            }
            return allocator::merge(&at, request, scope, parts);
        }
        let workers = u16::try_from(shards.len()).unwrap_or(u16::MAX);
        let owner = usize::from(worker_of(scope.home(), scope.network, workers).0);
        // What was freed in another shard before it can be had here.
        allocator::bring_credit(shards, owner, scope.project);
        allocator::projects_given(request)
            .for_each(|project| allocator::bring_credit(shards, owner, project));
        match shards.get_mut(owner) {
            Some(shard) => answer::decide(shard, &at, refuse, operation, &mut draft.records),
            None => panic!("network of a worker that was not lent"),
        }
    }

    fn make_room(&mut self, draft: &mut Draft, bytes: usize) {
        if draft.records.bytes() + bytes > limits::HAND_OVER_RECORD_BYTES_MAX {
            self.push(draft);
        }
    }

    /// Pushes what is there, waiting for room: the workers stand still, so room only grows.
    fn push(&mut self, draft: &mut Draft) {
        let mut next = Draft { began_ns: draft.began_ns, ..Draft::default() };
        next.records.sign(draft.records.asked());
        let draft = std::mem::replace(draft, next);
        if draft.operations == 0 && draft.records.record_count() == 0 {
            return;
        }
        self.hand_over(draft, false);
    }

    fn hand_over(&mut self, mut draft: Draft, marks_time: bool) {
        draft.records.close();
        self.handed += 1;
        let tick = self.shared.clock.tick();
        if marks_time || draft.records.record_count() > 0 {
            self.marked = tick;
        }
        let bytes =
            draft.records.bytes() + draft.deliveries.iter().map(Delivery::bytes).sum::<usize>();
        let cost =
            Cost::new(draft.records.record_count(), u32::try_from(bytes).unwrap_or(u32::MAX));
        let mut hand_over = HandOver {
            marks_time,
            source: self.source,
            number: self.handed,
            tick,
            records: draft.records,
            deliveries: draft.deliveries,
            operations: draft.operations,
            began_ns: draft.began_ns,
            pushed_ns: self.shared.clock.monotonic_ns(),
        };
        while let Err(full) = self.out.try_push(hand_over, cost, Class::Reserved) {
            assert!(full.bound.may_pass(), "the committer is gone: {}", full.bound);
            hand_over = full.item;
            self.shared.committer_bell.ring();
            std::thread::yield_now();
        }
        self.shared.committer_bell.ring();
    }

    fn at(&self) -> At {
        At {
            tick: self.shared.clock.tick(),
            position: Seq(self.shared.position.get()),
            incarnation: self.shared.incarnation,
        }
    }

    const ROOM: Cost = Cost::new(limits::HAND_OVER_RECORDS_MAX, limits::HAND_OVER_BYTES_MAX);
}

impl fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer").field("handed", &self.handed).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Draft {
    records: RecordBuffer,
    deliveries: Vec<Delivery>,
    operations: u32,
    /// Bytes of the replies in `deliveries`.
    reply_bytes: usize,
    /// When the rendezvous began, monotonic ns.
    began_ns: u64,
}

impl Draft {
    fn deliver(&mut self, parcel: &Parcel, frames: &mut BytesMut, operations: &mut u32) {
        if *operations == 0 {
            return;
        }
        self.operations += *operations;
        self.reply_bytes += frames.len();
        self.deliveries.push(Delivery::Frames {
            outlet: Arc::clone(&parcel.outlet),
            frames: frames.split().freeze(),
            operations: std::mem::take(operations),
            pushed_ns: parcel.pushed_ns,
        });
    }
}
