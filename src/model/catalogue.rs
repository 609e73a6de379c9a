//! Attributes of what spans networks: projects, address scopes, subnet pools. No behaviour.

use super::handle::NetworkHandle;
use super::tick::Tick;
use addrd_protocol::message::{Grant, Quotas};
use addrd_protocol::{
    AddressScopeId, Family, PoolId, Prefix, PrincipalId, ProjectId, Revision, Text, TokenHash,
    TokenId,
};
use uuid::Uuid;

/// A thing of the catalogue as others refer to it: the number decides, the id is for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    /// Its number; networks, pools, scopes and projects share one sequence of numbers.
    pub handle: NetworkHandle,
    /// Its id in its project.
    pub id: Uuid,
}

/// Attributes of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its number.
    pub handle: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Its id.
    pub id: ProjectId,
    /// Unique among all projects.
    pub name: Option<Text>,
    /// For people.
    pub description: Option<Text>,
    /// How much it may have.
    pub quotas: Quotas,
}

/// Attributes of a principal: somebody who may do something here. Of no project.
///
/// Source: docs/decisions/0039-access.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRow {
    /// Its number.
    pub handle: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Its id.
    pub id: PrincipalId,
    /// Nobody is it for the time being.
    pub disabled: bool,
    /// Unique among principals.
    pub name: Option<Text>,
    /// For people.
    pub description: Option<Text>,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// Names in certificates that are it.
    pub certificate_names: Vec<Text>,
    /// Users of the server's machine that are it over the Unix socket.
    pub unix_users: Vec<u32>,
    /// By which it is known, oldest first; some may have ended.
    pub tokens: Vec<TokenRow>,
}

/// A token, without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub hash: TokenHash,
    /// When it was created, ms since the Unix epoch.
    pub created: u64,
    /// When it ends, ms since the Unix epoch; 0 = never.
    pub ends: u64,
}

impl TokenRow {
    /// Whether it is good for anything at a tick.
    #[must_use]
    pub const fn is_good(&self, now: Tick) -> bool {
        self.ends == 0 || now.0 < self.ends
    }
}

/// Attributes of an address scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRow {
    /// Its number.
    pub handle: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: AddressScopeId,
    /// Of all its prefixes.
    pub family: Family,
    /// Other projects may use it.
    pub shared: bool,
    /// Unique among the scopes of the project.
    pub name: Option<Text>,
    /// For people.
    pub description: Option<Text>,
}

/// Attributes of a subnet pool. What is taken from it are allocations of a network with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRow {
    /// Its number.
    pub handle: NetworkHandle,
    /// Revision of this change.
    pub revision: Revision,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: PoolId,
    /// Of all its prefixes.
    pub family: Family,
    /// Disjoint, neighbours merged, by address.
    pub prefixes: Vec<Prefix>,
    /// Shortest prefix that is handed out, bits.
    pub min_length: u8,
    /// Longest prefix that is handed out, bits.
    pub max_length: u8,
    /// Length where a request gives none, bits.
    pub default_length: u8,
    /// What each project may use, in units of /32 or /64.
    pub quota: Option<u64>,
    /// Its scope.
    pub scope: Option<ObjectRef>,
    /// The pool that its prefixes are taken from.
    pub parent: Option<ObjectRef>,
    /// Default of its family in its project.
    pub is_default: bool,
    /// Other projects may use it.
    pub shared: bool,
    /// Unique among the pools of the project.
    pub name: Option<Text>,
    /// For people.
    pub description: Option<Text>,
    /// The highest level of use that it was told to be at, percent; 0 = none.
    pub level: u8,
}
