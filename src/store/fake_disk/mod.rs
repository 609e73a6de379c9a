//! A disk for tests: loses power, fails when told to, and does both the same way for the same
//! seed. No server uses it; it is public so that tests of the whole server can.
//!
//! What is written is readable at once and durable after a sync. Without a sync, a power loss
//! keeps any part of it, in pieces of 512 bytes, in any order. Names become durable in the order
//! of their changes. A value of [`FakeDisk`] is the disk as one process sees it: after
//! [`FakeDisk::power_loss`] or [`FakeDisk::restart`], which give the next process its own, the old
//! one and its files only fail.

mod content;
mod file;
mod plan;
mod random;

pub use plan::{Failure, Fault, Operation};
pub use random::Random;

use super::disk::{Disk, DiskFile};
use file::FileState;
use plan::{Plan, Verdict};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory, as one process sees it.
#[derive(Clone, Debug)]
pub struct FakeDisk {
    world: Arc<Mutex<World>>,
    process: u64,
}

/// What may be wrong with a disk all the time: bugs that tests must catch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    /// Syncs of files whose name contains this say that they succeeded and do nothing.
    pub sync_of: Option<&'static str>,
    /// Dropping the page cache does nothing.
    pub drop_cache: bool,
}

/// Everything, for all processes.
#[derive(Clone, Debug, Default)]
struct World {
    files: BTreeMap<u64, FileState>,
    names: BTreeMap<String, u64>,
    names_durable: BTreeMap<String, u64>,
    /// Names after each change since the last sync of names.
    name_changes: Vec<BTreeMap<String, u64>>,
    next_file: u64,
    process: u64,
    boot: u64,
    locked: bool,
    plan: Plan,
    lies: Lies,
    free_bytes: Option<u64>,
}

impl FakeDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self { world: Arc::default(), process: 0 }
    }

    /// A copy that goes its own way.
    #[must_use]
    pub fn fork(&self) -> Self {
        let world = self.world().clone();
        Self { process: world.process, world: Arc::new(Mutex::new(world)) }
    }

    /// Makes an operation of this process fail; several may be planned.
    pub fn plan(&self, fault: Fault) {
        self.world().plan.add(fault);
    }

    /// Makes the disk lie from now on.
    pub fn lie(&self, lies: Lies) {
        self.world().lies = lies;
    }

    /// How many operations of a kind this process has made.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        self.world().plan.count(operation)
    }

    /// So many bytes are free, as far as the disk says; what is written doesn't change that.
    pub fn set_free_bytes(&self, free: Option<u64>) {
        self.world().free_bytes = free;
    }

    /// Whether a planned fault happened.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.world().plan.failed()
    }

    /// The power goes: what was not synced is there in part. The disk for the next process.
    #[must_use]
    pub fn power_loss(&self, random: &mut Random) -> Self {
        let mut world = self.world();
        let kept = random.below(world.name_changes.len() as u64 + 1) as usize;
        if let Some(names) = kept.checked_sub(1).and_then(|at| world.name_changes.get(at)) {
            world.names_durable = names.clone();
        }
        world.names = world.names_durable.clone();
        let names = world.names.clone();
        world.files.retain(|id, _| names.values().any(|named| named == id));
        for file in world.files.values_mut() {
            file.power_loss(random);
        }
        world.boot += 1;
        self.next_process(world)
    }

    /// The process ends, the system goes on: the page cache stays. The disk for the next process.
    #[must_use]
    pub fn restart(&self) -> Self {
        self.next_process(self.world())
    }

    fn next_process(&self, mut world: MutexGuard<'_, World>) -> Self {
        world.name_changes.clear();
        world.name_changes.shrink_to_fit();
        world.process += 1;
        world.locked = false;
        world.plan = Plan::default();
        Self { world: Arc::clone(&self.world), process: world.process }
    }

    /// Changes the durable and the readable content of a file, behind everybody's back.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn damage(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut world = self.world();
        let id = world.names[name];
        world.files.entry(id).and_modify(|file| file.damage(change));
    }

    /// Readable content of every file.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let world = self.world();
        let content = |id: &u64| world.files.get(id).map(FileState::content).unwrap_or_default();
        world.names.iter().map(|(name, id)| (name.clone(), content(id))).collect()
    }

    /// Whether there is a file of this name, even if the disk fails by now.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.world().names.contains_key(name)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an operation, unless it is planned to fail or this process is over.
    fn run<T>(
        &self,
        operation: Operation,
        run: impl FnOnce(&mut World, Verdict) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut world = self.world();
        if world.process != self.process {
            return Err(io::Error::other("this process is over"));
        }
        match world.plan.judge(operation) {
            Verdict::Fail(Failure::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            verdict => run(&mut world, verdict),
        }
    }

    fn change_names<T>(&self, change: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        self.run(Operation::Name, |world, verdict| {
            let done = change(world)?;
            world.name_changes.push(world.names.clone());
            verdict.end(done)
        })
    }

    fn handle(&self, id: u64, name: &str) -> Arc<dyn DiskFile> {
        Arc::new(FakeFile { disk: self.clone(), id, name: name.to_owned() })
    }
}

