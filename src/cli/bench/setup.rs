//! Makes and removes what a run needs, through the ordinary client; opens the load connections.

use super::super::fault::Fault;
use super::plan::Plan;
use addrd_client::protocol::message::batch::BATCH_ITEMS_MAX;
use addrd_client::protocol::message::{
    Batch, BatchItem, BatchMode, BatchResult, FromPool, Hello, Job, NetworkCreate, NetworkDelete,
    PoolCreate, PortCreate, PrefixChoice, Strategy, SubnetCreate, SubnetKind,
};
use addrd_client::protocol::{
    Family, JobId, NetworkId, OwnerId, PortId, Revision, SessionId, Setting, Status, SubnetId,
};
use addrd_client::{
    Client, Connection, Deleted, Error, Settings, Transport, plain_allocate, plain_hello,
};
use rustix::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Connections of the client that sets up.
pub(super) const LANES: usize = 4;
/// Requests of the set-up that are under way at once.
const CONCURRENT_MAX: usize = 64;
/// Progress is told this often.
const PROGRESS: Duration = Duration::from_secs(5);
/// Length of subnets from a pool: half a million of them fit 10.0.0.0/8 twice.
const POOL_SUBNET_LENGTH: u8 = 28;
/// Longest time that a batch may take, with its repeats.
pub(super) const FILL_MAX: Duration = Duration::from_secs(120);
/// Batches that are under way at once.
pub(super) const BATCHES_MAX: usize = 16;

/// A bounded number of tasks; the first failure ends all.
pub(super) struct Crew {
    tasks: JoinSet<Result<(), Fault>>,
    most: usize,
}

impl Crew {
    pub(super) fn new(most: usize) -> Self {
        Self { tasks: JoinSet::new(), most }
    }

    pub(super) async fn add(
        &mut self,
        task: impl Future<Output = Result<(), Fault>> + Send + 'static,
    ) -> Result<(), Fault> {
        while self.tasks.len() >= self.most {
            self.next().await?;
        }
        self.tasks.spawn(task);
        Ok(())
    }

    async fn next(&mut self) -> Result<bool, Fault> {
        match self.tasks.join_next().await {
            None => Ok(false),
            Some(Ok(result)) => result.map(|()| true),
            Some(Err(error)) => Err(Fault::Internal(error.to_string())),
        }
    }

    pub(super) async fn finish(mut self) -> Result<(), Fault> {
        while self.next().await? {}
        Ok(())
    }
}

/// Creates networks.
pub(super) async fn make_networks(client: &Client, plan: &Plan) -> Result<(), Fault> {
    let mut crew = Crew::new(CONCURRENT_MAX);
    for network in 0..plan.networks {
        let (client, id) = (client.clone(), plan.network_id(network));
        crew.add(async move {
            client.network_create(id, NetworkCreate::default()).await?;
            Ok(())
        })
        .await?;
    }
    crew.finish().await
}

/// Creates the subnets of the networks.
pub(super) async fn make_subnets(client: &Client, plan: &Plan) -> Result<(), Fault> {
    let mut crew = Crew::new(CONCURRENT_MAX);
    for network in 0..plan.networks {
        for number in 0..plan.subnets {
            let create = subnet(plan, network, number)?;
            let (client, id) = (client.clone(), plan.network_id(network));
            crew.add(async move {
                client.subnet_create(id, create).await?;
                Ok(())
            })
            .await?;
        }
    }
    crew.finish().await
}

/// Creates a subnet of IPv6 in each network, so that a port has an address of each family.
pub(super) async fn make_second_family(client: &Client, plan: &Plan) -> Result<(), Fault> {
    let cidr = "fd99::/64".parse().map_err(|_| Fault::Internal("a prefix".to_owned()))?;
    for network in 0..plan.networks {
        let first = subnet(plan, network, 0)?;
        let create = SubnetCreate {
            subnet_id: SubnetId::from_u128(u128::MAX),
            cidr,
            pools: Setting::Unset,
            ..first
        };
        client.subnet_create(plan.network_id(network), create).await?;
    }
    Ok(())
}

