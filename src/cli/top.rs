//! `addrd top`: a screen that shows how full a server is, again and again. Counts nothing itself.
//!
//! No terminal mode is changed, only the screen cleared between two frames, so whatever ends the program
//! leaves the terminal as it was. Where standard output is no terminal, frames follow each other.

use super::fault::Fault;
use super::held::Names;
use super::output;
use super::session::Session;
use super::view::{self, View, text};
use super::{duration, find, outlook, table};
use addrd_client::Client;
use addrd_protocol::message::{NetworkUsage, ServerStatus, SubnetUsage, Usage};
use addrd_protocol::{NetworkId, ProjectId, Revision, SubnetId, Text};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Networks whose counts are asked for in one refresh; with more of them, each refresh asks for the
/// next ones.
const NETWORKS_A_REFRESH: usize = 64;
/// Networks that are looked at, at most.
const NETWORKS_MAX: usize = 4_096;
/// Subnets of a frame unless told otherwise: with the head they fit a small terminal.
const LINES: usize = 20;
/// Growth changes also where counts don't: after so long a network's counts are asked for anew.
const WHOLE_AGAIN: Duration = Duration::from_secs(300);
/// Clears the screen, and goes to its beginning.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// How full a server is, again and again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Full by 1h, 24h: when nothing is free any more if use grows as over the last hour, or day.

Examples:
  addrd top                          all networks, every 2 s, until Ctrl-C
  addrd top blue --sort full         what is full first at the top
  addrd top --once                   one screen
  addrd top --count 10 -o jsonl      ten objects, one a line")]
pub(crate) struct Top {
    /// Name or id of a network [default: all]
    network: Option<String>,
    /// What stands at the top
    #[arg(long, value_enum, default_value = "used")]
    sort: Sort,
    /// Time between two refreshes, such as 500ms, 2s, 1m
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::pause)]
    every: u64,
    /// Ends after so many refreshes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Ends after one
    #[arg(long, conflicts_with = "count")]
    once: bool,
}

/// An order of subnets.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Sort {
    /// The fullest.
    Used,
    /// What grew most over the last hour; where that is unknown, over the last day.
    Growth,
    /// What is full first.
    Full,
}

/// A subnet of a frame.
#[derive(Clone, Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    usage: SubnetUsage,
    network_id: NetworkId,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_name: Option<Text>,
}

/// One refresh as programs read it.
#[derive(Debug, Serialize)]
struct Frame<'a> {
    status: &'a ServerStatus,
    /// Commits since the last refresh, each of one or more operations that changed something.
    #[serde(skip_serializing_if = "Option::is_none")]
    commits_per_second: Option<f64>,
    /// How many more allocations there are than at the last refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocations_per_second: Option<f64>,
    subnets: &'a [Line],
}

impl View for Line {
    const COLUMNS: &'static [&'static str] = &[
        "network",
        "cidr",
        "used",
        "free",
        "pool_size",
        "growth_1h",
        "growth_24h",
        "full_in_by_1h",
        "full_in_by_24h",
    ];

    fn cells(&self) -> Vec<String> {
        let usage = &self.usage;
        let network = match &self.network_name {
            Some(name) => text(Some(name)),
            None => self.network_id.to_string(),
        };
        vec![
            network,
            usage.cidr.to_string(),
            view::percent(usage.pool_size.saturating_sub(usage.free), usage.pool_size),
            usage.free.to_string(),
            usage.pool_size.to_string(),
            outlook::net(usage.growth_1h),
            outlook::net(usage.growth_24h),
            outlook::by_hour(usage),
            outlook::by_day(usage),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.usage.subnet_id.to_string()]
    }
}

/// What is known of a network.
struct Known {
    project: ProjectId,
    name: Option<Text>,
    revision: Option<Revision>,
    whole_at: Instant,
    subnets: BTreeMap<SubnetId, SubnetUsage>,
}

