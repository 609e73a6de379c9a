//! The events of a batch, encoded once for all who watch. Knows no connection and no frame.

use super::filter::{Filter, Key, Verdict, Watched};
use crate::model::Seq;
use addrd_protocol::EncodeError;
use addrd_protocol::codec::encode_event;
use addrd_protocol::message::Event;
use bytes::BytesMut;
use foldhash::HashSet;
use std::ops::Range;

/// The events of one batch, in order.
///
/// Shape: about 0.4 KiB an event.
#[derive(Debug)]
pub struct Page {
    first: Seq,
    last: Seq,
    entries: Vec<Entry>,
    /// Networks and pools that the events are about.
    places: HashSet<Watched>,
    items: BytesMut,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    item: Range<usize>,
    /// The same object as gone, for those whose filter it has left.
    left: Option<Range<usize>>,
}

/// What a page has for a watch, up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Events that were appended.
    pub count: usize,
    /// Where to go on in this page; `None` = behind it.
    pub next: Option<usize>,
}

impl Page {
    /// First hand-over of its batch.
    #[must_use]
    pub const fn first(&self) -> Seq {
        self.first
    }

    /// Last hand-over of its batch.
    #[must_use]
    pub const fn last(&self) -> Seq {
        self.last
    }

    /// Events in it, for whomever.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.len()
            + self.entries.len() * size_of::<Entry>()
            + 2 * self.places.len() * size_of::<Watched>()
            + size_of::<Self>()
    }

    /// Appends what a watch gets, from an event on, at most `count_max` events and until `out` has
    /// `bytes_max` bytes.
    ///
    /// Shape: looks at every event of the page, unless none of it is about what is watched. One event
    /// is appended whatever its size, if `out` is empty.
    pub fn take(
        &self,
        filter: &Filter,
        from: usize,
        (count_max, bytes_max): (usize, usize),
        out: &mut BytesMut,
    ) -> Piece {
        let mut count = 0;
        if !filter.may_be_among(&self.places) {
            return Piece { count, next: None };
        }
        for (at, entry) in self.entries.iter().enumerate().skip(from) {
            let item = match filter.judge(&entry.key) {
                Verdict::Hidden => continue,
                Verdict::Shown => Some(&entry.item),
                Verdict::Left => entry.left.as_ref(),
            };
            let Some(item) = item.and_then(|item| self.items.get(item.clone())) else { continue };
            let is_full = count == count_max || out.len() + item.len() > bytes_max;
            if is_full && !(count == 0 && out.is_empty() && count_max > 0) {
                return Piece { count, next: Some(at) };
            }
            out.extend_from_slice(item);
            count += 1;
        }
        Piece { count, next: None }
    }
}

/// A page being filled.
#[derive(Debug)]
pub struct PageBuilder {
    page: Page,
}

impl PageBuilder {
    /// Of the batch with these hand-overs.
    #[must_use]
    pub fn new(first: Seq, last: Seq) -> Self {
        let page = Page {
            first,
            last,
            entries: Vec::new(),
            places: HashSet::default(),
            items: BytesMut::new(),
        };
        Self { page }
    }

    /// Adds an event, and the same object as gone for whom it has left.
    pub(super) fn push(
        &mut self,
        key: Key,
        event: &Event,
        left: Option<&Event>,
    ) -> Result<(), EncodeError> {
        let item = self.encode(event)?;
        let left = left.map(|event| self.encode(event)).transpose()?;
        self.page.places.extend(key.place);
        self.page.entries.push(Entry { key, item, left });
        Ok(())
    }

    fn encode(&mut self, event: &Event) -> Result<Range<usize>, EncodeError> {
        let start = self.page.items.len();
        encode_event(event, &mut self.page.items)?;
        Ok(start..self.page.items.len())
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> Page {
        self.page
    }
}
