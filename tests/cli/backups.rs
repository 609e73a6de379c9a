//! Backup and restore at the command line: what is made, what is refused, and with which exit code.

use crate::program::{Ran, Server, addrd};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A server with two owners, and the folder beside its data.
struct Place {
    folder: TempDir,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("data"), &[]);
        server.addrd("network create blue").ok();
        server.addrd("subnet create blue 10.0.0.0/24").ok();
        for owner in ["web-1", "web-2"] {
            server.addrd(&format!("allocate blue --owner {owner} --label of={owner}")).ok();
        }
        Self { folder, server }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn backup(&self, name: &str) -> Ran {
        self.server.addrd(&format!("server backup {} -o json", self.path(name)))
    }

    /// Needs no server.
    fn restore(&self, file: &str, data: &str, more: &str) -> Ran {
        let (file, data) = (self.path(file), self.path(data));
        addrd("127.0.0.1:1", &format!("server restore {file} {data} -o json {more}"))
    }
}

#[test]
fn a_restored_server_gives_owners_their_own_and_nobody_else_anything() {
    let place = Place::new();
    let made = place.backup("monday").json();
    let status = place.server.addrd("server status -o json").json();
    assert_eq!(made["server_id"], status["server_id"]);
    // The future that gets lost.
    let lost = place.server.addrd("allocate blue --owner web-3 -o json").json();
    assert_eq!(lost["address"], "10.0.0.4");
    place.server.addrd("release 10.0.0.2").ok();
    let Place { folder, server } = place;
    server.end(Signal::KILL);
    let place = Place { folder, server: Server::dev() };
    let first = place.restore("monday", "first", "").json();
    assert_eq!((&first["position"], &first["allocations"]), (&made["position"], &2.into()));
    addrd("127.0.0.1:1", &format!("check {}", place.path("first"))).ok();
    let server = Server::start(Path::new(&place.path("first")), &[]);
    let now = server.addrd("server status -o json").json();
    assert_eq!(now["server_id"], status["server_id"]);
    assert!(now["incarnation"].as_u64() > status["incarnation"].as_u64(), "{now}");
    assert_eq!(now["adopting"], true);
    let held = server.addrd("list blue -o json").json().to_string();
    assert!(held.contains("of=web-1") && held.contains("of=web-2"), "{held}");
    server.addrd("allocate blue --owner web-4 --timeout 1").fails(6);
    let again = server.addrd("allocate blue --owner web-3 --address 10.0.0.4 -o json").json();
    let number = |value: &serde_json::Value| value["revision"].as_str().unwrap().parse::<u64>();
    assert!(number(&again).unwrap() > number(&lost).unwrap(), "{again} after {lost}");
    let stale = format!("release 10.0.0.4 --network blue --revision {}", number(&lost).unwrap());
    assert!(server.addrd(&stale).fails(3).contains("STALE"));
    server.addrd("server adopt --end").ok();
    let fresh = server.addrd("allocate blue --owner web-4 -q").ok();
    assert_eq!(fresh.trim(), "10.0.0.5", "what is held is not given again");
    // The same backup once more: another copy, and a higher incarnation.
    let second = place.restore("monday", "second", "").json();
    assert!(second["incarnation"].as_u64() > first["incarnation"].as_u64(), "{second}");
    let mut job_numbers = Vec::new();
    for name in ["network create red", "subnet create red 10.1.0.0/24", "allocate red --owner a"] {
        server.addrd(name).ok();
    }
    let deleted = server.addrd("network delete red --force --yes -o json").json();
    job_numbers.push(deleted["job_id"].as_str().map(str::to_owned));
    assert!(job_numbers[0].as_deref().is_none_or(|id| id.len() > 9), "{deleted}");
}

