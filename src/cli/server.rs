//! `addrd server`: what the server says of itself, and whether its data is sound.

use super::fault::Fault;
use super::session::Session;
use super::view::View;
use super::{check, duration};
use addrd_protocol::message::ClockAccepted;
use serde::Serialize;

/// The server: status, accept-clock, check.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Server {
    /// Shows version, identity, positions and counts.
    Status,
    /// Says that the wall clock of the server is right, after it was not believed.
    AcceptClock,
    /// The same as `addrd check`.
    Check(check::Check),
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
        Server::Check(check) => check::run(session, &check),
    }
}
