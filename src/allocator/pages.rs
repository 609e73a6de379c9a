//! Pages and cursors: bounded looks at ordered objects. Knows no objects.
//!
//! A cursor names the last key that was looked at, so it stays good for ever, and an object that
//! exists through the whole listing is shown exactly once, whatever comes and goes around it.

use super::refusal::{Refused, refuse_field};
use super::shard::At;
use crate::limits::LIST_OBJECTS_MAX;
use crate::model::{Family, Status};
use addrd_protocol::message::list::CURSOR_BYTES_MAX;
use addrd_protocol::message::{Cursor as CursorBytes, PageRequest};

/// What a cursor goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Networks by id and project.
    Network = 1,
    /// Jobs by number.
    Job = 2,
    /// Subnets of a network by family and prefix.
    Subnet = 3,
    /// Allocations of a network by family and address.
    Allocation = 4,
    /// Counts of subnets of a network by family and prefix.
    Usage = 5,
    /// Projects by id.
    Project = 0x20,
    /// Address scopes by number.
    Scope = 0x21,
    /// Subnet pools by number.
    Pool = 0x22,
    /// Principals by id.
    Principal = 0x23,
    /// Suspects of a project by worker, host and how long nobody touched them.
    Suspect = 0x30,
    /// Segments of a network by the revision at which they were made; so are the three below.
    Segment = 0x50,
    /// Mappings of hosts.
    Host = 0x51,
    /// Ports.
    Port = 0x52,
    /// Pins.
    Pin = 0x53,
}

/// The last key that a list has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) family: Family,
    pub(super) key: u128,
    /// Tells apart what has the same key; only networks have it, by project.
    pub(super) beside: u128,
}

/// Bytes that every cursor begins with: kind, incarnation.
pub(super) const HEAD_BYTES: usize = 1 + 4;
/// Bytes of a cursor: these, family, key.
const CURSOR_BYTES: usize = HEAD_BYTES + 1 + 16;
/// The same and what tells apart equal keys.
const LONG_CURSOR_BYTES: usize = CURSOR_BYTES + 16;
const _: () = assert!(LONG_CURSOR_BYTES <= CURSOR_BYTES_MAX);

impl Cursor {
    /// The cursor of a page request; `None` = from the beginning.
    pub(super) fn read(kind: Kind, at: &At, page: &PageRequest) -> Result<Option<Self>, Refused> {
        page.cursor.as_ref().map(|bytes| Self::parse(kind, at, bytes)).transpose()
    }

    /// Reads a cursor of this kind and incarnation.
    pub(super) fn parse(kind: Kind, at: &At, bytes: &CursorBytes) -> Result<Self, Refused> {
        let (fields, rest) = bytes.0.split_first_chunk::<CURSOR_BYTES>().ok_or_else(foreign)?;
        let beside = match (kind, rest) {
            (Kind::Network, rest) => rest.try_into().map_err(|_| foreign())?,
            (_, []) => [0; 16],
            _ => return Err(foreign()),
        };
        let family = match fields[5] {
            4 => Family::V4,
            6 => Family::V6,
            _ => return Err(foreign()),
        };
        behind_head(kind, at, bytes)?;
        let mut key = [0; 16];
        key.copy_from_slice(&fields[6..]);
        let (key, beside) = (u128::from_be_bytes(key), u128::from_be_bytes(beside));
        Ok(Self { family, key, beside })
    }

    /// As it travels.
    pub(super) fn write(&self, kind: Kind, at: &At) -> CursorBytes {
        let mut bytes = head(kind, at);
        bytes.push(self.family as u8);
        bytes.extend_from_slice(&self.key.to_be_bytes());
        if kind == Kind::Network {
            bytes.extend_from_slice(&self.beside.to_be_bytes());
        }
        CursorBytes(bytes.into())
    }

    /// The key of a cursor that one of our own pages carries, and what tells apart equal ones.
    pub(super) fn key_of(bytes: &CursorBytes) -> (u128, u128) {
        let number = |from: usize| {
            let field = bytes.0.get(from..from + 16).and_then(|field| field.try_into().ok());
            u128::from_be_bytes(field.unwrap_or_default())
        };
        (number(CURSOR_BYTES - 16), number(CURSOR_BYTES))
    }
}

/// A cursor that this list did not make.
#[cold]
pub(super) fn foreign() -> Refused {
    let message = format_args!("this cursor is not one of this list; begin without one");
    refuse_field(Status::OUT_OF_RANGE, "cursor", message)
}

/// What every cursor begins with: its kind, and the incarnation.
pub(super) fn head(kind: Kind, at: &At) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CURSOR_BYTES_MAX);
    bytes.push(kind as u8);
    bytes.extend_from_slice(&at.incarnation.0.to_be_bytes());
    bytes
}

/// What a cursor of this kind and incarnation has behind that.
pub(super) fn behind_head<'a>(
    kind: Kind,
    at: &At,
    bytes: &'a CursorBytes,
) -> Result<&'a [u8], Refused> {
    let (head, rest) = bytes.0.split_first_chunk::<HEAD_BYTES>().ok_or_else(foreign)?;
    if head[0] != kind as u8 {
        return Err(foreign());
    }
    if head[1..] != at.incarnation.0.to_be_bytes() {
        let message = format_args!("the server was restored since this list began; list again");
        return Err(refuse_field(Status::STALE, "cursor", message));
    }
    Ok(rest)
}

/// A page that fills up.
#[derive(Debug)]
pub(super) struct Page<T> {
    items: Vec<T>,
    most: usize,
    looks: usize,
    /// The last key looked at, and whether there may be more behind it.
    last: u128,
    /// Tells apart the last one from others with its key.
    beside: u128,
    more: bool,
}

impl<T> Page<T> {
    pub(super) const fn new(most: u32) -> Self {
        Self { items: Vec::new(), most: most as usize, looks: 0, last: 0, beside: 0, more: false }
    }

    /// Looks at the object behind the last one: shown if it matches. False: the page is full, and
    /// this object is not part of it.
    pub(super) fn look_at(&mut self, key: u128, item: Option<T>) -> bool {
        if self.items.len() >= self.most || self.looks >= LIST_OBJECTS_MAX {
            self.more = true;
            return false;
        }
        self.looks += 1;
        self.last = key;
        self.items.extend(item);
        true
    }

    /// The same where keys may be equal, and `beside` tells them apart.
    pub(super) fn look_beside(&mut self, key: u128, beside: u128, item: Option<T>) -> bool {
        let looked = self.look_at(key, item);
        if looked {
            self.beside = beside;
        }
        looked
    }

    /// Whether anything was looked at.
    pub(super) const fn is_begun(&self) -> bool {
        self.looks > 0
    }

    /// Ends the page early: there is more behind the last object.
    pub(super) const fn cut(&mut self) {
        self.more = true;
    }

    /// Ends the page early: everything up to this key was looked at, and there may be more.
    pub(super) const fn stop_at(&mut self, key: u128) {
        self.last = key;
        self.more = true;
    }

    /// The items, and where to go on.
    pub(super) fn finish(
        self,
        kind: Kind,
        at: &At,
        family: Family,
    ) -> (Vec<T>, Option<CursorBytes>) {
        let cursor = Cursor { family, key: self.last, beside: self.beside };
        (self.items, self.more.then(|| cursor.write(kind, at)))
    }
}
