//! Settings of the server: a file, then the environment, then flags, checked into one [`Config`].
//!
//! Starts nothing and opens nothing but the file. [`SETTINGS`] is the list of all settings;
//! `docs/addrd.example.toml` has each with its default.

mod error;
mod machine;
mod parse;
mod settings;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, ConfigErrors, Origin, holds_secret, looks_secret, shown};
pub use parse::any_size;
pub use settings::{SETTINGS, SettingInfo};

use crate::limits;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Checked settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the data lies.
    pub data_directory: PathBuf,
    /// TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// The Unix socket; a relative path is inside the data directory.
    pub unix_socket: Option<PathBuf>,
    /// Address of `/metrics`, `/livez` and `/readyz`.
    pub http: Option<SocketAddr>,
    /// Listen on addresses that others can reach, and ask nobody there who he is.
    pub insecure: bool,
    /// Who shows nothing by which he is known is refused.
    pub authentication: bool,
    /// Root and the server's own user are the operator, over the Unix socket.
    pub local_operator: bool,
    /// Nobody administers the server but over the Unix socket.
    pub local_administration: bool,
    /// File with the operator's token.
    pub operator_token_file: Option<PathBuf>,
    /// TLS of the TCP addresses.
    pub tls: TlsSettings,
    /// Threads that decide; `None` = by cores.
    pub workers: Option<u16>,
    /// Threads that read and write sockets; `None` = by cores.
    pub reactors: Option<u16>,
    /// Records that the journal holds.
    pub journal_records_max: u64,
    /// Memory for pages of the data files, bytes.
    pub cache_bytes: u64,
    /// Memory of the server, bytes; `None` = three quarters of the machine's.
    pub memory_bytes_max: Option<u64>,
    /// Bounds of connections.
    pub bounds: Bounds,
    /// How far the wall clock may be ahead of the last journalled tick at a start to be believed.
    pub clock_jump_max: Duration,
    /// How long leases go on at least after a start or a standstill.
    pub restart_grace: Duration,
    /// Levels of use of subnets and pools that are told, percent, rising.
    pub usage_levels: Vec<u8>,
    /// Days for which history is kept; `None` = none is.
    pub history_days: Option<u64>,
    /// Bytes of history; `None` = none is kept.
    pub history_bytes: Option<u64>,
    /// What is written to the audit log.
    pub audit: AuditLevel,
    /// Where it lies; a relative path is inside the data directory.
    pub audit_directory: PathBuf,
    /// Bytes of its files, at most.
    pub audit_bytes: u64,
    /// Show ids of networks and subnets in `/metrics`.
    pub metrics_subnets: bool,
    /// What is logged.
    pub log_level: LogLevel,
    /// How it is written.
    pub log_format: LogFormat,
}

/// Settings of TLS. Paths are read by the server, at its start and whenever the files change.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// PEM file: the server's certificate, then those between it and its CA. `None` = no TLS.
    pub certificate: Option<PathBuf>,
    /// PEM file: the certificate's private key.
    pub key: Option<PathBuf>,
    /// PEM file: CAs whose clients are let in. `None` = clients are not asked for certificates.
    pub client_ca: Option<PathBuf>,
    /// A client without a certificate is refused.
    pub client_required: bool,
    /// Names in certificates of clients that are let in; empty = every name.
    pub client_names: Vec<String>,
}

impl TlsSettings {
    /// Whether TCP addresses speak TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    /// Whether nobody gets in without a certificate of a known CA.
    #[must_use]
    pub fn asks_everybody(&self) -> bool {
        self.is_on() && self.client_ca.is_some() && self.client_required
    }
}

