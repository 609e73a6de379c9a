//! Attributes of what spans networks: projects, address scopes, subnet pools. No behaviour.

use super::handle::NetworkHandle;
use addrd_protocol::message::Quotas;
use addrd_protocol::{AddressScopeId, Family, PoolId, Prefix, ProjectId, Revision, Text};
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
