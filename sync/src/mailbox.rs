//! Replies on their way to one connection: any thread puts them in, one async task takes them all
//! out and is woken once. It never blocks on anything but its own short lock, and knows no frames.
//!
//! A lock rather than a ring: there are thousands of mailboxes, nearly all of them empty, and a
//! ring takes its memory when it is made; this takes memory only while there is something in it.
//! The bound is the owner's, counted in whatever `T` stands for: what a connection may have without
//! reply.

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::prim::{Arc, Mutex};

/// Makes a mailbox for at most `items_max` items and its two ends.
#[must_use]
pub fn mailbox<T: Send>(items_max: usize) -> (MailSender<T>, MailReceiver<T>) {
    let shared = Arc::new(Shared {
        items_max,
        state: Mutex::new(State {
            items: VecDeque::new(),
            waker: None,
            senders: 1,
            has_receiver: true,
        }),
    });
    (MailSender { shared: Arc::clone(&shared) }, MailReceiver { shared })
}

struct Shared<T> {
    items_max: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<T>,
    /// Set while the task waits.
    waker: Option<Waker>,
    senders: usize,
    has_receiver: bool,
}

impl<T> Shared<T> {
    /// Runs `body` under the lock. Nothing of a caller runs in there: no waker, no drop of an item.
    fn locked<R>(&self, body: impl FnOnce(&mut State<T>) -> R) -> R {
        body(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why an item was not put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The mailbox holds as much as it may.
    Full,
    /// The receiver is gone.
    Gone,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the mailbox holds as much as it may",
            Self::Gone => "the receiver is gone",
        })
    }
}

impl std::error::Error for Undelivered {}

/// The end that puts in. Clone it for everybody who answers.
pub struct MailSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> MailSender<T> {
    /// Puts `item` in and wakes the task if it waits.
    ///
    /// Errors: [`Undelivered`]; the item is dropped.
    pub fn send(&self, item: T) -> Result<(), Undelivered> {
        let outcome = self.shared.locked(|state| {
            if !state.has_receiver {
                return Err((Undelivered::Gone, item));
            }
            if state.items.len() >= self.shared.items_max {
                return Err((Undelivered::Full, item));
            }
            state.items.push_back(item);
            Ok(state.waker.take())
        });
        // Behind the lock, both: waking and dropping run code of others.
        match outcome {
            Ok(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
                Ok(())
            }
            Err((why, item)) => {
                drop(item);
                Err(why)
            }
        }
    }

    /// Items in the mailbox a moment ago.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.locked(|state| state.items.len())
    }

    /// True once the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.locked(|state| !state.has_receiver)
    }
}

impl<T> Clone for MailSender<T> {
    fn clone(&self) -> Self {
        self.shared.locked(|state| state.senders += 1);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for MailSender<T> {
    fn drop(&mut self) {
        let waker = self.shared.locked(|state| {
            state.senders -= 1;
            if state.senders == 0 { state.waker.take() } else { None }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for MailSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailSender").finish_non_exhaustive()
    }
}

/// The end that takes out; there is one. Dropping it drops what is in the mailbox.
pub struct MailReceiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> MailReceiver<T> {
    /// Moves everything there is behind what `out` holds, in the order in which it was put in.
    ///
    /// `Ready(true)`: there was something. `Ready(false)`: nothing, and all senders are gone.
    /// `Pending`: nothing yet; the task of `context` is woken by the next item, once, or by the end.
    /// Shape: with an empty `out` the two exchange their memory and nothing is copied.
    pub fn poll_take(&mut self, context: &mut Context<'_>, out: &mut VecDeque<T>) -> Poll<bool> {
        // Made before the lock is taken: cloning a waker runs code of others.
        let waker = context.waker().clone();
        let (outcome, spare) = self.shared.locked(|state| {
            if !state.items.is_empty() {
                if out.is_empty() {
                    std::mem::swap(&mut state.items, out);
                } else {
                    out.append(&mut state.items);
                }
                return (Poll::Ready(true), Some(waker));
            }
            if state.senders == 0 {
                return (Poll::Ready(false), Some(waker));
            }
            (Poll::Pending, state.waker.replace(waker))
        });
        drop(spare);
        outcome
    }

    /// Waits until there is something and moves it behind what `out` holds. False: nothing is left
    /// and all senders are gone. Nothing is lost if the future is dropped.
    pub async fn take(&mut self, out: &mut VecDeque<T>) -> bool {
        std::future::poll_fn(|context| self.poll_take(context, out)).await
    }

    /// Another sender.
    #[must_use]
    pub fn sender(&self) -> MailSender<T> {
        self.shared.locked(|state| state.senders += 1);
        MailSender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for MailReceiver<T> {
    fn drop(&mut self) {
        let left = self.shared.locked(|state| {
            state.has_receiver = false;
            (std::mem::take(&mut state.items), state.waker.take())
        });
        drop(left);
    }
}

impl<T> fmt::Debug for MailReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailReceiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{block_on, model, size, spawn};

    fn taken(receiver: &mut MailReceiver<u64>) -> Option<Vec<u64>> {
        let mut out = VecDeque::new();
        block_on(receiver.take(&mut out)).then(|| out.into())
    }

    #[test]
    fn everything_comes_out_in_order_and_then_the_end() {
        model(|| {
            let (sender, mut receiver) = mailbox(3);
            (1..=3).for_each(|item| sender.send(item).unwrap());
            assert_eq!(sender.send(4), Err(Undelivered::Full));
            assert_eq!(sender.count(), 3);
            assert_eq!(taken(&mut receiver), Some(vec![1, 2, 3]));
            receiver.sender().send(5).unwrap();
            let mut out = VecDeque::from([0]);
            assert!(block_on(receiver.take(&mut out)));
            assert_eq!(out, [0, 5]);
            sender.send(6).unwrap();
            drop(sender);
            assert_eq!(taken(&mut receiver), Some(vec![6]));
            assert_eq!(taken(&mut receiver), None);
        });
    }

    #[test]
    fn nothing_is_kept_for_a_receiver_that_is_gone() {
        model(|| {
            let witness = std::sync::Arc::new(());
            let (sender, receiver) = mailbox(2);
            sender.send(std::sync::Arc::clone(&witness)).unwrap();
            drop(receiver);
            assert!(sender.is_closed());
            assert_eq!(sender.send(std::sync::Arc::clone(&witness)), Err(Undelivered::Gone));
            assert_eq!(std::sync::Arc::strong_count(&witness), 1);
        });
    }

    #[test]
    fn loom_a_waiting_task_hears_every_item_and_the_end() {
        let each = size(1, 10_000);
        for _ in 0..size(1, 20) {
            model(move || {
                let (sender, mut receiver) = mailbox(usize::MAX);
                let other = {
                    let sender = sender.clone();
                    spawn(move || (0..each).for_each(|item| sender.send(2 * item).unwrap()))
                };
                let second =
                    spawn(move || (0..each).for_each(|item| sender.send(2 * item + 1).unwrap()));
                let mut next = [0, 1];
                while let Some(items) = taken(&mut receiver) {
                    for item in items {
                        let expected = &mut next[item as usize % 2];
                        assert_eq!(item, *expected, "an item is lost, doubled or out of order");
                        *expected += 2;
                    }
                }
                assert_eq!(next, [2 * each, 2 * each + 1]);
                other.join().unwrap();
                second.join().unwrap();
            });
        }
    }
}
