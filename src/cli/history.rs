//! `addrd history`: who held an address, what an owner held, and when that changed.

use super::fault::Fault;
use super::held::Names;
use super::owner::Owner;
use super::session::Session;
use super::view::{self, View};
use super::{find, time};
use addrd_client::Client;
use addrd_protocol::message::{
    Allocation, AllocationState, History as Question, HistoryEntry, HistoryKind, HistoryPage,
    HistorySubject, Lookup,
};
use addrd_protocol::{NetworkId, Slot, SubnetId, Text};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Who held an address, or what an owner held: the changes, the newest first.
///
/// Times are of the server's clock, in UTC. How far back all changes are known is said below the table, and is
/// `reach` in JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd history 10.0.0.2
  addrd history 10.0.0.2 --network blue --at 2026-02-03T04:05:06Z    who held it then, or nobody
  addrd history 10.0.0.2 --from 2h --to 1h
  addrd history --owner web-1 --oldest-first
  addrd history --owner web-1 --at 30m                               what it held then")]
pub(crate) struct History {
    /// An address
    #[arg(required_unless_present = "owner", conflicts_with = "owner")]
    address: Option<IpAddr>,
    /// What this owner held
    #[arg(long)]
    owner: Option<Owner>,
    /// Of the owner only this slot
    #[arg(long, requires = "owner")]
    slot: Option<u16>,
    /// Only in this network: name or id; the id of one that was deleted, too
    #[arg(long)]
    network: Option<String>,
    /// Prefixes of this subnet pool instead: name or id
    #[arg(long, conflicts_with = "network")]
    pool: Option<String>,
    /// Who held it at this time: one line for each network that had it
    #[arg(long, value_name = "TIME", value_parser = time::moment, conflicts_with_all = ["from", "to", "oldest_first"])]
    at: Option<u64>,
    /// Only changes from this time on
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    from: Option<u64>,
    /// Only changes up to this time
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    to: Option<u64>,
    /// The oldest change first
    #[arg(long)]
    oldest_first: bool,
}

/// A change, with its time and network as people name them.
#[derive(Debug, Serialize)]
struct Shown {
    time: String,
    #[serde(flatten)]
    entry: HistoryEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_name: Option<Text>,
}

impl Shown {
    fn owner(&self) -> String {
        owner_of(self.entry.owner_name.as_ref(), &self.entry.owner)
    }
}

fn owner_of(name: Option<&Text>, owner: &addrd_protocol::OwnerId) -> String {
    match name {
        Some(name) => name.to_string(),
        None if owner.is_nil() => String::new(),
        None => owner.to_string(),
    }
}

impl View for Shown {
    const COLUMNS: &'static [&'static str] =
        &["time", "kind", "address", "owner", "slot", "network", "manager", "host", "trace"];

    fn cells(&self) -> Vec<String> {
        let entry = &self.entry;
        let network = self.network_name.as_ref();
        vec![
            self.time.clone(),
            entry.kind.name().to_owned(),
            view::address(&entry.address, entry.length),
            self.owner(),
            entry.slot.0.to_string(),
            network.map_or_else(|| entry.network_id.to_string(), ToString::to_string),
            view::text(entry.manager.as_ref()),
            view::text(entry.host.as_ref()),
            entry.trace.map(|trace| trace.to_string()).unwrap_or_default(),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![view::address(&self.entry.address, self.entry.length)]
    }
}

/// Who held something at a time.
#[derive(Debug, Serialize)]
struct Holder {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<Slot>,
    /// Since then, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    network_id: NetworkId,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_name: Option<Text>,
    subnet_id: SubnetId,
    /// From when on all changes are known.
    reach: String,
}

impl View for Holder {
    const COLUMNS: &'static [&'static str] = &["address", "owner", "slot", "since", "network"];

    fn cells(&self) -> Vec<String> {
        let network = self.network_name.as_ref();
        vec![
            self.address.clone(),
            self.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
            self.slot.map(|slot| slot.0.to_string()).unwrap_or_default(),
            self.since.clone().unwrap_or_default(),
            network.map_or_else(|| self.network_id.to_string(), ToString::to_string),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.owner.clone().unwrap_or_else(|| "nobody".to_owned())]
    }
}

