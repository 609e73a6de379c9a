//! Who may do what, as an administrator sets it up and as those see it who are let in or refused.

use crate::program::{Ran, Server, addrd, at_terminal, program, run};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// All verbs, everywhere.
const EVERYTHING: &str = "all:read,allocate,release_own,release_any,manage,administer";

/// A server that asks everybody who he is.
struct House {
    server: Server,
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path(), more);
        Self { server, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn socket(&self) -> String {
        format!("unix:{}", self.path("data/addrd.sock").display())
    }

    /// As the operator, over the Unix socket.
    fn operator(&self, line: &str) -> Ran {
        addrd(&self.socket(), line)
    }

    /// Over TCP with the token in a file.
    fn with_token(&self, file: &Path, line: &str) -> Ran {
        self.server.addrd(&format!("{line} --token-file {}", file.display()))
    }

    /// Makes a principal and its token; the file of that.
    fn principal(&self, name: &str, options: &str) -> PathBuf {
        self.operator(&format!("principal create {name} {options}")).ok();
        let file = self.path(&format!("{name}.token"));
        self.operator(&format!("token create {name} --out {}", file.display())).ok();
        file
    }

    /// The id of a principal's only token.
    fn token_id(&self, name: &str) -> String {
        let id = self.operator(&format!("token list {name} -q")).ok().trim().to_owned();
        assert_eq!(id.len(), 16, "{id}");
        id
    }
}

fn start(folder: &Path, more: &[&str]) -> Server {
    let fixed = ["--set", "authentication=true", "--set", "journal_records_max=262144"];
    Server::start(&folder.join("data"), &[&fixed, more].concat())
}

#[test]
fn who_shows_nothing_is_refused_and_a_token_opens_what_its_grants_say() {
    let house = House::new();
    let error = house.server.addrd("network list").fails(5);
    assert!(error.contains("UNAUTHENTICATED") && error.contains("--token-file"), "{error}");
    house.operator("project create blue-team").ok();
    let admin = house.principal("admin", &format!("--grant {EVERYTHING}"));
    house.with_token(&admin, "network create core").ok();
    house.with_token(&admin, "subnet create core 10.0.0.0/24").ok();
    house.with_token(&admin, "network create pods --project blue-team").ok();
    house.with_token(&admin, "subnet create pods 10.1.0.0/24 --project blue-team").ok();

    let cni = house.principal("cni", "--grant blue-team:read,allocate@cni");
    let blue = |line: &str| house.with_token(&cni, &format!("{line} --project blue-team"));
    blue("network get pods").ok();
    blue("allocate pods --owner a --manager cni").ok();
    for (line, verb) in [
        ("allocate pods --owner b --manager other", "allocate"),
        ("network create more", "manage"),
        ("release --network pods --owner a", "release_own"),
        ("principal list", "administer"),
        ("principal update cni --add-grant all:administer", "administer"),
        ("token create admin", "administer"),
        ("server status", "read"),
    ] {
        let error = blue(line).fails(5);
        assert!(error.contains("NOT_ALLOWED") && error.contains(verb), "{line}: {error}");
    }
    // What is there and what isn't look alike.
    let refused = |line: &str| house.with_token(&cni, line).fails(5);
    assert_eq!(refused("network get core"), refused("network get no-such"));

    let shown: serde_json::Value =
        serde_json::from_str(&refused("network list -o json")).expect("a failure is JSON");
    assert_eq!((&shown["status"], &shown["class"]), (&"NOT_ALLOWED".into(), &"denied".into()));
    assert_eq!(shown["exit_code"], 5);

    // More grants count for the next command; fewer, too.
    house.operator("principal update cni --add-grant blue-team:release_own@cni").ok();
    blue("release --network pods --owner a").ok();
    house.operator("principal update cni --remove-grant blue-team:read,allocate@cni").ok();
    blue("network get pods").fails(5);
    house.operator("principal update cni --remove-grant blue-team:read@cni").fails(3);
    house.operator("principal update cni --disable").ok();
    assert!(blue("network get pods").fails(5).contains("UNAUTHENTICATED"));
    house.operator("principal update cni --enable --grant default:read").ok();
    house.with_token(&cni, "network get core").ok();
    house.operator("principal delete cni").ok();
    assert!(house.with_token(&cni, "network get core").fails(5).contains("UNAUTHENTICATED"));
}

