//! T8, T9: peers that are silent, slow, deaf, gone or too many, beside good ones. They are closed
//! in bounded time and cost bounded memory; good clients see nothing of it.

use crate::support::good::Good;
use crate::support::hostile::{
    CANARY, bytes_of, dial_from, hello_bytes, one_frame, ping_bytes, until_closed,
};
use crate::support::line::Line;
use crate::support::network::{network, text};
use crate::support::server::{Server, Site};
use crate::support::{HANG, eventually, run, say, soon};
use addrd_client::protocol::message::{
    AllocateExtras, AllocationList, Batch, BatchItem, BatchMode, PageRequest, Request,
};
use addrd_client::protocol::{NetworkId, OwnerId};
use addrd_client::{plain_allocate, plain_hello};
use bytes::BytesMut;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Connections that never say anything: more than one address may have before HELLO.
const SILENT: usize = 300;
/// So many may one address have before HELLO (SECURITY.md).
const UNGREETED_PEER_MAX: usize = 256;
/// Connections that send a byte now and then.
const SLOW: usize = 40;
/// Connections that ask for much and read nothing.
const DEAF: usize = 16;
/// Connections that said HELLO and nothing more.
const IDLE: usize = 500;
/// Connections that come and go.
const STORM: usize = 1_000;

/// What a connection may cost (SECURITY.md), bytes.
const CONNECTION_BYTES_MAX: u64 = 16 << 10;
/// What replies that nobody reads may cost, and the read buffer beside them, bytes.
const DEAF_BYTES_MAX: u64 = (1 << 20) + (64 << 10);
/// What the allocator and the runtime may keep, bytes.
const SPARE_BYTES_MAX: u64 = 64 << 20;

#[test]
fn silent_slow_deaf_and_fleeting_peers_are_closed_and_cost_little() {
    run(Duration::from_secs(300), async {
        let site = Site::new();
        let server = site.start().await;
        let full = full_network(&site).await;
        let good = Good::start(&site, 4, CANARY).await;
        let before = server.resident_bytes();
        let to = site.listen();
        let idle = idle_lines(&site).await;
        let mut peers = JoinSet::new();
        let silent_count = too_many_silent(&site, &mut peers).await;
        for _ in 0..SLOW {
            peers.spawn(slow_hello(to));
            peers.spawn(slow_frame(to));
        }
        for _ in 0..DEAF {
            peers.spawn(deaf(to, full));
        }
        peers.spawn(storm(to));
        let highest = watch(&server, &mut peers).await;
        let rounds = good.end().await;
        say(&format!("good clients: {rounds} rounds; memory {before}, at most {highest} bytes"));
        let connections = (silent_count + 2 * SLOW + DEAF + IDLE) as u64;
        let most = before
            + connections * CONNECTION_BYTES_MAX
            + DEAF as u64 * DEAF_BYTES_MAX
            + SPARE_BYTES_MAX;
        assert!(highest < most, "{highest} bytes, allowed {most}");
        for mut line in idle {
            ping(&mut line).await;
        }
        server.stop().await;
        let log = site.log();
        assert!(!log.contains("panicked"), "the server panicked");
        assert!(!log.contains(CANARY), "the log holds what was sent");
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
        for line in &mut lines {
            ping(line).await;
        }
        drop(lines.pop());
        eventually("a place", async || Line::open(site.listen(), &plain_hello()).await.ok()).await;
        server.stop().await;
    });
}

async fn ping(line: &mut Line) {
    let ping = Request::Ping(addrd_client::protocol::message::Ping {});
    let pong = line.call(NetworkId::NIL, &ping).await;
    assert!(matches!(pong, Ok(Ok(_))), "a good connection was lost: {pong:?}");
}

/// Highest memory until every peer is through.
async fn watch(server: &Server<'_>, peers: &mut JoinSet<()>) -> u64 {
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
async fn full_network(site: &Site) -> NetworkId {
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

async fn idle_lines(site: &Site) -> Vec<Line> {
    let mut lines = Vec::new();
    for _ in 0..IDLE {
        lines.push(Line::open(site.listen(), &plain_hello()).await.expect("a line"));
    }
    lines
}

/// Silent peers of one address, until as many were refused at accept as are above its bound. On a
/// slow machine the first have had their 5 s before the last come, so more of them are sent then.
async fn too_many_silent(site: &Site, peers: &mut JoinSet<()>) -> usize {
    let began = Instant::now();
    let mut count = 0;
    loop {
        for _ in 0..SILENT {
            peers.spawn(silent(site.listen()));
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
async fn silent(to: SocketAddr) {
    // A refusal at accept is an end as well.
    if let Ok(mut stream) = dial_from(Ipv4Addr::new(127, 0, 2, 1), to).await {
        until_closed(&mut stream).await;
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
async fn slow_hello(to: SocketAddr) {
    let from = Ipv4Addr::new(127, 0, 2, 2);
    let mut stream = dial_from(from, to).await.expect("a connection");
    dribble(&mut stream, &hello_bytes(), Duration::from_millis(200)).await;
}

/// A frame that would take 40 s and more; it has 10 s.
async fn slow_frame(to: SocketAddr) {
    let from = Ipv4Addr::new(127, 0, 2, 3);
    let mut stream = dial_from(from, to).await.expect("a connection");
    stream.write_all(&hello_bytes()).await.expect("the server reads");
    one_frame(&mut stream, &mut BytesMut::new()).await.expect("an answer to HELLO");
    let allocate = Request::Allocate(plain_allocate(OwnerId::from_u128(1)));
    let frame = bytes_of(NetworkId::from_u128(0xdead), 2, &allocate);
    dribble(&mut stream, &frame, Duration::from_millis(400)).await;
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
async fn storm(to: SocketAddr) {
    for number in 0..STORM {
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
