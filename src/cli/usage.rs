//! `addrd usage`: counts of addresses. Counts nothing itself.

use super::allocation::FamilyName;
use super::fault::Fault;
use super::output::{ListOutput, Output};
use super::session::Session;
use super::view::{self, View, text, word};
use super::{find, held::Names, outlook};
use addrd_client::Client;
use addrd_protocol::message::{NetworkUsage, SubnetUsage, Usage as Request, UsageTotals};
use addrd_protocol::{NetworkId, Revision, Text};
use serde::Serialize;

/// Counts of addresses: free, allocated, excluded.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  addrd usage\n  addrd usage blue\n  addrd usage blue 10.0.0.0/24\n  addrd usage --totals --ip-version 4\n  addrd usage blue --changed-since 1761234567890 -o json\n  addrd usage --pool nodes\n\nIn JSON each network is one object: its sums by family (totals), its subnets, and the revision to poll with. After\n--changed-since, forget all other subnets if it says whole, else those in gone; then take the subnets."
)]
pub(crate) struct Usage {
    /// Name or id of a network [default: all]
    network: Option<String>,
    /// Name, id or prefix of a subnet
    subnet: Option<String>,
    /// Counts of a subnet pool instead, by prefix: name or id
    #[arg(long, conflicts_with_all = ["network", "subnet"])]
    pool: Option<String>,
    /// Only subnets whose counts may have changed behind this revision of the network
    #[arg(long, value_name = "REVISION", requires = "network", conflicts_with_all = ["subnet", "pool"])]
    changed_since: Option<u64>,
    /// Only this family
    #[arg(long, visible_alias = "ip-version", value_name = "FAMILY", conflicts_with = "subnet")]
    family: Option<FamilyName>,
    /// Only the sums of each network, without its subnets
    #[arg(long, conflicts_with_all = ["subnet", "changed_since"])]
    totals: bool,
}

/// Counts of a network as programs read them.
#[derive(Debug, Serialize)]
struct Counts {
    #[serde(flatten)]
    usage: NetworkUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_name: Option<Text>,
}

/// A line for people: counts of a subnet, or the sums of a family.
#[derive(Debug, Serialize)]
struct Line {
    cells: Vec<String>,
    key: String,
}

impl View for Line {
    const COLUMNS: &'static [&'static str] = &[
        "cidr",
        "pool_size",
        "free",
        "allocated",
        "held",
        "quarantined",
        "excluded",
        "pinned",
        "used_outside",
        "used",
        "full_in_by_1h",
        "full_in_by_24h",
        "network",
        "subnet_id",
    ];

    fn cells(&self) -> Vec<String> {
        self.cells.clone()
    }

    fn keys(&self) -> Vec<String> {
        vec![self.key.clone()]
    }
}

impl View for Counts {
    const COLUMNS: &'static [&'static str] = &["network", "network_id"];

    fn cells(&self) -> Vec<String> {
        vec![text(self.network_name.as_ref()), self.usage.network_id.to_string()]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.usage.network_id.to_string()]
    }
}

impl Counts {
    fn subnet_line(&self, usage: &SubnetUsage) -> Line {
        let counts = [
            usage.pool_size,
            usage.free,
            usage.allocated,
            usage.held,
            usage.quarantined,
            usage.excluded,
            usage.pinned,
            usage.used_outside,
        ];
        let outlook = [outlook::by_hour(usage), outlook::by_day(usage)];
        self.line(usage.cidr.to_string(), counts, outlook, usage.subnet_id.to_string())
    }

    /// The sums of a family; its key is the network's id.
    fn totals_line(&self, totals: &UsageTotals) -> Line {
        let counts = [
            totals.pool_size,
            totals.free,
            totals.allocated,
            totals.held,
            totals.quarantined,
            totals.excluded,
            totals.pinned,
            totals.used_outside,
        ];
        let label = format!("all {} {}", totals.subnets, word(&totals.family));
        let line = self.line(label, counts, Default::default(), String::new());
        Line { key: self.usage.network_id.to_string(), ..line }
    }

    fn line(&self, label: String, counts: [u128; 8], outlook: [String; 2], key: String) -> Line {
        let [pool_size, free, ..] = counts;
        let mut cells = vec![label];
        cells.extend(counts.iter().map(u128::to_string));
        cells.push(view::percent(pool_size.saturating_sub(free), pool_size));
        cells.extend(outlook);
        cells.push(text(self.network_name.as_ref()));
        cells.push(key.clone());
        Line { cells, key }
    }

