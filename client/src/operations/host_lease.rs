//! Leases of hosts, and which hosts have one.

use super::{expect_reply, goes_on};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::NetworkId;
use addrd_protocol::message::{
    EndHost, EndedHost, HostLease, HostLeaseList, RenewHost, RenewedHost, Request,
};

impl Client {
    /// Begins the lease of a host, or lets it go on.
    ///
    /// # Errors
    /// Refused: `NO_HOST_LEASE` (there is none, and no life begins), `EXPIRED` (it has ended: begin a later life),
    /// `HOST_LIFE_STALE`, `LIMIT`, `NOT_FOUND` (the project); others see [`Error`].
    pub async fn renew_host(&self, lease: RenewHost) -> Result<RenewedHost, Error> {
        let request = Request::RenewHost(Box::new(lease));
        let reply = self.call(&self.scope(NetworkId::NIL), &request).await?;
        expect_reply!(reply, RenewedHost)
    }

    /// Ends the lease of a host now. With `report` in as many requests as it takes; the first reply's count is told.
    ///
    /// # Errors
    /// Refused: `NO_HOST_LEASE`; others see [`Error`].
    pub async fn end_host(&self, end: EndHost) -> Result<EndedHost, Error> {
        let request = Request::EndHost(Box::new(end));
        let mut first = None;
        loop {
            let reply = self.call(&self.scope(NetworkId::NIL), &request).await?;
            let ended = expect_reply!(reply, EndedHost)?;
            let told = *first.get_or_insert(ended);
            if !ended.more {
                return Ok(EndedHost { more: false, ..told });
            }
        }
    }

    /// Hosts of a manager that have a lease, by name.
    ///
    /// Shape: asks again until the list is complete.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn host_leases(&self, list: HostLeaseList) -> Result<Vec<HostLease>, Error> {
        let (mut items, mut list) = (Vec::new(), list);
        loop {
            let request = Request::HostLeaseList(Box::new(list.clone()));
            let reply = self.call(&self.scope(NetworkId::NIL), &request).await?;
            let page = *expect_reply!(reply, HostLeases)?;
            let last = page.items.last().map(|item| item.host.clone());
            items.extend(page.items);
            if !page.more {
                return Ok(items);
            }
            goes_on(last.is_some() && last > list.after)?;
            list.after = last;
        }
    }
}
