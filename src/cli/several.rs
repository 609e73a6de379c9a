//! `addrd allocate` in several networks at once, all or nothing, as a transaction.

use super::allocate::{Allocate, Got};
use super::fault::Fault;
use super::find;
use super::output;
use super::owner::Owner;
use super::session::Session;
use super::view::View;
use addrd_client::Error;
use addrd_protocol::NetworkId;
use addrd_protocol::message::{BatchItem, BatchResult, Transaction, TransactionItem};
use serde::Serialize;

/// What was allocated in one of the networks.
#[derive(Debug, Serialize)]
struct Placed {
    #[serde(flatten)]
    got: Got,
    /// As it was named on the command line.
    #[serde(skip)]
    network: String,
}

impl View for Placed {
    const COLUMNS: &'static [&'static str] = &[
        "network",
        "address",
        "owner",
        "slot",
        "subnet_id",
        "cidr",
        "revision",
        "time_left",
        "note",
    ];

    fn cells(&self) -> Vec<String> {
        std::iter::once(self.network.clone()).chain(self.got.cells()).collect()
    }

    fn keys(&self) -> Vec<String> {
        self.got.keys()
    }
}

/// One request for every network, in the order given.
pub(super) async fn run(
    session: &Session,
    allocate: &Allocate,
    networks: &[String],
    owner: Owner,
) -> Result<(), Fault> {
    let client = session.client_of(owner.id).await?;
    let project = client.scope(NetworkId::NIL).project;
    let mut items = Vec::new();
    for named in networks {
        let (there, network) = find::usable(&client, named).await?;
        let home = there.scope(network).network_project;
        items.push(TransactionItem {
            network,
            pool: false,
            network_project: home.filter(|home| *home != project),
            operation: BatchItem::Allocate(allocate.request(&owner, Vec::new())),
        });
    }
    let ids: Vec<NetworkId> = items.iter().map(|item| item.network).collect();
    let transaction = Transaction { items };
    if session.is_dry("allocate so, all or nothing", &transaction)? {
        return Ok(());
    }
    let reply = client.transaction(transaction).await.map_err(|error| {
        if let Some(named) = in_the_way(&error).and_then(|number| networks.get(number)) {
            output::to_stderr(&format!("network {named} is in the way: nothing was allocated"));
        }
        Fault::from(error)
    })?;
    let mut list = session.output.list();
    for ((result, network), named) in reply.results.into_iter().zip(ids).zip(networks) {
        let BatchResult::Allocated(allocated) = result else {
            return Err(Fault::Internal("an allocation is answered with something else".into()));
        };
        let got = Got::new(network, owner.clone(), allocated);
        list.add(Placed { got, network: named.clone() })?;
    }
    list.end(false)
}

fn in_the_way(error: &Error) -> Option<usize> {
    error.failure().and_then(|failure| failure.item).map(usize::from)
}
