//! As a service of systemd: who started it is told when it is ready, that it lives, and that it stops.

use crate::support::server::{Server, Site};
use crate::support::{eventually, run};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(120);

/// The other end of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    /// Starts a server that tells it, with a watchdog of these variables.
    fn start<'a>(&self, site: &'a Site, watchdog: &[(&str, &str)]) -> Server<'a> {
        let place = self.socket.local_addr().expect("it has a place");
        let mut command = site.command();
        command.env("NOTIFY_SOCKET", place.as_pathname().expect("in the file system"));
        command.envs(watchdog.iter().copied());
        site.spawn_as(command)
    }

    fn in_folder(folder: &TempDir) -> Self {
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_nonblocking(true).expect("it can be asked");
        Self { socket, told: Vec::new() }
    }

    /// Takes what is there; how often a line was told by now.
    fn count(&mut self, line: &str) -> usize {
        let mut bytes = [0; 4 << 10];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            let text = String::from_utf8(bytes[..length].to_vec()).expect("it is text");
            self.told.extend(text.lines().map(str::to_owned));
        }
        self.told.iter().filter(|told| *told == line).count()
    }

    async fn hears(&mut self, line: &str, times: usize) {
        eventually(line, async || (self.count(line) >= times).then_some(())).await;
    }
}

#[test]
fn a_service_manager_is_told_when_it_is_ready_that_it_lives_and_that_it_stops() {
    run(LIMIT, async {
        let site = Site::new();
        let folder = tempfile::tempdir().expect("a folder");
        let mut manager = Manager::in_folder(&folder);
        let mut server = manager.start(&site, &[("WATCHDOG_USEC", "300000")]);
        manager.hears("READY=1", 1).await;
        // Whoever waits for it can use it at once.
        site.client().await.server_status().await.expect("it answers");
        manager.hears("WATCHDOG=1", 3).await;
        manager.hears("STATUS=ready", 1).await;
        assert_eq!(manager.count("STOPPING=1"), 0);
        server.terminate();
        manager.hears("STOPPING=1", 1).await;
        assert!(server.ended().await.success());
        assert_eq!(manager.count("READY=1"), 1);
    });
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    run(LIMIT, async {
        let site = Site::new();
        let folder = tempfile::tempdir().expect("a folder");
        let mut manager = Manager::in_folder(&folder);
        let watchdog = [("WATCHDOG_USEC", "300000"), ("WATCHDOG_PID", "1")];
        let server = manager.start(&site, &watchdog);
        manager.hears("STATUS=ready", 1).await;
        server.stop().await;
        assert_eq!((manager.count("READY=1"), manager.count("WATCHDOG=1")), (1, 0));
    });
}
