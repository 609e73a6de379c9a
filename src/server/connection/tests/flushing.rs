//! A transport that keeps what is written until it is flushed, as TLS may.

use super::super::super::admission::Peer;
use super::super::super::origin::Origin;
use super::super::serve;
use super::*;
use crate::limits;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::task::TaskTracker;

struct Keeping {
    io: DuplexStream,
    kept: Vec<u8>,
    farewell: Farewell,
}

/// Whether there is room for the last bytes of a transport.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// At the second try.
    Waits,
    Said,
    Never,
}

const BYE: &[u8] = b"bye";

impl AsyncRead for Keeping {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Keeping {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let this = &mut *self;
            let count = ready!(Pin::new(&mut this.io).poll_write(cx, &this.kept))?;
            this.kept.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.farewell {
            Farewell::Never => return Poll::Pending,
            Farewell::Waits => {
                self.farewell = Farewell::Said;
                self.kept.extend_from_slice(BYE);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Farewell::Said => ready!(self.as_mut().poll_flush(cx))?,
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The other end of a connection over such a transport, whose pipe holds `pipe_bytes`.
fn keeping(stage: &Stage, pipe_bytes: usize, farewell: Farewell) -> (DuplexStream, TaskTracker) {
    let (ours, io) = tokio::io::duplex(pipe_bytes);
    let seats = stage.shared.admission.admit(Peer::Local).unwrap();
    let io = Keeping { io, kept: Vec::new(), farewell };
    let tracker = TaskTracker::new();
    let origin = Origin::of(Peer::Local);
    tracker.spawn(serve(io, Arc::clone(&stage.shared), seats, origin));
    tracker.close();
    (ours, tracker)
}

#[tokio::test(start_paused = true)]
async fn what_is_written_is_flushed_also_the_last_words() {
    let stage = Stage::new(FakeDecider::answering());
    let (mut ours, tracker) = keeping(&stage, 4 << 10, Farewell::Waits);
    ours.write_all(&hello(1)).await.unwrap();
    let mut length = [0; 4];
    ours.read_exact(&mut length).await.unwrap();
    // What is no frame ends the connection behind an answer.
    ours.write_all(&[0xff; 16]).await.unwrap();
    let mut rest = Vec::new();
    ours.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(BYE), "what the transport says last waited for room");
    assert!(rest.len() > u32::from_be_bytes(length) as usize, "an answer and last words");
    drop(ours);
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_of_a_flush_is_closed_in_time() {
    let stage = Stage::new(FakeDecider::answering());
    let (mut ours, tracker) = keeping(&stage, 64, Farewell::Waits);
    let since = Instant::now();
    let ask = async {
        ours.write_all(&hello(1)).await.unwrap();
        tracker.wait().await;
    };
    ask.await;
    let stall = stage.shared.bounds.stall;
    assert!((stall..stall * 2).contains(&since.elapsed()), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_farewell_that_finds_no_room_is_waited_for_no_longer_than_a_peer() {
    let stage = Stage::new(FakeDecider::answering());
    let (mut ours, tracker) = keeping(&stage, 4 << 10, Farewell::Never);
    ours.write_all(&[0xff; 16]).await.unwrap();
    let since = Instant::now();
    // The peer has nothing to say either.
    ours.shutdown().await.unwrap();
    tracker.wait().await;
    let linger = Duration::from_millis(limits::LINGER_MS);
    assert!((linger..linger * 2).contains(&since.elapsed()), "{:?}", since.elapsed());
}
