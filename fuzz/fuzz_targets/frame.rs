//! A stream in pieces, both ways. The check itself is shared with the replay on stable.
#![no_main]

#[path = "../checks/protocol.rs"]
#[expect(dead_code, reason = "each target uses one of the checks")]
mod protocol;

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol::frame(data));
