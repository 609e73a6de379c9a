//! Host leases: one deadline for all that follows a host (SPEC.md section 9).

use crate::text::Text;
use serde::{Deserialize, Serialize};

/// What comes of a host whose lease has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum OnEnd {
    /// It is told, and nothing is released: a host that can't reach the server may still use its addresses.
    #[default]
    Report = 0,
    /// What follows it is released.
    Release = 1,
}

/// How a host lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum HostLeaseState {
    /// There is none.
    #[default]
    Absent = 0,
    /// It goes on.
    Running = 1,
    /// It is over, and nothing was released.
    Overdue = 2,
    /// It has ended: what follows it is released, or was.
    Ended = 3,
}

/// Begins the lease of a host, or lets it go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewHost {
    /// The manager, at most 64 bytes.
    pub manager: Text,
    /// The host.
    pub host: Text,
    /// The lease ends so long after the server reads this, ms ([`super::renew::LEASE_MS_MIN`] to
    /// [`super::renew::LEASE_MS_MAX`]).
    pub lease_ms: u64,
    /// What comes of it then.
    #[serde(default)]
    pub on_end: OnEnd,
    /// Which life of the host begins with it; 0 = none, the lease goes on. Numbers of later lives are higher. In JSON a
    /// decimal string.
    #[serde(default, with = "super::usage::decimal")]
    pub begin: u64,
    /// Only if this is the last life that began; 0 = whichever it is. In JSON a decimal string.
    #[serde(default, with = "super::usage::decimal")]
    pub life: u64,
}

/// A lease that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RenewedHost {
    /// Time left, ms.
    pub time_left_ms: u64,
    /// Allocations that follow it.
    pub following: u64,
    /// The last life of the host that began. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub life: u64,
    /// How it stood before.
    pub was: HostLeaseState,
}

/// Ends the lease of a host now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndHost {
    /// The manager, at most 64 bytes.
    pub manager: Text,
    /// The host.
    pub host: Text,
    /// What comes of it: with `report` the lease is gone, and what followed it stays as it is.
    #[serde(default)]
    pub on_end: OnEnd,
    /// Only if this is the last life that began; 0 = whichever it is. In JSON a decimal string.
    #[serde(default, with = "super::usage::decimal")]
    pub life: u64,
}

/// A lease that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndedHost {
    /// Allocations that followed it.
    pub following: u64,
    /// How it stood before.
    pub was: HostLeaseState,
    /// With `report`: some of what follows was let go, and the lease is still there; ask again for the rest.
    #[serde(default)]
    pub more: bool,
}

/// Lists hosts of a manager that have a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLeaseList {
    /// The manager, at most 64 bytes.
    pub manager: Text,
    /// Most that are wanted, 1 to [`super::list::PAGE_OBJECTS_MAX`]; 0 = as many as the server likes.
    #[serde(default)]
    pub limit: u32,
    /// Only hosts behind this one, in the order of their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Text>,
}

/// The lease of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLease {
    /// The host.
    pub host: Text,
    /// Time left, ms; 0 = it is over.
    pub time_left_ms: u64,
    /// Allocations that follow it, or still have to be released because of it.
    pub following: u64,
    /// The last life of the host that began. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub life: u64,
    /// How it stands.
    pub state: HostLeaseState,
    /// What comes of it at its end.
    pub on_end: OnEnd,
}

/// Host leases by host.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostLeasePage {
    /// The leases.
    pub items: Vec<HostLease>,
    /// There are more behind the last one.
    pub more: bool,
}
