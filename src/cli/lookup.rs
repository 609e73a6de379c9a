//! `addrd lookup`: who holds an address, what an owner holds, where a name or label is.

use super::fault::Fault;
use super::held::{Held, Names};
use super::owner::Owner;
use super::session::Session;
use super::{find, network};
use addrd_client::Client;
use addrd_protocol::message::{AllocationFilter, Lookup as Question, Lookups, Network};
use addrd_protocol::{NetworkId, Status, Text};
use std::net::IpAddr;

/// Finds who holds an address, or what an owner holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd lookup 10.0.0.2
  addrd lookup web-1
  addrd lookup node-7            an owner of a prefix of a subnet pool, too
  addrd lookup mac:02:00:00:00:00:01
  addrd lookup --label role=db")]
pub(crate) struct Lookup {
    /// An address, an owner, or the name of a network
    #[arg(required_unless_present = "label")]
    what: Option<String>,
    /// Only in this network: name or id
    #[arg(long)]
    network: Option<String>,
    /// Prefixes of this subnet pool: name or id; "*" = of all pools [default: where no network has it]
    #[arg(long, conflicts_with_all = ["network", "label"])]
    pool: Option<String>,
    /// By label instead: the whole of it, or one key=value pair
    #[arg(long, conflicts_with = "what", value_parser = network::text)]
    label: Option<Text>,
}

pub(crate) async fn run(session: &Session, lookup: Lookup) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = match (&lookup.network, lookup.pool.as_deref()) {
        (Some(text), _) => find::usable(&client, text).await?,
        (None, Some("*")) => (client.for_pools(), NetworkId::NIL),
        (None, Some(pool)) => super::pool::as_network(&client, pool).await?,
        (None, None) => (client, NetworkId::NIL),
    };
    if let Some(label) = lookup.label {
        return by_label(session, &client, network, label).await;
    }
    let what = lookup.what.unwrap_or_default();
    match what.parse::<IpAddr>() {
        Ok(address) => by_address(session, &client, network, address).await,
        Err(_) => by_owner(session, &client, network, &what).await,
    }
}

async fn by_address(
    session: &Session,
    client: &Client,
    network: NetworkId,
    address: IpAddr,
) -> Result<(), Fault> {
    let question = Question::Address(address);
    let found = client.lookup(network, question.clone()).await?;
    if !found.allocations.is_empty() {
        return print(session, client, found).await;
    }
    let places = Names::new(client, &session.output).places(&found).await?;
    if places.is_empty() && print_of_pools(session, client, network, question).await? {
        return Ok(());
    }
    Err(Fault::NotFound(match places.is_empty() {
        true => format!("no subnet has the address {address}"),
        false => format!("{address} is not held ({})", places.join(", ")),
    }))
}

/// Of what no network has: prefixes of subnet pools, if all of both were meant. Gives whether there
/// are any.
async fn print_of_pools(
    session: &Session,
    client: &Client,
    network: NetworkId,
    question: Question,
) -> Result<bool, Fault> {
    if !network.is_nil() || client.scope(network).pool {
        return Ok(false);
    }
    let pools = client.for_pools();
    let found = pools.lookup(network, question).await?;
    if found.allocations.is_empty() {
        return Ok(false);
    }
    print(session, &pools, found).await.map(|()| true)
}

async fn by_owner(
    session: &Session,
    client: &Client,
    network: NetworkId,
    what: &str,
) -> Result<(), Fault> {
    let owner: Owner = what.parse().map_err(Fault::Usage)?;
    let question = Question::Owner(owner.id);
    let found = client.lookup(network, question.clone()).await?;
    if !found.allocations.is_empty() {
        return print(session, client, found).await;
    }
    if print_of_pools(session, client, network, question).await? {
        return Ok(());
    }
    let mut message = format!("\"{what}\" holds nothing");
    if let (true, Ok(name)) = (network.is_nil(), find::name(what)) {
        match client.for_networks().network_find(name).await {
            Ok(network) => return print_network(session, network),
            Err(error) if error.is(Status::NOT_FOUND) => {}
            Err(error) => return Err(error.into()),
        }
        message.push_str(" and names no network");
        message.push_str(&find::hint_at_network(client, what).await?);
    }
    Err(Fault::NotFound(message))
}

async fn by_label(
    session: &Session,
    client: &Client,
    network: NetworkId,
    label: Text,
) -> Result<(), Fault> {
    let filter = AllocationFilter { label: Some(label), ..AllocationFilter::default() };
    let most = session.output.objects_max();
    let mut names = Names::new(client, &session.output);
    let mut out = session.output.list::<Held>();
    let mut more = false;
    if network.is_nil() {
        let mut networks = client.networks(None);
        while let (false, Some(network)) = (more, networks.next().await?) {
            names.know(&network);
            let client = client.on_networks_of(network.project_id);
            let id = network.network_id;
            more = names.add_all(&client, id, filter.clone(), &mut out, most).await?;
        }
    } else {
        more = names.add_all(client, network, filter, &mut out, most).await?;
    }
    let nothing = out.count() == 0;
    if nothing {
        return Err(Fault::NotFound("no allocation has this label".to_owned()));
    }
    out.end(more)
}

/// To people one is shown with all its fields, several as a list; to programs always a list.
async fn print(session: &Session, client: &Client, found: Lookups) -> Result<(), Fault> {
    let more = found.more;
    let mut allocations = found.allocations;
    let mut names = Names::new(client, &session.output);
    if let (1, false, false) = (allocations.len(), more, session.output.is_json())
        && let Some(only) = allocations.pop()
    {
        return session.output.one(&names.held(only).await?);
    }
    let mut out = session.output.list::<Held>();
    for allocation in allocations {
        if out.count() >= session.output.objects_max() {
            return out.end(true);
        }
        out.add(names.held(allocation).await?)?;
    }
    out.end(more)
}

fn print_network(session: &Session, network: Network) -> Result<(), Fault> {
    if !session.output.is_json() {
        return session.output.one(&network);
    }
    let mut out = session.output.list::<Network>();
    out.add(network)?;
    out.end(false)
}
