//! Runs the client of `tests/interop`, written in Python from `protocol/SPEC.md` alone, against the server of this
//! build. Knows nothing of the protocol itself.

use std::process::{Command, Stdio};

#[test]
fn a_client_written_from_the_page_alone_understands_the_server() {
    let run = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-v", "-s", "tests/interop"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("ADDRD_BINARY", env!("CARGO_BIN_EXE_addrd"))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("this test needs python3, 3.11 or later, in the PATH: {error}")
        });
    assert!(
        run.status.success(),
        "{}\n{}\n{}",
        run.status,
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}
