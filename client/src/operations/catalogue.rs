//! Projects, address scopes and subnet pools.

use super::{Deleted, Page, Pages, expect_reply};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::message::{
    AddressScope, PageRequest, PoolCreate, PoolDelete, PoolGet, PoolList, PoolPreview, PoolUpdate,
    Project, ProjectCreate, ProjectDelete, ProjectGet, ProjectList, ProjectUpdate, Request,
    ScopeCreate, ScopeDelete, ScopeGet, ScopeList, ScopeUpdate, SubnetOnboard, SubnetPool,
};
use addrd_protocol::{AddressScopeId, NetworkId, PoolId, Prefix, Revision, Text};

impl Client {
    /// Creates the project of this client. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `NAME_IN_USE`, `LIMIT`; others see [`Error`].
    pub async fn project_create(&self, create: ProjectCreate) -> Result<Project, Error> {
        let request = Request::ProjectCreate(Box::new(create));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId::NIL), &request).await?, Project)?)
    }

    /// Reads the project of this client, or the one with a name.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn project_get(&self, name: Option<Text>) -> Result<Project, Error> {
        let request = Request::ProjectGet(Box::new(ProjectGet { name }));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId::NIL), &request).await?, Project)?)
    }

    /// All projects, ordered by id; with a prefix only those whose name starts so.
    #[must_use]
    pub fn projects(&self, name_prefix: Option<Text>) -> Pages<Project> {
        let request = move |page: PageRequest| {
            Request::ProjectList(Box::new(ProjectList { page, name_prefix: name_prefix.clone() }))
        };
        Pages::new(self, NetworkId::NIL, request, |reply| {
            let page = expect_reply!(reply, Projects)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes the project of this client.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, `NAME_IN_USE`; others see [`Error`].
    pub async fn project_update(&self, update: ProjectUpdate) -> Result<Project, Error> {
        let request = Request::ProjectUpdate(Box::new(update));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId::NIL), &request).await?, Project)?)
    }

    /// Deletes the project of this client, which has nothing left.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `IN_USE`, `STALE`; others see [`Error`].
    pub async fn project_delete(&self, expected: Revision) -> Result<Deleted, Error> {
        let request = Request::ProjectDelete(ProjectDelete { expected });
        self.delete(&self.scope(NetworkId::NIL), &request).await
    }

    /// Creates an address scope under an id of the caller's choice. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `ID_IN_USE`, `NAME_IN_USE`, `LIMIT`; others see [`Error`].
    pub async fn scope_create(
        &self,
        id: AddressScopeId,
        create: ScopeCreate,
    ) -> Result<AddressScope, Error> {
        let request = Request::ScopeCreate(Box::new(create));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId(id.0)), &request).await?, Scope)?)
    }

    /// Reads an address scope.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn scope_get(&self, id: AddressScopeId) -> Result<AddressScope, Error> {
        let request = Request::ScopeGet(Box::default());
        Ok(*expect_reply!(self.call(&self.scope(NetworkId(id.0)), &request).await?, Scope)?)
    }

    /// Finds an address scope of the project by its exact name.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn scope_find(&self, name: Text) -> Result<AddressScope, Error> {
        let request = Request::ScopeGet(Box::new(ScopeGet { name: Some(name) }));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId::NIL), &request).await?, Scope)?)
    }

    /// Address scopes that the project sees; with a prefix only those whose name starts so.
    #[must_use]
    pub fn scopes(&self, name_prefix: Option<Text>) -> Pages<AddressScope> {
        let request = move |page: PageRequest| {
            Request::ScopeList(Box::new(ScopeList { page, name_prefix: name_prefix.clone() }))
        };
        Pages::new(self, NetworkId::NIL, request, |reply| {
            let page = expect_reply!(reply, Scopes)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes an address scope.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, `NAME_IN_USE`, `IN_USE`; others see [`Error`].
    pub async fn scope_update(
        &self,
        id: AddressScopeId,
        update: ScopeUpdate,
    ) -> Result<AddressScope, Error> {
        let request = Request::ScopeUpdate(Box::new(update));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId(id.0)), &request).await?, Scope)?)
    }

    /// Deletes an address scope that nothing is in.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `IN_USE`, `STALE`; others see [`Error`].
    pub async fn scope_delete(
        &self,
        id: AddressScopeId,
        expected: Revision,
    ) -> Result<Deleted, Error> {
        let request = Request::ScopeDelete(ScopeDelete { expected });
        self.delete(&self.scope(NetworkId(id.0)), &request).await
    }

    /// Creates a subnet pool under an id of the caller's choice. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `ID_IN_USE`, `NAME_IN_USE`, `NO_PREFIXES`, `POOL_BOUNDS`, `FAMILY_MISMATCH`,
    /// `SCOPE_OVERLAP`, `DEFAULT_POOL_EXISTS`, `LIMIT`; others see [`Error`].
    pub async fn pool_create(&self, id: PoolId, create: PoolCreate) -> Result<SubnetPool, Error> {
        let request = Request::PoolCreate(Box::new(create));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId(id.0)), &request).await?, Pool)?)
    }

    /// Reads a subnet pool.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn pool_get(&self, id: PoolId) -> Result<SubnetPool, Error> {
        let request = Request::PoolGet(Box::default());
        Ok(*expect_reply!(self.call(&self.scope(NetworkId(id.0)), &request).await?, Pool)?)
    }

    /// Finds a subnet pool of the project by its exact name.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn pool_find(&self, name: Text) -> Result<SubnetPool, Error> {
        let request = Request::PoolGet(Box::new(PoolGet { name: Some(name) }));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId::NIL), &request).await?, Pool)?)
    }

    /// Subnet pools that the project sees; with a prefix only those whose name starts so.
    #[must_use]
    pub fn pools(&self, name_prefix: Option<Text>) -> Pages<SubnetPool> {
        let request = move |page: PageRequest| {
            Request::PoolList(Box::new(PoolList { page, name_prefix: name_prefix.clone() }))
        };
        Pages::new(self, NetworkId::NIL, request, |reply| {
            let page = expect_reply!(reply, Pools)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes a subnet pool.
    ///
    /// # Errors
    /// Refused: as in [`Client::pool_create`], and `NOT_FOUND`, `STALE`, `POOL_PREFIX_UPDATE`,
    /// `POOL_IN_USE`; others see [`Error`].
    pub async fn pool_update(&self, id: PoolId, update: PoolUpdate) -> Result<SubnetPool, Error> {
        let request = Request::PoolUpdate(Box::new(update));
        Ok(*expect_reply!(self.call(&self.scope(NetworkId(id.0)), &request).await?, Pool)?)
    }

    /// Deletes a subnet pool of which nothing is in use.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `POOL_IN_USE`, `STALE`; others see [`Error`].
    pub async fn pool_delete(&self, id: PoolId, expected: Revision) -> Result<Deleted, Error> {
        let request = Request::PoolDelete(PoolDelete { expected });
        self.delete(&self.scope(NetworkId(id.0)), &request).await
    }

    /// Takes all subnets of a network that are of the pool's family into a subnet pool. Sent again it
    /// says `repeated`.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, `DELETING`, `POOL_AFFINITY`, `SCOPE_AFFINITY`, `PREFIX_TAKEN`,
    /// `OUTSIDE_POOL`, `SCOPE_OVERLAP`, `LENGTH_BELOW_MIN`, `LENGTH_ABOVE_MAX`, `QUOTA`, `LIMIT`;
    /// others see [`Error`].
    pub async fn subnet_onboard(
        &self,
        network: NetworkId,
        subnet_pool_id: PoolId,
        expected: Revision,
    ) -> Result<SubnetPool, Error> {
        let request = Request::SubnetOnboard(SubnetOnboard { subnet_pool_id, expected });
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Pool)?)
    }

    /// The prefix that a request would get from a subnet pool.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, and whatever the request would be; others see [`Error`].
    pub async fn pool_preview(&self, id: PoolId, preview: PoolPreview) -> Result<Prefix, Error> {
        let request = Request::PoolPreview(Box::new(preview));
        let reply = self.call(&self.scope(NetworkId(id.0)), &request).await?;
        Ok(expect_reply!(reply, Previewed)?.cidr)
    }
}
