//! Subnets, their exclusions and free ranges.

use super::{Deleted, Page, Pages, expect_reply};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::NetworkId;
use addrd_protocol::message::{
    FreeRanges, FreeRangesReply, PageRequest, Request, Subnet, SubnetCreate, SubnetDelete,
    SubnetExclude, SubnetGet, SubnetInclude, SubnetList, SubnetName, SubnetUpdate,
};

impl Client {
    /// Creates a subnet under an id of the caller's choice. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `ID_IN_USE`, `NAME_IN_USE`, `PREFIX_OVERLAP`, `POOL_OVERLAP`,
    /// `GATEWAY_IN_POOL`, `LIMIT`; invalid: `INVALID_PREFIX`, `INVALID_GATEWAY`, `POOL_OUTSIDE`;
    /// others see [`Error`].
    pub async fn subnet_create(
        &self,
        network: NetworkId,
        create: SubnetCreate,
    ) -> Result<Subnet, Error> {
        self.subnet(network, Request::SubnetCreate(Box::new(create))).await
    }

    /// Reads a subnet by id, name or prefix.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn subnet_get(
        &self,
        network: NetworkId,
        subnet: SubnetName,
    ) -> Result<Subnet, Error> {
        self.subnet(network, Request::SubnetGet(Box::new(SubnetGet { subnet }))).await
    }

    /// Subnets of a network, ordered by family and prefix.
    #[must_use]
    pub fn subnets(&self, network: NetworkId) -> Pages<Subnet> {
        let request = |page: PageRequest| Request::SubnetList(Box::new(SubnetList { page }));
        Pages::new(self, network, request, |reply| {
            let page = expect_reply!(reply, Subnets)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes a subnet.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, and those of a creation; others see [`Error`].
    pub async fn subnet_update(
        &self,
        network: NetworkId,
        update: SubnetUpdate,
    ) -> Result<Subnet, Error> {
        self.subnet(network, Request::SubnetUpdate(Box::new(update))).await
    }

    /// Deletes a subnet; with live allocations only if forced, as a job.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `IN_USE`, `STALE`; others see [`Error`].
    pub async fn subnet_delete(
        &self,
        network: NetworkId,
        delete: SubnetDelete,
    ) -> Result<Deleted, Error> {
        self.delete(&self.scope(network), &Request::SubnetDelete(delete)).await
    }

    /// Keeps a range of a subnet from being handed out; names what is live in it.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `LIMIT`; invalid: `OUT_OF_RANGE`; others see [`Error`].
    pub async fn subnet_exclude(
        &self,
        network: NetworkId,
        exclude: SubnetExclude,
    ) -> Result<Subnet, Error> {
        self.subnet(network, Request::SubnetExclude(Box::new(exclude))).await
    }

    /// Ends the exclusion of exactly this range.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn subnet_include(
        &self,
        network: NetworkId,
        include: SubnetInclude,
    ) -> Result<Subnet, Error> {
        self.subnet(network, Request::SubnetInclude(Box::new(include))).await
    }

    /// Free ranges of a subnet's pools, in rising order; one page, which says where to go on.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn free_ranges(
        &self,
        network: NetworkId,
        wanted: FreeRanges,
    ) -> Result<FreeRangesReply, Error> {
        let request = Request::FreeRanges(Box::new(wanted));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, FreeRanges)?)
    }

    async fn subnet(&self, network: NetworkId, request: Request) -> Result<Subnet, Error> {
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Subnet)?)
    }
}