impl Default for FakeDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    fn id(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&mut self, id: u64) -> io::Result<&mut FileState> {
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for FakeDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.run(Operation::Read, |world, verdict| verdict.end(world.id(name)?))?;
        Ok(self.handle(id, name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.change_names(|world| {
            if world.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            world.next_file += 1;
            let id = world.next_file;
            world.files.insert(id, FileState::default());
            world.names.insert(name.to_owned(), id);
            Ok(id)
        })?;
        Ok(self.handle(id, name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change_names(|world| {
            let id = world.id(from)?;
            world.names.remove(from);
            world.names.insert(to.to_owned(), id);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change_names(|world| {
            world.id(name)?;
            world.names.remove(name);
            Ok(())
        })
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.run(Operation::Read, |world, verdict| {
            verdict.end(world.names.keys().cloned().collect())
        })
    }

    fn sync_names(&self) -> io::Result<()> {
        self.run(Operation::Sync, |world, verdict| {
            verdict.end(())?;
            world.names_durable = world.names.clone();
            world.name_changes.clear();
            Ok(())
        })
    }

    fn lock(&self, _name: &str) -> io::Result<bool> {
        self.run(Operation::Read, |world, verdict| {
            verdict.end(())?;
            Ok(!std::mem::replace(&mut world.locked, true))
        })
    }

    fn free_bytes(&self) -> Option<u64> {
        self.world().free_bytes
    }

    fn boot_id(&self) -> String {
        format!("boot {}", self.world().boot)
    }

    fn place(&self) -> String {
        "the fake disk".to_owned()
    }
}

/// An open file of a [`FakeDisk`].
#[derive(Debug)]
struct FakeFile {
    disk: FakeDisk,
    id: u64,
    name: String,
}

impl DiskFile for FakeFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.run(Operation::Read, |world, verdict| {
            verdict.end(())?;
            Ok(world.file(self.id)?.len())
        })
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.run(Operation::Read, |world, verdict| {
            verdict.end(())?;
            world.file(self.id)?.read(offset, out)
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.run(Operation::Write, |world, verdict| {
            let short = matches!(verdict, Verdict::Fail(Failure::Short(_)));
            let data = if short { &data[..data.len() / 2] } else { data };
            world.file(self.id)?.write(offset, data);
            verdict.end(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.run(Operation::SetLen, |world, verdict| {
            verdict.end(())?;
            world.file(self.id)?.set_len(len);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.run(Operation::Sync, |world, verdict| {
            let lies = world.lies.sync_of.is_some_and(|part| self.name.contains(part));
            let file = world.file(self.id)?;
            match verdict {
                Verdict::Fail(Failure::Forgotten(code)) => {
                    file.forget_pending();
                    Err(io::Error::from_raw_os_error(code))
                }
                Verdict::Run if !lies => {
                    file.sync();
                    Ok(())
                }
                verdict => verdict.end(()),
            }
        })
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.run(Operation::Read, |world, verdict| {
            verdict.end(())?;
            if !world.lies.drop_cache {
                world.file(self.id)?.drop_cache();
            }
            Ok(())
        })
    }
}
