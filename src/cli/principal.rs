//! `addrd principal`: who may do what. Ids follow from names, so that the same command again finds what it made.

use super::fault::Fault;
use super::grant::{self, Given};
use super::network::{self, text};
use super::session::Session;
use super::{ask, duration, find, token};
use addrd_client::Client;
use addrd_protocol::id::NAMESPACE;
use addrd_protocol::message::{Principal as Found, PrincipalCreate, PrincipalUpdate};
use addrd_protocol::{PrincipalId, Revision, Setting, Status, Text};
use std::path::PathBuf;
use uuid::Uuid;

/// Tries to change a principal that others change at the same time.
const TRIES_MAX: usize = 5;

/// Principals, who may do what: create, get, list, update, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Principal {
    /// Creates a principal; the same command again finds it.
    #[command(after_help = "\
Examples:
  addrd --server unix:/var/lib/addrd/addrd.sock principal create admin \\
    --grant all:read,allocate,release_own,release_any,manage,administer
  addrd principal create cni --grant blue-team:read,allocate,release_own@cni --token-out cni.token --token-life 90d
  addrd principal create web --grant blue-team:read --certificate-name spiffe://example/web
  addrd principal create agent --grant all:read --unix-user 997

Verbs: read (get, list, watch), allocate (also renew, hold, ports), release_own (with an owner or a revision),
release_any (whatever is there), manage (networks, subnets, pools, scopes, segments, pins, transfers), administer
(server, projects, principals). A project is a name or an id; all = all projects, and what belongs to none.")]
    Create(Create),
    /// Shows a principal.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists principals.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes what is given; lists are replaced as a whole.
    #[command(
        visible_alias = "set",
        after_help = "\
Examples:
  addrd principal update cni --add-grant green-team:read,allocate
  addrd principal update cni --remove-grant blue-team:release_own@cni
  addrd principal update web --grant blue-team:read --grant green-team:read
  addrd principal update web --disable"
    )]
    Update(Update),
    /// Deletes a principal and its tokens; its connections end.
    #[command(visible_alias = "rm")]
    Delete(Get),
}

/// Creates a principal.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name: 1 to 63 of A-Z a-z 0-9 . _ -
    name: String,
    /// Its id [default: it follows from the name]
    #[arg(long)]
    id: Option<PrincipalId>,
    /// For people
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// What it may do, and where; may be repeated
    #[arg(long = "grant", value_name = "PROJECT:VERB[,..][@MANAGER]")]
    grants: Vec<Given>,
    /// Name in a client's certificate that is this principal; may be repeated
    #[arg(long = "certificate-name", value_name = "NAME", value_parser = text)]
    certificate_names: Vec<Text>,
    /// Number of a user of the server's machine that is this principal over the Unix socket; may be repeated
    #[arg(long = "unix-user", value_name = "UID")]
    unix_users: Vec<u32>,
    /// Make a token for it, too, in a file of mode 0600 that must not be there yet
    #[arg(long, value_name = "FILE")]
    token_out: Option<PathBuf>,
    /// How long that token is good for: 12h, 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = duration::lease, requires = "token_out")]
    token_life: Option<u64>,
}

/// Names a principal.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id
    principal: String,
}

/// Lists principals.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only names that start with this
    #[arg(long, value_parser = text)]
    prefix: Option<Text>,
}

/// Changes a principal.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id
    principal: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// These grants instead of those it has; may be repeated
    #[arg(long = "grant", value_name = "PROJECT:VERB[,..][@MANAGER]")]
    grants: Vec<Given>,
    /// No grants: it may do nothing
    #[arg(long, conflicts_with = "grants")]
    no_grants: bool,
    /// This grant too; may be repeated
    #[arg(long = "add-grant", value_name = "PROJECT:VERB[,..][@MANAGER]", conflicts_with_all = ["grants", "no_grants"])]
    add_grants: Vec<Given>,
    /// Without these verbs of the grant with this project and manager; may be repeated
    #[arg(long = "remove-grant", value_name = "PROJECT:VERB[,..][@MANAGER]", conflicts_with_all = ["grants", "no_grants"])]
    remove_grants: Vec<Given>,
    /// These names in certificates instead of those it has; may be repeated
    #[arg(long = "certificate-name", value_name = "NAME", value_parser = text)]
    certificate_names: Vec<Text>,
    /// No names in certificates
    #[arg(long, conflicts_with = "certificate_names")]
    no_certificate_names: bool,
    /// These users of the server's machine instead of those it has; may be repeated
    #[arg(long = "unix-user", value_name = "UID")]
    unix_users: Vec<u32>,
    /// No users of the server's machine
    #[arg(long, conflicts_with = "unix_users")]
    no_unix_users: bool,
    /// Nobody is it from now on, and its connections end
    #[arg(long)]
    disable: bool,
    /// It is somebody again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

/// The id of a principal whose creator gives none.
fn id_of(name: &str) -> PrincipalId {
    PrincipalId(Uuid::new_v5(&NAMESPACE, format!("principal:{name}").as_bytes()))
}

