//! What redb stores its bytes in: a file that is longer than redb knows, in blocks that are
//! written already, so that a commit seldom asks the system for space. Decides nothing about data.

use super::directory;
use super::disk::{Disk, DiskFile};
use super::held_file::HeldFile;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a page of redb.
const PAGE_BYTES: u64 = 4_096;
/// Bytes of zeros that are written at once.
const GROWTH_BYTES: usize = 1 << 20;

/// A file of the disk for redb.
///
/// redb cuts and extends its file as it needs. Within what is written already both are only
/// remembered here; after a restart redb takes the whole file as its own, which its format allows.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    extent: Arc<Mutex<Extent>>,
    growth: Growth,
    /// The file once more, if it existed before.
    held: Option<Arc<HeldFile>>,
}

/// What a file does when redb wants more than it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Never expected: grows in written blocks, at once.
    Written,
    /// Only the length grows; [`Backend::write_ahead`] writes the blocks before redb gets there.
    Ahead,
}

/// What a piece of [`Backend::write_ahead`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// There is enough written space for now.
    Enough,
    /// Some was written, there is more to write.
    Some,
    /// The disk is full; nothing is wrong with the file.
    Full,
}

/// What is known of the file.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Length that redb knows.
    used_bytes: u64,
    /// Length of the file.
    file_bytes: u64,
    /// Nothing behind this was ever written by redb.
    touched_bytes: u64,
    /// Up to here the file has blocks.
    written_bytes: u64,
    /// Something was written since the last sync.
    dirty: bool,
}

impl Backend {
    /// A new, empty file, with `bytes` bytes of written space.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        file: Arc<dyn DiskFile>,
        bytes: u64,
    ) -> io::Result<Self> {
        let backend = Self::new(disk, file, 0, Growth::Written);
        backend.ensure(bytes)?;
        Ok(backend)
    }

    /// A file that exists; extended to `bytes` bytes of written space if it is shorter. Nothing of
    /// it is changed before [`Backend::release`].
    ///
    /// Synced first: what a killed process left in memory is made durable before it is believed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        file: Arc<dyn DiskFile>,
        bytes: u64,
        growth: Growth,
    ) -> io::Result<Self> {
        let length = file.len()?;
        let written = file.written_end()?;
        let held = HeldFile::above(file)?;
        let file: Arc<dyn DiskFile> = Arc::<HeldFile>::clone(&held);
        let backend = Self { held: Some(held), ..Self::new(disk, file, length, growth) };
        {
            let mut extent = backend.extent();
            (extent.touched_bytes, extent.written_bytes) = (written, written);
        }
        // A growth that was cut short may have ended inside a page, which redb doesn't take.
        backend.ensure(bytes.max(length.next_multiple_of(PAGE_BYTES)))?;
        let length = backend.file_bytes();
        backend.extent().used_bytes = length;
        backend.sync_data()?;
        Ok(backend)
    }

    fn new(disk: Arc<dyn Disk>, file: Arc<dyn DiskFile>, length: u64, growth: Growth) -> Self {
        let extent = Extent {
            used_bytes: length,
            file_bytes: length,
            touched_bytes: length,
            written_bytes: length,
            dirty: true,
        };
        Self { disk, file, extent: Arc::new(Mutex::new(extent)), growth, held: None }
    }

    /// The directory is sound: what opening changed is done, and nothing is held back any more.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn release(&self) -> io::Result<()> {
        let result = self.held.as_ref().map_or(Ok(()), |held| held.release());
        self.distrust_after(result)
    }

    /// Whether what is written reaches the file.
    pub(crate) fn is_released(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.is_released())
    }

    fn extent(&self) -> MutexGuard<'_, Extent> {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Length of the file, in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.extent().file_bytes
    }

    /// Extends the file to `bytes`, in written blocks.
    pub(crate) fn ensure(&self, bytes: u64) -> io::Result<()> {
        let mut length = self.file_bytes();
        if length >= bytes {
            return Ok(());
        }
        let zeros = vec![0; GROWTH_BYTES];
        while length < bytes {
            let count = usize::try_from(bytes - length).unwrap_or(usize::MAX).min(GROWTH_BYTES);
            self.write(length, &zeros[..count])?;
            length += count as u64;
            self.extent().file_bytes = length;
        }
        Ok(())
    }

    /// Writes zeros where redb will write soon and never has, at most `piece_bytes` of them,
    /// until `ahead_bytes` are ready. Not inside a transaction.
    ///
    /// # Errors
    /// Of the system, except that the disk is full.
    pub(crate) fn write_ahead(&self, ahead_bytes: u64, piece_bytes: u64) -> io::Result<Ahead> {
        let Extent { used_bytes, touched_bytes, written_bytes, .. } = *self.extent();
        let from = written_bytes.max(touched_bytes);
        let wanted = touched_bytes.saturating_add(ahead_bytes).min(used_bytes);
        if self.growth == Growth::Written || from >= wanted {
            return Ok(Ahead::Enough);
        }
        let count = usize::try_from((wanted - from).min(piece_bytes)).unwrap_or(GROWTH_BYTES);
        // Not through `write`: to be told that the disk is full here hurts nothing.
        let written = self.file.write_at(from, &vec![0; count]).and_then(|()| self.file.sync());
        match written {
            Ok(()) => {
                self.extent().written_bytes = from + count as u64;
                Ok(Ahead::Some)
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(Ahead::Full),
            error => self.distrust_after(error.map(|()| Ahead::Full)),
        }
    }

    fn lengthen(&self, bytes: u64) -> io::Result<()> {
        let result = self.file.set_len(bytes);
        let mut extent = self.extent();
        extent.dirty = true;
        if result.is_ok() {
            extent.file_bytes = bytes;
        }
        drop(extent);
        self.distrust_after(result)
    }

    /// After a failed write or sync nothing in the page cache is believed any more.
    fn distrust_after<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|_| directory::distrust(&*self.disk))
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.extent().used_bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.file_bytes() {
            match self.growth {
                Growth::Written => self.ensure(len)?,
                Growth::Ahead => self.lengthen(len)?,
            }
        }
        self.extent().used_bytes = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if !std::mem::replace(&mut self.extent().dirty, false) {
            return Ok(());
        }
        let result = self.file.sync();
        if result.is_err() {
            self.extent().dirty = true;
        }
        self.distrust_after(result)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let result = self.file.write_at(offset, data);
        {
            let mut extent = self.extent();
            extent.dirty = true;
            extent.touched_bytes = extent.touched_bytes.max(offset + data.len() as u64);
        }
        self.distrust_after(result)
    }
}