/// Makes the pool that subnets are taken from, large enough for twice as many.
pub(super) async fn make_pool(client: &Client, plan: &Plan) -> Result<(), Fault> {
    let prefix = "10.0.0.0/8".parse().map_err(|_| Fault::Internal("a prefix".to_owned()))?;
    let create = PoolCreate {
        default_length: Some(POOL_SUBNET_LENGTH),
        ..PoolCreate::of(Family::V4, vec![prefix])
    };
    client.pool_create(plan.subnet_pool_id(), create).await?;
    Ok(())
}

/// Any subnet of the pool's default length.
pub(super) fn pool_subnet(plan: &Plan, subnet_id: SubnetId) -> Result<SubnetCreate, Fault> {
    let cidr = "0.0.0.0/0".parse().map_err(|_| Fault::Internal("a prefix".to_owned()))?;
    Ok(SubnetCreate {
        subnet_id,
        cidr,
        kind: SubnetKind::Broadcast,
        gateway: Setting::Unset,
        pools: Setting::Unset,
        from_pool: Some(Box::new(FromPool {
            subnet_pool_id: plan.subnet_pool_id(),
            by: PrefixChoice::DefaultLength,
            allowed: Vec::new(),
            disallowed: Vec::new(),
        })),
        ..subnet(plan, 0, 0)?
    })
}

/// Creates the first `live` subnets.
pub(super) async fn fill_pool(client: &Client, plan: &Plan, live: u32) -> Result<(), Fault> {
    super::progress(&format!("creating {live} subnets"));
    let mut crew = Crew::new(CONCURRENT_MAX);
    for number in 0..live {
        let create = pool_subnet(plan, SubnetId(plan.owner_id(number, 0).0))?;
        let (client, network) = (client.clone(), plan.network_of(number));
        crew.add(async move {
            client.subnet_create(network, create).await?;
            Ok(())
        })
        .await?;
    }
    crew.finish().await
}

pub(super) fn subnet(plan: &Plan, network: u32, number: u32) -> Result<SubnetCreate, Fault> {
    let (subnet_id, cidr, pool) = plan
        .subnet(network, number)
        .ok_or_else(|| Fault::Usage("so many addresses fit no subnet".to_owned()))?;
    Ok(SubnetCreate {
        subnet_id,
        cidr,
        kind: SubnetKind::Routed,
        strategy: Strategy::Default,
        enable_dhcp: false,
        gateway: Setting::Null,
        pools: Setting::Value(vec![pool]),
        dns_servers: Vec::new(),
        routes: Vec::new(),
        name: None,
        description: None,
        from_pool: None,
        quarantine_ms: Some(0),
        service: Default::default(),
    })
}

/// Allocates for the first `live` owners, or creates ports with their ids, in batches.
pub(super) async fn fill(
    client: &Client,
    plan: &Plan,
    live: u32,
    ports: bool,
) -> Result<(), Fault> {
    super::progress(&format!("allocating for {live} owners"));
    let item = |owner: OwnerId| match ports {
        true => BatchItem::PortCreate(Box::new(PortCreate::of(PortId(owner.0)))),
        false => BatchItem::Allocate(plain_allocate(owner)),
    };
    let client = client.with_timeout(FILL_MAX);
    let mut crew = Crew::new(BATCHES_MAX);
    for network in 0..plan.networks.min(live) {
        let id = plan.network_of(network);
        let step = plan.networks as usize;
        let mut owners = (network..live).step_by(step).peekable();
        while owners.peek().is_some() {
            let items: Vec<BatchItem> = owners
                .by_ref()
                .take(BATCH_ITEMS_MAX)
                .map(|number| item(plan.owner_id(number, 0)))
                .collect();
            crew.add(batch(client.clone(), id, items)).await?;
        }
    }
    crew.finish().await
}

