//! What a service manager is told over its socket: how far the start is, that the server is ready, that it lives, that
//! it stops. Without `NOTIFY_SOCKET` nobody is told anything. Decides nothing: it says what operators are told too.

use super::operators::{Front, Operators};
use crate::limits;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

impl Operators {
    /// Tells the service manager how it is, from now until the end. The watchdog is fed only while every loop turns, as
    /// `/livez` tells. Runs inside a tokio runtime.
    pub fn tell_supervisor(&self) {
        self.spawn(|front, stop| keep_telling(front, stop, watchdog_enabled()));
    }
}

/// The server listens, and answers whatever is asked.
pub async fn tell_ready() {
    tell_in_time(|| tell(&[NotifyState::Ready])).await;
}

/// The server ends in order.
pub async fn tell_stopping() {
    tell_in_time(|| tell(&[NotifyState::Stopping, NotifyState::Status("stopping")])).await;
}

/// A service manager that reads nothing holds up nobody: it is told in a thread of its own, which
/// is waited for only so long.
async fn tell_in_time(telling: impl FnOnce() + Send + 'static) {
    let most = Duration::from_millis(limits::SUPERVISOR_TELL_MS);
    if timeout(most, spawn_blocking(telling)).await.is_err() {
        tracing::warn!("the service manager doesn't read what it is told");
    }
}

/// Nobody hears it: the server goes on as without a service manager.
fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = notify(what) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

async fn keep_telling(front: Arc<Front>, stop: CancellationToken, watchdog: Option<Duration>) {
    let most = Duration::from_millis(limits::SUPERVISOR_MS);
    let every = watchdog.map_or(most, |watchdog| most.min(watchdog / limits::WATCHDOG_FEEDS));
    let mut due = tokio::time::interval(every.max(Duration::from_millis(1)));
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut told = String::new();
    let mut telling: Option<JoinHandle<()>> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = due.tick() => {}
        }
        // Nothing piles up before a service manager that doesn't read.
        if telling.as_ref().is_some_and(|telling| !telling.is_finished()) {
            continue;
        }
        let (feeds, status) = due_now(&front, watchdog.is_some(), &mut told);
        if feeds || status.is_some() {
            telling = Some(spawn_blocking(move || {
                let status = status.as_deref().map(NotifyState::Status);
                let feed = feeds.then_some(NotifyState::Watchdog);
                tell(&feed.into_iter().chain(status).collect::<Vec<_>>());
            }));
        }
    }
}

/// Whether the watchdog is fed now, and a status if it is another one than was told last.
fn due_now(front: &Front, is_watched: bool, told: &mut String) -> (bool, Option<String>) {
    let (is_alive, status) = state_of(front);
    let is_news = status != *told;
    if is_news {
        told.clone_from(&status);
    }
    (is_alive && is_watched, is_news.then_some(status))
}

/// Whether every loop turns, and a line for people.
fn state_of(front: &Front) -> (bool, String) {
    let line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    match (front.liveness(), front.readiness()) {
        (Err(late), _) => (false, line(late)),
        (Ok(()), Err(reason)) => (true, line(reason)),
        (Ok(()), Ok(())) => (true, "ready".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::operators::Operated;
    use super::*;

    /// How a server says that it is.
    struct Said(Result<(), String>, Result<(), String>);

    impl Operated for Said {
        fn liveness(&self) -> Result<(), String> {
            self.0.clone()
        }

        fn readiness(&self) -> Result<(), String> {
            self.1.clone()
        }

        fn notes(&self) -> String {
            String::new()
        }

        fn metrics(&self) -> String {
            String::new()
        }
    }

    fn told(live: Result<(), &str>, ready: Result<(), &str>) -> (bool, String) {
        let front = Front::new(Arc::default());
        let own = |said: Result<(), &str>| said.map_err(str::to_owned);
        front.serves(Arc::new(Said(own(live), own(ready))));
        state_of(&front)
    }

    #[test]
    fn a_watchdog_is_fed_while_every_loop_turns_and_only_then() {
        assert_eq!(told(Ok(()), Ok(())), (true, "ready".to_owned()));
        assert_eq!(told(Ok(()), Err("disk full\n")), (true, "disk full".to_owned()));
        let late = "worker 1 has not turned for 11000 ms";
        assert_eq!(told(Err(&format!("{late}\nmore\n")), Ok(())), (false, late.to_owned()));
    }

    #[test]
    fn a_server_that_hangs_says_so_and_feeds_no_watchdog() {
        let front_of = |live: Result<(), String>| {
            let front = Front::new(Arc::default());
            front.serves(Arc::new(Said(live, Ok(()))));
            front
        };
        let (good, bad) = (front_of(Ok(())), front_of(Err("worker 1 stands\n".to_owned())));
        let mut told = String::new();
        assert_eq!(due_now(&good, true, &mut told), (true, Some("ready".to_owned())));
        assert_eq!(due_now(&good, true, &mut told), (true, None));
        assert_eq!(due_now(&bad, true, &mut told), (false, Some("worker 1 stands".to_owned())));
        assert_eq!(due_now(&bad, true, &mut told), (false, None));
        assert_eq!(due_now(&good, false, &mut told), (false, Some("ready".to_owned())));
    }

    #[tokio::test]
    async fn a_service_manager_that_reads_nothing_is_not_waited_for() {
        let (end, ended) = std::sync::mpsc::sync_channel::<()>(1);
        // It ends only after it was not waited for any more.
        tell_in_time(move || {
            let _ = ended.recv();
        })
        .await;
        drop(end);
    }

    /// Reading the data takes its time: that is no reason to be killed.
    #[test]
    fn a_start_is_told_with_its_progress_and_lives() {
        let (is_alive, told) = state_of(&Front::new(Arc::default()));
        assert!(is_alive && told.starts_with("recovering: "), "{told}");
    }
}
