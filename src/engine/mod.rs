//! Workers, sequencer, committer, checkpointer, jobs: step functions and their thread shells.
//!
//! Knows no socket and no frame beyond the encoded replies that it hands out.

pub mod clock;
pub mod operation;

pub use clock::{Clock, FakeClock, SystemClock};
pub use operation::{Operation, Outlet, Parcel, Rejected, Route, Scope};
