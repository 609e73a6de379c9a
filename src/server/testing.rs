//! A decider that answers when told to, and a peer that speaks frames over a pipe: for the tests of
//! this room, and for rehearsals of whole connections.

use super::access::Doorkeeper;
use super::admission::Peer as PeerAddress;
use super::connection;
use super::decider::{Decider, DeciderStatus, Figures, Identity, Readiness};
use super::origin::Origin;
use super::shared::Shared;
use crate::config::{Bounds, Config};
use crate::engine::{
    AccessDesk, Attempt, AuditDesk, Clock, Fair, FakeClock, Feed, LevelCounts, Operation, Parcel,
    Rejected, Route, Scope, Stages, UsageLevels,
};
use crate::model::{Incarnation, NetworkId, OwnerId, ProjectId, Seq, ServerId, SessionId, Tick};
use addrd_protocol::codec::{
    Direction, FrameBounds, ReplyOrFailure, decode_reply, encode_reply, encode_request,
    frame_length,
};
use addrd_protocol::header::ReplyHeader;
use addrd_protocol::message::{
    Allocate, BackupBlock, BackupRead, Failure, GoAway, Hello, Ping, Release, Reply, Request,
    RequestHeader, Target,
};
use addrd_protocol::{Instance, Opcode, Slot, Status};
use addrd_sync::{Depth, Level};
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Decides nothing: keeps what it gets, or answers at once.
#[derive(Clone, Debug)]
pub(super) struct FakeDecider(Arc<Fake>);

#[derive(Debug)]
struct Fake {
    clock: Arc<FakeClock>,
    seen_clock: Arc<dyn Clock>,
    active: Level,
    active_principals: Level,
    feed: Arc<Feed>,
    access: Arc<AccessDesk>,
    audit: Arc<AuditDesk>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_holding: bool,
    panics: bool,
    /// Operations that may be on the way, while it is crowded.
    crowded: Option<u32>,
    not_ready: Option<&'static str>,
    adoption: Option<Tick>,
    room: Option<usize>,
    reply_bytes: usize,
    parcels: Vec<(Route, Parcel)>,
    seen: Vec<(Route, u64)>,
    asked: Vec<(Opcode, ProjectId)>,
}

pub(super) const SERVER_ID: ServerId = ServerId::from_u128(0x5e);

impl FakeDecider {
    /// Answers every operation at once with `NOT_HELD`.
    pub(super) fn answering() -> Self {
        let clock = Arc::new(FakeClock::new(Tick(1_000)));
        let state = Mutex::default();
        let seen_clock: Arc<dyn Clock> = Arc::<FakeClock>::clone(&clock);
        let (feed, access) = (Feed::idle(), Arc::default());
        let (active, active_principals) = (Level::new(0), Level::new(0));
        let audit = AuditDesk::kept();
        Self(Arc::new(Fake {
            clock,
            seen_clock,
            active,
            active_principals,
            feed,
            access,
            audit,
            state,
        }))
    }

    /// Keeps every operation until it is told to answer.
    pub(super) fn holding() -> Self {
        let fake = Self::answering();
        fake.state().is_holding = true;
        fake
    }

    /// Is crowded: so many operations may be on the way of all together. `None`: it isn't any more.
    pub(super) fn crowd(&self, operations: Option<u32>) {
        self.state().crowded = operations;
    }

    /// Takes so many operations more, then refuses.
    pub(super) fn set_room(&self, room: usize) {
        self.state().room = Some(room);
    }

    /// From now on the wall clock is 7 s ahead and not believed.
    pub(super) fn doubt_clock(&self) {
        self.0.clock.doubt(7_000);
    }

    /// Is not ready, for this reason.
    pub(super) fn set_not_ready(&self, reason: &'static str) {
        self.state().not_ready = Some(reason);
    }

    /// Is in adoption mode since this tick.
    pub(super) fn adopt_since(&self, tick: Tick) {
        self.state().adoption = Some(tick);
    }

