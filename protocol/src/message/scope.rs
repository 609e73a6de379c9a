//! Address scopes: create, get, list, update, delete. The header's network field carries the id.

use super::list::{Cursor, PageRequest};
use crate::id::{AddressScopeId, ProjectId, Revision, Seq};
use crate::prefix::Family;
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Creates the address scope of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeCreate {
    /// Of all its prefixes; never changes.
    pub family: Family,
    /// Other projects may use it.
    #[serde(default)]
    pub shared: bool,
    /// Unique among the scopes of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// Reads the address scope of the header, or the project's own one with a name.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScopeGet {
    /// Its name; the header's network field is then all zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
}

/// Lists the address scopes that the project sees, its own and shared ones, in the order of creation.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScopeList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only scopes whose name starts with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<Text>,
}

/// Changes the address scope of the header; its family stays.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScopeUpdate {
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// New name; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub name: Setting<Text>,
    /// New description; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
    /// Other projects may use it; null = no.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub shared: Setting<bool>,
}

/// Deletes the address scope of the header, which nothing is in any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScopeDelete {
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// An address scope as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressScope {
    /// Its id, unique in its project.
    pub address_scope_id: AddressScopeId,
    /// Its project.
    pub project_id: ProjectId,
    /// Revision of its attributes.
    pub revision: Revision,
    /// Subnet pools in it.
    pub subnet_pools: u32,
    /// Networks that were created in it.
    pub networks: u32,
    /// Of all its prefixes.
    pub family: Family,
    /// Other projects may use it.
    pub shared: bool,
    /// It existed before (only in the reply to a creation), or it was so already (update).
    #[serde(default)]
    pub repeated: bool,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// A page of address scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopePage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The scopes.
    pub items: Vec<AddressScope>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
