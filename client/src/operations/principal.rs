//! Principals and their tokens. They belong to no project, whichever the client is of.

use super::{Page, Pages, expect_reply};
use crate::client::Client;
use crate::error::Error;
use addrd_protocol::message::{
    PageRequest, Principal, PrincipalCreate, PrincipalDelete, PrincipalGet, PrincipalList,
    PrincipalUpdate, Reply, Request, TokenCreate, TokenRevoke,
};
use addrd_protocol::{NetworkId, PrincipalId, Revision, Text};

impl Client {
    /// Creates a principal under an id of the caller's choice. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `ID_IN_USE`, `NAME_IN_USE`, `LIMIT`; others see [`Error`].
    pub async fn principal_create(&self, create: PrincipalCreate) -> Result<Principal, Error> {
        self.principal(&Request::PrincipalCreate(Box::new(create))).await
    }

    /// Reads a principal.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn principal_get(&self, principal_id: PrincipalId) -> Result<Principal, Error> {
        let get = PrincipalGet { principal_id, name: None };
        self.principal(&Request::PrincipalGet(Box::new(get))).await
    }

    /// Finds a principal by its exact name.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn principal_find(&self, name: Text) -> Result<Principal, Error> {
        let get = PrincipalGet { name: Some(name), ..PrincipalGet::default() };
        self.principal(&Request::PrincipalGet(Box::new(get))).await
    }

    /// All principals, ordered by id; with a prefix only those whose name starts so.
    #[must_use]
    pub fn principals(&self, name_prefix: Option<Text>) -> Pages<Principal> {
        let request = move |page: PageRequest| {
            let name_prefix = name_prefix.clone();
            Request::PrincipalList(Box::new(PrincipalList { page, name_prefix }))
        };
        Pages::new(self, NetworkId::NIL, request, |reply| {
            let page = expect_reply!(reply, Principals)?;
            let position = Some(page.position);
            Ok(Page { position, items: page.items, next: page.next })
        })
    }

    /// Changes a principal. Lists are replaced as a whole.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`, `NAME_IN_USE`; others see [`Error`].
    pub async fn principal_update(&self, update: PrincipalUpdate) -> Result<Principal, Error> {
        self.principal(&Request::PrincipalUpdate(Box::new(update))).await
    }

    /// Deletes a principal with its tokens.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `STALE`; others see [`Error`].
    pub async fn principal_delete(
        &self,
        principal_id: PrincipalId,
        expected: Revision,
    ) -> Result<(), Error> {
        let request = Request::PrincipalDelete(PrincipalDelete { principal_id, expected });
        match self.call(&self.scope(NetworkId::NIL), &request).await? {
            Reply::Empty => Ok(()),
            other => Err(super::unexpected(&other)),
        }
    }

    /// Gives a principal a token that the caller has made; its principal then. Sent again it says `repeated`.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`, `ID_IN_USE`, `LIMIT`; others see [`Error`].
    pub async fn token_create(&self, create: TokenCreate) -> Result<Principal, Error> {
        self.principal(&Request::TokenCreate(Box::new(create))).await
    }

    /// Ends a token, now or soon; its principal then.
    ///
    /// # Errors
    /// Refused: `NOT_FOUND`; others see [`Error`].
    pub async fn token_revoke(&self, revoke: TokenRevoke) -> Result<Principal, Error> {
        self.principal(&Request::TokenRevoke(revoke)).await
    }

    async fn principal(&self, request: &Request) -> Result<Principal, Error> {
        Ok(*expect_reply!(self.call(&self.scope(NetworkId::NIL), request).await?, Principal)?)
    }
}