impl Known {
    fn new(project: ProjectId, name: Option<Text>) -> Self {
        let (revision, whole_at, subnets) = (None, Instant::now(), BTreeMap::new());
        Self { project, name, revision, whole_at, subnets }
    }

    /// Takes an answer in, as the protocol says it: usage, changed_since.
    fn take(&mut self, usage: NetworkUsage) {
        if usage.whole {
            self.subnets.clear();
        }
        if self.revision.is_none() {
            self.whole_at = Instant::now();
        }
        usage.gone.iter().for_each(|gone| _ = self.subnets.remove(gone));
        self.subnets.extend(usage.subnets.into_iter().map(|usage| (usage.subnet_id, usage)));
        self.revision = Some(usage.revision).filter(|revision| revision.0 > 0);
    }
}

/// All that is known, and where the next refresh goes on.
#[derive(Default)]
struct Picture {
    networks: BTreeMap<(ProjectId, NetworkId), Known>,
    next: usize,
    last: Option<(Instant, ServerStatus)>,
}

impl Picture {
    /// Asks for what has changed in a bounded number of networks.
    async fn refresh(&mut self, client: &Client) -> Result<(), Fault> {
        let keys: Vec<_> = self.networks.keys().copied().collect();
        let (count, first) = (keys.len().min(NETWORKS_A_REFRESH), self.next);
        self.next = (first + count) % keys.len().max(1);
        for key in keys.iter().cycle().skip(first).take(count) {
            let Some(known) = self.networks.get_mut(key) else { continue };
            if known.whole_at.elapsed() > WHOLE_AGAIN {
                known.revision = None;
            }
            let client = client.on_networks_of(known.project);
            let asked = Usage { changed_since: known.revision, ..Usage::default() };
            match client.usage_where(key.1, asked).await {
                Ok(usage) => known.take(usage),
                // It was deleted meanwhile.
                Err(error) if error.is(addrd_protocol::Status::NOT_FOUND) => {
                    self.networks.remove(key);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes in networks that are new, and forgets those that are gone.
    async fn list(&mut self, client: &Client) -> Result<(), Fault> {
        let (mut list, mut seen) = (client.networks(None), BTreeMap::new());
        while let Some(network) = list.next().await? {
            seen.insert((network.project_id, network.network_id), network.name);
            if seen.len() >= NETWORKS_MAX {
                break;
            }
        }
        self.networks.retain(|key, _| seen.contains_key(key));
        for (key, name) in seen {
            self.networks.entry(key).or_insert_with(|| Known::new(key.0, None)).name = name;
        }
        Ok(())
    }

    fn lines(&self, sort: Sort, most: usize) -> Vec<Line> {
        let of = |(key, known): (&(ProjectId, NetworkId), &Known)| {
            let (network_id, network_name) = (key.1, known.name.clone());
            let line = move |usage: &SubnetUsage| Line {
                usage: usage.clone(),
                network_id,
                network_name: network_name.clone(),
            };
            known.subnets.values().map(line).collect::<Vec<_>>()
        };
        let mut lines: Vec<Line> = self.networks.iter().flat_map(of).collect();
        match sort {
            Sort::Used => lines.sort_by_key(|line| Reverse(permille(&line.usage))),
            Sort::Growth => lines.sort_by_key(|line| Reverse(grown(&line.usage))),
            Sort::Full => lines.sort_by_key(|line| {
                let soonest = outlook::soonest_ms(&line.usage).unwrap_or(u64::MAX);
                (soonest, Reverse(permille(&line.usage)))
            }),
        }
        lines.truncate(most);
        lines
    }

    /// Commits and allocations a second since the last refresh.
    fn rates(&mut self, status: &ServerStatus) -> Option<(f64, f64)> {
        let before = self.last.replace((Instant::now(), status.clone()));
        let (then, before) =
            before.filter(|(_, before)| before.incarnation == status.incarnation)?;
        let seconds = then.elapsed().as_secs_f64();
        let commits = status.position.0.saturating_sub(before.position.0) as f64;
        let more = status.allocations as f64 - before.allocations as f64;
        Some((commits / seconds, more / seconds)).filter(|_| seconds > 0.0)
    }
}

/// Share of the pools that is not free, in thousandths.
fn permille(usage: &SubnetUsage) -> u128 {
    let used = usage.pool_size.saturating_sub(usage.free);
    let scale = (usage.pool_size >> 64).max(1);
    used / scale * 1_000 / (usage.pool_size / scale).max(1)
}

fn grown(usage: &SubnetUsage) -> i128 {
    usage.growth_1h.or(usage.growth_24h).map_or(i128::MIN, |growth| growth.net)
}

pub(crate) async fn run(session: &Session, top: Top) -> Result<(), Fault> {
    let client = session.client().await?;
    let mut picture = Picture::default();
    let (client, is_one) = match &top.network {
        None => (client.clone(), false),
        Some(name) => {
            let (of, id) = find::usable(&client, name).await?;
            let name = Names::new(&of, &session.output).of(id, None).await?;
            let project = of.scope(id).network_project.unwrap_or_default();
            picture.networks.insert((project, id), Known::new(project, name));
            (of, true)
        }
    };
    let frames = if top.once { 1 } else { top.count.unwrap_or(u64::MAX) };
    for number in 0..frames {
        if number > 0 && is_interrupted(Duration::from_millis(top.every)).await {
            return Ok(());
        }
        if !is_one {
            picture.list(&client).await?;
        }
        picture.refresh(&client).await?;
        let status = client.server_status().await?;
        let rates = picture.rates(&status);
        show(session, &top, &picture, &status, rates)?;
    }
    Ok(())
}

/// Waits until the next refresh is due; true if somebody ended it.
async fn is_interrupted(pause: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(pause) => false,
        _ = tokio::signal::ctrl_c() => true,
    }
}

fn show(
    session: &Session,
    top: &Top,
    picture: &Picture,
    status: &ServerStatus,
    rates: Option<(f64, f64)>,
) -> Result<(), Fault> {
    let out = &session.output;
    let lines = picture.lines(top.sort, out.objects_given().unwrap_or(LINES));
    if out.is_objects() {
        let frame = Frame {
            status,
            commits_per_second: rates.map(|rates| rates.0),
            allocations_per_second: rates.map(|rates| rates.1),
            subnets: &lines,
        };
        let line = serde_json::to_string(&frame).map_err(std::io::Error::from)?;
        return output::text(&format!("{line}\n"));
    }
    if !out.is_table() {
        let mut list = out.list();
        lines.into_iter().try_for_each(|line| list.add(line))?;
        return list.end(false);
    }
    let is_screen = std::io::stdout().is_terminal() && !top.once;
    let clear = if is_screen { CLEAR } else { "" };
    let head = head(status, rates);
    let body = if lines.is_empty() { String::new() } else { table::rows(&lines, true) };
    output::text(&format!("{clear}{head}\n{body}{}", if is_screen { "" } else { "\n" }))
}

/// The state of the server in two lines.
fn head(status: &ServerStatus, rates: Option<(f64, f64)>) -> String {
    let (commits, more) = rates.map_or_else(Default::default, |(commits, more)| {
        (format!(", {commits:.0} commits/s"), format!(" ({more:+.0}/s)"))
    });
    let journal = view::percent(status.journal_records.into(), status.journal_records_max.into());
    let adopting = if status.adopting { ", adoption mode" } else { "" };
    format!(
        "addrd {} {}{adopting}, up {}, {} workers, {} connections\n\
         {} networks, {} allocations{more}{commits}, journal {journal} full\n",
        status.version,
        status.state,
        outlook::span(status.uptime_ms),
        status.workers,
        status.connections,
        status.networks,
        status.allocations,
    )
}
