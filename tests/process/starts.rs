//! Starts that must not happen: a message that says what and where, the exit code of the command
//! line's contract (1 fault of ours, 2 usage or configuration), and nothing written.

use crate::support::network::{held, network, text};
use crate::support::seed::Choices;
use crate::support::server::{Site, addrd};
use crate::support::{run, say};
use addrd_client::Client;
use addrd_client::plain_allocate;
use addrd_client::protocol::{NetworkId, OwnerId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

/// Runs a start that must fail, with its output here instead of in the log.
async fn fails(mut command: Command) -> Output {
    use std::process::Stdio;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    let pid = child.id();
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    match tokio::time::timeout(crate::support::HANG, ended).await {
        Ok(output) => output.expect("no panic").expect("output"),
        Err(_) => {
            let pid = rustix::process::Pid::from_raw(pid as i32).expect("a pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("it started instead of failing: {command:?}");
        }
    }
}

/// It failed with this code and said all of these.
fn must_say(output: &Output, code: i32, parts: &[&str]) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "\"{part}\" is not in: {said}");
    }
}

/// Every file of a directory with its bytes; the reserve is large and holds nothing.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("entry"));
    let files = entries.filter(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_file()) && entry.file_name() != "reserve"
    });
    files.map(|entry| (entry.path(), std::fs::read(entry.path()).expect("a file"))).collect()
}

/// A site whose server made some data and was stopped.
async fn stopped_site() -> (Site, NetworkId) {
    let site = Site::new();
    let server = site.start().await;
    let client = site.client().await;
    let network = network(&client, 1, &["10.0.0.0/16"]).await;
    fill(&client, network, 0, 200).await;
    server.stop().await;
    (site, network)
}

async fn fill(client: &Client, network: NetworkId, from: u128, count: u128) {
    for owner in from + 1..=from + count {
        let mut allocate = plain_allocate(OwnerId::from_u128(owner));
        let extras = addrd_client::protocol::message::AllocateExtras {
            label: Some(text(&format!("n={owner}"))),
            ..Default::default()
        };
        allocate.extras = Some(Box::new(extras));
        client.allocate(network, allocate).await.expect("an address");
    }
}

#[test]
fn a_directory_in_use_is_refused_and_its_user_goes_on() {
    run(LIMIT, async {
        let site = Site::new();
        let server = site.start().await;
        let other = Site::new();
        let mut command = addrd();
        command.arg("serve").arg("--data").arg(site.data());
        command.arg("--listen").arg(other.listen().to_string()).arg("--http").arg("");
        let output = fails(command).await;
        must_say(&output, 3, &["in use"]);
        let client = site.client().await;
        client.ping().await.expect("the first one goes on");
        let checked = site.check();
        assert!(!checked.status.success(), "check beside a server: {checked:?}");
        server.stop().await;
    });
}

#[test]
fn a_port_in_use_is_named() {
    run(LIMIT, async {
        let site = Site::new();
        let taken = std::net::TcpListener::bind(site.listen()).expect("a free port");
        let output = fails(site.command()).await;
        must_say(&output, 2, &[&site.listen().to_string()]);
        assert!(!site.data().exists(), "a wrong address changes nothing");
        drop(taken);
        site.start().await.stop().await;
    });
}

/// What is done to the bytes of a file.
type Damage = fn(&mut Vec<u8>);

#[test]
fn damage_is_refused_by_name_and_nothing_is_written() {
    run(LIMIT, async {
        let (site, _) = stopped_site().await;
        let whole = contents(&site.data());
        let damage: [(&str, Damage); 6] = [
            ("FORMAT", |bytes| bytes[30] ^= 1),
            ("FORMAT", |bytes| bytes.truncate(10)),
            ("journal.ring", |bytes| bytes[..4_096].fill(0)),
            ("journal.ring", |bytes| bytes.truncate(bytes.len() / 2)),
            ("state.redb", |bytes| bytes[..4_096].fill(0)),
            ("state.redb", |bytes| bytes.truncate(5_000)),
        ];
        for (name, break_it) in damage {
            let path = site.data().join(name);
            let mut bytes = whole[&path].clone();
            break_it(&mut bytes);
            std::fs::write(&path, &bytes).expect("a file is damaged");
            let before = contents(&site.data());
            must_say(&site.check(), 1, &[name]);
            must_be_unchanged(&before, &contents(&site.data()));
            let output = fails(site.command()).await;
            must_say(&output, 1, &[name, &site.data().display().to_string()]);
            must_be_unchanged(&before, &contents(&site.data()));
            restore(&whole);
        }
        for name in ["journal.ring", "state.redb", "FORMAT"] {
            std::fs::remove_file(site.data().join(name)).expect("a file is removed");
            let before = contents(&site.data());
            let output = fails(site.command()).await;
            // Without FORMAT nothing says that this is a data directory: as for a wrong path.
            let code = if name == "FORMAT" { 2 } else { 1 };
            must_say(&output, code, &[name, &site.data().display().to_string()]);
            must_be_unchanged(&before, &contents(&site.data()));
            restore(&whole);
        }
        site.start().await.stop().await;
        site.check_is_clean();
    });
}

