//! Contexts: servers and settings under a name, in the user's configuration directory. Keeps no
//! secret.

use super::fault::Fault;
use super::global::Global;
use super::session::Session;
use super::tls::{TlsOptions, must_be_path};
use super::view::View;
use super::{ask, network, output};
use addrd::config::shown;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Largest file of contexts that is read, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Servers and settings under a name: set, use, list, delete.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Context {
    /// Keeps the given --server, --project, --token-file and --tls-* under a name.
    #[command(
        after_help = "Examples:\n  addrd context set prod --server a.example:2337,b.example:2337\n  \
                      addrd context set prod --server a.example --tls-ca ca.pem --token-file my.token"
    )]
    Set(Set),
    /// Makes a context the one that is used from now on.
    Use(Named),
    /// Lists contexts.
    #[command(visible_alias = "ls")]
    List,
    /// Forgets a context.
    #[command(visible_alias = "rm")]
    Delete(Named),
}

/// Keeps settings under a name.
#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    /// Name of the context
    name: String,
    /// Accept only the server with this id (see `addrd server status`)
    #[arg(long)]
    server_id: Option<addrd_protocol::ServerId>,
}

/// Names a context.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Name of the context
    name: String,
}

/// What is kept under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// Endpoints, tried in order.
    #[serde(default)]
    pub(crate) server: Vec<String>,
    /// Project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// The only server that is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_id: Option<String>,
    /// File with the token for its servers. Its path; a context keeps no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// How its servers are spoken to.
    #[serde(default, skip_serializing_if = "TlsOptions::is_empty")]
    pub(crate) tls: TlsOptions,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contexts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Kept>,
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    current: bool,
    #[serde(flatten)]
    kept: Kept,
}

impl View for Listed {
    const COLUMNS: &'static [&'static str] = &["name", "server", "project", "server_id", "note"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.kept.server.join(","),
            self.kept.project.clone().unwrap_or_default(),
            self.kept.server_id.clone().unwrap_or_default(),
            if self.current { "in use".to_owned() } else { String::new() },
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// The context that holds for a command; an empty one where none is.
pub(crate) fn current(global: &Global) -> Result<Kept, Fault> {
    let Some(path) = path() else {
        return match &global.context {
            None => Ok(Kept::default()),
            Some(_) => Err(no_folder()),
        };
    };
    let contexts = load(&path)?;
    let Some(name) = global.context.as_ref().or(contexts.current.as_ref()) else {
        return Ok(Kept::default());
    };
    contexts.contexts.get(name).cloned().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Fault {
    Fault::Usage(format!("there is no context \"{name}\"; `addrd context list` shows all"))
}

fn no_folder() -> Fault {
    Fault::Usage("neither XDG_CONFIG_HOME nor HOME is set, so there are no contexts".to_owned())
}

fn path() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = named("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| named("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(folder.join("addrd").join("contexts.toml"))
}

fn load(path: &Path) -> Result<Contexts, Fault> {
    let broken = |text: String| Fault::Usage(format!("{}: {text}", path.display()));
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            return Err(broken("larger than 1 MiB".to_owned()));
        }
        _ => {}
    }
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|error| broken(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contexts::default()),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Writes beside and renames, so that a crash leaves the old file or the new one.
fn store(path: &Path, contexts: &Contexts) -> Result<(), Fault> {
    let text = toml::to_string(contexts).map_err(|error| Fault::Internal(error.to_string()))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(())
}

pub(crate) fn run(session: &Session, context: Context) -> Result<(), Fault> {
    let path = path().ok_or_else(no_folder)?;
    let mut contexts = load(&path)?;
    match context {
        Context::List => return list(session, contexts),
        Context::Set(set) => self::set(session, &mut contexts, set)?,
        Context::Use(named) => {
            if !contexts.contexts.contains_key(&named.name) {
                return Err(missing(&named.name));
            }
            contexts.current = Some(named.name);
        }
        Context::Delete(named) => {
            if !contexts.contexts.contains_key(&named.name) {
                return Err(missing(&named.name));
            }
            ask::confirm(&session.global, &format!("forget context \"{}\"?", named.name))?;
            contexts.contexts.remove(&named.name);
            if contexts.current.as_deref() == Some(named.name.as_str()) {
                contexts.current = None;
            }
        }
    }
    if session.global.dry_run {
        output::to_stderr("dry run: nothing was changed");
        return Ok(());
    }
    store(&path, &contexts)
}

fn set(session: &Session, contexts: &mut Contexts, set: Set) -> Result<(), Fault> {
    network::text(&set.name).map_err(Fault::Usage)?;
    super::find::name(&set.name)?;
    if session.global.server.is_empty() {
        return Err(Fault::Usage("--server is needed".to_owned()));
    }
    for text in &session.global.server {
        let endpoint: Result<addrd_client::Endpoint, _> = text.parse();
        endpoint.map_err(|error| Fault::Usage(error.to_string()))?;
    }
    let tls = session.global.tls.absolute()?;
    // What can't be used is told now, not at the next command.
    tls.tls()?;
    let given = session.global.token_file.as_ref();
    given.map_or(Ok(()), |path| must_be_path(path))?;
    let token_file = session.global.token_file.as_ref().map(std::path::absolute).transpose()?;
    if let Some(path) = &token_file {
        let told =
            |error| Fault::Usage(format!("token file {}: {error}", shown(&path.to_string_lossy())));
        addrd_client::read_token(path).map_err(told)?;
    }
    let kept = Kept {
        server: session.global.server.clone(),
        project: session.global.project.clone(),
        server_id: set.server_id.map(|id| id.to_string()),
        token_file,
        tls,
    };
    if contexts.contexts.is_empty() {
        contexts.current = Some(set.name.clone());
    }
    contexts.contexts.insert(set.name, kept);
    Ok(())
}

fn list(session: &Session, contexts: Contexts) -> Result<(), Fault> {
    let mut out = session.output.list::<Listed>();
    for (name, kept) in contexts.contexts {
        let current = contexts.current.as_ref() == Some(&name);
        out.add(Listed { name, current, kept })?;
    }
    out.end(false)
}
