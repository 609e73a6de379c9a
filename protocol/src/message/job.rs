//! Jobs: big work, accepted by one record and worked off in slices.

use super::list::{Cursor, PageRequest};
use crate::id::{JobId, NetworkId, SubnetId};
use serde::{Deserialize, Serialize};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum JobKind {
    /// Forced deletion of a network.
    NetworkDelete = 1,
    /// Forced deletion of a subnet.
    SubnetDelete = 2,
    /// Gives existing ports their address in a new auto-address subnet.
    SubnetFill = 3,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum JobState {
    /// Accepted, not finished.
    Running = 1,
    /// Finished.
    Done = 2,
}

/// A job as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub job_id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// How far it is.
    pub state: JobState,
    /// The network that it works on.
    pub network_id: NetworkId,
    /// The subnet that it works on; all zero = the network.
    pub subnet_id: SubnetId,
    /// Objects done.
    pub done: u64,
    /// Objects there were at its start.
    pub total: u64,
}

/// Reads a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobGet {
    /// Which.
    pub job_id: JobId,
}

/// Lists jobs, ordered by number.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobList {
    /// Which part.
    #[serde(flatten)]
    pub page: PageRequest,
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPage {
    /// The jobs.
    pub items: Vec<Job>,
    /// Where to go on; none = the list is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}
