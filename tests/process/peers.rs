//! T8, T9: peers that are silent, slow, deaf, gone or too many, beside good ones. They are closed
//! in bounded time and cost bounded memory; good clients see nothing of it.

use super::tls::House;
use crate::support::certificates::Files;
use crate::support::good::Good;
use crate::support::hostile::{CANARY, bytes_of, dial_from, hello_bytes, one_frame, ping_bytes};
use crate::support::line::Line;
use crate::support::network::{network, text};
use crate::support::server::{Server, Site};
use crate::support::{HANG, eventually, run, say, scale, soon, widen};
use addrd_client::protocol::message::{
    AllocateExtras, AllocationList, Batch, BatchItem, BatchMode, PageRequest, Ping, Request,
};
use addrd_client::protocol::{NetworkId, OwnerId};
use addrd_client::{Endpoint, plain_allocate, plain_hello};
use bytes::BytesMut;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections that never say anything: more than one address may have before HELLO.
const SILENT: usize = 300;
/// So many may one address have before HELLO (SECURITY.md).
const UNGREETED_PEER_MAX: usize = 256;
/// Peers that come from one address: all of them may be there before HELLO.
const PEERS_OF_ADDRESS: usize = 200;
/// Peers of a kind for each one that asks for much and reads nothing.
const PEERS_FOR_DEAF: usize = 100;
/// Least of those.
const DEAF: usize = 16;
/// Descriptors for everything but idle and slow peers and half handshakes.
const DESCRIPTORS_SPARE: usize = 1_500;
/// Rounds of each good client before the bad ones come, to compare with.
const ROUNDS_ALONE: u64 = 200;
/// Peers at once that wait for an answer to HELLO, which who is slow afterwards must get.
const GREETINGS_AT_ONCE: usize = 128;
/// After so long, which is longer than the system tries to hand a connection over, a silent peer is never told of its end.
const UNHEARD: Duration = Duration::from_secs(100);
/// Hard maximum of `connections_ungreeted_max`.
const UNGREETED_MOST: usize = 16_384;

/// What a connection may cost (SECURITY.md), bytes.
const CONNECTION_BYTES_MAX: u64 = 16 << 10;
/// What replies that nobody reads may cost, and the read buffer beside them, bytes.
const DEAF_BYTES_MAX: u64 = (1 << 20) + (64 << 10);
/// What all requests and replies together may cost (`bytes_in_flight_max`), bytes.
const IN_FLIGHT_BYTES_MAX: u64 = 256 << 20;
/// What all handshakes of TLS at once may cost at the worst (512 of them), bytes.
const HANDSHAKES_BYTES_MAX: u64 = 80 << 20;
/// What the allocator and the runtime may keep, bytes.
const SPARE_BYTES_MAX: u64 = 64 << 20;

/// Numbers of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// Peers of each kind: idle ones, slow ones, half handshakes; twice as many come and go.
    peers: usize,
    /// Slow ones at once, and half handshakes at once: as many as descriptors are left for.
    at_once: usize,
    /// Peers that read nothing.
    deaf: usize,
}

impl Numbers {
    /// As the environment has it (tests/process.rs).
    ///
    /// # Panics
    /// When this process may not open that many files.
    pub(crate) fn of_run() -> Self {
        let peers = scale("ADDRD_PEERS", 500) as usize;
        let left = widen().saturating_sub(peers + DESCRIPTORS_SPARE) / 2;
        assert!(left > 0, "{peers} idle peers need more descriptors (ulimit -Hn)");
        Self { peers, at_once: peers.min(left), deaf: DEAF.max(peers / PEERS_FOR_DEAF) }
    }

    /// A server that takes all of them, and whose files are small.
    pub(crate) fn site(self) -> Site {
        let ungreeted = (2 * self.at_once + 1_024).min(UNGREETED_MOST);
        Site::new().with_config(&format!(
            "connections_max = {}\nconnections_ungreeted_max = {ungreeted}\n\
             journal_records_max = 262144\nhistory_bytes = \"256MiB\"\n",
            10_000.max(self.peers + ungreeted + self.deaf + SILENT)
        ))
    }

