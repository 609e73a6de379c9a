//! `addrd server`: what the server says of itself, and whether its data is sound.

use super::fault::Fault;
use super::session::Session;
use super::view::View;
use super::{backup, check, duration, restore};
use addrd_protocol::message::{AdoptAction, Adoption, ClockAccepted};
use serde::Serialize;

/// The server: status, accept-clock, adopt, backup, restore, check.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Server {
    /// Shows version, identity, positions and counts.
    Status,
    /// Says that the wall clock of the server is right, after it was not believed.
    AcceptClock,
    /// Begins or ends adoption mode, in which owners re-take what they hold after a restore.
    Adopt(Adopt),
    /// Fetches a backup while the server serves.
    Backup(backup::Backup),
    /// Makes a data directory of a backup.
    Restore(restore::Restore),
    /// The same as `addrd check`.
    Check(check::Check),
}

/// Begins or ends adoption mode.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In adoption mode exact allocations, repeats, renewals and releases are served as ever; what the
server would have to choose gets ADOPTING (exit code 6), and no lease ends. A restored server begins
in it. Ask `addrd server status` whether it is on.

Examples:
  addrd server adopt --end      all owners have re-taken what they hold
  addrd server adopt --begin    the data is older than what owners know")]
#[group(required = true, multiple = false)]
pub(crate) struct Adopt {
    /// From now on nothing is chosen
    #[arg(long)]
    begin: bool,
    /// Everything is served again
    #[arg(long)]
    end: bool,
}

/// How adoption mode is now.
#[derive(Debug, Serialize)]
struct Adopted(Adoption);

impl View for Adopted {
    const COLUMNS: &'static [&'static str] = &["adopting", "repeated", "lasted_ms"];

    fn cells(&self) -> Vec<String> {
        let Adoption { adopting, repeated, lasted_ms } = self.0;
        vec![adopting.to_string(), repeated.to_string(), lasted_ms.to_string()]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.0.adopting.to_string()]
    }

    fn titles(&self) -> Vec<String> {
        let Adoption { adopting, repeated, lasted_ms } = self.0;
        let lasted = duration::left(lasted_ms.max(1));
        vec![match (adopting, repeated) {
            (true, false) => "adoption mode is on: nothing is chosen until --end".to_owned(),
            (true, true) => format!("adoption mode was on already, for {lasted}"),
            (false, false) => format!("adoption mode has ended after {lasted}"),
            (false, true) => "adoption mode was not on".to_owned(),
        }]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// How far the server's time moved.
#[derive(Debug, Serialize)]
struct Accepted(ClockAccepted);

impl View for Accepted {
    const COLUMNS: &'static [&'static str] = &["moved_ms"];

    fn cells(&self) -> Vec<String> {
        self.keys()
    }

    fn keys(&self) -> Vec<String> {
        vec![self.0.moved_ms.to_string()]
    }

    fn titles(&self) -> Vec<String> {
        vec![match self.0.moved_ms {
            0 => "the clock was not in doubt".to_owned(),
            ms => format!("the server's time moved on by {}", duration::left(ms)),
        }]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

pub(crate) async fn run(session: &Session, server: Server) -> Result<(), Fault> {
    match server {
        Server::Status => {
            let client = session.client().await?;
            session.output.one(&client.server_status().await?)
        }
        Server::AcceptClock => {
            let client = session.client().await?;
            session.output.one(&Accepted(client.clock_accept().await?))
        }
        Server::Adopt(adopt) => {
            let action = if adopt.begin { AdoptAction::Begin } else { AdoptAction::End };
            let client = session.client().await?;
            session.output.one(&Adopted(client.server_adopt(action).await?))
        }
        Server::Backup(backup) => backup::run(session, &backup).await,
        Server::Restore(restore) => restore::run(session, &restore),
        Server::Check(check) => check::run(session, &check),
    }
}
