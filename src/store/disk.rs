//! The seam to the disk: a directory of few files. Everything of this room goes through it, so a
//! fake disk can lose power or fail anywhere. Knows nothing of what the files hold.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// A directory that one process uses.
///
/// Names are plain file names. What [`Disk::create`], [`Disk::rename`] and [`Disk::remove`] did
/// is durable after [`Disk::sync_names`].
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file that exists, to read and write.
    ///
    /// # Errors
    /// Of the system; `NotFound` if there is no such file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes an empty file that only its owner may read.
    ///
    /// # Errors
    /// Of the system; `AlreadyExists` if there is one.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name; replaces a file that has it.
    ///
    /// # Errors
    /// Of the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Of the system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Names of all files.
    ///
    /// # Errors
    /// Of the system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes names durable.
    ///
    /// # Errors
    /// Of the system.
    fn sync_names(&self) -> io::Result<()>;

    /// Takes the lock of the directory, for as long as this value lives.
    ///
    /// Returns `false` if another process has it.
    ///
    /// # Errors
    /// Of the system.
    fn lock(&self, name: &str) -> io::Result<bool>;

    /// Bytes that can still be written to it; `None`: it doesn't say.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// Text that changes when the system starts anew: how long its page cache lives.
    fn boot_id(&self) -> String;

    /// Where it is, for messages.
    fn place(&self) -> String;
}

/// An open file; may be used by several threads.
#[expect(clippy::len_without_is_empty, reason = "a length in bytes on the disk, not a collection")]
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Length, in bytes.
    ///
    /// # Errors
    /// Of the system.
    fn len(&self) -> io::Result<u64>;

    /// Offset behind the last byte that was ever written; the length if that isn't known.
    ///
    /// # Errors
    /// Of the system.
    fn written_end(&self) -> io::Result<u64> {
        self.len()
    }

    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// Of the system; `UnexpectedEof` beyond the end.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// Of the system; some of it may be written.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Cuts or extends (with zeros).
    ///
    /// # Errors
    /// Of the system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// Of the system; what was written since the last success may be lost, whatever the next call
    /// says.
    fn sync(&self) -> io::Result<()>;

    /// Asks the system to begin with the writing of what was written here. Nothing waits, and nothing is
    /// promised.
    fn begin_write(&self, _offset: u64, _count: u64) {}

    /// Asks the system to forget what it holds in memory, so that reading shows the disk.
    ///
    /// # Errors
    /// Of the system.
    fn drop_cache(&self) -> io::Result<()>;
}

/// Writes zeros from one offset up to another, a bounded piece at a time.
///
/// # Errors
/// Of the system; some of them may be written.
pub(crate) fn write_zeros(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    const PIECE_BYTES: usize = 1 << 20;
    let zeros = vec![0; PIECE_BYTES];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        file.write_at(at, &zeros[..count])?;
        at += count as u64;
    }
    Ok(())
}
