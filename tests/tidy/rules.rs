//! Each rule that docs/neutron.md lists has tests, and each test that it names is there. Reads
//! tables only; whether a test shows its rule is for people to judge.

use crate::Finding;
use crate::tree::{self, File};

const DOCUMENT: &str = "docs/neutron.md";

/// Tests of a row's last cell: file and function.
fn named(row: &str) -> Vec<(&str, &str)> {
    let last = row.trim().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    last.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect()
}

/// Whether a line is a row with a rule: not a heading of a table, and not the line below one.
fn is_rule(lines: &[&str], at: usize) -> bool {
    let is_line = |line: &str| line.starts_with("|---");
    lines[at].starts_with('|')
        && !is_line(lines[at])
        && !lines.get(at + 1).is_some_and(|next| is_line(next))
}

fn is_there(files: &[File], file: &str, test: &str) -> bool {
    let name = format!("{file}.rs");
    let defined = format!("fn {test}(");
    files.iter().any(|file| {
        let is_test = file.path.starts_with("tests/") || file.path.contains("tests");
        is_test && file.name() == name && file.text.contains(&defined)
    })
}

fn rules(files: &[File]) -> Vec<Finding> {
    let document = files.iter().find(|file| file.path == DOCUMENT);
    let Some(document) = document else { return vec![Finding::new(DOCUMENT, 0, "is not there")] };
    let lines: Vec<&str> = document.text.lines().collect();
    let mut findings = Vec::new();
    for at in (0..lines.len()).filter(|at| is_rule(&lines, *at)) {
        let tests = named(lines[at]);
        if tests.is_empty() {
            findings.push(Finding::new(DOCUMENT, at + 1, "names no test: `file::function`"));
        }
        for (file, test) in tests.into_iter().filter(|(file, test)| !is_there(files, file, test)) {
            let what = format!("there is no test {test} in a file {file}.rs");
            findings.push(Finding::new(DOCUMENT, at + 1, what));
        }
    }
    findings
}

#[test]
fn every_rule_names_tests_that_are_there() {
    let files = tree::files();
    let rows = files.iter().filter(|file| file.path == DOCUMENT).flat_map(|file| file.text.lines());
    assert!(rows.filter(|row| !named(row).is_empty()).count() > 60, "the tables were read");
    crate::none(&rules(&files));
}

#[cfg(test)]
mod tests {
    use super::rules;
    use crate::tree::File;

    #[test]
    fn a_rule_without_test_and_a_test_that_is_not_there_are_found() {
        let found = |rows: &str| {
            let table = format!("| Neutron | addrd | test |\n|---|---|---|\n{rows}\n");
            let test = File::made_up("src/room/tests/subnets.rs", "#[test]\nfn works() {}");
            rules(&[File::made_up("docs/neutron.md", &table), test]).len()
        };
        assert_eq!(found("| a | `b` | `subnets::works` |"), 0);
        assert_eq!(found("| a | `subnets::works` | |"), 1);
        assert_eq!(found("| a | b | `subnets::works`, `subnets::gone` |"), 1);
        assert_eq!(found("| a | b | `ports::works` |"), 1);
        assert_eq!(rules(&[]).len(), 1);
    }
}
