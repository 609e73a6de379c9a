//! `addrd renew`: lets leases go on.

use super::fault::Fault;
use super::release::{Target, check_own, key_of};
use super::session::Session;
use super::view::{self, View};
use super::{duration, find};
use addrd_client::{Client, Error};
use addrd_protocol::message::{
    Allocation, Renew as RenewRequest, RenewOwner, Renewed, RenewedOwner,
};
use addrd_protocol::{Instance, NetworkId, OwnerId, Slot, Status, Text};
use serde::Serialize;

/// Renews the lease of what an address or an owner holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd renew 10.0.0.2 --lease 1h
  addrd renew --network blue --owner web-1 --lease 90s
  addrd renew --network blue --owner node-7 --all --lease 1h
  addrd renew --pool nodes --owner node-7 --lease 1d
  addrd renew --owner node-7 --all --lease 1h")]
pub(crate) struct Renew {
    #[command(flatten)]
    target: Target,
    /// How long from now on: 90s, 15m, 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration::lease)]
    lease: u64,
    /// All that the owner holds, in the network or pool, or without one in all networks and pools
    #[arg(long, requires = "owner", conflicts_with_all = ["address", "slot", "revision", "manager"])]
    all: bool,
}

/// What goes on, and whose it is.
#[derive(Debug, Serialize)]
struct GoesOn {
    #[serde(flatten)]
    renewed: Renewed,
    network_id: NetworkId,
    owner: OwnerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<Text>,
    slot: Slot,
}

impl GoesOn {
    fn new(renewed: Renewed, held: Allocation) -> Self {
        let Allocation { network_id, owner, owner_name, slot, .. } = held;
        Self { renewed, network_id, owner, owner_name, slot }
    }
}

impl View for GoesOn {
    const COLUMNS: &'static [&'static str] = &["address", "time_left", "owner", "slot", "revision"];

    fn cells(&self) -> Vec<String> {
        let owner = self.owner_name.as_ref().map(ToString::to_string);
        vec![
            self.keys().concat(),
            left_or_endless(self.renewed.time_left_ms),
            owner.unwrap_or_else(|| self.owner.to_string()),
            self.slot.0.to_string(),
            self.renewed.revision.to_string(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![view::address(&self.renewed.address, self.renewed.length)]
    }

    fn titles(&self) -> Vec<String> {
        self.keys()
    }
}

fn left_or_endless(ms: u64) -> String {
    if ms == 0 { "without end".to_owned() } else { duration::left(ms) }
}

/// How many of an owner's were renewed.
#[derive(Debug, Serialize)]
struct AllOf {
    #[serde(flatten)]
    counts: RenewedOwner,
    /// Absent: all networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_id: Option<NetworkId>,
    owner: OwnerId,
}

impl View for AllOf {
    const COLUMNS: &'static [&'static str] = &["renewed", "endless", "expired", "stale"];

    fn cells(&self) -> Vec<String> {
        let RenewedOwner { renewed, endless, expired, stale } = self.counts;
        [renewed, endless, expired, stale].iter().map(ToString::to_string).collect()
    }

    fn keys(&self) -> Vec<String> {
        vec![self.counts.renewed.to_string()]
    }
}

pub(crate) async fn run(session: &Session, renew: Renew) -> Result<(), Fault> {
    if renew.all {
        return run_all(session, &renew).await;
    }
    let client = renew.target.client(session.client().await?);
    let (client, held) = renew.target.find(&client).await?;
    check_own(&held)?;
    let request = RenewRequest {
        target: key_of(&held),
        fences: renew.target.fences_on(&held),
        lease_ms: renew.lease,
    };
    if session.is_dry("renew so", &request)? {
        return Ok(());
    }
    let renewed = client.renew(held.network_id, request).await?;
    session.output.one(&GoesOn::new(renewed, held))
}

async fn run_all(session: &Session, renew: &Renew) -> Result<(), Fault> {
    let Some((network, owner)) = renew.target.network_and_owner() else {
        return Err(Fault::Usage("--all needs --owner".to_owned()));
    };
    let mut client = session.client_of(owner).await?;
    let mut network_id = None;
    if let Some(network) = network {
        let (of_network, found) = find::usable(&client, network).await?;
        (client, network_id) = (of_network, Some(found));
    } else if let Some(pool) = renew.target.pool() {
        let (of_pool, found) = super::pool::as_network(&client, pool).await?;
        (client, network_id) = (of_pool, Some(found));
    }
    let instance = renew.target.instance().map(Instance);
    let request = RenewOwner { owner, instance, lease_ms: renew.lease };
    if session.is_dry("renew so", &request)? {
        return Ok(());
    }
    let (counts, fault) = match network_id {
        Some(network) => (client.renew_owner(network, request).await?, None),
        None => everywhere(&client, request).await?,
    };
    session.output.one(&AllOf { counts, network_id, owner })?;
    fault.map_or(Ok(()), Err)
}

/// In all networks, and in all pools; what was renewed, and what else went wrong.
async fn everywhere(
    client: &Client,
    request: RenewOwner,
) -> Result<(RenewedOwner, Option<Fault>), Fault> {
    let in_networks = client.renew_owner(NetworkId::NIL, request).await;
    let in_pools = client.for_pools().renew_owner(NetworkId::NIL, request).await;
    let has_none = |counts: &Result<RenewedOwner, Error>| {
        counts.as_ref().is_err_and(|error| error.is(Status::EXPIRED))
    };
    Ok(match (in_networks, in_pools) {
        (in_networks, in_pools) if has_none(&in_pools) => (in_networks?, None),
        (in_networks, in_pools) if has_none(&in_networks) => (in_pools?, None),
        (Ok(a), Ok(b)) => {
            let counts = RenewedOwner {
                renewed: a.renewed.saturating_add(b.renewed),
                endless: a.endless.saturating_add(b.endless),
                expired: a.expired.saturating_add(b.expired),
                stale: a.stale.saturating_add(b.stale),
            };
            (counts, None)
        }
        (Ok(counts), Err(error)) | (Err(error), Ok(counts)) => (counts, Some(error.into())),
        (Err(error), Err(_)) => return Err(error.into()),
    })
}
