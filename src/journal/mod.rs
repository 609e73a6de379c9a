//! Record format, batches, replay of bytes. Pure: knows no file, no thread, no clock, and decides
//! nothing; what it reads may be damaged and is refused, never trusted.
//!
//! `docs/disk-format.md` describes every layout of this room byte by byte.
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

mod batch;
mod buffer;
mod reader;
mod record;

pub use batch::{BatchError, BatchHeader, BatchIdentity, BatchSealer, BatchView, Records};
pub use buffer::RecordBuffer;
pub use record::{
    CellGlance, CellMark, RecordError, RecordKind, cell_glance, cell_mark, decode, encode, skip,
};

pub(crate) use reader::{Reader, Short};
pub(crate) use record::{decode_text, encode_text, state_of};
