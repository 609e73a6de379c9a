//! The feed over a real journal and state on a fake disk, stepped by hand: what is told, when, and what
//! happens to those who fall behind.

use super::*;
use crate::engine::feed::{Feed, FeedBounds, Relist, Subscription, Taken};
use crate::engine::figures::CommitterFigures;
use crate::engine::{Feeder, Filter, Progress};
use crate::limits::FEED_KEEP_MS;
use crate::model::{Effect, EffectSink, NetworkHandle, ProjectRow};
use crate::store::fake_disk::FakeDisk;
use crate::store::{BatchRow, Checkpointer, Restore, RingJournal, Step, Store};
use addrd_protocol::message::{FeedPosition, Watch};
use addrd_sync::doorbell;
use bytes::BytesMut;
use std::task::{Context, Poll, Waker};

struct Nobody;

impl Restore for Nobody {
    fn effect(&mut self, _: &Effect) -> Result<(), String> {
        Ok(())
    }

    fn revision(&mut self, _: NetworkHandle, _: Revision) {}

    fn cursor(&mut self, _: NetworkHandle, _: crate::model::SubnetHandle, _: u128) {}
}

/// A journal, its fold, and a feeder, each moved by hand.
struct House {
    journal: RingJournal,
    sealer: BatchSealer,
    fold: Checkpointer,
    position: Arc<DurableMark>,
    feed: Arc<Feed>,
    feeder: Feeder,
    clock: Arc<FakeClock>,
    made: u32,
}

impl House {
    fn new(tail_bytes: usize) -> Self {
        let disk = Arc::new(FakeDisk::new());
        let settings = Settings {
            journal_records_max: 4_096,
            state_cache_bytes: 1 << 20,
            state_bytes: 1 << 20,
            reserve_bytes: 0,
            fold_slice_bytes: 16 << 10,
        };
        let mut store = Store::create(disk, &settings, ServerId::from_u128(5)).unwrap();
        store.recover(&mut Nobody).unwrap();
        let identity = store.identity();
        let (journal, fold, _) = store.split();
        let sealer = journal.sealer(identity);
        let position = Arc::new(DurableMark::new(0));
        let (bell, _) = doorbell();
        let bounds = FeedBounds { tail_bytes, watchers: 2 };
        let feed = Feed::new(Arc::clone(&position), Incarnation(1), bell, bounds);
        let clock = Arc::new(FakeClock::new(Tick(1_000)));
        let (reader, figures) = (fold.feed_reader(), CommitterFigures::new().0);
        let feeder = Feeder::new(Arc::clone(&feed), reader, Arc::clone(&clock) as _, figures);
        Self { journal, sealer, fold, position, feed, feeder, clock, made: 0 }
    }

    /// Appends a batch that makes a project, durably; nobody knows that it is durable yet.
    fn append(&mut self) -> Seq {
        self.made += 1;
        let project = ProjectRow {
            handle: NetworkHandle(self.made),
            revision: Revision(u64::from(self.made)),
            id: ProjectId::from_u128(self.made.into()),
            name: None,
            description: None,
            quotas: Default::default(),
        };
        let mut records = RecordBuffer::default();
        records.push(&Effect::ProjectPut(Box::new(project)));
        let header = self.sealer.seal(Tick(1_000), 1, 1, &[records.as_bytes()]);
        let rows = [BatchRow { header, parts: vec![records.as_bytes()] }];
        self.journal.append(&Round { rows: &rows, trim_to: self.fold.folded() }).unwrap();
        header.last
    }

    /// The same, and what it appended is known to be durable.
    fn commit(&mut self) -> Seq {
        let last = self.append();
        self.position.raise(last.0);
        last
    }

    fn fold(&mut self) {
        assert!(self.fold.begin(u64::MAX, Seq(self.position.get())));
        while !matches!(self.fold.step().unwrap(), Step::Finished(_)) {}
    }

    fn read_all(&mut self) {
        while self.feeder.step() == Progress::Worked {}
    }

    fn watch(&self, from: Option<u64>) -> Subscription {
        let from = from.map(|position| at(1, position));
        let filter = Filter::of(ProjectId::DEFAULT, None, &Watch::default());
        self.feed.subscribe(filter, from).unwrap()
    }

    fn open(&mut self, from: Option<u64>) -> Subscription {
        let mut watch = self.watch(from);
        self.read_all();
        assert!(matches!(opened(&mut watch), Poll::Ready(Ok(_))));
        watch
    }
}

fn at(incarnation: u32, position: u64) -> FeedPosition {
    FeedPosition { incarnation: Incarnation(incarnation), position: Seq(position) }
}

fn opened(watch: &mut Subscription) -> Poll<Result<FeedPosition, Relist>> {
    watch.poll_open(&mut Context::from_waker(Waker::noop()))
}

fn taken(watch: &mut Subscription) -> Poll<Taken> {
    let mut out = BytesMut::new();
    watch.poll_take(&mut Context::from_waker(Waker::noop()), 1 << 20, &mut out)
}

fn events(count: usize, resume: u64) -> Poll<Taken> {
    Poll::Ready(Taken::Events { count, resume: Seq(resume), up_to_date: true })
}

