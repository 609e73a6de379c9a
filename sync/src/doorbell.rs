//! One sleeping thread, many ringers, no lost wake-up. It carries no data and remembers no ring:
//! the sleeper looks at its queues and flags itself, between saying that it will sleep and
//! sleeping. There is therefore no bare `wait`: it could not know what it missed.
//!
//! Park and unpark rather than a mutex with a condition variable: waking is then one system call
//! outside of any lock that the sleeper needs, so that it never wakes up only to wait for its
//! ringer. A ring costs one fence and one load while nobody sleeps.
//!
//! Why no wake-up is lost. The ringer writes the work, fences, reads the state. The sleeper writes
//! `ASLEEP`, fences, looks for work. The fences have one order: if the ringer's comes first the
//! sleeper sees the work, else the ringer sees `ASLEEP` and wakes it. The state itself carries
//! nothing, so all accesses to it are relaxed; that the work is seen completely is up to the
//! orderings of the queue or flag that holds it.

use std::fmt;
use std::sync::PoisonError;

use crate::padded::Padded;
use crate::prim::thread::{self, Thread};
use crate::prim::{Arc, AtomicU32, Mutex, Ordering, fence};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

/// Makes a doorbell and the one end that can wait for it.
#[must_use]
pub fn doorbell() -> (Doorbell, Waiter) {
    let shared =
        Arc::new(Shared { state: Padded(AtomicU32::new(AWAKE)), sleeper: Mutex::new(None) });
    (Doorbell { shared: Arc::clone(&shared) }, Waiter { shared, registered: None })
}

struct Shared {
    state: Padded<AtomicU32>,
    /// Whom to unpark. Written by the waiter before it says `ASLEEP`, read by the one ringer that
    /// takes `ASLEEP` away, so the lock is hardly ever contended.
    sleeper: Mutex<Option<Thread>>,
}

impl Shared {
    fn sleeper(&self) -> impl std::ops::DerefMut<Target = Option<Thread>> + '_ {
        // Nothing panics while holding it; a handle is whole in any case.
        self.sleeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_asleep(&self) -> bool {
        // Relaxed: see the module doc.
        self.state.load(Ordering::Relaxed) == ASLEEP
    }
}

/// The ringing end. Clone it for everybody who makes work.
#[derive(Clone)]
pub struct Doorbell {
    shared: Arc<Shared>,
}

impl Doorbell {
    /// Wakes the waiter if it sleeps. Call it *after* the work is where the waiter will look.
    ///
    /// Shape: one fence and one load while the waiter is awake; one of several ringers pays for the
    /// system call otherwise.
    #[inline]
    pub fn ring(&self) {
        // SeqCst: pairs with the fence in `Waiter::lie_down`; orders the caller's work before the
        // load below.
        fence(Ordering::SeqCst);
        if self.shared.is_asleep() {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // Relaxed: decides only which ringer wakes. The handle is behind the lock.
        if self.shared.state.swap(AWAKE, Ordering::Relaxed) == ASLEEP
            && let Some(thread) = &*self.shared.sleeper()
        {
            thread.unpark();
        }
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").field("asleep", &self.shared.is_asleep()).finish()
    }
}

/// Rings when dropped. Put it *behind* a producer in a struct or a scope, since fields are dropped
/// in order of declaration: then the sleeper learns that the producer is gone.
#[derive(Debug, Clone)]
pub struct RingOnDrop(pub Doorbell);

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// The waiting end; there is one. It may move between threads while nobody waits on it.
pub struct Waiter {
    shared: Arc<Shared>,
    registered: Option<thread::ThreadId>,
}

impl Waiter {
    /// Sleeps until `has_work` is true. Doesn't sleep at all if it is true already.
    ///
    /// `has_work` must look at everything that a ringer may have changed: each queue, and each flag
    /// such as the one for shutdown. It runs on this thread, and again after every ring.
    pub fn wait_until(&mut self, mut has_work: impl FnMut() -> bool) {
        while !has_work() {
            self.lie_down();
            if has_work() {
                self.get_up();
                return;
            }
            // Parking may end by itself, or by the ring of an earlier sleep.
            while self.shared.is_asleep() {
                thread::park();
            }
        }
    }

    /// Like [`Waiter::wait_until`], for at most `duration`. Returns what `has_work` said last.
    ///
    /// Not under loom, which has no time.
    #[cfg(not(loom))]
    pub fn wait_until_timeout(
        &mut self,
        duration: std::time::Duration,
        mut has_work: impl FnMut() -> bool,
    ) -> bool {
        let start = std::time::Instant::now();
        while !has_work() {
            self.lie_down();
            if has_work() {
                self.get_up();
                return true;
            }
            while self.shared.is_asleep() {
                let Some(left) =
                    duration.checked_sub(start.elapsed()).filter(|left| !left.is_zero())
                else {
                    self.get_up();
                    return has_work();
                };
                thread::park_timeout(left);
            }
        }
        true
    }

    /// A ringer's end of the same bell.
    #[must_use]
    pub fn doorbell(&self) -> Doorbell {
        Doorbell { shared: Arc::clone(&self.shared) }
    }

    /// Says that this thread is about to sleep. The caller looks for work once more before it does.
    fn lie_down(&mut self) {
        let current = thread::current();
        if self.registered != Some(current.id()) {
            self.registered = Some(current.id());
            *self.shared.sleeper() = Some(current);
        }
        // Relaxed: the fence orders it. A swap rather than a store, here and in `get_up`: it takes
        // its place behind the last ringer's swap, whatever else is seen of that ringer.
        self.shared.state.swap(ASLEEP, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `Doorbell::ring`; orders the store above before the
        // caller's second look.
        fence(Ordering::SeqCst);
    }

    fn get_up(&self) {
        // Relaxed: a ringer that still sees `ASLEEP` unparks a thread that is awake, which costs
        // one round of the next sleep.
        self.shared.state.swap(AWAKE, Ordering::Relaxed);
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
