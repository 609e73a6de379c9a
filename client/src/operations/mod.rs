//! A method for every operation. Each builds one request and unpacks one reply; none decides.

mod allocation;
mod catalogue;
mod history;
mod hold;
mod host_lease;
mod job;
mod manager;
mod network;
mod pages;
mod port;
mod principal;
mod subnet;

pub use allocation::plain_allocate;
pub use hold::HoldOutcome;
pub use pages::Pages;

pub(crate) use pages::Page;

use crate::error::Error;
use addrd_protocol::message::{Job, Reply};

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Now,
    /// A job releases what is live; it is gone when the job is done.
    ByJob(Job),
}

/// Takes the reply out of its kind; another kind is a fault of the server's.
macro_rules! expect_reply {
    ($reply:expr, $kind:ident) => {
        match $reply {
            addrd_protocol::message::Reply::$kind(value) => Ok(value),
            other => Err($crate::operations::unexpected(&other)),
        }
    };
}
pub(crate) use expect_reply;

pub(crate) fn unexpected(reply: &Reply) -> Error {
    let text = format!("{reply:?}");
    let kind = text.split(['(', ' ']).next().unwrap_or_default();
    Error::Protocol(format!("a reply of the kind {kind} is not the one to this operation"))
}

/// Whether a list goes on behind where it was asked to: a server that says the same place again would be asked for ever.
///
/// # Errors
/// [`Error::Protocol`] if it doesn't.
pub(crate) fn goes_on(is_further: bool) -> Result<(), Error> {
    let message = "the server says that a list goes on where it was asked to go on already";
    is_further.then_some(()).ok_or_else(|| Error::Protocol(message.to_owned()))
}
