//! Ports: owners with attributes, whose addresses come and go together.

use super::list::{Cursor, PageRequest};
use crate::id::{NetworkId, PortId, Revision, Seq, Slot, SubnetId};
use crate::mac::Mac;
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most addresses that a request asks for, except one that restores, which has them all.
pub const FIXED_IPS_MAX: usize = 64;
/// Most addresses of a port: those asked for, and those that follow from its MAC.
pub const PORT_ADDRESSES_MAX: usize = 96;
/// Most addresses that the result of a port in a batch shows.
pub const BATCH_FIXED_IPS_MAX: usize = 16;

/// Whether a port has its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum IpAllocation {
    /// It got them when it was made.
    #[default]
    Immediate = 1,
    /// It gets them once its host is known.
    Deferred = 2,
    /// None were asked for.
    #[serde(rename = "none")]
    Unaddressed = 3,
}

/// One address that is asked for: any of a subnet, or this one. At least one of the two is given.
/// A slot is for requests that restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FixedIpWanted {
    /// In this subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<SubnetId>,
    /// This address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<IpAddr>,
    /// The slot that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
}

/// Creates a port in the network of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCreate {
    /// Chosen by the client; the owner of its addresses.
    pub port_id: PortId,
    /// Unique in the network; none = the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The addresses asked for may be gateways.
    #[serde(default)]
    pub allow_gateway: bool,
    /// Of a request that restores: what was so; none = as the rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_allocation: Option<IpAllocation>,
    /// Unset or null = one of each family; empty = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub fixed_ips: Setting<Vec<FixedIpWanted>>,
    /// The machine that it lives on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Who uses it, at most 64 bytes; compared with service types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_owner: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

impl PortCreate {
    /// With this id, and everything else by default.
    #[must_use]
    pub const fn of(port_id: PortId) -> Self {
        Self {
            port_id,
            mac: None,
            allow_gateway: false,
            ip_allocation: None,
            fixed_ips: Setting::Unset,
            host: None,
            device_owner: None,
            description: None,
        }
    }
}

/// Reads a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortGet {
    /// Which.
    pub port_id: PortId,
}

/// What a list of ports shows.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PortFilter {
    /// Only of this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Only of this device owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_owner: Option<Text>,
    /// Only with this MAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Only with a higher revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<Revision>,
}

/// Lists ports of a network in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PortList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Which ports.
    #[serde(flatten)]
    pub filter: PortFilter,
}

/// Changes a port. Addresses that are asked for and held stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortUpdate {
    /// Which.
    pub port_id: PortId,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// The addresses asked for may be gateways.
    #[serde(default)]
    pub allow_gateway: bool,
    /// Another MAC; addresses that follow from it are made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Unset = unchanged, null = one of each family, empty = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub fixed_ips: Setting<Vec<FixedIpWanted>>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub host: Setting<Text>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub device_owner: Setting<Text>,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
}

/// Deletes a port and releases its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDelete {
    /// Which.
    pub port_id: PortId,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// An address of a port: the allocation of (port id as owner, slot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// The address.
    pub ip_address: IpAddr,
    /// Prefix length of its subnet.
    pub subnet_length: u8,
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// Ordinal of the allocation.
    pub slot: Slot,
    /// Fencing token of the allocation.
    pub revision: Revision,
    /// It follows from the MAC.
    #[serde(default)]
    pub automatic: bool,
}

/// A port as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its id.
    pub port_id: PortId,
    /// Its network.
    pub network_id: NetworkId,
    /// Revision of its last change.
    pub revision: Revision,
    /// Its MAC.
    pub mac: Mac,
    /// Whether it has its addresses.
    pub ip_allocation: IpAllocation,
    /// It existed before, or was so already.
    #[serde(default)]
    pub repeated: bool,
    /// The result of a batch: it has more addresses than are shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Its addresses by slot.
    #[serde(default)]
    pub fixed_ips: Vec<FixedIp>,
    /// The machine that it lives on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Who uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_owner: Option<Text>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// A page of ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The ports.
    pub items: Vec<Port>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
