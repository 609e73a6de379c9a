//! `addrd server`: what the server says of itself, and whether its data is sound.

use super::check;
use super::fault::Fault;
use super::session::Session;

/// The server: status, check.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Server {
    /// Shows version, identity, positions and counts.
    Status,
    /// The same as `addrd check`.
    Check(check::Check),
}

pub(crate) async fn run(session: &Session, server: Server) -> Result<(), Fault> {
    match server {
        Server::Status => {
            let client = session.client().await?;
            session.output.one(&client.server_status().await?)
        }
        Server::Check(check) => check::run(session, &check),
    }
}