pub(crate) async fn run(session: &Session, history: History) -> Result<(), Fault> {
    let client = session.client().await?;
    let (client, network) = place(client, &history).await?;
    let subject = match (history.address, &history.owner) {
        (Some(address), _) => HistorySubject::Address(address),
        (None, Some(owner)) => HistorySubject::Owner(owner.id),
        (None, None) => return Err(Fault::Usage("an address or --owner is missing".to_owned())),
    };
    if let (Some(from), Some(to)) = (history.from, history.to)
        && from > to
    {
        return Err(Fault::Usage("--from is later than --to".to_owned()));
    }
    let question = Question {
        subject,
        slot: history.slot.map(Slot),
        oldest_first: history.oldest_first,
        from_ms: history.from.unwrap_or(0),
        to_ms: history.to.unwrap_or(0),
        limit: 0,
        cursor: None,
    };
    match history.at {
        Some(at) => holders(session, &client, network, question, at).await,
        None => changes(session, &client, network, question).await,
    }
}

/// The network or pool that is meant; one that is gone by its id.
async fn place(client: Client, history: &History) -> Result<(Client, NetworkId), Fault> {
    match (&history.network, &history.pool) {
        (Some(text), _) => match find::usable(&client, text).await {
            Err(Fault::NotFound(_)) if text.parse::<NetworkId>().is_ok() => {
                Ok((client, text.parse().unwrap_or(NetworkId::NIL)))
            }
            found => found,
        },
        (None, Some(text)) => match super::pool::as_network(&client, text).await {
            Err(Fault::NotFound(_)) if text.parse::<NetworkId>().is_ok() => {
                Ok((client.for_pools(), text.parse().unwrap_or(NetworkId::NIL)))
            }
            found => found,
        },
        (None, None) => Ok((client, NetworkId::NIL)),
    }
}

async fn changes(
    session: &Session,
    client: &Client,
    network: NetworkId,
    mut question: Question,
) -> Result<(), Fault> {
    let most = session.output.objects_max();
    let mut names = Names::new(client, &session.output);
    let mut out = session.output.list::<Shown>();
    loop {
        let page = client.history(network, question.clone()).await?;
        let told = Reach::of(&page);
        for entry in page.items {
            if out.count() >= most {
                told.remark(session);
                return out.end(true);
            }
            let network_name = names.of(entry.network_id, entry.network_project).await?;
            out.add(Shown { time: time::told(entry.time_ms), entry, network_name })?;
        }
        question.cursor = page.next;
        if question.cursor.is_none() {
            told.remark(session);
            return out.end_or(false, "no change is known");
        }
    }
}

/// How much an answer is worth.
struct Reach {
    ms: u64,
    is_incomplete: bool,
}

impl Reach {
    const fn of(page: &HistoryPage) -> Self {
        Self { ms: page.reach_ms, is_incomplete: page.incomplete }
    }

    fn remark(&self, session: &Session) {
        session.output.remark(&format!("all changes are known since {}", time::told(self.ms)));
        if self.is_incomplete {
            session
                .output
                .remark("some of history is damaged or not written yet: changes may be missing");
        }
    }
}

/// Where an allocation is or was.
type Place = (NetworkId, SubnetId, IpAddr, u8);

const fn place_of(entry: &HistoryEntry) -> Place {
    (entry.network_id, entry.subnet_id, entry.address, entry.length)
}

/// What is known of a place at a time.
struct State {
    is_held: bool,
    owner: String,
    slot: Slot,
    /// Since when, if a change says so.
    since_ms: Option<u64>,
    home: Option<addrd_protocol::ProjectId>,
}

