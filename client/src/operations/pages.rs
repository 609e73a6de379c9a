//! Lists, page by page. Holds one page at a time.

use crate::client::{Client, Scope};
use crate::error::Error;
use addrd_protocol::NetworkId;
use addrd_protocol::message::list::PAGE_OBJECTS_MAX;
use addrd_protocol::message::{Cursor, PageRequest, Reply, Request};
use std::fmt;

/// Items of a page and where the next one begins.
type Page<T> = (Vec<T>, Option<Cursor>);

/// The objects of a list in its order, fetched as they are taken.
///
/// An object that exists through the whole listing appears exactly once. After an error the same
/// page is asked for again.
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
pub struct Pages<T> {
    client: Client,
    scope: Scope,
    request: Box<dyn Fn(PageRequest) -> Request + Send + Sync>,
    unpack: fn(Reply) -> Result<Page<T>, Error>,
    items: std::vec::IntoIter<T>,
    /// Most objects of a page; 0 = as many as the server likes.
    page_objects: u32,
    next: Next,
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
        }
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
    /// Those of the page's request.
    pub async fn next_page(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Next::At(cursor) = &self.next else { return Ok(None) };
        let page = PageRequest { limit: self.page_objects, cursor: cursor.clone() };
        let reply = self.client.call(&self.scope, &(self.request)(page)).await?;
        let (items, next) = (self.unpack)(reply)?;
        self.next = match next {
            Some(cursor) => Next::At(Some(cursor)),
            None => Next::End,
        };
        Ok(Some(items))
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