/// Bounds of connections that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub connections_max: u32,
    /// Of these, before HELLO.
    pub connections_ungreeted_max: u32,
    /// Of these, from one peer.
    pub connections_ungreeted_peer_max: u32,
    /// TLS handshakes at once.
    pub tls_handshakes_max: u32,
    /// Bytes in flight over all connections.
    pub bytes_in_flight_max: u64,
    /// Operations a second of each principal; `None` = as many as come.
    pub rate_principal: Option<u32>,
    /// Operations a second of all of them; `None` = as many as come.
    pub rate_total: Option<u32>,
    /// Time whose operations may come at once.
    pub rate_burst: Duration,
    /// Time without a whole frame after which a connection is closed.
    pub idle: Duration,
    /// Time from a frame's first byte to its last.
    pub frame: Duration,
    /// Time that replies wait for a peer that reads nothing.
    pub stall: Duration,
    /// Time that a connection which is told to end has to read its last answers.
    pub shutdown: Duration,
    /// Requests slower than this are logged, sampled; zero = none.
    pub slow_request: Duration,
}

/// What is written to the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AuditLevel {
    /// As `Administration` where `authentication` is on, else as `Nothing`.
    #[default]
    Automatic,
    /// There is none.
    Nothing,
    /// Changes of what there is to allocate from and of who may do what, and all attempts.
    Administration,
    /// Every change, and all attempts.
    All,
}

/// What is logged: this and all that is graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// What stops the server.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happens once or rarely.
    #[default]
    Info,
    /// What happens to each connection.
    Debug,
    /// Everything.
    Trace,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Where settings come from; what stands further down wins.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Defaults of a trial on one's own machine instead of those of a service.
    pub is_dev: bool,
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The environment; names that do not begin with `ADDRD_` are not looked at.
    pub environment: Vec<(String, String)>,
    /// Values of `--set`, as (setting, value).
    pub set: Vec<(String, String)>,
    /// Flags of their own as (flag without dashes in front, value).
    pub flags: Vec<(String, String)>,
}

/// Where the audit log lies, in the data directory.
const AUDIT_DIRECTORY: &str = "audit";

/// Port of the protocol.
pub const PORT: u16 = 2337;
/// Port of `/metrics`, `/livez` and `/readyz`.
pub const HTTP_PORT: u16 = 2338;
/// Directory of the data, in the current one.
const DATA: &str = "addrd-data";
/// Name of the Unix socket in the data directory.
const SOCKET: &str = "addrd.sock";
/// Longest path of a Unix socket, bytes: what the system takes, less `.new` and the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 108 - 5;

