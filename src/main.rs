//! Command line of addrd.

fn main() {}
