//! Allocations: allocate, release, update, batch, get, list, lookup.

use super::{Page, Pages, expect_reply, unexpected};
use crate::client::{Client, Scope};
use crate::error::Error;
use addrd_protocol::message::{
    Allocate, AllocateFlags, Allocated, Allocation, AllocationFilter, AllocationGet,
    AllocationList, AllocationUpdate, Batch, BatchReply, FamilyChoice, Lookup, Lookups,
    PageRequest, Release, Released, Renew, RenewOwner, Renewed, RenewedOwner, Reply, Request,
    Strategy, Target, Transaction, Transfer,
};
use addrd_protocol::{Instance, NetworkId, OwnerId, Slot};

/// A request for any single address, without anything rare: slot 0, strategy of the subnet.
#[must_use]
pub fn plain_allocate(owner: OwnerId) -> Allocate {
    Allocate {
        owner,
        slot: Slot(0),
        instance: Instance(0),
        family: FamilyChoice::One,
        strategy: Strategy::Default,
        length: None,
        flags: AllocateFlags::default(),
        extras: None,
    }
}

impl Client {
    /// Allocates for (network, owner, slot). Sent again it gives the same address and says
    /// `repeated`.
    ///
    /// ```
    /// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), addrd_client::Error> {
    /// # let place = peer::start();
    /// # let client = addrd_client::Client::connect(addrd_client::Settings::to([place.as_str()])?).await?;
    /// # use addrd_client::protocol::{NetworkId, OwnerId, Status};
    /// # let blue = NetworkId::from_u128(0xb1);
    /// use addrd_client::plain_allocate;
    ///
    /// match client.allocate(blue, plain_allocate(OwnerId::from_text("web-1"))).await {
    ///     Ok(got) => println!("{}/{}", got.first.address, got.first.subnet_length),
    ///     Err(error) if error.is(Status::EXHAUSTED) => println!("blue is full"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Refused: `EXHAUSTED`, `ADDRESS_TAKEN`, `KEY_IN_USE`, `HELD_BY_OTHER_INSTANCE`, `QUOTA`,
    /// `NO_MATCHING_SUBNET`, `IS_GATEWAY`, `EXCLUDED`, `NOT_FOUND`; others see [`Error`].
    pub async fn allocate(
        &self,
        network: NetworkId,
        allocate: Allocate,
    ) -> Result<Allocated, Error> {
        let request = Request::Allocate(allocate);
        expect_reply!(self.call(&self.scope(network), &request).await?, Allocated)
    }

    /// Releases an allocation. `None`: nothing was held, or it was released before.
    ///
    /// ```
    /// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), addrd_client::Error> {
    /// # let place = peer::start();
    /// # let client = addrd_client::Client::connect(addrd_client::Settings::to([place.as_str()])?).await?;
    /// # use addrd_client::protocol::{NetworkId, OwnerId, Revision, Slot};
    /// # let (blue, mine) = (NetworkId::from_u128(0xb1), Revision(2));
    /// use addrd_client::protocol::message::{Fences, Release, Target};
    ///
    /// // Only this life of the allocation: a later one of the same owner is not touched.
    /// let fences = Fences { revision: Some(mine), ..Fences::default() };
    /// let target = Target::Key { owner: OwnerId::from_text("web-1"), slot: Slot(0) };
    /// client.release(blue, Release { target, fences, any: false }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Refused: `STALE`, `NOT_HOLDER`, `NOT_FOUND` (the network); others see [`Error`].
    pub async fn release(
        &self,
        network: NetworkId,
        release: Release,
    ) -> Result<Option<Released>, Error> {
        let request = Request::Release(release);
        match self.call(&self.scope(network), &request).await? {
            Reply::Released(released) => Ok(Some(released)),
            Reply::Empty => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets the lease of an allocation end so long after the server reads this.
    ///
    /// Count the time left from when this was *sent*, so that the client gives up before the server
    /// does.
    ///
    /// # Errors
    /// Refused: `EXPIRED` (allocate again), `STALE`, `NOT_HOLDER`, `NOT_FOUND` (the network); others
    /// see [`Error`].
    pub async fn renew(&self, network: NetworkId, renew: Renew) -> Result<Renewed, Error> {
        let request = Request::Renew(renew);
        expect_reply!(self.call(&self.scope(network), &request).await?, Renewed)
    }

    /// The same for all leases that an owner has in a network; without one (all zero) in all of the project.
    ///
    /// # Errors
    /// Refused: `EXPIRED` if it holds nothing there, `LIMIT`, `NOT_FOUND` (the network); others see
    /// [`Error`].
    pub async fn renew_owner(
        &self,
        network: NetworkId,
        renew: RenewOwner,
    ) -> Result<RenewedOwner, Error> {
        let request = Request::RenewOwner(renew);
        expect_reply!(self.call(&self.scope(network), &request).await?, RenewedOwner)
    }

    /// Changes what is written beside an allocation.
    ///
    /// # Errors
    /// Refused: `STALE`, `NOT_HOLDER`, `NOT_FOUND`; others see [`Error`].
    pub async fn allocation_update(
        &self,
        network: NetworkId,
        update: AllocationUpdate,
    ) -> Result<Allocation, Error> {
        let request = Request::AllocationUpdate(Box::new(update));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Allocation)?)
    }

