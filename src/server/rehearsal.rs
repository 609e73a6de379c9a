//! Whole connections played from a script of bytes: peers that say anything, in pieces, late, to a server that asks who
//! they are and whose principals change meanwhile. For the fuzz target `session` and the tests; never part of a server.
//!
//! What must hold, whatever the script is: each request that was taken gets one reply with its id; nobody is answered before
//! HELLO but by the refusal of what he said; nothing is decided that no principal of that moment may do; a connection
//! panics never, and ends when its peer does; and then no byte is in flight any more.

use super::admission::Peer as PeerAddress;
use super::connection;
use super::origin::Origin;
use super::testing::{
    FakeDecider, Stage, allocate_request, frame_with, hello_of, network, release_request,
};
use crate::access::{Table, hash_of};
use crate::model::{
    NetworkHandle, NetworkId, PrincipalId, PrincipalRow, ProjectId, Revision, TokenRow,
};
use crate::telemetry::reactors::Count;
use addrd_protocol::codec::{BATCH_BYTES_MAX, Direction, FrameBounds, frame_length};
use addrd_protocol::header::{REPLY_HEADER_BYTES, REQUEST_HEADER_BYTES, VERSION};
use addrd_protocol::message::{
    Batch, BatchItem, BatchMode, ClockAccept, Grant, Ping, Request, Unwatch, Verb, Verbs,
};
use addrd_protocol::{Opcode, SessionId, Status, Text, Token, TokenId};
use bytes::{Buf, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;

/// What a script came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Operations that were decided.
    pub decided: usize,
    /// Replies that peers have read.
    pub replies: usize,
    /// Peers whose HELLO was accepted.
    pub greeted: usize,
}

/// Peers of a script.
const PEERS: usize = 3;
/// Steps of a script that are played.
const STEPS_MAX: usize = 400;
/// Bytes of a pipe each way: small enough that who doesn't read stops the server's writing.
const PIPE_BYTES: usize = 8 << 10;
/// Where some may do something.
const TEAM: ProjectId = ProjectId::from_u128(0x7ea);
/// Longer than any connection lives whose peer is gone.
const LONG: Duration = Duration::from_secs(1_000);
/// Most that a connection may hold of the bytes in flight: one batch on its way in, replies that wait, one promise.
const HELD_BYTES_MAX: u64 = 4 << 20;

/// Plays a script.
///
/// Its first byte says whether the server asks who its peers are; then come steps, each a byte and what it needs.
///
/// # Panics
/// When something doesn't hold that must.
#[must_use]
pub fn play(script: &[u8]) -> Played {
    let Some((first, steps)) = script.split_first() else { return Played::default() };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread starts");
    runtime.block_on(async {
        let mut play = Play::new(first & 1 == 1);
        let mut script = Script(steps);
        for _ in 0..STEPS_MAX {
            let Some(step) = script.byte() else { break };
            play.step(step, &mut script).await;
        }
        play.end().await
    })
}

/// The rest of a script; what is missing is zero.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

/// One end of a connection, and what was said there.
struct Peer {
    io: Option<DuplexStream>,
    task: JoinHandle<()>,
    /// All that was to be sent, and how much of it was.
    said: Vec<u8>,
    sent: usize,
    unread: BytesMut,
    reads: bool,
    /// How often each request id was answered.
    replies: BTreeMap<u64, usize>,
    is_greeted: bool,
    is_refused: bool,
    /// The server has said that it takes nothing more.
    is_ending: bool,
    is_at_end: bool,
    /// A watch was asked for, which nothing answers here.
    has_watch: bool,
}

struct Play {
    stage: Stage,
    peers: VecDeque<Peer>,
    is_asking: bool,
    /// Which principals there are.
    house: u8,
    /// Somebody could do everything at some time.
    was_open: bool,
    played: Played,
}

/// Tokens by number: 1 to 5 are somebody's in some house, others nobody's.
fn token(number: u8) -> Token {
    Token::new(TokenId(u64::from(number & 7)), [number; 32])
}

