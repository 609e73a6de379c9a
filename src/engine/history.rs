//! The desk where questions about history wait for the thread that looks them up: a bounded number, one
//! at a time, so that no worker and no connection waits for a look at the disk.

use super::answer::{self, busy, refusal};
use super::clock::Clock;
use super::figures::{CommitterFiguresReader, Scalar};
use super::operation::{Operation, Outlet, Parcel, Rejected, Stages};
use crate::access::Authorized;
use crate::allocator::Answer;
use crate::limits::{HISTORY_CATCH_UP_MS, HISTORY_QUESTIONS_MAX, HISTORY_QUESTIONS_RETRY_MS};
use crate::model::{Asker, Seq, Status, Tick};
use crate::store::history::{Ask, HistoryFigures, Looker, Mark, Shelf, Subject, Told};
use addrd_protocol::codec::PAGE_HISTORY_MAX;
use addrd_protocol::message::{Cursor, History, HistoryPage, HistorySubject, Reply, Request};
use addrd_sync::{Doorbell, DurableMark, Level};
use bytes::BytesMut;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A question on its way.
struct Question {
    operation: Authorized<Operation>,
    outlet: Arc<dyn Outlet>,
    pushed_ns: u64,
    /// What was durable when it came: its answer has that.
    goal: Seq,
}

/// Shared between connections and the thread that looks things up.
pub struct HistoryDesk {
    queue: Mutex<VecDeque<Question>>,
    /// Wakes the thread that looks, and the turns of the one that writes; `None`: no history is kept.
    bell: Option<(Doorbell, CommitterFiguresReader)>,
    shelf: Arc<Shelf>,
    position: Arc<DurableMark>,
    clock: Arc<dyn Clock>,
    /// Answers by their place in [`STATUSES`].
    answered: [Level; STATUSES.len()],
}

/// The bound on what a principal may have of all questions about history.
pub const QUESTIONS_SHARE: &str = "history_questions_share";

/// Statuses that answers about history have.
const STATUSES: [Status; 5] =
    [Status::OK, Status::HISTORY_OFF, Status::NOT_FOUND, Status::OUT_OF_RANGE, Status::TIMED_OUT];

impl HistoryDesk {
    /// Of a shelf; without a bell there is no history, and every question is refused.
    #[must_use]
    pub fn new(
        bell: Option<(Doorbell, CommitterFiguresReader)>,
        shelf: Arc<Shelf>,
        position: Arc<DurableMark>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let answered = [0; STATUSES.len()].map(Level::new);
        let queue = Mutex::default();
        Arc::new(Self { queue, bell, shelf, position, clock, answered })
    }

    /// Of a server that keeps no history.
    #[must_use]
    pub fn idle(clock: &Arc<dyn Clock>) -> Arc<Self> {
        let position = Arc::new(DurableMark::new(0));
        Self::new(None, Arc::default(), position, Arc::clone(clock))
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What operators see; `None`: no history is kept.
    #[must_use]
    pub fn figures(&self) -> Option<HistoryFigures> {
        self.bell.as_ref().map(|_| self.shelf.figures())
    }

    /// How many answers had which status.
    #[must_use]
    pub fn answered(&self) -> Vec<(Status, u64)> {
        STATUSES.into_iter().zip(self.answered.iter().map(Level::get)).collect()
    }

    /// When the historian's loop turned last, monotonic ns; `None`: there is none.
    pub(super) fn turned_ns(&self) -> Option<u64> {
        self.bell.as_ref().map(|(_, reader)| reader.scalar(Scalar::TurnedNs))
    }

    /// Whether a question waits.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.queue().is_empty()
    }

    /// Takes questions. Never waits.
    ///
    /// # Errors
    /// [`Rejected`]: as many wait as may.
    pub(super) fn submit(&self, parcel: Parcel) -> Result<(), Rejected> {
        let goal = Seq(self.position.get());
        let mut operations = parcel.operations.into_iter();
        while let Some(operation) = operations.next() {
            let (outlet, pushed_ns) = (Arc::clone(&parcel.outlet), parcel.pushed_ns);
            let question = Question { operation, outlet, pushed_ns, goal };
            let Some((bell, _)) = &self.bell else {
                let message = "this server keeps no history: history_days or history_bytes is 0";
                self.deliver(&question, Err(refusal(Status::HISTORY_OFF, message)), pushed_ns);
                continue;
            };
            let mut queue = self.queue();
            if let Some(bound) = bound_of(&queue, question.operation.by()) {
                drop(queue);
                let operations = std::iter::once(question.operation).chain(operations).collect();
                return Err(Rejected {
                    operations,
                    bound,
                    retry_after_ms: HISTORY_QUESTIONS_RETRY_MS,
                });
            }
            queue.push_back(question);
            drop(queue);
            bell.ring();
        }
        Ok(())
    }

