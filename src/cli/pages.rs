//! The pages for operators name what there is: their commands parse, their metrics and labels are in the table, the
//! messages that they quote are the program's. For tests alone.

use super::Cli;
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};

const ON_CALL: &str = include_str!("../../docs/how-to/on-call.md");
const FIRST_SECURE_SETUP: &str = include_str!("../../docs/how-to/first-secure-setup.md");
const TLS: &str = include_str!("../../docs/how-to/tls.md");
const METRICS: &str = include_str!("../../docs/metrics.md");

/// What a page shows as text to be typed: lines of its blocks for a shell, and words set apart in a line.
fn typed(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in page.split("```").enumerate() {
        match part.strip_prefix("sh\n") {
            _ if number % 2 == 0 => {
                found.extend(part.split('`').skip(1).step_by(2).map(str::to_owned));
            }
            Some(block) => found.extend(block.replace("\\\n", " ").lines().map(str::to_owned)),
            None => {}
        }
    }
    found
}

/// Words as a shell makes them of a line without variables.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted_by = None;
    for c in line.chars() {
        match quoted_by {
            Some(quote) if c == quote => quoted_by = None,
            None if matches!(c, '"' | '\'') => quoted_by = Some(c),
            None if c.is_whitespace() => words.push(String::new()),
            _ => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The commands of ours in a page, as words.
fn commands(page: &str) -> Vec<Vec<String>> {
    let lines = typed(page);
    let parts = lines.iter().flat_map(|line| line.split("&&"));
    parts.map(words).filter(|words| words.first().is_some_and(|word| word == "addrd")).collect()
}

#[test]
fn each_command_of_the_pages_parses() {
    for (page, least) in [(ON_CALL, 30), (FIRST_SECURE_SETUP, 5), (TLS, 2)] {
        // A name alone, in the middle of a sentence, is none.
        let commands: Vec<_> = commands(page).into_iter().filter(|words| words.len() > 1).collect();
        assert!(commands.len() >= least, "{commands:?}");
        for words in commands {
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{}: {error}", words.join(" "));
            }
        }
    }
}

#[test]
fn each_metric_and_label_of_the_page_on_call_is_in_the_table() {
    let mut count = 0;
    for text in typed(ON_CALL) {
        let starts_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let name: String = text.chars().take_while(|c| starts_name(*c)).collect();
        if !name.starts_with("addrd_") || name == "addrd_" {
            continue;
        }
        count += 1;
        let row = METRICS.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("there is no metric {name}"));
        if let Some((label, value)) = text[name.len()..].split_once("=\"") {
            let label = label.trim_start_matches('{');
            assert!(
                row.contains(&format!("| `{label}`")) || row.contains(&format!(", `{label}`")),
                "{text}"
            );
            // Statuses have a table of their own.
            let value = value.trim_end_matches("\"}");
            assert!(label == "status" || source_has(value), "{text}");
        }
    }
    assert!(count > 30, "{count}");
}

/// Whether a text stands in the program's source.
fn source_has(text: &str) -> bool {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .iter()
        .any(|source| source.contains(text))
}

/// All sources, lines of a text that goes on joined. Without this file, which quotes nothing.
fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let lines = source.split("\\\n").map(str::trim_start);
            found.push(lines.collect::<Vec<_>>().concat());
        }
    }
    found
}

#[test]
fn the_messages_that_the_page_on_call_quotes_are_the_programs() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let rows = ON_CALL.lines().filter(|line| line.starts_with("| \""));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let quoted: Vec<&str> = cells.flat_map(|cell| cell.split('"').skip(1).step_by(2)).collect();
    assert!(quoted.len() > 14, "{quoted:?}");
    for text in quoted {
        assert!(sources.iter().any(|source| source.contains(text)), "nothing says \"{text}\"");
    }
}
