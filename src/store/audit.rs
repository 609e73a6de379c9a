//! Files of the audit log: `audit.log` is written, and goes on as `audit-NUMBER.log` once it is full; the oldest goes
//! when all are too much. Knows lines, and not what is in them.

use super::disk::{Disk, DiskFile};
use crate::audit::{Header, Mark, whole_lines};
use crate::limits::{AUDIT_FILE_BYTES_LEAST, AUDIT_FILE_BYTES_MAX, AUDIT_FILES_LEAST};
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
        match (found, files.full.last()) {
            (None, Some((number, _))) => {
                let last = read(&*files.disk.open(&full_name(*number))?)?;
                Ok((files, found_in(&last)))
            }
            (found, _) => Ok((files, found)),
        }
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
        Ok(())
    }

    /// Makes durable what was appended; a full file makes room for a new one.
    ///
    /// # Errors
    /// Of the system: what was appended since the last success is not to be counted on.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.is_loose {
            current.file.sync()?;
            current.is_loose = false;
        }
        if current.end >= self.file_bytes() {
            self.rotate()?;
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
        while self.bytes() > most {
            let Some((number, _)) = self.full.first().copied() else { break };
            match self.disk.remove(&full_name(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => drop(self.full.remove(0)),
            }
        }
        Ok(())
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
        if bytes.is_empty() || whole == 0 && found.is_none() && bytes.first() == Some(&b'{') {
            // Its first line was never whole.
            self.disk.remove(CURRENT)?;
            return Ok(None);
        }
        if found.is_some() && end < file.len()? {
            file.set_len(end)?;
            file.sync()?;
        }
        let end = file.len()?;
        self.current = Some(Current { file, end, is_loose: false });
        if found.is_none() {
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
