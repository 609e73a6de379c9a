//! `addrd network`. Ids follow from names, so that the same command again finds what it made.

use super::fault::Fault;
use super::session::Session;
use super::{ask, find, output, scope, subnet_change};
use addrd_client::{Client, Deleted};
use addrd_protocol::id::NAMESPACE;
use addrd_protocol::message::{
    Network as NetworkObject, NetworkCreate, NetworkDelete, NetworkUpdate,
};
use addrd_protocol::{AddressScopeId, NetworkId, ProjectId, Revision, Setting, Text};
use uuid::Uuid;

/// Networks: create, get, list, update, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Network {
    /// Creates a network; the same command again finds it.
    #[command(after_help = "Example:\n  addrd network create blue --description \"web servers\"")]
    Create(Create),
    /// Shows a network.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists networks, and those that other projects share.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes name, description, or whether others may use it.
    #[command(after_help = "Example:\n  addrd network update blue --name green --no-description")]
    Update(Update),
    /// Deletes a network; with live allocations only with --force.
    #[command(
        visible_alias = "rm",
        after_help = "Example:\n  addrd network delete blue --force --yes"
    )]
    Delete(Delete),
}

/// Creates a network.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name: 1 to 63 of A-Z a-z 0-9 . _ -
    name: String,
    /// Its id [default: follows from project and name]
    #[arg(long)]
    id: Option<NetworkId>,
    /// For people
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// Name or id of the address scope of its IPv4 subnets; never changes
    #[arg(long, value_name = "SCOPE")]
    scope_v4: Option<String>,
    /// Name or id of the address scope of its IPv6 subnets; never changes
    #[arg(long, value_name = "SCOPE")]
    scope_v6: Option<String>,
    /// Let other projects use it
    #[arg(long)]
    shared: bool,
}

/// Names a network.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id
    network: String,
}

/// Lists networks.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only names that start with this
    #[arg(long, value_parser = text)]
    prefix: Option<Text>,
}

/// Changes a network.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id
    network: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Remove the name
    #[arg(long, conflicts_with = "name")]
    no_name: bool,
    /// New description
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// Whether other projects may use it
    #[arg(long, value_name = "TRUE|FALSE")]
    shared: Option<bool>,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

/// Deletes a network.
#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// Name or id
    network: String,
    /// Release what is live in it
    #[arg(long)]
    force: bool,
    /// Do not wait until everything is released
    #[arg(long)]
    no_wait: bool,
}

/// Reads a bounded text.
pub(crate) fn text(text: &str) -> Result<Text, String> {
    Text::new(text).map_err(|error| format!("the text {error}"))
}

