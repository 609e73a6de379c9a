//! Files of the audit log: `audit.log` is written, and goes on as `audit-NUMBER.log` once it is full; the oldest goes
//! when all are too much. Knows lines, and not what is in them.

use super::disk::{Disk, DiskFile};
use crate::audit::{Header, Mark, whole_lines};
use crate::limits::{
    AUDIT_FILE_BYTES_LEAST, AUDIT_FILE_BYTES_MAX, AUDIT_FILES_LEAST, AUDIT_FREE_BYTES_MIN,
    AUDIT_LOOSE_BYTES_MAX,
};
use std::io;
use std::sync::Arc;

/// The file that is written.
const CURRENT: &str = "audit.log";
/// What the names of full ones begin with.
const FULL: &str = "audit-";
/// What they end with.
const ENDING: &str = ".log";

/// The files of an audit log, in a directory of their own.
#[derive(Debug)]
pub struct AuditFiles {
    disk: Arc<dyn Disk>,
    bytes_max: u64,
    current: Option<Current>,
    /// Full ones: number and bytes, rising.
    full: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Current {
    file: Arc<dyn DiskFile>,
    end: u64,
    is_loose: bool,
}

/// What the files that are there say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose they are.
    pub header: Header,
    /// How far they have come.
    pub mark: Mark,
}

impl AuditFiles {
    /// Looks at the files that are there, and cuts off what a crash has left of a line.
    ///
    /// # Errors
    /// Of the system.
    pub fn open(disk: Arc<dyn Disk>, bytes_max: u64) -> io::Result<(Self, Option<Found>)> {
        let mut files = Self { disk, bytes_max, current: None, full: Vec::new() };
        let mut has_current = false;
        for name in files.disk.names()? {
            has_current |= name == CURRENT;
            if let Some(number) = number_of(&name) {
                files.full.push((number, files.disk.open(&name)?.len()?));
            }
        }
        files.full.sort_unstable();
        let found = if has_current { files.open_current()? } else { None };
        if found.is_some() {
            return Ok((files, found));
        }
        // The newest that can be read tells; what was put aside says nothing.
        for (number, _) in files.full.iter().rev() {
            let bytes = read(&*files.disk.open(&full_name(*number))?)?;
            let whole = bytes.get(..whole_lines(&bytes)).unwrap_or_default();
            if let Some(found) = found_in(whole) {
                return Ok((files, Some(found)));
            }
        }
        Ok((files, None))
    }

    /// Whether the next line is the first one of a file.
    #[must_use]
    pub const fn is_at_begin(&self) -> bool {
        self.current.is_none()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let full = self.full.iter().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        full.saturating_add(self.current.as_ref().map_or(0, |current| current.end))
    }

    /// Appends whole lines; behind a full file they begin a new one, which [`AuditFiles::is_at_begin`] tells.
    ///
    /// # Errors
    /// Of the system: what was appended is not to be counted on, see [`AuditFiles::open`].
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let current = match &mut self.current {
            Some(current) => current,
            none => {
                let file = self.disk.create(CURRENT)?;
                self.disk.sync_names()?;
                none.insert(Current { file, end: 0, is_loose: false })
            }
        };
        current.is_loose = true;
        current.file.write_at(current.end, lines)?;
        current.end = current.end.saturating_add(lines.len() as u64);
        if current.end >= self.file_bytes() { self.rotate() } else { Ok(()) }
    }

    /// Makes durable what was appended.
    ///
    /// # Errors
    /// Of the system: what was appended since the last success is not to be counted on.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.is_loose {
            current.file.sync()?;
            current.is_loose = false;
        }
        Ok(())
    }

    /// Lets the oldest go while the disk has little room for anything else.
    ///
    /// # Errors
    /// Of the system.
    pub fn make_room(&mut self) -> io::Result<()> {
        while self.disk.free_bytes().is_some_and(|free| free < AUDIT_FREE_BYTES_MIN) {
            if !self.remove_oldest()? {
                break;
            }
        }
        Ok(())
    }

    /// Ends the file that is written; the next line begins a new one.
    ///
    /// # Errors
    /// Of the system.
    pub fn rotate(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        if current.is_loose {
            current.file.sync()?;
        }
        let number = self.full.last().map_or(1, |(number, _)| number.saturating_add(1));
        self.disk.rename(CURRENT, &full_name(number))?;
        self.disk.sync_names()?;
        self.full.push((number, current.end));
        self.current = None;
        self.trim()
    }

    /// Lets the oldest go while all are too much.
    fn trim(&mut self) -> io::Result<()> {
        let most = self.bytes_max.saturating_sub(self.file_bytes());
        while self.bytes() > most && self.remove_oldest()? {}
        Ok(())
    }

    /// False: only the newest is left, which tells where to go on.
    fn remove_oldest(&mut self) -> io::Result<bool> {
        let [(number, _), _, ..] = self.full[..] else { return Ok(false) };
        match self.disk.remove(&full_name(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.full.remove(0);
                Ok(true)
            }
        }
    }

    /// Bytes after which a file is full.
    fn file_bytes(&self) -> u64 {
        (self.bytes_max / AUDIT_FILES_LEAST).clamp(AUDIT_FILE_BYTES_LEAST, AUDIT_FILE_BYTES_MAX)
    }

    /// Opens the file that was written last. One that doesn't begin as it should is put aside, not lost.
    fn open_current(&mut self) -> io::Result<Option<Found>> {
        let file = self.disk.open(CURRENT)?;
        // What a failed sync has lost the system may still give to read: only what is on the disk counts.
        file.sync()?;
        file.drop_cache()?;
        let bytes = read(&*file)?;
        let whole = whole_lines(&bytes);
        let end = whole as u64;
        let found = found_in(bytes.get(..whole).unwrap_or_default());
        if whole == 0 && bytes.first().is_none_or(|first| *first == b'{' || *first == 0) {
            // Its first line was never whole on the disk.
            self.disk.remove(CURRENT)?;
            return Ok(None);
        }
        let is_damaged = file.len()?.saturating_sub(end) > AUDIT_LOOSE_BYTES_MAX;
        if found.is_some() && !is_damaged && end < file.len()? {
            file.set_len(end)?;
            file.sync()?;
        }
        let end = file.len()?;
        self.current = Some(Current { file, end, is_loose: false });
        if found.is_none() || is_damaged {
            // Nobody goes on in it, and what is in it stays.
            self.rotate()?;
        }
        Ok(found)
    }
}

