//! Figures of the reactor threads, the table of metrics, what `/metrics` shows, and logging.
//!
//! Never labels anything by what a peer chose, and never sees a payload.

mod exporter;
pub mod log;
pub mod metrics;
pub mod reactors;

pub use exporter::Exporter;