/// Sends a batch until every item is done; items that are too much for the server for longer than
/// [`FILL_MAX`] are a fault.
pub(super) async fn batch(
    client: Client,
    network: NetworkId,
    items: Vec<BatchItem>,
) -> Result<(), Fault> {
    let request = Batch { mode: BatchMode::Independent, items };
    let end = Instant::now() + FILL_MAX;
    loop {
        let reply = client.batch(network, request.clone()).await?;
        let failed = reply.results.iter().find_map(|result| match result {
            BatchResult::Failed(failure) => Some(failure),
            _ => None,
        });
        match failed {
            None => return Ok(()),
            Some(failure) if failure.status == Status::BUSY && Instant::now() < end => {
                let wait = u64::from(failure.retry_after_ms.max(1));
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            Some(failure) => return Err(Fault::Client(Error::Refused(failure.clone()))),
        }
    }
}

/// Deletes what was made, with all that is live in it.
pub(super) async fn remove(client: &Client, plan: &Plan, with_pool: bool) -> Result<(), Fault> {
    let mut crew = Crew::new(CONCURRENT_MAX);
    // The last is that of leases which end; without them it was never made.
    for network in 0..=plan.networks {
        let (client, id) = (client.clone(), plan.network_id(network));
        crew.add(async move {
            let delete = NetworkDelete { force: true, ..NetworkDelete::default() };
            match client.network_delete(id, delete).await {
                Ok(Deleted::Now) => Ok(()),
                Ok(Deleted::ByJob(job)) => wait(&client, job.job_id).await,
                // It was never made, since something failed before.
                Err(error) if error.is(Status::NOT_FOUND) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
    }
    crew.finish().await?;
    if with_pool {
        match client.pool_delete(plan.subnet_pool_id(), Revision(0)).await {
            Err(error) if !error.is(Status::NOT_FOUND) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Waits for a job and tells of its progress now and then.
async fn wait(client: &Client, job_id: JobId) -> Result<(), Fault> {
    let mut told = Instant::now();
    let look = |job: &Job| {
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            super::progress(&format!("removing: {} of {}", job.done, job.total));
        }
    };
    client.job_wait(job_id, look).await?;
    Ok(())
}

/// Connections with HELLO done, as sockets that do not block, and what was read from them.
pub(super) async fn open(
    settings: &Settings,
    count: u32,
) -> Result<Vec<(OwnedFd, Vec<u8>)>, Fault> {
    let token = match &settings.token {
        Some(source) => Some(source.read().await?),
        None => None,
    };
    let mut lines = Vec::new();
    for _ in 0..count {
        let hello = Hello {
            session: SessionId(uuid::Uuid::new_v4()),
            epoch: 1,
            server_id: settings.server_id,
            token: token.clone(),
            ..plain_hello()
        };
        lines.push(open_one(settings, &hello).await?);
    }
    Ok(lines)
}

/// Its connections are driven as bare sockets.
fn no_tls() -> Fault {
    Fault::Usage("bench measures plain connections only: name a server without TLS".to_owned())
}

async fn open_one(settings: &Settings, hello: &Hello) -> Result<(OwnedFd, Vec<u8>), Fault> {
    let mut last = None;
    for endpoint in &settings.endpoints {
        let attempt = async {
            let stream = endpoint.open_with(settings.tls.as_ref()).await?;
            Connection::hello(stream, hello).await
        };
        match tokio::time::timeout(settings.connect_timeout, attempt).await {
            Ok(Ok(connection)) => {
                let (stream, leftover, _) = connection.into_parts();
                let socket = match stream {
                    Transport::Tcp(stream) => stream.into_std()?.into(),
                    Transport::Unix(stream) => stream.into_std()?.into(),
                    Transport::Tls(_) => return Err(no_tls()),
                };
                return Ok((socket, leftover.to_vec()));
            }
            Ok(Err(error)) => last = Some((endpoint, error.to_string())),
            Err(_) => last = Some((endpoint, "no answer in time".to_owned())),
        }
    }
    let (endpoint, cause) =
        last.map_or_else(Default::default, |(endpoint, cause)| (endpoint.to_string(), cause));
    Err(Error::Unreachable { endpoint, cause }.into())
}
