//! Size, name and opening of source files, and words that do not merge.

use crate::Finding;
use crate::rust_text::{code_of, is_word};
use crate::tree::{self, File};

/// Lines of a source file beyond which it is two rooms.
const LINES_MAX: usize = 800;
/// Lines of a source file beyond which it is listed, and nothing more.
const LINES_AIM: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "misc", "helper", "helpers"];

/// Words of unfinished work, split so that this file does not hold them.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Macros of unfinished work.
const UNFINISHED_MACROS: [&str; 3] = ["dbg", "todo", "unimplemented"];

fn is_code(file: &File) -> bool {
    let endings = [".rs", ".py", ".sh", ".toml", ".ci/run"];
    endings.iter().any(|ending| file.ends_with(ending))
}

fn check(file: &File) -> Vec<Finding> {
    let mut findings = names(file);
    if !is_code(file) {
        return findings;
    }
    let count = file.text.lines().count();
    if count > LINES_MAX {
        let what = format!("{count} lines; at most {LINES_MAX}: find the second room in it");
        findings.push(Finding::new(&file.path, 0, what));
    }
    findings.extend(unfinished_words(file));
    if file.ends_with(".rs") {
        if !file.text.starts_with("//!") {
            findings.push(Finding::new(&file.path, 1, "opens without `//!`: say what it is for"));
        }
        findings.extend(unwanted_code(file));
    }
    findings
}

fn names(file: &File) -> Vec<Finding> {
    let parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    parts
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| Finding::new(&file.path, 0, format!("`{part}` names nothing")))
        .collect()
}

fn unfinished_words(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let mut words = line.split(|c: char| !is_word(c));
        if let Some(word) = words.find(|word| UNFINISHED.contains(word)) {
            findings.push(Finding::new(&file.path, at + 1, format!("{word} does not merge")));
        }
    }
    findings
}

fn unwanted_code(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in code_of(&file.text).lines().enumerate() {
        for name in UNFINISHED_MACROS {
            let called = line.match_indices(&format!("{name}!")).any(|(start, _)| {
                !line.get(..start).is_some_and(|before| before.ends_with(is_word))
            });
            if called {
                findings.push(Finding::new(&file.path, at + 1, format!("{name}! does not merge")));
            }
        }
        if line.contains("#[allow(") || line.contains("#![allow(") {
            let what = "`allow` hides a lint for ever: `expect` with a reason";
            findings.push(Finding::new(&file.path, at + 1, what));
        }
    }
    findings
}

/// What the root of each crate says: no unsafe code (`sync` apart), and the shared lints.
fn crate_promises(file: &File) -> Vec<Finding> {
    let in_sync = file.path.starts_with("sync/");
    let is_root = ["src/lib.rs", "src/main.rs"].iter().any(|root| file.ends_with(root));
    let mut findings = Vec::new();
    if is_root && !in_sync && !code_of(&file.text).contains("#![forbid(unsafe_code)]") {
        findings.push(Finding::new(&file.path, 0, "a crate root forbids unsafe code"));
    }
    let has_lints = file.text.contains("[lints]\nworkspace = true");
    if file.name() == "Cargo.toml" && !file.path.starts_with("fuzz/") && !has_lints {
        findings.push(Finding::new(&file.path, 0, "a crate takes the lints of the workspace"));
    }
    findings
}

#[test]
fn crates_forbid_unsafe_code_and_share_their_lints() {
    crate::none(&tree::files().iter().flat_map(crate_promises).collect::<Vec<_>>());
}

#[test]
#[expect(clippy::print_stdout, reason = "the list of long files is read in the output of the run")]
fn files_have_a_size_a_name_and_an_opening() {
    let files = tree::files();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let count = file.text.lines().count();
        if count > LINES_AIM {
            println!("{}: {count} lines, the aim is {LINES_AIM}", file.path);
        }
    }
    crate::none(&files.iter().flat_map(check).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, UNFINISHED, check, crate_promises};
    use crate::tree::File;

    fn count(path: &str, text: &str) -> usize {
        check(&File::made_up(path, text)).len()
    }

    #[test]
    fn a_long_file_is_found() {
        let lines = |count: usize| format!("//! x\n{}", "fn f() {}\n".repeat(count - 1));
        assert_eq!(count("src/a.rs", &lines(LINES_MAX)), 0);
        assert_eq!(count("src/a.rs", &lines(LINES_MAX + 1)), 1);
    }

    #[test]
    fn an_empty_name_is_found() {
        assert_eq!(count("src/util.rs", "//! x"), 1);
        assert_eq!(count("src/common/mod.rs", "//! x"), 1);
        assert_eq!(count("src/commons.rs", "//! x"), 0);
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(count("src/a.rs", "//! x\nfn f() { dbg!(1); }"), 1);
        assert_eq!(count("src/a.rs", "//! x\nfn f() { todo!() }"), 1);
        assert_eq!(count("src/a.rs", "//! x\nfn f() { undbg!(1); }"), 0);
        for word in UNFINISHED {
            assert_eq!(count("src/a.rs", &format!("//! x\n// {word}: later")), 1);
            assert_eq!(count("tests/a.py", &format!("# {word}")), 1);
        }
    }

    #[test]
    fn a_hidden_lint_and_a_missing_opening_are_found() {
        assert_eq!(count("src/a.rs", "//! x\n#[allow(dead_code, reason = \"y\")]\nfn f() {}"), 1);
        assert_eq!(count("src/a.rs", "// x\nfn f() {}"), 1);
    }

    #[test]
    fn a_crate_without_its_promises_is_found() {
        let says = |path: &str, text: &str| crate_promises(&File::made_up(path, text)).len();
        assert_eq!(says("client/src/lib.rs", "//! x\n// #![forbid(unsafe_code)]"), 1);
        assert_eq!(says("client/src/lib.rs", "//! x\n#![forbid(unsafe_code)]"), 0);
        assert_eq!(says("sync/src/lib.rs", "//! x"), 0);
        assert_eq!(says("client/Cargo.toml", "[package]\nname = \"x\""), 1);
    }
}
