//! `addrd pool`: subnet pools, from which subnets and prefixes are taken.

use super::fault::Fault;
use super::network::{self, text};
use super::session::Session;
use super::{ask, find, scope};
use addrd_client::Client;
use addrd_protocol::id::NAMESPACE;
use addrd_protocol::message::{
    PoolCreate, PoolPreview, PoolPreviewed, PoolUpdate, SubnetOnboard, SubnetPool,
};
use addrd_protocol::{Family, NetworkId, PoolId, Prefix, Revision, Setting, Text};
use uuid::Uuid;

/// Subnet pools: create, get, list, update, delete, preview.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Pool {
    /// Creates a subnet pool; the same command again finds it.
    #[command(after_help = "\
Examples:
  addrd pool create nodes 10.128.0.0/9 --default-length 24
  addrd pool create homes 2001:db8::/32 --min 48 --max 64 --quota 256 --shared
  addrd pool create rack-7 --parent nodes --parent-length 16")]
    Create(Box<Create>),
    /// Shows a subnet pool.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists subnet pools.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes prefixes, lengths, quota and the rest; family and parent stay.
    #[command(
        after_help = "Example:\n  addrd pool update nodes --add 10.0.0.0/9 --remove 10.255.0.0/16"
    )]
    Update(Box<Update>),
    /// Deletes a subnet pool of which nothing is in use.
    #[command(visible_alias = "rm")]
    Delete(Get),
    /// Shows which prefix a request would get; changes nothing.
    #[command(
        after_help = "Example:\n  addrd pool preview nodes --length 26 --avoid 10.128.0.0/16"
    )]
    Preview(Preview),
    /// Takes all subnets that a network has into a pool of their family, as if they had come from it.
    ///
    /// What lies outside of the pool's prefixes is added to them.
    #[command(after_help = "Example:\n  addrd pool onboard nodes --network prod")]
    Onboard(Onboard),
}

/// Takes the subnets of a network into a subnet pool.
#[derive(Debug, clap::Args)]
pub(crate) struct Onboard {
    /// Name or id of the pool
    pool: String,
    /// Name or id of the network
    #[arg(long, short)]
    network: String,
}

/// Creates a subnet pool.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name: 1 to 63 of A-Z a-z 0-9 . _ -
    name: String,
    /// Prefixes of one family; neighbours are merged
    #[arg(required_unless_present = "parent")]
    prefixes: Vec<Prefix>,
    /// Shortest prefix that is handed out, bits [default: 8 or 64]
    #[arg(long = "min", value_name = "BITS")]
    min_length: Option<u8>,
    /// Longest prefix that is handed out, bits [default: 32 or 128]
    #[arg(long = "max", value_name = "BITS")]
    max_length: Option<u8>,
    /// Length for requests that give none, bits [default: the shortest]
    #[arg(long, value_name = "BITS")]
    default_length: Option<u8>,
    /// What each project may use, in /32 (IPv4) or /64 (IPv6) [default: anything]
    #[arg(long, value_name = "COUNT")]
    quota: Option<u64>,
    /// Name or id of its address scope
    #[arg(long)]
    scope: Option<String>,
    /// Name or id of the pool that its prefixes are taken from
    #[arg(long)]
    parent: Option<String>,
    /// Take one prefix of this length from the parent
    #[arg(long, value_name = "BITS", requires = "parent", conflicts_with = "prefixes")]
    parent_length: Option<u8>,
    /// The default one of its family
    #[arg(long = "default")]
    is_default: bool,
    /// Other projects may use it
    #[arg(long)]
    shared: bool,
    /// For people
    #[arg(long, value_parser = text)]
    description: Option<Text>,
}

/// Names a subnet pool.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id
    pool: String,
}

/// Lists subnet pools.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only names that start with this
    #[arg(long, value_parser = text)]
    prefix: Option<Text>,
}

