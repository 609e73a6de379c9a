//! The data directory: its files, `FORMAT`, creation in an order that a crash can cut anywhere,
//! and the mark of distrust. Knows nothing of what redb stores.

use super::disk::{Disk, DiskFile, write_zeros};
use super::error::StoreError;
use super::schema::{FORMAT_VERSION, FORMAT_VERSION_FIRST};
use crate::model::{Incarnation, ServerId};
use crc32c::crc32c;
use std::io;
use std::sync::Arc;

/// Taken by the process that uses the directory.
pub(crate) const LOCK: &str = "lock";
/// Says what the directory is.
pub(crate) const FORMAT: &str = "FORMAT";
/// The journal.
pub(crate) const JOURNAL_FILE: &str = "journal.ring";
/// The state.
pub(crate) const STATE_FILE: &str = "state.redb";
/// Space that is given up to start on a full disk.
pub(crate) const RESERVE: &str = "reserve";
/// The page cache is not to be believed (see [`distrust`]).
pub(crate) const DISTRUST: &str = "distrust";

/// Where the audit log lies, unless it is told otherwise. No data: it may be there before them, and after.
pub const AUDIT_DIRECTORY: &str = "audit";

/// Files that have both a temporary and a final name during creation, in the order of renaming.
const CREATED: [&str; 3] = [JOURNAL_FILE, STATE_FILE, RESERVE];
/// First line of `FORMAT`.
const TITLE: &str = "addrd data directory";

/// Name of a file while the directory is created.
pub(crate) fn temporary(name: &str) -> String {
    format!("{name}.new")
}

/// What `FORMAT` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The data set.
    pub server: ServerId,
    /// Its restores, from 1.
    pub incarnation: Incarnation,
}

impl Format {
    /// The text of the file.
    pub(crate) fn to_text(self) -> String {
        let body = format!(
            "{TITLE}\nformat {FORMAT_VERSION}\nserver {}\nincarnation {}\n",
            self.server, self.incarnation.0
        );
        format!("{body}checksum {:08x}\n", crc32c(body.as_bytes()))
    }

    /// What the file says, and in which version.
    pub(crate) fn parse(text: &str) -> Result<(Self, u32), StoreError> {
        let damaged = |what: &str| StoreError::damaged(FORMAT, what);
        let rest = text.strip_prefix(TITLE).and_then(|rest| rest.strip_prefix("\nformat "));
        let rest = rest.ok_or_else(|| damaged("it doesn't begin as it should"))?;
        // The last line of every version: a number that a fault changed is no newer format.
        let (body, sum) = text.rsplit_once("checksum ").unwrap_or((text, ""));
        if sum != format!("{:08x}\n", crc32c(body.as_bytes())) {
            return Err(damaged("its checksum is wrong"));
        }
        let (version, _) = rest.split_once('\n').unwrap_or((rest, ""));
        let version = match version.parse::<u32>() {
            Ok(version @ FORMAT_VERSION_FIRST..=FORMAT_VERSION) => version,
            Ok(version) if version > FORMAT_VERSION => {
                let what = format!("format {version}, known up to {FORMAT_VERSION}");
                return Err(StoreError::Newer { file: FORMAT.to_owned(), what });
            }
            Ok(0) => {
                let what = "format 0 was before the first that is kept: export it with the server that \
                            wrote it, and import that";
                return Err(damaged(what));
            }
            _ => return Err(damaged("its version is none that ever was")),
        };
        let field =
            |name: &str| body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let server = field("server").and_then(|text| text.parse().ok());
        let incarnation = field("incarnation").and_then(|text| text.parse().ok());
        match (server, incarnation) {
            (Some(server), Some(incarnation)) => {
                Ok((Self { server, incarnation: Incarnation(incarnation) }, version))
            }
            _ => Err(damaged("a field is missing")),
        }
    }
}

/// What is in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing of ours.
    Absent,
    /// A creation that was cut short.
    Unfinished,
    /// Data.
    Present,
}

