//! Subnet pools: create, get, list, update, delete, preview. The header's network field carries the
//! id.

use super::list::{Cursor, PageRequest};
use crate::id::{AddressScopeId, PoolId, ProjectId, Revision, Seq};
use crate::prefix::{Family, Prefix};
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Most prefixes of a subnet pool, merged and as given.
pub const POOL_PREFIXES_MAX: usize = 128;
/// Most prefixes that a request allows, and most that it disallows.
pub const CHOICE_PREFIXES_MAX: usize = 16;

/// Creates the subnet pool of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolCreate {
    /// Of all its prefixes; never changes.
    pub family: Family,
    /// Prefixes to carve from, at most [`POOL_PREFIXES_MAX`]; neighbours are merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Prefix>,
    /// Shortest prefix that is handed out, bits; unset = 8 (IPv4) or 64 (IPv6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u8>,
    /// Longest prefix that is handed out, bits; unset = 32 or 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u8>,
    /// Length where a request gives none, bits; unset = the shortest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_length: Option<u8>,
    /// What each project may use, in units of /32 (IPv4) or /64 (IPv6); unset = anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_quota: Option<u64>,
    /// The scope in which its prefixes are disjoint from all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_scope_id: Option<AddressScopeId>,
    /// The pool that its prefixes are taken from; never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<PoolId>,
    /// With a parent and without prefixes: one prefix of this length, bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_length: Option<u8>,
    /// The one of its family for requests that name none.
    #[serde(default)]
    pub is_default: bool,
    /// Other projects may use it.
    #[serde(default)]
    pub shared: bool,
    /// Unique among the pools of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

impl PoolCreate {
    /// With these prefixes, and everything else by default.
    #[must_use]
    pub const fn of(family: Family, prefixes: Vec<Prefix>) -> Self {
        Self {
            family,
            prefixes,
            min_length: None,
            max_length: None,
            default_length: None,
            default_quota: None,
            address_scope_id: None,
            parent_id: None,
            parent_length: None,
            is_default: false,
            shared: false,
            name: None,
            description: None,
        }
    }
}

/// Reads the subnet pool of the header, or the project's own one with a name.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolGet {
    /// Its name; the header's network field is then all zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
}

/// Lists the subnet pools that the project sees, its own and shared ones, in the order of creation.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only pools whose name starts with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<Text>,
}

/// Changes the subnet pool of the header; family and parent stay. What was carved stays whatever
/// the bounds become.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolUpdate {
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// All prefixes from now on: none that is there may be missing. Empty = as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Prefix>,
    /// Prefixes to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_prefixes: Vec<Prefix>,
    /// Prefixes to remove, nothing of which is in use; parts of one split it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_prefixes: Vec<Prefix>,
    /// Shortest prefix, bits; null = 8 or 64.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub min_length: Setting<u8>,
    /// Longest prefix, bits; null = 32 or 128.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub max_length: Setting<u8>,
    /// Default length, bits; null = the shortest.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub default_length: Setting<u8>,
    /// Quota in units of /32 or /64; null = anything.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub default_quota: Setting<u64>,
    /// Its scope; null = none. Only while nothing of the pool is in use.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub address_scope_id: Setting<AddressScopeId>,
    /// Default of its family; null = no.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub is_default: Setting<bool>,
    /// Other projects may use it; null = no.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub shared: Setting<bool>,
    /// New name; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub name: Setting<Text>,
    /// New description; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
}

/// Deletes the subnet pool of the header, nothing of which is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolDelete {
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// Which prefix a request would get from the subnet pool of the header. Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolPreview {
    /// Length, bits; unset = the pool's default, or that of `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u8>,
    /// Exactly this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<Prefix>,
    /// Only inside one of these; empty = anywhere. At most [`CHOICE_PREFIXES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Prefix>,
    /// Overlapping none of these. At most [`CHOICE_PREFIXES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disallowed: Vec<Prefix>,
}

/// The prefix that would be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPreviewed {
    /// The prefix.
    pub cidr: Prefix,
}

/// Takes all subnets of the header's network that are of a pool's family into the pool: what lies
/// outside of its prefixes is added to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetOnboard {
    /// The pool.
    pub subnet_pool_id: PoolId,
    /// The revision of the pool that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// How a subnet is taken from a pool (part of [`super::SubnetCreate`]).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FromPool {
    /// The pool; all zero = the default one of the family.
    #[serde(default)]
    pub subnet_pool_id: PoolId,
    /// How the prefix is chosen.
    #[serde(default)]
    pub by: PrefixChoice,
    /// Only inside one of these; empty = anywhere. At most [`CHOICE_PREFIXES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Prefix>,
    /// Overlapping none of these. At most [`CHOICE_PREFIXES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disallowed: Vec<Prefix>,
}

/// How the prefix of a subnet from a pool is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum PrefixChoice {
    /// Exactly the request's prefix.
    #[default]
    Exact = 1,
    /// Any of the length of the request's prefix, whose address is all zero.
    Length = 2,
    /// Any of the pool's default length; the request's prefix is 0.0.0.0/0 or ::/0.
    DefaultLength = 3,
}

/// A subnet pool as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetPool {
    /// Its id, unique in its project.
    pub subnet_pool_id: PoolId,
    /// Its project.
    pub project_id: ProjectId,
    /// Revision of its attributes.
    pub revision: Revision,
    /// Prefixes that are in use: subnets, pools below it, and owners.
    pub taken: u64,
    /// Addresses in its prefixes. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub size: u128,
    /// Addresses in use.
    #[serde(with = "super::usage::decimal")]
    pub used: u128,
    /// Addresses in use by the project that asks: what its quota counts.
    #[serde(with = "super::usage::decimal")]
    pub used_by_project: u128,
    /// Of all its prefixes.
    pub family: Family,
    /// Shortest prefix that is handed out, bits.
    pub min_length: u8,
    /// Longest prefix that is handed out, bits.
    pub max_length: u8,
    /// Length where a request gives none, bits.
    pub default_length: u8,
    /// Default of its family.
    pub is_default: bool,
    /// Other projects may use it.
    pub shared: bool,
    /// It existed before (only in the reply to a creation), or it was so already (update).
    #[serde(default)]
    pub repeated: bool,
    /// Its prefixes, merged, by address.
    #[serde(default)]
    pub prefixes: Vec<Prefix>,
    /// Quota of each project, in units of /32 or /64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_quota: Option<u64>,
    /// Its scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_scope_id: Option<AddressScopeId>,
    /// The pool that its prefixes are taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<PoolId>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// A page of subnet pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The pools.
    pub items: Vec<SubnetPool>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
