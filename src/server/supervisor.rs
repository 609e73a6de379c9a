//! What a service manager is told over its socket: how far the start is, that the server is ready, that it lives, that
//! it stops. Without `NOTIFY_SOCKET` nobody is told anything. Decides nothing: it says what operators are told too.

use super::operators::{Front, Operators};
use crate::limits;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

impl Operators {
    /// Tells the service manager how it is, from now until the end. The watchdog is fed only while every loop turns, as
    /// `/livez` tells. Runs inside a tokio runtime.
    pub fn tell_supervisor(&self) {
        self.spawn(|front, stop| keep_telling(front, stop, watchdog_enabled()));
    }
}

/// The server listens, and answers whatever is asked.
pub fn tell_ready() {
    tell(&[NotifyState::Ready]);
}

/// The server ends in order.
pub fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
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
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = due.tick() => {}
        }
        let mut what = Vec::with_capacity(2);
        let (is_alive, status) = state_of(&front);
        if is_alive && watchdog.is_some() {
            what.push(NotifyState::Watchdog);
        }
        if status != told {
            told.clone_from(&status);
            what.push(NotifyState::Status(&told));
        }
        if !what.is_empty() {
            tell(&what);
        }
    }
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

    /// Reading the data takes its time: that is no reason to be killed.
    #[test]
    fn a_start_is_told_with_its_progress_and_lives() {
        let (is_alive, told) = state_of(&Front::new(Arc::default()));
        assert!(is_alive && told.starts_with("recovering: "), "{told}");
    }
}
