//! The feeder: while somebody watches, reads what is durable from the journal, turns it into pages of
//! events, and hands them to the feed. Rests otherwise, and keeps nothing then.

use super::Progress;
use super::clock::Clock;
use super::feed::Feed;
use super::figures::CommitterFigures;
use crate::feed::{Converter, Moment, Names, Page, PageBuilder, Unnamed};
use crate::journal::BatchView;
use crate::limits::FEED_READ_BYTES_MAX;
use crate::model::Seq;
use crate::planted::{Bug, is_planted};
use crate::store::{FeedReader, NamesAt, StoreError};
use std::fmt;
use std::sync::Arc;

/// Reads for those who watch.
pub struct Feeder {
    feed: Arc<Feed>,
    reader: FeedReader,
    clock: Arc<dyn Clock>,
    figures: CommitterFigures,
    /// Names behind the last batch that was read, and that batch; none while nobody watches.
    work: Option<(Converter, Seq)>,
}

/// Why what was read is of no use: names and records have to be read anew.
#[derive(Debug)]
enum Broken {
    Store(StoreError),
    Unnamed(Unnamed),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Unnamed(error) => error.fmt(f),
        }
    }
}

impl Feeder {
    /// Ready for its first step.
    #[must_use]
    pub const fn new(
        feed: Arc<Feed>,
        reader: FeedReader,
        clock: Arc<dyn Clock>,
        figures: CommitterFigures,
    ) -> Self {
        Self { feed, reader, clock, figures, work: None }
    }

    /// Where it hands its pages.
    #[must_use]
    pub const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Whether a step would find something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        match &self.work {
            Some((_, last)) => self.feed.durable() > *last,
            None => self.feed.is_wanted(),
        }
    }

    /// The loop has turned.
    pub fn turned(&mut self) {
        self.figures.turned(self.clock.monotonic_ns());
    }

    /// Reads one piece.
    pub fn step(&mut self) -> Progress {
        self.turned();
        if !self.feed.is_wanted() || self.feed.rests(self.clock.monotonic_ns() / 1_000_000) {
            self.work = None;
            return Progress::Idle;
        }
        let done = match self.work.take() {
            Some((converter, last)) => self.go_on(converter, last),
            None => self.load(),
        };
        match done {
            Ok(progress) => progress,
            Err(error) => {
                // Rows and records were of two moments, or those who fold were faster.
                tracing::debug!(%error, "the change feed begins anew");
                self.work = None;
                self.feed.lose();
                Progress::Blocked
            }
        }
    }

    /// Names from the folded state, then all records behind it.
    fn load(&mut self) -> Result<Progress, Broken> {
        let mut names = Names::default();
        let at = self.reader.names(&mut |effect| names.note(effect)).map_err(Broken::Store)?;
        let mut converter = Converter::new(names);
        let NamesAt { folded, complete } = at;
        let mut last = folded;
        while last < complete {
            let before = last;
            self.reader.each::<Broken>(last, complete, FEED_READ_BYTES_MAX, &mut |batch| {
                for effect in batch.records() {
                    let effect = effect.map_err(|source| {
                        Broken::Store(StoreError::Batch { at: batch.header().first, source })
                    })?;
                    converter.pass(&effect);
                }
                last = batch.header().last;
                Ok(())
            })?;
            if last == before {
                let gap = StoreError::Gap { folded: complete, first: folded, last };
                return Err(Broken::Store(gap));
            }
        }
        self.feed.begin(last);
        self.work = Some((converter, last));
        Ok(Progress::Worked)
    }

    fn go_on(&mut self, mut converter: Converter, mut last: Seq) -> Result<Progress, Broken> {
        let durable = self.feed.durable();
        let until = if is_planted(Bug::EventBeforeDurable) { Seq(u64::MAX) } else { durable };
        let mut pages = Vec::new();
        if last < until {
            self.reader.each::<Broken>(last, until, FEED_READ_BYTES_MAX, &mut |batch| {
                pages.push(page_of(&mut converter, batch)?);
                last = batch.header().last;
                Ok(())
            })?;
        }
        self.work = Some((converter, last));
        if pages.is_empty() {
            return Ok(Progress::Idle);
        }
        self.feed.publish(pages);
        Ok(Progress::Worked)
    }
}

fn page_of(converter: &mut Converter, batch: &BatchView<'_>) -> Result<Page, Broken> {
    let header = batch.header();
    let at = Moment { position: header.last, tick: header.tick };
    let mut page = PageBuilder::new(header.first, header.last);
    for effect in batch.records() {
        let effect = effect
            .map_err(|source| Broken::Store(StoreError::Batch { at: header.first, source }))?;
        converter.convert(&effect, at, &mut page).map_err(Broken::Unnamed)?;
    }
    Ok(page.finish())
}

impl fmt::Debug for Feeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeder").field("works", &self.work.is_some()).finish_non_exhaustive()
    }
}
