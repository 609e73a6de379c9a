//! `addrd allocation` and `addrd list`.

use super::fault::Fault;
use super::held::{Held, Names};
use super::owner::Owner;
use super::release::Target;
use super::session::Session;
use super::{allocate, duration, find, network, release};
use addrd_protocol::message::{AllocationFilter, AllocationState, AllocationUpdate};
use addrd_protocol::{Family, Revision, Setting, Text};

/// Allocations: create, get, list, update, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Allocation {
    /// The same as `addrd allocate`.
    Create(Box<allocate::Allocate>),
    /// Shows an allocation.
    #[command(
        visible_alias = "show",
        after_help = "Examples:\n  addrd allocation get 10.0.0.2\n  addrd allocation get --network blue --owner web-1"
    )]
    Get(Get),
    /// The same as `addrd list`.
    #[command(visible_alias = "ls")]
    List(Box<List>),
    /// Changes label, host, manager, owner name or lease; address and revision stay.
    #[command(
        after_help = "Example:\n  addrd allocation update 10.0.0.2 --label role=db --host node-3"
    )]
    Update(Box<Update>),
    /// The same as `addrd release`.
    #[command(visible_alias = "rm")]
    Delete(release::Release),
}

/// Names an allocation.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    #[command(flatten)]
    target: Target,
}

/// Lists allocations.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  addrd list
  addrd list blue --host node-3
  addrd list --pool nodes
  addrd list blue --output jsonl | jq -r .address")]
pub(crate) struct List {
    /// Name or id of a network [default: all]
    network: Option<String>,
    /// The same as an option
    #[arg(long = "network", value_name = "NETWORK", conflicts_with = "network")]
    network_option: Option<String>,
    /// Prefixes of this subnet pool instead: name or id
    #[arg(long, conflicts_with_all = ["network", "network_option", "subnet"])]
    pool: Option<String>,
    /// Only this subnet: name, id or prefix
    #[arg(long)]
    subnet: Option<String>,
    /// Only this family
    #[arg(long, value_enum)]
    family: Option<FamilyName>,
    /// Only this state
    #[arg(long, value_enum)]
    state: Option<StateName>,
    /// Only this owner
    #[arg(long, short = 'w', value_name = "TEXT")]
    owner: Option<Owner>,
    /// Only this manager
    #[arg(long, value_parser = network::text)]
    manager: Option<Text>,
    /// Only this host
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
    /// Only this label, or one key=value pair of it
    #[arg(long, value_parser = network::text)]
    label: Option<Text>,
    /// Only revisions higher than this
    #[arg(long, value_name = "REVISION")]
    changed_since: Option<u64>,
}

/// Changes what is written beside an allocation.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    #[command(flatten)]
    target: Target,
    /// New label
    #[arg(long, value_parser = network::text)]
    label: Option<Text>,
    /// Remove the label
    #[arg(long, conflicts_with = "label")]
    no_label: bool,
    /// New host
    #[arg(long, value_parser = network::text)]
    host: Option<Text>,
    /// Remove the host
    #[arg(long, conflicts_with = "host")]
    no_host: bool,
    /// New manager
    #[arg(long, value_parser = network::text)]
    new_manager: Option<Text>,
    /// Remove the manager
    #[arg(long, conflicts_with = "new_manager")]
    no_manager: bool,
    /// It ends so long from now on, unless it is renewed: 90s, 15m, 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration::lease)]
    lease: Option<u64>,
    /// It has no end any more
    #[arg(long, conflicts_with = "lease")]
    no_lease: bool,
    /// It ends with the lease of its host at the latest (addrd host-lease renew)
    #[arg(long)]
    follow_host: bool,
    /// It follows its host no more
    #[arg(long, conflicts_with = "follow_host")]
    no_follow_host: bool,
    /// New owner name; the owner itself stays
    #[arg(long, value_parser = network::text)]
    owner_name: Option<Text>,
    /// Remove the owner name
    #[arg(long, conflicts_with = "owner_name")]
    no_owner_name: bool,
}

/// One family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FamilyName {
    /// IPv4
    #[value(alias = "4")]
    V4,
    /// IPv6
    #[value(alias = "6")]
    V6,
}

impl FamilyName {
    pub(crate) const fn family(self) -> Family {
        match self {
            Self::V4 => Family::V4,
            Self::V6 => Family::V6,
        }
    }
}

