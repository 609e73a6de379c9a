//! A server with its engine in a temporary directory, and the ways to look at it.

use addrd::config::{Bounds, Config};
use addrd::engine::{Boot, Engine, Running, boot};
use addrd::limits::JOURNAL_RECORDS_MAX_DEV;
use addrd::server::{Report, Server};
use addrd::store;
use addrd_client::protocol::codec::encode_request;
use addrd_client::protocol::message::{Request, RequestHeader};
use addrd_client::protocol::{NetworkId, ProjectId};
use addrd_client::{Connection, plain_hello};
use bytes::BytesMut;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A running server.
pub(crate) struct House {
    directory: TempDir,
    bounds: Bounds,
    running: Option<Running>,
    address: SocketAddr,
    http: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinSet<Report>,
}

/// Longest wait for a condition that must come true.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

impl House {
    pub(crate) fn start(workers: u16, bounds: Bounds) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), workers, bounds)
    }

    /// The same data, after a stop.
    pub(crate) fn start_again(self, workers: u16) -> Self {
        Self::start_in(self.directory, workers, self.bounds)
    }

    fn start_in(directory: TempDir, workers: u16, bounds: Bounds) -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config {
            data_directory: directory.path().join("data"),
            listen: vec![anywhere],
            http: Some(anywhere),
            bounds: bounds.clone(),
            ..Config::default()
        };
        let store = store::Settings {
            journal_records_max: JOURNAL_RECORDS_MAX_DEV,
            ..store::Settings::default()
        };
        let booted = boot(Boot {
            history: None,
            audit: None,
            adopts_if_new: false,
            data: config.data_directory.clone(),
            store,
            workers,
            memory_records_max: 10_000_000,
            clock_jump_ms_max: addrd::limits::CLOCK_JUMP_MS_MAX,
            restart_grace_ms: addrd::limits::RESTART_GRACE_MS,
            usage_levels: Default::default(),
            hands: Box::new(addrd::engine::SystemHands),
            on_failure: Arc::new(|what| panic!("the engine failed: {what}")),
            progress: Arc::default(),
        });
        let running = booted.unwrap().running;
        let server = Server::bind(running.engine().clone(), &config, None).unwrap();
        Self::around(directory, bounds.clone(), running, server)
    }

    /// A server that is bound, on its engine.
    pub(crate) fn around(
        directory: TempDir,
        bounds: Bounds,
        running: Running,
        server: Server<Engine>,
    ) -> Self {
        let (address, http) = (server.addresses()[0], server.http_address().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = JoinSet::new();
        task.spawn(server.run(async {
            let _ = stopped.await;
        }));
        let (running, stop) = (Some(running), Some(stop));
        Self { directory, bounds, running, address, http, stop, task }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("data/addrd.sock")
    }

    /// A stream that nothing was said on.
    pub(crate) async fn dial(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub(crate) async fn connect(&self) -> Connection<TcpStream> {
        Connection::hello(self.dial().await, &plain_hello()).await.unwrap()
    }

    /// Tells the server to stop; the result waits until it has.
    pub(crate) fn begin_stop(&mut self) -> impl Future<Output = ()> + use<> {
        self.stop.take().unwrap().send(()).unwrap();
        let (mut task, running) = (std::mem::take(&mut self.task), self.running.take().unwrap());
        async move {
            let report = task.join_next().await.unwrap().unwrap();
            assert_eq!(report, Report { cut_off: 0 });
            tokio::task::spawn_blocking(|| running.stop()).await.unwrap();
        }
    }

    pub(crate) async fn stop(mut self) {
        self.begin_stop().await;
    }

    /// Status and body of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: addrd\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// What `/metrics` says once it was folded anew.
    pub(crate) async fn next_fold(&self) -> String {
        // A fold may have begun before what the caller did: the second one after has all of it.
        let folds = "addrd_uptime_seconds";
        let mut text = String::new();
        let mut seen = BTreeSet::new();
        while seen.len() < 3 {
            text = self.get("/metrics").await.1;
            seen.extend(metric(&text, folds).map(f64::to_bits));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        text
    }

    /// Waits until a line of `/metrics`, which is folded once a second, has this value.
    pub(crate) async fn wait_for_metric(&self, line: &str, value: f64) {
        let since = Instant::now();
        let mut last = None;
        while since.elapsed() < WAIT_MAX {
            last = metric(&self.get("/metrics").await.1, line);
            if last == Some(value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{line} is {last:?}, not {value}");
    }
}

/// The value of a line, by its name and labels.
pub(crate) fn metric(text: &str, line: &str) -> Option<f64> {
    let value = text.lines().find_map(|other| other.strip_prefix(line)?.strip_prefix(' '))?;
    value.parse().ok()
}

pub(crate) fn header(number: u64, on: NetworkId, request: &Request) -> RequestHeader {
    RequestHeader {
        opcode: request.opcode(),
        request_id: number,
        timeout_ms: 0,
        project: ProjectId::DEFAULT,
        network: on,
        pool: false,
        network_project: None,
        restoring: false,
    }
}

pub(crate) fn encode(number: u64, on: NetworkId, request: &Request, out: &mut BytesMut) {
    encode_request(&header(number, on, request), request, out).unwrap();
}
