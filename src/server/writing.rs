//! Replies that wait for a peer to read them: bounded in bytes, coalesced, written in one go.
//! Decides only how much more may be asked for.

use crate::limits::{READ_BUFFER_BYTES_MIN, REPLY_BYTES_WAITING_MAX, REPLY_BYTES_WAITING_PAUSE};
use crate::planted::{Bug, is_planted};
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Frames on their way out.
///
/// Shape: small deliveries are copied together, larger ones are written from where they are.
#[derive(Debug, Default)]
pub(super) struct Output {
    queue: VecDeque<Bytes>,
    /// Behind the queue.
    tail: BytesMut,
    /// Bytes in queue and tail.
    waiting: usize,
    /// Most bytes of the replies that are still to come.
    promised: usize,
    /// Bytes written since the connection began.
    written: u64,
}

/// Deliveries up to this size are copied: cheaper than a slice of their own in the system call.
const COPY_BYTES_MAX: usize = 2 << 10;
/// Slices that one system call takes.
const SLICES_MAX: usize = 32;

impl Output {
    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Where the last waiting byte stands, counted since the connection began.
    pub(super) fn end(&self) -> u64 {
        self.written + self.waiting as u64
    }

    /// Whether it keeps memory that a quiet connection does not need.
    pub(super) fn is_large(&self) -> bool {
        self.tail.capacity() > READ_BUFFER_BYTES_MIN || self.queue.capacity() > SLICES_MAX
    }

    /// Bytes written since the connection began.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that wait, and most bytes of the replies that are still to come.
    #[inline]
    pub(super) fn bytes_held(&self) -> usize {
        self.waiting + self.promised
    }

    /// Whether so much waits that nothing more is read.
    pub(super) fn is_past_half(&self) -> bool {
        self.waiting >= REPLY_BYTES_WAITING_PAUSE && !is_planted(Bug::RepliesWithoutBound)
    }

    /// Promises room for a reply of at most `bytes`. False: it must wait until others are read.
    /// A single reply always finds room, since none is longer than what may wait.
    pub(super) fn promise(&mut self, bytes: usize) -> bool {
        let used = self.bytes_held();
        let has_room = used == 0
            || used + bytes <= REPLY_BYTES_WAITING_MAX
            || is_planted(Bug::RepliesWithoutBound);
        if has_room {
            self.promised += bytes;
        }
        has_room
    }

    /// The reply that had this promise is there, or will not come.
    pub(super) fn keep_promise(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.promised);
        self.promised = self.promised.saturating_sub(bytes);
    }

    /// Frames from inside.
    pub(super) fn push(&mut self, frames: Bytes) {
        self.waiting += frames.len();
        if frames.len() <= COPY_BYTES_MAX {
            self.tail.extend_from_slice(&frames);
        } else {
            if !self.tail.is_empty() {
                self.queue.push_back(self.tail.split().freeze());
            }
            self.queue.push_back(frames);
        }
    }

    /// A frame of the connection's own, written by `encode`.
    pub(super) fn push_own(&mut self, encode: impl FnOnce(&mut BytesMut)) {
        let before = self.tail.len();
        encode(&mut self.tail);
        self.waiting += self.tail.len() - before;
    }

    /// Writes what waits. Ready with the number of bytes that one call took.
    ///
    /// # Errors
    /// The transport's; then nothing more can be written.
    pub(super) fn poll_write(
        &mut self,
        io: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let count = if self.queue.is_empty() {
            ready!(io.poll_write(cx, &self.tail))?
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let parts = self.queue.iter().map(|bytes| &bytes[..]).chain([&self.tail[..]]);
            let mut used = 0;
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
                used += 1;
            }
            ready!(io.poll_write_vectored(cx, slices.get(..used).unwrap_or_default()))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(count);
        Poll::Ready(Ok(count))
    }

    /// Gives memory back.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.queue = VecDeque::new();
            self.tail = BytesMut::new();
        }
    }

    /// Drops everything that waits.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.tail.clear();
        self.waiting = 0;
    }

    fn advance(&mut self, mut count: usize) {
        self.waiting -= count;
        self.written += count as u64;
        while let Some(front) = self.queue.front_mut() {
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.queue.pop_front();
        }
        self.tail.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;

    async fn write_all(output: &mut Output, io: &mut tokio::io::DuplexStream) {
        while !output.is_empty() {
            poll_fn(|cx| output.poll_write(Pin::new(&mut *io), cx)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn small_and_large_deliveries_leave_in_order() {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        let mut output = Output::default();
        let mut wanted = Vec::new();
        for (value, size) in [(1u8, 10), (2, 5_000), (3, 20), (4, 30), (5, 9_000), (6, 1)] {
            let bytes = vec![value; size];
            wanted.extend_from_slice(&bytes);
            match value {
                3 => output.push_own(|out| out.extend_from_slice(&bytes)),
                _ => output.push(bytes.into()),
            }
        }
        assert_eq!(output.waiting(), wanted.len());
        write_all(&mut output, &mut ours).await;
        assert_eq!(output.written(), wanted.len() as u64);
        let mut got = vec![0; wanted.len()];
        theirs.read_exact(&mut got).await.unwrap();
        assert!(got == wanted);
    }

    #[test]
    fn promises_and_what_waits_stay_within_the_bound() {
        let mut output = Output::default();
        assert!(output.promise(REPLY_BYTES_WAITING_MAX), "a single reply always finds room");
        assert!(!output.promise(1));
        output.keep_promise(REPLY_BYTES_WAITING_MAX);
        output.push(vec![0; REPLY_BYTES_WAITING_PAUSE - 1].into());
        assert!(!output.is_past_half());
        output.push_own(|out| out.extend_from_slice(&[0]));
        assert!(output.is_past_half());
        assert!(output.promise(REPLY_BYTES_WAITING_MAX - REPLY_BYTES_WAITING_PAUSE));
        assert!(!output.promise(1));
    }
}
