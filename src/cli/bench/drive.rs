//! The loop of a load thread: wait for sockets or for the next due request, read, begin, write.

use super::line::{Finished, Line, Script};
use super::tally::Tally;
use addrd_client::protocol::Status;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// Sockets that one wait reports at most.
const EVENTS_MAX: usize = 256;
/// Longest wait, so that the end of a phase is seen.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// Wait before a request is repeated that was refused for overload without advice.
const RETRY_NS: u64 = 1_000_000;
/// Requests that are begun before sockets are looked at again.
const BURST_MAX: usize = 4_096;

/// A request that can be begun: a line and one of its workers.
type Place = (u32, u16);

/// A request that was refused for overload. It keeps the time at which it was due: what it waits
/// is part of its latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Resting {
    until_ns: u64,
    due_ns: u64,
    place: Place,
}

/// When requests are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// As soon as the one before is answered.
    Closed,
    /// This many a second, whatever happens: latency counts from the intended start.
    Open(f64),
}

/// Drives the lines of one thread.
#[derive(Debug)]
pub(super) struct Driver {
    epoll: OwnedFd,
    lines: Vec<Line>,
    wants_write: Vec<bool>,
    script: Script,
    pace: Pace,
    start: Instant,
    /// Requests of the open loop that were begun.
    begun: u64,
    idle: VecDeque<Place>,
    /// Refused for overload, the first to be repeated first.
    resting: BinaryHeap<Reverse<Resting>>,
    /// Lines with fresh output.
    fresh: Vec<u32>,
    pub(super) tally: Tally,
}

impl Driver {
    /// # Errors
    /// The system's.
    pub(super) fn new(
        lines: Vec<Line>,
        workers: u16,
        script: Script,
        pace: Pace,
    ) -> Result<Self, String> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
        let mut idle = VecDeque::new();
        for (at, line) in (0_u32..).zip(&lines) {
            epoll::add(&epoll, line, EventData::new_u64(at.into()), EventFlags::IN)
                .map_err(|error| error.to_string())?;
        }
        for worker in 0..workers {
            idle.extend((0..lines.len() as u32).map(|line| (line, worker)));
        }
        Ok(Self {
            epoll,
            wants_write: vec![false; lines.len()],
            lines,
            script,
            pace,
            start: Instant::now(),
            begun: 0,
            idle,
            resting: BinaryHeap::new(),
            fresh: Vec::new(),
            tally: Tally::default(),
        })
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether nothing is outstanding and nothing is to be repeated.
    pub(super) fn is_finished(&self) -> bool {
        !self.is_outstanding() && self.resting.is_empty()
    }

    fn is_outstanding(&self) -> bool {
        self.lines.iter().any(|line| line.outstanding > 0)
    }

