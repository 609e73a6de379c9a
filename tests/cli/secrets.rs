//! Keys and tokens where a path is expected, tokens that would go over plain TCP, and arguments that are no text: nothing of
//! a secret is ever printed, and nothing ends in a panic.

use crate::program::{Ran, program, run};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// What a shell puts in the place of `"$(cat server.key)"`.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----";

fn token() -> String {
    format!("addrd_00000000000000aa_{}", "7b".repeat(32))
}

/// Runs it where nothing can be found, with a home of its own.
fn ran(home: &TempDir, words: &[&str]) -> Ran {
    let mut command = program();
    command.env("HOME", home.path()).env("ADDRD_SERVER", "127.0.0.1:1").args(words);
    command.current_dir(home.path());
    run(command)
}

#[test]
fn a_secret_in_the_place_of_a_path_is_refused_and_not_shown() {
    let (home, token) = (tempfile::tempdir().unwrap(), token());
    let joined_key = format!("--tls-key={KEY}");
    let joined_token = format!("--token-file={token}");
    let operator = format!("operator_token_file={token}");
    let spaced = format!("  {token} ");
    for (words, named) in [
        (&["server", "status", "--tls-key", KEY][..], "--tls-key"),
        (
            &["server", "status", "--tls-ca", "ca.pem", "--tls-certificate", "c.pem", &joined_key],
            "",
        ),
        (&["server", "status", "--tls-ca", KEY], "--tls-ca"),
        (&["server", "status", KEY], "argument 3"),
        (&["server", "status", "--token-file", KEY], "--token-file"),
        (&["server", "status", "--token-file", &token], "contents of a file"),
        (&["server", "status", "--token-file", &spaced], "contents of a file"),
        (&["server", "status", &joined_token], "contents of a file"),
        (&["server", "status", &token, "--output", "json"], "\"exit_code\":2"),
        (&["context", "set", "prod", "--token-file", &token], "contents of a file"),
        (&["token", "create", "cni", "--out", KEY], "--out"),
        (&["serve", "--tls-key", KEY], "--tls-key"),
        (&["serve", "--set", &operator], "not what is in the file"),
    ] {
        let said = ran(&home, words).fails(2);
        assert!(said.contains(named), "{words:?}: {said}");
        for part in ["BEGIN", "MIGH", "7b7b"] {
            assert!(!said.contains(part), "{words:?} shows {part}");
        }
        assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
    }
    assert!(!home.path().join(".config").exists(), "no context has it");
}

#[test]
fn arguments_that_are_no_text_are_refused_and_paths_may_be_any_bytes() {
    let home = tempfile::tempdir().unwrap();
    let odd = OsStr::from_bytes(b"no\xfftext");
    let with = |words: &[&str]| {
        let mut command = program();
        command.current_dir(home.path()).env("ADDRD_SERVER", "127.0.0.1:1");
        command.args(words).arg(odd);
        run(command)
    };
    for words in [
        &["network", "create"][..],
        &["serve", "--set"],
        &["allocate", "demo", "--owner"],
        &["--server"],
        &["--output", "json", "network", "create"],
    ] {
        let said = with(words).fails(2);
        assert!(said.contains("UTF-8"), "{words:?}: {said}");
    }
    for option in ["--tls-ca", "--token-file"] {
        let said = with(&["server", "status", option]).fails(2);
        assert!(said.contains("No such file"), "{option}: {said}");
    }
}

/// Nobody has a server with this name: RFC 6761.
const ELSEWHERE: &str = "nowhere.invalid";

#[test]
fn a_token_that_goes_over_plain_tcp_to_another_machine_is_warned_of_once() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("my.token");
    std::fs::write(&file, token()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let to = |place: &str| {
        let words = ["server", "status", "--timeout", "5", "--token-file", file, "--server", place];
        ran(&home, &words).fails(7)
    };
    let warnings = |said: &str| said.matches("warning: ").count();
    let said = to(ELSEWHERE);
    assert!(said.contains(&format!("over plain TCP to {ELSEWHERE}:2337")), "{said}");
    assert_eq!(warnings(&said), 1, "{said}");
    assert_eq!(warnings(&to(&format!("127.0.0.1:1,{ELSEWHERE}"))), 1);
    for place in ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/nowhere/addrd.sock"] {
        let said = to(place);
        assert_eq!(warnings(&said), 0, "{place}: {said}");
    }
    let said = ran(&home, &["server", "status", "--timeout", "5", "--server", ELSEWHERE]).fails(7);
    assert_eq!(warnings(&said), 0, "{said}");
}
