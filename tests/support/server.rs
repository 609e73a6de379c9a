//! The real binary as a child process: start, wait until it is ready, kill, stop, start again.
//! Whatever happens to a test, its process ends and its log is shown.

use super::{eventually, http, say, soon};
use addrd_client::{BackoffLimits, Client, Settings};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Ports are taken from below those that the system gives to outgoing connections: a client that
/// connects to a dead server's port could otherwise be given that very port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Bytes of a log that are shown when a test fails.
const LOG_SHOWN_BYTES: usize = 16 << 10;

/// Where a server runs: data directory, addresses, log. Outlives its processes.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    listen: SocketAddr,
    http: SocketAddr,
    flags: Vec<String>,
    /// Others could reach the protocol, or HTTP.
    is_open: bool,
    is_http_open: bool,
}

impl Site {
    /// A fresh directory and free ports, small files (`--dev`).
    ///
    /// # Panics
    /// When the system gives no folder or no port.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::Builder::new().prefix("addrd-test-").tempdir().expect("a folder"),
            listen: free_port(),
            http: free_port(),
            flags: vec!["--dev".to_owned()],
            is_open: false,
            is_http_open: false,
        }
    }

    /// The same with these lines as configuration file.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub(crate) fn with_config(mut self, text: &str) -> Self {
        let path = self.folder.path().join("addrd.toml");
        std::fs::write(&path, text).expect("a configuration is written");
        self.flags = vec!["--config".to_owned(), path.display().to_string()];
        self
    }

    /// The same, and its protocol listens on every address.
    pub(crate) fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// The same, and its HTTP listens on every address.
    pub(crate) fn open_http(mut self) -> Self {
        self.is_http_open = true;
        self
    }

    /// Where operators are told.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// The data directory; nobody made it yet.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the server speaks its protocol.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Everything that any process of this site wrote.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn log_file(&self) -> File {
        let path = self.log_path();
        OpenOptions::new().create(true).append(true).open(path).expect("a log file opens")
    }

    /// The command that serves here.
    pub(crate) fn command(&self) -> Command {
        let mut command = addrd();
        command.arg("serve").arg("--data").arg(self.data());
        command.arg("--listen").arg(bound(self.listen, self.is_open).to_string());
        command.arg("--http").arg(bound(self.http, self.is_http_open).to_string());
        command.args(&self.flags);
        command.stdin(Stdio::null()).stdout(self.log_file()).stderr(self.log_file());
        command
    }

    /// Starts a process and does not wait for anything.
    ///
    /// # Panics
    /// When the binary does not start.
    pub(crate) fn spawn(&self) -> Server<'_> {
        self.spawn_as(self.command())
    }

    /// The same with a command that was changed.
    ///
    /// # Panics
    /// When the binary does not start.
    pub(crate) fn spawn_as(&self, mut command: Command) -> Server<'_> {
        let child = command.spawn().expect("the binary starts");
        Server { site: self, child: Some(child) }
    }

    /// Starts a process and waits until it is ready.
    ///
    /// # Panics
    /// When it ends instead.
    pub(crate) async fn start(&self) -> Server<'_> {
        let mut server = self.spawn();
        server.ready().await;
        server
    }

    /// `addrd check` of the data directory; no server may run.
    pub(crate) fn check(&self) -> Output {
        addrd().arg("check").arg(self.data()).output().expect("the binary starts")
    }

    /// Fails unless `addrd check` finds nothing.
    ///
    /// # Panics
    /// When it does.
    pub(crate) fn check_is_clean(&self) {
        let output = self.check();
        assert!(output.status.success(), "check: {output:?}");
    }

    /// One GET at the HTTP address.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) async fn get(&self, path: &str) -> std::io::Result<http::Answer> {
        http::get(self.http, path).await
    }

    /// What `/metrics` says.
    ///
    /// # Panics
    /// When it does not answer.
    pub(crate) async fn figures(&self) -> http::Figures {
        let answer = self.get("/metrics").await.expect("metrics answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        http::Figures::read(&answer.body)
    }

    /// Settings of a client of this site that comes back quickly.
    pub(crate) fn settings(&self) -> Settings {
        let backoff =
            BackoffLimits { first: Duration::from_millis(2), most: Duration::from_millis(100) };
        Settings {
            backoff,
            timeout: super::HANG,
            ..Settings::to([self.listen.to_string().as_str()]).expect("an address is an endpoint")
        }
    }

    /// A client of this site.
    ///
    /// # Panics
    /// When it cannot connect.
    pub(crate) async fn client(&self) -> Client {
        soon("a client", Client::connect(self.settings())).await.expect("the client connects")
    }
}

