//! Figures of the reactor threads, the table of metrics, what `/metrics` shows, and logging.
//!
//! Never labels anything by what a peer chose, and never sees a payload.

pub mod reactors;