fn row(number: u8, project_id: Option<ProjectId>, verbs: Verbs) -> PrincipalRow {
    let token = token(number);
    let kept = TokenRow { id: token.id, hash: hash_of(&token), created: 0, ends: 0 };
    PrincipalRow {
        handle: NetworkHandle(number.into()),
        revision: Revision(1),
        id: PrincipalId::from_u128(number.into()),
        disabled: false,
        name: None,
        description: None,
        grants: vec![Grant { project_id, verbs, manager: None }],
        certificate_names: Vec::new(),
        unix_users: Vec::new(),
        tokens: vec![kept],
    }
}

/// Principals of a house. Those who are disabled, whose token has ended or who have no grant may do nothing.
fn rows(house: u8) -> Vec<PrincipalRow> {
    let only = |verb: Verb| Verbs::NONE.with(verb);
    let disabled = PrincipalRow { disabled: true, ..row(3, None, Verbs::ALL) };
    let mut ended = row(4, None, Verbs::ALL);
    ended.tokens[0].ends = 1;
    let idle = row(5, None, Verbs::NONE);
    let able = match house % 4 {
        0 => vec![row(1, Some(TEAM), only(Verb::Allocate))],
        1 => vec![row(1, Some(TEAM), only(Verb::Read))],
        2 => Vec::new(),
        _ => vec![row(2, None, Verbs::ALL)],
    };
    [able, vec![disabled, ended, idle]].concat()
}

/// Whether anybody in a house may have this decided. By name, so that it isn't what the server goes by; items of a batch
/// are not looked at.
fn may(house: u8, opcode: Opcode, project: ProjectId) -> bool {
    let name = opcode.name();
    match house % 4 {
        0 => {
            let verbs = [
                "allocate",
                "allocation_update",
                "renew",
                "hold_con",
                "hold_can",
                "port_create",
                "port_update",
                "transfer",
                "batch",
                "transaction",
            ];
            project == TEAM && verbs.iter().any(|verb| name.starts_with(verb))
        }
        1 => {
            let reads =
                ["_get", "_list", "_find", "_preview", "_ranges", "lookup", "usage", "history"];
            let not = ["principal", "project_list"];
            project == TEAM
                && reads.iter().any(|read| name.ends_with(read))
                && !not.iter().any(|not| name.starts_with(not))
        }
        2 => false,
        _ => true,
    }
}

impl Play {
    fn new(is_asking: bool) -> Self {
        let decider = FakeDecider::holding();
        let stage = if is_asking { Stage::guarded(decider) } else { Stage::new(decider) };
        let mut play = Self {
            stage,
            peers: VecDeque::new(),
            is_asking,
            house: 0,
            was_open: false,
            played: Played::default(),
        };
        play.move_in(0);
        play
    }

    fn move_in(&mut self, house: u8) {
        self.house = house;
        self.was_open |= !self.is_asking || house % 4 == 3;
        self.stage.decider.access_desk().put(Arc::new(Table::of(&rows(house))));
    }

