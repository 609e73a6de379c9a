//! What redb stores its bytes in: a file that is longer than redb knows, in blocks that are
//! written already, so that a commit never asks the system for space. Decides nothing about data.

use super::directory;
use super::disk::{Disk, DiskFile};
use redb::StorageBackend;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of zeros that are written at once.
const GROWTH_BYTES: usize = 1 << 20;

/// A file of the disk for redb.
///
/// redb cuts and extends its file as it needs. Within what is written already both are only
/// remembered here; after a restart redb takes the whole file as its own, which its format allows.
#[derive(Clone, Debug)]
pub(crate) struct Backend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    /// Length that redb knows.
    logical: AtomicU64,
    /// Length of the file; changes under the lock.
    physical: Mutex<u64>,
    /// Something was written since the last sync.
    dirty: AtomicBool,
    /// How often the file had to grow for redb.
    growths: AtomicU64,
}

impl Backend {
    /// A new, empty file, with `bytes` bytes of written space.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        file: Arc<dyn DiskFile>,
        bytes: u64,
    ) -> io::Result<Self> {
        let backend = Self::new(disk, file, 0, 0);
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
        let backend = Self::new(disk, file, length, length);
        if length < bytes {
            backend.ensure(bytes)?;
        }
        backend.sync_data()?;
        Ok(backend)
    }

    fn new(disk: Arc<dyn Disk>, file: Arc<dyn DiskFile>, logical: u64, physical: u64) -> Self {
        Self(Arc::new(Inner {
            disk,
            file,
            logical: AtomicU64::new(logical),
            physical: Mutex::new(physical),
            dirty: AtomicBool::new(true),
            growths: AtomicU64::new(0),
        }))
    }

    /// Length of the file, in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        *self.0.physical.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Length that redb uses, in bytes.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.0.logical.load(Ordering::Relaxed)
    }

    /// How often a commit needed new space.
    pub(crate) fn growths(&self) -> u64 {
        self.0.growths.load(Ordering::Relaxed)
    }

    /// Extends the file to `bytes`, in written blocks.
    pub(crate) fn ensure(&self, bytes: u64) -> io::Result<()> {
        let mut physical = self.0.physical.lock().unwrap_or_else(PoisonError::into_inner);
        let zeros = vec![0; GROWTH_BYTES];
        while *physical < bytes {
            let count = (bytes - *physical).min(GROWTH_BYTES as u64);
            let count = usize::try_from(count).unwrap_or(GROWTH_BYTES);
            self.checked(|inner| inner.file.write_at(*physical, &zeros[..count]))?;
            *physical += count as u64;
        }
        Ok(())
    }

    /// After a failed write or sync nothing in the page cache is believed any more.
    fn checked<T>(&self, run: impl FnOnce(&Inner) -> io::Result<T>) -> io::Result<T> {
        self.0.dirty.store(true, Ordering::Release);
        run(&self.0).inspect_err(|_| directory::distrust(&*self.0.disk))
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.used_bytes())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.file_bytes() {
            self.0.growths.fetch_add(1, Ordering::Relaxed);
            self.ensure(len)?;
        }
        self.0.logical.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if !self.0.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.0.file.sync().inspect_err(|_| {
            self.0.dirty.store(true, Ordering::Release);
            directory::distrust(&*self.0.disk);
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.checked(|inner| inner.file.write_at(offset, data))
    }
}
