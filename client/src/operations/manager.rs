//! Managers and hosts: which there are, and what lives on them.

use super::{Page, Pages, expect_reply, goes_on};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::NetworkId;
use addrd_protocol::message::reconcile::{RECONCILE_LIVE_MAX, RECONCILE_PARTS_MAX};
use addrd_protocol::message::{
    Allocation, Live, ManagerList, ManagerUse, PageRequest, Reconcile, Reconciled, Request,
    SuspectList,
};

/// How often all parts of a call are sent in all: a server that restarts meanwhile has forgotten those before.
const ROUNDS_MAX: usize = 3;

impl Client {
    /// One part of what lives on a host, in a network or (all zero) in all.
    ///
    /// # Errors
    /// Refused: `RECONCILE_STALE`, `RECONCILE_DIFFERS`, `LIMIT`, `NOT_FOUND` (the network); others see [`Error`].
    pub async fn reconcile_part(
        &self,
        network: NetworkId,
        part: Reconcile,
    ) -> Result<Reconciled, Error> {
        let request = Request::Reconcile(Box::new(part));
        Ok(*expect_reply!(self.call(&self.scope(network), &request).await?, Reconciled)?)
    }

    /// Everything that lives on a host, in as many parts as it takes. `call` has all but that: its `live`, `part` and
    /// `parts` are not looked at.
    ///
    /// The list must have been made after the call before it was answered, and have what is on its way to the host.
    /// The reply sums up what the parts named; `complete` is false if the server forgot parts again and again.
    ///
    /// # Errors
    /// As [`Client::reconcile_part`]; more than 2,097,152 entries are refused by the server as `OUT_OF_RANGE`.
    pub async fn reconcile(
        &self,
        network: NetworkId,
        call: &Reconcile,
        live: &[Live],
    ) -> Result<Reconciled, Error> {
        let chunks: Vec<&[Live]> = match live {
            [] => vec![&[]],
            live => live.chunks(RECONCILE_LIVE_MAX).collect(),
        };
        let parts = u16::try_from(chunks.len()).unwrap_or(RECONCILE_PARTS_MAX + 1);
        let mut all = Reconciled::default();
        for _ in 0..ROUNDS_MAX {
            all = Reconciled::default();
            for (part, live) in (0..).zip(&chunks) {
                let part = Reconcile { part, parts, live: live.to_vec(), ..call.clone() };
                let told = self.reconcile_part(network, part).await?;
                all = Reconciled {
                    listed: all.listed + told.listed,
                    elsewhere: all.elsewhere + told.elsewhere,
                    other_instance: all.other_instance + told.other_instance,
                    ..told
                };
            }
            if all.complete {
                break;
            }
        }
        Ok(all)
    }

    /// What the last calls missed, in a network or (all zero) in all, in no order. The cursor of the filter is not
    /// looked at.
    ///
    /// What is suspect through the whole listing appears exactly once. Pages are as large as the server likes. Refused:
    /// `NOT_FOUND` (the network), `STALE` (between two pages the server was restarted or restored, or forgot what calls
    /// missed: list again from the start). A server that tells 256 at most and has more is an [`Error::Protocol`].
    #[must_use]
    pub fn suspects(&self, network: NetworkId, filter: SuspectList) -> Pages<Allocation> {
        let request = move |page: PageRequest| {
            Request::SuspectList(Box::new(SuspectList { cursor: page.cursor, ..filter.clone() }))
        };
        Pages::new(self, network, request, |reply| {
            let page = expect_reply!(reply, Suspects)?;
            if page.more && page.next.is_none() {
                let message = "the server has more suspects than it can list";
                return Err(Error::Protocol(message.to_owned()));
            }
            Ok(Page { position: None, items: page.allocations, next: page.next })
        })
    }

    /// Managers of the project by name, or the hosts of one.
    ///
    /// Shape: asks again until the list is complete.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn managers(&self, list: ManagerList) -> Result<Vec<ManagerUse>, Error> {
        let mut items = Vec::new();
        let mut list = list;
        loop {
            let request = Request::ManagerList(Box::new(list.clone()));
            let reply = self.call(&self.scope(NetworkId::NIL), &request).await?;
            let page = *expect_reply!(reply, Managers)?;
            let last = page.items.last().map(|item| item.name.clone().unwrap_or_default());
            items.extend(page.items);
            if !page.more {
                return Ok(items);
            }
            goes_on(last.is_some() && last > list.after)?;
            list.after = last;
        }
    }
}