    /// What the server may have in memory.
    pub(crate) fn bytes_max(self, before: u64, silent: usize) -> u64 {
        let connections = (silent + 2 * self.at_once + self.deaf + self.peers) as u64;
        let waiting = (self.deaf as u64 * DEAF_BYTES_MAX).min(IN_FLIGHT_BYTES_MAX);
        before + connections * CONNECTION_BYTES_MAX + waiting + SPARE_BYTES_MAX
    }

    /// Sends every kind of bad peers. Returns how many are silent.
    pub(crate) async fn set_out(self, site: &Site, full: NetworkId, peers: &mut Peers) -> usize {
        let to = site.listen();
        let silent = too_many_silent(site, peers).await;
        let (slow, half) = (Semaphore::new(self.at_once), Semaphore::new(self.at_once));
        let (slow, half, greeting) =
            (Arc::new(slow), Arc::new(half), Arc::new(Semaphore::new(GREETINGS_AT_ONCE)));
        for number in 0..self.peers {
            let (slow, half) = (Arc::clone(&slow), Arc::clone(&half));
            let greeting = Arc::clone(&greeting);
            let from = place(2, number);
            peers.tasks.spawn(async move {
                let _place = slow.acquire().await.expect("it is open");
                match number % 4 {
                    0 => slow_hello(from, to, Duration::from_millis(200)).await,
                    1 => slow_frame(from, to, Duration::from_millis(400), &greeting).await,
                    2 => slow_hello(from, to, Duration::from_secs(10)).await,
                    _ => slow_frame(from, to, Duration::from_secs(10), &greeting).await,
                }
            });
            let unheard = peers.unheard.clone();
            peers.tasks.spawn(async move {
                let _place = half.acquire().await.expect("it is open");
                half_hello(place(3, number), to, number, &unheard).await;
            });
        }
        for _ in 0..self.deaf {
            peers.tasks.spawn(deaf(to, full));
        }
        peers.tasks.spawn(storm(to, 2 * self.peers));
        silent
    }
}

/// Bad peers at work; each is done when the server has closed it.
pub(crate) struct Peers {
    tasks: JoinSet<()>,
    unheard: Unheard,
}

/// Connections of peers that wait for an end of which they are never told.
type Unheard = Arc<Mutex<Vec<TcpStream>>>;

impl Peers {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), unheard: Unheard::default() }
    }

    /// Highest memory until every peer is through.
    ///
    /// A peer that says nothing may believe in a connection that the server never got, because the queue in front of it was
    /// full when the handshake of TCP ended: it can't be told. The server has none of those then, and at most `others`
    /// that have not finished HELLO.
    ///
    /// # Panics
    /// When one is not closed.
    pub(crate) async fn gone(mut self, site: &Site, server: &Server<'_>, others: usize) -> u64 {
        let highest = watch_all(server, &mut self.tasks).await;
        let unheard = std::mem::take(&mut *self.unheard.lock().expect("nobody panicked with it"));
        if !unheard.is_empty() {
            say(&format!("{} silent peers came while the queue was full", unheard.len()));
            eventually("the server to know none of the silent peers", async || {
                let ungreeted = site.figures().await.get("addrd_connections_ungreeted")?;
                (ungreeted <= others as f64).then_some(())
            })
            .await;
        }
        highest
    }
}

/// Waits for the end of a peer that says nothing more.
async fn heard(mut stream: TcpStream, unheard: &Unheard) {
    let end = async { while let Ok(1..) = stream.read(&mut [0; 4_096]).await {} };
    if timeout(UNHEARD, end).await.is_err() {
        unheard.lock().expect("nobody panicked with it").push(stream);
    }
}

/// The loopback address of a peer of some kind.
fn place(kind: u8, number: usize) -> Ipv4Addr {
    let [.., high, low] = (number / PEERS_OF_ADDRESS).to_be_bytes();
    Ipv4Addr::new(127, kind, high, low)
}

