//! `serve`, `bench`, completions, contexts.

use crate::program::{Server, addrd, program, run};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

#[test]
fn a_second_start_finds_what_the_first_left_and_both_end_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Server::start(&data, &["--dev"]);
    assert_eq!(first.addrd("allocate demo --owner web-1 -q").ok(), "10.64.0.2\n");
    first.addrd("network delete demo --force").ok();
    first.addrd("network create blue").ok();
    assert_eq!(first.end(Signal::TERM).code(), Some(0));
    let second = Server::start(&data, &["--dev"]);
    second.addrd("network get blue").ok();
    second.addrd("network get demo").fails(4);
    assert_eq!(second.end(Signal::INT).code(), Some(0));
}

/// The hints of `serve --dev` with more options, each run from another directory than the server's.
fn follow_hints(folder: &Path, more: &[&str]) {
    let mut command = program();
    command.args(["serve", "--dev", "--data", "data", "--listen", "127.0.0.1:0", "--http", ""]);
    command.args(more).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let hints: Vec<String> = lines
        .take_while(|line| !line.contains("ctrl-c"))
        .filter(|line| line.starts_with("  "))
        .collect();
    let followed: Vec<_> = hints
        .iter()
        .map(|hint| {
            let mut shell = std::process::Command::new("sh");
            shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            shell.current_dir("/").stdin(Stdio::null()).args(["-c", hint]);
            (hint, run(shell))
        })
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(followed.len(), 5, "{followed:?}");
    for (hint, ran) in followed {
        assert_eq!(ran.code, 0, "{hint}: {ran:?}");
    }
}

#[test]
fn the_hints_work_when_pasted_also_where_everybody_must_show_who_he_is() {
    let guarded = ["--set", "authentication=true"];
    for more in [&[][..], &guarded[..]] {
        let folder = tempfile::tempdir().unwrap();
        follow_hints(folder.path(), more);
    }
    // Nobody is let in but who has the operator's token.
    let folder = tempfile::tempdir().unwrap();
    let token = format!("addrd_00000000000000aa_{}", "7b".repeat(32));
    std::fs::write(folder.path().join("operator.token"), token).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("operator.token"), mode).unwrap();
    for place in ["local_operator=false", "unix_socket="] {
        let more = ["--set", "operator_token_file=operator.token", "--set", place];
        let data = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join("operator.token"), data.path().join("operator.token"))
            .unwrap();
        follow_hints(data.path(), &[&guarded[..], &more].concat());
    }
}

#[test]
fn the_sample_network_has_both_families() {
    let server = Server::dev();
    let subnets = server.addrd("subnet list demo -o json").json();
    let cidrs: Vec<&str> =
        subnets.as_array().unwrap().iter().filter_map(|s| s["cidr"].as_str()).collect();
    assert_eq!(cidrs, ["10.64.0.0/16", "fd00:64::/64"]);
    let both = server.addrd("allocate demo --family each -q").ok();
    assert_eq!(both, "10.64.0.2\nfd00:64::2\n");
}

#[test]
fn the_unix_socket_works() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _server = Server::start(&data, &["--dev"]);
    let place = format!("unix:{}", data.join("addrd.sock").display());
    assert_eq!(addrd(&place, "allocate demo -q").ok(), "10.64.0.2\n");
}

#[test]
fn settings_that_cannot_be_are_usage_errors() {
    let serve = |words: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command.current_dir(folder.path()).arg("serve").args(words);
        run(command)
    };
    serve(&["--listen", "nonsense"]).fails(2);
    serve(&["--listen", "0.0.0.0:0"]).fails(2);
    serve(&["--dev", "--insecure", "--listen", "0.0.0.0:0"]).fails(2);
    serve(&["--set", "no_such_setting=1"]).fails(2);
    serve(&["--set", "idle_time"]).fails(2);
    serve(&["--config", "missing.toml"]).fails(2);
}

#[test]
fn settings_of_the_client_do_not_disturb_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.env("ADDRD_SERVER", "127.0.0.1:1").env("ADDRD_CONTEXT", "here");
    command.env("ADDRD_TOKEN_FILE", "/nowhere");
    command.env("ADDRD_PROJECT", "default").args(["serve", "--dev", "--http", "", "--data"]);
    command.arg(folder.path().join("data")).args(["--listen", "192.0.2.1:0"]);
    let error = run(command).fails(2);
    assert!(error.contains("192.0.2.1"), "{error}");
}

#[test]
fn a_bench_whose_server_ends_says_so() {
    let server = Server::dev();
    server.addrd("network delete demo --force").ok();
    let mut command = program();
    command.args(["--server", &server.place, "bench", "--live", "1024", "--connections", "2"]);
    command.args(["--in-flight", "4", "--duration", "60"]).stderr(Stdio::piped());
    let mut bench = command.spawn().unwrap();
    let mut lines = BufReader::new(bench.stderr.take().unwrap()).lines();
    // The first rate: it is under load.
    assert!(lines.by_ref().any(|line| line.unwrap().ends_with("/s")));
    assert!(server.end(Signal::KILL).code().is_none());
    assert!(lines.any(|line| line.unwrap().starts_with("error: ")));
    assert_eq!(bench.wait().unwrap().code(), Some(7));
}

#[test]
fn a_data_directory_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _first = Server::start(&data, &["--dev"]);
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--http", "", "--data"]).arg(&data);
    let error = run(command).fails(3);
    assert!(error.contains("error: "), "{error}");
}

