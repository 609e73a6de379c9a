//! `addrd serve`: settings to store, engine and server; signals; the sample network of `--dev`.
//! The only file that wires the rooms together.

use super::fault::Fault;
use super::session::Session;
use super::{network, output, subnet};
use addrd::config::Config;
use addrd::engine::{Boot, Booted, Engine, boot};
use addrd::limits::{JOURNAL_RECORDS_MAX, JOURNAL_RECORDS_MAX_DEV};
use addrd::server::Server;
use addrd::store;
use addrd_client::{Client, Endpoint, Error, Settings};
use addrd_protocol::message::{NetworkCreate, Strategy, SubnetCreate, SubnetKind};
use addrd_protocol::{NetworkId, Prefix, ProjectId, Setting, Text};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Where the data lies unless a file, the environment or a flag says otherwise.
const DATA: &str = "addrd-data";
/// Name of the sample network.
const DEMO: &str = "demo";
/// Its subnets: prefix and name.
const DEMO_SUBNETS: [(&str, &str); 2] = [("10.64.0.0/16", "demo-v4"), ("fd00:64::/64", "demo-v6")];
/// Most records in memory.
const MEMORY_RECORDS_MAX: u64 = 100_000_000;

/// Runs a server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
SIGTERM and ctrl-c stop the server in order.

Examples:
  addrd serve --dev
  addrd serve --data /var/lib/addrd
  addrd serve --listen 127.0.0.1:4000 --http \"\"")]
pub(crate) struct Serve {
    /// To try things: loopback only, small files, and in a new directory the network "demo"
    #[arg(long)]
    dev: bool,
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
    /// Listen on addresses that others can reach, though anybody there may do everything
    #[arg(long)]
    insecure: bool,
}

impl Serve {
    fn config(&self) -> Result<Config, Fault> {
        let mut config = Config::default();
        let address = |text: &String| {
            let parsed = text.trim().parse::<SocketAddr>();
            parsed.map_err(|_| Fault::Usage(format!("\"{text}\" is not ADDRESS:PORT")))
        };
        if !self.listen.is_empty() {
            config.listen = self.listen.iter().map(address).collect::<Result<_, _>>()?;
        }
        config.http = match &self.http {
            Some(text) if text.is_empty() => None,
            Some(text) => Some(address(text)?),
            None => config.http,
        };
        let socket = self.unix_socket.as_deref().unwrap_or("addrd.sock");
        config.unix_socket = (!socket.is_empty()).then(|| self.data().join(socket));
        config.insecure = self.insecure;
        let reachable = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        match config.listen.iter().chain(&config.http).find(reachable) {
            Some(address) if self.dev => {
                Err(Fault::Usage(format!("--dev is for loopback only, not {address}")))
            }
            _ => Ok(config),
        }
    }

    fn data(&self) -> PathBuf {
        self.data.as_deref().unwrap_or(DATA).into()
    }
}

pub(crate) fn run(_session: &Session, serve: &Serve) -> Result<(), Fault> {
    let config = serve.config()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores / 2).max(2))
        .thread_name("reactor")
        .enable_all()
        .build()?;
    let booted = booted(serve, cores)?;
    let is_demo = serve.dev && booted.is_new;
    let engine = booted.running.engine().clone();
    let served = runtime.block_on(serve_until_signal(engine, &config, serve, is_demo));
    drop(runtime);
    booted.running.stop();
    served
}

fn booted(serve: &Serve, cores: usize) -> Result<Booted, Fault> {
    let journal_records_max = if serve.dev { JOURNAL_RECORDS_MAX_DEV } else { JOURNAL_RECORDS_MAX };
    let boot = boot(Boot {
        data: serve.data(),
        store: store::Settings { journal_records_max, ..store::Settings::default() },
        workers: u16::try_from((cores / 4).max(1)).unwrap_or(u16::MAX),
        memory_records_max: MEMORY_RECORDS_MAX,
        on_failure: Arc::new(|what| {
            output::to_stderr(&format!("error: stopping: {what}"));
            std::process::exit(1);
        }),
    });
    boot.map_err(|error| Fault::Internal(error.to_string()))
}

async fn serve_until_signal(
    engine: Engine,
    config: &Config,
    serve: &Serve,
    is_demo: bool,
) -> Result<(), Fault> {
    let signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let server = Server::bind(engine, config).map_err(|error| Fault::Usage(error.to_string()))?;
    let places = Places {
        tcp: server.addresses().to_vec(),
        http: config.http,
        unix: config.unix_socket.clone(),
    };
    output::to_stderr(&format!("data in {}", serve.data().display()));
    output::to_stderr(&format!("listening on {}", places.all().join(", ")));
    let mut running = std::pin::pin!(server.run(any(signals)));
    let greeting = async {
        if is_demo && let Err(error) = make_demo(&places).await {
            output::to_stderr(&format!("the sample network could not be made: {error}"));
        }
        if serve.dev { output::text(&places.hints()) } else { Ok(()) }
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
    output::to_stderr("stopping");
}

/// Where the server listens.
struct Places {
    tcp: Vec<SocketAddr>,
    http: Option<SocketAddr>,
    unix: Option<PathBuf>,
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
        let http = self.http.map(|address| format!("http://{address}"));
        self.endpoints().iter().map(ToString::to_string).chain(http).collect()
    }

    /// What to try next, in words that can be pasted.
    fn hints(&self) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "addrd".to_owned());
        let endpoint = self.endpoints().into_iter().next();
        let option = match endpoint {
            Some(endpoint) if endpoint != Endpoint::default() => format!(" --server {endpoint}"),
            _ => String::new(),
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
    let client =
        Client::connect(Settings { endpoints: places.endpoints(), ..Settings::default() }).await?;
    let network = network::id_of(ProjectId::DEFAULT, DEMO);
    let create = NetworkCreate {
        name: Text::new(DEMO).ok(),
        description: Text::new("made by serve --dev").ok(),
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
    }
}
