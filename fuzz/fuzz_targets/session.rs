//! A whole connection, or three, against a server that asks who they are. What must hold stands in `addrd::server::rehearsal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = addrd::server::rehearsal::play(data);
});