impl Config {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place: an unreadable file, unknown settings, values
    /// outside their bounds, settings that contradict each other.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut config = if sources.is_dev { Self::dev() } else { Self::default() };
        let mut errors = settings::apply(&mut config, sources);
        errors.extend(config.contradictions());
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }

    /// Reads and checks the text of a configuration file alone, for tests and `fuzz/`.
    ///
    /// # Errors
    /// As [`Config::load`]; `path` is only told.
    #[doc(hidden)]
    pub fn from_text(path: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let mut config = Self::default();
        let mut errors = settings::apply_text(&mut config, path, text);
        errors.extend(config.contradictions());
        if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
    }

    /// Defaults of `serve --dev`: a small journal, little history, the rest as always.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            journal_records_max: limits::JOURNAL_RECORDS_MAX_DEV,
            history_days: Some(limits::HISTORY_DAYS),
            history_bytes: Some(limits::HISTORY_BYTES_MAX_DEV),
            ..Self::default()
        }
    }

    /// Path of the Unix socket.
    #[must_use]
    pub fn unix_socket_path(&self) -> Option<PathBuf> {
        self.unix_socket.as_ref().map(|path| self.data_directory.join(path))
    }

    /// An address that others can reach, if there is one.
    #[must_use]
    pub fn exposed(&self) -> Option<SocketAddr> {
        let mut addresses = self.listen.iter().chain(&self.http);
        addresses.find(|address| is_open(address)).copied()
    }

    /// An address that others can reach and that asks nobody there who he is, if there is one.
    #[must_use]
    pub fn unguarded(&self) -> Option<SocketAddr> {
        if self.tls.asks_everybody() {
            return None;
        }
        // Tokens are shown in HELLO, which nobody says over HTTP.
        let asks = self.tls.is_on() && self.authentication;
        let listen = self.listen.iter().filter(|_| !asks);
        listen.chain(&self.http).find(|address| is_open(address)).copied()
    }

    /// Whether the HTTP address speaks TLS: if there is TLS, and others can reach it.
    #[must_use]
    pub fn secures_http(&self) -> bool {
        self.tls.is_on() && self.http.is_some_and(|address| is_open(&address))
    }

    /// What is wrong with an address that asks nobody, and what to do about it.
    #[must_use]
    pub fn unguarded_text(&self) -> String {
        let why = match (self.tls.is_on(), self.tls.client_ca.is_some()) {
            (false, _) => {
                "others can reach this address, and anybody there may do everything: set \
                 tls_certificate, tls_key, tls_client_ca and tls_client_required = true"
            }
            (true, false) => {
                "others can reach this address, and TLS alone lets everybody in, who may then do \
                 everything: set tls_client_ca and tls_client_required = true, or, but for http, \
                 authentication = true"
            }
            (true, true) => {
                "others can reach this address, and who shows no certificate is let in and may do \
                 everything: set tls_client_required = true, or, but for http, authentication = \
                 true"
            }
        };
        format!("{why} (docs/how-to/tls.md), use a loopback address, or set insecure = true")
    }

    /// Where the audit log lies.
    #[must_use]
    pub fn audit_path(&self) -> PathBuf {
        self.data_directory.join(&self.audit_directory)
    }

    /// What is written to the audit log: `None` = there is none, `Some(true)` = every change.
    #[must_use]
    pub const fn audits_all(&self) -> Option<bool> {
        match self.audit {
            AuditLevel::Automatic if self.authentication => Some(false),
            AuditLevel::Automatic | AuditLevel::Nothing => None,
            AuditLevel::Administration => Some(false),
            AuditLevel::All => Some(true),
        }
    }

    /// Days and bytes of history, if it is kept.
    #[must_use]
    pub fn history(&self) -> Option<(u64, u64)> {
        self.history_days.zip(self.history_bytes)
    }

    /// Threads that decide: a quarter of the cores, at least one.
    #[must_use]
    pub fn workers(&self) -> u16 {
        self.workers.unwrap_or_else(|| (machine::cores() / 4).max(1))
    }

    /// Threads that read and write sockets: half of the cores, at least two.
    #[must_use]
    pub fn reactors(&self) -> u16 {
        self.reactors.unwrap_or_else(|| (machine::cores() / 2).max(2))
    }

    /// Records that fit the memory of the server (allocations, resting addresses, objects).
    #[must_use]
    pub fn memory_records_max(&self) -> u64 {
        let bytes = self.memory_bytes_max.unwrap_or_else(|| machine::memory_bytes() / 4 * 3);
        let fixed = self.cache_bytes.saturating_add(self.bounds.bytes_in_flight_max);
        bytes.saturating_sub(fixed).max(limits::MEMORY_BYTES_LEAST) / limits::RECORD_MEMORY_BYTES
    }

    /// Settings that are right by themselves but not together.
    fn contradictions(&self) -> Vec<ConfigError> {
        let bounds = &self.bounds;
        let mut errors = Vec::new();
        let mut wrong = |setting: &'static str, value: String, what: String| {
            errors.push(ConfigError::new(Origin::Together, setting, &value, what));
        };
        if bounds.connections_ungreeted_max > bounds.connections_max {
            let what = format!("more than connections_max, which is {}", bounds.connections_max);
            let value = bounds.connections_ungreeted_max.to_string();
            wrong("connections_ungreeted_max", value, what);
        }
        if bounds.connections_ungreeted_peer_max > bounds.connections_ungreeted_max {
            let most = bounds.connections_ungreeted_max;
            let what = format!("more than connections_ungreeted_max, which is {most}");
            let value = bounds.connections_ungreeted_peer_max.to_string();
            wrong("connections_ungreeted_peer_max", value, what);
        }
        if self.listen.is_empty() && self.unix_socket.is_none() {
            let what = "nobody could connect: set listen or unix_socket".to_owned();
            wrong("listen", String::new(), what);
        }
        if let Some(address) = self.unguarded().filter(|_| !self.insecure) {
            let is_http = self.http == Some(address) && !self.listen.contains(&address);
            let setting = if is_http { "http" } else { "listen" };
            wrong(setting, address.to_string(), self.unguarded_text());
        }
        if self.local_administration && self.unix_socket.is_none() {
            let what = "nobody could administer the server: set unix_socket".to_owned();
            wrong("local_administration", "true".to_owned(), what);
        }
        for (setting, what) in tls_contradictions(&self.tls) {
            wrong(setting, String::new(), what.to_owned());
        }
        if let Some(path) = self.unix_socket_path().filter(|path| is_long(path)) {
            let what = format!("longer than {SOCKET_PATH_BYTES_MAX} bytes with its directory");
            wrong("unix_socket", path.display().to_string(), what);
        }
        errors
    }
}

