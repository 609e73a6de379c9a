//! The lines of an export (SPEC.md section 12): what an object is made of, without what a server
//! numbers or counts itself. Reads and writes nothing.

use addrd_protocol::message::{
    HostMapping, NetworkCreate, PinCreate, PoolCreate, PortCreate, ProjectCreate, ScopeCreate,
    SegmentCreate, SubnetCreate, SubnetExclude,
};
use addrd_protocol::{AddressScopeId, Instance, NetworkId, OwnerId, PoolId, ProjectId, Slot, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Version of the lines.
pub(super) const VERSION: u32 = 1;

/// A line: an object with one member, its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The first line.
    Export(Title),
    /// A project.
    Project(InProject<ProjectCreate>),
    /// An address scope.
    Scope(Box<Scope>),
    /// A subnet pool.
    Pool(Box<Pool>),
    /// A prefix of a subnet pool that an owner holds.
    Prefix(Box<Prefix>),
    /// A network.
    Network(Box<InNetwork<NetworkCreate>>),
    /// A segment.
    Segment(Box<InNetwork<SegmentCreate>>),
    /// A host mapped to a segment.
    Host(Box<InNetwork<HostMapping>>),
    /// A subnet, without its exclusions.
    Subnet(Box<InNetwork<SubnetCreate>>),
    /// A port with its addresses.
    Port(Box<InNetwork<PortCreate>>),
    /// What an owner holds that is no port, or what an address of a port has besides.
    Allocation(Box<InNetwork<Held>>),
    /// An address kept for an owner.
    Pin(Box<InNetwork<PinCreate>>),
    /// An excluded range of a subnet.
    Exclusion(Box<InNetwork<SubnetExclude>>),
    /// The last line: a file without it was cut short.
    End(End),
}

impl Line {
    /// Whether it says of what an owner holds nothing but that, and how long its lease goes on: of an address of
    /// a port, whose line says the rest.
    pub(super) fn is_bare_lease(&self) -> bool {
        let Self::Allocation(line) = self else { return false };
        let held = &line.object;
        let texts = [&held.owner_name, &held.label, &held.host, &held.manager];
        held.lease_ms.is_some()
            && held.instance == Instance::default()
            && texts.into_iter().all(Option::is_none)
    }

    /// What is compared: how long a lease still goes on is another number at each look.
    pub(super) fn without_lease(&self) -> Cow<'_, Self> {
        let mut line = Cow::Borrowed(self);
        let has_one = match self {
            Self::Allocation(line) => line.object.lease_ms.is_some(),
            Self::Prefix(line) => line.object.lease_ms.is_some(),
            _ => false,
        };
        if has_one {
            match line.to_mut() {
                Self::Allocation(line) => line.object.lease_ms = None,
                Self::Prefix(line) => line.object.lease_ms = None,
                _ => {}
            }
        }
        line
    }

    /// As it stands in a file, without the line feed.
    pub(super) fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Members of an object.
pub(super) type Members = BTreeMap<String, Value>;

/// Members of the object of a line.
pub(super) fn members(text: &str) -> serde_json::Result<Members> {
    let object: BTreeMap<String, Members> = serde_json::from_str(text)?;
    Ok(object.into_values().next().unwrap_or_default())
}

/// What the lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Title {
    /// [`VERSION`].
    pub(super) version: u32,
}

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// Lines between the first and this one.
    pub(super) objects: u64,
}

/// Of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InProject<T> {
    pub(super) project_id: ProjectId,
    #[serde(flatten)]
    pub(super) object: T,
}

/// Of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InNetwork<T> {
    pub(super) project_id: ProjectId,
    pub(super) network_id: NetworkId,
    /// The project of the network, if another one shares it: of ports and allocations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) network_project: Option<ProjectId>,
    #[serde(flatten)]
    pub(super) object: T,
}

impl<T> InNetwork<T> {
    /// The project of the network.
    pub(super) fn home(&self) -> ProjectId {
        self.network_project.unwrap_or(self.project_id)
    }

    /// Whether the network is another project's.
    pub(super) fn is_guest(&self) -> bool {
        self.home() != self.project_id
    }
}

/// An address scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Scope {
    pub(super) project_id: ProjectId,
    pub(super) address_scope_id: AddressScopeId,
    #[serde(flatten)]
    pub(super) object: ScopeCreate,
}

/// A subnet pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pool {
    pub(super) project_id: ProjectId,
    pub(super) subnet_pool_id: PoolId,
    #[serde(flatten)]
    pub(super) object: PoolCreate,
}

/// A prefix of a subnet pool that an owner holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Prefix {
    pub(super) project_id: ProjectId,
    pub(super) subnet_pool_id: PoolId,
    #[serde(flatten)]
    pub(super) object: Held,
}

/// What a lease has at least where it is imported, ms: whoever holds it has to find the new server first.
pub(super) const IMPORTED_LEASE_MS_MIN: u64 = 60_000;

/// What an owner holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    /// The address (of a block: its first).
    pub(super) address: IpAddr,
    /// Prefix length of a block; none = a single address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<u8>,
    pub(super) owner: OwnerId,
    #[serde(default)]
    pub(super) slot: Slot,
    #[serde(default)]
    pub(super) instance: Instance,
    /// The text that the owner id was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner_name: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manager: Option<Text>,
    /// Its lease ends so long after the import reads it; none = it has none, or the export left it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease_ms: Option<u64>,
}
