//! The vectors of version 1 stay as they are: a message that is changed instead of added shows here.
//! `ADDRD_FROZEN=write` adds those that are new; it never takes one back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use uuid::Uuid;

/// What is refused today may be understood one day, so `bad` is not among them.
const FILES: [&str; 3] = ["requests", "replies", "frames"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Each vector by file and name, with a hash of its whole line.
fn vectors() -> BTreeMap<String, Uuid> {
    let mut found = BTreeMap::new();
    for file in FILES {
        let path = folder().join(format!("{file}.json"));
        let text = std::fs::read_to_string(path).expect("vectors are there");
        for line in text.lines().filter(|line| line.starts_with('{')) {
            let line = line.trim_end_matches(',');
            let vector: serde_json::Value = serde_json::from_str(line).expect("a vector");
            let name = vector["name"].as_str().expect("a name");
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, line.as_bytes());
            let before = found.insert(format!("{file} {name}"), hash);
            assert_eq!(before, None, "{file} {name} is there twice");
        }
    }
    found
}

fn frozen() -> BTreeMap<String, Uuid> {
    let text = std::fs::read_to_string(folder().join("frozen-1.txt")).unwrap_or_default();
    let of = |line: &str| {
        let (name, hash) = line.rsplit_once(' ').expect("a name and a hash");
        (name.to_owned(), hash.parse().expect("a hash"))
    };
    text.lines().map(of).collect()
}

#[test]
fn vectors_of_version_1_stay_as_they_are() {
    let (vectors, mut frozen) = (vectors(), frozen());
    let changed = frozen.iter().filter(|(name, hash)| vectors.get(*name) != Some(hash));
    let changed: Vec<_> = changed.map(|(name, _)| name).collect();
    assert!(changed.is_empty(), "changed or gone: {changed:?}");
    if std::env::var("ADDRD_FROZEN").is_ok_and(|what| what == "write") {
        frozen = vectors.clone();
        let lines = frozen.iter().map(|(name, hash)| format!("{name} {hash}\n"));
        std::fs::write(folder().join("frozen-1.txt"), lines.collect::<String>()).expect("written");
    }
    let new: Vec<_> = vectors.keys().filter(|name| !frozen.contains_key(*name)).collect();
    assert!(new.is_empty(), "not frozen yet (ADDRD_FROZEN=write does that): {new:?}");
}
