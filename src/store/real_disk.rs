//! The disk of the system: a directory with mode 0700, files with mode 0600, flock; of what others may read, 0750 and 0640.

use super::disk::{Disk, DiskFile};
use rustix::fs::{Advice, FlockOperation, SeekFrom, fadvise, flock, seek};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A directory of the system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    read_only: bool,
    /// Others of the group may read what is made here.
    is_for_group: bool,
    locked: Mutex<Option<File>>,
}

impl RealDisk {
    /// A directory that exists. Touches nothing.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            read_only: false,
            is_for_group: false,
            locked: Mutex::new(None),
        }
    }

    /// A directory that exists, in which nothing can be changed.
    #[must_use]
    pub fn read_only(path: &Path) -> Self {
        Self { read_only: true, ..Self::new(path) }
    }

    fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Makes the directory if it isn't there; its parent must be.
    ///
    /// # Errors
    /// Of the system.
    pub fn make(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            Err(error) => return Err(error),
        }
        Ok(Self::new(path))
    }

    /// Makes the directory if it isn't there, so that its group may read what is in it: mode 0750, files 0640,
    /// whatever the mask of the process. Its parent must be there.
    ///
    /// # Errors
    /// Of the system.
    pub fn make_for_group(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let disk = Self { is_for_group: true, ..Self::make(path)? };
        if is_new {
            fs::set_permissions(path, fs::Permissions::from_mode(0o750))?;
        }
        Ok(disk)
    }

    fn wrap(file: File) -> Arc<dyn DiskFile> {
        Arc::new(RealFile(file))
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(!self.read_only).open(self.path.join(name))?;
        Ok(Self::wrap(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.writable()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(self.path.join(name))?;
        if self.is_for_group {
            file.set_permissions(fs::Permissions::from_mode(0o640))?;
        }
        Ok(Self::wrap(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        fs::remove_file(self.path.join(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn sync_names(&self) -> io::Result<()> {
        if self.read_only { Ok(()) } else { File::open(&self.path)?.sync_all() }
    }

    fn lock(&self, name: &str) -> io::Result<bool> {
        let mut options = OpenOptions::new();
        let own = !self.read_only;
        options.read(true).write(own).create(own).truncate(false).mode(0o600);
        let file = match options.open(self.path.join(name)) {
            // A copy of a directory may have no lock file: then nobody uses it.
            Err(error) if !own && error.kind() == io::ErrorKind::NotFound => return Ok(true),
            file => file?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                *self.locked.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
                Ok(true)
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn boot_id(&self) -> String {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn written_end(&self) -> io::Result<u64> {
        let length = self.len()?;
        let mut end = 0;
        while end < length {
            // Data from here on, or nothing but a hole.
            let data = match seek(&self.0, SeekFrom::Data(end)) {
                Ok(data) => data,
                Err(rustix::io::Errno::NXIO) => return Ok(end),
                Err(_) => return Ok(length),
            };
            end = seek(&self.0, SeekFrom::Hole(data)).unwrap_or(length);
        }
        Ok(length)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn begin_write(&self, offset: u64, count: u64) {
        // Linux begins to write what is dirty of a range that isn't needed, without waiting for it, and
        // forgets only what is on the disk already: of a range that was just written, nothing.
        let _ = fadvise(&self.0, offset, NonZeroU64::new(count), Advice::DontNeed);
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(fadvise(&self.0, 0, None, Advice::DontNeed)?)
    }
}
