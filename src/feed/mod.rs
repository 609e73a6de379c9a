//! Changes as those who watch see them: records become events, with the names of what they are about,
//! and each watch gets those that it may see and asked for.
//!
//! Pure: reads no file and no clock, waits for nobody, sends nothing. What it is given is durable.

mod convert;
mod filter;
mod names;
mod page;
#[cfg(test)]
mod tests;

pub use convert::{Converter, Moment};
pub use filter::{Filter, Watched};
pub(crate) use names::Other;
pub use names::{Names, Unnamed};
pub use page::{Page, PageBuilder, Piece};
