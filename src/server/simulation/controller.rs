//! A controller of the simulation: a session with one connection at a time, a few owners, some requests on
//! their way. What has no answer when its connection is cut is sent again on the next one. It
//! knows from the answers what must be so.

use super::super::testing::hello_in_session;
use super::owners::{Held, Key, Own, frame};
use crate::engine::tests::stage::Random;
use addrd_protocol::Status;
use addrd_protocol::codec::{Direction, FrameBounds, ReplyOrFailure, decode_reply, frame_length};
use addrd_protocol::message::Reply;
use bytes::{Buf, BytesMut};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Owners of each controller in each network: together more than there are addresses.
const OWNERS: u128 = 2;
/// Requests on their way.
const IN_FLIGHT: usize = 3;

/// One connection.
struct Link {
    io: DuplexStream,
    out: BytesMut,
    unread: BytesMut,
    is_greeted: bool,
    /// It speaks for a life of the controller that is over.
    is_former: bool,
    /// By request id.
    sent: BTreeMap<u64, Key>,
}

pub(super) struct Controller {
    session: u128,
    epoch: u64,
    last_id: u64,
    owners: BTreeMap<Key, Own>,
    link: Option<Link>,
    /// The server at hand has greeted the epoch of now.
    is_known: bool,
}

impl Controller {
    pub(super) fn new(number: u128) -> Self {
        let owners = (1..=super::NETWORKS)
            .flat_map(|network| (1..=OWNERS).map(move |one| (network, 100 * number + one)));
        let owners = owners.map(|key| (key, Own::new(key))).collect();
        Self { session: number, epoch: 0, last_id: 1, owners, link: None, is_known: false }
    }

    /// What nobody else may have, by network.
    pub(super) fn kept(&self, now: u64) -> Vec<Key> {
        self.owners.values().filter_map(|own| own.kept(now)).collect()
    }

    /// What another keeps is not this one's for certain.
    pub(super) fn must_not_have(&self, others: &[Key], now: u64) {
        for own in self.owners.values().filter_map(|own| own.told(now)) {
            assert!(!others.contains(&own), "{} has {own:?} as well", self.session);
        }
    }

    /// One move: it connects, is cut, asks, writes some bytes or reads some. True: it was answered.
    pub(super) fn turn(
        &mut self,
        connect: &mut impl FnMut(usize) -> Option<DuplexStream>,
        random: &mut Random,
        trace: &mut Vec<String>,
        now: u64,
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
            1..12 => self.ask(random, now),
            12..26 => self.write(random),
            _ => return self.read(random, trace, now),
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
        self.owners.values_mut().for_each(Own::cut_off);
    }

    fn ask(&mut self, random: &mut Random, now: u64) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_greeted) else { return };
        if link.sent.len() >= IN_FLIGHT {
            return;
        }
        let which = random.below(self.owners.len() as u64) as usize;
        // What has no answer comes first: its place in the order is taken.
        let again = self.owners.iter().find(|(_, own)| own.is_unsent());
        let Some(key) = again.or_else(|| self.owners.iter().nth(which)).map(|(key, _)| *key) else {
            return;
        };
        let Some(request) = self.owners.get_mut(&key).and_then(|own| own.ask(now, random)) else {
            return;
        };
        self.last_id += 1;
        link.sent.insert(self.last_id, key);
        link.out.extend_from_slice(&frame(self.last_id, key.0, &request));
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

    fn read(&mut self, random: &mut Random, trace: &mut Vec<String>, now: u64) -> bool {
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
                    self.answered(header.request_id, header.status, Some(reply), now);
                }
                ReplyOrFailure::Failure(_) if link.sent.contains_key(&header.request_id) => {
                    self.answered(header.request_id, header.status, None, now);
                }
                // It is told why it will be cut.
                ReplyOrFailure::Failure(_) | ReplyOrFailure::GoAway(_) => {}
            }
        }
        is_answered
    }

    fn answered(&mut self, id: u64, status: Status, reply: Option<Reply>, now: u64) {
        let key = self.link.as_mut().and_then(|link| link.sent.remove(&id));
        let key = key.expect("each request is answered once");
        let own = self.owners.get_mut(&key).expect("an owner of its own");
        own.answered(status, reply, now);
    }

    /// The server has started again: what was answered is so, what was not is in or it is not.
    pub(super) fn recovered(&mut self, held: &BTreeMap<Key, Held>, now: u64) {
        self.is_known = false;
        for (key, own) in &mut self.owners {
            own.recovered(held.get(key).copied(), now);
        }
    }
}
