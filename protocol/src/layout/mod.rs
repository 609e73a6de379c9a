//! Layouts of messages: fixed part, items, tail (SPEC.md sections 3 and 9). Decides nothing.

mod allocate;
mod allocation;
mod backup;
mod batch;
mod connection;
pub(crate) mod element;
pub(crate) mod failure;
mod history;
mod hold;
mod host_lease;
mod job;
mod list;
mod network;
mod pin;
mod pool;
mod port;
mod principal;
mod project;
mod reconcile;
mod release;
mod renew;
pub(crate) mod reply;
mod request;
mod scope;
mod segment;
mod subnet;
mod transaction;
mod transfer;
mod usage;
pub(crate) mod watch;

use crate::error::DecodeError;
use crate::wire::{Reader, Writer};

pub(crate) use allocation::ALLOCATION_BYTES_MAX;
pub(crate) use history::ENTRY_BYTES_MAX as HISTORY_ENTRY_BYTES_MAX;
pub(crate) use pool::POOL_BYTES_MAX;
pub(crate) use port::PORT_BYTES_MAX;
pub(crate) use principal::PRINCIPAL_BYTES_MAX;
pub(crate) use subnet::SUBNET_BYTES_MAX;

type Read<T> = Result<T, DecodeError>;

/// A message or object with a layout of its own.
pub(crate) trait Layout: Sized {
    /// Takes everything up to the end of the reader, tail included.
    fn read(reader: &mut Reader<'_>) -> Read<Self>;
    /// Appends fixed part, items and tail.
    fn write(&self, writer: &mut Writer<'_>);
}

impl<T: Layout> Layout for Box<T> {
    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        T::read(reader).map(Self::new)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        T::write(self, writer);
    }
}
