//! One line of the audit log: a JSON object and a newline. Holds ids, addresses and the server's own words; never a
//! name, a label, a token or anything else that a client wrote.

use super::mark::Mark;
use crate::model::{Asker, Incarnation, PrincipalId, ProjectId, ServerId, Status, Tick};
use addrd_protocol::Opcode;
use serde::Serialize;
use std::net::IpAddr;
use uuid::Uuid;

/// Version of the lines: what a field means doesn't change within one.
pub(super) const VERSION: u32 = 1;

/// What a line is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LineKind {
    /// First line of a file.
    #[default]
    Begin,
    /// Something was changed, and is durable.
    Change,
    /// Somebody tried what he may not, or an operator's request was refused or left no change.
    Attempt,
    /// Changes that have no lines.
    Gap,
    /// Attempts that have no lines: there were too many at once.
    Missed,
    /// Nothing up to here that has no line should have one.
    Mark,
}

/// What is so from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Put,
    Gone,
}

/// What was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Object {
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Uuid>,
    /// The journal's number of what has no name any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pool: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subnet: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<IpAddr>,
    /// Of a block or prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slot: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<u64>,
}

/// A line. What is `None` isn't in it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    pub(super) kind: LineKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) incarnation: Option<u32>,
    /// How far the lines have come in the journal: a batch, and the record in it.
    pub(super) position: u64,
    pub(super) item: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) principal: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
}

impl Line<'_> {
    /// Appends it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let place = out.len();
        if serde_json::to_writer(&mut *out, self).is_err() {
            // Nothing in it can fail to be JSON, and a vector takes all; half a line would be worse than none.
            debug_assert!(false, "a line of the audit log");
            return out.truncate(place);
        }
        out.push(b'\n');
    }

    /// With who asked.
    pub(super) fn by(self, asker: Asker) -> Self {
        let (by, principal) = match asker {
            Asker::Nobody => (None, None),
            Asker::Operator => (Some("operator"), None),
            Asker::Principal(PrincipalId(id)) => (Some("principal"), Some(id)),
        };
        Self { by, principal, ..self }
    }
}

/// Somebody tried what he may not, or asked for something administrative that left no change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub tick: Tick,
    /// Who, as far as that is known.
    pub by: Asker,
    /// Where he came from, in the words of the log; empty = not known here.
    pub origin: String,
    /// In which project.
    pub project: Option<ProjectId>,
    /// What he tried.
    pub opcode: Opcode,
    /// What came of it.
    pub result: Status,
    /// For the operator: why. Words of the server and ids alone.
    pub why: String,
}

impl Attempt {
    /// Appends its line; `at` is how far the lines have come in the journal.
    pub fn write(&self, time: &str, at: Mark, out: &mut Vec<u8>) {
        let line = Line {
            time,
            kind: LineKind::Attempt,
            position: at.position.0,
            item: at.item,
            origin: Some(self.origin.as_str()).filter(|text| !text.is_empty()),
            project: self.project.map(|project| project.0),
            operation: Some(self.opcode.name()),
            result: Some(self.result.name()),
            why: Some(self.why.as_str()).filter(|text| !text.is_empty()),
            ..Line::default()
        };
        line.by(self.by).write(out);
    }
}

/// What the first line of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Whose journal it follows.
    pub server: ServerId,
    /// Its restores.
    pub incarnation: Incarnation,
    /// Lines begin behind this.
    pub at: Mark,
}

/// Appends the first line of a file.
pub fn begin(time: &str, begin: Begin, out: &mut Vec<u8>) {
    let line = Line {
        time,
        kind: LineKind::Begin,
        version: Some(VERSION),
        server: Some(begin.server.0),
        incarnation: Some(begin.incarnation.0),
        position: begin.at.position.0,
        item: begin.at.item,
        ..Line::default()
    };
    line.write(out);
}

/// Hand-overs that have no lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// Appends a line that says what is missing; lines go on behind it.
pub fn gap(time: &str, gap: Gap, out: &mut Vec<u8>) {
    let line = Line {
        time,
        kind: LineKind::Gap,
        position: gap.to,
        item: u32::MAX,
        from: Some(gap.from),
        to: Some(gap.to),
        ..Line::default()
    };
    line.write(out);
}

/// Appends a line that says how far the lines have come: what is before it and has none, needs none.
pub fn mark(time: &str, at: Mark, out: &mut Vec<u8>) {
    let line = Line {
        time,
        kind: LineKind::Mark,
        position: at.position.0,
        item: at.item,
        ..Line::default()
    };
    line.write(out);
}

/// Appends a line that says how many attempts have none.
pub fn missed(time: &str, count: u64, at: Mark, out: &mut Vec<u8>) {
    let line = Line {
        time,
        kind: LineKind::Missed,
        position: at.position.0,
        item: at.item,
        count: Some(count),
        ..Line::default()
    };
    line.write(out);
}
