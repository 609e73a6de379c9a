//! Bytes in the place of a token and of its file. The check itself is shared with the replay on stable.
#![no_main]

#[path = "../checks/credential.rs"]
mod credential;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    credential::credential(data);
});
