//! Leases that all end in the middle of what is measured, on a network of their own: what an expiry
//! storm costs those who allocate meanwhile. Measures nothing itself.

use super::super::fault::Fault;
use super::plan::Plan;
use super::setup::{self, FILL_MAX};
use addrd_client::Client;
use addrd_client::plain_allocate;
use addrd_client::protocol::message::batch::BATCH_ITEMS_MAX;
use addrd_client::protocol::message::{
    Allocate, AllocateExtras, BatchItem, NetworkCreate, SubnetCreate,
};
use addrd_client::protocol::{NetworkId, Setting, SubnetId};
use std::time::{Duration, Instant};

/// Leases that are made a second, at the least; a slower server is told to be too slow.
const LEASES_A_SECOND: u32 = 100_000;
/// Time beside that, until the leases may begin to end.
const MARGIN: Duration = Duration::from_secs(5);

/// The network of the leases, which no load uses.
pub(super) fn network(plan: &Plan) -> NetworkId {
    plan.network_id(plan.networks)
}

/// Allocates for `count` owners with leases that end together, and waits for the moment at which a
/// load that begins then is in its middle when they do, `ahead` later.
pub(super) async fn gather(
    client: &Client,
    plan: &Plan,
    count: u32,
    ahead: Duration,
) -> Result<(), Fault> {
    super::progress(&format!("allocating {count} leases that end together"));
    let network = network(plan);
    client.network_create(network, NetworkCreate::default()).await?;
    let cidr = "10.0.0.0/8".parse().map_err(|_| Fault::Internal("a prefix".to_owned()))?;
    let create = SubnetCreate {
        subnet_id: SubnetId::from_u128(1),
        cidr,
        pools: Setting::Unset,
        ..setup::subnet(plan, 0, 0)?
    };
    client.subnet_create(network, create).await?;
    let begin = Instant::now() + MARGIN + Duration::from_secs((count / LEASES_A_SECOND).into());
    let end = begin + ahead;
    let client = client.with_timeout(FILL_MAX);
    let mut crew = setup::Crew::new(setup::BATCHES_MAX);
    let mut owners = (0..count).peekable();
    while owners.peek().is_some() {
        let lease = end.saturating_duration_since(Instant::now()).as_millis();
        let lease_ms = u64::try_from(lease).ok();
        let item = |number| {
            let extras = AllocateExtras { lease_ms, ..AllocateExtras::default() };
            let extras = Some(Box::new(extras));
            let plain = plain_allocate(plan.owner_id(number, u32::MAX));
            BatchItem::Allocate(Allocate { extras, ..plain })
        };
        let items = owners.by_ref().take(BATCH_ITEMS_MAX).map(item).collect();
        crew.add(setup::batch(client.clone(), network, items)).await?;
    }
    crew.finish().await?;
    if Instant::now() > begin {
        return Err(Fault::Refused(format!("{count} leases took too long to make")));
    }
    tokio::time::sleep_until(begin.into()).await;
    Ok(())
}

/// How many of them are left.
pub(super) async fn left(client: &Client, plan: &Plan) -> Result<u128, Fault> {
    let usage = client.usage(network(plan), None).await?;
    Ok(usage.subnets.iter().map(|subnet| subnet.allocated).sum())
}
