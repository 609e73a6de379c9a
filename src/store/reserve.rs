//! The reserve while a server runs: given up for a write that gets no space, and written again,
//! piece by piece, once there is room. Decides nothing about when: its caller paces it.

use super::directory::{self, RESERVE, temporary};
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use crate::limits::{DISK_FREE_BYTES_MIN, RESERVE_PIECE_BYTES};
use std::io;
use std::sync::Arc;

/// The file `reserve` of a directory that this process uses.
#[derive(Debug)]
pub struct Reserve {
    disk: Arc<dyn Disk>,
    /// How long it is to be, bytes; 0 = there is to be none.
    bytes: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody has looked yet.
    Unknown,
    Whole,
    Absent,
    /// Written under its temporary name up to here, and synced.
    Growing(Arc<dyn DiskFile>, u64),
}

/// What became of [`Reserve::tend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// It is there; nothing is to be done.
    Whole,
    /// A piece was written: the next one may follow.
    Grown,
    /// There is no room for it now.
    NoRoom,
}

impl Reserve {
    /// Of a directory; touches nothing. One that is found there keeps its length, one that is not
    /// gets these bytes (0 = it is not missed).
    #[must_use]
    pub const fn new(disk: Arc<dyn Disk>, bytes: u64) -> Self {
        Self { disk, bytes, state: State::Unknown }
    }

