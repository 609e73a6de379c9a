//! `addrd usage`: counts of addresses.

use super::fault::Fault;
use super::find;
use super::session::Session;
use addrd_protocol::message::SubnetUsage;

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
}

pub(crate) async fn run(session: &Session, usage: Usage) -> Result<(), Fault> {
    let client = session.client().await?;
    let subnet = usage.subnet.as_deref().map(find::subnet_name).transpose()?;
    let mut out = session.output.list::<SubnetUsage>();
    let most = session.output.objects_max();
    if let Some(pool) = &usage.pool {
        let (client, pool) = super::pool::as_network(&client, pool).await?;
        for usage in client.usage(pool, None).await?.subnets {
            out.add(usage)?;
        }
        return out.end(false);
    }
    let Some(network) = usage.network else {
        let mut networks = client.networks(None);
        while let Some(network) = networks.next().await? {
            for usage in client.usage(network.network_id, None).await?.subnets {
                if out.count() >= most {
                    return out.end(true);
                }
                out.add(usage)?;
            }
        }
        return out.end(false);
    };
    let id = find::network_id(&client, &network).await?;
    if let Some(text) = &usage.subnet {
        find::subnet(&client, id, text).await?;
    }
    for usage in client.usage(id, subnet).await?.subnets {
        if out.count() >= most {
            return out.end(true);
        }
        out.add(usage)?;
    }
    out.end(false)
}