#[test]
fn principals_are_shown_as_they_were_made() {
    let house = House::new();
    house.operator("project create blue-team").ok();
    let line = "principal create web --description servers --grant blue-team:read@cni --grant all:read \
                --certificate-name spiffe://example/web --unix-user 4711";
    let made = house.operator(&format!("{line} -o json")).json();
    assert_eq!(made["name"], "web");
    assert_eq!(made["certificate_names"][0], "spiffe://example/web");
    assert_eq!(made["unix_users"][0], 4711);
    assert_eq!(made["grants"][0]["verbs"], serde_json::json!(["read"]));
    assert_eq!(made["grants"][0]["manager"], "cni");
    assert_eq!(made["grants"][1]["project_id"], serde_json::Value::Null);
    // The same command finds it.
    let again = house.operator(&format!("{line} -o json")).json();
    assert_eq!((&again["principal_id"], &again["repeated"]), (&made["principal_id"], &true.into()));
    house.operator("principal create web --grant all:read").fails(3);
    let id = made["principal_id"].as_str().unwrap();
    assert_eq!(house.operator(&format!("principal get {id} -q")).ok(), format!("{id}\n"));
    let shown = house.operator("principal get web").ok();
    for word in ["web", id, "all:read", ":read@cni", "spiffe://example/web", "4711", "servers"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(house.operator("principal get wep").fails(4).contains("did you mean \"web\"?"));

    house.operator("principal create batch --id 11111111-1111-4111-8111-111111111111").ok();
    assert_eq!(house.operator("principal list --prefix ba -o jsonl").ok().lines().count(), 1);
    assert_eq!(house.operator("principal list -o plain --no-headers").ok().lines().count(), 2);
    let changed =
        "principal update web --name www --no-description --no-unix-users --no-grants -o json";
    let changed = house.operator(changed).json();
    assert_eq!((&changed["name"], &changed["grants"]), (&"www".into(), &serde_json::Value::Null));
    house.operator("principal update www").fails(2);
    house.operator("principal update www --disable --revision 1").fails(3);
    house.operator("principal create x --grant no-such:read").fails(4);
    house.operator("principal create x --grant all:red").fails(2);
    house.operator("principal create x --certificate-name spiffe://example/web").fails(3);

    let (code, asked) = at_terminal(&house.socket(), "principal delete www", "n\n");
    assert!(code == 3 && asked.contains("delete principal www"), "{code}: {asked}");
    house.operator("principal delete www --dry-run").ok();
    house.operator("principal get www").ok();
    house.operator("principal delete www").ok();
    house.operator("principal get www").fails(4);
}

#[test]
fn a_token_is_shown_once_and_nothing_else_with_quiet() {
    let house = House::new();
    house.operator(&format!("principal create admin --grant {EVERYTHING}")).ok();
    let token = house.operator("token create admin -q --life 90d").ok();
    assert!(token.starts_with("addrd_") && token.len() == 88 && token.ends_with('\n'), "{token}");
    let id = house.token_id("admin");
    assert!(token.contains(&id));
    let secret = token.trim().rsplit('_').next().unwrap();
    for line in ["token list", "token list admin -o json", "principal get admin -o json"] {
        let shown = house.operator(line).ok();
        assert!(shown.contains(&id) && !shown.contains(secret), "{line}: {shown}");
    }
    let left = house.operator("token list -o json").json()[0]["time_left_ms"].as_u64().unwrap();
    let most = 90 * 86_400_000;
    assert!((most - 3_600_000..=most).contains(&left), "{left}");
    house.operator("token create admin --dry-run").ok();
    house.token_id("admin");
    let second = house.operator("token create admin -o json").json();
    assert!(second["token"].as_str().unwrap().starts_with("addrd_"));
    let error = house.operator("token create admin").fails(3);
    assert!(error.contains(&id) && error.contains("revoke"), "{error}");
}

#[test]
fn a_token_is_written_into_a_new_file_for_its_owner_alone() {
    let house = House::new();
    let file = house.principal("admin", &format!("--grant {EVERYTHING}"));
    let about = std::fs::metadata(&file).unwrap();
    assert_eq!(about.permissions().mode() & 0o7777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    // Never over something, and then the server has no token more.
    let id = house.token_id("admin");
    let error = house.operator(&format!("token create admin --out {}", file.display())).fails(3);
    assert!(error.contains("there already"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert_eq!(house.token_id("admin"), id);
    // What the server refuses leaves no file.
    house.operator("token create admin -q").ok();
    let other = house.path("other.token");
    house.operator(&format!("token create admin --out {}", other.display())).fails(3);
    assert!(!other.exists());

    let secret = text.trim().rsplit('_').next().unwrap();
    for mode in [0o604, 0o644, 0o666] {
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let error = house.with_token(&file, "network list").fails(2);
        assert!(error.contains("everybody can read it") && !error.contains(secret), "{error}");
    }
    std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    house.with_token(&file, "network list").ok();
    for (content, what) in [("", "no token"), ("nonsense", "no token"), (&text[1..], "no token")] {
        std::fs::write(&file, content).unwrap();
        let error = house.with_token(&file, "network list").fails(2);
        assert!(error.contains(what) && !error.contains(secret), "{error}");
    }
    house.with_token(&house.path("missing"), "network list").fails(2);
    house.with_token(house.folder.path(), "network list").fails(2);
    // A wrong secret under an id that is there.
    let wrong = format!("{}{}\n", &text[..text.len() - 65], "0".repeat(64));
    std::fs::write(&file, wrong).unwrap();
    assert!(house.with_token(&file, "network list").fails(5).contains("UNAUTHENTICATED"));
}

#[test]
fn a_token_comes_from_the_environment_or_a_context_and_goes_to_no_other_server() {
    let house = House::new();
    let file = house.principal("admin", &format!("--grant {EVERYTHING}"));
    let home = house.path("home");
    let of = |line: &str, variables: &[(&str, &str)]| {
        let mut command = program();
        command.env("HOME", &home).current_dir(house.folder.path());
        command.envs(variables.iter().copied()).args(line.split_whitespace());
        run(command)
    };
    let place = ("ADDRD_SERVER", house.server.place.as_str());
    of("network list", &[place, ("ADDRD_TOKEN_FILE", file.to_str().unwrap())]).ok();
    of("network list", &[place]).fails(5);
    of("context set prod --token-file missing", &[place]).fails(2);
    // A path from where the context was made.
    of("context set prod --token-file admin.token", &[place]).ok();
    of("network list", &[]).ok();
    let kept = std::fs::read_to_string(home.join(".config/addrd/contexts.toml")).unwrap();
    assert!(kept.contains("admin.token") && !kept.contains("addrd_"), "{kept}");
    // It is for the servers of the context alone.
    of("network list", &[place]).fails(5);
    // What measures, imports and exports shows it too.
    of("network create blue", &[]).ok();
    of("export state.jsonl", &[]).ok();
    of("import state.jsonl", &[]).ok();
    of("top --once", &[]).ok();
    of("bench --duration 1 --warm-up 0 --connections 1 --in-flight 1 --live 100 --force", &[]).ok();
    // A data directory that is made here has a server of its own, which knows nobody.
    of("import state.jsonl --data made", &[("ADDRD_TOKEN_FILE", file.to_str().unwrap())]).ok();
}

#[test]
fn revoking_a_token_ends_a_watch_and_refuses_what_comes_later() {
    let house = House::new();
    let file = house.principal("reader", "--grant default:read");
    let mut command = program();
    command.env("ADDRD_SERVER", &house.server.place).args(["watch", "--token-file"]).arg(&file);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let watch = command.spawn().unwrap();
    let mut watch = watch;
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let read = move || {
        while let Some(Ok(line)) = lines.next() {
            // The test may have heard enough.
            let _ = tell.try_send(line);
        }
    };
    let reader = std::thread::Builder::new().name("lines".to_owned()).spawn(read).unwrap();
    // It prints what comes after its start, which nobody outside sees.
    let mut number = 0;
    while told.try_recv().is_err() {
        assert!(watch.try_wait().unwrap().is_none(), "the watch ended");
        number += 1;
        house.operator(&format!("network create net-{number}")).ok();
    }
    house.operator(&format!("token revoke {}", house.token_id("reader"))).ok();
    let ended = watch.wait_with_output().unwrap();
    reader.join().unwrap();
    assert_eq!(ended.status.code(), Some(5), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("UNAUTHENTICATED"), "{ended:?}");
    assert!(house.with_token(&file, "network list").fails(5).contains("UNAUTHENTICATED"));
    assert_eq!(house.operator("token list reader -q").ok(), "");
    house.operator("token revoke 0123456789abcdef").fails(4);
    house.operator("token revoke nonsense").fails(2);
}

#[test]
fn a_rotated_token_is_good_until_the_overlap_is_over() {
    let house = House::new();
    let old = house.principal("reader", "--grant default:read");
    let old_id = house.token_id("reader");
    let new = house.path("new.token");
    let made = format!("token rotate reader --overlap 1h --out {} -o json", new.display());
    let made = house.operator(&made).json();
    assert_eq!(
        (&made["token"], &made["old"]["token_id"]),
        (&serde_json::Value::Null, &old_id.as_str().into())
    );
    assert!(made["old"]["time_left_ms"].as_u64().unwrap() <= 3_600_000);
    house.with_token(&old, "network list").ok();
    house.with_token(&new, "network list").ok();
    let error = house.operator("token rotate reader").fails(3);
    assert!(error.contains(&old_id) && error.contains("2 tokens"), "{error}");

    house.operator(&format!("token revoke {old_id} --after 1s")).ok();
    loop {
        let ran = house.with_token(&old, "network list");
        if ran.code != 0 {
            ran.fails(5);
            break;
        }
    }
    house.with_token(&new, "network list").ok();
    // Without an overlap the one before is good for nothing at once.
    let third = house.path("third.token");
    house
        .operator(&format!("token rotate reader --overlap 0 --life 1d --out {}", third.display()))
        .ok();
    house.with_token(&new, "network list").fails(5);
    house.with_token(&third, "network list").ok();
    // The next one lives as long.
    house.operator("token rotate reader --overlap 0 -q").ok();
    let left = house.operator("token list reader -o json").json()[0]["time_left_ms"].as_u64();
    assert!(left.is_some_and(|left| (80_000_000..=86_400_000).contains(&left)), "{left:?}");
    house.operator("principal create nobody").ok();
    house.operator("token rotate nobody").fails(3);
}

#[test]
fn the_operators_token_is_in_a_file_and_the_socket_can_be_closed_to_him() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("operator.token");
    let token = format!("addrd_00000000000000aa_{}", "7b".repeat(32));
    std::fs::write(&file, &token).unwrap();
    let setting = format!("operator_token_file={}", file.display());
    let settings = ["--set", &setting, "--set", "local_operator=false"];
    // What everybody can read is nobody's secret.
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--http", "", "--data"]);
    let error = run({
        command.arg(folder.path().join("data")).args(settings);
        command
    });
    let error = error.fails(2);
    assert!(error.contains("operator_token_file") && !error.contains("7b7b"), "{error}");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let server = start(folder.path(), &settings);
    let house = House { server, folder };
    assert!(house.operator("principal list").fails(5).contains("UNAUTHENTICATED"));
    house.with_token(&file, "principal create admin --grant all:administer").ok();
    house.with_token(&file, "network create core").ok();
    let other = house.path("other");
    std::fs::write(&other, token.replace("7b7b", "7c7b")).unwrap();
    std::fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    house.with_token(&other, "network list").fails(5);
}

#[test]
fn a_principal_and_its_token_are_made_at_once() {
    let house = House::new();
    let file = house.path("admin.token");
    let line =
        format!("principal create admin --grant {EVERYTHING} --token-out {}", file.display());
    let made = house.operator(&format!("{line} --token-life 1d -o json")).json();
    assert_eq!(made["tokens"].as_array().map(Vec::len), Some(1), "{made}");
    let left = made["tokens"][0]["time_left_ms"].as_u64();
    assert!(left.is_some_and(|left| (80_000_000..=86_400_000).contains(&left)), "{made}");
    house.with_token(&file, "principal list").ok();
    // Sent again it makes no other token in the same file.
    let error = house.operator(&line).fails(3);
    assert!(error.contains("there already"), "{error}");
    assert_eq!(house.token_id("admin"), made["tokens"][0]["token_id"].as_str().unwrap());
    house.operator("principal create other --token-life 1d").fails(2);
    let missing = house.path("nowhere/other.token");
    let line = format!("principal create other --token-out {}", missing.display());
    house.operator(&line).fails(2);
    assert_eq!(house.operator("token list other -q").ok(), "");
}

#[test]
fn who_administers_without_reading_names_projects_by_their_ids() {
    let house = House::new();
    let made = house.operator("project create blue-team -o json").json();
    let admin = house.principal("admin", "--grant all:administer");
    let error = house.with_token(&admin, "principal create cni --grant blue-team:read").fails(5);
    assert!(error.contains("NOT_ALLOWED") && error.contains("read for all projects"), "{error}");
    assert!(error.contains("its id"), "{error}");
    let id = made["project_id"].as_str().unwrap();
    house.with_token(&admin, &format!("principal create cni --grant {id}:read")).ok();
    house.operator("principal update admin --add-grant all:read").ok();
    house.with_token(&admin, "principal update cni --add-grant blue-team:allocate").ok();
}

/// Commands of the blocks of a page, their paths below a folder.
fn commands(page: &str, house: &House) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let here = |line: &str| {
        let line = line.replace("unix:/run/addrd/addrd.sock", &house.socket());
        let line = line.replace("addrd.example:2337", &house.server.place);
        line.replace("/etc/addrd", &house.folder.path().display().to_string())
    };
    blocks.flat_map(str::lines).map(here).collect()
}

#[test]
fn the_pages_on_access_show_what_works() {
    let house = House::new();
    let give = commands(include_str!("../../docs/how-to/give-a-team-its-project.md"), &house);
    let rotate = commands(include_str!("../../docs/how-to/rotate-tokens.md"), &house);
    assert!(give.len() > 15 && rotate.len() > 4, "{give:?} {rotate:?}");
    let folder = Path::new(env!("CARGO_BIN_EXE_addrd")).parent().unwrap();
    for line in give.into_iter().chain(rotate) {
        let mut command = std::process::Command::new("sh");
        command.env_clear().env("HOME", house.path("home"));
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).stdin(Stdio::null()).args(["-c", &line]);
        let ran = run(command);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
    }
    // What was left is good.
    for name in ["blue-cni.token", "blue-ops.token"] {
        house.with_token(&house.path(name), "network get pods --project blue-team").ok();
    }
}
