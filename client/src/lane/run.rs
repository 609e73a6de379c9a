//! The loop of a lane: wait for something (async), then let the state decide (sync).

use super::connect::{ConnectError, Route};
use super::state::{LaneState, Verdict};
use crate::connection::Connection;
use crate::session::Lane;
use crate::settings::Settings;
use crate::ticket::Ticket;
use addrd_protocol::codec::{ReplyDecoder, encode_request};
use addrd_protocol::message::{HelloReply, Ping, Request, RequestHeader};
use addrd_protocol::{NetworkId, Opcode, ProjectId, ServerId};
use bytes::BytesMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::codec::Decoder;

/// Room that is made for a read, bytes.
const READ_BYTES: usize = 64 << 10;
/// Longest wait for the replies that a server promised in its GOAWAY.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// A PING is sent when nothing was for this part of the server's idle time.
const IDLE_DIVISOR: u32 = 3;
/// Wait of a timer that has nothing to wait for.
const FAR: Duration = Duration::from_secs(3_600);

/// What all lanes of a client know.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    server: Mutex<Option<HelloReply>>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, server: Mutex::new(None) }
    }

    /// The only server that is accepted, if one is known.
    pub(crate) fn pinned(&self) -> Option<ServerId> {
        self.settings.server_id.or_else(|| self.lock().as_ref().map(|server| server.server_id))
    }

    /// What the server said of itself at the last HELLO.
    pub(crate) fn server(&self) -> Option<HelloReply> {
        self.lock().clone()
    }

    pub(crate) fn met(&self, server: &HelloReply) {
        *self.lock() = Some(server.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Option<HelloReply>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether callers are left.
#[derive(Debug, PartialEq, Eq)]
enum Callers {
    Some,
    None,
}

/// Runs a lane until its client is dropped.
pub(crate) async fn run(shared: Arc<Shared>, lane: Lane, mut inbox: mpsc::Receiver<Ticket>) {
    let mut state = LaneState::new(shared.settings.sends_max);
    let mut route = Route::new(lane, &shared);
    loop {
        if state.is_idle() {
            match inbox.recv().await {
                Some(ticket) => state.submit(ticket),
                None => return,
            }
        }
        let Some(connection) = connected(&shared, &mut route, &mut state, &mut inbox).await else {
            if inbox.is_closed() && inbox.is_empty() {
                return;
            }
            continue;
        };
        state.incarnation = connection.server().incarnation;
        state.connected(connection.server().credit);
        if serve(&shared, connection, &mut route, &mut state, &mut inbox).await == Callers::None {
            return;
        }
    }
}

/// Tries to connect while requests come and expire. `None`: nothing waits any more.
async fn connected(
    shared: &Shared,
    route: &mut Route,
    state: &mut LaneState,
    inbox: &mut mpsc::Receiver<Ticket>,
) -> Option<Connection<crate::endpoint::Transport>> {
    while !state.is_idle() {
        let tried = {
            let attempt = route.connect(shared);
            tokio::pin!(attempt);
            loop {
                tokio::select! {
                    tried = &mut attempt => break Some(tried),
                    ticket = inbox.recv() => match ticket {
                        Some(ticket) => state.submit(ticket),
                        None => return None,
                    },
                    () = until(state.next_deadline()) => state.expire(Instant::now()),
                }
                if state.is_idle() {
                    break None;
                }
            }
        };
        match tried? {
            Ok(connection) => return Some(connection),
            Err(ConnectError::Final(error)) => state.give_up(&error),
            Err(ConnectError::Again(error, _)) => {
                let most = usize::try_from(shared.settings.connect_rounds_max).unwrap_or(0);
                if most > 0 && route.rounds(shared) >= most {
                    route.worked();
                    state.give_up(&error);
                }
                state.trouble = Some(error);
            }
        }
    }
    None
}

/// A live connection, its buffers and its clock.
struct Live<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    input: BytesMut,
    output: BytesMut,
    /// TLS may have taken what the socket has not.
    is_unflushed: bool,
    pulse: Pulse,
    /// Set by GOAWAY: when the wait for promised replies ends.
    draining: Option<Instant>,
}

/// When something was last heard and said.
struct Pulse {
    idle: Duration,
    silence: Duration,
    sent: Instant,
    heard: Instant,
    /// A PING is without answer since the last time something was heard.
    probing: bool,
}

impl Pulse {
    fn new(idle_ms: u32, silence: Duration, now: Instant) -> Self {
        let idle = Duration::from_millis(idle_ms.into()) / IDLE_DIVISOR;
        let idle = if idle.is_zero() { FAR } else { idle };
        Self { idle, silence, sent: now, heard: now, probing: false }
    }

    /// When [`Pulse::beat`] has to run next.
    fn next(&self, quiet: bool) -> Instant {
        let idle = self.sent + self.idle;
        if quiet { idle } else { idle.min(self.heard + self.silence) }
    }

    /// Whether a PING is due, or `Err` if the peer is dead.
    fn beat(&mut self, quiet: bool, now: Instant) -> Result<bool, ()> {
        if !quiet && now >= self.heard + self.silence {
            if self.probing {
                return Err(());
            }
            self.probing = true;
            self.heard = now;
            return Ok(true);
        }
        Ok(now >= self.sent + self.idle)
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    connection: Connection<S>,
    route: &mut Route,
    state: &mut LaneState,
    inbox: &mut mpsc::Receiver<Ticket>,
) -> Callers {
    let (stream, input, server) = connection.into_parts();
    let (reader, writer) = tokio::io::split(stream);
    let pulse = Pulse::new(server.idle_ms, shared.settings.silence, Instant::now());
    let mut live = Live {
        reader,
        writer,
        input,
        output: BytesMut::new(),
        is_unflushed: false,
        pulse,
        draining: None,
    };
    loop {
        match live.step(state, inbox, route).await {
            Ok(Step::Go) => {}
            Ok(Step::NoCallers) => return Callers::None,
            Err(Verdict::GiveUp(error)) => {
                state.give_up(&error);
                route.lost(shared, Duration::ZERO);
                return Callers::Some;
            }
            Err(Verdict::Reconnect { cause, after }) => {
                state.disconnected(&cause);
                route.lost(shared, after);
                return Callers::Some;
            }
            Err(Verdict::Drain | Verdict::Continue) => {
                route.lost(shared, Duration::ZERO);
                return Callers::Some;
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Go,
    NoCallers,
}

/// What woke a step.
enum Wake {
    Ticket(Option<Ticket>),
    Read(std::io::Result<usize>),
    Written(std::io::Result<()>),
    Timer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Live<S> {
    /// One round: apply what is known, then wait for the next thing. `Err` ends the connection.
    async fn step(
        &mut self,
        state: &mut LaneState,
        inbox: &mut mpsc::Receiver<Ticket>,
        route: &mut Route,
    ) -> Result<Step, Verdict> {
        let now = Instant::now();
        while let Ok(ticket) = inbox.try_recv() {
            state.submit(ticket);
        }
        state.expire(now);
        self.decode(state, route)?;
        if self.draining.is_some_and(|end| state.is_quiet() || end <= now) {
            state.disconnected("the server went away");
            return Err(Verdict::Drain);
        }
        self.send(state, now)?;
        match self.wake(state, inbox).await {
            Wake::Ticket(Some(ticket)) => state.submit(ticket),
            Wake::Ticket(None) => return Ok(Step::NoCallers),
            Wake::Read(Ok(0)) => return Err(lost("the server closed the connection")),
            Wake::Read(Ok(_)) => {
                self.pulse.heard = Instant::now();
                self.pulse.probing = false;
            }
            Wake::Written(Ok(())) => self.pulse.sent = Instant::now(),
            Wake::Read(Err(error)) | Wake::Written(Err(error)) => {
                return Err(lost(&error.kind().to_string()));
            }
            Wake::Timer => {}
        }
        Ok(Step::Go)
    }

    async fn wake(&mut self, state: &LaneState, inbox: &mut mpsc::Receiver<Ticket>) -> Wake {
        self.input.reserve(READ_BYTES);
        let beat = self.pulse.next(state.is_quiet());
        let timer = [state.next_deadline(), self.draining].into_iter().flatten().min();
        let timer = timer.map_or(beat, |timer| timer.min(beat));
        tokio::select! {
            read = self.reader.read_buf(&mut self.input) => Wake::Read(read),
            written = write(&mut self.writer, &mut self.output, &mut self.is_unflushed),
                if !self.output.is_empty() || self.is_unflushed => Wake::Written(written),
            ticket = inbox.recv() => Wake::Ticket(ticket),
            () = tokio::time::sleep_until(timer) => Wake::Timer,
        }
    }

    /// Gives every whole frame of the input to the state.
    fn decode(&mut self, state: &mut LaneState, route: &mut Route) -> Result<(), Verdict> {
        loop {
            match ReplyDecoder::default().decode(&mut self.input) {
                Ok(None) => return Ok(()),
                Ok(Some((header, body))) => match state.received(&header, body) {
                    Verdict::Continue => route.worked(),
                    Verdict::Drain => {
                        self.draining = Some(Instant::now() + DRAIN_MAX);
                        // Nobody reads it any more, and it is repeated elsewhere.
                        self.output.clear();
                    }
                    end => return Err(end),
                },
                Err(error) => return Err(lost(&error.to_string())),
            }
        }
    }

    /// Puts requests into the output, and a PING when one is due.
    fn send(&mut self, state: &mut LaneState, now: Instant) -> Result<(), Verdict> {
        if self.draining.is_none() {
            let was_quiet = state.is_quiet();
            state.fill(now, &mut self.output);
            if was_quiet && !state.is_quiet() {
                self.pulse.heard = now;
            }
        }
        match self.pulse.beat(state.is_quiet(), now) {
            Ok(true) if self.draining.is_none() => {
                let deadline = now + self.pulse.silence * 4;
                state.ping(ping(deadline), now, &mut self.output);
                self.pulse.sent = now;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(()) => Err(lost("the server is silent")),
        }
    }
}

/// Writes once, and flushes what was written last. Nothing is lost if the future is dropped.
async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    output: &mut BytesMut,
    is_unflushed: &mut bool,
) -> std::io::Result<()> {
    if !output.is_empty() {
        writer.write_buf(output).await?;
        *is_unflushed = true;
    }
    if output.is_empty() {
        writer.flush().await?;
        *is_unflushed = false;
    }
    Ok(())
}

fn lost(cause: &str) -> Verdict {
    Verdict::Reconnect { cause: cause.to_owned(), after: Duration::ZERO }
}

/// A PING that nobody waits for.
fn ping(deadline: Instant) -> Ticket {
    let mut frame = BytesMut::new();
    let header = RequestHeader {
        opcode: Opcode::PING,
        request_id: 0,
        timeout_ms: 0,
        project: ProjectId::NIL,
        network: NetworkId::NIL,
        pool: false,
        network_project: None,
        restoring: false,
    };
    let written = encode_request(&header, &Request::Ping(Ping {}), &mut frame);
    debug_assert!(written.is_ok(), "a PING has no body");
    Ticket {
        opcode: Opcode::PING,
        frame,
        deadline,
        sends: 0,
        in_doubt: false,
        answer: None,
        _permits: Vec::new(),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => tokio::time::sleep(FAR).await,
    }
}
