//! Segments of routed networks, the hosts that reach them, and what else only some networks have.

pub(super) mod operations;
mod plan;
pub(super) mod reads;

pub(super) use plan::Plan;
