//! `addrd server`: what the server says of itself.

use super::fault::Fault;
use super::session::Session;

/// The server: status.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Server {
    /// Shows version, identity, positions and counts.
    Status,
}

pub(crate) async fn run(session: &Session, server: Server) -> Result<(), Fault> {
    match server {
        Server::Status => {
            let client = session.client().await?;
            session.output.one(&client.server_status().await?)
        }
    }
}
