//! One configuration file. The check itself is shared with the replay on stable.
#![no_main]

#[path = "../checks/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|data: &[u8]| config::configuration(data));
