//! Transactions: items of batches on several networks and pools, all or nothing (SPEC.md section 9).

use super::batch::BatchItem;
use crate::id::{NetworkId, ProjectId};
use serde::{Deserialize, Serialize};

/// One item, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionItem {
    /// The network or, with `pool`, the subnet pool; never all zero.
    pub network: NetworkId,
    /// It is a subnet pool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pool: bool,
    /// The project that the network belongs to, if another one than the header's shares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_project: Option<ProjectId>,
    /// What to do there.
    pub operation: BatchItem,
}

/// Items applied in order, in one journal batch, or none of them. Answered like a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// 1 to [`super::batch::BATCH_ITEMS_MAX`] items.
    pub items: Vec<TransactionItem>,
}