    /// Gives an allocation another owner, slot, instance or project; it keeps its address, and gets a new
    /// revision.
    ///
    /// # Errors
    /// Refused: `STALE`, `NOT_HOLDER`, `NOT_FOUND`, `KEY_IN_USE`, `OTHER_TOKEN`, `PINNED`, `HELD_BY_OBJECT`,
    /// `QUOTA`, `RESTING_LIMIT`; others see [`Error`].
    pub async fn transfer(
        &self,
        network: NetworkId,
        transfer: Transfer,
    ) -> Result<Allocation, Error> {
        let request = Request::Transfer(Box::new(transfer));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Allocation)?)
    }

    /// Up to 1,024 items in one frame. It takes the lane of its first item's owner: see
    /// [`Client::lane_of`].
    ///
    /// # Errors
    /// Refused: an all-or-nothing batch, with the number of the item in its way; results of
    /// independent items are in the reply. Others see [`Error`].
    pub async fn batch(&self, network: NetworkId, batch: Batch) -> Result<BatchReply, Error> {
        let request = Request::Batch(Box::new(batch));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Batch)?)
    }

    /// Up to 1,024 items on several networks and subnet pools, all or nothing. It takes the lane of
    /// its first item's owner: see [`Client::lane_of`].
    ///
    /// # Errors
    /// Refused, with the number of the item in the way: nothing was done. Others see [`Error`].
    pub async fn transaction(&self, transaction: Transaction) -> Result<BatchReply, Error> {
        // Its items say where they are.
        let scope = Scope { pool: false, restoring: false, ..self.scope(NetworkId::NIL) };
        let request = Request::Transaction(Box::new(transaction));
        Ok(*expect_reply!(self.call(&scope, &request).await?, Batch)?)
    }

    /// Reads one allocation.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn allocation_get(
        &self,
        network: NetworkId,
        target: Target,
    ) -> Result<Allocation, Error> {
        let request = Request::AllocationGet(Box::new(AllocationGet { target }));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Allocation)?)
    }

    /// Allocations of a network that match, ordered by subnet and address.
    #[must_use]
    pub fn allocations(&self, network: NetworkId, filter: AllocationFilter) -> Pages<Allocation> {
        let request = move |page: PageRequest| {
            Request::AllocationList(Box::new(AllocationList { page, filter: filter.clone() }))
        };
        Pages::new(self, network, request, |reply| {
            let page = expect_reply!(reply, Allocations)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Finds allocations by address or owner; without a network (all zero) in all of the project.
    ///
    /// # Errors
    /// See [`Error`]; finding nothing is no error.
    pub async fn lookup(&self, network: NetworkId, lookup: Lookup) -> Result<Lookups, Error> {
        let request = Request::Lookup(Box::new(lookup));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Lookups)?)
    }
}
