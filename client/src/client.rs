//! The client: lanes, bounds, and repetition by the class of the answer. Typed methods are in
//! `operations/`.

use crate::backoff::Backoff;
use crate::error::Error;
use crate::lane::{Shared, run};
use crate::session::{Lane, lane_of, lane_of_bytes};
use crate::settings::Settings;
use crate::ticket::{Answer, Ticket, changes_something};
use addrd_protocol::codec::encode_request;
use addrd_protocol::message::{BatchItem, HelloReply, Ping, Reply, Request, RequestHeader, Target};
use addrd_protocol::{NetworkId, OwnerId, PortId, ProjectId, Retry};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Where a request belongs, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Project.
    pub project: ProjectId,
    /// Network, pool or scope; all zero where the operation has none.
    pub network: NetworkId,
    /// The network is a subnet pool: allocations are prefixes of it.
    pub pool: bool,
    /// The project of the network, if another one shares it.
    pub network_project: Option<ProjectId>,
    /// What the request makes was there before.
    pub restoring: bool,
    /// How long the call may take with all its repetitions.
    pub timeout: Duration,
}

/// A client of one data set.
///
/// Cheap to clone; clones share lanes and bounds. The connections end when the last one is
/// dropped. Needs a tokio runtime with time and I/O.
///
/// Concurrency: any number of calls at once; those of one owner are applied in the order in which
/// they were first polled.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
    project: ProjectId,
    timeout: Duration,
    pools: bool,
    /// Project of the networks that calls are on, if not the client's.
    home: Option<ProjectId>,
    restoring: bool,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    lanes: Vec<Inbox>,
    /// Ends the lanes when the last clone is dropped.
    _tasks: JoinSet<()>,
}

/// The way into a lane, and its bounds.
#[derive(Debug)]
struct Inbox {
    tickets: mpsc::Sender<Ticket>,
    operations: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Client {
    /// Starts the lanes and waits until the first one is connected.
    ///
    /// ```
    /// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), addrd_client::Error> {
    /// use addrd_client::{Client, Settings};
    ///
    /// let endpoints = ["unix:/run/addrd/addrd.sock", "127.0.0.1:2337"];
    /// # let place = peer::start();
    /// # let endpoints = ["unix:/nonexistent/addrd.sock", &place];
    /// let client = Client::connect(Settings { lanes: 4, ..Settings::to(endpoints)? }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Settings`] before anything is tried; [`Error::Unreachable`],
    /// [`Error::WrongServer`], [`Error::Protocol`], [`Error::Refused`] from the first HELLO.
    pub async fn connect(settings: Settings) -> Result<Self, Error> {
        let client = Self::start(settings)?;
        client.ping().await?;
        Ok(client)
    }

    /// Starts the lanes, which connect when they are first used.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn start(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let (project, timeout) = (settings.project, settings.timeout);
        let shared = Arc::new(Shared::new(settings));
        let mut tasks = JoinSet::new();
        let lanes = (0..shared.settings.lanes).map(|_| Inbox::open(&shared, &mut tasks)).collect();
        let inner = Arc::new(Inner { shared, lanes, _tasks: tasks });
        Ok(Self { inner, project, timeout, pools: false, home: None, restoring: false })
    }

    /// The same client for another project.
    #[must_use]
    pub fn with_project(&self, project: ProjectId) -> Self {
        Self { project, ..self.clone() }
    }

    /// The same client with another time for each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// What the server said of itself at the last HELLO; `None` before the first.
    #[must_use]
    pub fn server(&self) -> Option<HelloReply> {
        self.inner.shared.server()
    }

    /// Which lane an owner uses. Callers that batch put owners of one lane together, so that a
    /// repetition is fenced together with everything else of that owner.
    #[must_use]
    pub fn lane_of(&self, owner: &OwnerId) -> usize {
        lane_of(owner, self.inner.lanes.len())
    }

    /// Scope of the calls of this client on a network (all zero: none).
    #[must_use]
    pub fn scope(&self, network: NetworkId) -> Scope {
        let other = |home: &ProjectId| *home != self.project && !network.is_nil() && !self.pools;
        Scope {
            project: self.project,
            network,
            pool: self.pools,
            network_project: self.home.filter(other),
            restoring: self.restoring,
            timeout: self.timeout,
        }
    }

    /// The same client for networks of another project, which shares them: its calls on a network
    /// mean that project's network with the id, and what they allocate and create is this client's
    /// project's. Calls that would change the network or what it is made of are refused.
    #[must_use]
    pub fn on_networks_of(&self, home: ProjectId) -> Self {
        Self { home: Some(home), ..self.clone() }
    }

