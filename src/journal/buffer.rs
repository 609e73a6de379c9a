//! The record buffer of a worker: effects in, bytes of records out, with who asked for them. Knows nothing of batches.

use super::record::{encode, is_asked, skip};
use crate::model::{Asked, Effect, EffectSink};
use crate::planted::{Bug, is_planted};

/// Records of one drain, encoded; becomes the records of a hand-over.
///
/// What follows in the same batch is another hand-over's, so a buffer that says who asked ends with nobody
/// ([`RecordBuffer::close`]). One that never does has no record of it at all.
#[derive(Clone, Debug)]
pub struct RecordBuffer {
    bytes: Vec<u8>,
    records: u32,
    /// Of the records, those that say who asked.
    signatures: u32,
    /// Who asks for what is pushed next.
    asked: Asked,
    /// Who asked for it as the bytes say; `None`: what said so was taken back.
    said: Option<Asked>,
}

impl Default for RecordBuffer {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl RecordBuffer {
    /// An empty buffer with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            records: 0,
            signatures: 0,
            asked: Asked::default(),
            said: Some(Asked::default()),
        }
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

    /// How many effects there are: records but for those that say who asked.
    #[must_use]
    pub const fn effect_count(&self) -> u32 {
        self.records.saturating_sub(self.signatures)
    }

    /// Who asks for what is pushed from now on. Costs nothing unless something is.
    #[inline]
    pub const fn sign(&mut self, asked: Asked) {
        self.asked = asked;
    }

    /// Who asks for what is pushed.
    #[must_use]
    pub const fn asked(&self) -> Asked {
        self.asked
    }

    /// Ends the records: what others append behind them is not of who asked last.
    pub fn close(&mut self) {
        if is_planted(Bug::AskerStays) {
            return;
        }
        self.asked = Asked::default();
        self.say();
    }

    /// Lets the bytes say who asks.
    #[inline]
    fn say(&mut self) {
        if self.said != Some(self.asked) {
            encode(&Effect::Asked(self.asked), &mut self.bytes);
            self.records = self.records.saturating_add(1);
            self.signatures = self.signatures.saturating_add(1);
            self.said = Some(self.asked);
        }
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Forgets all records and keeps the memory.
    pub fn clear(&mut self) {
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
        self.bytes.clear();
    }
}

impl EffectSink for RecordBuffer {
    fn push(&mut self, effect: &Effect) {
        self.say();
        encode(effect, &mut self.bytes);
        self.records = self.records.saturating_add(1);
    }

    fn push_unasked(&mut self, effect: &Effect) {
        let asked = std::mem::take(&mut self.asked);
        self.push(effect);
        self.asked = asked;
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
            if is_asked(forgotten) {
                self.signatures = self.signatures.saturating_sub(1);
                self.said = None;
            }
            forgotten = rest.unwrap_or_default();
            self.records = self.records.saturating_sub(1);
        }
        if bytes == 0 {
            // Nothing is left that anybody asked for.
            self.said = Some(Asked::default());
        }
        self.bytes.truncate(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::decode;
    use crate::model::{Asker, NetworkHandle, PrincipalId, Revision};
    use addrd_protocol::Opcode;

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

    /// Who asked for each record, as a reader finds it.
    fn read(buffer: &RecordBuffer) -> Vec<(Asked, u32)> {
        let (mut asked, mut found, mut left) = (Asked::default(), Vec::new(), buffer.as_bytes());
        let mut count = 0;
        while !left.is_empty() {
            let (effect, used) = decode(left).unwrap();
            match effect {
                Effect::Asked(other) => asked = other,
                Effect::NetworkGone { network, .. } => found.push((asked, network.0)),
                other => panic!("{other:?}"),
            }
            left = &left[used..];
            count += 1;
        }
        assert_eq!(buffer.record_count(), count);
        assert_eq!(buffer.effect_count() as usize, found.len());
        assert_eq!(asked, Asked::default(), "what others append behind it is not theirs");
        found
    }

    #[test]
    fn each_record_is_of_who_asked_for_it_also_after_some_were_taken_back() {
        let operator = Asked { by: Asker::Operator, opcode: None };
        let principal = Asker::Principal(PrincipalId::from_u128(7));
        let principal = Asked { by: principal, opcode: Some(Opcode::BATCH) };
        let nobody = Asked::default();
        let mut buffer = RecordBuffer::default();
        buffer.push(&gone(1));
        buffer.sign(operator);
        buffer.push(&gone(2));
        buffer.push(&gone(3));
        buffer.sign(principal);
        let place = buffer.bytes();
        buffer.push(&gone(4));
        buffer.truncate(place);
        buffer.sign(operator);
        buffer.push(&gone(5));
        let place = buffer.bytes();
        buffer.sign(nobody);
        buffer.push(&gone(6));
        buffer.truncate(place);
        buffer.push(&gone(7));
        buffer.sign(principal);
        buffer.sign(nobody);
        buffer.push(&gone(8));
        buffer.sign(operator);
        buffer.push_unasked(&gone(80));
        buffer.push(&gone(81));
        buffer.sign(principal);
        buffer.push(&gone(9));
        buffer.close();
        let expected = [
            (nobody, 1),
            (operator, 2),
            (operator, 3),
            (operator, 5),
            (nobody, 7),
            (nobody, 8),
            (nobody, 80),
            (operator, 81),
        ];
        assert_eq!(read(&buffer)[..8], expected);
        assert_eq!(read(&buffer)[8..], [(principal, 9)]);
    }

    #[test]
    fn where_nobody_is_known_nothing_is_said() {
        let mut buffer = RecordBuffer::default();
        buffer.sign(Asked::new(Asker::Nobody, Opcode::BATCH));
        buffer.push(&gone(1));
        buffer.close();
        assert_eq!(buffer.record_count(), 1);
        buffer.sign(Asked::new(Asker::Operator, Opcode::BATCH));
        buffer.close();
        let mut refused = RecordBuffer::default();
        refused.sign(Asked::new(Asker::Operator, Opcode::BATCH));
        refused.push(&gone(1));
        refused.truncate(0);
        refused.close();
        assert!(refused.is_empty(), "what was taken back");
        assert_eq!(buffer.record_count(), 1, "whoever changes nothing is not in the journal");
    }

    #[test]
    #[should_panic(expected = "inside a record")]
    fn truncate_inside_a_record_stops() {
        let mut buffer = RecordBuffer::default();
        buffer.push(&gone(1));
        buffer.truncate(3);
    }
}