    /// A step of the script, and all that follows from it.
    async fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let which = usize::from(step >> 4);
        match step & 15 {
            0 => self.connect(),
            1 => self.say(which, script.bytes(usize::from(script.0.first().copied().unwrap_or(0)))),
            2 => {
                let hello = hello(script.number(), script.number(), script.number());
                self.say(which, &hello);
            }
            3..=6 => {
                let asked = request(script.number(), script.number(), script.number());
                self.say(which, &asked);
            }
            7 => {
                let ms = 1_u64 << (script.number() % 20);
                tokio::time::advance(Duration::from_millis(ms)).await;
                self.stage.decider.advance(ms);
            }
            8 => self.stage.decider.answer_all(),
            9 => self.move_in(script.number()),
            10 => self.hang_up(which, script.number() & 1 == 1).await,
            11 => self.with(which, |peer| peer.reads = !peer.reads),
            12 => self.stage.decider.set_room(usize::from(script.number() % 8)),
            13 => self.stage.decider.set_room(usize::MAX),
            14 => self.stage.decider.hold(script.number() & 1 == 1),
            _ => self.send_piece(which, script.number()).await,
        }
        if step & 15 != 15 {
            self.turn().await;
        }
    }

    fn with(&mut self, which: usize, change: impl FnOnce(&mut Peer)) {
        let count = self.peers.len();
        if count == 0 {
            self.connect();
        }
        let at = which % self.peers.len();
        if let Some(peer) = self.peers.get_mut(at) {
            change(peer);
        }
    }

    fn say(&mut self, which: usize, bytes: &[u8]) {
        self.with(which, |peer| peer.said.extend_from_slice(bytes));
    }

    fn connect(&mut self) {
        if self.peers.len() == PEERS {
            return;
        }
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let origin = Origin::of(PeerAddress::of([192, 0, 2, 1].into()));
        let Ok(seats) = self.stage.shared.admission.admit(origin.peer) else { return };
        let serving = connection::serve(theirs, Arc::clone(&self.stage.shared), seats, origin);
        self.peers.push_back(Peer {
            io: Some(ours),
            task: self.stage.tasks.spawn(serving),
            said: Vec::new(),
            sent: 0,
            unread: BytesMut::new(),
            reads: true,
            replies: BTreeMap::new(),
            is_greeted: false,
            is_refused: false,
            is_ending: false,
            is_at_end: false,
            has_watch: false,
        });
    }

    /// Ends the own direction, or the whole connection.
    async fn hang_up(&mut self, which: usize, is_whole: bool) {
        let count = self.peers.len();
        let Some(peer) = self.peers.get_mut(which % count.max(1)) else { return };
        match &mut peer.io {
            Some(_) if is_whole => peer.io = None,
            Some(io) => {
                poll_fn(|cx| {
                    let _ = Pin::new(&mut *io).poll_shutdown(cx);
                    Poll::Ready(())
                })
                .await;
                peer.said.truncate(peer.sent);
                peer.is_ending = true;
            }
            None => {}
        }
    }

    /// Sends a few of the bytes that wait, and lets the server see them by themselves.
    async fn send_piece(&mut self, which: usize, bytes: u8) {
        let count = self.peers.len();
        if let Some(peer) = self.peers.get_mut(which % count.max(1)) {
            let most = (peer.sent + usize::from(bytes)).min(peer.said.len());
            peer.send(most).await;
        }
        self.settle().await;
    }

    /// Sends and reads whatever can be, and checks what came of it.
    async fn turn(&mut self) {
        for at in 0..self.peers.len() {
            if let Some(peer) = self.peers.get_mut(at) {
                peer.send(peer.said.len()).await;
            }
        }
        self.settle().await;
    }

    async fn settle(&mut self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let asked = self.stage.decider.take_asked();
        self.played.decided += asked.len();
        for (opcode, project) in asked {
            assert!(
                !self.is_asking || may(self.house, opcode, project),
                "{opcode:?} in {project} was decided, and nobody may have that done"
            );
        }
        for peer in &mut self.peers {
            if peer.reads {
                peer.read(self.is_asking && !self.was_open, &mut self.played).await;
            }
        }
        let used = self.stage.shared.bytes_in_flight.used();
        assert!(used <= HELD_BYTES_MAX * PEERS as u64, "{used} bytes are in flight");
    }

    /// Everything is answered and read; then everybody leaves.
    async fn end(mut self) -> Played {
        self.stage.decider.set_room(usize::MAX);
        self.stage.decider.hold(false);
        self.peers.iter_mut().for_each(|peer| peer.reads = true);
        // As often as a full pipe or a used credit can stop it.
        let mut before = None;
        while before != Some((self.played, self.unsent())) {
            before = Some((self.played, self.unsent()));
            for _ in 0..3 {
                self.stage.decider.answer_all();
                tokio::time::advance(Duration::from_millis(1)).await;
                self.turn().await;
            }
        }
        for peer in &mut self.peers {
            peer.check_answers();
        }
        let peers = std::mem::take(&mut self.peers);
        for Peer { io, task, has_watch, .. } in peers {
            drop(io);
            if has_watch {
                task.abort();
                let _ = task.await;
                continue;
            }
            let ended = tokio::time::timeout(LONG, task).await;
            ended.expect("a connection ends with its peer").expect("its task doesn't panic");
        }
        self.settle().await;
        let panics = self.stage.shared.reactors.snapshot().count(Count::EndedByPanic);
        assert_eq!(panics, 0, "a connection panicked");
        assert_eq!(self.stage.shared.bytes_in_flight.used(), 0, "bytes are in flight of nobody");
        assert_eq!(self.stage.decider.held(), 0);
        self.played
    }

    fn unsent(&self) -> usize {
        self.peers.iter().map(|peer| peer.said.len() - peer.sent).sum()
    }
}

