//! A redb database that can't stop the process when it is closed. Adds nothing else.

use super::error::quietly;
use redb::Database;
use std::ops::Deref;

/// A database whose closing never panics.
///
/// Closing writes: on a damaged file the library may panic there, on the way out of an error.
#[derive(Debug)]
pub(crate) struct QuietDatabase(Option<Database>);

impl QuietDatabase {
    pub(crate) const fn new(database: Database) -> Self {
        Self(Some(database))
    }
}

impl Deref for QuietDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("it is taken when it is dropped")
    }
}

impl Drop for QuietDatabase {
    fn drop(&mut self) {
        let database = self.0.take();
        // What the next start finds is all that counts.
        let _ = quietly(|| drop(database));
    }
}