/// Promise P1 for those who watch: the journal shows a round a moment before it is acknowledged.
#[test]
fn nothing_is_told_before_it_is_known_to_be_durable() {
    let mut house = House::new(1 << 20);
    let mut watch = house.open(None);
    assert_eq!(taken(&mut watch), events(0, 0));
    let last = house.append();
    house.read_all();
    assert_eq!(taken(&mut watch), Poll::Pending, "it is not durable yet");
    house.position.raise(last.0);
    house.read_all();
    assert_eq!(taken(&mut watch), events(1, last.0));
}

#[test]
fn who_takes_up_a_watch_again_misses_nothing() {
    let mut house = House::new(1 << 20);
    let mut first = house.open(None);
    assert_eq!(taken(&mut first), events(0, 0));
    for _ in 0..3 {
        house.commit();
    }
    house.read_all();
    assert_eq!(taken(&mut first), events(3, 3));
    for resume in 0..3 {
        let mut again = house.open(Some(resume));
        assert_eq!(taken(&mut again), events(3 - resume as usize, 3), "from {resume}");
    }
    drop(first);
    house.commit();
    // Nobody watched in between.
    let mut late = house.open(Some(3));
    assert_eq!(taken(&mut late), events(1, 4));
}

#[test]
fn from_now_on_is_from_what_was_durable_when_it_was_asked() {
    let mut house = House::new(1 << 20);
    house.commit();
    let mut watch = house.watch(None);
    house.commit();
    house.read_all();
    assert_eq!(opened(&mut watch), Poll::Ready(Ok(at(1, 1))));
    assert_eq!(taken(&mut watch), events(1, 2));
}

#[test]
fn positions_that_are_not_kept_are_told_which_would_do() {
    let mut house = House::new(1 << 20);
    for _ in 0..4 {
        house.commit();
    }
    house.fold();
    let mut old = house.watch(Some(3));
    house.read_all();
    let relist = |asked| {
        let (incarnation, oldest, newest) = (Incarnation(1), Seq(4), Seq(4));
        Poll::Ready(Err(Relist { asked, incarnation, oldest, newest }))
    };
    assert_eq!(opened(&mut old), relist(at(1, 3)));
    drop(old);
    let mut ahead = house.watch(Some(5));
    assert_eq!(opened(&mut ahead), relist(at(1, 5)));
    drop(ahead);
    let filter = Filter::of(ProjectId::DEFAULT, None, &Watch::default());
    let mut other = house.feed.subscribe(filter, Some(at(2, 4))).unwrap();
    assert_eq!(opened(&mut other), relist(at(2, 4)), "of another life of the data");
    drop(other);
    let mut good = house.open(Some(4));
    assert_eq!(taken(&mut good), events(0, 4));
    assert_eq!(house.feed.figures().relisted, 3);
}

/// The committer and the feeder go on whatever a watch does.
#[test]
fn who_falls_behind_the_tail_is_lost_and_the_others_are_not() {
    let mut house = House::new(8 << 10);
    let (mut slow, mut quick) = (house.open(None), house.open(None));
    assert!(!slow.poll_far_behind(&mut Context::from_waker(Waker::noop())));
    assert_eq!(taken(&mut quick), events(0, 0));
    let mut noticed = None;
    for round in 1..=100 {
        house.commit();
        house.read_all();
        assert_eq!(taken(&mut quick), events(1, round));
        if noticed.is_none() && slow.poll_far_behind(&mut Context::from_waker(Waker::noop())) {
            noticed = Some(slow.oldest());
        }
    }
    assert_eq!(noticed, Some(Seq(0)), "while what it stands at was kept");
    let oldest = slow.oldest();
    assert!(oldest > Seq(50));
    assert_eq!(taken(&mut slow), Poll::Ready(Taken::Lost { resume: Seq(0), oldest }));
    let figures = house.feed.figures();
    assert!(figures.tail_bytes <= 8 << 10 && figures.told == 100, "{figures:?}");
}

#[test]
fn watches_have_a_bound_and_nothing_is_kept_for_nobody() {
    let mut house = House::new(1 << 20);
    let (first, second) = (house.open(None), house.open(None));
    let filter = Filter::of(ProjectId::DEFAULT, None, &Watch::default());
    assert!(house.feed.subscribe(filter, None).is_err());
    drop((first, second));
    house.commit();
    house.read_all();
    assert!(house.feed.is_wanted() && house.feed.figures().tail_bytes > 0, "for a while");
    house.clock.advance(FEED_KEEP_MS + 1);
    house.read_all();
    assert!(!house.feed.is_wanted() && house.feed.figures().tail_bytes == 0);
    assert!(!house.feeder.has_work());
}

/// What the fold trims is read from the folded state then.
#[test]
fn a_feeder_that_rested_through_folds_begins_at_the_folded_state() {
    let mut house = House::new(1 << 20);
    for _ in 0..10 {
        house.commit();
    }
    house.fold();
    house.commit();
    let mut watch = house.open(Some(10));
    assert_eq!(taken(&mut watch), events(1, 11));
}
