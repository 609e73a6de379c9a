//! A file whose changes are held back until its directory is known to be sound: a refused start
//! leaves everything as it found it. Afterwards it only passes on.

use super::disk::DiskFile;
use super::overlay_disk::OverlayFile;
use crate::planted::{Bug, is_planted};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A file of a directory that is being opened.
///
/// Shape: until [`HeldFile::release`], memory for what opening writes: a few pages of redb, and
/// nothing for zeros behind the end of the file.
#[derive(Debug)]
pub(crate) struct HeldFile {
    below: Arc<dyn DiskFile>,
    held: Mutex<Held>,
    released: OnceLock<()>,
}

/// What was done to the file, for those who read it now and for later.
#[derive(Debug)]
struct Held {
    view: OverlayFile,
    /// In order, with the syncs between: a power loss during the release finds what it would have
    /// found without the delay.
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Write { offset: u64, data: Box<[u8]> },
    Zeros { offset: u64, count: usize },
    SetLen(u64),
    Sync,
}

impl HeldFile {
    /// Above a file.
    pub(crate) fn above(below: Arc<dyn DiskFile>) -> io::Result<Arc<Self>> {
        let view = OverlayFile::above(Arc::clone(&below))?;
        let held = Mutex::new(Held { view, steps: Vec::new() });
        Ok(Arc::new(Self { below, held, released: OnceLock::new() }))
    }

    /// Does everything that was held back; from now on nothing is.
    ///
    /// # Errors
    /// Of the system: some of it is done, as after a failed write.
    pub(crate) fn release(&self) -> io::Result<()> {
        let steps = std::mem::take(&mut self.held().steps);
        for step in steps {
            match step {
                Step::Write { offset, data } => self.below.write_at(offset, &data)?,
                Step::Zeros { offset, count } => self.below.write_at(offset, &vec![0; count])?,
                Step::SetLen(len) => self.below.set_len(len)?,
                Step::Sync => self.below.sync()?,
            }
        }
        // Released once or again, it is all the same.
        let _ = self.released.set(());
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.get().is_some() || is_planted(Bug::OpeningWritesAtOnce)
    }
}

impl DiskFile for HeldFile {
    fn len(&self) -> io::Result<u64> {
        if self.is_released() { self.below.len() } else { self.held().view.len() }
    }

    fn written_end(&self) -> io::Result<u64> {
        self.below.written_end()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_released() {
            return self.below.read_at(offset, out);
        }
        self.held().view.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_released() {
            return self.below.write_at(offset, data);
        }
        let mut held = self.held();
        let is_growth = offset >= held.view.len()? && data.iter().all(|byte| *byte == 0);
        let step = if is_growth {
            held.view.set_len(offset + data.len() as u64)?;
            Step::Zeros { offset, count: data.len() }
        } else {
            held.view.write_at(offset, data)?;
            Step::Write { offset, data: data.into() }
        };
        held.steps.push(step);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.is_released() {
            return self.below.set_len(len);
        }
        let mut held = self.held();
        held.view.set_len(len)?;
        held.steps.push(Step::SetLen(len));
        Ok(())
    }

    /// What a killed process left in memory is made durable at once, before it is believed.
    fn sync(&self) -> io::Result<()> {
        if !self.is_released() {
            self.held().steps.push(Step::Sync);
        }
        self.below.sync()
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.below.drop_cache()
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::super::fake_disk::FakeDisk;
    use super::*;

    #[test]
    fn nothing_reaches_the_file_before_the_release_and_all_of_it_after() {
        let disk = FakeDisk::new();
        let file = disk.create("a").unwrap();
        file.write_at(0, &[1; 5_000]).unwrap();
        let held = HeldFile::above(Arc::clone(&file)).unwrap();
        held.write_at(100, &[2; 200]).unwrap();
        held.write_at(5_000, &[0; 3_000]).unwrap();
        held.write_at(7_000, &[3; 2_000]).unwrap();
        held.set_len(8_500).unwrap();
        held.sync().unwrap();
        let mut wanted = vec![1; 8_500];
        wanted[100..300].fill(2);
        wanted[5_000..7_000].fill(0);
        wanted[7_000..].fill(3);
        let mut seen = vec![9; 8_500];
        held.read_at(0, &mut seen).unwrap();
        assert!(seen == wanted);
        assert_eq!(held.len().unwrap(), 8_500);
        assert_eq!(disk.contents()["a"], [1; 5_000]);
        held.release().unwrap();
        assert!(disk.contents()["a"] == wanted);
        held.write_at(0, &[7]).unwrap();
        held.read_at(0, &mut seen[..1]).unwrap();
        assert_eq!((disk.contents()["a"][0], seen[0]), (7, 7));
        held.release().unwrap();
        assert_eq!(held.len().unwrap(), 8_500);
    }
}
