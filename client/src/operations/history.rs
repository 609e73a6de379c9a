//! What was: who held an address, what an owner held.

use super::{expect_reply, goes_on};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::NetworkId;
use addrd_protocol::message::{History, HistoryPage, Request};

impl Client {
    /// A page of history: changes of an address, or of what an owner holds, in a network or (all zero) in
    /// all. While `next` is there, ask again with it as the cursor; pages without any entry may come
    /// before the last one.
    ///
    /// # Errors
    /// Refused: `HISTORY_OFF`, `NOT_FOUND` (the network), `OUT_OF_RANGE` (the cursor); [`Error::Protocol`] if it goes on where
    /// it was asked to go on already; others see [`Error`].
    pub async fn history(
        &self,
        network: NetworkId,
        question: History,
    ) -> Result<HistoryPage, Error> {
        let cursor = question.cursor.clone();
        let request = Request::History(Box::new(question));
        let page = *expect_reply!(self.call(&self.scope(network), &request).await?, History)?;
        goes_on(page.next.is_none() || page.next != cursor)?;
        Ok(page)
    }
}
