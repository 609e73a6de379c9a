//! What appears under its name only when it is whole and on disk. Writes no content.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where something lies until it is whole: beside its place.
pub(in crate::cli) fn part_of(place: &Path) -> PathBuf {
    // Without a slash at the end: that would be a place inside of it.
    let mut name = place.components().as_path().as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Gives its place to what is whole and synced.
pub(in crate::cli) fn appear(part: &Path, place: &Path) -> io::Result<()> {
    fs::rename(part, place)?;
    let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