fn found_in(lines: &[u8]) -> Option<Found> {
    let mut each = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let first = each.next()?;
    let last = each.next_back().unwrap_or(first);
    Some(Found { header: Header::of(first)?, mark: Mark::of(last)? })
}

/// All of a file; one of ours is never much longer than the bound.
fn read(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let bytes = file.len()?.min(2 * AUDIT_FILE_BYTES_MAX);
    let mut all = vec![0; usize::try_from(bytes).unwrap_or(0)];
    file.read_at(0, &mut all)?;
    Ok(all)
}

fn full_name(number: u64) -> String {
    format!("{FULL}{number:010}{ENDING}")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(FULL)?.strip_suffix(ENDING)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Begin, Gap, begin, gap};
    use crate::model::{Incarnation, Seq, ServerId};
    use crate::store::fake_disk::FakeDisk;

    const HEADER: Header = Header { server: ServerId::from_u128(5), incarnation: Incarnation(2) };

    fn head(at: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let (server, incarnation) = (HEADER.server, HEADER.incarnation);
        begin("t", Begin { server, incarnation, at: Mark::behind(Seq(at)) }, &mut out);
        out
    }

    fn line(to: u64) -> Vec<u8> {
        let mut out = Vec::new();
        gap("t", Gap { from: 1, to }, &mut out);
        out
    }

    fn disk() -> Arc<dyn Disk> {
        Arc::new(FakeDisk::new())
    }

    fn open(disk: &Arc<dyn Disk>) -> (AuditFiles, Option<Found>) {
        AuditFiles::open(Arc::clone(disk), 8 * AUDIT_FILE_BYTES_LEAST).unwrap()
    }

    #[test]
    fn a_line_that_a_crash_has_cut_is_taken_away_and_the_rest_goes_on() {
        let disk = disk();
        let (mut files, found) = open(&disk);
        assert_eq!(found, None);
        assert!(files.is_at_begin());
        files.append(&head(3)).unwrap();
        files.append(&line(9)).unwrap();
        files.sync().unwrap();
        let cut = line(77);
        for end in 1..cut.len() {
            files.append(&cut[..end]).unwrap();
            let (again, found) = open(&disk);
            let mark = Mark::behind(Seq(9));
            assert_eq!(found, Some(Found { header: HEADER, mark }), "cut at {end}");
            files = again;
            assert!(!files.is_at_begin());
        }
        // Zeros that were never written, as a power cut leaves them.
        files.append(&[0; 100]).unwrap();
        files.append(&line(80)).unwrap();
        let (_, found) = open(&disk);
        assert_eq!(found.unwrap().mark, Mark::behind(Seq(9)));
    }

    #[test]
    fn full_files_are_numbered_and_the_oldest_go() {
        let disk = disk();
        let (mut files, _) = open(&disk);
        let many = line(4).repeat(AUDIT_FILE_BYTES_LEAST as usize / line(4).len() + 1);
        for round in 0..20 {
            assert!(files.is_at_begin(), "round {round}");
            files.append(&head(4)).unwrap();
            files.append(&many).unwrap();
            files.sync().unwrap();
            assert!(files.bytes() <= 8 * AUDIT_FILE_BYTES_LEAST);
        }
        let names = disk.names().unwrap();
        assert!(names.contains(&full_name(20)) && !names.contains(&full_name(1)), "{names:?}");
        assert!(names.len() >= 5, "{names:?}");
        let (_, found) = open(&disk);
        assert_eq!(found.unwrap().mark, Mark::behind(Seq(4)), "the newest full one tells");
    }

    #[test]
    fn a_file_of_somebody_else_is_put_aside() {
        let disk = disk();
        disk.create(CURRENT).unwrap().write_at(0, b"what is this\n").unwrap();
        let (mut files, found) = open(&disk);
        assert_eq!(found, None);
        assert!(files.is_at_begin());
        files.append(&head(1)).unwrap();
        let kept = disk.open(&full_name(1)).unwrap();
        assert_eq!(kept.len().unwrap(), 13);
    }
}
