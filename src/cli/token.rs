//! `addrd token`: the tokens by which principals are known. A token is made here; the server learns the hash of its
//! secret alone, and it is printed or written once. Keeps no token.

use super::access_view::{Made, TokenLine};
use super::fault::Fault;
use super::session::Session;
use super::{duration, output, principal};
use addrd::access::hash_of;
use addrd_client::{Client, Error};
use addrd_protocol::message::principal::{TOKEN_LIFE_MS_LEAST, TOKENS_MAX};
use addrd_protocol::message::{Principal, TokenCreate, TokenRevoke, TokenShown};
use addrd_protocol::{Retry, Status, Token, TokenId};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Tokens of principals: create, list, revoke, rotate.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Makes a token for a principal, and shows it this once.
    #[command(after_help = "\
Examples:
  addrd token create cni --life 90d --out /etc/addrd/cni.token
  addrd token create cni -q > cni.token         nothing but the token; mind who can read the file
  addrd server status --token-file /etc/addrd/cni.token")]
    Create(Create),
    /// Lists tokens; never their secrets.
    #[command(visible_alias = "ls")]
    List {
        /// Only those of this principal, by name or id
        principal: Option<String>,
    },
    /// Ends a token, now or soon. Connections that were made with it end, too.
    #[command(after_help = "\
Examples:
  addrd token revoke 00112233aabbccdd
  addrd token revoke 00112233aabbccdd --after 1h")]
    Revoke(Revoke),
    /// Makes a second token for a principal; the one it has ends a while later.
    #[command(after_help = "\
Examples:
  addrd token rotate cni --out /etc/addrd/cni.token.new
  addrd token rotate cni --overlap 1h -q")]
    Rotate(Rotate),
}

/// Makes a token.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Name or id
    principal: String,
    /// How long it is good for: 12h, 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = duration::lease)]
    life: Option<u64>,
    /// File that is made for it with mode 0600; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Ends a token.
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// Id of the token: 16 hex digits; they stand in the token, too
    token_id: TokenId,
    /// It is good for so long at most, instead of ending now
    #[arg(long, value_name = "DURATION", value_parser = duration::grace, default_value = "0")]
    after: u64,
}

/// Makes a second token.
#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// Name or id
    principal: String,
    /// How long the old token is good beside the new one
    #[arg(long, value_name = "DURATION", value_parser = duration::grace, default_value = "24h")]
    overlap: u64,
    /// How long the new one is good for [default: as long as the old one was]
    #[arg(long, value_name = "DURATION", value_parser = duration::lease)]
    life: Option<u64>,
    /// File that is made for it with mode 0600; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, command: TokenCommand) -> Result<(), Fault> {
    match command {
        TokenCommand::Create(create) => self::create(session, create).await,
        TokenCommand::List { principal } => list(session, principal).await,
        TokenCommand::Revoke(revoke) => self::revoke(session, revoke).await,
        TokenCommand::Rotate(rotate) => self::rotate(session, rotate).await,
    }
}

async fn create(session: &Session, create: Create) -> Result<(), Fault> {
    let client = session.client().await?;
    let principal = principal::find(&client, &create.principal).await?;
    if session.is_dry("make a token for this principal", &principal)? {
        return Ok(());
    }
    let life_ms = create.life.unwrap_or(0);
    let made = make(&client, &principal, life_ms, create.out.as_deref()).await?;
    session.output.one(&made)
}

async fn list(session: &Session, of: Option<String>) -> Result<(), Fault> {
    let client = session.client().await?;
    let most = session.output.objects_max();
    let mut out = session.output.list::<TokenLine>();
    let mut principals = client.principals(None);
    let mut next = match &of {
        Some(of) => Some(principal::find(&client, of).await?),
        None => principals.next().await?,
    };
    while let Some(Principal { principal_id, name, tokens, .. }) = next {
        for token in tokens {
            if out.count() >= most {
                return out.end(true);
            }
            out.add(TokenLine { principal_id, name: name.clone(), token })?;
        }
        next = if of.is_some() { None } else { principals.next().await? };
    }
    out.end(false)
}

async fn revoke(session: &Session, revoke: Revoke) -> Result<(), Fault> {
    let request = TokenRevoke { token_id: revoke.token_id, after_ms: revoke.after };
    if session.is_dry("end this token", &request)? {
        return Ok(());
    }
    let client = session.client().await?;
    session.output.one(&client.token_revoke(request).await?)
}

