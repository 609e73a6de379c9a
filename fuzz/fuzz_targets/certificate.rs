//! Files of certificates and keys, as a server reads them. What must hold stands in `addrd::server::tls_rehearsal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = addrd::server::tls_rehearsal::play(data);
});
