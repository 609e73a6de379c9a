//! What a command works with: its options, its output, its client. Connects only when asked.

use super::connect;
use super::fault::Fault;
use super::global::Global;
use super::output::{self, Output};
use addrd_client::{Client, Sessions, Settings};
use addrd_protocol::OwnerId;
use serde::Serialize;

/// Options, output and the way to a client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) global: Global,
    pub(crate) output: Output,
}

impl Session {
    pub(crate) fn new(global: Global) -> Result<Self, Fault> {
        let output = Output::new(&global);
        Ok(Self { global, output })
    }

    /// Runs a future on a small runtime of its own.
    pub(crate) fn block_on<T>(
        &self,
        future: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(future)
    }

    /// Settings of this command's client.
    pub(crate) fn settings(&self, sessions: Sessions) -> Result<Settings, Fault> {
        let settings = connect::settings(&self.global, sessions)?;
        connect::warn_of_token(&settings);
        Ok(settings)
    }

    /// A client in a session of its own.
    pub(crate) async fn client(&self) -> Result<Client, Fault> {
        Ok(Client::connect(self.settings(Sessions::Random)?).await?)
    }

    /// A client in the session of an owner, so that a later command for the same owner fences
    /// this one.
    pub(crate) async fn client_of(&self, owner: OwnerId) -> Result<Client, Fault> {
        Ok(Client::connect(self.settings(Sessions::OfOwner(owner))?).await?)
    }

    /// With `--dry-run`: shows what would be asked for, and says so.
    pub(crate) fn is_dry(&self, what: &str, request: &impl Serialize) -> Result<bool, Fault> {
        if self.global.dry_run {
            output::to_stderr(&format!("dry run: would {what}"));
            output::json(request)?;
        }
        Ok(self.global.dry_run)
    }
}
