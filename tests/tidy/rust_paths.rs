//! The paths that Rust code names, in `use` trees and elsewhere, with the module they stand in.
//! Reads tokens only: it does not know types, and sees into a macro as into any other code.

use crate::rust_text::{code_of, is_word};
use crate::tree::File;

/// One path as written, `use` trees expanded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    /// 1-based.
    pub(crate) line: usize,
    /// With `crate`, `self` and `super` resolved, where the file is a module of a crate: then the
    /// first segment is `crate`.
    pub(crate) segments: Vec<String>,
    /// Inside a module named `tests`.
    pub(crate) in_tests: bool,
}

impl PathUse {
    pub(crate) fn starts_with(&self, path: &str) -> bool {
        let mut segments = self.segments.iter();
        path.split("::").all(|part| segments.next().is_some_and(|segment| segment == part))
    }
}

struct Token {
    line: usize,
    text: String,
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            let (token, after) = rest.split_at(length);
            found.push(Token { line: number + 1, text: token.to_owned() });
            rest = after.trim_start();
        }
    }
    found
}

/// Module path of a source file: `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.rsplit_once("src/").map_or(path, |(_, inside)| inside);
    let plain = inside.trim_end_matches(".rs");
    let roots = ["lib", "main", "mod"];
    let mut segments: Vec<String> = plain.split('/').map(str::to_owned).collect();
    if segments.last().is_some_and(|last| roots.contains(&last.as_str())) {
        segments.pop();
    }
    segments
}

/// Every path in the file's code, in order.
pub(crate) fn paths_of(file: &File) -> Vec<PathUse> {
    let tokens = tokens(&code_of(&file.text));
    let mut reader = Reader {
        module: module_of(&file.path),
        open: Vec::new(),
        tokens: &tokens,
        at: 0,
        found: Vec::new(),
    };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    module: Vec<String>,
    /// For each open brace: whether it opened a module.
    open: Vec<bool>,
    tokens: &'a [Token],
    at: usize,
    found: Vec<PathUse>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn is_name(&self, at: usize) -> bool {
        self.text(at).chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
    }

    fn step(&mut self) {
        match self.text(self.at) {
            "use" => self.use_tree(),
            "mod" if self.text(self.at + 2) == "{" => {
                self.module.push(self.text(self.at + 1).to_owned());
                self.open.push(true);
                self.at += 3;
            }
            "{" => {
                self.open.push(false);
                self.at += 1;
            }
            "}" => {
                if self.open.pop() == Some(true) {
                    self.module.pop();
                }
                self.at += 1;
            }
            _ if self.is_name(self.at) => self.plain_path(),
            _ => self.at += 1,
        }
    }

    /// A path outside `use`; a single name is none.
    fn plain_path(&mut self) {
        let start = self.at;
        let mut segments = vec![self.text(start).to_owned()];
        self.at += 1;
        while self.text(self.at) == "::" && self.is_name(self.at + 1) {
            segments.push(self.text(self.at + 1).to_owned());
            self.at += 2;
        }
        if segments.len() > 1 {
            self.note(start, segments);
        }
    }

    fn use_tree(&mut self) {
        self.at += 1;
        let mut prefix: Vec<String> = Vec::new();
        let mut marks: Vec<usize> = Vec::new();
        while self.at < self.tokens.len() {
            let start = self.at;
            match self.text(start).to_owned().as_str() {
                ";" => break,
                "{" => marks.push(prefix.len()),
                "," => prefix.truncate(marks.last().copied().unwrap_or(0)),
                "}" => {
                    marks.pop();
                    prefix.truncate(marks.last().copied().unwrap_or(0));
                }
                "as" => self.at += 1,
                "::" => {}
                name => {
                    prefix.push(name.to_owned());
                    if self.text(start + 1) != "::" {
                        self.note(start, prefix.clone());
                    }
                }
            }
            self.at += 1;
        }
    }

    fn note(&mut self, token: usize, segments: Vec<String>) {
        let line = self.tokens.get(token).map_or(0, |token| token.line);
        let in_tests = self.module.iter().any(|name| name == "tests");
        let segments = self.resolve(segments);
        self.found.push(PathUse { line, segments, in_tests });
    }

    fn resolve(&self, segments: Vec<String>) -> Vec<String> {
        let mut base = self.module.clone();
        let mut rest = segments.iter().peekable();
        if !matches!(rest.peek().map(|s| s.as_str()), Some("self" | "super")) {
            return segments;
        }
        while let Some(word) = rest.next_if(|s| *s == "self" || *s == "super") {
            if word == "super" {
                base.pop();
            }
        }
        let root = std::iter::once("crate".to_owned());
        root.chain(base).chain(rest.cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::paths_of;
    use crate::tree::File;

    fn paths(path: &str, text: &str) -> Vec<String> {
        let found = paths_of(&File::made_up(path, text));
        found.iter().map(|found| found.segments.join("::")).collect()
    }

    #[test]
    fn use_trees_are_expanded() {
        let text = "use std::{fs, net::{IpAddr, TcpStream as T}};\npub use crate::{a::B, c};";
        assert_eq!(
            paths("src/x.rs", text),
            ["std::fs", "std::net::IpAddr", "std::net::TcpStream", "crate::a::B", "crate::c"]
        );
    }

    #[test]
    fn relative_paths_become_absolute() {
        assert_eq!(paths("src/a/b.rs", "use super::super::c::D;"), ["crate::c::D"]);
        assert_eq!(paths("src/a/mod.rs", "mod tests { use super::super::c::D; }"), ["crate::c::D"]);
        assert_eq!(paths("src/a/mod.rs", "fn f() { self::g::h(); }"), ["crate::a::g::h"]);
    }

    #[test]
    fn paths_in_code_are_seen_and_comments_are_not() {
        let text = "fn f() { crate::store::open(); } // crate::server::x()";
        assert_eq!(paths("src/a.rs", text), ["crate::store::open"]);
    }
}