    /// What people are told below the lines of one network.
    fn remark(&self, output: &Output, usage: &Usage) {
        if usage.changed_since.is_some() {
            if self.usage.whole {
                output.remark("what changed since then is not remembered; these are all subnets");
            }
            let gone: Vec<String> = self.usage.gone.iter().map(ToString::to_string).collect();
            if !gone.is_empty() {
                output.remark(&format!("deleted since then: {}", gone.join(", ")));
            }
        }
        if let (Some(network), None, None) = (&usage.network, &usage.subnet, &usage.pool) {
            let revision = self.usage.revision;
            output.remark(&format!(
                "revision {revision}; what changes from now on: addrd usage {network} --changed-since {revision}"
            ));
        }
    }
}

/// Prints networks: objects for programs, lines for people.
struct Printer<'a> {
    most: usize,
    subnets: usize,
    objects: Option<ListOutput<'a, Counts>>,
    lines: Option<ListOutput<'a, Line>>,
    /// Sums after the subnets.
    sums: bool,
}

impl<'a> Printer<'a> {
    fn new(output: &'a Output, usage: &Usage) -> Self {
        let objects = output.is_objects();
        Self {
            most: output.objects_max(),
            subnets: 0,
            objects: objects.then(|| output.list()),
            lines: (!objects).then(|| output.list()),
            sums: usage.totals || (output.is_table() && usage.network.is_some()),
        }
    }

    /// Prints a network; false if that was as much as may be printed.
    fn add(&mut self, mut counts: Counts) -> Result<bool, Fault> {
        let left = self.most - self.subnets;
        let is_cut = counts.usage.subnets.len() > left;
        counts.usage.subnets.truncate(left);
        self.subnets += counts.usage.subnets.len();
        if let Some(lines) = &mut self.lines {
            for usage in &counts.usage.subnets {
                lines.add(counts.subnet_line(usage))?;
            }
            for totals in counts.usage.totals.iter().filter(|_| self.sums) {
                lines.add(counts.totals_line(totals))?;
            }
        }
        if let Some(objects) = &mut self.objects {
            objects.add(counts)?;
        }
        Ok(!is_cut)
    }

    fn end(self, more: bool) -> Result<(), Fault> {
        if let Some(lines) = self.lines {
            lines.end(more)?;
        }
        self.objects.map_or(Ok(()), |objects| objects.end(more))
    }
}

pub(crate) async fn run(session: &Session, usage: Usage) -> Result<(), Fault> {
    let client = session.client().await?;
    let request = Request {
        subnet: usage.subnet.as_deref().map(find::subnet_name).transpose()?,
        cursor: None,
        changed_since: usage.changed_since.map(Revision),
        family: usage.family.map(FamilyName::family),
        totals_only: usage.totals,
    };
    let Some((client, id)) = counted(&client, &usage).await? else {
        return all(session, &client, &usage, &request).await;
    };
    if let Some(text) = &usage.subnet {
        find::subnet(&client, id, text).await?;
    }
    let network_name = Names::new(&client, &session.output).of(id, None).await?;
    let mut counts = Counts { usage: client.usage_where(id, request).await?, network_name };
    if session.output.is_objects() {
        counts.usage.subnets.truncate(session.output.objects_max());
        return session.output.one(&counts);
    }
    let told = Counts {
        usage: NetworkUsage { subnets: Vec::new(), ..counts.usage.clone() },
        network_name: None,
    };
    let mut printer = Printer::new(&session.output, &usage);
    let all = printer.add(counts)?;
    printer.end(!all)?;
    told.remark(&session.output, &usage);
    Ok(())
}

/// The network or pool that is named, and the client to ask about it.
async fn counted(client: &Client, usage: &Usage) -> Result<Option<(Client, NetworkId)>, Fault> {
    match (&usage.network, &usage.pool) {
        (Some(text), _) => find::usable(client, text).await.map(Some),
        (None, Some(pool)) => super::pool::as_network(client, pool).await.map(Some),
        (None, None) => Ok(None),
    }
}

async fn all(
    session: &Session,
    client: &Client,
    usage: &Usage,
    request: &Request,
) -> Result<(), Fault> {
    let mut printer = Printer::new(&session.output, usage);
    let mut networks = client.networks(None);
    while let Some(network) = networks.next().await? {
        let client = client.on_networks_of(network.project_id);
        let usage = client.usage_where(network.network_id, request.clone()).await?;
        if !printer.add(Counts { usage, network_name: network.name })? {
            return printer.end(true);
        }
    }
    printer.end(false)
}
