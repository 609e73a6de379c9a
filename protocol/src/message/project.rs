//! Projects: create, get, list, update, delete. A project's id stands in the header of every request.

use super::list::{Cursor, PageRequest};
use crate::id::{ProjectId, Revision, Seq};
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Creates the project of the header.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectCreate {
    /// Unique among all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// Reads the project of the header, or the one with a name.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectGet {
    /// Its name, instead of the header's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
}

/// Lists the projects, ordered by id.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only projects whose name starts with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<Text>,
}

/// Changes the project of the header.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectUpdate {
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// New name; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub name: Setting<Text>,
    /// New description; null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
}

/// Deletes the project of the header, which has nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectDelete {
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// A project as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub project_id: ProjectId,
    /// Revision of its attributes; 0 for the default project while nobody changed it.
    pub revision: Revision,
    /// Networks that it has.
    pub networks: u32,
    /// Subnet pools that it has.
    pub subnet_pools: u32,
    /// Address scopes that it has.
    pub address_scopes: u32,
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

/// A page of projects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The projects, ordered by id.
    pub items: Vec<Project>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
