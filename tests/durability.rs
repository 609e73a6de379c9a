//! The store under power loss, failing disks and damaged files: the real journal, fold and
//! recovery on a fake disk, with a map of cells in the place of the allocator.
//!
//! What is proven: what was acknowledged is there (I2), and the recovered state is exactly the
//! state after some prefix of the journal that holds all of it (I3).
//!
//! `ADDRD_CRASHES` (5,000) and `ADDRD_DAMAGES` (200) scale the runs, `ADDRD_FAULT_STRIDE` (1)
//! thins out the faults, `ADDRD_SEED` replays one.
#![expect(clippy::print_stdout, reason = "a run says what it met with")]

#[path = "durability/damage.rs"]
mod damage;
#[path = "durability/faults.rs"]
mod faults;
#[path = "durability/generator.rs"]
mod generator;
#[path = "durability/model.rs"]
mod model;
#[path = "durability/oracle.rs"]
mod oracle;
#[path = "durability/power.rs"]
mod power;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
