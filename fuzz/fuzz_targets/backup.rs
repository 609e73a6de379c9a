//! The file of a backup, as a restore reads it. The check itself is shared with the replay on stable.
#![no_main]

#[path = "../checks/backup.rs"]
mod backup;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    backup::backup(data);
});
