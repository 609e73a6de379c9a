//! Networks: create, get, find, list, update, delete.

use super::list::{Cursor, PageRequest};
use crate::id::{AddressScopeId, NetworkId, ProjectId, Revision, Seq};
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Creates the network of the header.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkCreate {
    /// Unique in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Address scope of its IPv4 subnets; never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_v4: Option<AddressScopeId>,
    /// Address scope of its IPv6 subnets; never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_v6: Option<AddressScopeId>,
    /// Other projects may use it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// Reads the network of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkGet {}

/// Finds a network of the project by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFind {
    /// The exact name.
    pub name: Text,
}

/// Lists the networks of the project and those that others share, ordered by id.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only networks whose name starts with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<Text>,
}

/// Changes the network of the header.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkUpdate {
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// New name; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub name: Setting<Text>,
    /// New description; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
    /// Whether other projects may use it; null = no. It stays shared while one does.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub shared: Setting<bool>,
}

/// Deletes the network of the header. With live allocations only if forced, as a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkDelete {
    /// Release what is live.
    #[serde(default)]
    pub force: bool,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// A network as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub network_id: NetworkId,
    /// Its project.
    pub project_id: ProjectId,
    /// Revision of its attributes.
    pub revision: Revision,
    /// Subnets that it has.
    pub subnets: u32,
    /// Live allocations.
    pub allocations: u64,
    /// A job is deleting it.
    pub deleting: bool,
    /// It existed before with the same unchangeable fields (only in the reply to a creation).
    #[serde(default)]
    pub repeated: bool,
    /// Other projects may use it.
    #[serde(default)]
    pub shared: bool,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Address scope of its IPv4 subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_v4: Option<AddressScopeId>,
    /// Address scope of its IPv6 subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_v6: Option<AddressScopeId>,
}

/// A page of networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The networks, ordered by id, then by project.
    pub items: Vec<Network>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