/// A principal by name or id.
pub(crate) async fn find(client: &Client, principal: &str) -> Result<Found, Fault> {
    if let Ok(id) = principal.parse() {
        return Ok(client.principal_get(id).await?);
    }
    match client.principal_find(find::name(principal)?).await {
        Err(error) => {
            let all = client.principals(None);
            find::shared_or_nearest(error, ("principal", principal), all, |one| one.name.as_ref())
                .await
        }
        Ok(found) => Ok(found),
    }
}

pub(crate) async fn run(session: &Session, principal: Principal) -> Result<(), Fault> {
    match principal {
        Principal::Create(create) => self::create(session, create).await,
        Principal::Get(get) => {
            session.output.one(&find(&session.client().await?, &get.principal).await?)
        }
        Principal::List(list) => {
            let client = session.client().await?;
            let most = session.output.objects_max();
            let mut principals = client.principals(list.prefix);
            let mut out = session.output.list::<Found>();
            while let Some(principal) = principals.next().await? {
                if out.count() >= most {
                    return out.end(true);
                }
                out.add(principal)?;
            }
            out.end(false)
        }
        Principal::Update(update) => self::update(session, update).await,
        Principal::Delete(get) => delete(session, &get.principal).await,
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let name = find::name(&create.name)?;
    let client = session.client().await?;
    let request = PrincipalCreate {
        principal_id: create.id.unwrap_or_else(|| id_of(&name)),
        name: Some(name),
        description: create.description,
        grants: grant::resolve(&client, create.grants).await?,
        certificate_names: create.certificate_names,
        unix_users: create.unix_users,
    };
    if session.is_dry("create this principal", &request)? {
        return Ok(());
    }
    let mut made = client.principal_create(request).await?;
    if made.repeated {
        session.output.remark("note: it existed already; nothing was changed");
    }
    if let Some(path) = &create.token_out {
        token::make(&client, &made, create.token_life.unwrap_or(0), Some(path)).await?;
        made = client.principal_get(made.principal_id).await?;
    }
    session.output.one(&made)
}

async fn delete(session: &Session, principal: &str) -> Result<(), Fault> {
    let client = session.client().await?;
    let found = find(&client, principal).await?;
    let what = format!("delete principal {principal} ({})", found.principal_id);
    if session.is_dry(&what, &found)? {
        return Ok(());
    }
    let tokens = match found.tokens.len() {
        0 => String::new(),
        1 => " and its token".to_owned(),
        count => format!(" and its {count} tokens"),
    };
    ask::confirm(&session.global, &format!("{what}{tokens}?"))?;
    client.principal_delete(found.principal_id, Revision(0)).await?;
    network::gone(session, &format!("principal {principal}"), &found.principal_id.to_string())
}

/// What a list is set to.
fn listed<T>(given: Vec<T>, none: bool) -> Setting<Vec<T>> {
    match (given.is_empty(), none) {
        (false, _) => Setting::Value(given),
        (true, true) => Setting::Null,
        (true, false) => Setting::Unset,
    }
}

async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let client = session.client().await?;
    let mut found = find(&client, &update.principal).await?;
    let more = grant::resolve(&client, update.add_grants).await?;
    let less = grant::resolve(&client, update.remove_grants).await?;
    let is_relative = !(more.is_empty() && less.is_empty());
    let request = PrincipalUpdate {
        principal_id: found.principal_id,
        expected: Revision(update.revision.unwrap_or(0)),
        name: match &update.name {
            Some(name) => Setting::Value(find::name(name)?),
            None => Setting::Unset,
        },
        description: network::described(update.description, update.no_description),
        grants: listed(grant::resolve(&client, update.grants).await?, update.no_grants),
        certificate_names: listed(update.certificate_names, update.no_certificate_names),
        unix_users: listed(update.unix_users, update.no_unix_users),
        disabled: (update.disable || update.enable).then_some(update.disable),
    };
    if !is_relative && grant::is_empty(&request) {
        return Err(Fault::Usage("nothing to change: `--help` shows what can be".to_owned()));
    }
    for left in (0..TRIES_MAX).rev() {
        let mut request = request.clone();
        if is_relative {
            let mut grants = found.grants.clone();
            grant::add(&mut grants, &more);
            grant::remove(&mut grants, &less)?;
            request.grants = Setting::Value(grants);
            request.expected = update.revision.map_or(found.revision, Revision);
        }
        if session.is_dry("change the principal so", &request)? {
            return Ok(());
        }
        match client.principal_update(request).await {
            Err(error) if is_again(&error, is_relative, update.revision, left) => {
                found = client.principal_get(found.principal_id).await?;
            }
            other => return session.output.one(&other?),
        }
    }
    Err(Fault::Internal("no try is left".to_owned()))
}

/// Whether somebody else has changed the grants that were read.
fn is_again(
    error: &addrd_client::Error,
    is_relative: bool,
    given: Option<u64>,
    left: usize,
) -> bool {
    error.is(Status::STALE) && is_relative && given.is_none() && left > 0
}
