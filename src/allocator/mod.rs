//! Pure state machine: free maps, strategies, indexes, apply. Knows no thread, socket, clock, file.
//!
//! State changes only by absorbing effects ([`Shard::absorb`]): [`Shard::apply`] decides, pushes
//! effects into a sink and absorbs them itself, so a recovered state equals the live one.

mod absorb;
mod accounts;
mod allocate;
mod apply;
mod batch;
mod calls;
mod catalogue;
mod check;
mod classify;
mod deadlines;
mod departed;
mod former_lives;
mod free_map;
mod gather;
mod growth;
mod guests;
mod holds;
mod host_leases;
mod host_terms;
mod hosts;
mod index;
mod jobs;
mod leases;
mod ledger;
mod leniency;
mod levels;
mod lists;
mod lookup;
mod network;
mod objects;
mod order;
mod pages;
mod pieces;
mod pins;
mod ports;
mod prefetch;
mod quarantine;
mod reconcile;
mod record;
mod refusal;
mod release;
mod rests;
mod segments;
mod shard;
mod slab;
mod snapshot;
mod spanning;
mod subnet;
mod subnets;
mod survey;
mod suspects;
#[cfg(test)]
mod tests;
mod totals;
mod transfer;
mod undo;
mod usage;

pub use absorb::AbsorbError;
pub use accounts::{Holdings, SHARED_QUOTAS, SharedQuotas, bring_credit};
pub use catalogue::{Catalogue, CatalogueSnapshot, apply_spanning, finish_network};
pub use classify::{
    is_freeing, is_gathered, is_mutation, is_renewal, is_reserved_class, is_spanning,
    needs_no_shard, projects_given,
};
pub use gather::merge;
pub use host_leases::HostEnd;
pub use jobs::JobProgress;
pub use levels::{Crossed, Crossing, LevelCounts, UsageLevels};
pub use shard::{Answer, At, Scope, Shard, ShardCounters, ShardSettings};
pub use snapshot::Snapshot;
pub use survey::{FILL_LEVELS, FillReport, SubnetFill, Survey};

use classify::is_spanning_update;

/// A copy of a text that keeps no network buffer alive.
fn owned(text: &crate::model::Text) -> crate::model::Text {
    crate::model::Text::new(text).unwrap_or_default()
}
