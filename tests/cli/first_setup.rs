//! The first secure set-up, as its page has it: ten commands, each of which prints what the page says.

use crate::program::{Ran, program, run};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const PAGE: &str = include_str!("../../docs/how-to/first-secure-setup.md");
const RESTART: &str = "systemctl restart addrd";

/// A command of the page and what it prints.
struct Step {
    command: String,
    prints: String,
}

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for part in PAGE.split("\n```").skip(1) {
        if let Some(command) = part.strip_prefix("sh\n") {
            steps.push(Step { command: command.to_owned(), prints: String::new() });
        } else if let (Some(prints), Some(step)) = (part.strip_prefix("text\n"), steps.last_mut()) {
            assert_eq!(step.prints, "", "what is printed stands once behind its command");
            step.prints = format!("{prints}\n");
        }
    }
    steps
}

/// What the page says of itself that its test replaces.
struct Replaced {
    folder: TempDir,
    ports: [u16; 2],
}

impl Replaced {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etc", "run", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        // Both at once, so that they are two.
        let free = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
        let ports = free.map(|listener| listener.local_addr().unwrap().port());
        Self { folder, ports }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn line(&self, line: &str) -> String {
        let user = rustix::process::geteuid().as_raw();
        line.replace("/etc/addrd", &self.path("etc"))
            .replace("/run/addrd", &self.path("run"))
            .replace("/var/lib/addrd", &self.path("data"))
            .replace("chown addrd ", &format!("chown {user} "))
            .replace("addrd.example", "localhost")
            .replace(":2337", &format!(":{}", self.ports[0]))
            .replace(":2338", &format!(":{}", self.ports[1]))
    }

    fn shell(&self, line: &str) -> Ran {
        let own = Path::new(env!("CARGO_BIN_EXE_addrd")).parent().unwrap();
        let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.env_clear().env("HOME", self.path("home")).env("PATH", path);
        command.current_dir("/").stdin(Stdio::null()).args(["-c", &self.line(line)]);
        run(command)
    }
}

/// The server that the unit would start; it ends with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(replaced: &Replaced) -> Started {
    let mut command = program();
    command.args(["serve", "--config", &replaced.path("etc/addrd.toml")]);
    command.args(["--set", "journal_records_max=262144"]);
    let mut server = Started(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let listens =
        lines.find_map(|line| line.unwrap().strip_prefix("listening on ").map(str::to_owned));
    let listens = listens.expect("the server starts");
    assert!(listens.starts_with(&format!("0.0.0.0:{} (TLS)", replaced.ports[0])), "{listens}");
    // What it says later must not stop it.
    std::thread::Builder::new().spawn(move || lines.for_each(drop)).unwrap();
    server
}

/// Revisions and ids of tokens are others each time.
fn without_chance(text: &str) -> String {
    let is_chance = |word: &str| {
        let is_revision = word.len() == 19 && word.bytes().all(|byte| byte.is_ascii_digit());
        is_revision || (word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    // What was just made for 90 days may have some seconds less by now.
    let text = text.replace("(89d23h left)", "(90d left)");
    text.split_inclusive([' ', '\n'])
        .map(|word| {
            let bare = word.trim_end();
            if is_chance(bare) { word.replace(bare, "..") } else { word.to_owned() }
        })
        .collect()
}

#[test]
fn the_ten_commands_of_the_page_do_what_it_says_and_print_what_it_shows() {
    let (steps, replaced) = (steps(), Replaced::new());
    assert_eq!(steps.len(), 10);
    let mut server = None;
    for Step { command, prints } in &steps {
        if command == RESTART {
            assert!(server.is_none() && prints.is_empty());
            server = Some(start(&replaced));
            continue;
        }
        let Ran { code, out, err } = replaced.shell(command);
        assert_eq!(code, 0, "{command}: {out}{err}");
        // OpenSSL shows its progress in dots.
        let said = format!("{}{out}", err.trim_start_matches(['.', '+', '*', '\n']));
        assert_eq!(without_chance(&said), without_chance(prints), "{command}");
    }
    assert!(server.is_some());
    // Nothing works without the one thing or the other.
    let last = &steps[9].command;
    let bare = last.replace("--token-file /etc/addrd/blue-ops.token", "");
    let direct = format!("{bare} --server addrd.example:2337");
    assert_eq!(replaced.shell(&direct).code, 5, "no token");
    let other = last.replace("blue-team", "default");
    assert_eq!(replaced.shell(&other).code, 5, "another project");
    let plain = format!("HOME=/nowhere {last} --server addrd.example:2337");
    assert_eq!(replaced.shell(&plain).code, 7, "no TLS");
    let unknown =
        format!("HOME=/nowhere {bare} --server 127.0.0.1:2337 --tls-ca /etc/addrd/ca.pem");
    assert_eq!(replaced.shell(&unknown).code, 5, "another name than in the certificate");
}