pub(crate) async fn run(session: &Session, network: Network) -> Result<(), Fault> {
    match network {
        Network::Create(create) => self::create(session, create).await,
        Network::Get(get) => {
            let client = session.client().await?;
            session.output.one(&find::network(&client, &get.network).await?)
        }
        Network::List(list) => self::list(session, list).await,
        Network::Update(update) => self::update(session, update).await,
        Network::Delete(delete) => self::delete(session, delete).await,
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let name = find::name(&create.name)?;
    let request = NetworkCreate {
        name: Some(name.clone()),
        description: create.description.clone(),
        scope_v4: scope_id(session, create.scope_v4.as_deref()).await?,
        scope_v6: scope_id(session, create.scope_v6.as_deref()).await?,
        shared: create.shared,
    };
    if session.is_dry("create this network", &request)? {
        return Ok(());
    }
    let client = session.client().await?;
    let project = client.scope(NetworkId::NIL).project;
    let id = create.id.unwrap_or_else(|| id_of(project, &name));
    let mut made = client.network_create(id, request.clone()).await?;
    if create.id.is_none() && made.name.as_ref() != Some(&name) {
        // The network that was made under this name has another one by now.
        made = client.network_create(NetworkId(Uuid::new_v4()), request).await?;
    }
    if made.repeated {
        session.output.remark("note: it existed already; nothing was changed");
    }
    session.output.one(&made)
}

/// The id of an address scope that is named.
async fn scope_id(session: &Session, named: Option<&str>) -> Result<Option<AddressScopeId>, Fault> {
    let Some(named) = named else { return Ok(None) };
    let client = session.client().await?;
    Ok(Some(scope::find(&client, named).await?.address_scope_id))
}

/// A description that is given, taken away, or left.
pub(crate) fn described(given: Option<Text>, none: bool) -> Setting<Text> {
    match (given, none) {
        (Some(text), _) => Setting::Value(text),
        (None, true) => Setting::Null,
        (None, false) => Setting::Unset,
    }
}

/// The id of a network whose creator names none.
pub(crate) fn id_of(project: ProjectId, name: &str) -> NetworkId {
    let mut text = b"network:".to_vec();
    text.extend_from_slice(project.as_bytes());
    text.extend_from_slice(name.as_bytes());
    NetworkId(Uuid::new_v5(&NAMESPACE, &text))
}

async fn list(session: &Session, list: List) -> Result<(), Fault> {
    let client = session.client().await?;
    let most = session.output.objects_max();
    let mut networks = client.networks(list.prefix);
    let mut out = session.output.list::<NetworkObject>();
    while let Some(network) = networks.next().await? {
        if out.count() >= most {
            return out.end(true);
        }
        out.add(network)?;
    }
    out.end(false)
}

async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let request = NetworkUpdate {
        expected: Revision(update.revision.unwrap_or(0)),
        name: subnet_change::setting(
            update.name.as_deref().map(find::name).transpose()?,
            update.no_name,
        ),
        description: described(update.description, update.no_description),
        shared: update.shared.map_or(Setting::Unset, Setting::Value),
    };
    if request.name.is_unset() && request.description.is_unset() && request.shared.is_unset() {
        return Err(Fault::Usage("nothing to change is given".to_owned()));
    }
    if session.is_dry("change the network so", &request)? {
        return Ok(());
    }
    let client = session.client().await?;
    let id = find::network_id(&client, &update.network).await?;
    session.output.one(&client.network_update(id, request).await?)
}

async fn delete(session: &Session, delete: Delete) -> Result<(), Fault> {
    let client = session.client().await?;
    let network = find::own_network(&client, &delete.network).await?;
    let shown = network.name.as_ref().map_or(network.network_id.to_string(), ToString::to_string);
    let what = format!(
        "delete network {shown} ({}) with {} subnets and {} allocations",
        network.network_id, network.subnets, network.allocations
    );
    if session.is_dry(&what, &network)? {
        return Ok(());
    }
    ask::confirm(&session.global, &format!("{what}?"))?;
    let request = NetworkDelete { force: delete.force, expected: Revision(0) };
    let deleted = client.network_delete(network.network_id, request).await?;
    finish(session, &client, deleted, delete.no_wait).await?;
    gone(session, &format!("network {shown}"), &network.network_id.to_string())
}

/// Waits for the job of a deletion, if it became one.
pub(crate) async fn finish(
    session: &Session,
    client: &Client,
    deleted: Deleted,
    no_wait: bool,
) -> Result<(), Fault> {
    let Deleted::ByJob(job) = deleted else { return Ok(()) };
    if no_wait {
        session.output.remark(&format!("job {} goes on", job.job_id));
        return Ok(());
    }
    super::job::wait(session, client, job.job_id).await.map(|_| ())
}

/// Says that something is gone, in the form that was asked for.
pub(crate) fn gone(session: &Session, what: &str, id: &str) -> Result<(), Fault> {
    match (session.global.quiet, session.global.output) {
        (true, _) | (_, super::global::Format::Plain) => output::text(&format!("{id}\n")),
        (_, super::global::Format::Table) => output::text(&format!("{what} deleted\n")),
        _ => output::json(&serde_json::json!({ "deleted": id })),
    }
}