fn restore(whole: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, bytes) in whole {
        std::fs::write(path, bytes).expect("a file is restored");
    }
}

fn must_be_unchanged(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after));
    for (path, bytes) in before {
        assert!(after[path] == *bytes, "{} was changed", path.display());
    }
}

/// Flips of one byte at random places.
const FLIPS: u64 = 12;

#[test]
fn a_flipped_byte_is_an_error_or_harmless_never_a_silent_change() {
    run(LIMIT, async {
        let mut choices = Choices::of_test("flips");
        let (site, network) = stopped_site().await;
        let whole = contents(&site.data());
        let server = site.start().await;
        let expected = held(&site.client().await, network).await;
        server.stop().await;
        let (mut refused, mut harmless) = (0, 0);
        for _ in 0..FLIPS {
            let path = site.data().join(*choices.pick(&["journal.ring", "state.redb", "FORMAT"]));
            let mut bytes = whole[&path].clone();
            // Most bytes of the files are room that is not used yet.
            let reach = (bytes.len() as u64).min(96 << 10);
            let at = choices.below(0..reach) as usize;
            bytes[at] ^= 1 << choices.below(0..8);
            restore(&whole);
            std::fs::write(&path, &bytes).expect("a file is damaged");
            let checked = site.check();
            if !checked.status.success() {
                must_say(&checked, 1, &["damaged"]);
                refused += 1;
                continue;
            }
            let server = site.start().await;
            assert_eq!(held(&site.client().await, network).await, expected, "{path:?} {at}");
            server.stop().await;
            harmless += 1;
        }
        say(&format!("{refused} flips refused, {harmless} harmless"));
    });
}

#[test]
fn a_newer_format_is_refused_and_not_touched() {
    run(LIMIT, async {
        let (site, _) = stopped_site().await;
        let path = site.data().join("FORMAT");
        let now = std::fs::read_to_string(&path).expect("FORMAT is text");
        let (body, _) = now.split_once("checksum ").expect("a checksum");
        let newer = body.lines().map(|line| match line.strip_prefix("format ") {
            Some(_) => "format 999\n".to_owned(),
            None => format!("{line}\n"),
        });
        let newer: String = newer.collect();
        let sum = crc32c::crc32c(newer.as_bytes());
        std::fs::write(&path, format!("{newer}checksum {sum:08x}\n")).expect("FORMAT is replaced");
        let before = contents(&site.data());
        must_say(&fails(site.command()).await, 2, &["FORMAT", "999"]);
        must_be_unchanged(&before, &contents(&site.data()));
    });
}

#[test]
fn a_path_that_is_no_directory_is_refused() {
    run(LIMIT, async {
        let site = Site::new();
        std::fs::write(site.data(), b"mine").expect("a file");
        let output = fails(site.command()).await;
        let path = site.data().display().to_string();
        must_say(&output, 2, &[&path]);
        assert_eq!(std::fs::read(site.data()).expect("the file"), b"mine");

        let foreign = Site::new();
        std::fs::create_dir(foreign.data()).expect("a folder");
        std::fs::write(foreign.data().join("journal.ring"), b"not ours").expect("a file");
        let before = contents(&foreign.data());
        must_say(&fails(foreign.command()).await, 2, &[]);
        must_be_unchanged(&before, &contents(&foreign.data()));
    });
}

#[test]
fn wrong_flags_are_usage_errors() {
    run(LIMIT, async {
        let site = Site::new();
        let cases: [(&[&str], &str); 5] = [
            (&["--no-such-flag"], "--no-such-flag"),
            (&["--listen", "nonsense"], "nonsense"),
            (&["--http", "127.0.0.1:99999"], "99999"),
            (&["--listen", "0.0.0.0:2337"], "insecure"),
            (&["--config", "/nonexistent/addrd.toml"], "/nonexistent/addrd.toml"),
        ];
        for (flags, part) in cases {
            let mut command = addrd();
            command.arg("serve").arg("--data").arg(site.data()).args(flags);
            must_say(&fails(command).await, 2, &[part]);
            assert!(!site.data().exists(), "{flags:?} wrote something");
        }
        let mut command = addrd();
        command.arg("srve");
        must_say(&fails(command).await, 2, &["serve"]);
    });
}

#[test]
fn a_wrong_configuration_names_file_line_value_and_what_is_allowed() {
    run(LIMIT, async {
        let cases: [(&str, &[&str]); 6] = [
            ("\njournal_recrods_max = 5\n", &[":2", "journal_recrods_max", "journal_records_max"]),
            ("# one\n\nconnections_max = 0\n", &[":3", "connections_max", "0", "100"]),
            ("log_level = \"loud\"\n", &[":1", "loud", "debug"]),
            ("idle_time = \"soon\"\n", &[":1", "idle_time", "soon"]),
            ("workers = [1]\n", &[":1", "workers"]),
            ("listen = \"\n", &[":1"]),
        ];
        for (config, parts) in cases {
            let site = Site::new().with_config(config);
            let output = fails(site.command()).await;
            must_say(&output, 2, &["addrd.toml"]);
            must_say(&output, 2, parts);
            assert!(!site.data().exists(), "{config:?}: something was written");
        }
    });
}
