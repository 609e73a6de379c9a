//! The wire protocol of addrd: nouns, messages, codec, statuses.
//!
//! No I/O, no clock, no threads. `SPEC.md` beside this crate is normative, byte by byte.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

pub mod codec;
pub mod error;
pub mod header;
pub mod id;
mod layout;
pub mod mac;
pub mod message;
pub mod opcode;
pub mod prefix;
pub mod setting;
pub mod status;
pub mod text;
pub mod token;
pub mod wire;

pub use error::{DecodeError, EncodeError, FrameError};
pub use id::*;
pub use mac::Mac;
pub use opcode::Opcode;
pub use prefix::{Family, Prefix, Range};
pub use setting::Setting;
pub use status::{Retry, Status};
pub use text::Text;
pub use token::{Token, TokenHash};
