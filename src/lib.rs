//! addrd: an address daemon. The rooms, from the top down; arrows between them point down only
//! (docs/architecture.md, `tests/tidy.rs`).
#![forbid(unsafe_code)]

pub mod access;
pub mod allocator;
pub mod audit;
pub mod config;
pub mod engine;
pub mod feed;
pub mod journal;
pub mod limits;
pub mod model;
mod planted;
pub mod server;
pub mod store;
pub mod telemetry;
