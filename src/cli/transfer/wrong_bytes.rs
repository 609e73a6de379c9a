//! Files of lines with wrong bytes: they are read or refused, and what is read says the same when
//! it is written. Reads no server.

use super::identity::{self, Identity};
use super::known::Known;
use super::line::Line;
use proptest::prelude::*;

/// Something of every kind.
const STATE: &str = include_str!("../../../tests/fixtures/state.jsonl");

fn read(line: &[u8]) -> Option<Line> {
    serde_json::from_slice(line).ok()
}

#[test]
fn every_kind_of_line_is_written_as_it_was_read() {
    for text in STATE.lines() {
        let line = read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(line.text().unwrap(), text);
    }
}

proptest! {
    /// Each line has its own wrong bytes, or is cut.
    #[test]
    fn wrong_bytes_are_refused_or_mean_something(
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        copied in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
    ) {
        let mut bytes = STATE.as_bytes().to_vec();
        for (from, to) in &copied {
            // Pieces of other lines are likelier to be read than any bytes.
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let piece: Vec<u8> = bytes.iter().skip(from).take(12).copied().collect();
            for (place, byte) in bytes.iter_mut().skip(to).zip(piece) {
                *place = byte;
            }
        }
        for (at, byte) in &wrong {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let mut known = Known::default();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let Some(line) = read(line) else { continue };
            let text = line.text().unwrap();
            let again = read(text.as_bytes());
            prop_assert_eq!(again.as_ref(), Some(&line), "{}", text);
            prop_assert_eq!(again.as_ref().and_then(Identity::of), Identity::of(&line));
            prop_assert!(identity::taken_by(&line).len() <= 1024);
            // What it contradicts is told; nothing else may happen.
            let _ = known.file(&line, number);
        }
    }
}
