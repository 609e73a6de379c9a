//! `addrd serve`: settings to store, engine and server; signals; the sample network of `--dev`.
//! The only file that wires the rooms together.

use super::fault::{Fault, told};
use super::session::Session;
use super::{check, network, output, subnet};
use addrd::config::{Config, LogFormat, LogLevel, Sources, shown};
use addrd::engine::{
    AuditSettings, Audited, Boot, BootError, Booted, Clock, Engine, StartProgress, SystemHands,
    UsageLevels, boot,
};
use addrd::limits;
use addrd::server::{Reload, Server, Sockets, Tls, tell_ready, tell_stopping};
use addrd::store::{self, history::HistorySettings};
use addrd::telemetry::log::{self, Log};
use addrd_client::{Client, Endpoint, Error, Settings, TokenSource};
use addrd_protocol::message::{NetworkCreate, Strategy, SubnetCreate, SubnetKind};
use addrd_protocol::{NetworkId, Prefix, ProjectId, Setting, Text};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Name of the sample network.
const DEMO: &str = "demo";
/// Its subnets: prefix and name.
const DEMO_SUBNETS: [(&str, &str); 2] = [("10.64.0.0/16", "demo-v4"), ("fd00:64::/64", "demo-v6")];

/// Runs a server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
SIGTERM and ctrl-c stop the server in order. SIGHUP makes it read its certificates again, which it
also does by itself within seconds when the files change.

Settings come from the file, then from the environment (ADDRD_LISTEN), then from flags.
docs/addrd.example.toml has all of them.

Examples:
  addrd serve --dev
  addrd serve --config /etc/addrd.toml
  addrd serve --listen 127.0.0.1:4000 --http \"\" --set idle_time=1m")]
pub(crate) struct Serve {
    /// To try things: loopback only, small files, and in a new directory the network "demo"
    #[arg(long)]
    dev: bool,
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "ADDRD_CONFIG")]
    config: Option<PathBuf>,
    /// Any setting of the file; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Data directory; made if it is not there [default: ./addrd-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// TCP address of the protocol; may be given several times [default: 127.0.0.1:2337]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<String>,
    /// Unix socket, relative to the data directory; empty = none [default: addrd.sock]
    #[arg(long, value_name = "PATH")]
    unix_socket: Option<String>,
    /// Address of /metrics, /livez and /readyz; empty = none [default: 127.0.0.1:2338]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// If the data directory is new, begin in adoption mode: the data was lost, and owners know what
    /// was in it
    #[arg(long)]
    adopt: bool,
    /// Listen on addresses that others can reach, though anybody there may do everything
    #[arg(long)]
    insecure: bool,
}

impl Serve {
    fn config(&self) -> Result<Config, Fault> {
        let sources = Sources {
            is_dev: self.dev,
            file: self.config.clone(),
            environment: utf8_environment(),
            set: self.set()?,
            flags: self.flags(),
        };
        let config = Config::load(&sources).map_err(|errors| Fault::Usage(errors.to_string()))?;
        match config.exposed() {
            Some(address) if self.dev => {
                Err(Fault::Usage(format!("--dev is for loopback only, not {address}")))
            }
            _ if self.dev && config.tls.is_on() => Err(Fault::Usage(
                "--dev speaks no TLS: leave --dev or tls_certificate out".to_owned(),
            )),
            _ => Ok(config),
        }
    }

