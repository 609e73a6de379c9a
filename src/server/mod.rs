//! The way in and out: sockets, connections, sessions, HTTP for operators, shutdown.
//!
//! Waits and moves; decides nothing about addresses and touches no file but its sockets.

mod admission;
mod answers;
mod budget;
mod connection;
pub mod decider;
mod in_flight;
mod listener;
mod mailbox;
mod reading;
mod sessions;
mod shared;
#[cfg(test)]
mod testing;
mod writing;

pub use decider::{Decider, DeciderStatus, Identity, Readiness};