    fn deliver(&self, question: &Question, answer: Answer, began_ns: u64) {
        let status = answer::status_of(&answer);
        let counted = STATUSES.iter().zip(&self.answered).find(|(other, _)| **other == status);
        if let Some((_, count)) = counted {
            count.add(1);
        }
        let mut frames = BytesMut::new();
        answer::encode(&question.operation, &answer, &mut frames);
        let now_ns = self.clock.monotonic_ns();
        let stages = Stages {
            pushed_ns: question.pushed_ns,
            began_ns,
            handed_ns: now_ns,
            commit_ns: now_ns,
            durable_ns: now_ns,
        };
        question.outlet.deliver(frames.freeze(), 1, stages);
    }
}

/// What is in the way of one more question: there are as many as there may be, or past half of that a principal has its
/// share of this half, by the number of those who ask.
fn bound_of(queue: &VecDeque<Question>, by: Asker) -> Option<&'static str> {
    if queue.len() >= HISTORY_QUESTIONS_MAX {
        return Some("history_questions_max");
    }
    let half = HISTORY_QUESTIONS_MAX / 2;
    if queue.len() < half || !matches!(by, Asker::Principal(_)) {
        return None;
    }
    let askers = queue.iter().map(|question| question.operation.by()).chain([by]);
    let count = askers.collect::<HashSet<_>>().len();
    let own = queue.iter().filter(|question| question.operation.by() == by).count();
    (own >= (half / count).max(1)).then_some(QUESTIONS_SHARE)
}

/// Looks up what waits at the desk.
pub struct Librarian {
    desk: Arc<HistoryDesk>,
    looker: Looker,
    /// Wakes the historian: a question wants what is durable and not in history yet.
    historian: Doorbell,
    wanted: Arc<Level>,
    asked_at: Option<Tick>,
}

impl Librarian {
    /// Ready for its first step.
    #[must_use]
    pub fn new(
        desk: Arc<HistoryDesk>,
        looker: Looker,
        (historian, wanted): (Doorbell, Arc<Level>),
    ) -> Self {
        Self { desk, looker, historian, wanted, asked_at: None }
    }

    /// Whether a step would find a question that can be answered.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.desk.has_work()
    }

    /// Answers the first question, if history has what it wants or won't have it soon; tells whether
    /// one waits still for that.
    pub fn step(&mut self) -> bool {
        let Some(question) = self.desk.queue().pop_front() else { return false };
        let now = self.desk.clock.tick();
        let shelf = &self.desk.shelf;
        let is_there = shelf.taken() >= question.goal || shelf.is_paused();
        let since = *self.asked_at.get_or_insert(now);
        if !is_there && now.since(since) < HISTORY_CATCH_UP_MS {
            self.wanted.set(question.goal.0);
            self.desk.queue().push_front(question);
            self.historian.ring();
            return true;
        }
        self.asked_at = None;
        let began_ns = self.desk.clock.monotonic_ns();
        let mut answer = self.answer(&question.operation, now);
        // What isn't in history yet, or couldn't be written, is missing in the answer.
        let is_behind = shelf.taken() < question.goal || shelf.is_paused();
        if let Ok((_, Reply::History(page))) = &mut answer {
            page.incomplete |= is_behind;
        }
        self.desk.deliver(&question, answer, began_ns);
        false
    }

    fn answer(&self, operation: &Operation, now: Tick) -> Answer {
        if operation.expires.is_some_and(|expires| expires < now) {
            let message = "the time-out of the request passed while it waited; nothing was done";
            return Err(refusal(Status::TIMED_OUT, message));
        }
        let Request::History(history) = &operation.request else {
            return Err(busy("history_questions_max", HISTORY_QUESTIONS_RETRY_MS));
        };
        let ask = ask_of(operation, history)?;
        let told = self.looker.look(&ask);
        let is_unknown = told.entries.is_empty()
            && told.next.is_none()
            && ask.mark.is_none()
            && ask.home.is_some_and(|home| {
                // Whether another project has such a network is not told.
                home.0 == ask.project && !self.looker.knows(home, ask.is_pool)
            });
        if is_unknown {
            let message = "no such network or pool, now or in history";
            return Err(refusal(Status::NOT_FOUND, message));
        }
        Ok((Status::OK, Reply::History(Box::new(page_of(told)))))
    }
}