#[test]
fn silent_slow_deaf_and_fleeting_peers_are_closed_and_cost_little() {
    let numbers = Numbers::of_run();
    run(Duration::from_secs(300 + numbers.peers as u64 / 5), async {
        let site = numbers.site();
        let server = site.start().await;
        let full = full_network(&site).await;
        let alone = Good::alone(&site, 4, CANARY, ROUNDS_ALONE).await;
        let good = Good::start(&site, 4, CANARY).await;
        let before = server.resident_bytes();
        let idle = Idle::open(&site, numbers).await;
        let mut peers = Peers::new();
        let silent = numbers.set_out(&site, full, &mut peers).await;
        let highest = peers.gone(&site, &server, 0).await;
        let work = good.end().await;
        say(&format!(
            "{numbers:?}; good clients alone: {alone}; beside them: {work}; \
             memory {before}, at most {highest} bytes"
        ));
        let most = numbers.bytes_max(before, silent);
        assert!(highest < most, "{highest} bytes, allowed {most}");
        idle.end().await;
        server.stop().await;
        let log = site.log();
        assert!(!log.contains("panicked"), "the server panicked");
        assert!(!log.contains(CANARY), "the log holds what was sent");
    });
}

#[test]
fn half_handshakes_of_tls_are_closed_and_cost_little() {
    let numbers = Numbers::of_run();
    run(Duration::from_secs(300 + numbers.peers as u64 / 5), async {
        // As many as come from one address, and more: the rest is refused at accept.
        let house = House::new(Files::mutual);
        let server = house.site.start().await;
        let client = house.client(house.good()).await.expect("a good client");
        let good = Good::over(&client, 4, CANARY).await;
        let before = server.resident_bytes();
        let hello = hello_of_tls(&house).await;
        let places = Arc::new(Semaphore::new(numbers.at_once));
        let mut peers = Peers::new();
        for number in 0..numbers.peers {
            let unheard = peers.unheard.clone();
            let (places, hello, to) = (Arc::clone(&places), hello.clone(), house.site.listen());
            peers.tasks.spawn(async move {
                let _place = places.acquire().await.expect("it is open");
                let said = &hello[..hello.len() * (number % 4) / 3];
                // Who is one too many is closed at once.
                let Ok(mut stream) = dial_from(place(4, number), to).await else { return };
                if stream.write_all(said).await.is_ok() {
                    heard(stream, &unheard).await;
                }
            });
        }
        let highest = peers.gone(&house.site, &server, 0).await;
        let work = good.end().await;
        say(&format!(
            "{numbers:?}; good clients over TLS: {work}; memory {before}, at most {highest} bytes"
        ));
        let most = before + HANDSHAKES_BYTES_MAX + SPARE_BYTES_MAX;
        assert!(highest < most, "{highest} bytes, allowed {most}");
        house.shows("addrd_tls_handshakes", 0.0).await;
        house.client(house.good()).await.expect("room for good clients");
        server.stop().await;
        assert!(!house.site.log().contains("panicked"), "the server panicked");
    });
}

/// Connections that a small server takes.
const FEW: usize = 100;

#[test]
fn more_connections_than_allowed_are_refused_and_the_others_go_on() {
    run(Duration::from_secs(300), async {
        let config = format!(
            "connections_max = {FEW}\nconnections_ungreeted_max = {FEW}\n\
             connections_ungreeted_peer_max = {FEW}\njournal_records_max = 262144\n"
        );
        let site = Site::new().with_config(&config);
        let server = site.start().await;
        let mut lines = Vec::new();
        for _ in 0..FEW {
            lines.push(Line::open(site.listen(), &plain_hello()).await.expect("a line"));
        }
        for _ in 0..20 {
            let refused = Line::open(site.listen(), &plain_hello()).await;
            assert!(refused.is_err(), "one more than allowed");
        }
        ping_all(&mut lines).await;
        drop(lines.pop());
        eventually("a place", async || Line::open(site.listen(), &plain_hello()).await.ok()).await;
        server.stop().await;
    });
}

/// PING on lines that are there, on all at once: one after the other would take longer than they may be silent.
///
/// # Panics
/// When one is lost.
async fn ping_all(lines: &mut [Line]) {
    for line in &mut *lines {
        line.queue(NetworkId::NIL, &Request::Ping(Ping {}));
        line.flush().await.expect("a good connection takes a request");
    }
    for line in lines {
        let pong = line.next().await;
        assert!(matches!(pong, Ok((_, Ok(_)))), "a good connection was lost: {pong:?}");
    }
}

