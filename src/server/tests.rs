//! The server on real sockets of this machine: caps at accept, the Unix socket, refusal to be
//! insecure, shutdown. The peers are plain sockets.

use super::testing::{FakeDecider, hello, ping, release};
use super::{Report, ServeError, Server};
use crate::config::{Bounds, Config};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::task::TaskTracker;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Report>,
}

fn start(decider: FakeDecider, config: &Config) -> Running {
    let server = Server::bind(decider, config, None).unwrap();
    let address = server.addresses()[0];
    let (stop, stopped) = oneshot::channel::<()>();
    let task = TaskTracker::new().spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { address, stop, task }
}

fn local(bounds: Bounds) -> Config {
    let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    Config { listen, unix_socket: None, http: None, bounds, ..Config::default() }
}

/// Connects from an address of this machine.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Reads one reply: its request id and status; `None` at the end.
fn read_reply(stream: &mut impl Read) -> Option<(u64, u16)> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut rest).ok()?;
    let id = u64::from_be_bytes(rest[4..12].try_into().unwrap());
    Some((id, u16::from_be_bytes(rest[12..14].try_into().unwrap())))
}

fn is_greeted(stream: &mut (impl Read + Write)) -> bool {
    stream.write_all(&hello(1)).is_ok() && read_reply(stream) == Some((1, 0))
}

fn is_refused(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 1]), Ok(1..))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_a_cap_are_refused_at_accept_and_good_ones_go_on() {
    let bounds = Bounds {
        connections_max: 12,
        connections_ungreeted_max: 8,
        connections_ungreeted_peer_max: 3,
        ..Bounds::default()
    };
    let running = start(FakeDecider::answering(), &local(bounds));
    let address = running.address;
    let check = spawn_blocking(move || {
        let from = |last, count: usize| -> Vec<TcpStream> {
            (0..count).map(|_| connect_from(Ipv4Addr::new(127, 0, 1, last), address)).collect()
        };
        let mut good = from(1, 3);
        assert!(good.iter_mut().all(is_greeted));
        // One peer that says nothing fills its own share only.
        let mut silent = from(2, 3);
        assert!(is_refused(&mut from(2, 1)[0]));
        good.extend(from(1, 1));
        assert!(good.iter_mut().skip(3).all(is_greeted));
        // Several peers fill what may be silent at all.
        silent.extend(from(3, 3));
        silent.extend(from(4, 2));
        assert!(is_refused(&mut from(5, 1)[0]));
        // Silent and greeted ones together fill all there may be.
        assert!(silent[7].write_all(&hello(1)).is_ok());
        assert_eq!(read_reply(&mut silent[7]), Some((1, 0)));
        assert!(is_refused(&mut from(5, 1)[0]));
        for stream in &mut good {
            stream.write_all(&ping(2)).unwrap();
            assert_eq!(read_reply(stream), Some((2, 0)));
        }
        // A place is free again as soon as one leaves.
        drop(silent);
        let mut again = from(6, 1);
        while !is_greeted(&mut again[0]) {
            again = from(6, 1);
        }
    });
    check.await.unwrap();
    running.stop.send(()).unwrap();
    assert_eq!(running.task.await.unwrap().cut_off, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unix_socket_serves_like_tcp_and_goes_with_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("addrd.sock");
    let config = Config { unix_socket: Some(path.clone()), ..local(Bounds::default()) };
    let running = start(FakeDecider::answering(), &config);
    let at = path.clone();
    let check = spawn_blocking(move || {
        let mut stream = UnixStream::connect(at).unwrap();
        assert!(is_greeted(&mut stream));
        stream.write_all(&release(2, 0)).unwrap();
        assert_eq!(read_reply(&mut stream), Some((2, 1)));
    });
    check.await.unwrap();
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_answers_what_was_read_and_accepts_nothing_more() {
    let decider = FakeDecider::holding();
    let running = start(decider.clone(), &local(Bounds::default()));
    let address = running.address;
    let peer = spawn_blocking(move || {
        let mut stream = connect_from(Ipv4Addr::LOCALHOST, address);
        assert!(is_greeted(&mut stream));
        stream.write_all(&release(5, 0)).unwrap();
        stream
    });
    let mut stream = peer.await.unwrap();
    while decider.held() == 0 {
        tokio::task::yield_now().await;
    }
    running.stop.send(()).unwrap();
    let check = spawn_blocking(move || {
        // GOAWAY has request id 0.
        assert_eq!(read_reply(&mut stream), Some((0, 0)));
        decider.answer_all();
        assert_eq!(read_reply(&mut stream), Some((5, 1)));
        assert_eq!(read_reply(&mut stream), None);
        drop(stream);
    });
    check.await.unwrap();
    assert_eq!(running.task.await.unwrap().cut_off, 0);
    let after = spawn_blocking(move || TcpStream::connect(address).is_err());
    assert!(after.await.unwrap());
}

#[tokio::test]
async fn an_address_that_others_can_reach_needs_insecure() {
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut config = local(Bounds::default());
    config.listen.push(everywhere);
    let error = Server::bind(FakeDecider::answering(), &config, None).unwrap_err();
    assert!(
        matches!(error, ServeError::Insecure { address, .. } if address == everywhere),
        "{error}"
    );
    config.insecure = true;
    let server = Server::bind(FakeDecider::answering(), &config, None).unwrap();
    assert_eq!(server.addresses().len(), 2);

    let mut http = local(Bounds::default());
    http.http = Some(everywhere);
    assert!(Server::bind(FakeDecider::answering(), &http, None).is_err());
    // A loopback address in IPv6 clothes is one.
    let mut mapped = local(Bounds::default());
    mapped.http = None;
    mapped.listen = vec!["[::ffff:10.1.2.3]:0".parse().unwrap()];
    assert!(Server::bind(FakeDecider::answering(), &mapped, None).is_err());
}