    /// Attempts that were told to the audit log.
    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.0.audit.take().into()
    }

    /// Where it tells who may do what.
    pub(super) fn access_desk(&self) -> Arc<AccessDesk> {
        Arc::clone(&self.0.access)
    }

    /// Its time.
    pub(super) fn tick(&self) -> Tick {
        self.0.clock.tick()
    }

    /// Moves its clock on.
    pub(super) fn advance(&self, ms: u64) {
        self.0.clock.advance(ms);
    }

    /// The next parcel panics.
    pub(super) fn panic_next(&self) {
        self.state().panics = true;
    }

    /// Bytes of nonsense behind each reply's header.
    pub(super) fn set_reply_bytes(&self, bytes: usize) {
        self.state().reply_bytes = bytes;
    }

    /// What came, in order: route and request id.
    pub(super) fn seen(&self) -> Vec<(Route, u64)> {
        self.state().seen.clone()
    }

    /// Operation and project of what came since it was asked last.
    pub(super) fn take_asked(&self) -> Vec<(Opcode, ProjectId)> {
        std::mem::take(&mut self.state().asked)
    }

    /// Keeps every operation from now on, or none.
    pub(super) fn hold(&self, is_holding: bool) {
        self.state().is_holding = is_holding;
    }

    /// Operations that are kept.
    pub(super) fn held(&self) -> usize {
        self.state().parcels.iter().map(|(_, parcel)| parcel.operations.len()).sum()
    }

    /// The operations that are kept, taken out without an answer.
    pub(super) fn take(&self) -> Vec<(Route, Parcel)> {
        std::mem::take(&mut self.state().parcels)
    }

    /// Answers all that is kept.
    pub(super) fn answer_all(&self) {
        let reply_bytes = self.state().reply_bytes;
        for (_, parcel) in self.take() {
            answer(&parcel, reply_bytes, Stages::at(self.clock().monotonic_ns()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

fn answer(parcel: &Parcel, reply_bytes: usize, stages: Stages) {
    let mut frames = BytesMut::new();
    for operation in &parcel.operations {
        let Operation { opcode, request_id, .. } = &**operation;
        let start = frames.len();
        encode_reply(*opcode, *request_id, Status::NOT_HELD, &Reply::Empty, &mut frames);
        frames.resize(frames.len() + reply_bytes, 0);
        let length = u32::try_from(frames.len() - start).unwrap();
        frames[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    let operations = u32::try_from(parcel.operations.len()).unwrap();
    parcel.outlet.deliver(frames.freeze(), operations, stages);
}

impl Decider for FakeDecider {
    fn route(&self, scope: &Scope, request: &Request) -> Route {
        match request {
            Request::NetworkCreate(_) | Request::NetworkDelete(_) | Request::Transaction(_) => {
                Route::Sequencer
            }
            Request::NetworkList(_) | Request::NetworkFind(_) => Route::Gather,
            // Even networks and odd ones have a worker each.
            _ => Route::Worker((scope.network.as_bytes()[15] & 1).into()),
        }
    }

    fn submit(&self, to: Route, mut parcel: Parcel) -> Result<(), Rejected> {
        assert!(!parcel.operations.is_empty());
        let mut state = self.state();
        if std::mem::take(&mut state.panics) {
            drop(state);
            panic!("as the test asked for");
        }
        let room = state.room.unwrap_or(usize::MAX).min(parcel.operations.len());
        if let Some(left) = &mut state.room {
            *left -= room;
        }
        let rest = parcel.operations.split_off(room);
        for operation in &parcel.operations {
            state.seen.push((to, operation.request_id));
            state.asked.push((operation.opcode, operation.scope.project));
        }
        let (is_holding, reply_bytes) = (state.is_holding, state.reply_bytes);
        if is_holding && room > 0 {
            state.parcels.push((to, parcel));
        } else if room > 0 {
            drop(state);
            answer(&parcel, reply_bytes, Stages::at(self.clock().monotonic_ns()));
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(Rejected { operations: rest, bound: "fake_room", retry_after_ms: 7 })
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.seen_clock
    }

    fn identity(&self) -> Identity {
        Identity { server_id: SERVER_ID, incarnation: Incarnation(3) }
    }

    fn position(&self) -> Seq {
        Seq(17)
    }

    fn readiness(&self) -> Readiness {
        let reason = self.state().not_ready;
        reason.map_or(Readiness::Ready, |reason| Readiness::NotReady(reason.to_owned()))
    }

    fn access(&self) -> &Arc<AccessDesk> {
        &self.0.access
    }

    fn audit(&self) -> &AuditDesk {
        &self.0.audit
    }

    fn adoption(&self) -> Option<Tick> {
        self.state().adoption
    }

    fn backup_read(&self, request: &BackupRead) -> Result<BackupBlock, Box<Failure>> {
        let bytes = bytes::Bytes::from(vec![request.block as u8; 1_000]);
        Ok(BackupBlock { block: request.block, last: false, wait_ms: 0, bytes })
    }

    fn figures(&self) -> Figures {
        let (rings, away_ns_max) = (vec![("worker-0".to_owned(), Depth::default())], vec![0]);
        let levels = UsageLevels::new(&[80, 95]).unwrap_or_default();
        let subnet_levels = LevelCounts { levels, ..LevelCounts::default() };
        let pool_levels = subnet_levels;
        Figures { rings, away_ns_max, subnet_levels, pool_levels, ..Figures::empty() }
    }

    fn loops(&self) -> Vec<(String, u64)> {
        vec![("fake".to_owned(), FakeClock::new(Tick(1_000)).monotonic_ns())]
    }

    fn status(&self) -> DeciderStatus {
        DeciderStatus { workers: 2, networks: 5, ..DeciderStatus::default() }
    }

    fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    fn active(&self) -> &Level {
        &self.0.active
    }

    fn active_principals(&self) -> &Level {
        &self.0.active_principals
    }

    fn fair(&self) -> Fair {
        let crowded = self.state().crowded;
        Fair { workers: crowded, sequencer: crowded }
    }
}

/// A server without sockets.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) decider: FakeDecider,
    pub(super) shared: Arc<Shared<FakeDecider>>,
    pub(super) tasks: TaskTracker,
}

impl Stage {
    pub(super) fn new(decider: FakeDecider) -> Self {
        Self::bounded(decider, Bounds::default())
    }

    pub(super) fn bounded(decider: FakeDecider, bounds: Bounds) -> Self {
        Self::with(decider, Config { bounds, ..Config::default() })
    }

    /// A server that asks everybody who he is.
    pub(super) fn guarded(decider: FakeDecider) -> Self {
        Self::with(decider, Config { authentication: true, ..Config::default() })
    }

    /// The same, which nobody administers over the network.
    pub(super) fn administered_locally(decider: FakeDecider) -> Self {
        let config =
            Config { authentication: true, local_administration: true, ..Config::default() };
        Self::with(decider, config)
    }

    fn with(decider: FakeDecider, config: Config) -> Self {
        let config = Config { data_directory: "/".into(), ..config };
        let doorkeeper = Doorkeeper::new(&config, None);
        let shared = Shared::new(decider.clone(), &config, None, Arc::default(), None, doorkeeper);
        Self { shared, decider, tasks: TaskTracker::new() }
    }

    /// A connection that has said nothing yet, from somewhere.
    pub(super) fn connect_from(&self, origin: Origin) -> TestPeer {
        self.connect_over(4 << 20, origin)
    }

    /// A connection that has said nothing yet; the pipe holds `pipe_bytes` each way.
    pub(super) fn connect_with(&self, pipe_bytes: usize) -> TestPeer {
        self.connect_over(pipe_bytes, Origin::of(PeerAddress::Local))
    }

    fn connect_over(&self, pipe_bytes: usize, origin: Origin) -> TestPeer {
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let seats = self.shared.admission.admit(origin.peer).unwrap();
        let serving = connection::serve(theirs, Arc::clone(&self.shared), seats, origin);
        let task = self.tasks.spawn(serving);
        TestPeer { io: ours, task, unread: BytesMut::new() }
    }

    pub(super) fn connect(&self) -> TestPeer {
        self.connect_from(Origin::of(PeerAddress::Local))
    }

    /// A connection that has said HELLO and got its answer.
    pub(super) async fn greeted(&self) -> TestPeer {
        let mut peer = self.connect();
        peer.send(&hello(1)).await;
        assert_eq!(peer.status().await, (1, Status::OK));
        peer
    }
}

/// The other end of a connection.
#[derive(Debug)]
pub(super) struct TestPeer {
    pub(super) io: DuplexStream,
    pub(super) task: JoinHandle<()>,
    unread: BytesMut,
}

impl TestPeer {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// The next reply frame; `None` at the end of the stream.
    pub(super) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            let length = frame_length(&self.unread, Direction::Reply, FrameBounds::REPLIES);
            match length.unwrap() {
                Some(length) if length <= self.unread.len() => {
                    return Some(self.unread.split_to(length).freeze());
                }
                _ if self.io.read_buf(&mut self.unread).await.unwrap() == 0 => {
                    assert!(self.unread.is_empty(), "the stream ended inside a frame");
                    return None;
                }
                _ => {}
            }
        }
    }

    /// The next reply, decoded.
    pub(super) async fn reply(&mut self) -> (ReplyHeader, ReplyOrFailure) {
        let frame = self.frame().await.expect("a reply");
        let (header, body) = decode_reply(&frame).unwrap();
        (header, body.unwrap())
    }

    /// Request id and status of the next reply, whatever its body.
    pub(super) async fn status(&mut self) -> (u64, Status) {
        let frame = self.frame().await.expect("a reply");
        let (header, _) = decode_reply(&frame).unwrap();
        (header.request_id, header.status)
    }

    /// The next reply, which is a failure.
    pub(super) async fn failure(&mut self) -> (ReplyHeader, Failure) {
        match self.reply().await {
            (header, ReplyOrFailure::Failure(failure)) => (header, *failure),
            other => panic!("a failure, not {other:?}"),
        }
    }

    pub(super) async fn goaway(&mut self) -> GoAway {
        match self.reply().await {
            (_, ReplyOrFailure::GoAway(goaway)) => goaway,
            other => panic!("GOAWAY, not {other:?}"),
        }
    }

    /// The stream ends here, without another frame.
    pub(super) async fn ends(&mut self) {
        assert_eq!(self.frame().await, None);
    }

    /// Nothing comes for a while.
    pub(super) async fn hears_nothing(&mut self) {
        let waited = tokio::time::timeout(Duration::from_millis(500), self.frame()).await;
        assert!(waited.is_err(), "nothing was expected, not {waited:?}");
    }

    /// Whether the connection still serves.
    pub(super) async fn is_served(&mut self) {
        self.send(&ping(u64::MAX)).await;
        assert_eq!(self.status().await, (u64::MAX, Status::OK));
    }
}

/// Lets every task run until it waits.
pub(super) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn network(number: u8) -> NetworkId {
    NetworkId::from_u128(0x0100 | u128::from(number))
}

/// A request as bytes.
pub(super) fn frame(request_id: u64, on: NetworkId, request: &Request) -> Vec<u8> {
    frame_with(request_id, on, request, |_| {})
}

pub(super) fn frame_with(
    request_id: u64,
    on: NetworkId,
    request: &Request,
    change: impl FnOnce(&mut RequestHeader),
) -> Vec<u8> {
    let (opcode, project) = (request.opcode(), ProjectId::NIL);
    let mut header = RequestHeader {
        opcode,
        request_id,
        timeout_ms: 0,
        project,
        network: on,
        pool: false,
        network_project: None,
        restoring: false,
    };
    change(&mut header);
    let mut bytes = BytesMut::new();
    encode_request(&header, request, &mut bytes).unwrap();
    bytes.to_vec()
}

pub(super) fn hello_of(change: impl FnOnce(&mut Hello)) -> Request {
    let mut hello = Hello {
        version_min: 1,
        version_max: 1,
        features: 0,
        session: SessionId::NIL,
        epoch: 0,
        server_id: None,
        client: None,
        manager: None,
        host: None,
        token: None,
    };
    change(&mut hello);
    Request::Hello(Box::new(hello))
}

pub(super) fn hello(request_id: u64) -> Vec<u8> {
    frame(request_id, NetworkId::NIL, &hello_of(|_| {}))
}

pub(super) fn hello_in_session(request_id: u64, session: u128, epoch: u64) -> Vec<u8> {
    let request = hello_of(|hello| {
        hello.session = SessionId::from_u128(session);
        hello.epoch = epoch;
    });
    frame(request_id, NetworkId::NIL, &request)
}

pub(super) fn ping(request_id: u64) -> Vec<u8> {
    frame(request_id, NetworkId::NIL, &Request::Ping(Ping {}))
}

pub(super) fn release_request() -> Request {
    let target = Target::Key { owner: OwnerId::from_u128(7), slot: Slot(0) };
    Request::Release(Release {
        target,
        fences: addrd_protocol::message::Fences::default(),
        any: false,
    })
}

pub(super) fn release(request_id: u64, on: u8) -> Vec<u8> {
    frame(request_id, network(on), &release_request())
}

pub(super) fn allocate_request() -> Request {
    Request::Allocate(Allocate {
        owner: OwnerId::from_u128(7),
        slot: Slot(0),
        instance: Instance(0),
        family: addrd_protocol::message::FamilyChoice::One,
        strategy: addrd_protocol::message::Strategy::Default,
        length: None,
        flags: addrd_protocol::message::AllocateFlags::default(),
        extras: None,
    })
}

/// The committed corpus of a fuzz target.
#[cfg(test)]
pub(super) fn corpus_of(target: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// Plays the committed corpus of a fuzz target, which has the seeds in it; writes these first, if asked to.
#[cfg(test)]
pub(super) fn play_corpus<T>(target: &str, seeds: &[Vec<u8>], play: fn(&[u8]) -> T) {
    let corpus = corpus_of(target);
    if std::env::var_os("ADDRD_CORPUS").is_some_and(|wanted| wanted == "write") {
        std::fs::create_dir_all(&corpus).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
    let mut count = 0;
    for entry in std::fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let script = std::fs::read(&path).unwrap();
        let played = std::panic::catch_unwind(|| play(&script));
        assert!(played.is_ok(), "{} fails", path.display());
        count += 1;
    }
    assert!(count >= seeds.len(), "{count}");
}