    /// The same client for what was there before, as an export tells it: rules about what may be made
    /// anew (bounds and quotas of pools, whom a subnet serves, which hosts it reaches) may have changed
    /// since, and don't hold for its pool_create, subnet_create, allocate, batch and port_create. Other
    /// calls are refused.
    #[must_use]
    pub fn restoring(&self) -> Self {
        Self { restoring: true, ..self.clone() }
    }

    /// The same client in another project.
    #[must_use]
    pub fn in_project(&self, project: ProjectId) -> Self {
        Self { project, ..self.clone() }
    }

    /// The same client for prefixes of subnet pools: where its calls on allocations, look-ups and
    /// counts ask for a network they mean a pool with that id (all zero: every pool). Other calls
    /// are refused.
    #[must_use]
    pub fn for_pools(&self) -> Self {
        Self { pools: true, ..self.clone() }
    }

    /// The way back from [`Client::for_pools`].
    #[must_use]
    pub fn for_networks(&self) -> Self {
        Self { pools: false, ..self.clone() }
    }

    /// Keeps the connection alive and shows that the server answers.
    ///
    /// # Errors
    /// [`Error`]; nothing can have happened.
    pub async fn ping(&self) -> Result<(), Error> {
        self.call(&self.scope(NetworkId::NIL), &Request::Ping(Ping {})).await.map(|_| ())
    }

    /// Sends any request and waits for its reply, repeating it as its class allows: after a
    /// "later" when the server says, after a lost connection on the lane's next one, after
    /// anything else never.
    ///
    /// ```
    /// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), addrd_client::Error> {
    /// # let place = peer::start();
    /// # let client = addrd_client::Client::connect(addrd_client::Settings::to([place.as_str()])?).await?;
    /// use addrd_client::protocol::NetworkId;
    /// use addrd_client::protocol::message::{Reply, Request};
    ///
    /// let reply = client.call(&client.scope(NetworkId::NIL), &Request::ServerStatus).await?;
    /// assert!(matches!(reply, Reply::ServerStatus(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`] says what may have happened.
    pub async fn call(&self, scope: &Scope, request: &Request) -> Result<Reply, Error> {
        self.answer(scope, request).await?.body.map_err(Error::Refused)
    }

    /// Like [`Client::call`], with what typed methods need to know besides.
    pub(crate) async fn answer(&self, scope: &Scope, request: &Request) -> Result<Answer, Error> {
        let deadline = Instant::now() + scope.timeout;
        let frame = encode(scope, request)?;
        let inbox = self.inbox(scope, request)?;
        let settings = &self.inner.shared.settings;
        let mut backoff: Option<Backoff> = None;
        let mut in_doubt = false;
        for tries in 1.. {
            let asked = inbox.ask(request, frame.clone(), deadline).await;
            let mut answer = asked.map_err(|error| match in_doubt {
                true => doubted(request, error),
                false => error,
            })?;
            in_doubt |= answer.in_doubt;
            answer.in_doubt = in_doubt;
            let Err(failure) = &answer.body else { return Ok(answer) };
            if failure.status.retry() != Retry::Later {
                return Ok(answer);
            }
            let advice = Duration::from_millis(failure.retry_after_ms.into());
            let backoff = backoff.get_or_insert_with(|| Backoff::new(settings.backoff));
            let wait = backoff.after_failure(advice);
            if tries >= settings.sends_max || Instant::now() + wait >= deadline {
                return given_up(request, answer);
            }
            tokio::time::sleep(wait).await;
        }
        Err(Error::Expired)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    fn inbox(&self, scope: &Scope, request: &Request) -> Result<&Inbox, Error> {
        let lanes = self.inner.lanes.len();
        let lane = match owner_of(request) {
            Some(owner) => lane_of(&owner, lanes),
            None => lane_of_bytes(scope.network.as_bytes(), lanes),
        };
        self.inner.lanes.get(lane).ok_or(Error::Closed)
    }
}

impl Inbox {
    fn open(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) -> Self {
        let settings = &shared.settings;
        let lane = Lane::new(settings.sessions);
        let (tickets, inbox) = mpsc::channel(settings.queue_operations_max);
        tasks.spawn(run(Arc::clone(shared), lane, inbox));
        Self {
            tickets,
            operations: Arc::new(Semaphore::new(settings.queue_operations_max)),
            bytes: Arc::new(Semaphore::new(settings.queue_bytes_max)),
        }
    }