/// Changes a subnet pool.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id
    pool: String,
    /// Prefix to add; may be given several times
    #[arg(long = "add", value_name = "CIDR")]
    add_prefixes: Vec<Prefix>,
    /// Prefix to remove, nothing of which is in use; may be given several times
    #[arg(long = "remove", value_name = "CIDR")]
    remove_prefixes: Vec<Prefix>,
    /// Shortest prefix, bits
    #[arg(long = "min", value_name = "BITS")]
    min_length: Option<u8>,
    /// Longest prefix, bits
    #[arg(long = "max", value_name = "BITS")]
    max_length: Option<u8>,
    /// Default length, bits
    #[arg(long, value_name = "BITS")]
    default_length: Option<u8>,
    /// What each project may use, in /32 or /64
    #[arg(long, value_name = "COUNT")]
    quota: Option<u64>,
    /// Remove the quota
    #[arg(long, conflicts_with = "quota")]
    no_quota: bool,
    /// Name or id of its address scope; only while nothing is in use
    #[arg(long)]
    scope: Option<String>,
    /// Take it out of its address scope
    #[arg(long, conflicts_with = "scope")]
    no_scope: bool,
    /// The default one of its family
    #[arg(long = "default")]
    is_default: Option<bool>,
    /// Other projects may use it
    #[arg(long)]
    shared: Option<bool>,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

/// Shows which prefix a request would get.
#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// Name or id
    pool: String,
    /// Length, bits [default: the pool's]
    #[arg(long, value_name = "BITS", conflicts_with = "exact")]
    length: Option<u8>,
    /// Exactly this prefix
    #[arg(long, value_name = "CIDR")]
    exact: Option<Prefix>,
    /// Only inside this; may be given several times
    #[arg(long = "allow", value_name = "CIDR")]
    allowed: Vec<Prefix>,
    /// Overlapping nothing of this; may be given several times
    #[arg(long = "avoid", value_name = "CIDR")]
    disallowed: Vec<Prefix>,
}

/// A subnet pool by name or id.
pub(crate) async fn find(client: &Client, text: &str) -> Result<SubnetPool, Fault> {
    let client = client.for_networks();
    if let Ok(id) = text.parse() {
        return Ok(client.pool_get(id).await?);
    }
    match client.pool_find(find::name(text)?).await {
        Ok(found) => Ok(found),
        Err(error) => {
            let named = ("subnet pool", text);
            find::shared_or_nearest(error, named, client.pools(None), |one| one.name.as_ref()).await
        }
    }
}

/// A client whose allocations are prefixes of pools, and the pool's id where the network's stands.
pub(crate) async fn as_network(client: &Client, text: &str) -> Result<(Client, NetworkId), Fault> {
    let id = find(client, text).await?.subnet_pool_id;
    Ok((client.for_pools(), NetworkId(id.0)))
}

