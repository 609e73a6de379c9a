//! The record buffer of a worker: effects in, bytes of records out. Knows nothing of batches.

use super::record::{encode, skip};
use crate::model::{Effect, EffectSink};

/// Records of one drain, encoded; becomes the records of a hand-over.
#[derive(Clone, Debug, Default)]
pub struct RecordBuffer {
    bytes: Vec<u8>,
    records: u32,
}

impl RecordBuffer {
    /// An empty buffer with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), records: 0 }
    }

    /// The records, one after the other.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many records there are.
    #[must_use]
    pub const fn record_count(&self) -> u32 {
        self.records
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Forgets all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
    }
}

impl EffectSink for RecordBuffer {
    fn push(&mut self, effect: &Effect) {
        encode(effect, &mut self.bytes);
        self.records = self.records.saturating_add(1);
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Shape: walks the records that it forgets.
    ///
    /// # Panics
    /// If `bytes` is not a place that [`EffectSink::bytes`] gave.
    fn truncate(&mut self, bytes: usize) {
        let mut forgotten = self.bytes.get(bytes..).unwrap_or_default();
        while !forgotten.is_empty() {
            let rest = skip(forgotten).ok().and_then(|length| forgotten.get(length..));
            assert!(rest.is_some(), "{bytes} is inside a record");
            forgotten = rest.unwrap_or_default();
            self.records = self.records.saturating_sub(1);
        }
        self.bytes.truncate(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NetworkHandle, Revision};

    fn gone(network: u32) -> Effect {
        Effect::NetworkGone { network: NetworkHandle(network), revision: Revision(7) }
    }

    #[test]
    fn truncate_forgets_records_and_their_count() {
        let mut buffer = RecordBuffer::default();
        buffer.push(&gone(1));
        let place = buffer.bytes();
        buffer.push(&gone(2));
        buffer.push(&gone(3));
        assert_eq!(buffer.record_count(), 3);
        buffer.truncate(place);
        assert_eq!(buffer.record_count(), 1);
        assert_eq!(buffer.bytes(), place);
        buffer.truncate(0);
        assert!(buffer.is_empty());
    }

    #[test]
    #[should_panic(expected = "inside a record")]
    fn truncate_inside_a_record_stops() {
        let mut buffer = RecordBuffer::default();
        buffer.push(&gone(1));
        buffer.truncate(3);
    }
}
