//! `addrd usage`: counts of addresses. Counts nothing itself.

use super::fault::Fault;
use super::session::Session;
use super::view::{self, View, text};
use super::{find, held::Names};
use addrd_client::Client;
use addrd_protocol::message::SubnetUsage;
use addrd_protocol::{NetworkId, Revision, Text};
use serde::Serialize;

/// Counts of addresses: free, allocated, excluded.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  addrd usage\n  addrd usage blue\n  addrd usage blue 10.0.0.0/24\n  addrd usage --pool nodes"
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
}

/// Counts of a subnet (of a pool: of a prefix), and whose it is.
#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    usage: SubnetUsage,
    network_id: NetworkId,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_name: Option<Text>,
}

impl View for Counted {
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
        "network",
        "subnet_id",
    ];

    fn cells(&self) -> Vec<String> {
        let usage = &self.usage;
        vec![
            usage.cidr.to_string(),
            usage.pool_size.to_string(),
            usage.free.to_string(),
            usage.allocated.to_string(),
            usage.held.to_string(),
            usage.quarantined.to_string(),
            usage.excluded.to_string(),
            usage.pinned.to_string(),
            usage.used_outside.to_string(),
            view::percent(usage.pool_size.saturating_sub(usage.free), usage.pool_size),
            text(self.network_name.as_ref()),
            usage.subnet_id.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.usage.subnet_id.to_string()]
    }
}

pub(crate) async fn run(session: &Session, usage: Usage) -> Result<(), Fault> {
    let client = session.client().await?;
    let subnet = usage.subnet.as_deref().map(find::subnet_name).transpose()?;
    let Some((client, id)) = counted(&client, &usage).await? else {
        return all(session, &client).await;
    };
    if let Some(text) = &usage.subnet {
        find::subnet(&client, id, text).await?;
    }
    let network_name = Names::new(&client, &session.output).of(id).await?;
    let most = session.output.objects_max();
    let mut out = session.output.list::<Counted>();
    let counts = match usage.changed_since {
        Some(since) => client.usage_changed(id, Revision(since)).await?,
        None => client.usage(id, subnet).await?,
    };
    for usage in counts.subnets {
        if out.count() >= most {
            return out.end(true);
        }
        out.add(Counted { usage, network_id: id, network_name: network_name.clone() })?;
    }
    out.end(false)
}

/// The network or pool that is named, and the client to ask about it.
async fn counted(client: &Client, usage: &Usage) -> Result<Option<(Client, NetworkId)>, Fault> {
    match (&usage.network, &usage.pool) {
        (Some(text), _) => Ok(Some((client.clone(), find::network_id(client, text).await?))),
        (None, Some(pool)) => super::pool::as_network(client, pool).await.map(Some),
        (None, None) => Ok(None),
    }
}

async fn all(session: &Session, client: &Client) -> Result<(), Fault> {
    let most = session.output.objects_max();
    let mut out = session.output.list::<Counted>();
    let mut networks = client.networks(None);
    while let Some(network) = networks.next().await? {
        let id = network.network_id;
        for usage in client.usage(id, None).await?.subnets {
            if out.count() >= most {
                return out.end(true);
            }
            out.add(Counted { usage, network_id: id, network_name: network.name.clone() })?;
        }
    }
    out.end(false)
}
