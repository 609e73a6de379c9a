//! Links of the documents: every relative one leads to a file, and to a heading where it names one.
//! Does not look at addresses outside the repository.

use crate::Finding;
use crate::tree::{self, File};
use std::collections::BTreeSet;

/// A link as written.
struct Link {
    line: usize,
    target: String,
}

/// Lines outside fenced blocks, 1-based, without inline code.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let outside_code = line.split('`').step_by(2).collect::<Vec<_>>().join("` `");
            lines.push((at + 1, outside_code));
        }
    }
    lines
}

fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        for part in text.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push(Link { line, target: target.to_owned() });
            }
        }
    }
    found
}

/// The names that headings of a document have in links.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !fenced) {
            found.insert(anchor(heading.trim_start_matches('#').trim()));
        }
    }
    found
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// `docs/how-to/../a.md` as `docs/a.md`; `None` if it leaves the repository.
fn joined(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn check(file: &File, all: &[File]) -> Vec<Finding> {
    let outside = ["http://", "https://", "mailto:"];
    let ours = links(&file.text)
        .into_iter()
        .filter(|link| !outside.iter().any(|start| link.target.starts_with(start)));
    let broken = ours.filter(|link| !leads_somewhere(file, link, all));
    broken
        .map(|link| Finding::new(&file.path, link.line, format!("`{}` leads nowhere", link.target)))
        .collect()
}

fn leads_somewhere(file: &File, link: &Link, all: &[File]) -> bool {
    let (path, heading) = link.target.split_once('#').unwrap_or((&link.target, ""));
    let path = if path.is_empty() { Some(file.path.clone()) } else { joined(&file.path, path) };
    let Some(path) = path else { return false };
    let folder = format!("{path}/");
    let target = all.iter().find(|other| other.path == path);
    match target {
        Some(other) => heading.is_empty() || anchors(&other.text).contains(heading),
        None => heading.is_empty() && all.iter().any(|other| other.path.starts_with(&folder)),
    }
}

/// Documents that source code points at: by their path, or by their name alone.
fn mentions(file: &File, all: &[File]) -> Vec<Finding> {
    let exists = |name: &str| {
        let suffix = format!("/{name}");
        all.iter().any(|other| other.path == name || other.path.ends_with(&suffix))
    };
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let words = line.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c)));
        let paths = words.map(|word| word.trim_end_matches('.').trim_start_matches("../"));
        for word in paths.filter(|word| word.ends_with(".md") && !word.starts_with('.')) {
            if !exists(word) {
                findings.push(Finding::new(&file.path, at + 1, format!("there is no {word}")));
            }
        }
    }
    findings
}

#[test]
fn links_lead_somewhere() {
    let all = tree::files();
    let documents = all.iter().filter(|file| file.ends_with(".md"));
    crate::none(&documents.flat_map(|file| check(file, &all)).collect::<Vec<_>>());
}

#[test]
fn documents_that_code_names_exist() {
    let all = tree::files();
    let rules = "tests/tidy/";
    let sources = all.iter().filter(|file| {
        (file.ends_with(".rs") || file.ends_with(".toml")) && !file.path.starts_with(rules)
    });
    crate::none(&sources.flat_map(|file| mentions(file, &all)).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::{check, mentions};
    use crate::tree::File;

    fn broken(text: &str) -> usize {
        let file = File::made_up("docs/a.md", text);
        let all = [
            File::made_up("docs/a.md", text),
            File::made_up("docs/b/c.md", "# One: two, *three*\n"),
            File::made_up("README.md", ""),
        ];
        check(&file, &all).len()
    }

    #[test]
    fn a_broken_link_is_found() {
        assert_eq!(broken("[x](c.md)"), 1);
        assert_eq!(broken("[x](../../README.md)"), 1);
        assert_eq!(broken("[x](b/c.md#four)"), 1);
        assert_eq!(broken("[x](#none)"), 1);
    }

    #[test]
    fn a_good_one_is_not() {
        assert_eq!(broken("[x](b/c.md) [y](../README.md) [z](b)"), 0);
        assert_eq!(broken("[x](b/c.md#one-two-three) [y](https://example.org/c.md)"), 0);
        assert_eq!(broken("# Here\n[x](#here) `[y](no.md)`\n```\n[z](no.md)\n```"), 0);
    }

    #[test]
    fn a_document_that_does_not_exist_is_found() {
        let file = File::made_up("src/a.rs", "/// Source: docs/decisions/9999-x.md.");
        assert_eq!(mentions(&file, &[]).len(), 1);
        let there = File::made_up("docs/decisions/9999-x.md", "");
        assert!(mentions(&file, &[there]).is_empty());
        let file = File::made_up("src/a.rs", "//! See plan.md, section 2.");
        assert_eq!(mentions(&file, &[]).len(), 1);
        assert!(mentions(&file, &[File::made_up("docs/plan.md", "")]).is_empty());
    }
}