    /// What `--set` says, as (setting, value).
    fn set(&self) -> Result<Vec<(String, String)>, Fault> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(Fault::Usage(format!("--set {}: expected NAME=VALUE", shown(text)))),
        };
        self.set.iter().map(pair).collect()
    }

    /// Settings that have a flag of their own, as (flag, value); they win over `--set`.
    fn flags(&self) -> Vec<(String, String)> {
        let listen = (!self.listen.is_empty()).then(|| self.listen.join(","));
        let insecure = self.insecure.then(|| "true".to_owned());
        let own = [
            ("data", self.data.clone()),
            ("listen", listen),
            ("unix-socket", self.unix_socket.clone()),
            ("http", self.http.clone()),
            ("insecure", insecure),
        ];
        own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// What is not UTF-8 is no setting of ours.
fn utf8_environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.into_string().ok();
    std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

fn start_log(config: &Config) -> Option<Log> {
    let level = match config.log_level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let format = match config.log_format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    log::set_up(level, format).ok()
}

/// Those of a client are taken by every command, and would leave a server without TLS unnoticed.
fn refuse_flags_of_clients() -> Result<(), Fault> {
    // What is no UTF-8 is none of them, whatever it is.
    let mut texts = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let Some(found) = texts.find(|argument| argument.starts_with("--tls-")) else { return Ok(()) };
    // What follows may be a key.
    let flag = found.split('=').next().unwrap_or_default();
    let name = flag.trim_start_matches('-').replace('-', "_");
    let more = if ["tls_certificate", "tls_key"].contains(&&*name) {
        format!("; a server's is --set {name}=FILE")
    } else {
        String::new()
    };
    Err(Fault::Usage(format!("{flag} is an option of clients{more}")))
}

pub(crate) fn run(_session: &Session, serve: &Serve) -> Result<(), Fault> {
    refuse_flags_of_clients()?;
    let config = serve.config()?;
    let log = start_log(&config);
    let runtime = threads("reactor", config.reactors())?;
    // Operators are told how it is also while all reactors are busy, and after they have ended.
    let telling = threads("operators", 1)?;
    let (mut sockets, hangup) = {
        let _inside = runtime.enter();
        let sockets = Sockets::bind(&config).map_err(|error| Fault::Usage(told(&error)))?;
        // From now on it ends the process no more.
        (sockets, signal(SignalKind::hangup())?)
    };
    let progress = Arc::new(StartProgress::default());
    let operators = telling.block_on(async {
        let operators = sockets.tell_operators(Arc::clone(&progress));
        operators.tell_supervisor();
        operators
    });
    let booted = booted(&config, serve.adopt, progress)?;
    let is_demo = serve.dev && booted.is_untouched();
    let engine = booted.running.engine().clone();
    let engine_told = engine.clone();
    let (clock, clock_behind_ms) = (Arc::clone(engine.clock()), booted.clock_behind_ms);
    let served = runtime.block_on(async {
        // Who is told that it serves may end it from then on; until then a signal just ends the process.
        let signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let server = Server::over(sockets, &operators, engine, &config, log);
        let server = server.map_err(|error| Fault::Usage(told(&error)))?;
        let places = Places {
            tcp: server.addresses().to_vec(),
            http: operators.address(),
            http_scheme: if config.secures_http() { "https" } else { "http" },
            is_secured: config.tls.is_on(),
            unix: config.unix_socket_path(),
            guard: config.authentication.then(|| Guard {
                lets_in_operator: config.local_operator,
                token_file: config.operator_token_file.clone(),
            }),
        };
        tell_clock(&*clock, clock_behind_ms);
        tell_adoption(&engine_told);
        output::to_stderr(&format!("data in {}", config.data_directory.display()));
        output::to_stderr(&format!("listening on {}", places.all().join(", ")));
        tell_ready().await;
        let tls = server.tls();
        tokio::select! {
            served = serve_until(any(signals), server, &places, (serve.dev, is_demo)) => served,
            never = reload_at(hangup, tls) => match never {},
        }
    });
    // All connections have ended. What may be left is a look at files on a disk that doesn't answer.
    runtime.shutdown_timeout(Duration::from_millis(limits::RUNTIME_END_MS));
    booted.running.stop();
    telling.block_on(operators.close());
    telling.shutdown_timeout(Duration::from_millis(limits::RUNTIME_END_MS));
    served
}

/// Serves a data directory at its Unix socket alone for as long as something takes, then stops in
/// order: everything is folded and on disk.
pub(crate) fn serve_during<T>(
    config: &Config,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let runtime = threads("reactor", config.reactors())?;
    let booted = booted(config, false, Arc::new(StartProgress::default()))?;
    let engine = booted.running.engine().clone();
    let worked = runtime.block_on(async {
        let server = Server::bind(engine, config, None);
        let server = server.map_err(|error| Fault::Usage(told(&error)))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let running = server.run(async {
            // It ends when the sender is dropped.
            let _ = stopped.await;
        });
        let work = async {
            let worked = work.await;
            drop(stop);
            worked
        };
        tokio::join!(work, running).0
    });
    drop(runtime);
    booted.running.stop();
    worked
}

fn threads(name: &str, count: u16) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(count.into())
        .thread_name(name)
        .enable_all()
        .build()
}

