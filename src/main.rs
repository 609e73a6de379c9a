//! Command line of addrd.
#![forbid(unsafe_code)]

fn main() {}