fn ask_of(
    operation: &Operation,
    history: &History,
) -> Result<Ask, Box<addrd_protocol::message::Failure>> {
    let scope = &operation.scope;
    let subject = match history.subject {
        HistorySubject::Address(address) => Subject::Address(address),
        HistorySubject::Owner(owner) => Subject::Owner(owner, history.slot),
    };
    let mark = history.cursor.as_ref().map(mark_of).transpose()?;
    let limit = usize::try_from(history.limit).unwrap_or(usize::MAX);
    Ok(Ask {
        project: scope.project,
        home: (!scope.network.is_nil()).then(|| (scope.home(), scope.network.0)),
        is_pool: scope.pool,
        subject,
        from: Tick(history.from_ms),
        to: Tick(if history.to_ms == 0 { u64::MAX } else { history.to_ms }),
        oldest_first: history.oldest_first,
        limit: if limit == 0 { PAGE_HISTORY_MAX } else { limit.min(PAGE_HISTORY_MAX) },
        mark,
    })
}

fn page_of(told: Told) -> HistoryPage {
    HistoryPage {
        position: told.position,
        reach_ms: told.reach.0,
        incomplete: told.is_incomplete,
        items: told.entries,
        next: told.next.map(cursor_of),
    }
}

/// First byte of a cursor of history.
const CURSOR: u8 = b'h';
/// Bytes of one.
const CURSOR_BYTES: usize = 17;

fn cursor_of(mark: Mark) -> Cursor {
    let mut bytes = Vec::with_capacity(CURSOR_BYTES);
    bytes.push(CURSOR);
    bytes.extend_from_slice(&mark.incarnation.0.to_be_bytes());
    bytes.extend_from_slice(&mark.position.0.to_be_bytes());
    bytes.extend_from_slice(&mark.item.to_be_bytes());
    Cursor(bytes.into())
}

fn mark_of(cursor: &Cursor) -> Result<Mark, Box<addrd_protocol::message::Failure>> {
    let bytes =
        <[u8; CURSOR_BYTES]>::try_from(&*cursor.0).ok().filter(|[kind, ..]| *kind == CURSOR);
    let Some([_, i0, i1, i2, i3, p0, p1, p2, p3, p4, p5, p6, p7, n0, n1, n2, n3]) = bytes else {
        let mut failure =
            refusal(Status::OUT_OF_RANGE, "this cursor is not one of history; begin without one");
        failure.field = addrd_protocol::Text::new("cursor").ok();
        return Err(failure);
    };
    Ok(Mark {
        incarnation: crate::model::Incarnation(u32::from_be_bytes([i0, i1, i2, i3])),
        position: Seq(u64::from_be_bytes([p0, p1, p2, p3, p4, p5, p6, p7])),
        item: u32::from_be_bytes([n0, n1, n2, n3]),
    })
}

impl fmt::Debug for HistoryDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryDesk").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

