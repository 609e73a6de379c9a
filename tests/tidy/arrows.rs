//! Which room may use which, and which libraries a room may touch (docs/architecture.md).
//! The table below is the rule; a room that is not in it fails.

use crate::Finding;
use crate::rust_paths::{PathUse, paths_of};
use crate::rust_text::code_of;
use crate::tree::{self, File};

/// A room of `src/`: a folder, or a file of that name.
struct Room {
    name: &'static str,
    /// Rooms that it may use besides itself.
    uses: &'static [&'static str],
    /// Knows no thread, socket, clock, file, lock, and no library outside [`PURE_LIBRARIES`].
    pure: bool,
}

const EVERY_ROOM: &[&str] = &[
    "access",
    "allocator",
    "audit",
    "bench",
    "cli",
    "config",
    "engine",
    "feed",
    "journal",
    "limits",
    "model",
    "planted",
    "server",
    "store",
    "telemetry",
];

const ROOMS: [Room; 17] = [
    Room { name: "lib", uses: EVERY_ROOM, pure: false },
    Room { name: "main", uses: EVERY_ROOM, pure: false },
    Room { name: "cli", uses: EVERY_ROOM, pure: false },
    Room { name: "bench", uses: EVERY_ROOM, pure: false },
    Room { name: "config", uses: &["limits", "model"], pure: false },
    Room {
        name: "server",
        uses: &["access", "config", "engine", "limits", "model", "planted", "telemetry"],
        pure: false,
    },
    Room {
        name: "engine",
        uses: &[
            "access",
            "allocator",
            "audit",
            "feed",
            "journal",
            "limits",
            "model",
            "planted",
            "store",
            "telemetry",
        ],
        pure: false,
    },
    Room { name: "store", uses: &["audit", "journal", "limits", "model", "planted"], pure: false },
    Room { name: "telemetry", uses: &["limits", "model"], pure: false },
    Room { name: "access", uses: &["model"], pure: true },
    Room { name: "allocator", uses: &["limits", "model", "planted"], pure: true },
    Room { name: "audit", uses: &["feed", "journal", "model"], pure: true },
    Room { name: "feed", uses: &["limits", "model"], pure: true },
    Room { name: "journal", uses: &["limits", "model", "planted"], pure: true },
    Room { name: "model", uses: &["limits"], pure: true },
    Room { name: "limits", uses: &[], pure: true },
    // Empty outside the tests of the library.
    Room { name: "planted", uses: &[], pure: false },
];

/// Libraries that compute and do nothing else.
const PURE_LIBRARIES: [&str; 14] = [
    "addrd_protocol",
    "addrd_sync",
    "alloc",
    "bytes",
    "core",
    "crc32c",
    "foldhash",
    "ipnet",
    "ring",
    "serde",
    "serde_json",
    "std",
    "subtle",
    "uuid",
];

/// What of these reaches outside the argument list.
const IMPURE_PATHS: [&str; 20] = [
    "ring::rand",
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::sync::Barrier",
    "std::sync::Condvar",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::mpsc",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::net::ToSocketAddrs",
];

/// A library, and the only places that may name it.
const KEPT_TO: [(&str, &[&str]); 12] = [
    ("redb", &["src/store/"]),
    (
        "tokio",
        &["src/server/", "src/cli/", "src/bench/", "src/main.rs", "src/engine/deliver", "client/"],
    ),
    (
        "tokio_util",
        &["src/server/", "src/cli/", "src/bench/", "src/main.rs", "client/", "protocol/src/"],
    ),
    ("hyper", &["src/server/", "src/bench/", "src/cli/"]),
    ("metrics_exporter_prometheus", &["src/telemetry/"]),
    ("tracing_subscriber", &["src/telemetry/", "src/cli/", "src/main.rs"]),
    ("clap", &["src/cli/", "src/bench/", "src/config", "src/main.rs"]),
    ("loom", &["sync/"]),
    ("rustls", &["src/server/tls/", "client/src/tls.rs", "tests/"]),
    ("tokio_rustls", &["src/server/tls/", "client/src/tls.rs", "client/src/endpoint.rs", "tests/"]),
    ("webpki", &["src/server/tls/"]),
    ("rcgen", &["src/server/tls/tests.rs", "tests/"]),
];

