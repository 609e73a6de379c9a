//! Pins: addresses kept for an owner, held or not.

use super::list::{Cursor, PageRequest};
use crate::id::{OwnerId, Revision, Seq, Slot, SubnetId};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Keeps an address of the network of the header for (owner, slot).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinCreate {
    /// The address, in one of the network's subnets.
    pub address: IpAddr,
    /// For whom.
    pub owner: OwnerId,
    /// Ordinal among the owner's.
    #[serde(default)]
    pub slot: Slot,
    /// The text that the owner id was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<Text>,
}

/// Ends the pin of an address; whoever holds it keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinDelete {
    /// The address.
    pub address: IpAddr,
}

/// Lists pins of a network in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PinList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only in this subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<SubnetId>,
}

/// A pin as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The address.
    pub address: IpAddr,
    /// Its subnet.
    pub subnet_id: SubnetId,
    /// For whom.
    pub owner: OwnerId,
    /// Ordinal among the owner's.
    pub slot: Slot,
    /// Revision at which it was made.
    pub revision: Revision,
    /// Somebody holds the address now.
    #[serde(default)]
    pub held: bool,
    /// It existed before (only in the reply to a creation).
    #[serde(default)]
    pub repeated: bool,
    /// The text that the owner id was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<Text>,
}

/// A page of pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The pins.
    pub items: Vec<Pin>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