#[test]
fn a_backup_replaces_no_file_unless_it_is_told_to() {
    let place = Place::new();
    place.backup("there").ok();
    let said = place.backup("there").fails(3);
    assert!(said.contains("--force"), "{said}");
    place.server.addrd(&format!("server backup {} --force", place.path("there"))).ok();
    let said = place.server.addrd(&format!("server backup {}", place.path(""))).fails(2);
    assert!(said.contains("is a directory"), "{said}");
    place.server.addrd("server backup x --rate 1B").fails(2);
    addrd("127.0.0.1:1", "server backup x --timeout 1").fails(7);
    assert!(!Path::new("x").exists() && !Path::new("x.part").exists());
}

#[test]
fn a_full_disk_ends_a_backup_with_the_reason() {
    let place = Place::new();
    std::os::unix::fs::symlink("/dev/full", place.path("full.part")).unwrap();
    let said = place.backup("full").fails(1);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(!Path::new(&place.path("full")).exists());
    assert!(!Path::new(&place.path("full.part")).exists(), "what is no backup is taken away");
    // Nobody asks for that one any more, and the next one has to wait for its end.
    place.server.addrd("network list").ok();
}

#[test]
fn what_is_no_whole_backup_is_refused_and_nothing_is_made() {
    let place = Place::new();
    place.backup("good").ok();
    let good = fs::read(place.path("good")).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    let wrong: [(&str, &[u8], &str); 4] = [
        ("cut", &good[..good.len() - 1], "cut off at byte"),
        ("changed", &bad, "is damaged"),
        ("longer", &[&good[..], b"x"].concat(), "bytes follow its end"),
        ("other", b"{\"export\": {}}", "not a backup"),
    ];
    for (name, bytes, what) in wrong {
        fs::write(place.path(name), bytes).unwrap();
        let said = place.restore(name, "new", "").fails(3);
        assert!(said.contains(what), "{name}: {said}");
        assert!(!Path::new(&place.path("new")).exists(), "{name}");
        assert!(!Path::new(&place.path("new.part")).exists(), "{name}");
    }
    place.restore("absent", "new", "").fails(4);
    let described = place.restore("good", "new", "--dry-run").json();
    assert_eq!(described["bytes"], good.len());
    assert!(!Path::new(&place.path("new")).exists(), "a rehearsal makes nothing");
    place.restore("good", "new", "--incarnation 1").fails(3);
    fs::create_dir(place.path("full")).unwrap();
    fs::write(place.path("full/x"), "x").unwrap();
    assert!(place.restore("good", "full", "").fails(3).contains("not empty"));
    fs::create_dir(place.path("new.part")).unwrap();
    fs::write(place.path("new.part/x"), "x").unwrap();
    assert!(place.restore("good", "new", "").fails(3).contains("interrupted"));
    assert_eq!(fs::read(place.path("new.part/x")).unwrap(), b"x", "another one's work stays");
    fs::remove_file(place.path("new.part/x")).unwrap();
    let said = addrd("127.0.0.1:1", &format!("server restore {} /proc", place.path("good")));
    assert!(said.fails(3).contains("is a mount point"));
    fs::remove_dir(place.path("new.part")).unwrap();
    fs::create_dir(place.path("new")).unwrap();
    place.restore("good", "new", "--incarnation 77").ok();
    place.restore("good", "new", "").fails(3);
}

#[test]
fn what_another_backup_writes_is_not_touched_and_what_one_left_is_taken_over() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let part = place.path("monday.part");
    let other = fs::File::create(&part).unwrap();
    other.lock().unwrap();
    fs::write(&part, "half of it").unwrap();
    let refused = place.backup("monday").fails(3);
    assert!(refused.contains("another backup writes"), "{refused}");
    assert_eq!(fs::read_to_string(&part).unwrap(), "half of it");
    // Its process is gone.
    drop(other);
    place.backup("monday").ok();
    assert!(!Path::new(&part).exists());
    let mode = fs::metadata(place.path("monday")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may read it");
    // A slash at the end is no place inside.
    place.restore("monday", "again/", "").json();
    addrd("127.0.0.1:1", &format!("check {}", place.path("again"))).ok();
}