/// Where atomics and `unsafe` live.
const SYNC: &str = "sync/";

/// Name of the room of a file below `src/`.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
}

/// Every forbidden arrow and library of one source file.
fn check(file: &File) -> Vec<Finding> {
    let paths = paths_of(file);
    let mut findings = match room_of(&file.path) {
        Some(room) => rooms(file, room, &paths),
        None => Vec::new(),
    };
    findings.extend(libraries(file, &paths));
    findings.extend(atomics(file, &paths));
    findings.extend(unsafe_code(file));
    findings
}

fn rooms(file: &File, name: &str, paths: &[PathUse]) -> Vec<Finding> {
    let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
        let what = format!("room `{name}` has no line in the table of tests/tidy/arrows.rs");
        return vec![Finding::new(&file.path, 0, what)];
    };
    let mut findings: Vec<Finding> =
        paths.iter().filter_map(|path| arrow(file, room, path)).collect();
    if room.pure {
        findings.extend(paths.iter().filter_map(|path| impurity(file, path)));
    }
    findings
}

fn arrow(file: &File, room: &Room, path: &PathUse) -> Option<Finding> {
    let [root, target, ..] = path.segments.as_slice() else { return None };
    let names_a_room = root == "crate" || root == "addrd";
    let known = EVERY_ROOM.contains(&target.as_str());
    // What the allocator decides comes back as records: its tests take that way as well.
    let in_tests = path.in_tests && room.name == "allocator" && target == "journal";
    let lawful = in_tests || target == room.name || room.uses.contains(&target.as_str());
    let forbidden = names_a_room && known && !lawful;
    forbidden.then(|| {
        let what = format!("`{}` may not use `{target}`", room.name);
        Finding::new(&file.path, path.line, what)
    })
}

fn impurity(file: &File, path: &PathUse) -> Option<Finding> {
    if path.in_tests {
        return None;
    }
    let first = path.segments.first()?.as_str();
    let reaches_out = IMPURE_PATHS.iter().any(|banned| path.starts_with(banned));
    let foreign =
        dependencies().iter().any(|name| name == first) && !PURE_LIBRARIES.contains(&first);
    (reaches_out || foreign).then(|| {
        let what = format!("a pure room may not use `{}`", path.segments.join("::"));
        Finding::new(&file.path, path.line, what)
    })
}

/// Names of the libraries of the workspace, as Rust writes them.
fn dependencies() -> Vec<String> {
    let manifest = include_str!("../../Cargo.toml");
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.replace('-', "_"))
        .collect()
}

fn libraries(file: &File, paths: &[PathUse]) -> Vec<Finding> {
    let is_source = ["src/", "protocol/src/", "client/src/", "sync/src/"]
        .iter()
        .any(|folder| file.path.starts_with(folder));
    if !is_source {
        return Vec::new();
    }
    let outside = |path: &PathUse| {
        KEPT_TO.iter().find(|(library, places)| {
            path.starts_with(library) && !places.iter().any(|place| file.path.starts_with(place))
        })
    };
    let used = paths.iter().filter(|path| !path.in_tests);
    used.filter_map(|path| outside(path).map(|(library, _)| (path, library)))
        .map(|(path, library)| {
            Finding::new(&file.path, path.line, format!("`{library}` is kept out of this place"))
        })
        .collect()
}

fn atomics(file: &File, paths: &[PathUse]) -> Vec<Finding> {
    if file.path.starts_with(SYNC) {
        return Vec::new();
    }
    let atomic = ["std::sync::atomic", "core::sync::atomic"];
    let named = |path: &&PathUse| atomic.iter().any(|banned| path.starts_with(banned));
    let used = paths.iter().filter(|path| !path.in_tests).filter(named);
    used.map(|path| Finding::new(&file.path, path.line, "atomics live in sync/ only")).collect()
}

