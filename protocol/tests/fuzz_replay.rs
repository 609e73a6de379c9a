//! The committed corpus of the protocol's fuzz targets, every vector, every cut and every changed
//! byte of them: all are read without a panic, and what is read is written and read the same.

#[path = "../../fuzz/checks/protocol.rs"]
mod checks;

use std::path::{Path, PathBuf};

/// Bytes of a frame's header that both directions have.
const HEADER_BYTES: usize = 24;

fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn parsed(file: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(manifest("vectors").join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn unhex(vector: &serde_json::Value) -> Vec<u8> {
    let text = vector["hex"].as_str().unwrap();
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The bytes of every vector in a file.
fn vectors(file: &str) -> Vec<Vec<u8>> {
    parsed(file).iter().map(unhex).collect()
}

fn replay(target: &str, check: fn(&[u8])) {
    let folder = manifest("../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| check(&data)).is_err() {
            panic!("{} fails", path.display());
        }
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn the_corpus_of_frame_is_read() {
    replay("frame", checks::frame);
}

#[test]
fn the_corpus_of_request_is_read() {
    replay("request", checks::request);
}

#[test]
fn the_corpus_of_reply_is_read() {
    replay("reply", checks::reply);
}

fn every_cut_and_change(file: &str, check: fn(&[u8])) {
    for frame in vectors(file) {
        for length in 0..=frame.len() {
            check(&frame[..length]);
        }
        let mut changed = frame.clone();
        for at in 0..frame.len() {
            for value in 0..=u8::MAX {
                changed[at] = value;
                check(&changed);
            }
            changed[at] = frame[at];
        }
    }
}

#[test]
fn every_cut_and_every_changed_byte_of_requests_is_an_error_or_a_message() {
    every_cut_and_change("requests.json", checks::request);
}

#[test]
fn every_cut_and_every_changed_byte_of_replies_is_an_error_or_a_message() {
    every_cut_and_change("replies.json", checks::reply);
}

/// A stream that ends anywhere, and one with any byte of its first header changed, length and
/// version included: the bytes that say where a frame ends, and whose it is.
#[test]
fn every_cut_and_every_changed_byte_of_streams_is_an_error_or_frames() {
    for stream in vectors("frames.json").into_iter().chain(frame_faults()) {
        let mut data = vec![6];
        data.extend(&stream);
        for length in 0..data.len() {
            checks::frame(&data[..length]);
        }
        for at in 1..data.len().min(1 + HEADER_BYTES) {
            for value in 0..=u8::MAX {
                let byte = std::mem::replace(&mut data[at], value);
                checks::frame(&data);
                data[at] = byte;
            }
        }
    }
}

#[test]
fn streams_may_be_split_at_every_byte() {
    for file in ["requests.json", "replies.json", "frames.json", "bad.json"] {
        for stream in vectors(file) {
            for size in 0..u8::try_from(stream.len().min(100)).unwrap() {
                checks::frame(&[&[size], stream.as_slice()].concat());
            }
        }
    }
}

/// Seeds from the vectors, for whoever starts a corpus anew: `ADDRD_CORPUS=write`.
#[test]
fn seeds_of_the_corpus_are_the_vectors() {
    if std::env::var("ADDRD_CORPUS").is_ok_and(|what| what == "write") {
        write_seeds();
    }
    let count =
        |target: &str| std::fs::read_dir(manifest("../fuzz/corpus").join(target)).unwrap().count();
    assert!(count("request") >= vectors("requests.json").len());
    assert!(count("reply") >= vectors("replies.json").len());
}

/// Wrong bytes after which no frame can follow; wrong bodies are for the other targets.
fn frame_faults() -> Vec<Vec<u8>> {
    let all = parsed("bad.json").into_iter();
    let closing = all.filter(|vector| vector["expect"]["connection"] == "closes");
    closing.map(|vector| unhex(&vector)).collect()
}

fn write_seeds() {
    let seed = |target: &str, number: usize, bytes: &[u8]| {
        let folder = manifest("../fuzz/corpus").join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("seed-{number:03}")), bytes).unwrap();
    };
    for (target, file) in [("request", "requests.json"), ("reply", "replies.json")] {
        let all = vectors(file);
        all.iter().enumerate().for_each(|(number, bytes)| seed(target, number, bytes));
    }
    let streams = vectors("frames.json").into_iter().chain(frame_faults());
    for (number, stream) in streams.enumerate() {
        seed("frame", number, &[&[6], stream.as_slice()].concat());
    }
}

/// Who asks for what is the server's own to send is refused under that number; the refusal is no GOAWAY.
#[test]
fn a_failure_under_the_number_of_goaway_is_a_failure() {
    use addrd_protocol::codec::{ReplyOrFailure, decode_reply_slice};
    let mut failures = 0;
    for mut frame in vectors("replies.json") {
        let Ok((_, Ok(ReplyOrFailure::Failure(failure)))) = decode_reply_slice(&frame) else {
            continue;
        };
        frame[6..8].copy_from_slice(&3_u16.to_be_bytes());
        let (_, read) = decode_reply_slice(&frame).unwrap();
        assert_eq!(read, Ok(ReplyOrFailure::Failure(failure)));
        failures += 1;
    }
    assert!(failures > 0);
}
