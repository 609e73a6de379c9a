//! What whole-process tests share: the server as a process, raw connections, seeds, checkers of
//! recorded histories. Knows the command line and the protocol, nothing of the server's inside.

pub(crate) mod book;
pub(crate) mod certificates;
pub(crate) mod choosing;
pub(crate) mod crowd;
pub(crate) mod good;
pub(crate) mod history;
pub(crate) mod hostile;
pub(crate) mod http;
pub(crate) mod lawful;
pub(crate) mod line;
pub(crate) mod network;
pub(crate) mod operation;
pub(crate) mod pump;
pub(crate) mod recorded;
pub(crate) mod seed;
pub(crate) mod server;
pub(crate) mod state;
pub(crate) mod tenants;
pub(crate) mod terms;
pub(crate) mod workload;

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Longest wait for one thing that must happen. Only a hang reaches it.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// Rates can only be compared while no other test runs.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs a test beside others.
///
/// # Panics
/// When `test` takes longer than `most`, which is a hang; the server's log is shown.
pub(crate) fn run(most: Duration, test: impl Future<Output = ()>) {
    let _place = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    drive(most, test);
}

/// Runs a test alone on the machine.
///
/// # Panics
/// As [`run`].
pub(crate) fn run_alone(most: Duration, test: impl Future<Output = ()>) {
    let _place = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    drive(most, test);
}

fn drive(most: Duration, test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let mut test = std::pin::pin!(test);
        // The test is still alive when this panics, so that its server shows its log.
        if tokio::time::timeout(most, &mut test).await.is_err() {
            panic!("a hang: the test did not end in {most:?}");
        }
    });
}

/// Waits until `look` gives something.
///
/// # Panics
/// When it does not for [`HANG`].
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < HANG, "a hang: waited {HANG:?} for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A wait that only a hang outlasts.
///
/// # Panics
/// When it does.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(HANG, future).await {
        Ok(value) => value,
        Err(_) => panic!("a hang: waited {HANG:?} for {what}"),
    }
}

/// A number from the environment that scales a test.
///
/// # Panics
/// When it is set and no number.
pub(crate) fn scale(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => default,
    }
}

/// Opens as many files as this process may, and returns how many that is; what it starts may have as many.
///
/// # Panics
/// When the system refuses.
pub(crate) fn widen() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let wide = Rlimit { current: most, maximum: most };
    setrlimit(Resource::Nofile, wide).expect("a process may use all that it may have");
    most.map_or(usize::MAX, |most| most as usize)
}

/// Says something in the output of a run.
#[expect(clippy::print_stderr, reason = "seeds and figures are read in the output of the run")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
