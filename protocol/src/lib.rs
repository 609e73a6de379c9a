//! The wire protocol of addrd: nouns, messages, codec, statuses.
//!
//! No I/O, no clock, no threads. `SPEC.md` beside this crate is normative, byte by byte.
#![forbid(unsafe_code)]

pub mod id;
pub mod message;
pub mod opcode;
pub mod prefix;
pub mod setting;
pub mod status;
pub mod text;

pub use id::*;
pub use prefix::{Family, Prefix, Range};
pub use setting::Setting;
pub use status::{Retry, Status};
pub use text::Text;
