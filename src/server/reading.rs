//! The read buffer of a connection: bounded, grown only for a frame whose declared length is legal
//! or for a peer that fills it, given back when quiet. Knows frames by their length only.

use crate::limits::{READ_BUFFER_BYTES_BUSY, READ_BUFFER_BYTES_MIN};
use addrd_protocol::codec::{BATCH_BYTES_MAX, Direction, FrameBounds, frame_length};
use addrd_protocol::{FrameError, Opcode};

/// Bytes that were read and not yet taken.
///
/// Shape: one allocation of 4 KiB; up to 64 KiB while the peer fills it; as long as the longest
/// legal frame while one is coming.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What stands at the front of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// Nothing.
    Empty,
    /// A part of a frame whose length can't be told yet.
    Beginning,
    /// A part of a frame of this length.
    Part {
        /// Bytes of the whole frame.
        length: usize,
    },
    /// A whole frame.
    Whole {
        /// Bytes of the frame.
        length: usize,
        /// Its operation.
        opcode: Opcode,
    },
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; READ_BUFFER_BYTES_MIN].into(), start: 0, end: 0 }
    }

    /// What was read and not taken.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes that it occupies beyond those that every connection has.
    pub(super) fn extra_bytes(&self) -> usize {
        self.bytes.len() - READ_BUFFER_BYTES_MIN
    }

    /// What stands at the front.
    ///
    /// # Errors
    /// [`FrameError`]: the stream can't be followed any further.
    #[inline]
    pub(super) fn front(&self, bounds: FrameBounds) -> Result<Front, FrameError> {
        let unread = self.unread();
        match frame_length(unread, Direction::Request, bounds)? {
            None if unread.is_empty() => Ok(Front::Empty),
            None => Ok(Front::Beginning),
            Some(length) if length > unread.len() => Ok(Front::Part { length }),
            Some(length) => Ok(Front::Whole { length, opcode: opcode_of(unread) }),
        }
    }

    /// The first `count` bytes of what is unread.
    #[inline]
    pub(super) fn peek(&self, count: usize) -> &[u8] {
        self.unread().get(..count).unwrap_or_default()
    }

    /// Takes bytes off the front, at most as many as there are.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room to read into; empty if the buffer is full.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        // What is left of a frame moves to the front only when little room is behind it.
        if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes of the room were filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Whether the last read may have left something behind for want of room.
    pub(super) fn is_full(&self) -> bool {
        self.end == self.bytes.len()
    }

    /// Bytes that it would have to grow by for a peer that fills it; 0 = it is large enough.
    pub(super) fn step_up(&self) -> usize {
        if self.bytes.len() < READ_BUFFER_BYTES_BUSY { self.bytes.len() } else { 0 }
    }

    /// Bytes that it would have to grow by to hold a frame of `length`; 0 = it fits.
    pub(super) fn missing_for(&self, length: usize) -> usize {
        length.saturating_sub(self.bytes.len())
    }

    /// Grows by exactly this many bytes.
    pub(super) fn grow(&mut self, by: usize) {
        let size = self.bytes.len() + by;
        debug_assert!(size <= BATCH_BYTES_MAX as usize);
        self.resize(size);
    }

    /// Back to the smallest size that holds what is unread: a step at a time, or all of it.
    pub(super) fn shrink(&mut self, to: usize) {
        let size = to.max(READ_BUFFER_BYTES_MIN);
        if size < self.bytes.len() && self.unread().len() <= size {
            self.resize(size);
        }
    }

    fn resize(&mut self, size: usize) {
        let mut bytes = vec![0; size].into_boxed_slice();
        let unread = self.unread();
        let count = unread.len();
        if let Some(front) = bytes.get_mut(..count) {
            front.copy_from_slice(unread);
        }
        (self.bytes, self.start, self.end) = (bytes, 0, count);
    }
}

/// The operation of a frame of which at least 8 bytes are there.
#[inline]
fn opcode_of(frame: &[u8]) -> Opcode {
    match frame {
        [_, _, _, _, _, _, high, low, ..] => Opcode(u16::from_be_bytes([*high, *low])),
        _ => Opcode(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &mut ReadBuffer, bytes: &[u8]) {
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn what_is_left_moves_to_the_front_and_survives_growing_and_shrinking() {
        let mut buffer = ReadBuffer::new();
        fill(&mut buffer, &[1; 4_000]);
        fill(&mut buffer, &[2; 96]);
        assert!(buffer.is_full());
        buffer.consume(4_000);
        assert_eq!(buffer.room().len(), 4_000);
        assert_eq!(buffer.unread(), [2; 96]);
        buffer.grow(buffer.step_up());
        assert_eq!((buffer.unread(), buffer.extra_bytes()), (&[2; 96][..], 4_096));
        fill(&mut buffer, &[3; 5_000]);
        buffer.shrink(0);
        assert_eq!(buffer.extra_bytes(), 4_096, "it never drops what is unread");
        buffer.consume(5_000);
        buffer.shrink(0);
        assert_eq!((buffer.unread(), buffer.extra_bytes()), (&[3; 96][..], 0));
    }

    #[test]
    fn it_steps_up_to_a_busy_size_and_further_only_for_a_frame() {
        let mut buffer = ReadBuffer::new();
        while buffer.step_up() > 0 {
            buffer.grow(buffer.step_up());
        }
        assert_eq!(buffer.extra_bytes() + READ_BUFFER_BYTES_MIN, READ_BUFFER_BYTES_BUSY);
        assert_eq!(buffer.missing_for(READ_BUFFER_BYTES_BUSY), 0);
        assert_eq!(buffer.missing_for(READ_BUFFER_BYTES_BUSY + 1), 1);
    }

    #[test]
    fn the_front_is_told_as_soon_as_it_can_be() {
        let mut buffer = ReadBuffer::new();
        let front = |buffer: &ReadBuffer| buffer.front(FrameBounds::REQUESTS);
        assert_eq!(front(&buffer), Ok(Front::Empty));
        fill(&mut buffer, &[0, 0, 0, 64, 1, 0, 0]);
        assert_eq!(front(&buffer), Ok(Front::Beginning));
        fill(&mut buffer, &[2]);
        assert_eq!(front(&buffer), Ok(Front::Part { length: 64 }));
        fill(&mut buffer, &[0; 60]);
        assert_eq!(front(&buffer), Ok(Front::Whole { length: 64, opcode: Opcode::PING }));
        buffer.consume(64);
        assert_eq!(buffer.unread(), [0; 4]);
    }
}
