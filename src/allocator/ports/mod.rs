//! Ports: owners with attributes. What they may have is worked out in `wishes`, their addresses are
//! ordinary allocations made by `allocate`. Every operation is all or nothing.

mod addresses;
mod change;
mod create;
mod fill;
mod near;
mod reads;
mod seeker;
mod state;
mod wishes;

pub(super) use near::PortSpot;
pub(super) use reads::short;
pub(super) use state::{Class, Ports};
