//! `addrd convert kea`: Kea's lease files and configurations. Reads files only; what becomes of each
//! row is counted.

mod client;
mod config;
mod holders;
mod json;
mod leases;
mod lines;
mod parts;
mod plan;
mod rows;

use super::account::Account;
use super::target::{self, Target};
use crate::cli::fault::Fault;
use crate::cli::session::Session;
use crate::cli::transfer::faults::Faults;
use addrd::engine::clock;
use addrd_protocol::{Family, Text};
use leases::Leases;
use plan::Plan;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest configuration, bytes.
const CONFIG_BYTES_MAX: u64 = 256 << 20;
/// What the first line of every lease file begins with.
const LEASES_BEGIN: &[u8] = b"address,";
const MS_PER_S: u64 = 1_000;

/// Makes a file for `addrd import` of Kea's lease files and configurations.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Give the configuration of a server and its lease file, of DHCPv4, DHCPv6 or both; which is which is
seen from the content. Beside a lease file, what its clean-up left (.completed, or .2 and .1) is read
too. Of each address the last row counts. A shared network becomes a network of its name; another
subnet a network kea4-ID or kea6-ID. Owners are mac:.. (DHCPv4, else client-id:..) and duid:.. ;
what a client declined is held by kea-declined. Reservations become pins, pd-pools a pool NAME-pd.

A lease becomes an allocation that stays until it is released, or with --leases one that ends when
Kea's would, unless it is renewed; when that is stands in its label (expire=SECONDS). What has ended
before is left out, as are leases that were released or reclaimed; all of it is counted.

Examples:
  addrd convert kea kea-dhcp4.conf kea-leases4.csv --to state.jsonl
  addrd convert kea kea-dhcp4.conf kea-leases4.csv kea-dhcp6.conf kea-leases6.csv --network office
  addrd convert kea kea-dhcp4.conf kea-leases4.csv --leases --to state.jsonl
  addrd convert kea kea-dhcp6.conf kea-leases6.csv --at 1764201600 --dry-run")]
pub(crate) struct Kea {
    /// Configurations and lease files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Put everything into one network of this name
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Leave out what has ended at this time, in seconds since the Unix epoch [default: now]
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
    /// Let each lease end after the time that it has left
    #[arg(long)]
    leases: bool,
}

pub(super) fn run(session: &Session, kea: &Kea) -> Result<(), Fault> {
    let one = kea.network.as_deref().map(network_name).transpose()?;
    let project = target::project(session)?;
    let mut account = Account::new(!session.output.is_quiet());
    let mut faults = Faults::default();
    let mut plan = Plan::new(one);
    let (mut servers, mut lease_files) = (Vec::new(), Vec::new());
    for path in &kea.files {
        if is_lease_file(path)? {
            lease_files.push(path);
            continue;
        }
        for server in configuration(path)? {
            if servers.contains(&server.0) {
                return Err(twice(path, "configuration of its server"));
            }
            servers.push(server.0);
            plan.add(&server, &path.display().to_string(), &mut faults, &mut account);
        }
    }
    let mut leases = Leases::default();
    let at = kea.at.unwrap_or_else(|| clock::wall_ms() / MS_PER_S);
    let mut seen: Vec<Family> = Vec::new();
    for path in leases::without_older(&lease_files) {
        let family = leases::family_of(path)?;
        if seen.contains(&family) {
            return Err(twice(path, "lease file of its server"));
        }
        if !servers.contains(&family) {
            let text = format!("{} needs the configuration of its server", path.display());
            return Err(Fault::Usage(text));
        }
        seen.push(family);
        leases.read(path, at, &mut faults, &mut account)?;
    }
    let holders = holders::holders(&mut plan, &leases, &mut faults, &mut account);
    drop(leases);
    kea.target.finish(session, &faults, account, |out| {
        lines::write(&plan, holders, project, kea.leases.then_some(at), out)
    })
}

fn twice(path: &Path, what: &str) -> Fault {
    Fault::Usage(format!("{} is the second {what}: convert each server by itself", path.display()))
}

fn network_name(name: &str) -> Result<Text, Fault> {
    let text = Text::new(name).ok().filter(Text::is_name);
    text.ok_or_else(|| Fault::Usage(format!("\"{name}\" can be no name of a network")))
}

fn failed(path: &Path, what: &dyn std::fmt::Display) -> Fault {
    Fault::Usage(format!("{}: {what}", path.display()))
}

fn is_lease_file(path: &Path) -> Result<bool, Fault> {
    let mut begin = Vec::new();
    let file = fs::File::open(path).map_err(|error| failed(path, &error))?;
    let mut file = file.take(LEASES_BEGIN.len() as u64);
    file.read_to_end(&mut begin).map_err(|error| failed(path, &error))?;
    Ok(begin == LEASES_BEGIN)
}

fn configuration(path: &Path) -> Result<Vec<(Family, config::Dhcp)>, Fault> {
    let file = fs::File::open(path).map_err(|error| failed(path, &error))?;
    let mut text = String::new();
    let read = file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text);
    let read = read.map_err(|error| failed(path, &error))?;
    if read as u64 > CONFIG_BYTES_MAX {
        return Err(failed(path, &"it is longer than 256 MiB"));
    }
    config::read(&text).map_err(|what| {
        failed(path, &format_args!("neither a configuration of Kea's nor a lease file: {what}"))
    })
}