#[test]
fn a_bench_counts_and_leaves_nothing() {
    let server = Server::dev();
    let line = "bench --live 4096 --fill 0.99 --networks 3 --subnets 2 --connections 3 \
                --in-flight 8 --threads 2 --duration 0.3 --output json";
    let refused = server.addrd(line);
    assert_eq!(refused.code, 3, "{refused:?}");
    server.addrd("network delete demo --force").ok();
    for workload in ["churn", "ports", "port-updates", "subnets", "allocate"] {
        // All that `allocate` does may be done before a warm-up ends: it has none.
        let warm_up = if workload == "allocate" { "" } else { " --warm-up 0.1" };
        let report = server.addrd(&format!("{line} --workload {workload}{warm_up}")).json();
        assert_eq!(report["workload"], workload);
        assert!(report["operations"].as_u64().unwrap() > 0, "{report}");
        assert!(report["operations_per_second"].as_f64().unwrap() > 0.0);
        assert_eq!(report["errors"], 0, "{report}");
        for quantile in ["p50", "p99", "p999", "p9999", "max"] {
            assert!(report["latency_us"][quantile].as_f64().unwrap() > 0.0);
        }
    }
    let open = server.addrd(&format!("{line} --rate 500 --warm-up 0.1")).json();
    let operations = open["operations"].as_u64().unwrap();
    assert!((1..=200).contains(&operations), "{open}");
    let storm = server.addrd(&format!("{line} --warm-up 0.1 --expiring 3000"));
    assert!(storm.err.contains(" of 3000 leases have not ended"), "{storm:?}");
    assert_eq!(storm.json()["errors"], 0);
    assert_eq!(server.addrd("network list -q").ok(), "");
    assert_eq!(server.addrd("pool list -q").ok(), "");
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = program();
        command.args(["completions", shell]);
        assert!(run(command).ok().contains("allocate"));
    }
}

#[test]
fn manual_pages_are_there_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let man = |place: &std::path::Path| {
        let mut command = program();
        command.arg("man").arg(place);
        run(command)
    };
    man(folder.path()).ok();
    for (page, part) in [("addrd.1", ".SH SUBCOMMANDS"), ("addrd-allocate.1", "Examples:")] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains(part), "{page}: {text}");
    }
    assert!(folder.path().join("addrd-subnet-create.1").exists());
    man(&folder.path().join("missing")).fails(2);
}

#[test]
fn contexts_keep_servers_under_names() {
    let server = Server::dev();
    let folder = tempfile::tempdir().unwrap();
    let with = |line: &str| {
        let mut command = program();
        command.env("XDG_CONFIG_HOME", folder.path()).args(line.split_whitespace());
        run(command)
    };
    with("context use here").fails(2);
    with("context set here").fails(2);
    with(&format!("context set here --server {}", server.place)).ok();
    assert_eq!(with("allocate demo -q").ok(), "10.64.0.2\n");
    with("context set nowhere --server 127.0.0.1:1").ok();
    assert_eq!(with("allocate demo -q --context nowhere").code, 7);
    with("context use nowhere").ok();
    assert_eq!(with("allocate demo -q").code, 7);
    assert_eq!(with("allocate demo -q --context here").ok(), "10.64.0.3\n");
    assert_eq!(with("context list -q").ok(), "here\nnowhere\n");
    with("context delete nowhere").ok();
    assert_eq!(with("context list -q").ok(), "here\n");
    with("network list --context gone").fails(2);
}

#[test]
fn a_pinned_server_is_compared() {
    let server = Server::dev();
    let folder = tempfile::tempdir().unwrap();
    let with = |words: &[&str]| {
        let mut command = program();
        command.env("XDG_CONFIG_HOME", folder.path()).args(words);
        run(command)
    };
    let id = server.addrd("server status -q").ok();
    with(&["context", "set", "right", "--server", &server.place, "--server-id", id.trim()]).ok();
    let other = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    with(&["context", "set", "wrong", "--server", &server.place, "--server-id", other]).ok();
    with(&["network", "list", "--context", "right"]).ok();
    with(&["network", "list", "--context", "wrong"]).fails(5);
}

#[test]
fn a_check_counts_what_is_there_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &["--dev"]);
    server.addrd("allocate demo --owner a").ok();
    let check = |words: &[&str]| {
        let mut command = program();
        command.args(words).arg(&data).args(["-o", "json"]);
        run(command)
    };
    assert!(check(&["check"]).fails(3).contains("REFUSED"), "a server uses it");
    assert!(server.end(Signal::KILL).code().is_none());
    for words in [&["check"][..], &["server", "check"]] {
        let report = check(words).json();
        assert_eq!(report["sound"], true, "{report}");
        assert_eq!((&report["networks"], &report["allocations"]), (&1.into(), &1.into()));
        assert_eq!(report["subnets"], 2);
    }
    let mut command = program();
    command.arg("check").arg(folder.path().join("missing"));
    run(command).fails(4);
    let journal = data.join("journal.ring");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.iter_mut().skip(4_096).take(65_536).for_each(|byte| *byte ^= 0xff);
    std::fs::write(&journal, &bytes).unwrap();
    let ran = check(&["check"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(std::fs::read(&journal).unwrap(), bytes, "it changes nothing");
}
