//! How answers and orders reach a connection's task from other threads. Never waits, never fails:
//! what is for a connection that is gone is dropped.

use crate::engine::{Outlet, Stages};
use crate::limits::CONNECTION_OPERATIONS_MAX;
use addrd_protocol::message::GoAwayReason;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// What arrives at a connection from inside.
#[derive(Debug)]
pub(super) enum Letter {
    /// Whole reply frames.
    Replies {
        /// The frames.
        frames: Bytes,
        /// How they came here.
        stages: Stages,
    },
    /// Stop reading, answer what is in flight, close.
    Close(GoAwayReason),
}

/// Orders to one connection: shutdown, replacement, and the end of access by who it is and by its certificate, at most
/// once each.
const ORDERS_MAX: usize = 4;

/// Letters that can wait: each holds the reply of at least one operation without reply, or is an
/// order, so there is always room.
const LETTERS_MAX: usize = CONNECTION_OPERATIONS_MAX as usize + ORDERS_MAX;

/// The writing end of a connection's letters; the receiver ends when the last parcel that holds it
/// is gone.
pub(super) struct Mailbox {
    sender: mpsc::Sender<Letter>,
}

/// A way to give a connection orders that does not keep it from ending.
#[derive(Clone, Debug)]
pub(super) struct Orders(mpsc::WeakSender<Letter>);

impl Mailbox {
    pub(super) fn new() -> (Arc<Self>, mpsc::Receiver<Letter>) {
        let (sender, receiver) = mpsc::channel(LETTERS_MAX);
        (Arc::new(Self { sender }), receiver)
    }

    pub(super) fn orders(&self) -> Orders {
        Orders(self.sender.downgrade())
    }
}

impl Outlet for Mailbox {
    fn deliver(&self, frames: Bytes, operations: u32, stages: Stages) {
        assert!(operations > 0, "a delivery answers something, else letters have no bound");
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Letter::Replies { frames, stages })
        {
            unreachable!("a connection has at most {LETTERS_MAX} letters");
        }
    }
}

impl Orders {
    /// Tells the connection to end, if it still lives.
    pub(super) fn close(&self, reason: GoAwayReason) {
        if let Some(sender) = self.0.upgrade() {
            // There is room for each order once; a second one of a kind says nothing new.
            let _ = sender.try_send(Letter::Close(reason));
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("room", &self.sender.capacity()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_credit_of_single_replies_and_all_orders_fit() {
        let (mailbox, mut letters) = Mailbox::new();
        let orders = mailbox.orders();
        orders.close(GoAwayReason::Shutdown);
        orders.close(GoAwayReason::SessionReplaced);
        // By who it is, and by its certificate.
        orders.close(GoAwayReason::AccessEnded);
        orders.close(GoAwayReason::AccessEnded);
        for _ in 0..CONNECTION_OPERATIONS_MAX {
            mailbox.deliver(Bytes::from_static(b"x"), 1, Stages::default());
        }
        let mut count = 0;
        while letters.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, LETTERS_MAX);
    }

    #[test]
    fn who_is_gone_gets_nothing_and_nobody_notices() {
        let (mailbox, letters) = Mailbox::new();
        let orders = mailbox.orders();
        drop(letters);
        mailbox.deliver(Bytes::from_static(b"x"), 1, Stages::default());
        drop(mailbox);
        orders.close(GoAwayReason::Shutdown);
    }
}
