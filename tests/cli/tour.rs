//! The tour of the README, run line by line against a new server: what it shows is what happens.

use crate::program::Server;

/// Commands of the block, each with the lines that are shown below it.
fn steps(readme: &str) -> Vec<(&str, Vec<&str>)> {
    let block = readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next());
    let mut steps: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.expect("the README has a console block").lines() {
        match (line.strip_prefix("$ addrd "), steps.last_mut()) {
            (Some(command), _) => steps.push((command, Vec::new())),
            (None, Some((_, shown))) => shown.push(line),
            (None, None) => panic!("before the first command: {line}"),
        }
    }
    steps
}

/// Whether a line looks as shown: `..` at the end stands for anything.
fn is_as_shown(line: &str, shown: &str) -> bool {
    shown.strip_suffix("..").map_or(line == shown, |start| line.starts_with(start))
}

/// Whether the lines look as shown: a last line `..` stands for any number of lines.
fn are_as_shown(lines: &[&str], shown: &[&str]) -> bool {
    let (fixed, open) = match shown {
        [fixed @ .., ".."] => (fixed, true),
        fixed => (fixed, false),
    };
    let length_fits = if open { lines.len() > fixed.len() } else { lines.len() == fixed.len() };
    length_fits && fixed.iter().zip(lines).all(|(shown, line)| is_as_shown(line, shown))
}

#[test]
fn the_readme_shows_what_happens() {
    let server = Server::dev();
    let steps = steps(include_str!("../../README.md"));
    assert!(steps.len() > 5, "the tour is longer than {}", steps.len());
    for (command, shown) in steps {
        let ran = server.addrd(command);
        let printed = format!("{}{}", ran.out, ran.err);
        let lines: Vec<&str> = printed.lines().collect();
        assert!(are_as_shown(&lines, &shown), "addrd {command}\nshown: {shown:#?}\n{printed}");
    }
}

#[test]
fn what_is_not_as_shown_is_found() {
    assert!(are_as_shown(&["a 1", "b"], &["a ..", ".."]));
    assert!(!are_as_shown(&["a 1"], &["a ..", ".."]));
    assert!(!are_as_shown(&["a", "b"], &["a"]));
    assert!(!are_as_shown(&["b"], &["a"]));
}