pub(crate) async fn run(session: &Session, pool: Pool) -> Result<(), Fault> {
    match pool {
        Pool::Create(create) => self::create(session, *create).await,
        Pool::Get(get) => {
            let client = session.client().await?;
            session.output.one(&find(&client, &get.pool).await?)
        }
        Pool::List(list) => {
            let client = session.client().await?;
            let most = session.output.objects_max();
            let mut pools = client.pools(list.prefix);
            let mut out = session.output.list::<SubnetPool>();
            while let Some(pool) = pools.next().await? {
                if out.count() >= most {
                    return out.end(true);
                }
                out.add(pool)?;
            }
            out.end(false)
        }
        Pool::Update(update) => self::update(session, *update).await,
        Pool::Delete(get) => delete(session, &get.pool).await,
        Pool::Onboard(onboard) => {
            let client = session.client().await?;
            let network = find::network(&client, &onboard.network).await?.network_id;
            let id = find(&client, &onboard.pool).await?.subnet_pool_id;
            let request = SubnetOnboard { subnet_pool_id: id, expected: Revision(0) };
            if session.is_dry("take the subnets of this network into the pool", &request)? {
                return Ok(());
            }
            let pool = client.subnet_onboard(network, id, request.expected).await?;
            session.output.one(&pool)
        }
        Pool::Preview(preview) => {
            let client = session.client().await?;
            let id = find(&client, &preview.pool).await?.subnet_pool_id;
            let request = PoolPreview {
                length: preview.length,
                exact: preview.exact,
                allowed: preview.allowed,
                disallowed: preview.disallowed,
            };
            session.output.one(&PoolPreviewed { cidr: client.pool_preview(id, request).await? })
        }
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let name = find::name(&create.name)?;
    let client = session.client().await?;
    let parent = match &create.parent {
        Some(text) => Some(find(&client, text).await?),
        None => None,
    };
    let scope = match &create.scope {
        Some(text) => Some(scope::find(&client, text).await?.address_scope_id),
        None => None,
    };
    let given = create.prefixes.first().map(Prefix::family);
    let family = given.or(parent.as_ref().map(|parent| parent.family)).unwrap_or(Family::V4);
    let request = PoolCreate {
        family,
        prefixes: create.prefixes,
        min_length: create.min_length,
        max_length: create.max_length,
        default_length: create.default_length,
        default_quota: create.quota,
        address_scope_id: scope,
        parent_id: parent.map(|parent| parent.subnet_pool_id),
        parent_length: create.parent_length,
        is_default: create.is_default,
        shared: create.shared,
        name: Some(name),
        description: create.description,
    };
    if session.is_dry("create this subnet pool", &request)? {
        return Ok(());
    }
    let project = client.scope(NetworkId::NIL).project;
    let key = format!("pool:{project}:{}", create.name);
    let id = PoolId(Uuid::new_v5(&NAMESPACE, key.as_bytes()));
    let made = client.pool_create(id, request).await?;
    if made.repeated {
        session.output.remark("note: it existed already; nothing was changed");
    }
    session.output.one(&made)
}

async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let client = session.client().await?;
    let given = |value: Option<u8>| value.map_or(Setting::Unset, Setting::Value);
    let request = PoolUpdate {
        expected: Revision(update.revision.unwrap_or(0)),
        prefixes: Vec::new(),
        add_prefixes: update.add_prefixes,
        remove_prefixes: update.remove_prefixes,
        min_length: given(update.min_length),
        max_length: given(update.max_length),
        default_length: given(update.default_length),
        default_quota: match (update.quota, update.no_quota) {
            (Some(quota), _) => Setting::Value(quota),
            (None, true) => Setting::Null,
            (None, false) => Setting::Unset,
        },
        address_scope_id: match (&update.scope, update.no_scope) {
            (Some(text), _) => Setting::Value(scope::find(&client, text).await?.address_scope_id),
            (None, true) => Setting::Null,
            (None, false) => Setting::Unset,
        },
        is_default: update.is_default.map_or(Setting::Unset, Setting::Value),
        shared: update.shared.map_or(Setting::Unset, Setting::Value),
        name: match &update.name {
            Some(name) => Setting::Value(find::name(name)?),
            None => Setting::Unset,
        },
        description: network::described(update.description, update.no_description),
    };
    if session.is_dry("change the subnet pool so", &request)? {
        return Ok(());
    }
    let id = find(&client, &update.pool).await?.subnet_pool_id;
    session.output.one(&client.pool_update(id, request).await?)
}

async fn delete(session: &Session, pool: &str) -> Result<(), Fault> {
    let client = session.client().await?;
    let found = find(&client, pool).await?;
    let what = format!("delete subnet pool {pool} ({})", found.subnet_pool_id);
    if session.is_dry(&what, &found)? {
        return Ok(());
    }
    ask::confirm(&session.global, &format!("{what}?"))?;
    client.pool_delete(found.subnet_pool_id, Revision(0)).await?;
    network::gone(session, &format!("subnet pool {pool}"), &found.subnet_pool_id.to_string())
}
