//! Rules about the repository itself: arrows between rooms, sizes, names, links, lists that must
//! agree. Reads files only; runs nothing and never looks at behaviour.
//!
//! Each rule is a function from text to findings, so that its own tests can feed it a bad piece.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/bans.rs"]
mod bans;
#[path = "tidy/lists.rs"]
mod lists;
#[path = "tidy/markdown.rs"]
mod markdown;
#[path = "tidy/private.rs"]
mod private;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/rust_paths.rs"]
mod rust_paths;
#[path = "tidy/rust_text.rs"]
mod rust_text;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/tree.rs"]
mod tree;

use std::fmt;

/// One breach of a rule.
#[derive(Debug)]
struct Finding {
    /// File, relative to the top of the repository.
    path: String,
    /// 1-based; 0 = the file as a whole.
    line: usize,
    /// What is wrong, and what to do instead.
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Fails with every finding, one a line.
fn none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}