/// Life of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StateName {
    /// Reserved under a token
    Held,
    /// Somebody's
    Allocated,
    /// Released and resting
    Quarantined,
}

pub(crate) async fn run(session: &Session, allocation: Allocation) -> Result<(), Fault> {
    match allocation {
        Allocation::Create(create) => allocate::run(session, *create).await,
        Allocation::List(list) => self::list(session, *list).await,
        Allocation::Delete(delete) => release::run(session, delete).await,
        Allocation::Get(get) => {
            let client = get.target.client(session.client().await?);
            let (client, found) = get.target.find(&client).await?;
            session.output.one(&Names::new(&client, &session.output).held(found).await?)
        }
        Allocation::Update(update) => self::update(session, *update).await,
    }
}

fn setting<T>(value: Option<T>, none: bool) -> Setting<T> {
    match (value, none) {
        (Some(value), _) => Setting::Value(value),
        (None, true) => Setting::Null,
        (None, false) => Setting::Unset,
    }
}

async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let label = setting(update.label, update.no_label);
    let host = setting(update.host, update.no_host);
    let manager_name = setting(update.new_manager, update.no_manager);
    let owner_name = setting(update.owner_name, update.no_owner_name);
    let lease_ms = setting(update.lease, update.no_lease);
    let follow_host = match (update.follow_host, update.no_follow_host) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let texts = [&label, &host, &manager_name, &owner_name];
    if texts.iter().all(|text| text.is_unset()) && lease_ms.is_unset() && follow_host.is_none() {
        return Err(Fault::Usage("nothing to change is given".to_owned()));
    }
    let client = update.target.client(session.client().await?);
    let (client, held) = update.target.find(&client).await?;
    release::check_own(&held)?;
    let request = AllocationUpdate {
        target: release::key_of(&held),
        fences: update.target.fences_on(&held),
        label,
        host,
        manager_name,
        owner_name,
        lease_ms,
        follow_host,
    };
    if session.is_dry("change the allocation so", &request)? {
        return Ok(());
    }
    let changed = client.allocation_update(held.network_id, request).await?;
    session.output.one(&Names::new(&client, &session.output).held(changed).await?)
}

impl List {
    fn filter(&self, subnet: Option<addrd_protocol::SubnetId>) -> AllocationFilter {
        AllocationFilter {
            subnet,
            family: self.family.map(FamilyName::family),
            state: self.state.map(|state| match state {
                StateName::Held => AllocationState::Held,
                StateName::Allocated => AllocationState::Allocated,
                StateName::Quarantined => AllocationState::Quarantined,
            }),
            owner: self.owner.as_ref().map(|owner| owner.id),
            manager: self.manager.clone(),
            host: self.host.clone(),
            label: self.label.clone(),
            changed_since: self.changed_since.map(Revision),
        }
    }
}

pub(crate) async fn list(session: &Session, list: List) -> Result<(), Fault> {
    let client = session.client().await?;
    let mut out = session.output.list::<Held>();
    let most = session.output.objects_max();
    if let Some(pool) = &list.pool {
        let (client, pool) = super::pool::as_network(&client, pool).await?;
        let mut names = Names::new(&client, &session.output);
        let more = names.add_all(&client, pool, list.filter(None), &mut out, most).await?;
        return out.end(more);
    }
    let mut names = Names::new(&client, &session.output);
    let named = list.network.as_deref().or(list.network_option.as_deref());
    let Some(named) = named else {
        if list.subnet.is_some() {
            return Err(Fault::Usage("--subnet needs a network".to_owned()));
        }
        let mut networks = client.networks(None);
        while let Some(network) = networks.next().await? {
            names.know(&network);
            let client = client.on_networks_of(network.project_id);
            let id = network.network_id;
            if names.add_all(&client, id, list.filter(None), &mut out, most).await? {
                return out.end(true);
            }
        }
        return out.end(false);
    };
    let (client, network) = find::usable(&client, named).await?;
    let subnet = match &list.subnet {
        Some(text) => Some(find::subnet(&client, network, text).await?.subnet_id),
        None => None,
    };
    let more = names.add_all(&client, network, list.filter(subnet), &mut out, most).await?;
    out.end(more)
}
