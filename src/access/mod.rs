//! Who may do what. Pure: decides on what somebody has shown, on grants, and on the ids of a request; never looks at
//! what there is, so that what doesn't exist and what one may not see are answered alike.
//!
//! Source: docs/decisions/0039-access.md, docs/access.md.

mod authorize;
mod table;
#[cfg(test)]
mod tests;

pub use authorize::{Ask, Authorized, Denied, Needs, Reach, is_administrative, needs_of};
pub use table::{Known, Shown, Table, hash_of, is_same};

use crate::model::Asker;
use std::sync::Arc;

/// As whom a connection acts.
#[derive(Clone, Debug)]
pub enum Actor {
    /// Nobody is asked who he is, and everybody may do everything.
    Anybody,
    /// The operator of the machine, or whoever has the token that was given to the server at its start.
    Operator,
    /// A principal.
    Principal(Arc<Known>),
}

impl Actor {
    /// Whether both are the same, with the same rights.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anybody, Self::Anybody) | (Self::Operator, Self::Operator) => true,
            (Self::Principal(one), Self::Principal(other)) => {
                (one.handle, &one.grants) == (other.handle, &other.grants)
            }
            _ => false,
        }
    }

    /// Who asks, as the journal keeps it.
    #[must_use]
    pub fn asker(&self) -> Asker {
        match self {
            Self::Anybody => Asker::Nobody,
            Self::Operator => Asker::Operator,
            Self::Principal(known) => Asker::Principal(known.id),
        }
    }

    /// Number of the principal, by which its sessions are kept apart; `None`: it is none.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Anybody | Self::Operator => None,
            Self::Principal(known) => Some(known.handle.0),
        }
    }
}

/// For log lines: the id of a principal. Its name is a text that somebody gave it, and in no line.
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anybody => f.write_str("anybody"),
            Self::Operator => f.write_str("operator"),
            Self::Principal(known) => write!(f, "principal {}", known.id),
        }
    }
}