/// Says what is wrong with the wall clock.
fn tell_clock(clock: &dyn Clock, behind_ms: u64) {
    let doubt_ms = clock.doubt_ms();
    if doubt_ms > 0 {
        tracing::warn!(ahead_ms = doubt_ms, "the wall clock is not believed: no lease ends");
        output::to_stderr(&format!(
            "the wall clock is {} s ahead of the last change: no lease ends until it agrees, or \
             `addrd server accept-clock` says that it is right",
            doubt_ms / 1_000
        ));
    }
    if behind_ms > 0 {
        tracing::warn!(
            behind_ms,
            "the wall clock is behind the last change; time goes on from there"
        );
    }
}

/// Says that nothing is chosen until an operator says so.
fn tell_adoption(engine: &Engine) {
    let Some(since) = engine.adoption() else { return };
    let seconds = engine.clock().tick().since(since) / 1_000;
    tracing::warn!(seconds, "adoption mode is on: nothing is chosen and no lease ends");
    output::to_stderr(
        "adoption mode: owners re-take what they hold; nothing is chosen and no lease ends until \
         `addrd server adopt --end`",
    );
}

fn booted(
    config: &Config,
    adopts_if_new: bool,
    progress: Arc<StartProgress>,
) -> Result<Booted, Fault> {
    let store = store::Settings {
        journal_records_max: config.journal_records_max,
        state_cache_bytes: usize::try_from(config.cache_bytes).unwrap_or(usize::MAX),
        ..store::Settings::default()
    };
    let boot = boot(Boot {
        data: config.data_directory.clone(),
        store,
        history: config.history().map(|(days, bytes_max)| {
            HistorySettings::new(bytes_max, days.saturating_mul(limits::DAY_MS))
        }),
        audit: config.audits_all().map(|all| AuditSettings {
            directory: config.audit_path(),
            audited: if all { Audited::All } else { Audited::Administration },
            bytes_max: config.audit_bytes,
        }),
        adopts_if_new,
        workers: config.workers(),
        memory_records_max: config.memory_records_max(),
        clock_jump_ms_max: u64::try_from(config.clock_jump_max.as_millis()).unwrap_or(u64::MAX),
        restart_grace_ms: u64::try_from(config.restart_grace.as_millis()).unwrap_or(u64::MAX),
        // They were checked when they were read.
        usage_levels: UsageLevels::new(&config.usage_levels).unwrap_or_default(),
        hands: Box::new(SystemHands),
        on_failure: Arc::new(|what| {
            output::to_stderr(&format!("error: stopping: {what}"));
            std::process::exit(1);
        }),
        progress,
    });
    boot.map_err(|error| match &error {
        BootError::Directory(..) | BootError::Audit(..) => Fault::Usage(told(&error)),
        BootError::Store(_, source) => check::fault_of(source, told(&error)),
        BootError::Threads(_) => Fault::Internal(told(&error)),
    })
}

/// Reads certificates again at each SIGHUP.
async fn reload_at(mut hangup: Signal, tls: Option<Arc<Tls>>) -> Infallible {
    loop {
        if hangup.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        let Some(tls) = tls.clone() else {
            output::to_stderr("SIGHUP: there is no TLS, and nothing to read again");
            continue;
        };
        let said = match tokio::task::spawn_blocking(move || tls.reload()).await {
            Ok(Reload::Done | Reload::Same) => "certificates were read again",
            Ok(Reload::Refused) => "certificates can't be used, the ones before stay: see the log",
            // The panic was reported.
            Err(_) => "certificates could not be read again",
        };
        output::to_stderr(&format!("SIGHUP: {said}"));
    }
}

async fn serve_until(
    end: impl Future<Output = ()>,
    server: Server<Engine>,
    places: &Places,
    (is_dev, is_demo): (bool, bool),
) -> Result<(), Fault> {
    let mut running = std::pin::pin!(server.run(end));
    let greeting = async {
        if is_demo && let Err(error) = make_demo(places).await {
            output::to_stderr(&format!("the sample network could not be made: {error}"));
        }
        if is_dev { output::text(&places.hints()) } else { Ok(()) }
    };
    let report = tokio::select! {
        report = &mut running => report,
        greeted = greeting => {
            // Nobody reads the hints: no reason to stop serving.
            drop(greeted);
            running.await
        }
    };
    if report.cut_off > 0 {
        output::to_stderr(&format!("{} connections were cut off", report.cut_off));
    }
    Ok(())
}

async fn any([mut first, mut second]: [Signal; 2]) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
    tell_stopping().await;
    output::to_stderr("stopping");
}

