//! Who somebody is who says HELLO, and who is still so when principals change. Decides on what was shown and on the
//! table of principals; never on what there is.
//!
//! Source: docs/decisions/0039-access.md.

use super::decider::Decider;
use super::origin::Origin;
use super::shared::Shared;
use crate::access::{Actor, Shown, Table, hash_of, is_same};
use crate::config::Config;
use crate::limits::ACCESS_LOOK_MS;
use crate::model::{Tick, TokenHash, TokenId};
use addrd_protocol::Token;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The rules by which somebody is let in.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    /// Who shows nothing that is known is refused.
    is_required: bool,
    /// The token of the operator.
    operator_token: Option<(TokenId, TokenHash)>,
    /// Users of this machine who are the operator over the Unix socket.
    operator_users: Vec<u32>,
}

/// As whom a connection acts, and what it showed to that end.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) actor: Actor,
    pub(super) shown: Shown,
}

/// Why somebody isn't let in: for the operator's log, never for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// No principal has the token, or it has ended, or its secret is another.
    Token(TokenId),
    /// No principal has the name of the certificate.
    Certificate,
    /// No principal is the user.
    User(u32),
    /// Nothing was shown.
    Nothing,
}

impl Doorkeeper {
    /// By the settings; `operator_token` is the one of `operator_token_file`.
    pub(super) fn new(config: &Config, operator_token: Option<&Token>) -> Self {
        let own = rustix::process::geteuid().as_raw();
        Self {
            is_required: config.authentication,
            operator_token: operator_token.map(|token| (token.id, hash_of(token))),
            operator_users: if config.local_operator { vec![0, own] } else { Vec::new() },
        }
    }

    /// Who it is.
    ///
    /// # Errors
    /// [`Stranger`]: nobody who is let in.
    pub(super) fn identify(
        &self,
        table: &Table,
        now: Tick,
        origin: &Origin,
        token: Option<&Token>,
    ) -> Result<Identity, Stranger> {
        if let Some(token) = token {
            return self.identify_token(table, now, token);
        }
        let name = origin.name.as_ref();
        let certificate = name.map(|name| Shown::Certificate(name.to_text()));
        let user = origin.user.map(Shown::User);
        for shown in [certificate, user].into_iter().flatten() {
            if let Some(known) = table.find(&shown, now) {
                return Ok(Identity { actor: Actor::Principal(known), shown });
            }
        }
        let nobody = |actor| Identity { actor, shown: Shown::Nothing };
        match origin.user {
            Some(user) if self.operator_users.contains(&user) => Ok(nobody(Actor::Operator)),
            _ if !self.is_required => Ok(nobody(Actor::Anybody)),
            Some(user) => Err(Stranger::User(user)),
            None if origin.name.is_some() => Err(Stranger::Certificate),
            None => Err(Stranger::Nothing),
        }
    }

    fn identify_token(
        &self,
        table: &Table,
        now: Tick,
        token: &Token,
    ) -> Result<Identity, Stranger> {
        let hash = hash_of(token);
        let is_operator =
            self.operator_token.is_some_and(|(id, own)| id == token.id && is_same(&own, &hash));
        let shown = Shown::Token(token.id, hash);
        match table.find(&shown, now) {
            _ if is_operator => Ok(Identity { actor: Actor::Operator, shown: Shown::Nothing }),
            Some(known) => Ok(Identity { actor: Actor::Principal(known), shown }),
            None => Err(Stranger::Token(token.id)),
        }
    }
}

impl Identity {
    /// Whether it is still who it was, with the same grants.
    pub(super) fn is_still(&self, table: &Table, now: Tick) -> bool {
        match &self.actor {
            Actor::Anybody | Actor::Operator => true,
            Actor::Principal(known) => {
                table.find(&self.shown, now).is_some_and(|found| found == *known)
            }
        }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "no good token has the id {id} and this secret"),
            Self::Certificate => f.write_str("no principal has the name of this certificate"),
            Self::User(user) => write!(f, "no principal is user {user}"),
            Self::Nothing => f.write_str("neither token nor certificate was shown"),
        }
    }
}

/// Ends the connections of those who are nobody any more, or whose grants have changed; for ever.
pub(super) async fn watch_access<D: Decider>(shared: &Arc<Shared<D>>) -> Infallible {
    let (mut seen, mut looked) = (0, shared.decider.clock().tick());
    loop {
        tokio::time::sleep(Duration::from_millis(ACCESS_LOOK_MS)).await;
        let desk = shared.decider.access();
        let (changes, now) = (desk.changes(), shared.decider.clock().tick());
        let table = desk.table();
        let has_ended = table.next_end(looked).is_some_and(|end| end <= now);
        if changes != seen || has_ended {
            let ended = shared.crowd.end_strangers(&table, now);
            tracing::info!(ended, "principals or tokens changed");
        }
        (seen, looked) = (changes, now);
    }
}
