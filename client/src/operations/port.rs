//! Ports, segments, hosts and pins.

use super::{Page, Pages, expect_reply};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::message::{
    HostList, HostMapping, PageRequest, Pin, PinCreate, PinDelete, PinList, Port, PortCreate,
    PortDelete, PortFilter, PortGet, PortList, PortUpdate, Request, Segment, SegmentCreate,
    SegmentDelete, SegmentGet, SegmentHosts, SegmentList, SegmentUpdate,
};
use addrd_protocol::{NetworkId, PortId, SegmentId, SubnetId, Text};

impl Client {
    /// Creates a port with its addresses under an id of the caller's choice. Sent again it says
    /// `repeated`.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `MAC_IN_USE`, `EXHAUSTED`, `ADDRESS_TAKEN`, `NO_MATCHING_SUBNET`, `QUOTA`,
    /// `HOST_NOT_CONNECTED` and the like, and nothing is done; others see [`Error`].
    pub async fn port_create(&self, network: NetworkId, create: PortCreate) -> Result<Port, Error> {
        self.port(network, Request::PortCreate(Box::new(create))).await
    }

    /// Reads a port.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn port_get(&self, network: NetworkId, port_id: PortId) -> Result<Port, Error> {
        self.port(network, Request::PortGet(PortGet { port_id })).await
    }

    /// Ports of a network in the order in which they were made.
    #[must_use]
    pub fn ports(&self, network: NetworkId, filter: PortFilter) -> Pages<Port> {
        let request = move |page: PageRequest| {
            Request::PortList(Box::new(PortList { page, filter: filter.clone() }))
        };
        Pages::new(self, network, request, |reply| {
            let page = expect_reply!(reply, Ports)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes a port and its addresses.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, `HOST_NOT_COMPATIBLE`, and those of a creation, and nothing
    /// is done; others see [`Error`].
    pub async fn port_update(&self, network: NetworkId, update: PortUpdate) -> Result<Port, Error> {
        self.port(network, Request::PortUpdate(Box::new(update))).await
    }

    /// Deletes a port and releases its addresses.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`; others see [`Error`].
    pub async fn port_delete(&self, network: NetworkId, delete: PortDelete) -> Result<(), Error> {
        self.empty(network, Request::PortDelete(delete)).await
    }

    /// Creates a segment. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `LIMIT`; others see [`Error`].
    pub async fn segment_create(
        &self,
        network: NetworkId,
        create: SegmentCreate,
    ) -> Result<Segment, Error> {
        self.segment(network, Request::SegmentCreate(Box::new(create))).await
    }

    /// Reads a segment.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn segment_get(
        &self,
        network: NetworkId,
        segment_id: SegmentId,
    ) -> Result<Segment, Error> {
        self.segment(network, Request::SegmentGet(SegmentGet { segment_id })).await
    }

    /// Segments of a network in the order in which they were made.
    #[must_use]
    pub fn segments(&self, network: NetworkId) -> Pages<Segment> {
        let request = |page: PageRequest| Request::SegmentList(Box::new(SegmentList { page }));
        Pages::new(self, network, request, |reply| {
            let page = expect_reply!(reply, Segments)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes a segment.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`; others see [`Error`].
    pub async fn segment_update(
        &self,
        network: NetworkId,
        update: SegmentUpdate,
    ) -> Result<Segment, Error> {
        self.segment(network, Request::SegmentUpdate(Box::new(update))).await
    }

    /// Deletes a segment that no subnet is on.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, `IN_USE`; others see [`Error`].
    pub async fn segment_delete(
        &self,
        network: NetworkId,
        delete: SegmentDelete,
    ) -> Result<(), Error> {
        self.empty(network, Request::SegmentDelete(delete)).await
    }

    /// Maps hosts to a segment and takes others away, in one step.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `LIMIT`; invalid: `CONFLICTING_FIELDS`; others see [`Error`].
    pub async fn segment_hosts(
        &self,
        network: NetworkId,
        hosts: SegmentHosts,
    ) -> Result<Segment, Error> {
        self.segment(network, Request::SegmentHosts(Box::new(hosts))).await
    }

    /// Mappings of hosts to segments in the order in which they were made.
    #[must_use]
    pub fn hosts(
        &self,
        network: NetworkId,
        segment_id: Option<SegmentId>,
        host: Option<Text>,
    ) -> Pages<HostMapping> {
        let request = move |page: PageRequest| {
            Request::HostList(Box::new(HostList { page, segment_id, host: host.clone() }))
        };
        Pages::new(self, network, request, |reply| {
            let page = expect_reply!(reply, Hosts)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Keeps an address for an owner's slot. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `PINNED`, `INVALID_ADDRESS`, `EXCLUDED`, `LIMIT`; others see [`Error`].
    pub async fn pin_create(&self, network: NetworkId, create: PinCreate) -> Result<Pin, Error> {
        let request = Request::PinCreate(Box::new(create));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Pin)?)
    }

    /// Ends the pin of an address.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn pin_delete(&self, network: NetworkId, delete: PinDelete) -> Result<(), Error> {
        self.empty(network, Request::PinDelete(delete)).await
    }

    /// Pins of a network in the order in which they were made.
    #[must_use]
    pub fn pins(&self, network: NetworkId, subnet_id: Option<SubnetId>) -> Pages<Pin> {
        let request =
            move |page: PageRequest| Request::PinList(Box::new(PinList { page, subnet_id }));
        Pages::new(self, network, request, |reply| {
            let page = expect_reply!(reply, Pins)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    async fn port(&self, network: NetworkId, request: Request) -> Result<Port, Error> {
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Port)?)
    }

    async fn segment(&self, network: NetworkId, request: Request) -> Result<Segment, Error> {
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Segment)?)
    }

    async fn empty(&self, network: NetworkId, request: Request) -> Result<(), Error> {
        match self.call(&self.scope(network), &request).await? {
            addrd_protocol::message::Reply::Empty => Ok(()),
            other => Err(super::unexpected(&other)),
        }
    }
}
