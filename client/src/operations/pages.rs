//! Lists, page by page. Holds one page at a time.

use super::goes_on;
use crate::client::{Client, Scope};
use crate::error::Error;
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{Cursor, FeedPosition, PageRequest, Reply, Request};
use addrd_protocol::{NetworkId, Seq};
use std::fmt;

/// A page, as its reply has it.
pub(crate) struct Page<T> {
    /// Where the journal was when it was read, if the list tells it.
    pub(crate) position: Option<Seq>,
    pub(crate) items: Vec<T>,
    /// Where the next one begins.
    pub(crate) next: Option<Cursor>,
}

/// The objects of a list in its order, fetched as they are taken.
///
/// An object that exists through the whole listing appears exactly once. After an error the same
/// page is asked for again. A list that is refused with [`STALE`] has to begin anew: the server was restored since or, of
/// suspects, restarted.
///
/// [`STALE`]: addrd_protocol::Status::STALE
///
/// ```
/// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
/// # #[tokio::main]
/// # async fn main() -> Result<(), addrd_client::Error> {
/// # let place = peer::start();
/// # let client = addrd_client::Client::connect(addrd_client::Settings::to([place.as_str()])?).await?;
/// # use addrd_client::protocol::NetworkId;
/// # let blue = NetworkId::from_u128(0xb1);
/// use addrd_client::protocol::message::AllocationFilter;
///
/// let mut held = client.allocations(blue, AllocationFilter::default());
/// while let Some(allocation) = held.next().await? {
///     println!("{} {}", allocation.address, allocation.owner);
/// }
/// # Ok(())
/// # }
/// ```
///
/// Who lists, and then watches from the list's [position](Self::position), misses nothing:
///
/// ```
/// # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
/// # #[tokio::main]
/// # async fn main() -> Result<(), addrd_client::Error> {
/// # let place = peer::start();
/// # let client = addrd_client::Client::connect(addrd_client::Settings::to([place.as_str()])?).await?;
/// # use addrd_client::protocol::NetworkId;
/// # let blue = NetworkId::from_u128(0xb1);
/// use addrd_client::protocol::message::{AllocationFilter, EventKind, Watch};
///
/// let mut listed = client.allocations(blue, AllocationFilter::default());
/// let held = listed.collect().await?;
/// let from = listed.position();
/// assert!(from.is_some());
/// let watch = Watch { from, kinds: vec![EventKind::Allocation], ..Watch::default() };
/// let changes = client.watch(blue, watch).await?;
/// # drop((held, changes));
/// # Ok(())
/// # }
/// ```
pub struct Pages<T> {
    client: Client,
    scope: Scope,
    request: Box<dyn Fn(PageRequest) -> Request + Send + Sync>,
    unpack: fn(Reply) -> Result<Page<T>, Error>,
    items: std::vec::IntoIter<T>,
    /// Most objects of a page; 0 = as many as the server likes.
    page_objects: u32,
    next: Next,
    /// Of the first page.
    position: Option<FeedPosition>,
}

#[derive(Debug)]
enum Next {
    At(Option<Cursor>),
    End,
}

impl<T> Pages<T> {
    pub(crate) fn new(
        client: &Client,
        network: NetworkId,
        request: impl Fn(PageRequest) -> Request + Send + Sync + 'static,
        unpack: fn(Reply) -> Result<Page<T>, Error>,
    ) -> Self {
        Self {
            client: client.clone(),
            scope: client.scope(network),
            request: Box::new(request),
            unpack,
            items: Vec::new().into_iter(),
            page_objects: 0,
            next: Next::At(None),
            position: None,
        }
    }

    /// From where to watch: what a watch from here tells, and what this list has, are together the exact state.
    ///
    /// It is the position of the first page. What changes while the others are read is told as well, though some of it is
    /// in them already: of two states of one object the one with the higher revision is right. `None` before the first
    /// page came, and for lists without a position (jobs, suspects). A watch that is refused with [`Status::RELIST`] needs
    /// a new list.
    ///
    /// Source: protocol/SPEC.md, section 8 and "watch".
    ///
    /// [`Status::RELIST`]: addrd_protocol::Status::RELIST
    #[must_use]
    pub const fn position(&self) -> Option<FeedPosition> {
        self.position
    }

    /// The same list with pages of at most this many objects (at most 1,000).
    #[must_use]
    pub fn page_objects(mut self, most: u32) -> Self {
        self.page_objects = most.min(PAGE_OBJECTS_MAX);
        self
    }

    /// The next object; `None` at the end.
    ///
    /// # Errors
    /// Those of the page's request.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(item) = self.items.next() {
                return Ok(Some(item));
            }
            match self.next_page().await? {
                Some(items) => self.items = items.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// The next page; it may be empty and still not the last. `None` at the end. Objects of an
    /// earlier page that were not taken are not in it.
    ///
    /// # Errors
    /// Those of the page's request; [`Error::Protocol`] if the server would have the same page asked for again and again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Next::At(cursor) = &self.next else { return Ok(None) };
        let page = PageRequest { limit: self.page_objects, cursor: cursor.clone() };
        let answer = self.client.answer(&self.scope, &(self.request)(page)).await?;
        let page = (self.unpack)(answer.body.map_err(Error::Refused)?)?;
        // Every page looks at something, so no server comes back to the same place.
        goes_on(page.next.is_none() || page.next != *cursor)?;
        if matches!(self.next, Next::At(None)) {
            let incarnation = answer.incarnation;
            self.position = page.position.map(|position| FeedPosition { incarnation, position });
        }
        self.next = match page.next {
            Some(cursor) => Next::At(Some(cursor)),
            None => Next::End,
        };
        Ok(Some(page.items))
    }

    /// All objects that were not taken yet.
    ///
    /// # Errors
    /// Those of the pages' requests.
    pub async fn collect(&mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await? {
            all.push(item);
        }
        Ok(all)
    }

    /// The first `most` objects.
    ///
    /// # Errors
    /// Those of the pages' requests.
    pub async fn take(mut self, most: usize) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while all.len() < most {
            match self.next().await? {
                Some(item) => all.push(item),
                None => break,
            }
        }
        Ok(all)
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("next", &self.next).finish_non_exhaustive()
    }
}
