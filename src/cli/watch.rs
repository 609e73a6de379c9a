//! `addrd watch`: changes as they come, one line each. Changes nothing.

use super::fault::Fault;
use super::find;
use super::output;
use super::owner::Owner;
use super::session::Session;
use addrd_client::{Change, Changes, Client};
use addrd_protocol::message::{
    Event, EventKind, EventObject, FeedPosition, Gone, LevelEvent, Watch as Wanted,
};
use addrd_protocol::{Incarnation, NetworkId, Seq, SubnetId, Text};
use serde::Serialize;
use std::str::FromStr;

/// Prints changes as they become durable, until it is interrupted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is one change, with the object as it is behind it, or \"gone\". A lost connection is taken up
again where it stood; then a line may come twice. Every line of JSON says in \"from\" from where a later
watch can go on. If the server doesn't keep what follows any more, the answer is RELIST: list anew, and
watch from the \"position\" of that list.

Examples:
  addrd watch                                   everything in the project, from now on
  addrd watch blue --kind allocation            who gets and gives back addresses of a network
  addrd watch blue --owner web-1 --output jsonl
  addrd watch --label app=web --until-current   what happened until now, with --from
  addrd watch --kind level                      subnets and pools that become full
  addrd watch --from 1:4711 --output jsonl --limit 100")]
pub(crate) struct Watch {
    /// Name or id of a network [default: all of the project]
    network: Option<String>,
    /// Changes behind this position, incarnation:position [default: from now on]
    #[arg(long, value_name = "POSITION")]
    from: Option<Position>,
    /// Only these kinds, between commas
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Only this subnet of the network: name, id or prefix
    #[arg(long, value_name = "SUBNET", requires = "network")]
    subnet: Option<String>,
    /// Only what this owner has
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// Only allocations with this label, or key=value pair of it
    #[arg(long, value_name = "LABEL", value_parser = super::network::text)]
    label: Option<Text>,
    /// Also what a forced deletion releases, one by one
    #[arg(long)]
    singles: bool,
    /// Ends once everything that there is was printed
    #[arg(long)]
    until_current: bool,
}

#[derive(Clone, Copy, Debug)]
struct Position(FeedPosition);

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |(incarnation, position): (&str, &str)| {
            let incarnation = Incarnation(incarnation.parse().ok()?);
            Some(Self(FeedPosition { incarnation, position: Seq(position.parse().ok()?) }))
        };
        text.split_once(':')
            .and_then(read)
            .ok_or_else(|| "a position is two numbers, such as 1:4711".to_owned())
    }
}

#[derive(Clone, Copy, Debug)]
struct Kind(EventKind);

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = EventKind::ALL.into_iter().find(|kind| kind.name() == text);
        found.map(Self).ok_or_else(|| {
            let names = EventKind::ALL.map(EventKind::name).join(", ");
            format!("the kinds are {names}")
        })
    }
}

/// A change, and from where to go on.
#[derive(Debug, Serialize)]
struct Line<'a> {
    from: String,
    #[serde(flatten)]
    event: &'a Event,
}

pub(crate) async fn run(session: &Session, watch: Watch) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = match &watch.network {
        Some(text) => find::usable(&client, text).await?,
        None => (client, NetworkId::NIL),
    };
    let wanted = wanted(&client, network, &watch).await?;
    let mut changes = client.watch(network, wanted).await?;
    let mut left = session.global.limit.filter(|limit| *limit > 0);
    loop {
        match changes.next().await? {
            Change::UpToDate if watch.until_current => break,
            Change::UpToDate => {}
            Change::Event(event) => {
                print(session, &changes, &event)?;
                left = left.map(|left| left - 1);
                if left == Some(0) {
                    break;
                }
            }
        }
    }
    if let Some(at) = changes.position() {
        session.output.remark(&format!("go on with --from {}", told(at)));
    }
    Ok(())
}

async fn wanted(client: &Client, network: NetworkId, watch: &Watch) -> Result<Wanted, Fault> {
    let subnet = match &watch.subnet {
        Some(text) => Some(find::subnet(client, network, text).await?.subnet_id),
        None => None,
    };
    let mut kinds: Vec<EventKind> = watch.kinds.iter().map(|kind| kind.0).collect();
    kinds.sort_unstable();
    kinds.dedup();
    Ok(Wanted {
        from: watch.from.map(|position| position.0),
        singles: watch.singles,
        kinds,
        subnet,
        owner: watch.owner.as_ref().map(|owner| owner.id),
        label: watch.label.clone(),
    })
}

fn told(at: FeedPosition) -> String {
    format!("{}:{}", at.incarnation.0, at.position)
}

fn print(session: &Session, changes: &Changes, event: &Event) -> Result<(), Fault> {
    let out = &session.output;
    let line = if out.is_quiet() {
        what(&event.object)
    } else if out.is_objects() {
        let from = changes.position().map(told).unwrap_or_default();
        serde_json::to_string(&Line { from, event }).map_err(std::io::Error::from)?
    } else {
        let change = match &event.object {
            EventObject::Gone(_) => "-",
            EventObject::Level(level) if level.level < level.before => "-",
            _ => "+",
        };
        let (kind, what) = (event.object.kind().name(), what(&event.object));
        format!("{:<10} {change} {kind:<10} {what}", event.position)
    };
    output::text(&format!("{line}\n"))
}

/// The object in a few words.
fn what(object: &EventObject) -> String {
    let named = |name: &Option<Text>, id: &dyn std::fmt::Display| {
        name.as_ref().map_or_else(|| id.to_string(), ToString::to_string)
    };
    match object {
        EventObject::Project(project) => named(&project.name, &project.project_id),
        EventObject::Scope(scope) => named(&scope.name, &scope.address_scope_id),
        EventObject::Pool(pool) => named(&pool.name, &pool.subnet_pool_id),
        EventObject::Network(network) => named(&network.name, &network.network_id),
        EventObject::Segment(segment) => segment.segment_id.to_string(),
        EventObject::Host(host) => format!("{} {}", host.mapping.host, host.mapping.segment_id),
        EventObject::Subnet(subnet) => subnet.cidr.to_string(),
        EventObject::Port(port) => port.port_id.to_string(),
        EventObject::Pin(pin) => format!("{} {}", pin.pin.address, pin.pin.owner),
        EventObject::Allocation(held) => {
            let owner = named(&held.owner_name, &held.owner);
            format!("{}/{} {owner}", held.address, held.length)
        }
        EventObject::Job(job) => {
            format!("{} {:?} {} of {}", job.job_id, job.kind, job.done, job.total)
        }
        EventObject::Level(level) => crossed(level),
        EventObject::Gone(gone) => what_was(gone),
    }
}

fn crossed(event: &LevelEvent) -> String {
    let of = match event.subnet_id {
        SubnetId::NIL => format!("pool {}", event.subnet_pool_id),
        subnet => format!("subnet {subnet}"),
    };
    let LevelEvent { level, before, used, size, .. } = event;
    match level > before {
        true => format!("{of} reached {level} %: {used} of {size}"),
        false => format!("{of} fell below {before} %: {used} of {size}"),
    }
}

fn what_was(gone: &Gone) -> String {
    match (&gone.address, &gone.host) {
        (Some(address), _) => format!("{address}/{} {}", gone.length, gone.owner),
        (None, Some(host)) => format!("{host} {}", gone.id),
        (None, None) => gone.id.to_string(),
    }
}
