//! A volume of history and its index. The check itself is shared with the replay on stable.
#![no_main]

#[path = "../checks/history.rs"]
mod history;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    history::volume(data);
});
