//! `addrd scope`: address scopes, inside which prefixes never overlap.

use super::allocation::FamilyName;
use super::fault::Fault;
use super::network::{self, text};
use super::session::Session;
use super::{ask, find};
use addrd_client::Client;
use addrd_protocol::id::NAMESPACE;
use addrd_protocol::message::{AddressScope, ScopeCreate, ScopeUpdate};
use addrd_protocol::{AddressScopeId, NetworkId, Revision, Setting, Text};
use uuid::Uuid;

/// Address scopes: create, get, list, update, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Scope {
    /// Creates an address scope; the same command again finds it.
    #[command(after_help = "Example:\n  addrd scope create global --family v4 --shared")]
    Create(Create),
    /// Shows an address scope.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists address scopes.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes name, description, or who may use it.
    Update(Update),
    /// Deletes an address scope that nothing is in.
    #[command(visible_alias = "rm")]
    Delete(Get),
}

/// Creates an address scope.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name: 1 to 63 of A-Z a-z 0-9 . _ -
    name: String,
    /// Of all its prefixes
    #[arg(long, value_enum, default_value_t = FamilyName::V4)]
    family: FamilyName,
    /// Other projects may use it
    #[arg(long)]
    shared: bool,
    /// For people
    #[arg(long, value_parser = text)]
    description: Option<Text>,
}

/// Names an address scope.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id
    scope: String,
}

/// Lists address scopes.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only names that start with this
    #[arg(long, value_parser = text)]
    prefix: Option<Text>,
}

/// Changes an address scope.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id
    scope: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// Other projects may use it
    #[arg(long)]
    shared: Option<bool>,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

/// An address scope by name or id.
pub(crate) async fn find(client: &Client, text: &str) -> Result<AddressScope, Fault> {
    if let Ok(id) = text.parse() {
        return Ok(client.scope_get(id).await?);
    }
    match client.scope_find(find::name(text)?).await {
        Ok(found) => Ok(found),
        Err(error) => {
            let named = ("address scope", text);
            find::shared_or_nearest(error, named, client.scopes(None), |one| one.name.as_ref())
                .await
        }
    }
}

pub(crate) async fn run(session: &Session, scope: Scope) -> Result<(), Fault> {
    match scope {
        Scope::Create(create) => self::create(session, create).await,
        Scope::Get(get) => {
            let client = session.client().await?;
            session.output.one(&find(&client, &get.scope).await?)
        }
        Scope::List(list) => {
            let client = session.client().await?;
            let most = session.output.objects_max();
            let mut scopes = client.scopes(list.prefix);
            let mut out = session.output.list::<AddressScope>();
            while let Some(scope) = scopes.next().await? {
                if out.count() >= most {
                    return out.end(true);
                }
                out.add(scope)?;
            }
            out.end(false)
        }
        Scope::Update(update) => self::update(session, update).await,
        Scope::Delete(get) => {
            let client = session.client().await?;
            let found = find(&client, &get.scope).await?;
            let what = format!("delete address scope {}", get.scope);
            if session.is_dry(&what, &found)? {
                return Ok(());
            }
            ask::confirm(&session.global, &format!("{what}?"))?;
            client.scope_delete(found.address_scope_id, Revision(0)).await?;
            let shown = format!("address scope {}", get.scope);
            network::gone(session, &shown, &found.address_scope_id.to_string())
        }
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let name = find::name(&create.name)?;
    let request = ScopeCreate {
        family: create.family.family(),
        shared: create.shared,
        name: Some(name),
        description: create.description,
    };
    if session.is_dry("create this address scope", &request)? {
        return Ok(());
    }
    let client = session.client().await?;
    let project = client.scope(NetworkId::NIL).project;
    let key = format!("scope:{project}:{}", create.name);
    let id = AddressScopeId(Uuid::new_v5(&NAMESPACE, key.as_bytes()));
    let made = client.scope_create(id, request).await?;
    if made.repeated {
        session.output.remark("note: it existed already; nothing was changed");
    }
    session.output.one(&made)
}

async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let request = ScopeUpdate {
        expected: Revision(update.revision.unwrap_or(0)),
        name: match &update.name {
            Some(name) => Setting::Value(find::name(name)?),
            None => Setting::Unset,
        },
        description: network::described(update.description, update.no_description),
        shared: update.shared.map_or(Setting::Unset, Setting::Value),
    };
    if session.is_dry("change the address scope so", &request)? {
        return Ok(());
    }
    let client = session.client().await?;
    let found = find(&client, &update.scope).await?;
    session.output.one(&client.scope_update(found.address_scope_id, request).await?)
}
