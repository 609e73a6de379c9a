//! Batches: up to 1,024 items on one network (SPEC.md section 7).

use super::allocate::{Allocate, Allocated};
use super::allocation::{Allocation, AllocationUpdate};
use super::failure::Failure;
use super::hold::{HoldEnd, HoldEnded, HoldRelease};
use super::port::{Port, PortCreate, PortDelete, PortUpdate};
use super::release::{Release, Released};
use super::renew::{Renew, Renewed};
use super::transfer::Transfer;
use crate::status::Status;
use serde::{Deserialize, Serialize};

/// Most items of a batch.
pub const BATCH_ITEMS_MAX: usize = 1_024;

/// What a refused item means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum BatchMode {
    /// Each item stands for itself.
    #[default]
    Independent = 1,
    /// All or nothing.
    AllOrNothing = 2,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchItem {
    /// Kind 1.
    Allocate(Allocate),
    /// Kind 2.
    Release(Release),
    /// Kind 3.
    Update(Box<AllocationUpdate>),
    /// Kind 4.
    PortCreate(Box<PortCreate>),
    /// Kind 5.
    PortUpdate(Box<PortUpdate>),
    /// Kind 6.
    PortDelete(PortDelete),
    /// Kind 7.
    Renew(Renew),
    /// Kind 8.
    HoldConfirm(HoldEnd),
    /// Kind 9.
    HoldCancel(HoldEnd),
    /// Kind 10.
    HoldRelease(Box<HoldRelease>),
    /// Kind 11.
    Transfer(Box<Transfer>),
}

/// Items applied in order, in one journal batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// What a refused item means for the others.
    pub mode: BatchMode,
    /// 1 to [`BATCH_ITEMS_MAX`] items.
    pub items: Vec<BatchItem>,
}

/// Result of one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchResult {
    /// An allocation.
    Allocated(Allocated),
    /// A release.
    Released(Released),
    /// Nothing was held (`NOT_HELD`, class done).
    NotHeld,
    /// An update, or a transfer.
    Updated(Box<Allocation>),
    /// A port created or changed: without its texts, and with its first
    /// [`super::port::BATCH_FIXED_IPS_MAX`] addresses.
    Port(Box<Port>),
    /// A port deleted.
    PortDeleted,
    /// A renewal.
    Renewed(Renewed),
    /// A hold confirmed or cancelled, or a release held.
    HoldEnded(HoldEnded),
    /// Not done.
    Failed(Box<Failure>),
}

impl BatchResult {
    /// Status of the item.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Allocated(_) | Self::Released(_) | Self::Updated(_) => Status::OK,
            Self::Port(_) | Self::PortDeleted | Self::Renewed(_) => Status::OK,
            Self::HoldEnded(_) => Status::OK,
            Self::NotHeld => Status::NOT_HELD,
            Self::Failed(failure) => failure.status,
        }
    }
}

/// Results, one for each item in the same order. An all-or-nothing batch that was refused is
/// answered by a [`Failure`] with its item number instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchReply {
    /// Results.
    pub results: Vec<BatchResult>,
}
