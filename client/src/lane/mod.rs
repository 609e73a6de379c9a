//! A lane: one session, one live connection at a time, repetition on its successor.

mod connect;
mod run;
mod state;

pub(crate) use connect::{ConnectError, Route};
pub(crate) use run::{Shared, run};

#[cfg(test)]
mod tests;
