//! A controller of the simulation: a session with one connection at a time, a few owners, some requests on
//! their way. What has no answer when its connection is cut is sent again on the next one. It
//! knows from the answers what must be so.

use super::super::testing::{frame_with, hello_in_session};
use crate::engine::tests::stage::Random;
use crate::model::{NetworkId, OwnerId, ProjectId, Revision};
use addrd_protocol::codec::{Direction, FrameBounds, ReplyOrFailure, decode_reply, frame_length};
use addrd_protocol::message::{
    Allocate, AllocateFlags, FamilyChoice, Fences, Release, Reply, Request, Strategy, Target,
};
use addrd_protocol::prefix::number_of;
use addrd_protocol::{Instance, Retry, Slot, Status};
use bytes::{Buf, BytesMut};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Owners of each controller in each network: together more than there are addresses.
const OWNERS: u128 = 2;
/// Requests on their way.
const IN_FLIGHT: usize = 3;

/// What an owner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) address: u128,
    pub(super) revision: Revision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Allocate,
    Release,
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    how: How,
    /// It was sent before, and what became of that is unknown.
    is_again: bool,
    /// It is on its way on the connection at hand.
    is_sent: bool,
}

/// One owner in one network.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    /// As answered last; `None` = it has nothing.
    has: Option<Held>,
    asked: Option<Asked>,
}

/// One connection.
struct Link {
    io: DuplexStream,
    out: BytesMut,
    unread: BytesMut,
    is_greeted: bool,
    /// It speaks for a life of the controller that is over.
    is_former: bool,
    /// By request id.
    sent: BTreeMap<u64, (u128, u128)>,
}

pub(super) struct Controller {
    session: u128,
    epoch: u64,
    last_id: u64,
    owners: BTreeMap<(u128, u128), Own>,
    link: Option<Link>,
    /// The server at hand has greeted the epoch of now.
    is_known: bool,
}

impl Controller {
    pub(super) fn new(number: u128) -> Self {
        let owners = (1..=super::NETWORKS)
            .flat_map(|network| (1..=OWNERS).map(move |one| (network, 100 * number + one)));
        let owners = owners.map(|key| (key, Own::default())).collect();
        Self { session: number, epoch: 0, last_id: 1, owners, link: None, is_known: false }
    }

    /// What it has for certain, by network.
    pub(super) fn told(&self) -> Vec<(u128, u128)> {
        let known = self.owners.iter().filter(|(_, own)| own.asked.is_none());
        known.filter_map(|((network, _), own)| Some((*network, own.has?.address))).collect()
    }

    /// What another has for certain is not this one's.
    pub(super) fn must_not_have(&self, others: &[(u128, u128)]) {
        for own in self.told() {
            assert!(!others.contains(&own), "{} has {own:?} as well", self.session);
        }
    }

    /// One move: it connects, is cut, asks, writes some bytes or reads some. True: it was answered.
    pub(super) fn turn(
        &mut self,
        connect: &mut impl FnMut(usize) -> Option<DuplexStream>,
        random: &mut Random,
        trace: &mut Vec<String>,
    ) -> bool {
        if self.link.is_none() {
            let pipe_bytes = 1 << (5 + random.below(12));
            if let Some(io) = connect(pipe_bytes) {
                self.greet(io, random.below(5) == 0);
            }
            return false;
        }
        match random.below(40) {
            0 => self.cut_off(),
            1..12 => self.ask(random),
            12..26 => self.write(random),
            _ => return self.read(random, trace),
        }
        false
    }

    /// Says HELLO, at times as a life of it that is over.
    fn greet(&mut self, io: DuplexStream, as_former: bool) {
        let is_former = as_former && self.is_known;
        if !is_former {
            self.epoch += 1;
            self.is_known = false;
        }
        let epoch = self.epoch - u64::from(is_former);
        let out = BytesMut::from(&hello_in_session(1, self.session, epoch)[..]);
        let (unread, sent) = (BytesMut::new(), BTreeMap::new());
        self.link = Some(Link { io, out, unread, is_greeted: false, is_former, sent });
    }

    /// The connection is gone, and what was on its way may have been done.
    pub(super) fn cut_off(&mut self) {
        self.link = None;
        for asked in self.owners.values_mut().filter_map(|own| own.asked.as_mut()) {
            asked.is_again |= asked.is_sent;
            asked.is_sent = false;
        }
    }