/// Whether others can reach an address.
fn is_open(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Settings of TLS that need others: the setting, and which.
fn tls_contradictions(tls: &TlsSettings) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    match (&tls.certificate, &tls.key) {
        (Some(_), None) => found.push(("tls_certificate", "tls_key is needed as well")),
        (None, Some(_)) => found.push(("tls_key", "tls_certificate is needed as well")),
        _ => {}
    }
    if tls.client_ca.is_some() && !tls.is_on() {
        found.push(("tls_client_ca", "there is no TLS: set tls_certificate and tls_key"));
    }
    if tls.client_required && tls.client_ca.is_none() {
        let what = "no certificate could be verified: set tls_client_ca";
        found.push(("tls_client_required", what));
    }
    if !tls.client_names.is_empty() && !tls.client_required {
        let what = "who shows no certificate would come in all the same: set tls_client_required";
        found.push(("tls_client_names", what));
    }
    found
}

fn is_long(path: &Path) -> bool {
    path.as_os_str().len() > SOCKET_PATH_BYTES_MAX
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_directory: DATA.into(),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))],
            unix_socket: Some(SOCKET.into()),
            http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, HTTP_PORT))),
            insecure: false,
            authentication: false,
            local_operator: true,
            local_administration: false,
            operator_token_file: None,
            tls: TlsSettings::default(),
            workers: None,
            reactors: None,
            journal_records_max: limits::JOURNAL_RECORDS_MAX,
            cache_bytes: limits::CACHE_BYTES,
            memory_bytes_max: None,
            bounds: Bounds::default(),
            clock_jump_max: Duration::from_millis(limits::CLOCK_JUMP_MS_MAX),
            restart_grace: Duration::from_millis(limits::RESTART_GRACE_MS),
            usage_levels: limits::USAGE_LEVELS.to_vec(),
            audit: AuditLevel::Automatic,
            audit_directory: AUDIT_DIRECTORY.into(),
            audit_bytes: limits::AUDIT_BYTES_MAX,
            history_days: None,
            history_bytes: Some(limits::HISTORY_BYTES_MAX),
            metrics_subnets: false,
            log_level: LogLevel::default(),
            log_format: LogFormat::default(),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: limits::CONNECTIONS_MAX,
            connections_ungreeted_max: limits::CONNECTIONS_UNGREETED_MAX,
            connections_ungreeted_peer_max: limits::CONNECTIONS_UNGREETED_PEER_MAX,
            tls_handshakes_max: limits::TLS_HANDSHAKES_MAX,
            bytes_in_flight_max: limits::BYTES_IN_FLIGHT_MAX,
            rate_principal: None,
            rate_total: None,
            rate_burst: Duration::from_millis(limits::RATE_BURST_MS),
            idle: Duration::from_millis(limits::IDLE_MS),
            frame: Duration::from_millis(limits::FRAME_MS),
            stall: Duration::from_millis(limits::STALL_MS),
            shutdown: Duration::from_millis(limits::SHUTDOWN_MS),
            slow_request: Duration::from_millis(limits::SLOW_REQUEST_MS),
        }
    }
}
