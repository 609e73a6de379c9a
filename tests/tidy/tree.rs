//! The files of the repository, read once a test. Never follows links, never writes.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
pub(crate) struct File {
    /// Relative to the top, with `/`.
    pub(crate) path: String,
    /// Its whole text.
    pub(crate) text: String,
}

impl File {
    /// A file that exists only in a test.
    pub(crate) fn made_up(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn ends_with(&self, suffix: &str) -> bool {
        self.path.ends_with(suffix)
    }

    /// The name without folders.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Folders that hold what is built or run, at any depth; `.gitignore` names the same ones.
const NOT_OURS: [&str; 6] =
    [".git", "target", "addrd-data", "artifacts", "coverage", "__pycache__"];

/// The top folder of the repository.
pub(crate) fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is text, sorted by path. Bytes that are not UTF-8 (corpora) are left out.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![top()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository is readable") {
            let entry = entry.expect("an entry of the repository is readable");
            let kind = entry.file_type().expect("an entry has a type");
            let name = entry.file_name();
            if NOT_OURS.iter().any(|not| name == *not) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                found.push(File { path: relative(&entry.path()), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn relative(path: &Path) -> String {
    let inside = path.strip_prefix(top()).expect("the walk stays below the top");
    inside.to_string_lossy().replace('\\', "/")
}

#[test]
fn the_walk_finds_this_file_and_nothing_built() {
    let files = files();
    assert!(files.iter().any(|file| file.path == "tests/tidy/tree.rs"));
    assert!(files.iter().all(|file| !file.path.starts_with("target/")));
}
