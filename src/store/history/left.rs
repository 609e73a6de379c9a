//! Files of history that are to go. What the disk refuses to remove counts like everything else and is tried
//! again, so no byte is out of account until it is gone. Decides nothing about what goes.

use super::layout::{index_file, unborn_file, volume_file};
use super::shelf::Shelf;
use crate::limits::HISTORY_LEFT_FILES_MAX;
use crate::store::disk::Disk;
use std::io;

/// Gives the oldest full volume up; tells whether it went. One that the disk refuses to remove stays, and can
/// be read still: a disk that removes nothing costs no volume.
pub fn give_up_oldest(disk: &dyn Disk, shelf: &Shelf) -> bool {
    if shelf.full().is_empty() || shelf.left().len() >= HISTORY_LEFT_FILES_MAX {
        return false;
    }
    // Readers know that it is gone before it is.
    let Some(gone) = shelf.remove_oldest() else { return false };
    let name = volume_file(gone.number);
    if let Err(error) = try_remove(disk, &name)
        && !is_gone(disk, &name)
    {
        if shelf.return_oldest(gone) {
            tracing::warn!(%error, name, "a part of history can't be removed; it is tried again");
        }
        return false;
    }
    // Without its volume it would be removed at the next start.
    let index_most = gone.bytes.saturating_sub(gone.end);
    remove_file(disk, shelf, &index_file(gone.number), index_most);
    // What takes its place must not be there together with it after a power cut.
    if let Err(error) = disk.sync_names() {
        tracing::warn!(%error, name, "whether a part of history is gone is not durable");
    }
    true
}

/// Removes the files of a volume that is on no shelf; each has `most` bytes at most.
pub(super) fn remove_volume(disk: &dyn Disk, shelf: &Shelf, number: u64, most: u64) {
    for name in [unborn_file(number), volume_file(number), index_file(number)] {
        remove_file(disk, shelf, &name, most);
    }
}

/// Removes a file if it is there. If the disk refuses, it is noted with its bytes: `most` if the disk doesn't
/// say how many.
pub(super) fn remove_file(disk: &dyn Disk, shelf: &Shelf, name: &str, most: u64) {
    match remove_or_bytes(disk, name) {
        Ok(None) => shelf.note_gone(name),
        Ok(Some(bytes)) => shelf.note_left(name, bytes),
        Err(_) => shelf.note_left(name, most),
    }
}

/// Removes a file if it is there; if the disk refuses, gives its bytes.
///
/// # Errors
/// Of the system: it doesn't say how many.
pub(super) fn remove_or_bytes(disk: &dyn Disk, name: &str) -> io::Result<Option<u64>> {
    let Err(error) = try_remove(disk, name) else { return Ok(None) };
    if is_gone(disk, name) {
        return Ok(None);
    }
    tracing::warn!(%error, name, "a file of history can't be removed; it is tried again");
    bytes_of(disk, name).map(Some)
}

/// Tries again to remove what was left; tells whether anything went.
///
/// Shape: a few files, [`HISTORY_LEFT_FILES_MAX`] and those of a volume at most.
pub(super) fn remove_left(disk: &dyn Disk, shelf: &Shelf) -> bool {
    let mut has_gone = false;
    for name in shelf.left() {
        if try_remove(disk, &name).is_ok() {
            shelf.note_gone(&name);
            has_gone = true;
        }
    }
    has_gone
}

/// Whether a file went although the disk said that it couldn't be removed.
fn is_gone(disk: &dyn Disk, name: &str) -> bool {
    disk.open(name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A file that isn't there is removed.
pub(super) fn try_remove(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes of a file; 0 if there is none.
///
/// # Errors
/// Of the system.
pub(super) fn bytes_of(disk: &dyn Disk, name: &str) -> io::Result<u64> {
    match disk.open(name).and_then(|file| file.len()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        bytes => bytes,
    }
}
