//! Segments of a routed network, and the hosts that reach them.

use super::list::{Cursor, PageRequest};
use crate::id::{NetworkId, Revision, SegmentId, Seq};
use crate::setting::Setting;
use crate::text::Text;
use serde::{Deserialize, Serialize};

/// Most hosts that one request maps to a segment, and most that it takes away.
pub const SEGMENT_HOSTS_MAX: usize = 64;

/// Creates a segment in the network of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentCreate {
    /// Chosen by the client.
    pub segment_id: SegmentId,
    /// For people; not unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// Reads a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentGet {
    /// Which.
    pub segment_id: SegmentId,
}

/// Lists segments of a network in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SegmentList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
}

/// Changes a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentUpdate {
    /// Which.
    pub segment_id: SegmentId,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
    /// Unset = unchanged, null = none.
    #[serde(default, skip_serializing_if = "Setting::is_unset")]
    pub description: Setting<Text>,
}

/// Deletes a segment that no subnet is on, with what is mapped to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentDelete {
    /// Which.
    pub segment_id: SegmentId,
    /// The revision that the caller knows; 0 = whatever it is.
    #[serde(default)]
    pub expected: Revision,
}

/// Maps hosts to a segment and takes others away, all in one step. What is so already stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentHosts {
    /// Which.
    pub segment_id: SegmentId,
    /// Hosts that reach it from now on, at most [`SEGMENT_HOSTS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Text>,
    /// Hosts that do not any more, at most [`SEGMENT_HOSTS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Text>,
}

/// A segment as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its id.
    pub segment_id: SegmentId,
    /// Its network.
    pub network_id: NetworkId,
    /// Revision of its attributes.
    pub revision: Revision,
    /// Subnets on it.
    pub subnets: u32,
    /// Hosts mapped to it.
    pub hosts: u32,
    /// It existed before (only in the reply to a creation), or was so already.
    #[serde(default)]
    pub repeated: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// A page of segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The segments.
    pub items: Vec<Segment>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// Lists mappings of hosts in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
    /// Only of this segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<SegmentId>,
    /// Only of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
}

/// A host mapped to a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMapping {
    /// The segment.
    pub segment_id: SegmentId,
    /// The host.
    pub host: Text,
}

/// A page of mappings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPage {
    /// Durable position at which the page was read.
    pub position: Seq,
    /// The mappings.
    pub items: Vec<HostMapping>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
