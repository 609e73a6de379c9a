//! Somebody who watches a schedule: begins with a state and its position, follows the feed through crashes
//! from where it was, and has the exact state whenever everything rests. Changes nothing.

use super::*;
use crate::engine::Filter;
use crate::engine::feed::{Subscription, Taken};
use addrd_protocol::codec::{decode_reply_slice, encode_events};
use addrd_protocol::message::{
    Allocation, AllocationState, EventKind, EventObject, FeedPosition, Gone, Watch,
};
use addrd_protocol::prefix::number_of;
use bytes::BytesMut;
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll, Waker};
use uuid::Uuid;

/// Network, first address and prefix length.
type Place = (Uuid, u128, u8);

/// Who has it: subnet, owner, slot, and the revision of the last change.
type Holder = (Uuid, Uuid, u16, Revision);

/// What the default project has in its networks, as somebody knows it who watches.
#[derive(Default)]
pub(super) struct Watcher {
    held: BTreeMap<Place, Holder>,
    networks: BTreeSet<Uuid>,
    /// Everything up to here was told.
    at: Option<FeedPosition>,
    watch: Option<Subscription>,
    /// How often it had the exact state.
    pub(super) agreed: u64,
    /// How often it had to begin anew.
    pub(super) relisted: u64,
}

impl Watcher {
    /// A server has started; this is its state, at its durable position.
    pub(super) fn recovered(&mut self, stage: &mut Stage) {
        let feed = Arc::clone(stage.feeder.feed());
        if let Some(at) = self.at {
            assert!(at.position <= feed.durable(), "told what is not on the disk: {at:?}");
        }
        let here = FeedPosition { incarnation: feed_incarnation(stage), position: feed.durable() };
        for from in [self.at, Some(here)] {
            let filter = Filter::of(ProjectId::DEFAULT, None, &Watch::default());
            let Some(from) = from else { continue };
            let mut watch = feed.subscribe(filter, Some(from)).expect("it is the only one");
            assert!(stage.read_feed(), "nothing fails yet");
            match watch.poll_open(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(begins)) => {
                    assert_eq!(begins, from);
                    self.watch = Some(watch);
                    if from == here {
                        self.list(&stage.whole());
                    }
                    self.at = Some(from);
                    return;
                }
                Poll::Ready(Err(_)) if from != here => self.relisted += 1,
                other => panic!("{from:?}: {other:?}"),
            }
        }
    }

    fn list(&mut self, whole: &Whole) {
        let networks = whole.state.networks.iter();
        self.networks = networks.map(|(row, _)| row.id.0).collect();
        self.held = held(whole);
    }

    /// Takes what there is.
    pub(super) fn take(&mut self) {
        loop {
            let Some(watch) = &mut self.watch else { return };
            let mut items = BytesMut::new();
            let context = &mut Context::from_waker(Waker::noop());
            match watch.poll_take(context, 1 << 20, &mut items) {
                Poll::Pending => return,
                Poll::Ready(Taken::Events { count, resume, up_to_date }) => {
                    if let Some(at) = &mut self.at {
                        at.position = resume;
                    }
                    self.told(count, &items);
                    if up_to_date {
                        return;
                    }
                }
                // A fold was in the way of names: it begins anew in the next life.
                Poll::Ready(Taken::Lost { .. }) => {
                    (self.watch, self.at) = (None, None);
                    self.relisted += 1;
                }
            }
        }
    }

    fn told(&mut self, count: usize, items: &BytesMut) {
        let (mut frame, mut at) = (BytesMut::new(), FeedPosition::NONE);
        at.incarnation = Incarnation(1);
        encode_events((1, at, true), (count, std::iter::once(&items[..])), &mut frame).unwrap();
        let ReplyOrFailure::Reply(Reply::Events(events)) =
            decode_reply_slice(&frame).unwrap().1.unwrap()
        else {
            panic!("events were written")
        };
        for event in events.items {
            match event.object {
                EventObject::Network(network) => _ = self.networks.insert(network.network_id.0),
                EventObject::Allocation(told) if self.is_own(told.project_id, told.network_id) => {
                    self.allocated(&told, event.revision);
                }
                EventObject::Gone(gone) => self.gone(&gone),
                _ => {}
            }
        }
    }

    fn is_own(&self, project: ProjectId, network: NetworkId) -> bool {
        project == ProjectId::DEFAULT && self.networks.contains(&network.0)
    }

    fn allocated(&mut self, told: &Allocation, changed: Revision) {
        let place = (told.network_id.0, number_of(&told.address), told.length);
        match told.state {
            AllocationState::Allocated | AllocationState::Held => {
                let holder = (told.subnet_id.0, told.owner.0, told.slot.0, changed);
                self.held.insert(place, holder);
            }
            AllocationState::Free | AllocationState::Quarantined => _ = self.held.remove(&place),
        }
    }

    fn gone(&mut self, gone: &Gone) {
        match (gone.kind, gone.address) {
            (EventKind::Network, _) => {
                self.networks.remove(&gone.id);
                self.held.retain(|place, _| place.0 != gone.id);
            }
            (EventKind::Subnet, _) => {
                let network = gone.network_id.0;
                self.held.retain(|place, holder| place.0 != network || holder.0 != gone.id);
            }
            (EventKind::Allocation, Some(address)) => {
                self.held.remove(&(gone.network_id.0, number_of(&address), gone.length));
            }
            _ => {}
        }
    }

    /// Everything rests: what was told is what there is.
    pub(super) fn check(&mut self, whole: &Whole) {
        self.take();
        if self.watch.is_some() {
            let (told, is) = (&self.held, held(whole));
            let differs = told.iter().filter(|one| is.get(one.0) != Some(one.1));
            let missing = is.iter().filter(|one| told.get(one.0) != Some(one.1));
            let (differs, missing): (Vec<_>, Vec<_>) = (differs.collect(), missing.collect());
            assert!(differs.is_empty() && missing.is_empty(), "told {differs:?}, are {missing:?}");
            self.agreed += 1;
        }
    }

    /// The process is gone.
    pub(super) fn cut_off(&mut self) {
        self.watch = None;
    }
}

fn feed_incarnation(stage: &Stage) -> Incarnation {
    stage.engine.inner.identity.incarnation
}

fn held(whole: &Whole) -> BTreeMap<Place, Holder> {
    let networks: BTreeMap<_, _> =
        whole.state.networks.iter().map(|(row, _)| (row.network, row.id.0)).collect();
    let subnets: BTreeMap<_, _> = whole
        .state
        .subnets
        .iter()
        .map(|(row, _)| ((row.network, row.subnet), (row.id.0, row.prefix)))
        .collect();
    let own = whole.state.allocations.iter().filter(|row| {
        matches!(row.state, AllocationState::Allocated | AllocationState::Held)
            && row.extras.as_deref().is_none_or(|extras| extras.project.is_none())
    });
    own.map(|row| {
        let (subnet, prefix) = subnets[&(row.place.network, row.place.subnet)];
        let length = prefix.family().bits() - row.place.block_bits;
        let place = (networks[&row.place.network], prefix.base() + row.place.offset, length);
        (place, (subnet, row.owner.0, row.slot.0, row.changed))
    })
    .collect()
}