    /// Runs until `end`; without `beginning` only awaits what is outstanding, and repeats nothing.
    /// Ends early when there is nothing left to do.
    ///
    /// # Errors
    /// A connection failed, in words.
    pub(super) fn run(&mut self, end: Instant, beginning: bool) -> Result<(), String> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        loop {
            if beginning {
                self.begin_due();
            }
            self.flush()?;
            let now = Instant::now();
            let is_done = match beginning {
                true => self.is_finished() && self.is_exhausted(),
                false => !self.is_outstanding(),
            };
            if now >= end || is_done {
                return Ok(());
            }
            self.wait(&mut events, end - now, beginning)?;
            for (at, flags) in events.drain(..).map(|event: Event| (event.data.u64(), event.flags))
            {
                self.serve(at as u32, flags, beginning)?;
            }
        }
    }

    /// Whether the closed loop found nothing more to begin.
    fn is_exhausted(&self) -> bool {
        self.idle.is_empty() || self.pace == Pace::Closed
    }

    /// Begins whatever is due now and has a worker.
    fn begin_due(&mut self) {
        let now = self.now_ns();
        while let Some(Reverse(resting)) = self.resting.peek().copied() {
            if resting.until_ns > now {
                break;
            }
            self.resting.pop();
            self.begin(resting.place, resting.due_ns);
        }
        for _ in 0..BURST_MAX {
            let due = match self.pace {
                Pace::Closed => now,
                Pace::Open(rate) => (self.begun as f64 * 1e9 / rate) as u64,
            };
            if due > now {
                return;
            }
            let Some(place) = self.idle.pop_front() else { return };
            self.begun += 1;
            self.begin(place, due);
        }
    }

    #[inline]
    fn begin(&mut self, (line, worker): Place, due_ns: u64) {
        if let Some(state) = self.lines.get_mut(line as usize)
            && state.begin(&self.script, worker, due_ns)
            && self.fresh.last() != Some(&line)
        {
            self.fresh.push(line);
        }
    }

    /// Writes the output of lines that got some.
    fn flush(&mut self) -> Result<(), String> {
        for at in std::mem::take(&mut self.fresh) {
            self.write(at)?;
        }
        Ok(())
    }

    fn write(&mut self, at: u32) -> Result<(), String> {
        let index = at as usize;
        let (Some(line), Some(wants)) =
            (self.lines.get_mut(index), self.wants_write.get_mut(index))
        else {
            return Ok(());
        };
        line.write()?;
        if line.has_output() != *wants {
            *wants = line.has_output();
            let flags = if *wants { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &*line, EventData::new_u64(at.into()), flags)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn wait(&self, events: &mut Vec<Event>, left: Duration, beginning: bool) -> Result<(), String> {
        let mut most = left.min(WAIT_MAX);
        let now = self.now_ns();
        let until = |when: u64| Duration::from_nanos(when.saturating_sub(now));
        if let Some(Reverse(resting)) = self.resting.peek() {
            most = most.min(until(resting.until_ns));
        }
        if let (Pace::Open(rate), true, false) = (self.pace, beginning, self.idle.is_empty()) {
            most = most.min(until((self.begun as f64 * 1e9 / rate) as u64));
        } else if beginning && !self.idle.is_empty() {
            most = Duration::ZERO;
        }
        let most = Timespec { tv_sec: 0, tv_nsec: most.as_nanos().min(999_999_999) as i64 };
        let spare = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, spare, Some(&most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A socket can be read or written.
    fn serve(&mut self, at: u32, flags: EventFlags, beginning: bool) -> Result<(), String> {
        if flags.contains(EventFlags::OUT) {
            self.write(at)?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(at)?;
            if beginning && self.pace == Pace::Closed {
                // At once, so that the server has work while the next socket is read.
                self.begin_due();
                self.flush()?;
            }
        }
        Ok(())
    }

    fn read(&mut self, at: u32) -> Result<(), String> {
        let Some(line) = self.lines.get_mut(at as usize) else { return Ok(()) };
        // One reading of the clock serves all replies of one read.
        let mut now: Option<u64> = None;
        let (start, tally, idle, resting) =
            (self.start, &mut self.tally, &mut self.idle, &mut self.resting);
        line.read(|finished: Finished| {
            let now = *now.get_or_insert_with(|| {
                u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
            });
            let place = (at, finished.worker);
            match finished.status {
                Status::OK => {
                    tally.succeeded(now.saturating_sub(finished.due_ns));
                    idle.push_back(place);
                }
                status => {
                    tally.refused(status);
                    let advice = u64::from(finished.retry_after_ms) * 1_000_000;
                    let (until_ns, due_ns) = (now + advice.max(RETRY_NS), finished.due_ns);
                    resting.push(Reverse(Resting { until_ns, due_ns, place }));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Work;
    use super::super::owners::Owners;
    use super::super::plan::Plan;
    use super::super::wire::Template;
    use super::*;
    use addrd_client::protocol::codec::decode_request_slice;
    use addrd_client::protocol::{Opcode, ProjectId};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    const ADVICE_MS: u32 = 30;

    /// Operation and id of the next request; `None` once the other side is gone.
    fn next_request(peer: &mut UnixStream) -> Option<(Opcode, u64)> {
        let mut length = [0; 4];
        peer.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        frame[..4].copy_from_slice(&length);
        peer.read_exact(&mut frame[4..]).ok()?;
        let (header, _) = decode_request_slice(&frame).unwrap();
        Some((header.opcode, header.request_id))
    }

    /// A reply without a body: the load generator reads no further.
    fn reply_header(opcode: Opcode, id: u64, status: Status, retry_after_ms: u32) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, 24, 1, 0];
        frame.extend_from_slice(&opcode.0.to_be_bytes());
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(&status.0.to_be_bytes());
        frame.extend_from_slice(&[0; 2]);
        frame.extend_from_slice(&retry_after_ms.to_be_bytes());
        frame
    }

    /// Runs until `done`; a minute is more than any machine needs.
    fn run_until(driver: &mut Driver, done: impl Fn(&Driver) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done(driver) {
            assert!(Instant::now() < end, "{:?}", driver.tally);
            driver.run(Instant::now() + WAIT_MAX, true).unwrap();
        }
    }

    /// A server that answers each request `refusals` times with BUSY before it is done.
    fn serve(mut peer: UnixStream, refusals: u32) {
        let mut refused = 0;
        while let Some((opcode, request_id)) = next_request(&mut peer) {
            let status = if refused < refusals { Status::BUSY } else { Status::OK };
            refused = if refused < refusals { refused + 1 } else { 0 };
            let retry_after_ms = if status == Status::OK { 0 } else { ADVICE_MS };
            let out = reply_header(opcode, request_id, status, retry_after_ms);
            if peer.write_all(&out).is_err() {
                return;
            }
        }
    }

    fn serving(peer: UnixStream, refusals: u32) -> std::thread::JoinHandle<()> {
        let server = std::thread::Builder::new().name("server".to_owned());
        server.spawn(move || serve(peer, refusals)).unwrap()
    }

    fn driver(socket: UnixStream, operations: u32, pace: Pace) -> Driver {
        socket.set_nonblocking(true).unwrap();
        let plan = Plan::new(5, 1, 1, operations, 0.5).unwrap();
        let line = Line::new(socket.into(), &[], 1, Owners::new(0, 0, operations, 1));
        let script = Script {
            plan,
            work: Work::Allocate,
            allocate: Template::allocate(ProjectId::DEFAULT),
            release: Template::release(ProjectId::DEFAULT),
        };
        Driver::new(vec![line], 1, script, pace).unwrap()
    }

    /// Who only counted from the repeat would hide exactly the time in which the server was
    /// overloaded.
    #[test]
    fn a_refused_operation_is_repeated_as_advised_and_its_latency_counts_from_the_first_try() {
        for pace in [Pace::Closed, Pace::Open(1e6)] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let server = serving(theirs, 2);
            let mut driver = driver(ours, 3, pace);
            run_until(&mut driver, |driver| driver.tally.operations == 3);
            let least_us = f64::from(2 * ADVICE_MS) * 1e3;
            assert_eq!((driver.tally.busy, driver.tally.errors_total()), (6, 0));
            assert!(driver.tally.quantile_us(0.0) >= least_us * 0.99, "{:?}", driver.tally);
            drop(driver);
            server.join().unwrap();
        }
    }

    #[test]
    fn the_end_awaits_replies_and_not_what_would_be_repeated() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = serving(theirs, u32::MAX);
        let mut driver = driver(ours, 1, Pace::Closed);
        run_until(&mut driver, |driver| driver.tally.busy > 0);
        driver.run(Instant::now() + Duration::from_secs(3_600), false).unwrap();
        assert!(!driver.is_outstanding());
        drop(driver);
        server.join().unwrap();
    }
}