/// Highest memory until every peer is through.
async fn watch_all(server: &Server<'_>, peers: &mut JoinSet<()>) -> u64 {
    let mut highest = 0;
    let mut pulse = tokio::time::interval(Duration::from_millis(100));
    loop {
        highest = highest.max(server.resident_bytes());
        tokio::select! {
            _ = pulse.tick() => {}
            done = soon("a peer to be closed", peers.join_next()) => match done {
                Some(done) => done.expect("a peer is closed as promised"),
                None => return highest,
            },
        }
    }
}

/// A network whose list fills a page of a reply.
pub(crate) async fn full_network(site: &Site) -> NetworkId {
    let client = site.client().await;
    let network = network(&client, 0xf, &["10.8.0.0/16"]).await;
    let label = text(&format!("pad={}", "x".repeat(200)));
    let items = (1..=1_000).map(|owner| {
        let mut one = plain_allocate(OwnerId::from_u128(owner));
        let extras = AllocateExtras { label: Some(label.clone()), ..AllocateExtras::default() };
        one.extras = Some(Box::new(extras));
        BatchItem::Allocate(one)
    });
    let batch = Batch { mode: BatchMode::AllOrNothing, items: items.collect() };
    client.batch(network, batch).await.expect("a thousand addresses");
    network
}

/// Connections that said HELLO and live by a PING now and then.
pub(crate) struct Idle {
    lines: JoinSet<Vec<Line>>,
    stop: watch::Sender<bool>,
}

/// Pause after all have sent one: well below the time after which an idle one is closed.
const IDLE_PAUSE: Duration = Duration::from_secs(60);

impl Idle {
    /// Opens as many as there are of a kind.
    ///
    /// # Panics
    /// When the server refuses one.
    pub(crate) async fn open(site: &Site, numbers: Numbers) -> Self {
        let greeting = Arc::new(Semaphore::new(GREETINGS_AT_ONCE));
        let mut opening = JoinSet::new();
        for _ in 0..numbers.peers {
            let (greeting, to) = (Arc::clone(&greeting), site.listen());
            opening.spawn(async move {
                let _place = greeting.acquire().await.expect("it is open");
                Line::open(to, &plain_hello()).await.expect("a line")
            });
        }
        let mut lines = opening.join_all().await;
        let (stop, mut stopped) = watch::channel(false);
        let mut opened = JoinSet::new();
        opened.spawn(async move {
            loop {
                ping_all(&mut lines).await;
                if timeout(IDLE_PAUSE, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
                    return lines;
                }
            }
        });
        Self { lines: opened, stop }
    }

    /// Ends them, when each has answered once more.
    ///
    /// # Panics
    /// When one was lost.
    pub(crate) async fn end(mut self) {
        self.stop.send_replace(true);
        let lines = self.lines.join_next().await.expect("they are there");
        let mut lines = lines.expect("no idle connection was lost");
        ping_all(&mut lines).await;
    }
}

