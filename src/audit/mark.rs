//! How far an audit log has come, as its own lines say; so it needs no second file that could disagree with it.

use super::line::VERSION;
use crate::model::{Incarnation, Seq, ServerId};
use serde::Deserialize;
use uuid::Uuid;

/// A place in the journal: everything up to it has its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Position of a batch: its last hand-over.
    pub position: Seq,
    /// Records of it that have their lines; `u32::MAX` = all of them.
    pub item: u32,
}

impl Mark {
    /// Behind a whole batch.
    #[must_use]
    pub const fn behind(position: Seq) -> Self {
        Self { position, item: u32::MAX }
    }
}

/// What the first line of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose journal it follows.
    pub server: ServerId,
    /// Its restores.
    pub incarnation: Incarnation,
}

#[derive(Deserialize)]
struct Read {
    version: Option<u32>,
    server: Option<Uuid>,
    incarnation: Option<u32>,
    position: u64,
    item: u32,
}

impl Header {
    /// Of the first line; `None`: it isn't one of ours.
    #[must_use]
    pub fn of(line: &[u8]) -> Option<Self> {
        let read: Read = serde_json::from_slice(line).ok()?;
        if read.version != Some(VERSION) {
            return None;
        }
        Some(Self { server: ServerId(read.server?), incarnation: Incarnation(read.incarnation?) })
    }
}

impl Mark {
    /// Of any line; `None`: it isn't one of ours.
    #[must_use]
    pub fn of(line: &[u8]) -> Option<Self> {
        let read: Read = serde_json::from_slice(line).ok()?;
        Some(Self { position: Seq(read.position), item: read.item })
    }
}

/// How many bytes of a file are whole lines, before what a crash has left: a part of a line, or what a power cut makes of
/// bytes that were never on the disk.
#[must_use]
pub fn whole_lines(bytes: &[u8]) -> usize {
    let mut whole = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let is_line = line.starts_with(b"{") && line.ends_with(b"}\n");
        if !is_line || line.iter().rev().skip(1).any(u8::is_ascii_control) {
            break;
        }
        whole += line.len();
    }
    whole
}
