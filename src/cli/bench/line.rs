//! One connection under load: its buffers, its workers (requests that may be outstanding), its
//! owners. Reads no clock.

use super::owners::Owners;
use super::plan::Plan;
use super::wire::{Answer, Template, answer};
use addrd_client::protocol::Status;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Bytes that one read takes at most.
const INPUT_BYTES: usize = 256 << 10;
/// Bits of a request id that number the worker.
const WORKER_BITS: u32 = 16;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Release and allocate, one for one, in random order.
    Churn,
    /// Allocate only.
    Allocate,
}

/// What a worker does next, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Free to begin with another owner.
    None,
    /// Release what the owner holds.
    Release(u32),
    /// Allocate for the owner.
    Allocate(u32),
}

/// A request that may be outstanding.
#[derive(Clone, Copy, Debug)]
struct Worker {
    task: Task,
    /// When the present request was due, ns.
    due_ns: u64,
    /// Counts its requests, so that ids are not reused.
    sent: u32,
}

/// Both templates and the ids.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) plan: Plan,
    pub(super) work: Work,
    pub(super) allocate: Template,
    pub(super) release: Template,
}

/// How a request of a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) worker: u16,
    pub(super) due_ns: u64,
    pub(super) status: Status,
    pub(super) retry_after_ms: u32,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Line {
    socket: OwnedFd,
    input: Vec<u8>,
    /// Where unread bytes begin and end.
    span: (usize, usize),
    output: Vec<u8>,
    written: usize,
    workers: Vec<Worker>,
    owners: Owners,
    pub(super) outstanding: usize,
}

impl Line {
    /// Over a socket that does not block; `leftover` was read from it before.
    pub(super) fn new(socket: OwnedFd, leftover: &[u8], workers: u16, owners: Owners) -> Self {
        let mut input = vec![0; INPUT_BYTES.max(leftover.len() * 2)];
        input[..leftover.len()].copy_from_slice(leftover);
        let worker = Worker { task: Task::None, due_ns: 0, sent: 0 };
        Self {
            socket,
            input,
            span: (0, leftover.len()),
            output: Vec::with_capacity(64 << 10),
            written: 0,
            workers: vec![worker; usize::from(workers)],
            owners,
            outstanding: 0,
        }
    }

    /// Puts the next request of a worker into the output. False: nothing is left to do.
    #[inline]
    pub(super) fn begin(&mut self, script: &Script, worker: u16, due_ns: u64) -> bool {
        let Some(state) = self.workers.get_mut(usize::from(worker)) else { return false };
        if state.task == Task::None {
            state.task = match script.work {
                Work::Churn => match self.owners.take_live() {
                    Some(owner) => Task::Release(owner),
                    None => return false,
                },
                Work::Allocate => match self.owners.take_fresh() {
                    Some(owner) => Task::Allocate(owner),
                    None => return false,
                },
            };
        }
        state.due_ns = due_ns;
        state.sent = state.sent.wrapping_add(1);
        let id = u64::from(state.sent) << WORKER_BITS | u64::from(worker) | 1 << 63;
        let (template, owner) = match state.task {
            Task::Release(owner) => (&script.release, owner),
            Task::Allocate(owner) => (&script.allocate, owner),
            Task::None => return false,
        };
        let (network, owner) = self.owners.ids(&script.plan, owner);
        template.append(&mut self.output, id, network, owner);
        self.outstanding += 1;
        true
    }

    /// Reads once and gives every whole reply to `finished`.
    ///
    /// # Errors
    /// In words; the connection is of no further use.
    pub(super) fn read(&mut self, mut finished: impl FnMut(Finished)) -> Result<(), String> {
        let (start, end) = self.span;
        if start > 0 {
            self.input.copy_within(start..end, 0);
            self.span = (0, end - start);
        }
        let end = self.span.1;
        let room = self.input.get_mut(end..).unwrap_or_default();
        match rustix::io::read(&self.socket, room) {
            Ok(0) => return Err("the server closed the connection".to_owned()),
            Ok(count) => self.span.1 += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        while let Some((answer, size)) =
            answer(self.input.get(self.span.0..self.span.1).unwrap_or_default())?
        {
            self.span.0 += size;
            finished(self.finish(&answer)?);
        }
        if self.span == (0, self.input.len()) {
            self.input.resize(self.input.len() * 2, 0);
        }
        Ok(())
    }

    #[inline]
    fn finish(&mut self, answer: &Answer) -> Result<Finished, String> {
        let worker = (answer.request_id & ((1 << WORKER_BITS) - 1)) as u16;
        let sent = (answer.request_id >> WORKER_BITS) as u32;
        let state = match self.workers.get_mut(usize::from(worker)) {
            Some(state) if answer.request_id >> 63 == 1 && state.sent == sent => state,
            _ if answer.status == Status::OK => return Err("the server is going away".to_owned()),
            _ => return Err(format!("the server ends the connection: {}", answer.status)),
        };
        self.outstanding -= 1;
        if answer.status == Status::OK {
            state.task = match state.task {
                Task::Release(owner) => {
                    self.owners.released(owner);
                    Task::Allocate(owner)
                }
                Task::Allocate(owner) => {
                    self.owners.allocated(owner);
                    Task::None
                }
                Task::None => return Err("a reply to no request came".to_owned()),
            };
        } else if answer.status == Status::NOT_HELD {
            // Counted as an error; the owner goes on as if it had been released.
            if let Task::Release(owner) = state.task {
                self.owners.released(owner);
                state.task = Task::Allocate(owner);
            }
        }
        Ok(Finished {
            worker,
            due_ns: state.due_ns,
            status: answer.status,
            retry_after_ms: answer.retry_after_ms,
        })
    }

    /// Writes once what is in the output.
    ///
    /// # Errors
    /// In words; the connection is of no further use.
    pub(super) fn write(&mut self) -> Result<(), String> {
        let rest = self.output.get(self.written..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        match rustix::net::send(&self.socket, rest, rustix::net::SendFlags::NOSIGNAL) {
            Ok(count) => self.written += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        Ok(())
    }

    /// Whether something waits for room in the socket.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
