//! The whole state as a file of JSON lines (SPEC.md section 12). Asks servers through the client
//! and decides nothing about addresses.

pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod export;
mod faults;
mod file;
mod identity;
pub(crate) mod import;
mod known;
mod line;
mod lines;
mod maker;
mod offline;
mod reader;
mod rehearsal;
mod request;
mod shape;
pub(in crate::cli) mod whole;
#[cfg(test)]
mod wrong_bytes;