/// Looks at the names in a directory; reads no file.
pub(crate) fn presence(disk: &dyn Disk) -> Result<Presence, StoreError> {
    let place = disk.place();
    let names = disk.names().map_err(StoreError::io(&place, "listing"))?;
    let has = |name: &str| names.iter().any(|other| other == name);
    if has(FORMAT) {
        return Ok(Presence::Present);
    }
    if has(JOURNAL_FILE) || has(STATE_FILE) {
        if has(&temporary(FORMAT)) {
            return Ok(Presence::Unfinished);
        }
        let (name, what) = (FORMAT.to_owned(), "is missing beside data");
        return Err(StoreError::Strange { place, name, what });
    }
    let ours = |name: &String| {
        name == LOCK
            || name == AUDIT_DIRECTORY
            || name == RESERVE
            || name == DISTRUST
            || name == &temporary(FORMAT)
            || CREATED.iter().any(|created| name == &temporary(created))
    };
    if let Some(name) = names.iter().find(|name| !ours(name)) {
        let (name, what) = (name.clone(), "is not a file of addrd");
        return Err(StoreError::Strange { place, name, what });
    }
    let is_data = |name: &String| name != LOCK && name != AUDIT_DIRECTORY;
    Ok(if names.iter().any(is_data) { Presence::Unfinished } else { Presence::Absent })
}

/// Takes the lock of the directory.
pub(crate) fn lock(disk: &dyn Disk) -> Result<(), StoreError> {
    if disk.lock(LOCK).map_err(StoreError::io(LOCK, "locking"))? {
        return Ok(());
    }
    Err(StoreError::Locked { place: disk.place() })
}

/// Removes what a creation left that was cut short: it never held anything.
pub(crate) fn clean(disk: &dyn Disk) -> Result<(), StoreError> {
    // `FORMAT.new` last: while it is there, the rest is known to be unfinished.
    let mut names: Vec<String> = CREATED.iter().flat_map(|n| [(*n).into(), temporary(n)]).collect();
    names.push(DISTRUST.into());
    for name in &names {
        remove(disk, name)?;
    }
    settle(disk)?;
    remove(disk, &temporary(FORMAT))
}

/// Removes a file, if it is there.
pub(super) fn remove(disk: &dyn Disk, name: &str) -> Result<(), StoreError> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(name, "removing")(error))
        }
        _ => Ok(()),
    }
}

/// Gives the finished files their names; `FORMAT` is the last.
pub(crate) fn publish(disk: &dyn Disk, format: Format, reserve: bool) -> Result<(), StoreError> {
    let new = temporary(FORMAT);
    write_file(disk, &new, format.to_text().as_bytes())?;
    settle(disk)?;
    for name in CREATED {
        if name != RESERVE || reserve {
            disk.rename(&temporary(name), name).map_err(StoreError::io(name, "renaming"))?;
        }
    }
    settle(disk)?;
    disk.rename(&new, FORMAT).map_err(StoreError::io(FORMAT, "renaming"))?;
    settle(disk)
}

/// Writes `FORMAT` anew, in the version of today: from here on an older server refuses the directory.
pub(crate) fn raise(disk: &dyn Disk, format: Format) -> Result<(), StoreError> {
    let new = temporary(FORMAT);
    // A crash may have left it.
    remove(disk, &new)?;
    write_file(disk, &new, format.to_text().as_bytes())?;
    settle(disk)?;
    disk.rename(&new, FORMAT).map_err(StoreError::io(FORMAT, "renaming"))?;
    settle(disk)
}

fn write_file(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let file = disk.create(name).map_err(StoreError::io(name, "creating"))?;
    file.write_at(0, bytes).map_err(StoreError::io(name, "writing"))?;
    file.sync().map_err(StoreError::io(name, "syncing"))
}

/// Writes the file that is given up when the disk is full.
pub(crate) fn write_reserve(disk: &dyn Disk, name: &str, bytes: u64) -> Result<(), StoreError> {
    let file = disk.create(name).map_err(StoreError::io(name, "creating"))?;
    write_zeros(&*file, 0, bytes).map_err(StoreError::io(name, "writing"))?;
    file.sync().map_err(StoreError::io(name, "syncing"))
}

/// Gives up the reserve, or the part of it that is written again; tells whether there was one.
///
/// # Errors
/// [`StoreError::Io`].
pub fn give_up_reserve(disk: &dyn Disk) -> Result<bool, StoreError> {
    let mut is_freed = false;
    for name in [RESERVE.to_owned(), temporary(RESERVE)] {
        match disk.remove(&name) {
            Ok(()) => is_freed = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(&name, "removing")(error)),
        }
    }
    if is_freed {
        settle(disk)?;
    }
    Ok(is_freed)
}