/// Answers who held it: by the last change before, else by the first one behind, else by who holds it now.
async fn holders(
    session: &Session,
    client: &Client,
    network: NetworkId,
    question: Question,
    at: u64,
) -> Result<(), Fault> {
    let mut found: BTreeMap<Place, State> = BTreeMap::new();
    let before = Question { to_ms: at.max(1), ..question.clone() };
    let reach = every(client, network, before, &mut |entry| {
        let place = place_of(&entry);
        let state = state_behind(&entry);
        found.entry(place).or_insert(state);
    })
    .await?;
    // Before the changes behind are asked for: what is made meanwhile is not among it.
    let now = held_now(client, network, &question.subject).await?;
    let behind = Question { from_ms: at.saturating_add(1), oldest_first: true, ..question.clone() };
    every(client, network, behind, &mut |entry| {
        let place = place_of(&entry);
        let state = state_before(&entry);
        found.entry(place).or_insert(state);
    })
    .await?;
    for allocation in now {
        let place =
            (allocation.network_id, allocation.subnet_id, allocation.address, allocation.length);
        let is_wanted = question.slot.is_none_or(|slot| slot == allocation.slot);
        if is_wanted {
            found.entry(place).or_insert(state_now(&allocation));
        }
    }
    let by_owner = matches!(question.subject, HistorySubject::Owner(_));
    if at < reach.ms {
        let message = "that is before all changes are known: changes may be missing";
        session.output.remark(message);
    }
    let mut names = Names::new(client, &session.output);
    let mut out = session.output.list::<Holder>();
    for ((network_id, subnet_id, address, length), state) in found {
        if by_owner && !state.is_held {
            continue;
        }
        let network_name = names.of(network_id, state.home).await?;
        out.add(Holder {
            address: view::address(&address, length),
            owner: state.is_held.then_some(state.owner),
            slot: state.is_held.then_some(state.slot),
            since: state.since_ms.map(time::told),
            network_id,
            network_name,
            subnet_id,
            reach: time::told(reach.ms),
        })?;
    }
    reach.remark(session);
    out.end_or(false, if by_owner { "it held nothing" } else { "nobody" })
}

async fn every(
    client: &Client,
    network: NetworkId,
    mut question: Question,
    take: &mut dyn FnMut(HistoryEntry),
) -> Result<Reach, Fault> {
    let mut is_incomplete = false;
    loop {
        let page = client.history(network, question.clone()).await?;
        let reach = Reach::of(&page);
        is_incomplete |= reach.is_incomplete;
        page.items.into_iter().for_each(&mut *take);
        question.cursor = page.next;
        if question.cursor.is_none() {
            return Ok(Reach { is_incomplete, ..reach });
        }
    }
}

/// What a change made of its place.
fn state_behind(entry: &HistoryEntry) -> State {
    let is_held = entry.kind.is_holding();
    State { is_held, since_ms: Some(entry.time_ms), ..state_of(entry) }
}

/// What was there before a change: who is released held it, who changed something did, and what is
/// new to somebody was nobody's.
fn state_before(entry: &HistoryEntry) -> State {
    let was_held = match entry.kind {
        HistoryKind::Released
        | HistoryKind::Transferred
        | HistoryKind::Resting
        | HistoryKind::Changed
        | HistoryKind::ReleaseHeld => true,
        HistoryKind::Held | HistoryKind::Allocated | HistoryKind::RestEnded => false,
    };
    State { is_held: was_held, since_ms: None, ..state_of(entry) }
}

fn state_of(entry: &HistoryEntry) -> State {
    State {
        is_held: false,
        owner: match owner_of(entry.owner_name.as_ref(), &entry.owner) {
            hidden if hidden.is_empty() => format!("project {}", entry.project_id),
            owner => owner,
        },
        slot: entry.slot,
        since_ms: None,
        home: entry.network_project,
    }
}

fn state_now(allocation: &Allocation) -> State {
    State {
        is_held: matches!(allocation.state, AllocationState::Held | AllocationState::Allocated),
        owner: owner_of(allocation.owner_name.as_ref(), &allocation.owner),
        slot: allocation.slot,
        since_ms: None,
        home: allocation.network_project,
    }
}

async fn held_now(
    client: &Client,
    network: NetworkId,
    subject: &HistorySubject,
) -> Result<Vec<Allocation>, Fault> {
    let question = match *subject {
        HistorySubject::Address(address) => Lookup::Address(address),
        HistorySubject::Owner(owner) => Lookup::Owner(owner),
    };
    match client.lookup(network, question).await {
        Ok(found) => Ok(found.allocations),
        // It is gone: so nothing is held there.
        Err(error) if error.is(addrd_protocol::Status::NOT_FOUND) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