impl Peer {
    /// Sends up to a place, as far as the server takes it.
    async fn send(&mut self, to: usize) {
        let Some(io) = &mut self.io else { return };
        while self.sent < to && !self.is_at_end {
            let bytes = &self.said[self.sent..to];
            let written = poll_fn(|cx| match Pin::new(&mut *io).poll_write(cx, bytes) {
                Poll::Ready(written) => Poll::Ready(written.ok()),
                Poll::Pending => Poll::Ready(Some(0)),
            });
            match written.await {
                None => self.is_at_end = true,
                Some(0) => {
                    // The server may take more once it has had its turn.
                    for _ in 0..4 {
                        tokio::task::yield_now().await;
                    }
                    return;
                }
                Some(count) => self.sent += count,
            }
        }
    }

    /// Reads what is there, frame by frame.
    async fn read(&mut self, is_guarded: bool, played: &mut Played) {
        let Some(io) = &mut self.io else { return };
        loop {
            let mut bytes = [0; 4 << 10];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = poll_fn(|cx| match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            });
            match read.await {
                None => break,
                Some(Err(_)) => self.is_at_end = true,
                Some(Ok(())) => {}
            }
            if buffer.filled().is_empty() {
                self.is_at_end = true;
                break;
            }
            self.unread.extend_from_slice(buffer.filled());
        }
        loop {
            let length = frame_length(&self.unread, Direction::Reply, FrameBounds::REPLIES);
            let Some(length) = length.expect("the server sends frames") else { return };
            if self.unread.len() < length {
                return;
            }
            let mut frame = self.unread.split_to(length);
            assert!(frame.len() >= REPLY_HEADER_BYTES);
            frame.advance(6);
            let (opcode, id, status) =
                (Opcode(frame.get_u16()), frame.get_u64(), Status(frame.get_u16()));
            self.heard(opcode, id, status, is_guarded, played);
        }
    }

    fn heard(
        &mut self,
        opcode: Opcode,
        id: u64,
        status: Status,
        is_guarded: bool,
        played: &mut Played,
    ) {
        if [Opcode::EVENTS, Opcode::WATCH_END].contains(&opcode) {
            assert!(self.is_greeted, "a watch of a stranger");
            return;
        }
        assert!(!self.is_refused, "{opcode:?} {id} behind the last word");
        if opcode == Opcode::GOAWAY || opcode == Opcode::ERROR {
            assert_eq!(id, 0);
            // Behind the fault of a frame come the answers to what was taken before it.
            self.is_refused |= opcode == Opcode::ERROR && !self.is_greeted;
            self.is_ending = true;
            return;
        }
        if !self.is_greeted {
            assert!(self.replies.is_empty(), "an answer before HELLO");
            self.is_greeted = opcode == Opcode::HELLO && status == Status::OK;
            self.is_refused = !self.is_greeted;
            self.is_ending |= self.is_refused;
            played.greeted += usize::from(self.is_greeted);
        }
        let own = [Opcode::SERVER_STATUS, Opcode::CLOCK_ACCEPT, Opcode::BACKUP_READ];
        assert!(
            !is_guarded || status != Status::OK || !own.contains(&opcode),
            "{opcode:?} for somebody who may not"
        );
        *self.replies.entry(id).or_default() += 1;
        played.replies += 1;
    }

    /// Every whole request has its reply, as long as the server has not said that it takes nothing more.
    fn check_answers(&mut self) {
        let (mut asked, mut has_watch) = (BTreeMap::<u64, usize>::new(), false);
        let mut rest = &self.said[..self.sent];
        let mut is_framed = true;
        while let Some(header) = rest.first_chunk::<REQUEST_HEADER_BYTES>() {
            let mut header = &header[..];
            let length = header.get_u32() as usize;
            let is_known = header.get_u8() == VERSION;
            header.advance(1);
            let (opcode, id) = (Opcode(header.get_u16()), header.get_u64());
            if length < REQUEST_HEADER_BYTES
                || length > BATCH_BYTES_MAX as usize
                || !is_known
                || id == 0
            {
                is_framed = false;
                break;
            }
            let Some(behind) = rest.get(length..) else { break };
            *asked.entry(id).or_default() += 1;
            // A watch is answered by the feed, and nothing feeds it here; what stands behind it may wait for the room that
            // its answer has been promised.
            has_watch |= opcode == Opcode::WATCH;
            rest = behind;
        }
        for (id, count) in &self.replies {
            let most = asked.get(id).copied().unwrap_or(0);
            // Of a request that was refused at its header the rest need not have come.
            let is_last = rest.get(8..16).is_some_and(|bytes| bytes == id.to_be_bytes());
            assert!(
                *count <= most + usize::from(is_last),
                "{id} was asked {most} times, and answered {count}"
            );
        }
        self.has_watch = has_watch;
        let goes_on = self.io.is_some() && !self.is_ending && !self.is_at_end;
        if goes_on && is_framed && !has_watch {
            for (id, count) in &asked {
                let answered = self.replies.get(id).copied().unwrap_or(0);
                assert!(
                    answered >= *count,
                    "{id} was asked {count} times, and answered {answered}"
                );
            }
        }
    }
}

