//! T18: data directories of every format since the first opens: they hold what the server that wrote them
//! said, and take new work. `ADDRD_FIXTURE=write` makes the directory of the format of today.

use crate::support::run;
use crate::support::server::{Site, addrd};
use addrd::store::FORMAT_VERSION;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);

/// Begins a packed directory.
const MAGIC: &[u8] = b"addrd data directory, packed\n";
/// Files are mostly zeros: only what differs is kept, in blocks of so many bytes.
const BLOCK: usize = 4096;
/// Not data: a lock, a socket, and space that is made anew.
const LEFT_OUT: [&str; 3] = ["lock", "addrd.sock", "reserve"];

/// The token of what is held in every fixture.
const TOKEN: &str = "77777777-7777-4777-8777-777777777777";

/// What is done before a stop, in which all is folded.
const FOLDED: &[&str] = &[
    "allocate blue --owner plain",
    "allocate blue --owner leased --lease 10h --manager m1 --host node-1 --label app=web",
    "allocate blue --owner held --hold {token} --hold-for 10h",
    "allocate blue --owner leaving",
    "release --network blue --owner leaving --hold {token} --hold-for 10h",
    "network create rests",
    "subnet create rests 10.9.0.0/28 --quarantine 10h",
    "allocate rests --owner former",
    "release --network rests --owner former",
    "network create lent --shared",
    "subnet create lent 10.8.0.0/28",
    "project update default --quota addresses=1000",
    "host-lease renew --manager m1 node-1 --lease 10h --begin 1 --on-end release",
    "host-lease renew --manager m1 node-2 --lease 10h --begin 1",
    "allocate blue --owner follower --manager m1 --host node-1 --follow-host",
    "allocate blue --owner counted --hold {token} --hold-item 3 --hold-for 10h",
    "pool create delegated 172.31.0.0/16 --default-length 24",
    "allocate --pool delegated --owner node-7 --lease 10h",
    "principal create cni --grant all:read,allocate@m1 --certificate-name spiffe://cni --unix-user 4242",
    "token create cni",
];

/// What is done behind it and stands in the journal alone, since the server is killed then.
const JOURNALLED: &[&str] = &[
    "allocate blue --owner second --instance 7",
    "allocate blue --owner short --lease 1h",
    "allocate rests --owner next",
    "release --network blue --owner plain",
    "network create gone",
    "network delete gone --yes",
    "host-lease renew --manager m1 node-2 --lease 9h",
    "allocate blue --owner behind --manager m1 --host node-1 --follow-host",
    "allocate --pool delegated --owner node-8 --lease 10h",
    "principal create late",
    "token create late",
];

/// What is ended or goes on later of what a format brought that those before it did not have.
const SINCE: &[(u32, &[&str])] = &[
    (
        2,
        &[
            "confirm --network blue --owner counted --token {token}",
            "host-lease renew --manager m1 node-1 --lease 2h --on-end release",
            "host-lease end --manager m1 node-2",
            "renew --network blue --owner behind --lease 1h",
            "renew --pool delegated --owner node-7 --lease 2h",
            "renew --pool delegated --owner node-8 --lease 2h",
            "history --owner leaving",
        ],
    ),
    (3, &["token rotate cni --overlap 1h", "principal update late --disable"]),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats")
}

/// Runs one line of the command line.
fn line(site: &Site, text: &str) -> Output {
    let text = text.replace("{token}", TOKEN);
    let mut command = addrd();
    command.args(text.split(' ')).arg("--server").arg(site.listen().to_string());
    command.output().expect("the binary starts")
}

fn done(site: &Site, text: &str) -> Vec<u8> {
    let output = line(site, text);
    assert!(output.status.success(), "{text}: {output:?}");
    output.stdout
}

/// The files of a data directory as one.
fn pack(data: &Path) -> Vec<u8> {
    let mut packed = MAGIC.to_vec();
    let mut paths = Vec::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => paths.push(path),
            }
        }
    }
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(data).expect("inside").to_str().expect("a plain name");
        if LEFT_OUT.contains(&name) {
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let used =
            bytes.chunks(BLOCK).enumerate().filter(|(_, block)| block.iter().any(|b| *b != 0));
        let used: Vec<_> = used.collect();
        packed.extend_from_slice(&(name.len() as u32).to_be_bytes());
        packed.extend_from_slice(name.as_bytes());
        packed.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        packed.extend_from_slice(&(used.len() as u32).to_be_bytes());
        for (number, block) in used {
            packed.extend_from_slice(&(number as u32).to_be_bytes());
            packed.extend_from_slice(block);
            packed.resize(packed.len() + BLOCK - block.len(), 0);
        }
    }
    packed
}