/// Silent peers of one address, until as many were refused at accept as are above its bound. On a
/// slow machine the first have had their 5 s before the last come, so more of them are sent then.
async fn too_many_silent(site: &Site, peers: &mut Peers) -> usize {
    let began = Instant::now();
    let mut count = 0;
    loop {
        for _ in 0..SILENT {
            peers.tasks.spawn(silent(site.listen(), peers.unheard.clone()));
        }
        count += SILENT;
        // The figures are folded once a second.
        for _ in 0..30 {
            let figures = site.figures().await;
            let refused = r#"addrd_connections_refused_total{reason="ungreeted_peer"}"#;
            let refused = figures.get(refused).unwrap_or_default();
            if refused >= (SILENT - UNGREETED_PEER_MAX) as f64 {
                return count;
            }
            assert!(began.elapsed() < HANG, "a hang: {refused} refused of {count}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Says nothing and waits for the end. All come from one address.
async fn silent(to: SocketAddr, unheard: Unheard) {
    // A refusal at accept is an end as well.
    if let Ok(stream) = dial_from(Ipv4Addr::new(127, 0, 2, 1), to).await {
        heard(stream, &unheard).await;
    }
}

/// Sends bytes with a pause after each, until all are sent or the server closes.
async fn dribble(stream: &mut TcpStream, bytes: &[u8], pause: Duration) {
    for byte in bytes {
        let gone = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            ready = stream.readable() => ready.is_err() || is_over(stream),
        };
        if gone || stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
    panic!("the server waited for all {} bytes", bytes.len());
}

/// Whether the server closed; what it says before is passed over.
fn is_over(stream: &TcpStream) -> bool {
    let mut bytes = [0; 4_096];
    loop {
        match stream.try_read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// A HELLO that would take 20 s and more; it has 5 s.
async fn slow_hello(from: Ipv4Addr, to: SocketAddr, pause: Duration) {
    let mut stream = dial_from(from, to).await.expect("a connection");
    dribble(&mut stream, &hello_bytes(), pause).await;
}

/// A frame that would take 40 s and more; it has 10 s.
async fn slow_frame(from: Ipv4Addr, to: SocketAddr, pause: Duration, greeting: &Semaphore) {
    let place = greeting.acquire().await.expect("it is open");
    let mut stream = dial_from(from, to).await.expect("a connection");
    stream.write_all(&hello_bytes()).await.expect("the server reads");
    one_frame(&mut stream, &mut BytesMut::new()).await.expect("an answer to HELLO");
    drop(place);
    let allocate = Request::Allocate(plain_allocate(OwnerId::from_u128(1)));
    let frame = bytes_of(NetworkId::from_u128(0xdead), 2, &allocate);
    dribble(&mut stream, &frame, pause).await;
}

/// Nothing, a byte, or half of HELLO, and no more.
async fn half_hello(from: Ipv4Addr, to: SocketAddr, number: usize, unheard: &Unheard) {
    let hello = hello_bytes();
    let said = [0, 1, hello.len() / 2][number % 3];
    let mut stream = dial_from(from, to).await.expect("a connection");
    if stream.write_all(&hello[..said]).await.is_ok() {
        heard(stream, unheard).await;
    }
}

/// What a client says first over TLS.
async fn hello_of_tls(house: &House) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let tls = house.good();
    let mut client = JoinSet::new();
    client.spawn(async move {
        let place = Endpoint::Tcp { host: "127.0.0.1".to_owned(), port };
        let _ = place.open_with(Some(&tls)).await;
    });
    let (mut stream, _) = soon("a client", listener.accept()).await.expect("a stream");
    let mut front = [0; 5];
    soon("a record", stream.read_exact(&mut front)).await.expect("the front of a record");
    let mut hello = vec![0; usize::from(u16::from_be_bytes([front[3], front[4]]))];
    soon("a record", stream.read_exact(&mut hello)).await.expect("a record");
    client.abort_all();
    [&front[..], &hello].concat()
}

/// Asks for long lists and never reads; done when the server has closed.
async fn deaf(to: SocketAddr, network: NetworkId) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    socket.bind(SocketAddr::from(([127, 0, 2, 4], 0))).expect("a loopback address");
    let mut stream = socket.connect(to).await.expect("a connection");
    stream.write_all(&hello_bytes()).await.expect("the server reads");
    let list = AllocationList {
        page: PageRequest { limit: 1_000, cursor: None },
        ..AllocationList::default()
    };
    let request = Request::AllocationList(Box::new(list));
    for id in 2.. {
        let mut bytes = bytes_of(network, id, &request);
        bytes.extend(ping_bytes(1 << 32 | id));
        let written = soon("the server to read or close", stream.write_all(&bytes)).await;
        if written.is_err() {
            return;
        }
    }
}

/// Connections that end as soon as they are there: in order, by reset, and in the middle of HELLO.
async fn storm(to: SocketAddr, count: usize) {
    for number in 0..count {
        let from = Ipv4Addr::new(127, 0, 3, 1 + (number % 200) as u8);
        let Ok(mut stream) = dial_from(from, to).await else { continue };
        match number % 3 {
            0 => {}
            1 => {
                let _ = stream.set_zero_linger();
            }
            _ => {
                let hello = hello_bytes();
                let _ = stream.write_all(&hello[..hello.len() / 2]).await;
            }
        }
    }
}
