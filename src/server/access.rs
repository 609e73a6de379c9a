//! Who somebody is who says HELLO, and who is still so when principals change. Decides on what was shown and on the
//! table of principals; never on what there is.
//!
//! Source: docs/decisions/0039-access.md.

use super::admission::Peer;
use super::decider::Decider;
use super::origin::Origin;
use super::shared::Shared;
use super::tls::CertificateName;
use crate::access::{Actor, Known, Reach, Shown, Table, hash_of, is_same};
use crate::config::Config;
use crate::limits::ACCESS_LOOK_MS;
use crate::model::{PrincipalId, Text, Tick, TokenHash, TokenId};
use addrd_protocol::Token;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// The rules by which somebody is let in.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    /// Who shows nothing that is known is refused.
    is_required: bool,
    /// The token of the operator.
    operator_token: Option<(TokenId, TokenHash)>,
    /// Users of this machine who are the operator over the Unix socket.
    operator_users: Vec<u32>,
    /// Nobody administers the server over the network.
    is_local_alone: bool,
}

/// As whom a connection acts, and by what.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) actor: Actor,
    evidence: Evidence,
}

/// All that speaks for who somebody is.
#[derive(Clone, Debug)]
struct Evidence {
    token: Option<(TokenId, TokenHash)>,
    certificate: Option<Text>,
    user: Option<u32>,
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
    /// The principal is disabled.
    Disabled(PrincipalId),
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
            is_local_alone: config.local_administration,
        }
    }

    /// What may be asked for from there.
    #[inline]
    pub(super) fn reach(&self, origin: &Origin) -> Reach {
        match origin.peer {
            Peer::Address(_) if self.is_local_alone => Reach::NoAdministration,
            Peer::Address(_) | Peer::Local => Reach::Everything,
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
        let evidence = Evidence {
            token: token.map(|token| (token.id, hash_of(token))),
            certificate: origin.name.as_ref().map(CertificateName::to_text),
            user: origin.user,
        };
        let actor = self.judge(table, now, &evidence)?;
        Ok(Identity { actor, evidence })
    }

    /// Whether the same evidence still makes it who it was, with the same rights.
    pub(super) fn is_still(&self, identity: &Identity, table: &Table, now: Tick) -> bool {
        let judged = self.judge(table, now, &identity.evidence);
        judged.is_ok_and(|actor| actor.is_same(&identity.actor))
    }

    fn judge(&self, table: &Table, now: Tick, evidence: &Evidence) -> Result<Actor, Stranger> {
        let Evidence { token, certificate, user } = evidence;
        if let Some((id, hash)) = token {
            return self.judge_token(table, now, *id, hash);
        }
        let certificate = certificate.clone().map(Shown::Certificate);
        for shown in [certificate, user.map(Shown::User)].into_iter().flatten() {
            if let Some(known) = table.find(&shown, now) {
                return allowed(known);
            }
        }
        match user {
            Some(user) if self.operator_users.contains(user) => Ok(Actor::Operator),
            _ if !self.is_required => Ok(Actor::Anybody),
            Some(user) => Err(Stranger::User(*user)),
            None if evidence.certificate.is_some() => Err(Stranger::Certificate),
            None => Err(Stranger::Nothing),
        }
    }

    /// A token that isn't good is never passed over for another way.
    fn judge_token(
        &self,
        table: &Table,
        now: Tick,
        id: TokenId,
        hash: &TokenHash,
    ) -> Result<Actor, Stranger> {
        let own = self.operator_token.as_ref();
        let found = table.find(&Shown::Token(id, *hash), now);
        match found {
            _ if own.is_some_and(|(own, kept)| *own == id && is_same(kept, hash)) => {
                Ok(Actor::Operator)
            }
            Some(known) => allowed(known),
            None => Err(Stranger::Token(id)),
        }
    }
}

/// Who is disabled is nobody, and neither the operator nor anybody by another way.
fn allowed(known: Arc<Known>) -> Result<Actor, Stranger> {
    if known.disabled { Err(Stranger::Disabled(known.id)) } else { Ok(Actor::Principal(known)) }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "no good token has the id {id} and this secret"),
            Self::Certificate => f.write_str("no principal has the name of this certificate"),
            Self::User(user) => write!(f, "no principal is user {user}"),
            Self::Disabled(id) => write!(f, "principal {id} is disabled"),
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
            let ended = shared.crowd.end_strangers(&shared.doorkeeper, &table, now);
            tracing::info!(ended, "principals or tokens changed");
        }
        (seen, looked) = (changes, now);
    }
}

/// Ends the connections of clients whose certificates would be let in no more: their CA was struck, or their term is over;
/// for ever. Nothing to do without TLS.
pub(super) async fn watch_certificates<D: Decider>(shared: &Arc<Shared<D>>) -> Infallible {
    let Some(tls) = shared.tls.clone() else { return std::future::pending().await };
    loop {
        let doubtful = shared.crowd.doubtful(tls.judging());
        let judge = Arc::clone(&tls);
        let judged = match doubtful.is_empty() {
            true => Vec::new(),
            // A panic in it was reported, and a later look asks again.
            false => spawn_blocking(move || judge.judge(doubtful)).await.unwrap_or_default(),
        };
        if judged.is_empty() {
            tokio::time::sleep(Duration::from_millis(ACCESS_LOOK_MS)).await;
            continue;
        }
        let ended = shared.crowd.judged(judged);
        if ended > 0 {
            tracing::info!(ended, "certificates of clients were struck or are over");
        }
    }
}