/// The files of a packed directory, into a new one.
fn unpack(packed: &[u8], data: &Path) {
    fn take<'a>(left: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = left.split_at(count);
        *left = rest;
        taken
    }
    fn number(left: &mut &[u8]) -> usize {
        u32::from_be_bytes(take(left, 4).try_into().expect("4 bytes")) as usize
    }
    let mut left = packed.strip_prefix(MAGIC).expect("a packed directory");
    while !left.is_empty() {
        let length = number(&mut left);
        let name = std::str::from_utf8(take(&mut left, length)).expect("a name");
        let length = u64::from_be_bytes(take(&mut left, 8).try_into().expect("8 bytes")) as usize;
        let mut bytes = vec![0; length];
        for _ in 0..number(&mut left) {
            let at = number(&mut left) * BLOCK;
            let block = take(&mut left, BLOCK);
            let end = length.min(at + BLOCK);
            bytes[at..end].copy_from_slice(&block[..end - at]);
        }
        let path = data.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700)).expect("made private");
}

/// Everything that a server of this site says of what it has: an export, which leaves out what ends, and
/// each allocation of each network as JSON, without the time that is left.
fn told(site: &Site, format: u32) -> String {
    let mut told = String::from_utf8(done(site, "export")).expect("text");
    for what in ["blue", "rests", "rests --state quarantined", "lent"] {
        let list = done(site, &format!("list {what} -o jsonl"));
        for line in String::from_utf8(list).expect("text").lines() {
            let mut held: serde_json::Value = serde_json::from_str(line).expect("JSON");
            if let Some(left) = held.get_mut("time_left_ms") {
                *left = serde_json::Value::Bool(left != 0);
            }
            told.push_str(&format!("{held}\n"));
        }
    }
    if format >= 3 {
        let list = done(site, "principal list -o jsonl");
        for line in String::from_utf8(list).expect("text").lines() {
            let mut principal: serde_json::Value = serde_json::from_str(line).expect("JSON");
            for token in principal["tokens"].as_array_mut().expect("its tokens") {
                token["age_ms"].take();
            }
            told.push_str(&format!("{principal}\n"));
        }
    }
    told
}

/// Name of a file of the fixture of a format.
fn file(format: u32, ending: &str) -> PathBuf {
    fixtures().join(format!("format-{format}.{ending}"))
}

async fn write() {
    let site = Site::new();
    let server = site.start().await;
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state.jsonl");
    done(&site, &format!("import --yes {}", state.display()));
    FOLDED.iter().for_each(|text| drop(done(&site, text)));
    server.stop().await;
    let server = site.start().await;
    JOURNALLED.iter().for_each(|text| drop(done(&site, text)));
    let told = told(&site, FORMAT_VERSION);
    server.kill();
    std::fs::create_dir_all(fixtures()).expect("a folder");
    std::fs::write(file(FORMAT_VERSION, "packed"), pack(&site.data())).expect("written");
    std::fs::write(file(FORMAT_VERSION, "told.jsonl"), told).expect("written");
}

/// Every format since the first that was promised.
#[test]
fn directories_of_every_format_open_with_all_that_is_in_them() {
    run(LIMIT, async {
        if std::env::var("ADDRD_FIXTURE").is_ok_and(|what| what == "write") {
            write().await;
        }
        for format in 1..=FORMAT_VERSION {
            let site = Site::new();
            let packed = std::fs::read(file(format, "packed")).expect("a fixture for each format");
            unpack(&packed, &site.data());
            // Read first by who changes nothing.
            site.check_is_clean();
            let server = site.start().await;
            let expected = std::fs::read_to_string(file(format, "told.jsonl")).expect("its text");
            assert_eq!(told(&site, format), expected, "format {format}");
            // What was begun then can be ended now.
            let held = format!("confirm --network blue --owner held --token {TOKEN}");
            let leaving =
                format!("confirm --release --network blue --owner leaving --token {TOKEN}");
            let next =
                ["renew --network blue --owner leased --lease 2h", "allocate blue --owner new -q"];
            for text in [held.as_str(), leaving.as_str()].into_iter().chain(next) {
                done(&site, text);
            }
            for (_, texts) in SINCE.iter().filter(|(since, _)| format >= *since) {
                texts.iter().for_each(|text| drop(done(&site, text)));
            }
            server.kill();
            let server = site.start().await;
            done(&site, "release --network blue --owner new");
            server.stop().await;
            site.check_is_clean();
        }
    });
}

/// What is packed is the same unpacked, also where a file ends inside a block.
#[test]
fn a_directory_is_the_same_after_packing() {
    let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    let files: [(&str, Vec<u8>); 3] = [
        ("a", vec![0; 3 * BLOCK]),
        ("b", [vec![0; BLOCK], vec![7; BLOCK + 5]].concat()),
        ("in/c", b"short".to_vec()),
    ];
    for (name, bytes) in &files {
        let path = one.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    unpack(&pack(one.path()), other.path());
    for (name, bytes) in &files {
        assert_eq!(&std::fs::read(other.path().join(name)).expect("unpacked"), bytes, "{name}");
    }
}
