//! What the tests of this crate share: one entry for loom and for real threads. Compiled for tests
//! only, asserts nothing itself.

use crate::prim::{AtomicU64, Ordering, thread};

/// Runs `body` under every interleaving with loom, once on real threads otherwise.
pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
    #[cfg(loom)]
    loom::model(body);
    #[cfg(not(loom))]
    body();
}

/// A test size: tiny under loom; otherwise `stress`, times `ADDRD_TEST_SCALE` if that is set.
pub(crate) fn size(under_loom: u64, stress: u64) -> u64 {
    if cfg!(loom) {
        return under_loom;
    }
    let scale = std::env::var("ADDRD_TEST_SCALE").ok().and_then(|text| text.parse().ok());
    stress * scale.unwrap_or(1)
}

/// Starts a thread of a test.
pub(crate) fn spawn<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::Builder::new().name("test".into()).spawn(body).expect("a thread can be started")
}

/// Lets another thread go on. Loom needs it in loops that wait for one.
pub(crate) fn pass() {
    thread::yield_now();
}

/// A value without any ordering of its own: seen only if something else orders it.
pub(crate) struct Shelf(AtomicU64);

impl Shelf {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn put(&self, value: u64) {
        // Relaxed: on purpose, the tests check what orders it.
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn look(&self) -> u64 {
        // Relaxed: on purpose.
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => thread::park(),
        }
    }
}
