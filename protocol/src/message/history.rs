//! What was: who held an address, what an owner held, and when that changed (SPEC.md section 9, history).

use super::list::Cursor;
use crate::id::{
    Incarnation, Instance, NetworkId, OwnerId, ProjectId, Revision, Seq, Slot, SubnetId,
};
use crate::text::Text;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use uuid::Uuid;

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistorySubject {
    /// This address, and blocks that it is in; of a subnet pool: prefixes that it is in.
    Address(IpAddr),
    /// What this owner held.
    Owner(OwnerId),
}

/// Asks what became of an address or of what an owner holds, in the network or pool of the header or
/// (all zero) in all networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What it is about.
    pub subject: HistorySubject,
    /// Of an owner: only this ordinal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The oldest entry comes first; else the newest.
    #[serde(default)]
    pub oldest_first: bool,
    /// Only changes at or after this time, ms since 1970-01-01 UTC; 0 = from the beginning.
    #[serde(default)]
    pub from_ms: u64,
    /// Only changes at or before this time, ms since 1970-01-01 UTC; 0 = up to now.
    #[serde(default)]
    pub to_ms: u64,
    /// Most entries that are wanted, 1 to [`super::list::PAGE_OBJECTS_MAX`]; 0 = as many as the server
    /// likes.
    #[serde(default)]
    pub limit: u32,
    /// Where to go on; none = at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum HistoryKind {
    /// It is held under a token from now on.
    Held = 1,
    /// It is allocated from now on, to a new holder or a new life of the same.
    Allocated = 2,
    /// Something else about it changed; the holder is the same: confirmed, renewed, a text.
    Changed = 3,
    /// It is nobody's from now on, and rests.
    Resting = 4,
    /// It is nobody's from now on.
    Released = 5,
    /// Its rest has ended and was taken away.
    RestEnded = 6,
    /// Its release waits to be confirmed; the holder is the same.
    ReleaseHeld = 7,
    /// It is another owner's from now on; the entry behind it says whose.
    Transferred = 8,
}

impl HistoryKind {
    /// Whether somebody holds it afterwards.
    #[must_use]
    pub const fn is_holding(self) -> bool {
        matches!(self, Self::Held | Self::Allocated | Self::Changed | Self::ReleaseHeld)
    }

    /// The name in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Allocated => "allocated",
            Self::Changed => "changed",
            Self::Resting => "resting",
            Self::Released => "released",
            Self::RestEnded => "rest_ended",
            Self::ReleaseHeld => "release_held",
            Self::Transferred => "transferred",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The server's time when it was decided or a little later, ms since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Position of the change.
    pub position: Seq,
    /// Of that position.
    pub incarnation: Incarnation,
    /// What happened.
    pub kind: HistoryKind,
    /// Revision of the change.
    pub revision: Revision,
    /// Revision that fences what is held; 0 = nothing is.
    pub fence: Revision,
    /// The address, of a block the first one.
    pub address: IpAddr,
    /// 32 or 128 for an address, less for a block.
    pub length: u8,
    /// Its network, or the pool that it is of.
    pub network_id: NetworkId,
    /// Its subnet, or the pool again.
    pub subnet_id: SubnetId,
    /// Whose it is or was.
    pub project_id: ProjectId,
    /// Who holds or held it; all zero = another project's, or nobody's.
    pub owner: OwnerId,
    /// Ordinal.
    pub slot: Slot,
    /// Which life of the owner; 0 = unused.
    pub instance: Instance,
    /// When lease, hold or rest ends, ms since 1970-01-01 UTC; 0 = never.
    pub ends_ms: u64,
    /// The text that the owner was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<Text>,
    /// Label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Text>,
    /// The machine that it lives on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// The system that keeps it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
    /// The project of the network, if that is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_project: Option<ProjectId>,
    /// Trace id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Uuid>,
    /// Token of the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Uuid>,
}

/// Entries, and how far back they are all there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// Everything up to here was looked at.
    pub position: Seq,
    /// From this time on no change is missing, ms since 1970-01-01 UTC.
    pub reach_ms: u64,
    /// Something that may belong here couldn't be read, or isn't in history yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// The entries, in the order asked for.
    pub items: Vec<HistoryEntry>,
    /// Where to go on; none = that is all. There may be one without any entry: looking took long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
