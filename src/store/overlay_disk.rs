//! A disk that never changes: reads go to the one below, writes stay in memory. For checks and for
//! serving without touching anything.

use super::disk::{Disk, DiskFile};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are kept together once one of them is written.
const PAGE_BYTES: usize = 4_096;

/// A view of a disk in which writing has no effect below.
#[derive(Debug)]
pub struct OverlayDisk {
    below: Arc<dyn Disk>,
    /// Files that were opened or made (`None`: removed), by name.
    files: Mutex<BTreeMap<String, Option<Arc<OverlayFile>>>>,
}

impl OverlayDisk {
    /// Above a disk.
    #[must_use]
    pub fn new(below: Arc<dyn Disk>) -> Self {
        Self { below, files: Mutex::default() }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Option<Arc<OverlayFile>>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &str) -> io::Result<Arc<OverlayFile>> {
        let mut files = self.files();
        match files.get(name) {
            Some(Some(file)) => Ok(Arc::clone(file)),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => {
                let file = Arc::new(OverlayFile::above(self.below.open(name)?)?);
                files.insert(name.to_owned(), Some(Arc::clone(&file)));
                Ok(file)
            }
        }
    }
}

impl Disk for OverlayDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.find(name)?)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        match self.find(name) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) => {
                let file = Arc::new(OverlayFile::default());
                self.files().insert(name.to_owned(), Some(Arc::clone(&file)));
                Ok(file)
            }
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.find(from)?;
        let mut files = self.files();
        files.insert(from.to_owned(), None);
        files.insert(to.to_owned(), Some(file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.files().insert(name.to_owned(), None);
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self.below.names()?;
        for (name, file) in self.files().iter() {
            names.retain(|other| other != name);
            if file.is_some() {
                names.push(name.clone());
            }
        }
        Ok(names)
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<bool> {
        self.below.lock(name)
    }

    fn boot_id(&self) -> String {
        self.below.boot_id()
    }

    fn place(&self) -> String {
        self.below.place()
    }
}

/// A file of an [`OverlayDisk`].
#[derive(Debug, Default)]
pub(super) struct OverlayFile {
    below: Option<Arc<dyn DiskFile>>,
    below_bytes: u64,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    len: u64,
    /// Pages that were written, by number.
    pages: HashMap<u64, Box<[u8]>>,
}

impl OverlayFile {
    /// Above a file of which nothing but reads is wanted.
    pub(super) fn above(below: Arc<dyn DiskFile>) -> io::Result<Self> {
        let len = below.len()?;
        let content = Mutex::new(Content { len, pages: HashMap::new() });
        Ok(Self { below: Some(below), below_bytes: len, content })
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes from below, zeros behind its end.
    fn read_below(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let found = self.below_bytes.saturating_sub(offset).min(out.len() as u64);
        let (found, behind) = out.split_at_mut(usize::try_from(found).unwrap_or(0));
        behind.fill(0);
        match &self.below {
            Some(below) if !found.is_empty() => below.read_at(offset, found),
            _ => Ok(()),
        }
    }

    /// The parts of `offset..offset + count` by page: number, place in the page, length.
    fn pieces(offset: u64, count: usize) -> impl Iterator<Item = (u64, usize, usize)> {
        let mut at = offset;
        let end = offset + count as u64;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let place = usize::try_from(at % PAGE_BYTES as u64).unwrap_or(0);
            let length = usize::try_from(end - at).unwrap_or(PAGE_BYTES).min(PAGE_BYTES - place);
            let piece = (at / PAGE_BYTES as u64, place, length);
            at += length as u64;
            Some(piece)
        })
    }
}

impl DiskFile for OverlayFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content().len)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.content();
        if offset.saturating_add(out.len() as u64) > content.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        let count = rest.len();
        for (page, place, length) in Self::pieces(offset, count) {
            let (here, behind) = rest.split_at_mut(length);
            match content.pages.get(&page) {
                Some(bytes) => here.copy_from_slice(&bytes[place..place + length]),
                None => self.read_below(page * PAGE_BYTES as u64 + place as u64, here)?,
            }
            rest = behind;
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.content();
        if offset >= content.len && data.iter().all(|byte| *byte == 0) {
            content.len = offset + data.len() as u64;
            return Ok(());
        }
        let mut rest = data;
        for (page, place, length) in Self::pieces(offset, data.len()) {
            let (here, behind) = rest.split_at(length);
            let bytes = match content.pages.entry(page) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let mut bytes = vec![0; PAGE_BYTES].into_boxed_slice();
                    self.read_below(page * PAGE_BYTES as u64, &mut bytes)?;
                    entry.insert(bytes)
                }
            };
            bytes[place..place + length].copy_from_slice(here);
            rest = behind;
        }
        content.len = content.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.content().len = len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.below.as_ref().map_or(Ok(()), |below| below.drop_cache())
    }
}
