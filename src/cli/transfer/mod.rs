//! The whole state as a file of JSON lines (SPEC.md section 12). Asks servers through the client
//! and decides nothing about addresses.

pub(crate) mod export;
mod file;
mod line;
mod shape;