/// HELLO with a token, or without one, in a session, or in none.
fn hello(who: u8, session: u8, epoch: u8) -> Vec<u8> {
    let request = hello_of(|hello| {
        hello.token = (who & 15 != 0).then(|| {
            let right = token(who & 7);
            // Some know the number and not the secret.
            if who & 8 == 0 { right } else { Token::new(right.id, [0xee; 32]) }
        });
        hello.session = SessionId::from_u128((session & 3).into());
        hello.epoch = epoch.into();
        hello.version_max = if who & 0x80 == 0 { 1 } else { 9 };
        hello.version_min = if who & 0x40 == 0 { 1 } else { 2 };
        hello.manager = (session & 4 != 0).then(|| text("cni"));
    });
    frame_with(u64::from(who >> 4) + 1, NetworkId::NIL, &request, |_| {})
}

fn text(text: &str) -> Text {
    Text::new(text).expect("a short text")
}

/// A request of some kind, in one of two projects, on one of four networks, under one of sixteen ids.
fn request(kind: u8, place: u8, id: u8) -> Vec<u8> {
    let Request::Release(release) = release_request() else { return Vec::new() };
    let batch = |items: usize| {
        let items = vec![BatchItem::Release(release.clone()); items];
        Request::Batch(Box::new(Batch { mode: BatchMode::Independent, items }))
    };
    let (request, has_network) = match kind % 16 {
        0 => (Request::Ping(Ping {}), false),
        1 => (release_request(), true),
        2 => (allocate_request(), true),
        3 => (Request::NetworkList(Box::default()), false),
        4 => (Request::ServerStatus, false),
        5 => (Request::Watch(Box::default()), true),
        6 => (Request::Unwatch(Unwatch { watch: u64::from(id >> 4) + 1 }), false),
        7 => (batch(usize::from(id) + 1), true),
        8 => (batch(1_024), true),
        9 => (Request::Usage(Box::default()), true),
        10 => (Request::ProjectList(Box::default()), false),
        11 => (Request::ClockAccept(ClockAccept {}), false),
        12 => (Request::AllocationList(Box::default()), true),
        13 => (Request::PrincipalList(Box::default()), false),
        14 => (Request::JobList(Box::default()), false),
        _ => (hello_of(|_| {}), false),
    };
    let on = if has_network { network(place & 3) } else { NetworkId::NIL };
    let mut bytes = frame_with(u64::from(id & 15) + 1, on, &request, |header| {
        header.project = if place & 4 == 0 { TEAM } else { ProjectId::from_u128(5) };
        header.timeout_ms = if place & 8 == 0 { 0 } else { 1 };
    });
    match place >> 4 {
        // Wrong somewhere.
        1 => bytes[5] |= 0x80,
        2 => bytes[20] = 1,
        3 => bytes[7] = 0xff,
        4 => bytes[4] = 7,
        5 => bytes[3] = bytes[3].wrapping_add(1),
        6 => bytes[8..16].fill(0),
        7 => bytes.truncate(bytes.len() / 2),
        _ => {}
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::play_corpus;
    use proptest::test_runner::{Config, TestRunner};

    const ASKS: u8 = 1;
    /// HELLO of the first peer with a token; requests of it; what else a step may be.
    const HELLO: u8 = 2;
    const ASK: u8 = 3;
    const WAIT: u8 = 7;
    const ANSWER: u8 = 8;
    const MOVE: u8 = 9;
    const HANG_UP: u8 = 10;
    const READS: u8 = 11;
    const HOLDS: u8 = 14;
    const PIECE: u8 = 15;

    /// Conversations that show most of what there is.
    fn seeds() -> Vec<Vec<u8>> {
        let greet = [HELLO, 1, 0, 0];
        let all = [ASKS, HELLO, 2, 0, 0];
        let asked = |kind: u8, place: u8, id: u8| [ASK, kind, place, id];
        vec![
            [&[0][..], &greet, &asked(2, 0, 1), &asked(0, 0, 2), &[ANSWER]].concat(),
            [&[ASKS][..], &greet, &asked(2, 0, 1), &asked(1, 0, 2), &asked(2, 4, 3), &[ANSWER]]
                .concat(),
            [&[ASKS][..], &asked(0, 0, 1), &greet].concat(),
            [&[ASKS, HELLO, 9, 0, 0][..], &asked(2, 0, 1)].concat(),
            [&[ASKS, HELLO, 3, 0, 0][..], &asked(2, 0, 1), &[ASKS]].concat(),
            [&[ASKS, MOVE, 3][..], &all[1..], &asked(8, 0, 1), &asked(7, 1, 2), &[ANSWER]].concat(),
            // Who becomes nobody while something of his is undecided.
            [&[ASKS][..], &greet, &asked(2, 0, 1), &[MOVE, 2], &asked(2, 0, 2), &[ANSWER]].concat(),
            // A session that is taken over while the older connection has something undecided.
            [
                &[ASKS, HELLO, 1, 1, 1][..],
                &asked(2, 0, 1),
                &[0, 0x10 | HELLO, 1, 1, 2],
                &[WAIT, 12, ANSWER],
            ]
            .concat(),
            // Who doesn't read, and who is late.
            [
                &[0][..],
                &greet,
                &[READS],
                &asked(8, 0, 1),
                &asked(8, 0, 2),
                &[ANSWER, WAIT, 15, READS],
            ]
            .concat(),
            [&[0, PIECE, 9, HELLO, 1, 0, 0, PIECE, 40, WAIT, 14][..], &asked(0, 0, 1)].concat(),
            [&[0][..], &greet, &asked(5, 0, 3), &asked(6, 0, 0x24), &asked(5, 1, 3), &[HANG_UP, 0]]
                .concat(),
            [&[0, HOLDS, 0][..], &greet, &asked(3, 0, 1), &asked(2, 0x10, 2), &asked(2, 0x20, 3)]
                .concat(),
            [&[0][..], &greet, &[1, 20], b"GET / HTTP/1.1\r\n\r\n!!", &[HANG_UP, 1]].concat(),
        ]
    }

    #[test]
    fn the_corpus_of_session_is_played() {
        play_corpus("session", &seeds(), play);
    }

    #[test]
    fn conversations_get_as_far_as_they_should() {
        let played: Vec<Played> = seeds().iter().map(|seed| play(seed)).collect();
        let is = |at: usize, decided: usize, replies: usize, greeted: usize| {
            assert_eq!(played[at], Played { decided, replies, greeted }, "seed {at}");
        };
        is(0, 1, 3, 1);
        // A release, and an allocate in another project, are refused.
        is(1, 1, 4, 1);
        is(2, 0, 1, 0);
        is(3, 0, 1, 0);
        is(6, 1, 2, 1);
    }

    #[test]
    fn any_script_keeps_what_is_promised() {
        let cases = std::env::var("ADDRD_SESSIONS").map_or(300, |text| text.parse().unwrap());
        let mut runner =
            TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let greeted = proptest::collection::vec(proptest::num::u8::ANY, 0..200);
        let asks = (proptest::bool::ANY, greeted);
        let run = runner.run(&asks, |(asks, steps)| {
            let front = [u8::from(asks), HELLO, 1, 0, 0];
            let _ = play(&[&front[..], &steps].concat());
            Ok(())
        });
        run.unwrap();
    }
}