impl fmt::Debug for Librarian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Librarian").field("desk", &self.desk).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FakeClock;
    use crate::engine::figures::CommitterFigures;
    use crate::engine::operation::Scope;
    use crate::model::{NetworkId, PrincipalId, ProjectId, ServerId};
    use crate::store::fake_disk::FakeDisk;
    use addrd_protocol::codec::{ReplyOrFailure, decode_reply};
    use addrd_protocol::opcode::Opcode;
    use addrd_sync::doorbell;
    use bytes::Bytes;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Bytes>>);

    impl Outlet for Kept {
        fn deliver(&self, frames: Bytes, _: u32, _: Stages) {
            self.0.lock().unwrap().push(frames);
        }
    }

    fn question(cursor: Option<Cursor>) -> Operation {
        let subject = HistorySubject::Address("10.0.0.2".parse().unwrap());
        let history = History {
            subject,
            slot: None,
            oldest_first: false,
            from_ms: 0,
            to_ms: 0,
            limit: 0,
            cursor,
        };
        Operation {
            request_id: 1,
            opcode: Opcode::HISTORY,
            scope: Scope {
                project: ProjectId::DEFAULT,
                network: NetworkId::NIL,
                pool: false,
                network_project: None,
                restoring: false,
            },
            expires: None,
            request: Request::History(Box::new(history)),
        }
    }

    struct Place {
        desk: Arc<HistoryDesk>,
        librarian: Librarian,
        shelf: Arc<Shelf>,
        clock: Arc<FakeClock>,
        outlet: Arc<Kept>,
    }

    /// Position 5 is durable, and nothing of it is in history yet.
    fn place() -> Place {
        let clock = Arc::new(FakeClock::new(Tick(1_000)));
        let shelf = Arc::<Shelf>::default();
        let bell = (doorbell().0, CommitterFigures::new().1);
        let position = Arc::new(DurableMark::new(5));
        let own = Arc::clone(&clock) as Arc<dyn Clock>;
        let desk = HistoryDesk::new(Some(bell), Arc::clone(&shelf), position, own);
        let looker = Looker::new(Arc::new(FakeDisk::new()), Arc::clone(&shelf), ServerId::NIL);
        let wake = (doorbell().0, Arc::new(Level::new(0)));
        let librarian = Librarian::new(Arc::clone(&desk), looker, wake);
        Place { desk, librarian, shelf, clock, outlet: Arc::default() }
    }

    impl Place {
        fn submit(&self, count: usize, cursor: Option<Cursor>) -> Result<(), Rejected> {
            self.submit_by(Asker::Nobody, count, cursor)
        }

        fn submit_by(
            &self,
            by: Asker,
            count: usize,
            cursor: Option<Cursor>,
        ) -> Result<(), Rejected> {
            let outlet = Arc::clone(&self.outlet) as Arc<dyn Outlet>;
            let questions = (0..count).map(|_| question(cursor.clone()));
            let operations = Authorized::in_test_by(by, questions);
            self.desk.submit(Parcel {
                outlet,
                operations,
                bytes: 0,
                outstanding: 1,
                principal_outstanding: 0,
                pushed_ns: 0,
            })
        }

        fn answer(&self) -> ReplyOrFailure {
            let frame = self.outlet.0.lock().unwrap().pop().expect("an answer");
            decode_reply(&frame).unwrap().1.unwrap()
        }

        fn is_incomplete(&self) -> bool {
            match self.answer() {
                ReplyOrFailure::Reply(Reply::History(page)) => page.incomplete,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_answer_waits_for_what_is_durable_and_says_so_if_it_is_not_there() {
        let mut place = place();
        place.submit(1, None).unwrap();
        assert!(place.librarian.step(), "it waits for history");
        place.shelf.note_taken(Seq(5));
        assert!(!place.librarian.step());
        assert!(!place.is_incomplete());
        place.shelf.note_taken(Seq(4));
        place.submit(1, None).unwrap();
        assert!(place.librarian.step());
        place.clock.advance(HISTORY_CATCH_UP_MS);
        assert!(!place.librarian.step(), "not for ever");
        assert!(place.is_incomplete(), "a change is missing");
        place.shelf.note_paused(true);
        place.submit(1, None).unwrap();
        assert!(!place.librarian.step(), "what is paused is not waited for");
        assert!(place.is_incomplete());
    }

    #[test]
    fn past_half_a_principal_has_its_share_of_questions() {
        let place = place();
        let (half, other) =
            (HISTORY_QUESTIONS_MAX / 2, |number| Asker::Principal(PrincipalId::from_u128(number)));
        let refused = |by, count| {
            let rejected = place.submit_by(by, count, None).unwrap_err();
            assert_eq!(rejected.bound, QUESTIONS_SHARE);
            rejected.operations.len()
        };
        assert_eq!(refused(other(1), half + 3), 3);
        assert_eq!(refused(other(2), half), half / 2, "of two who ask, a quarter of all");
        place
            .submit(HISTORY_QUESTIONS_MAX / 4, None)
            .expect("who isn't told apart has what is left");
    }

    #[test]
    fn a_bounded_number_of_questions_waits_and_a_wrong_cursor_is_refused() {
        let mut place = place();
        place.shelf.note_taken(Seq(5));
        let rejected = place.submit(HISTORY_QUESTIONS_MAX + 2, None).unwrap_err();
        assert_eq!((rejected.operations.len(), rejected.bound), (2, "history_questions_max"));
        while place.desk.has_work() {
            place.librarian.step();
        }
        for bytes in [&b""[..], b"h", &[b'x'; CURSOR_BYTES]] {
            place.submit(1, Some(Cursor(bytes.to_vec().into()))).unwrap();
            place.librarian.step();
            match place.answer() {
                ReplyOrFailure::Failure(failure) => {
                    assert_eq!(failure.status, Status::OUT_OF_RANGE);
                    assert_eq!(failure.field.as_deref(), Some("cursor"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
