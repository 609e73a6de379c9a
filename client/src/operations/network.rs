//! Networks and the server itself.

use super::{Deleted, Page, Pages, expect_reply, goes_on};
use crate::client::{Client, Scope};
use crate::error::Error;
use addrd_protocol::message::{
    AdoptAction, Adoption, BackupBlock, BackupRead, ClockAccept, ClockAccepted, Network,
    NetworkCreate, NetworkDelete, NetworkFind, NetworkGet, NetworkList, NetworkUpdate,
    NetworkUsage, PageRequest, Reply, Request, ServerAdopt, ServerStatus, SubnetName, Usage,
};
use addrd_protocol::{NetworkId, Revision, Status, Text};

impl Client {
    /// Creates a network under an id of the caller's choice. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `ID_IN_USE`, `NAME_IN_USE`, `LIMIT`, `QUOTA`; others see [`Error`].
    pub async fn network_create(
        &self,
        network: NetworkId,
        create: NetworkCreate,
    ) -> Result<Network, Error> {
        let request = Request::NetworkCreate(Box::new(create));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Network)?)
    }

    /// Reads a network.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn network_get(&self, network: NetworkId) -> Result<Network, Error> {
        let request = Request::NetworkGet(NetworkGet {});
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Network)?)
    }

    /// Finds a network by its exact name.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn network_find(&self, name: Text) -> Result<Network, Error> {
        let request = Request::NetworkFind(Box::new(NetworkFind { name }));
        let scope = self.scope(NetworkId::NIL);
        Ok(*expect_reply!(self.call(&scope, &request).await?, Network)?)
    }

    /// Networks of the project, ordered by id; with a prefix only those whose name starts so.
    #[must_use]
    pub fn networks(&self, name_prefix: Option<Text>) -> Pages<Network> {
        let request = move |page: PageRequest| {
            Request::NetworkList(Box::new(NetworkList { page, name_prefix: name_prefix.clone() }))
        };
        Pages::new(self, NetworkId::NIL, request, |reply| {
            let page = expect_reply!(reply, Networks)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes a network.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, `NAME_IN_USE`; others see [`Error`].
    pub async fn network_update(
        &self,
        network: NetworkId,
        update: NetworkUpdate,
    ) -> Result<Network, Error> {
        let request = Request::NetworkUpdate(Box::new(update));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Network)?)
    }

    /// Deletes a network; with live allocations only if forced, as a job.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `IN_USE`, `STALE`; others see [`Error`].
    pub async fn network_delete(
        &self,
        network: NetworkId,
        delete: NetworkDelete,
    ) -> Result<Deleted, Error> {
        self.delete(&self.scope(network), &Request::NetworkDelete(delete)).await
    }

    /// A deletion: "not found" after an unknown outcome means that it was done.
    pub(crate) async fn delete(&self, scope: &Scope, request: &Request) -> Result<Deleted, Error> {
        let answer = self.answer(scope, request).await?;
        match answer.body {
            Ok(Reply::Job(job)) => Ok(Deleted::ByJob(*job)),
            Ok(Reply::Empty) => Ok(Deleted::Now),
            Ok(other) => Err(super::unexpected(&other)),
            Err(failure) if failure.status == Status::NOT_FOUND && answer.in_doubt => {
                Ok(Deleted::Now)
            }
            Err(failure) => Err(Error::Refused(failure)),
        }
    }

    /// Counts of a network and its subnets, or of one of them; all pages.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn usage(
        &self,
        network: NetworkId,
        subnet: Option<SubnetName>,
    ) -> Result<NetworkUsage, Error> {
        self.usage_where(network, Usage { subnet, ..Usage::default() }).await
    }

    /// Counts of a network's subnets, of those that may have changed behind a revision: that of an
    /// earlier answer. If the answer is `whole`, forget all others, else those that are `gone`.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn usage_changed(
        &self,
        network: NetworkId,
        since: Revision,
    ) -> Result<NetworkUsage, Error> {
        self.usage_where(network, Usage { changed_since: Some(since), ..Usage::default() }).await
    }

    /// The sums of a network by family, without its subnets.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn usage_totals(&self, network: NetworkId) -> Result<NetworkUsage, Error> {
        self.usage_where(network, Usage { totals_only: true, ..Usage::default() }).await
    }

    /// Counts as they are asked for, all pages from the first one on; revision, sums and what is gone
    /// are those of the first.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `CONFLICTING_FIELDS`; others see [`Error`].
    pub async fn usage_where(
        &self,
        network: NetworkId,
        mut asked: Usage,
    ) -> Result<NetworkUsage, Error> {
        let mut whole: Option<NetworkUsage> = None;
        let mut cursor = None;
        loop {
            let usage = Usage { cursor: cursor.clone(), ..asked.clone() };
            let reply = self.call(&self.scope(network), &Request::Usage(Box::new(usage))).await?;
            let mut page = *expect_reply!(reply, Usage)?;
            goes_on(page.next.is_none() || page.next != cursor)?;
            cursor = page.next.take();
            match &mut whole {
                Some(whole) => whole.subnets.append(&mut page.subnets),
                None => {
                    // What is behind a whole page has to be whole too.
                    asked.changed_since = asked.changed_since.filter(|_| !page.whole);
                    whole = Some(page);
                }
            }
            if cursor.is_none() {
                return whole.ok_or(Error::Closed);
            }
        }
    }

    /// Says that the wall clock of the server is right, after it was not believed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn clock_accept(&self) -> Result<ClockAccepted, Error> {
        let request = Request::ClockAccept(ClockAccept {});
        let reply = self.call(&self.scope(NetworkId::NIL), &request).await?;
        expect_reply!(reply, ClockAccepted)
    }

    /// Begins or ends adoption mode: until it ends owners re-take what they hold, and what the server
    /// would have to choose is refused with `ADOPTING`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn server_adopt(&self, action: AdoptAction) -> Result<Adoption, Error> {
        let request = Request::ServerAdopt(ServerAdopt { action });
        let reply = self.call(&self.scope(NetworkId::NIL), &request).await?;
        expect_reply!(reply, Adoption)
    }

    /// Fetches a block of a backup. Block 0 under a new id begins one; `row_bytes_a_second` 0 leaves the
    /// rate to the server. Sent again it gives the same block, on any connection.
    ///
    /// # Errors
    /// Refused: `BACKUP_RUNNING`, `BACKUP_OVER`; others see [`Error`].
    pub async fn backup_read(
        &self,
        backup: uuid::Uuid,
        block: u32,
        row_bytes_a_second: u64,
    ) -> Result<BackupBlock, Error> {
        let request = BackupRead { backup_id: backup, block, row_bytes_a_second };
        let reply = self.call(&self.scope(NetworkId::NIL), &Request::BackupRead(request)).await?;
        expect_reply!(reply, BackupBlock)
    }

    /// State of the server for people.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn server_status(&self) -> Result<ServerStatus, Error> {
        let reply = self.call(&self.scope(NetworkId::NIL), &Request::ServerStatus).await?;
        Ok(*expect_reply!(reply, ServerStatus)?)
    }
}