async fn rotate(session: &Session, rotate: Rotate) -> Result<(), Fault> {
    let client = session.client().await?;
    let principal = principal::find(&client, &rotate.principal).await?;
    let old = match principal.tokens[..] {
        [old] => old,
        [] => {
            let text =
                format!("{0} has no token: `addrd token create {0}` makes one", rotate.principal);
            return Err(Fault::Refused(text));
        }
        _ => return Err(too_many(&rotate.principal, &principal.tokens)),
    };
    if session.is_dry("make a second token, and end the old one later", &principal)? {
        return Ok(());
    }
    let life_ms = rotate.life.unwrap_or_else(|| life_of(&old));
    let mut made = make(&client, &principal, life_ms, rotate.out.as_deref()).await?;
    let end = TokenRevoke { token_id: old.token_id, after_ms: rotate.overlap };
    let ended = client.token_revoke(end).await;
    if let Ok(principal) = &ended {
        made.old = principal.tokens.iter().find(|token| token.token_id == old.token_id).copied();
    }
    // The new token is good whatever became of the old one.
    session.output.one(&made)?;
    match ended {
        // Somebody else has ended it.
        Err(error) if error.is(Status::NOT_FOUND) => Ok(()),
        Err(error) => {
            output::to_stderr(&format!(
                "the new token is good; the old one, {}, was not ended",
                old.token_id
            ));
            Err(error.into())
        }
        Ok(_) => Ok(()),
    }
}

/// How long a token was made for, ms; 0 = without end.
fn life_of(token: &TokenShown) -> u64 {
    let life = |left: u64| token.age_ms.saturating_add(left).max(TOKEN_LIFE_MS_LEAST);
    token.time_left_ms.map_or(0, life)
}

fn too_many(principal: &str, tokens: &[TokenShown]) -> Fault {
    let shown: Vec<String> = tokens.iter().map(|token| token.token_id.to_string()).collect();
    Fault::Refused(format!(
        "{principal} has {TOKENS_MAX} tokens already, {}: `addrd token revoke` one that nobody uses any more, or wait \
         for its end (`addrd token list {principal}`)",
        shown.join(" and ")
    ))
}

/// Makes a token and gives it to a principal. A file has it before the server knows of it, so that no token is
/// good that nobody has.
pub(crate) async fn make(
    client: &Client,
    principal: &Principal,
    life_ms: u64,
    out: Option<&Path>,
) -> Result<Made, Fault> {
    let token = random()?;
    let request = TokenCreate {
        principal_id: principal.principal_id,
        token_id: token.id,
        hash: hash_of(&token),
        life_ms,
    };
    out.map_or(Ok(()), |path| keep(path, &token))?;
    if let Err(error) = client.token_create(request).await {
        return Err(not_made(principal, token.id, out, error));
    }
    Ok(Made {
        principal_id: principal.principal_id,
        name: principal.name.clone(),
        token_id: token.id,
        token: out.is_none().then(|| token.reveal()),
        file: out.map(|path| path.display().to_string()),
        life_ms: Some(life_ms).filter(|life_ms| *life_ms != 0),
        old: None,
    })
}

/// From the operating system's source of random bytes.
fn random() -> Result<Token, Fault> {
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    let source = SystemRandom::new();
    let filled = source.fill(&mut id).and_then(|()| source.fill(&mut secret));
    filled.map_err(|_| Fault::Internal("the system gives no random bytes".to_owned()))?;
    Ok(Token::new(TokenId(u64::from_be_bytes(id)), secret))
}

/// Writes a token into a new file that its owner alone can read.
fn keep(path: &Path, token: &Token) -> Result<(), Fault> {
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Fault::Refused(format!(
            "{} is there already: a token is never written over something",
            path.display()
        )),
        _ => Fault::Usage(format!("{}: {error}", path.display())),
    };
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(told)?;
    let line = format!("{}\n", token.reveal());
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(told)
}

/// Takes the file away again, unless the server may know the token.
fn not_made(principal: &Principal, id: TokenId, out: Option<&Path>, error: Error) -> Fault {
    if error.retry() == Retry::Unknown {
        output::to_stderr(&format!(
            "token {id} may be good: `addrd token list` shows whether it is"
        ));
        return error.into();
    }
    if let Some(path) = out {
        // It holds what is good for nothing.
        let _ = std::fs::remove_file(path);
    }
    if error.is(Status::LIMIT) {
        let name =
            principal.name.as_ref().map_or(principal.principal_id.to_string(), ToString::to_string);
        return too_many(&name, &principal.tokens);
    }
    error.into()
}
