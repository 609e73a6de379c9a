//! `addrd manager`, `addrd reconcile`, `addrd suspect`: who keeps allocations here, and what of it still lives.

use super::fault::Fault;
use super::held::Names;
use super::owner::Owner;
use super::session::Session;
use super::view::View;
use super::{duration, find, network};
use addrd_client::Client;
use addrd_protocol::message::{
    Live, ManagerList, ManagerUse, Reconcile as Part, Reconciled, SuspectList,
};
use addrd_protocol::{Instance, NetworkId, Slot, Text};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pause between two looks at releases that are worked off.
const POLL: Duration = Duration::from_millis(50);
/// Longest line of a list of what lives, bytes.
const LINE_BYTES_MAX: u64 = 4_096;

/// Managers: list, hosts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Manager {
    /// Lists managers that keep allocations.
    #[command(visible_alias = "ls")]
    List,
    /// Lists the hosts of a manager.
    #[command(after_help = "Example:\n  addrd manager hosts cni")]
    Hosts {
        /// The manager
        #[arg(value_parser = network::text)]
        manager: Text,
    },
}

/// Suspects: list.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Suspect {
    /// Lists allocations that the last reconciliation of their host missed.
    #[command(
        visible_alias = "ls",
        after_help = "Example:\n  addrd suspect list --manager cni --host n1"
    )]
    List(Which),
}

/// Which suspects.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Name or id of the network; all of them if not given
    #[arg(long)]
    network: Option<String>,
    /// Only of this manager
    #[arg(long, value_parser = network::text)]
    manager: Option<Text>,
    /// Only of this host
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
}

/// Says everything that lives on a host: what two calls miss, a minute apart, is released.
///
/// FILE has a line for each owner that lives there, as --owner takes it, or an object with `owner` and, if they are
/// used, `slot` and `instance`. An empty file says that nothing does.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd reconcile --manager cni --host n1 live.txt
  printf 'web-1\\nweb-2\\n' | addrd reconcile --manager cni --host n1 - --dry-run
  addrd reconcile --manager cni --host n1 --network blue live.jsonl")]
pub(crate) struct Reconcile {
    /// What lives there; - reads standard input
    file: PathBuf,
    /// The manager
    #[arg(long, value_parser = network::text)]
    manager: Text,
    /// The host
    #[arg(long, value_parser = network::text)]
    host: Text,
    /// Name or id of the network; all of them if not given
    #[arg(long)]
    network: Option<String>,
    /// Time between two calls that release: 60s, 10m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration::lease)]
    grace: u64,
    /// Number of the call, higher than the last one's; the time in ms if not given
    #[arg(long)]
    call: Option<u64>,
}

impl View for ManagerUse {
    const COLUMNS: &'static [&'static str] = &["name", "hosts", "allocations"];

    fn cells(&self) -> Vec<String> {
        let hosts = if self.hosts == 0 { String::new() } else { self.hosts.to_string() };
        vec![self.keys().concat(), hosts, self.allocations.to_string()]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.name.as_ref().map_or_else(|| "(no host)".to_owned(), ToString::to_string)]
    }
}

impl View for Reconciled {
    const COLUMNS: &'static [&'static str] =
        &["listed", "elsewhere", "other_instance", "suspects", "released"];

    fn cells(&self) -> Vec<String> {
        [self.listed, self.elsewhere, self.other_instance, self.suspects, self.released]
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn keys(&self) -> Vec<String> {
        vec![self.released.to_string()]
    }
}

pub(crate) async fn run(session: &Session, manager: Manager) -> Result<(), Fault> {
    let client = session.client().await?;
    let manager = match manager {
        Manager::List => None,
        Manager::Hosts { manager } => Some(manager),
    };
    let list = ManagerList { manager, ..ManagerList::default() };
    let mut out = session.output.list::<ManagerUse>();
    for item in client.managers(list).await? {
        if out.count() >= session.output.objects_max() {
            return out.end(true);
        }
        out.add(item)?;
    }
    out.end(false)
}

