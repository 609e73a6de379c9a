//! Runs the program, and a server of it, for a test.

use rustix::pty::OpenptFlags;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_addrd");

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output of a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The same as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Standard error of a command that must fail so.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.out, "", "a failure prints nothing on standard output");
        self.err
    }
}

/// Runs `addrd` with words separated by spaces against a server.
pub(crate) fn addrd(server: &str, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    words_at(server, &words)
}

/// The same with words that may have spaces.
pub(crate) fn words_at(server: &str, words: &[&str]) -> Ran {
    let mut command = program();
    command.env("ADDRD_SERVER", server).args(words);
    run(command)
}

/// The program without anything of the environment that could change it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    command
}

pub(crate) fn run(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Runs `addrd` at a terminal where somebody types an answer. Gives the exit code and what the
/// terminal showed.
pub(crate) fn at_terminal(server: &str, line: &str, typed: &str) -> (i32, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let terminal = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let ours = rustix::pty::ioctl_tiocgptpeer(&terminal, flags).unwrap();
    let mut terminal = File::from(terminal);
    let mut command = program();
    command.env("ADDRD_SERVER", server).args(line.split_whitespace());
    command.stdin(ours.try_clone().unwrap()).stderr(ours).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    // What it keeps open would keep the terminal alive.
    drop(command);
    terminal.write_all(typed.as_bytes()).unwrap();
    let code = child.wait().unwrap().code().unwrap_or(-1);
    let mut shown = Vec::new();
    // A terminal that nobody holds any more ends with an error.
    let _ = terminal.read_to_end(&mut shown);
    (code, String::from_utf8(shown).unwrap())
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) place: String,
    folder: Option<TempDir>,
}

impl Server {
    /// With `--dev`, in a new directory.
    pub(crate) fn dev() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::start(&folder.path().join("data"), &["--dev"]);
        server.folder = Some(folder);
        server
    }

    /// In a directory, on a port of the system's choice, ready for requests.
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "", "--data"]).arg(data);
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut place = None;
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(places) = line.strip_prefix("listening on ") {
                place = places.split(", ").next().map(str::to_owned);
                break;
            }
        }
        let Some(place) = place else {
            panic!("the server did not start: {:?}", child.wait());
        };
        if more.contains(&"--dev") {
            // The hints come when the sample network is there.
            let hints = BufReader::new(child.stdout.take().unwrap());
            assert!(hints.lines().any(|line| line.unwrap().contains("ctrl-c stops the server")));
        }
        Self { child, place, folder: None }
    }

    pub(crate) fn addrd(&self, line: &str) -> Ran {
        addrd(&self.place, line)
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(mut self, signal: rustix::process::Signal) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.folder.take());
    }
}
