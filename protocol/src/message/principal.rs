//! Principals: who may do what, and the tokens by which they are known. A principal belongs to no project;
//! what it may do stands in its grants. Decides nothing.
//!
//! Source: docs/decisions/0039-access.md.

use super::list::{Cursor, PageRequest};
use crate::id::{PrincipalId, ProjectId, Revision, Seq, TokenId};
use crate::setting::Setting;
use crate::text::Text;
use crate::token::TokenHash;
use serde::{Deserialize, Serialize};

/// Most grants of a principal.
pub const GRANTS_MAX: usize = 64;
/// Most names in certificates that are one principal.
pub const CERTIFICATE_NAMES_MAX: usize = 8;
/// Most users of the server's machine that are one principal.
pub const UNIX_USERS_MAX: usize = 8;
/// Most tokens that a principal has at one time: the second is for changing them without a gap.
pub const TOKENS_MAX: usize = 2;
/// Most principals in a page: each may be long.
pub const PAGE_PRINCIPALS_MAX: u32 = 64;
/// Shortest life of a token, ms.
pub const TOKEN_LIFE_MS_LEAST: u64 = 1_000;
/// Longest life of a token, ms: ten years.
pub const TOKEN_LIFE_MS_MOST: u64 = 315_360_000_000;

/// A kind of things that a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Verb {
    /// Looking things up, listing, watching.
    Read = 1,
    /// Allocating, renewing, holding, creating and changing ports.
    Allocate = 2,
    /// Releasing what is named with a fence.
    ReleaseOwn = 3,
    /// Releasing whatever is at an address.
    ReleaseAny = 4,
    /// Creating, changing and deleting networks, subnets, pools, scopes, segments and pins; transfers.
    Manage = 5,
    /// What concerns the server, projects as such, and principals.
    Administer = 6,
}

impl Verb {
    /// All of them, in rising order.
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::Allocate,
        Self::ReleaseOwn,
        Self::ReleaseAny,
        Self::Manage,
        Self::Administer,
    ];

    /// Its name, as in JSON and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Allocate => "allocate",
            Self::ReleaseOwn => "release_own",
            Self::ReleaseAny => "release_any",
            Self::Manage => "manage",
            Self::Administer => "administer",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Allocate => 2,
            Self::ReleaseOwn => 4,
            Self::ReleaseAny => 8,
            Self::Manage => 16,
            Self::Administer => 32,
        }
    }
}

/// A set of verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Verb>", into = "Vec<Verb>")]
pub struct Verbs(u8);

impl Verbs {
    /// None.
    pub const NONE: Self = Self(0);
    /// Each.
    pub const ALL: Self = Self(0b11_1111);

    /// These and this one.
    #[must_use]
    pub const fn with(self, verb: Verb) -> Self {
        Self(self.0 | verb.bit())
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, verb: Verb) -> bool {
        self.0 & verb.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As it travels: a bit each, the first is 1.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From the bits that travel; `None` for unknown ones.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// The verbs in rising order.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.has(*verb))
    }
}

impl FromIterator<Verb> for Verbs {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Self {
        verbs.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Verbs> for Vec<Verb> {
    fn from(verbs: Verbs) -> Self {
        verbs.iter().collect()
    }
}

impl From<Vec<Verb>> for Verbs {
    fn from(verbs: Vec<Verb>) -> Self {
        verbs.into_iter().collect()
    }
}

/// What a principal may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// In this project; none = in all of them, and in what belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// These things; at least one.
    pub verbs: Verbs,
    /// Where a request names a manager: only this one; none = any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
}

/// Creates a principal.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrincipalCreate {
    /// Its id, chosen by the client.
    pub principal_id: PrincipalId,
    /// Unique among all principals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// What it may do; none = nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Names in certificates that are it; each is of one principal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_names: Vec<Text>,
    /// Users of the server's machine (their numbers) that are it over the Unix socket; each is of one principal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unix_users: Vec<u32>,
}

/// Reads a principal.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrincipalGet {
    /// Its id; all zero if the name stands.
    #[serde(default)]
    pub principal_id: PrincipalId,
    /// Its name, instead of the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
}

/// Lists principals, ordered by id.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrincipalList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only those whose name starts with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<Text>,
}

/// Changes a principal. Lists are replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrincipalUpdate {
    /// Its id.
    pub principal_id: PrincipalId,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// New name; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub name: Setting<Text>,
    /// New description; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
    /// New grants; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub grants: Setting<Vec<Grant>>,
    /// New names in certificates; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub certificate_names: Setting<Vec<Text>>,
    /// New users; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub unix_users: Setting<Vec<u32>>,
    /// Whether nobody is it for the time being.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// Deletes a principal with its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrincipalDelete {
    /// Its id.
    pub principal_id: PrincipalId,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// Gives a principal a token that the client has made: the server never learns the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCreate {
    /// Whose.
    pub principal_id: PrincipalId,
    /// Its id, unique among all tokens.
    pub token_id: TokenId,
    /// SHA-256 of its secret.
    pub hash: TokenHash,
    /// How long it is good for, ms, [`TOKEN_LIFE_MS_LEAST`] to [`TOKEN_LIFE_MS_MOST`]; 0 = until it is revoked.
    #[serde(default)]
    pub life_ms: u64,
}

/// Ends a token, now or soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoke {
    /// Which.
    pub token_id: TokenId,
    /// It ends in this time at the latest, ms, at most [`TOKEN_LIFE_MS_MOST`]; 0 = now.
    #[serde(default)]
    pub after_ms: u64,
}

/// A token as others may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenShown {
    /// Its id.
    pub token_id: TokenId,
    /// Since its creation, ms.
    pub age_ms: u64,
    /// Time until it ends, ms; none = it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_left_ms: Option<u64>,
}

/// A principal as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Its id.
    pub principal_id: PrincipalId,
    /// Revision of its attributes.
    pub revision: Revision,
    /// Nobody is it for the time being.
    #[serde(default)]
    pub disabled: bool,
    /// It existed before (creation), or it was so already (the others).
    #[serde(default)]
    pub repeated: bool,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Names in certificates that are it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificate_names: Vec<Text>,
    /// Users of the server's machine that are it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unix_users: Vec<u32>,
    /// Its tokens that have not ended, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenShown>,
}

/// A page of principals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The principals, ordered by id.
    pub items: Vec<Principal>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_called_as_in_json() {
        for verb in Verb::ALL {
            assert_eq!(serde_json::to_value(verb).unwrap(), verb.name());
        }
    }
}