/// Makes the names durable that a killed process may have left in memory, before they are believed.
pub(crate) fn settle(disk: &dyn Disk) -> Result<(), StoreError> {
    disk.sync_names().map_err(StoreError::io(&disk.place(), "syncing"))
}

/// Reads `FORMAT`.
pub(crate) fn read_format(disk: &dyn Disk) -> Result<(Format, u32), StoreError> {
    let file = disk.open(FORMAT).map_err(StoreError::io(FORMAT, "opening"))?;
    let bytes = read_whole(&file).map_err(StoreError::io(FORMAT, "reading"))?;
    let text = String::from_utf8(bytes);
    Format::parse(&text.map_err(|_| StoreError::damaged(FORMAT, "it is not text"))?)
}

/// Longest small file that is read whole, in bytes.
const SMALL_FILE_BYTES_MAX: u64 = 4_096;

fn read_whole(file: &Arc<dyn DiskFile>) -> io::Result<Vec<u8>> {
    let length = file.len()?.min(SMALL_FILE_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// After a failed write or sync: forgets the page cache of the data files and leaves a mark.
///
/// A kernel marks pages clean that it couldn't write. A process that starts again would read them
/// and build on what is not on the disk. The mark says so for as long as the page cache lives.
pub(crate) fn distrust(disk: &dyn Disk) {
    if let Ok(file) = disk.create(DISTRUST) {
        // The disk may refuse everything by now; the name alone is enough.
        let _ = file.write_at(0, disk.boot_id().as_bytes());
    }
    for name in [JOURNAL_FILE, STATE_FILE] {
        if let Ok(file) = disk.open(name) {
            let _ = file.drop_cache();
        }
    }
}

/// At the start: if there is a mark of this boot, forgets the page cache once more.
pub(crate) fn heed_distrust(disk: &dyn Disk) -> Result<bool, StoreError> {
    let file = match disk.open(DISTRUST) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StoreError::io(DISTRUST, "opening")(error)),
    };
    let boot = read_whole(&file).unwrap_or_default();
    // An empty mark couldn't be written: it is taken to be of this boot.
    if boot.is_empty() || boot == disk.boot_id().as_bytes() {
        for name in [JOURNAL_FILE, STATE_FILE] {
            let file = disk.open(name).map_err(StoreError::io(name, "opening"))?;
            file.drop_cache().map_err(StoreError::io(name, "dropping the cache of"))?;
        }
    }
    Ok(true)
}

/// Takes the mark away, once everything was read and synced anew.
pub(crate) fn trust_again(disk: &dyn Disk) -> Result<(), StoreError> {
    remove(disk, DISTRUST)?;
    settle(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_reads_back_and_any_change_is_noticed() {
        let format = Format { server: ServerId::from_u128(77), incarnation: Incarnation(3) };
        let text = format.to_text();
        assert_eq!(Format::parse(&text).unwrap(), (format, FORMAT_VERSION));
        for at in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[at] ^= 1;
            let error = Format::parse(&String::from_utf8(bad).unwrap()).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
            assert!(Format::parse(&text[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_formats_before_are_read_and_told_apart() {
        let format = Format { server: ServerId::from_u128(77), incarnation: Incarnation(3) };
        let today = format.to_text();
        let (body, _) = today.rsplit_once("checksum ").unwrap();
        for version in FORMAT_VERSION_FIRST..=FORMAT_VERSION {
            let body =
                body.replace(&format!("format {FORMAT_VERSION}\n"), &format!("format {version}\n"));
            let text = format!("{body}checksum {:08x}\n", crc32c(body.as_bytes()));
            assert_eq!(Format::parse(&text).unwrap(), (format, version));
        }
    }

    #[test]
    fn a_newer_format_is_told_as_such() {
        let body = "addrd data directory\nformat 7\nanything else\n";
        let text = format!("{body}checksum {:08x}\n", crc32c(body.as_bytes()));
        let error = Format::parse(&text).unwrap_err();
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
        let error = Format::parse(&text.replace("format 7", "format 3")).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "a flipped bit: {error}");
    }
}