fn unsafe_code(file: &File) -> Vec<Finding> {
    if file.path.starts_with(SYNC) {
        return Vec::new();
    }
    let word = |line: &str| {
        line.split(|c: char| !crate::rust_text::is_word(c)).any(|word| word == "unsafe")
    };
    let code = code_of(&file.text);
    let lines = code.lines().enumerate().filter(|(_, line)| word(line));
    lines.map(|(at, _)| Finding::new(&file.path, at + 1, "`unsafe` lives in sync/ only")).collect()
}

#[test]
fn arrows_between_rooms_point_down_only() {
    let files = tree::files();
    let sources = files.iter().filter(|file| {
        let measures = ["tests/", "benches/"].iter().any(|folder| file.path.starts_with(folder));
        file.ends_with(".rs") && !measures
    });
    crate::none(&sources.flat_map(check).collect::<Vec<_>>());
}

#[test]
fn crates_below_the_server_depend_on_no_runtime() {
    let manifest = include_str!("../../sync/Cargo.toml");
    assert!(!manifest.contains("tokio"), "loom's configuration removes parts of tokio");
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::File;

    /// What the rule says about one file.
    fn says(path: &str, text: &str) -> Vec<String> {
        check(&File::made_up(path, text)).iter().map(|finding| finding.what.clone()).collect()
    }

    #[test]
    fn an_arrow_up_or_across_is_found() {
        let across = says("src/allocator/map.rs", "use crate::journal::Record;");
        assert_eq!(across, ["`allocator` may not use `journal`"]);
        let up = says("src/journal/batch.rs", "use super::super::engine::Worker;");
        assert_eq!(up, ["`journal` may not use `engine`"]);
        let inline = says("src/store/open.rs", "fn f() { crate::server::serve(); }");
        assert_eq!(inline, ["`store` may not use `server`"]);
        assert_eq!(says("src/model/id.rs", "use addrd::engine::X;").len(), 1);
        assert_eq!(says("src/gossip/mod.rs", "").len(), 1);
        assert_eq!(says("src/model/tests.rs", "use crate::journal::Record;").len(), 1);
    }

    #[test]
    fn an_arrow_down_is_not() {
        let text = "use crate::{allocator::State, journal::Record, limits, model::*, store};";
        assert!(says("src/engine/worker.rs", text).is_empty());
        assert!(says("src/store/state.rs", "use redb::Database; use std::fs;").is_empty());
        assert!(says("src/allocator/map.rs", "use std::net::IpAddr; use super::slab;").is_empty());
        assert!(says("src/allocator/tests.rs", "use crate::journal::decode;").is_empty());
    }

    #[test]
    fn a_pure_room_that_reaches_out_is_found() {
        for text in [
            "use std::fs;",
            "use std::{time::Instant};",
            "fn f() { std::thread::yield_now(); }",
            "use std::net::{IpAddr, TcpStream};",
            "use std::sync::Mutex;",
            "use tracing::info;",
        ] {
            assert_eq!(says("src/allocator/x.rs", text).len(), 1, "{text}");
        }
        assert!(
            says("src/allocator/tests.rs", "use std::fs; use proptest::prelude::*;").is_empty()
        );
    }

    #[test]
    fn a_library_outside_its_place_is_found() {
        assert_eq!(says("src/engine/committer.rs", "use redb::Database;").len(), 1);
        assert_eq!(says("src/engine/worker.rs", "use tokio::sync::Notify;").len(), 1);
        assert!(says("src/engine/delivery.rs", "use tokio::sync::Notify;").is_empty());
        assert_eq!(says("sync/src/ring.rs", "use tokio::sync::Notify;").len(), 1);
    }

    #[test]
    fn atomics_and_unsafe_outside_sync_are_found() {
        assert_eq!(says("src/server/mod.rs", "use std::sync::atomic::AtomicU64;").len(), 1);
        assert_eq!(says("client/src/lib.rs", "fn f() { unsafe { g() } }").len(), 1);
        assert!(says("client/src/lib.rs", "#![forbid(unsafe_code)] // unsafe").is_empty());
        assert!(says("sync/src/ring.rs", "fn f() { unsafe { g() } }").is_empty());
    }
}
