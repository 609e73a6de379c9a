//! What redb stores its bytes in: a file that is longer than redb knows, in blocks that are
//! written already, so that a commit never asks the system for space. Decides nothing about data.

use super::directory;
use super::disk::{Disk, DiskFile};
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
}

/// What is known of the file.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Length that redb knows.
    used_bytes: u64,
    /// Length of the file.
    file_bytes: u64,
    /// Something was written since the last sync.
    dirty: bool,
    /// How often the file had to grow for redb.
    growths: u64,
}

impl Backend {
    /// A new, empty file, with `bytes` bytes of written space.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        file: Arc<dyn DiskFile>,
        bytes: u64,
    ) -> io::Result<Self> {
        let backend = Self::new(disk, file, 0);
        backend.ensure(bytes)?;
        Ok(backend)
    }

    /// A file that exists; extended to `bytes` bytes of written space if it is shorter.
    ///
    /// Synced first: what a killed process left in memory is made durable before it is believed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        file: Arc<dyn DiskFile>,
        bytes: u64,
    ) -> io::Result<Self> {
        let length = file.len()?;
        let backend = Self::new(disk, file, length);
        // A growth that was cut short may have ended inside a page, which redb doesn't take.
        backend.ensure(bytes.max(length.next_multiple_of(PAGE_BYTES)))?;
        let length = backend.file_bytes();
        backend.extent().used_bytes = length;
        backend.sync_data()?;
        Ok(backend)
    }

    fn new(disk: Arc<dyn Disk>, file: Arc<dyn DiskFile>, length: u64) -> Self {
        let extent = Extent { used_bytes: length, file_bytes: length, dirty: true, growths: 0 };
        Self { disk, file, extent: Arc::new(Mutex::new(extent)) }
    }

    fn extent(&self) -> MutexGuard<'_, Extent> {
        self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Length of the file, in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.extent().file_bytes
    }

    /// How often a commit needed new space.
    pub(crate) fn growths(&self) -> u64 {
        self.extent().growths
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
            self.extent().growths += 1;
            self.ensure(len)?;
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
        self.extent().dirty = true;
        self.distrust_after(result)
    }
}