/// An address, or every address with its port.
fn bound(address: SocketAddr, is_open: bool) -> SocketAddr {
    if is_open { SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())) } else { address }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let mut from = log.len().saturating_sub(LOG_SHOWN_BYTES);
            while !log.is_char_boundary(from) {
                from += 1;
            }
            say(&format!("--- server log, its end ---\n{}\n--- end of log ---", &log[from..]));
        }
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    site: &'a Site,
    child: Option<Child>,
}

impl Server<'_> {
    /// Waits until `/readyz` says yes.
    ///
    /// # Panics
    /// When the process ends instead.
    pub(crate) async fn ready(&mut self) {
        let site = self.site;
        eventually("the server to be ready", async || {
            if let Some(status) = self.child().try_wait().expect("a child has a status") {
                panic!("the server ended before it was ready: {status}");
            }
            let answer = site.get("/readyz").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("the process was not waited for yet")
    }

    /// Its number.
    ///
    /// # Panics
    /// After it was waited for.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the process was not waited for yet").id()
    }

    fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_child(self.child());
        kill_process(pid, signal).expect("a child can be signalled");
    }

    /// kill -9, and gone when this returns.
    ///
    /// # Panics
    /// When it ended on its own before.
    pub(crate) fn kill(mut self) {
        let status = self.child().try_wait().expect("a child has a status");
        assert!(status.is_none(), "the server ended on its own: {status:?}");
        self.signal(Signal::KILL);
        self.child().wait().expect("a killed child ends");
        self.child = None;
    }

    /// Holds it where it is: it reads and answers nothing until [`Server::go_on`].
    pub(crate) fn hold(&mut self) {
        self.signal(Signal::STOP);
        let path = format!("/proc/{}/stat", self.pid());
        // The signal takes effect a moment later; the state letter follows the name.
        loop {
            let stat = std::fs::read_to_string(&path).expect("a child has a state");
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('T'));
            if state == Some(true) {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Ends [`Server::hold`].
    pub(crate) fn go_on(&mut self) {
        self.signal(Signal::CONT);
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&mut self) {
        self.signal(Signal::HUP);
    }

    /// SIGTERM; see [`Server::ended`].
    pub(crate) fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it ended.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let status = eventually("the server to end", async || {
            self.child().try_wait().expect("a child has a status")
        })
        .await;
        self.child = None;
        status
    }

    /// SIGTERM, and fails unless the exit code is 0.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) async fn stop(mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "SIGTERM ended in {status}");
    }

    /// Resident memory, bytes.
    ///
    /// # Panics
    /// When the system does not say.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a running child has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("a running child has memory") << 10
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The binary under test, or the one that `ADDRD_BINARY` names, without the environment that could
/// point it elsewhere.
pub(crate) fn addrd() -> Command {
    let other = std::env::var_os("ADDRD_BINARY");
    let mut command = Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_addrd").into()));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ADDRD_")) {
        command.env_remove(name);
    }
    command
}

/// A port of the loopback address that nobody listens on, and that this process gives out once.
fn free_port() -> SocketAddr {
    static NEXT: std::sync::Mutex<Option<u16>> = std::sync::Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut port = next.unwrap_or_else(|| {
        // Two runs at once begin at different places.
        PORTS.start + (std::process::id() % 600) as u16 * 20
    });
    for _ in PORTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        port = if port + 1 == PORTS.end { PORTS.start } else { port + 1 };
        if TcpListener::bind(address).is_ok() {
            *next = Some(port);
            return address;
        }
    }
    panic!("no port is free between {} and {}", PORTS.start, PORTS.end);
}