    /// Takes places in the lane's bounds, hands the request over and waits for its answer.
    async fn ask(
        &self,
        request: &Request,
        frame: BytesMut,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let weight = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let places = async {
            let place = Arc::clone(&self.operations).acquire_owned().await;
            let bytes = Arc::clone(&self.bytes).acquire_many_owned(weight).await;
            place.and_then(|place| Ok(vec![place, bytes?]))
        };
        let permits = tokio::time::timeout_at(deadline, places).await;
        let permits = permits.map_err(|_| Error::Expired)?.map_err(|_| Error::Closed)?;
        let (answer, result) = oneshot::channel();
        let ticket = Ticket {
            opcode: request.opcode(),
            frame,
            deadline,
            sends: 0,
            in_doubt: false,
            answer: Some(answer),
            _permits: permits,
        };
        self.tickets.send(ticket).await.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::OutcomeUnknown { cause: "the lane ended".to_owned() })?
    }
}

/// The last answer was "later". It is true of its own send only.
fn given_up(request: &Request, answer: Answer) -> Result<Answer, Error> {
    match answer {
        Answer { body: Err(failure), in_doubt: true, .. }
            if changes_something(request.opcode()) =>
        {
            Err(doubted(request, Error::Refused(failure)))
        }
        answer => Ok(answer),
    }
}

/// An error by which nothing happened, of a request of which an earlier send may have been applied.
fn doubted(request: &Request, error: Error) -> Error {
    match error {
        error @ Error::OutcomeUnknown { .. } => error,
        error if changes_something(request.opcode()) => {
            Error::OutcomeUnknown { cause: format!("a connection was lost, then {error}") }
        }
        error => error,
    }
}

fn encode(scope: &Scope, request: &Request) -> Result<BytesMut, Error> {
    let mut frame = BytesMut::new();
    let header = RequestHeader {
        opcode: request.opcode(),
        request_id: 0,
        timeout_ms: 0,
        project: scope.project,
        network: scope.network,
        pool: scope.pool,
        network_project: scope.network_project,
        restoring: scope.restoring,
    };
    encode_request(&header, request, &mut frame)?;
    Ok(frame)
}

/// The owner whose lane a request takes. Requests without one are harmless on any lane: they
/// read, or carry an id or a revision.
fn owner_of(request: &Request) -> Option<OwnerId> {
    match request {
        Request::Allocate(allocate) => Some(allocate.owner),
        Request::Release(release) => target_owner(&release.target, release.fences.owner),
        Request::AllocationUpdate(update) => target_owner(&update.target, update.fences.owner),
        Request::AllocationGet(get) => target_owner(&get.target, None),
        Request::Renew(renew) => target_owner(&renew.target, renew.fences.owner),
        Request::RenewOwner(renew) => Some(renew.owner),
        Request::HoldConfirm(end) | Request::HoldCancel(end) => target_owner(&end.target, None),
        Request::HoldRelease(release) => target_owner(&release.target, release.fences.owner),
        Request::Transfer(transfer) => transfer.fences.owner,
        Request::Batch(batch) => batch.items.first().and_then(owner_of_item),
        Request::Transaction(all) => {
            all.items.first().and_then(|item| owner_of_item(&item.operation))
        }
        Request::PortCreate(create) => Some(port_owner(create.port_id)),
        Request::PortUpdate(update) => Some(port_owner(update.port_id)),
        Request::PortDelete(delete) => Some(port_owner(delete.port_id)),
        Request::PortGet(get) => Some(port_owner(get.port_id)),
        _ => None,
    }
}

fn owner_of_item(item: &BatchItem) -> Option<OwnerId> {
    match item {
        BatchItem::Allocate(allocate) => Some(allocate.owner),
        BatchItem::Release(release) => target_owner(&release.target, release.fences.owner),
        BatchItem::Update(update) => target_owner(&update.target, update.fences.owner),
        BatchItem::Renew(renew) => target_owner(&renew.target, renew.fences.owner),
        BatchItem::HoldConfirm(end) | BatchItem::HoldCancel(end) => target_owner(&end.target, None),
        BatchItem::HoldRelease(release) => target_owner(&release.target, release.fences.owner),
        BatchItem::Transfer(transfer) => transfer.fences.owner,
        BatchItem::PortCreate(create) => Some(port_owner(create.port_id)),
        BatchItem::PortUpdate(update) => Some(port_owner(update.port_id)),
        BatchItem::PortDelete(delete) => Some(port_owner(delete.port_id)),
    }
}

/// The owner of a port's addresses.
const fn port_owner(port: PortId) -> OwnerId {
    OwnerId(port.0)
}

fn target_owner(target: &Target, fence: Option<OwnerId>) -> Option<OwnerId> {
    match target {
        Target::Key { owner, .. } => Some(*owner),
        Target::Address(_) => fence,
    }
}