pub(crate) async fn suspects(session: &Session, suspect: Suspect) -> Result<(), Fault> {
    let Suspect::List(which) = suspect;
    let client = session.client().await?;
    let (client, network) = named(&client, which.network.as_deref()).await?;
    let filter = SuspectList { manager: which.manager, host: which.host, cursor: None };
    let mut found = client.suspects(network, filter);
    let mut names = Names::new(&client, &session.output);
    let mut out = session.output.list();
    while let Some(allocation) = found.next().await? {
        if out.count() >= session.output.objects_max() {
            return out.end(true);
        }
        out.add(names.held(allocation).await?)?;
    }
    out.end(false)
}

pub(crate) async fn reconcile(session: &Session, reconcile: Reconcile) -> Result<(), Fault> {
    // Before the list is read: a later call has a later list.
    let number = reconcile.call.unwrap_or_else(number_of_now);
    let live = read(&reconcile.file)?;
    let client = session.client().await?;
    let (client, network) = named(&client, reconcile.network.as_deref()).await?;
    let call = Part {
        manager: reconcile.manager,
        host: reconcile.host,
        call: number,
        part: 0,
        parts: 1,
        grace_ms: u32::try_from(reconcile.grace).unwrap_or(u32::MAX),
        dry_run: session.global.dry_run,
        live: Vec::new(),
    };
    let told = settled(&client, network, &call, &live).await?;
    if !told.complete {
        let message = format!("the server has not taken {} parts of the list", told.parts_missing);
        return Err(Fault::Internal(message));
    }
    if told.too_early {
        session
            .output
            .remark("the grace of what an earlier call missed is not over: nothing is released");
    }
    if told.more {
        session.output.remark("there are more suspects than are counted here");
    }
    session.output.one(&told)
}

/// A number that rises from call to call, whoever makes them.
#[expect(clippy::disallowed_methods, reason = "processes that share nothing but a clock")]
pub(super) fn number_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// The reply once nothing is to be released any more.
async fn settled(
    client: &Client,
    network: NetworkId,
    call: &Part,
    live: &[Live],
) -> Result<Reconciled, Fault> {
    let mut told = client.reconcile(network, call, live).await?;
    while told.releasing {
        tokio::time::sleep(POLL).await;
        let now = client.reconcile(network, call, live).await?;
        told = now;
    }
    Ok(told)
}

/// The network that is given, or all.
async fn named(client: &Client, network: Option<&str>) -> Result<(Client, NetworkId), Fault> {
    match network {
        Some(network) => find::usable(client, network).await,
        None => Ok((client.clone(), NetworkId::NIL)),
    }
}

/// A line that is an object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    owner: String,
    #[serde(default)]
    slot: Slot,
    #[serde(default)]
    instance: Instance,
}

fn read(file: &Path) -> Result<Vec<Live>, Fault> {
    let failed = |error: io::Error| Fault::Usage(format!("{}: {error}", file.display()));
    let from: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(file).map_err(failed)?),
    };
    let mut from = BufReader::new(from);
    let mut live = Vec::new();
    for number in 1.. {
        let mut line = String::new();
        if from.by_ref().take(LINE_BYTES_MAX).read_line(&mut line).map_err(failed)? == 0 {
            break;
        }
        let text = line.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            continue;
        }
        let wrong =
            |error: String| Fault::Usage(format!("{}: line {number}: {error}", file.display()));
        live.push(entry(text).map_err(wrong)?);
    }
    Ok(live)
}

fn entry(text: &str) -> Result<Live, String> {
    let line = if text.starts_with('{') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        Line { owner: text.to_owned(), slot: Slot(0), instance: Instance(0) }
    };
    let owner: Owner = line.owner.parse()?;
    Ok(Live { owner: owner.id, slot: line.slot, instance: line.instance })
}

#[cfg(test)]
mod tests {
    use super::*;
    use addrd_protocol::OwnerId;

    #[test]
    fn a_line_is_an_owner_or_an_object() {
        let owner = OwnerId::from_text("web-1");
        let plain = Live { owner, slot: Slot(0), instance: Instance(0) };
        assert_eq!(entry("web-1"), Ok(plain));
        let full = r#"{"owner": "web-1", "slot": 3, "instance": "7"}"#;
        assert_eq!(entry(full), Ok(Live { slot: Slot(3), instance: Instance(7), ..plain }));
        for wrong in [r#"{"owner": ""}"#, r#"{"slot": 1}"#, r#"{"owner": "a", "host": "b"}"#, "{"] {
            assert!(entry(wrong).is_err(), "{wrong}");
        }
    }
}