    /// Gives it up, or what there is of it; tells whether there was anything.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn give_up(&mut self) -> Result<bool, StoreError> {
        self.look()?;
        self.state = State::Absent;
        directory::give_up_reserve(&*self.disk)
    }

    /// Writes the next piece of it, if it is missing and the disk has room for it beside what the
    /// server needs. `free_bytes` is what the disk has; `None` = not known, and writing tells.
    ///
    /// Shape: at most one piece ([`RESERVE_PIECE_BYTES`]) is written and synced.
    ///
    /// # Errors
    /// [`StoreError::Io`], but not that the disk is full: what was written is given back then.
    pub fn tend(&mut self, free_bytes: Option<u64>) -> Result<Tended, StoreError> {
        self.look()?;
        if matches!(self.state, State::Whole) || self.bytes == 0 {
            return Ok(Tended::Whole);
        }
        let written = if let State::Growing(_, at) = self.state { at } else { 0 };
        // Twice the least: what is written here must not be what makes the disk count as full.
        let needed = (self.bytes - written.min(self.bytes)).saturating_add(2 * DISK_FREE_BYTES_MIN);
        if free_bytes.is_some_and(|free| free < needed) {
            return self.abandon();
        }
        match self.advance() {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                self.abandon()
            }
            advanced => advanced.map(|()| Tended::Grown),
        }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        if !matches!(self.state, State::Unknown) {
            return Ok(());
        }
        self.state = match self.disk.open(RESERVE).and_then(|file| file.len()) {
            Ok(bytes) => {
                self.bytes = bytes;
                State::Whole
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::Absent,
            Err(error) => return Err(StoreError::io(RESERVE, "opening")(error)),
        };
        Ok(())
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        let name = temporary(RESERVE);
        let (file, at) = match &self.state {
            State::Growing(file, at) => (Arc::clone(file), *at),
            _ => {
                // A process that was killed may have left a part.
                directory::remove(&*self.disk, &name)?;
                (self.disk.create(&name).map_err(StoreError::io(&name, "creating"))?, 0)
            }
        };
        self.state = State::Growing(Arc::clone(&file), at);
        let piece = usize::try_from(self.bytes - at).unwrap_or(usize::MAX);
        let zeros = vec![0; piece.min(RESERVE_PIECE_BYTES)];
        file.write_at(at, &zeros).map_err(StoreError::io(&name, "writing"))?;
        file.sync().map_err(StoreError::io(&name, "syncing"))?;
        let at = at + zeros.len() as u64;
        self.state = State::Growing(file, at);
        if at == self.bytes {
            self.disk.rename(&name, RESERVE).map_err(StoreError::io(RESERVE, "renaming"))?;
            directory::settle(&*self.disk)?;
            self.state = State::Whole;
        }
        Ok(())
    }

    /// Gives back what was written of it.
    fn abandon(&mut self) -> Result<Tended, StoreError> {
        if matches!(self.state, State::Growing(..)) {
            self.state = State::Absent;
            directory::remove(&*self.disk, &temporary(RESERVE))?;
        }
        Ok(Tended::NoRoom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_disk::{Failure, FakeDisk, Fault, Operation, Random};
    use super::*;

    const BYTES: u64 = 2 * RESERVE_PIECE_BYTES as u64 + 7;
    const PLENTY: Option<u64> = Some(1 << 40);

    fn disk_with_reserve() -> FakeDisk {
        let disk = FakeDisk::new();
        directory::write_reserve(&disk, RESERVE, BYTES).unwrap();
        disk.sync_names().unwrap();
        disk
    }

    fn length(disk: &FakeDisk) -> u64 {
        disk.open(RESERVE).unwrap().len().unwrap()
    }

    #[test]
    fn what_was_given_up_is_written_again_as_long_as_it_was() {
        let disk = disk_with_reserve();
        let mut reserve = Reserve::new(Arc::new(disk.clone()), 0);
        assert_eq!(reserve.tend(PLENTY).unwrap(), Tended::Whole);
        assert!(reserve.give_up().unwrap() && !disk.has(RESERVE));
        assert!(!reserve.give_up().unwrap(), "it is given up once");
        for _ in 0..3 {
            assert!(!disk.has(RESERVE), "a part of it is not taken for it");
            assert_eq!(reserve.tend(PLENTY).unwrap(), Tended::Grown);
        }
        assert_eq!(reserve.tend(PLENTY).unwrap(), Tended::Whole);
        assert_eq!(length(&disk), BYTES);
        let after = disk.power_loss(&mut Random::new(1));
        assert_eq!(length(&after), BYTES, "it is durable");
        assert!(reserve.give_up().is_err(), "that process has ended");
    }

    #[test]
    fn a_process_that_finds_none_writes_it_and_a_part_is_no_obstacle() {
        let disk = FakeDisk::new();
        let mut reserve = Reserve::new(Arc::new(disk.clone()), BYTES);
        assert_eq!(reserve.tend(PLENTY).unwrap(), Tended::Grown);
        let disk = disk.restart();
        let mut reserve = Reserve::new(Arc::new(disk.clone()), BYTES);
        while reserve.tend(PLENTY).unwrap() == Tended::Grown {}
        assert_eq!(length(&disk), BYTES);
        assert!(!disk.has(&temporary(RESERVE)));
    }

    #[test]
    fn it_never_takes_the_space_that_the_server_needs() {
        let disk = disk_with_reserve();
        let mut reserve = Reserve::new(Arc::new(disk.clone()), 0);
        reserve.give_up().unwrap();
        let short = Some(BYTES + 2 * DISK_FREE_BYTES_MIN - 1);
        assert_eq!(reserve.tend(short).unwrap(), Tended::NoRoom);
        assert_eq!(reserve.tend(PLENTY).unwrap(), Tended::Grown);
        assert!(disk.has(&temporary(RESERVE)));
        // Somebody else filled the disk: the part is given back.
        assert_eq!(reserve.tend(Some(DISK_FREE_BYTES_MIN)).unwrap(), Tended::NoRoom);
        assert!(!disk.has(&temporary(RESERVE)));
    }

    #[test]
    fn a_disk_that_gets_full_meanwhile_is_no_failure() {
        let disk = disk_with_reserve();
        let mut reserve = Reserve::new(Arc::new(disk.clone()), 0);
        reserve.give_up().unwrap();
        assert_eq!(reserve.tend(None).unwrap(), Tended::Grown);
        let at = disk.count(Operation::Write) + 1;
        let failure = Failure::Error(28); // ENOSPC
        disk.plan(Fault { operation: Operation::Write, at, failure, for_good: false });
        assert_eq!(reserve.tend(None).unwrap(), Tended::NoRoom);
        assert!(!disk.has(&temporary(RESERVE)));
        while reserve.tend(None).unwrap() == Tended::Grown {}
        assert_eq!(length(&disk), BYTES);
    }
}
