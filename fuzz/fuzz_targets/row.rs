//! One row of the state. The check itself is shared with the replay on stable.
#![no_main]

#[path = "../checks/store.rs"]
mod store;

libfuzzer_sys::fuzz_target!(|data: &[u8]| store::row(data));