    fn ask(&mut self, random: &mut Random) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_greeted) else { return };
        if link.sent.len() >= IN_FLIGHT {
            return;
        }
        let which = random.below(self.owners.len() as u64) as usize;
        // What has no answer comes first: its place in the order is taken.
        let again = self.owners.iter().find(|(_, own)| own.asked.is_some_and(|ask| !ask.is_sent));
        let Some(key) = again.or_else(|| self.owners.iter().nth(which)).map(|(key, _)| *key) else {
            return;
        };
        let Some(own) = self.owners.get_mut(&key) else { return };
        if own.asked.is_some_and(|asked| asked.is_sent) {
            return;
        }
        let fresh = || {
            let how = if random.below(5) < 3 { How::Allocate } else { How::Release };
            Asked { how, is_again: false, is_sent: false }
        };
        let asked = Asked { is_sent: true, ..own.asked.unwrap_or_else(fresh) };
        own.asked = Some(asked);
        self.last_id += 1;
        link.sent.insert(self.last_id, key);
        link.out.extend_from_slice(&request(self.last_id, key, asked.how));
    }

    fn write(&mut self, random: &mut Random) {
        let Some(link) = &mut self.link else { return };
        let most = (1 + random.below(200) as usize).min(link.out.len());
        if most == 0 {
            return;
        }
        let context = &mut Context::from_waker(Waker::noop());
        match Pin::new(&mut link.io).poll_write(context, &link.out[..most]) {
            Poll::Ready(Ok(count)) => link.out.advance(count),
            Poll::Ready(Err(_)) => self.cut_off(),
            Poll::Pending => {}
        }
    }

    fn read(&mut self, random: &mut Random, trace: &mut Vec<String>) -> bool {
        let Some(link) = &mut self.link else { return false };
        let mut bytes = [0; 256];
        let mut room = ReadBuf::new(&mut bytes[..1 + random.below(255) as usize]);
        let context = &mut Context::from_waker(Waker::noop());
        match Pin::new(&mut link.io).poll_read(context, &mut room) {
            Poll::Ready(Ok(())) if !room.filled().is_empty() => {
                link.unread.extend_from_slice(room.filled());
            }
            Poll::Ready(_) => {
                self.cut_off();
                return false;
            }
            Poll::Pending => return false,
        }
        let mut is_answered = false;
        while let Some(link) = &mut self.link {
            let length = frame_length(&link.unread, Direction::Reply, FrameBounds::REPLIES);
            let Some(length) = length.unwrap().filter(|length| *length <= link.unread.len()) else {
                break;
            };
            let frame = link.unread.split_to(length).freeze();
            let (header, body) = decode_reply(&frame).unwrap();
            trace.push(format!("{} {header:?} {body:?}", self.session));
            match body.unwrap() {
                ReplyOrFailure::Reply(Reply::Hello(_)) => {
                    assert!(!link.is_former, "a former life of {} is welcome", self.session);
                    (link.is_greeted, self.is_known) = (true, true);
                }
                ReplyOrFailure::Reply(reply) => {
                    is_answered = true;
                    self.answered(header.request_id, header.status, Some(reply));
                }
                ReplyOrFailure::Failure(_) if link.sent.contains_key(&header.request_id) => {
                    self.answered(header.request_id, header.status, None);
                }
                // It is told why it will be cut.
                ReplyOrFailure::Failure(_) | ReplyOrFailure::GoAway(_) => {}
            }
        }
        is_answered
    }

    fn answered(&mut self, id: u64, status: Status, reply: Option<Reply>) {
        let key = self.link.as_mut().and_then(|link| link.sent.remove(&id));
        let key = key.expect("each request is answered once");
        let own = self.owners.get_mut(&key).expect("an owner of its own");
        let asked = own.asked.take().expect("it asked");
        let what = format!("{key:?}: {asked:?}, {status}, had {:?}", own.has);
        match (asked.how, status, reply) {
            (How::Allocate, Status::OK, Some(Reply::Allocated(got))) => {
                let got = got.first;
                let now = Held { address: number_of(&got.address), revision: got.revision };
                match own.has {
                    Some(before) => assert!(got.repeated && before == now, "{what}: {got:?}"),
                    None => assert!(asked.is_again || !got.repeated, "{what}: {got:?}"),
                }
                own.has = Some(now);
            }
            (How::Allocate, Status::EXHAUSTED, _) => assert_eq!(own.has, None, "{what}"),
            (How::Release, Status::OK, Some(Reply::Released(gone))) => {
                let address = number_of(&gone.address);
                let is_own = own.has.is_some_and(|held| held.address == address);
                assert!(is_own, "{what}: {gone:?}");
                own.has = None;
            }
            (How::Release, Status::NOT_HELD, _) => {
                assert!(own.has.is_none() || asked.is_again, "{what}");
                own.has = None;
            }
            (_, status, _) if status.retry() == Retry::Later => {
                // Nothing was done; it is asked again, as what it was.
                own.asked = Some(Asked { is_sent: false, ..asked });
            }
            (.., reply) => panic!("{what}: {reply:?}"),
        }
    }

    /// The server has started again: what was answered is so, what was not is in or it is not.
    pub(super) fn recovered(&mut self, held: &BTreeMap<(u128, u128), Held>) {
        self.is_known = false;
        for (key, own) in &self.owners {
            let is = held.get(key).copied();
            let may_be = match own.asked.filter(|asked| asked.is_again).map(|asked| asked.how) {
                None => is == own.has,
                Some(How::Allocate) => own.has.is_none() || is == own.has,
                Some(How::Release) => is.is_none() || is == own.has,
            };
            assert!(may_be, "{key:?} has {is:?} after {own:?}");
        }
    }
}

fn request(id: u64, (network, owner): (u128, u128), how: How) -> Vec<u8> {
    let owner = OwnerId::from_u128(owner);
    let request = match how {
        How::Allocate => Request::Allocate(Allocate {
            owner,
            slot: Slot(0),
            instance: Instance(0),
            family: FamilyChoice::One,
            strategy: Strategy::Default,
            length: None,
            flags: AllocateFlags::default(),
            extras: None,
        }),
        How::Release => {
            let target = Target::Key { owner, slot: Slot(0) };
            Request::Release(Release { target, fences: Fences::default(), any: false })
        }
    };
    frame_with(id, NetworkId::from_u128(network), &request, |header| {
        header.project = ProjectId::DEFAULT;
    })
}