/// Where the server listens.
struct Places {
    tcp: Vec<SocketAddr>,
    http: Option<SocketAddr>,
    http_scheme: &'static str,
    /// TCP addresses speak TLS.
    is_secured: bool,
    unix: Option<PathBuf>,
    /// Everybody must show who he is.
    guard: Option<Guard>,
}

/// Who is let in before there are principals.
struct Guard {
    /// The server's own user and root, over the Unix socket.
    lets_in_operator: bool,
    /// Who has the token in this file.
    token_file: Option<PathBuf>,
}

impl Places {
    fn endpoints(&self) -> Vec<Endpoint> {
        let tcp = self
            .tcp
            .iter()
            .map(|address| Endpoint::Tcp { host: address.ip().to_string(), port: address.port() });
        tcp.chain(self.unix.clone().map(Endpoint::Unix)).collect()
    }

    fn all(&self) -> Vec<String> {
        let http = self.http.map(|address| format!("{}://{address}", self.http_scheme));
        let endpoints = self.endpoints();
        let told = endpoints.iter().map(|endpoint| match endpoint {
            Endpoint::Tcp { .. } if self.is_secured => format!("{endpoint} (TLS)"),
            endpoint => endpoint.to_string(),
        });
        told.chain(http).collect()
    }

    /// The options by which a command in any directory is let in; `None`: nobody is.
    fn way_in(&self) -> Option<String> {
        let first = self.endpoints().into_iter().next();
        let server = match first {
            Some(endpoint) if endpoint != Endpoint::default() => format!(" --server {endpoint}"),
            _ => String::new(),
        };
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or(path.to_owned());
        match (&self.guard, &self.unix) {
            (None, _) => Some(server),
            (Some(Guard { lets_in_operator: true, .. }), Some(socket)) => {
                Some(format!(" --server {}", Endpoint::Unix(absolute(socket))))
            }
            (Some(Guard { token_file: Some(file), .. }), _) => {
                Some(format!("{server} --token-file {}", absolute(file).display()))
            }
            _ => None,
        }
    }

    /// What to try next, in words that can be pasted.
    fn hints(&self) -> String {
        let program = std::env::args_os().next();
        let program = program.and_then(|name| name.into_string().ok());
        let program = program.unwrap_or_else(|| "addrd".to_owned());
        let Some(option) = self.way_in() else {
            return "\nNobody is let in: set unix_socket and local_operator, or operator_token_file.\n".to_owned();
        };
        let metrics = self.http.map(|http| format!("  curl http://{http}/metrics\n"));
        format!(
            "\nIn another terminal:\n\
             \x20 {program} allocate {DEMO}{option}\n\
             \x20 {program} network create blue{option}\n\
             \x20 {program} subnet create blue 10.0.0.0/24{option}\n\
             \x20 {program} allocate blue --owner web-1{option}\n\
             \x20 {program} lookup 10.0.0.2{option}\n\
             {}\nctrl-c stops the server; the data stays.\n",
            metrics.unwrap_or_default()
        )
    }
}

/// Makes the sample network, through the ordinary way in.
async fn make_demo(places: &Places) -> Result<(), Error> {
    // Over the Unix socket, if there is one: there the server's own user is let in.
    let local = places.unix.clone().map(Endpoint::Unix);
    let endpoints = local.map_or_else(|| places.endpoints(), |local| vec![local]);
    let guard =
        places.guard.as_ref().filter(|guard| !guard.lets_in_operator || places.unix.is_none());
    let token = guard.and_then(|guard| guard.token_file.clone()).map(TokenSource::File);
    let client = Client::connect(Settings { endpoints, token, ..Settings::default() }).await?;
    let network = network::id_of(ProjectId::DEFAULT, DEMO);
    let create = NetworkCreate {
        name: Text::new(DEMO).ok(),
        description: Text::new("made by serve --dev").ok(),
        ..NetworkCreate::default()
    };
    client.network_create(network, create).await?;
    for (cidr, name) in DEMO_SUBNETS {
        if let Ok(cidr) = cidr.parse() {
            client.subnet_create(network, demo_subnet(network, cidr, name)).await?;
        }
    }
    Ok(())
}

fn demo_subnet(network: NetworkId, cidr: Prefix, name: &str) -> SubnetCreate {
    SubnetCreate {
        subnet_id: subnet::id_of(network, &cidr),
        cidr,
        kind: SubnetKind::Broadcast,
        strategy: Strategy::Default,
        enable_dhcp: false,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: Text::new(name).ok(),
        description: None,
        from_pool: None,
        quarantine_ms: None,
        service: Default::default(),
    }
}
