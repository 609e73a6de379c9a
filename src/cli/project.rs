//! `addrd project`. Ids follow from names, so that `--project NAME` needs no look-up.

use super::fault::Fault;
use super::network::{self, text};
use super::session::Session;
use super::{ask, find};
use addrd_client::Client;
use addrd_protocol::id::NAMESPACE;
use addrd_protocol::message::{
    Project as ProjectObject, ProjectCreate, ProjectUpdate, QUOTA_MAX, QuotaSettings, Quotas,
};
use addrd_protocol::{ProjectId, Revision, Setting, Text};
use uuid::Uuid;

/// Projects: create, get, list, update, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Project {
    /// Creates a project; the same command again finds it.
    #[command(after_help = "\
Examples:
  addrd project create blue-team
  addrd project create blue-team --quota addresses=1000 --quota networks=10")]
    Create(Create),
    /// Shows a project.
    #[command(visible_alias = "show")]
    Get(Get),
    /// Lists projects.
    #[command(visible_alias = "ls")]
    List(List),
    /// Changes name, description or quotas.
    #[command(
        visible_alias = "set",
        after_help = "Example:\n  addrd project set blue-team --quota addresses=1000 --quota ports=none"
    )]
    Update(Update),
    /// Deletes a project that has nothing left.
    #[command(visible_alias = "rm")]
    Delete(Get),
}

/// Creates a project.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name: 1 to 63 of A-Z a-z 0-9 . _ -
    name: String,
    /// For people
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// How much it may have: addresses, prefixes, networks, subnets, ports or resting;
    /// may be repeated
    #[arg(long = "quota", value_name = "WHAT=COUNT", value_parser = quota)]
    quotas: Vec<(QuotaOf, Setting<u64>)>,
}

/// Names a project.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// Name or id
    project: String,
}

/// Lists projects.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only names that start with this
    #[arg(long, value_parser = text)]
    prefix: Option<Text>,
}

/// Changes a project.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// Name or id
    project: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long, value_parser = text)]
    description: Option<Text>,
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// How much it may have: addresses, prefixes, networks, subnets, ports or resting, or none =
    /// anything; may be repeated. What is there stays
    #[arg(long = "quota", value_name = "WHAT=COUNT", value_parser = quota)]
    quotas: Vec<(QuotaOf, Setting<u64>)>,
    /// Only if it has this revision
    #[arg(long)]
    revision: Option<u64>,
}

/// What a quota of the command line limits.
#[derive(Clone, Copy, Debug)]
enum QuotaOf {
    Addresses,
    Prefixes,
    Networks,
    Subnets,
    Ports,
    Resting,
}

/// Reads `addresses=1000` or `addresses=none`.
fn quota(given: &str) -> Result<(QuotaOf, Setting<u64>), String> {
    let (name, count) = given.split_once('=').ok_or("write it as addresses=1000")?;
    let of = match name {
        "addresses" => QuotaOf::Addresses,
        "prefixes" => QuotaOf::Prefixes,
        "networks" => QuotaOf::Networks,
        "subnets" => QuotaOf::Subnets,
        "ports" => QuotaOf::Ports,
        "resting" => QuotaOf::Resting,
        _ => {
            return Err(format!(
                "{name}: there are quotas of addresses, prefixes, networks, subnets, ports and resting"
            ));
        }
    };
    if count == "none" {
        return Ok((of, Setting::Null));
    }
    match count.parse::<u64>() {
        Ok(count) if count <= QUOTA_MAX => Ok((of, Setting::Value(count))),
        _ => Err(format!("{count}: a number from 0 to {QUOTA_MAX}, or none")),
    }
}

/// Of several for one resource the last one counts.
fn settings(given: Vec<(QuotaOf, Setting<u64>)>) -> QuotaSettings {
    let mut settings = QuotaSettings::default();
    for (of, setting) in given {
        *match of {
            QuotaOf::Addresses => &mut settings.addresses,
            QuotaOf::Prefixes => &mut settings.prefixes,
            QuotaOf::Networks => &mut settings.networks,
            QuotaOf::Subnets => &mut settings.subnets,
            QuotaOf::Ports => &mut settings.ports,
            QuotaOf::Resting => &mut settings.resting,
        } = setting;
    }
    settings
}

/// The id of a project that is named or given by id.
pub(crate) fn id_of(project: &str) -> ProjectId {
    match project.parse() {
        Ok(id) => id,
        Err(_) if project == "default" => ProjectId::DEFAULT,
        Err(_) => ProjectId(Uuid::new_v5(&NAMESPACE, format!("project:{project}").as_bytes())),
    }
}

/// The client of a project, by name or id; a name is looked up, since it may have been changed.
async fn client_of(session: &Session, project: &str) -> Result<(Client, ProjectObject), Fault> {
    let client = session.client().await?;
    let found = match project.parse::<ProjectId>() {
        Ok(id) => client.in_project(id).project_get(None).await?,
        Err(_) => client.project_get(Some(find::name(project)?)).await?,
    };
    Ok((client.in_project(found.project_id), found))
}

pub(crate) async fn run(session: &Session, project: Project) -> Result<(), Fault> {
    match project {
        Project::Create(create) => self::create(session, create).await,
        Project::Get(get) => session.output.one(&client_of(session, &get.project).await?.1),
        Project::List(list) => {
            let client = session.client().await?;
            let most = session.output.objects_max();
            let mut projects = client.projects(list.prefix);
            let mut out = session.output.list::<ProjectObject>();
            while let Some(project) = projects.next().await? {
                if out.count() >= most {
                    return out.end(true);
                }
                out.add(project)?;
            }
            out.end(false)
        }
        Project::Update(update) => self::update(session, update).await,
        Project::Delete(get) => {
            let (client, found) = client_of(session, &get.project).await?;
            let what = format!("delete project {} ({})", get.project, found.project_id);
            if session.is_dry(&what, &found)? {
                return Ok(());
            }
            ask::confirm(&session.global, &format!("{what}?"))?;
            client.project_delete(Revision(0)).await?;
            let shown = format!("project {}", get.project);
            network::gone(session, &shown, &found.project_id.to_string())
        }
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let name = find::name(&create.name)?;
    let quotas = settings(create.quotas).apply_to(Quotas::default());
    let request = ProjectCreate { name: Some(name), description: create.description, quotas };
    if session.is_dry("create this project", &request)? {
        return Ok(());
    }
    let client = session.client().await?.in_project(id_of(&create.name));
    let made = client.project_create(request).await?;
    if made.repeated {
        session.output.remark("note: it existed already; nothing was changed");
    }
    session.output.one(&made)
}

async fn update(session: &Session, update: Update) -> Result<(), Fault> {
    let request = ProjectUpdate {
        expected: Revision(update.revision.unwrap_or(0)),
        name: match &update.name {
            Some(name) => Setting::Value(find::name(name)?),
            None => Setting::Unset,
        },
        description: network::described(update.description, update.no_description),
        quotas: settings(update.quotas),
    };
    if session.is_dry("change the project so", &request)? {
        return Ok(());
    }
    let (client, _) = client_of(session, &update.project).await?;
    session.output.one(&client.project_update(request).await?)
}
