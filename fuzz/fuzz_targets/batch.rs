//! One batch of the journal, sealed and not. The check itself is shared with the replay on stable.
#![no_main]

#[path = "../checks/journal.rs"]
#[expect(dead_code, reason = "each target uses one of the checks")]
mod journal;

libfuzzer_sys::fuzz_target!(|data: &[u8]| journal::batch(data));
