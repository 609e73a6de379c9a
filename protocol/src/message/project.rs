//! Projects: create, get, list, update, delete. A project's id stands in the header of every request.

use super::list::{Cursor, PageRequest};
use crate::id::{ProjectId, Revision, Seq};
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Largest quota: what every reader of JSON can tell apart.
pub const QUOTA_MAX: u64 = (1 << 53) - 1;
/// Resting addresses that a project may always have if nobody set a quota of them.
pub const RESTING_LIMIT_LEAST: u64 = 1_024;

/// How much a project may have of each resource; unset = anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quotas {
    /// Addresses on networks; a block counts for each of its addresses, at most 2^32.
    #[serde(default, rename = "quota_addresses", skip_serializing_if = "Option::is_none")]
    pub addresses: Option<u64>,
    /// Prefixes held straight from subnet pools.
    #[serde(default, rename = "quota_prefixes", skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<u64>,
    /// Networks.
    #[serde(default, rename = "quota_networks", skip_serializing_if = "Option::is_none")]
    pub networks: Option<u64>,
    /// Subnets of its networks.
    #[serde(default, rename = "quota_subnets", skip_serializing_if = "Option::is_none")]
    pub subnets: Option<u64>,
    /// Ports.
    #[serde(default, rename = "quota_ports", skip_serializing_if = "Option::is_none")]
    pub ports: Option<u64>,
    /// Addresses that rest after the project released them, counted like `addresses`; unset = as
    /// [`Quotas::resting_limit`] says.
    #[serde(default, rename = "quota_resting", skip_serializing_if = "Option::is_none")]
    pub resting: Option<u64>,
}

/// Changes of a project's quotas.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuotaSettings {
    /// As in [`Quotas`]; null = anything.
    #[serde(default, rename = "quota_addresses", skip_serializing_if = "Setting::is_unset")]
    pub addresses: Setting<u64>,
    /// As in [`Quotas`]; null = anything.
    #[serde(default, rename = "quota_prefixes", skip_serializing_if = "Setting::is_unset")]
    pub prefixes: Setting<u64>,
    /// As in [`Quotas`]; null = anything.
    #[serde(default, rename = "quota_networks", skip_serializing_if = "Setting::is_unset")]
    pub networks: Setting<u64>,
    /// As in [`Quotas`]; null = anything.
    #[serde(default, rename = "quota_subnets", skip_serializing_if = "Setting::is_unset")]
    pub subnets: Setting<u64>,
    /// As in [`Quotas`]; null = anything.
    #[serde(default, rename = "quota_ports", skip_serializing_if = "Setting::is_unset")]
    pub ports: Setting<u64>,
    /// As in [`Quotas`]; null = what follows from the quota of addresses.
    #[serde(default, rename = "quota_resting", skip_serializing_if = "Setting::is_unset")]
    pub resting: Setting<u64>,
}

impl Quotas {
    /// Resting addresses beyond which a project gets no new ones: its quota; else, if its addresses
    /// have one, twice that, at least [`RESTING_LIMIT_LEAST`]; else none.
    #[must_use]
    pub fn resting_limit(&self) -> Option<u64> {
        let derived = |addresses: u64| addresses.saturating_mul(2).max(RESTING_LIMIT_LEAST);
        self.resting.or_else(|| self.addresses.map(derived))
    }
}

impl QuotaSettings {
    /// Whether none is mentioned.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// The quotas after the changes.
    #[must_use]
    pub fn apply_to(&self, quotas: Quotas) -> Quotas {
        let after = |before, setting: &Setting<u64>| match setting {
            Setting::Unset => before,
            Setting::Null => None,
            Setting::Value(quota) => Some(*quota),
        };
        Quotas {
            addresses: after(quotas.addresses, &self.addresses),
            prefixes: after(quotas.prefixes, &self.prefixes),
            networks: after(quotas.networks, &self.networks),
            subnets: after(quotas.subnets, &self.subnets),
            ports: after(quotas.ports, &self.ports),
            resting: after(quotas.resting, &self.resting),
        }
    }
}

/// What a project has of what its quotas limit; its networks are counted in [`Project`]. All of it in
/// the reply to project_get, nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectUse {
    /// As its quota counts them; told as [`QUOTA_MAX`] if there are more.
    #[serde(default, rename = "used_addresses", skip_serializing_if = "Option::is_none")]
    pub addresses: Option<u64>,
    /// Prefixes held straight from subnet pools.
    #[serde(default, rename = "used_prefixes", skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<u64>,
    /// Subnets of its networks.
    #[serde(default, rename = "used_subnets", skip_serializing_if = "Option::is_none")]
    pub subnets: Option<u64>,
    /// Ports.
    #[serde(default, rename = "used_ports", skip_serializing_if = "Option::is_none")]
    pub ports: Option<u64>,
    /// Addresses that rest, counted like `addresses`.
    #[serde(default, rename = "used_resting", skip_serializing_if = "Option::is_none")]
    pub resting: Option<u64>,
}

/// Creates the project of the header.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectCreate {
    /// Unique among all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// How much it may have.
    #[serde(flatten)]
    pub quotas: Quotas,
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
    /// New quotas. What is there stays, whatever they are.
    #[serde(flatten)]
    pub quotas: QuotaSettings,
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
    /// How much it may have.
    #[serde(flatten)]
    pub quotas: Quotas,
    /// What it has.
    #[serde(flatten)]
    pub used: ProjectUse,
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
