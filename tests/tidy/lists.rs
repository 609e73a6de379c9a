//! Facts that stand in two places: the copies are compared here. Knows nothing else of either.

use crate::Finding;
use crate::tree::{self, File};
use addrd::limits;
use addrd_protocol::{codec, message};

/// Name and value of each constant given, as the compiler sees it.
macro_rules! values {
    ($($room:path => $($name:ident),+;)+) => {
        vec![$($({
            use $room as room;
            (stringify!($name), room::$name.to_string())
        }),+),+]
    };
}

/// The bounds that documents state. A document may state no other.
fn bounds() -> Vec<(&'static str, String)> {
    values![
        limits => BYTES_IN_FLIGHT_MAX, CONNECTIONS_MAX, CONNECTIONS_UNGREETED_MAX,
            CONNECTIONS_UNGREETED_PEER_MAX, CONNECTION_OPERATIONS_MAX, DRAIN_OPERATIONS_MAX,
            FIRST_BYTE_MS, FRAME_MS, HELLO_MS, HTTP_CONNECTIONS_MAX, HTTP_HEADER_MS, IDLE_MS,
            JOURNAL_RECORDS_MAX, JOURNAL_RECORDS_MAX_DEV, JOURNAL_ROW_BYTES_MAX,
            PROTOCOL_ERRORS_MAX, READ_BUFFER_BYTES_MIN, REPLY_BYTES_WAITING_MAX, RESERVE_BYTES,
            RING_OPERATIONS_MAX, SESSIONS_MAX, STALL_MS, STATE_ROW_BYTES_MAX, TLS_BUSY_BYTES,
            TLS_CHAIN_BYTES_MAX, TLS_HANDSHAKES_MAX, TLS_HANDSHAKE_MS, TLS_STRANGERS_BYTES,
            ACCOUNTS_MAX, FAIR_OPERATIONS, FAIR_SEQUENCED, HISTORY_QUESTIONS_MAX, NETWORKS_MAX, OPEN_HOLDS_MAX,
            PRINCIPALS_MAX, PROJECTS_MAX, RATE_REFUSALS_MAX, RING_BYTES_MAX,
            SEQUENCER_OPERATIONS_MAX, STRANGERS_MAX, STRANGER_DELAY_MS_MAX, STRANGER_REFUSALS_FREE,
            SUBNETS_PER_NETWORK_MAX, SUBNET_POOLS_MAX, WATCHERS_MAX;
        addrd::telemetry::log => LINES_A_SECOND;
        codec => BATCH_BYTES_MAX, HELLO_BYTES_MAX, REPLY_BYTES_MAX, REQUEST_BYTES_MAX;
        message::allocate => CANDIDATES_MAX;
        message::allocation => LOOKUPS_MAX;
        message::batch => BATCH_ITEMS_MAX;
        message::list => PAGE_OBJECTS_MAX;
        message::subnet => DNS_SERVERS_MAX, EXCLUSIONS_MAX, POOLS_MAX, ROUTES_MAX;
    ]
}

/// Rows of a table that start with a constant's name: its line, name and stated value.
fn stated_bounds(file: &File) -> Vec<(usize, String, String)> {
    let is_constant = |name: &str| {
        name.contains('_')
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
        let name = cells.next().and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
        if let (Some(name), Some(value)) = (name.filter(|name| is_constant(name)), cells.next()) {
            found.push((at + 1, name.to_owned(), value.replace(',', "")));
        }
    }
    found
}

fn limits_tables(file: &File, bounds: &[(&str, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, name, stated) in stated_bounds(file) {
        match bounds.iter().find(|(known, _)| *known == name) {
            None => {
                let what = format!("tests/tidy/lists.rs knows no bound `{name}`");
                findings.push(Finding::new(&file.path, line, what));
            }
            Some((_, value)) if *value != stated => {
                let what = format!("`{name}` is {value}, not {stated}");
                findings.push(Finding::new(&file.path, line, what));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Each bound of `SECURITY.md` names a metric in which it is seen, and `docs/metrics.md` has every metric that it names.
fn seen_bounds(security: &File, metrics: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<&str> = security.text.lines().collect();
    for (line, name, _) in stated_bounds(security) {
        let row = lines.get(line - 1).copied().unwrap_or_default();
        if !row.contains("`addrd_") {
            let what = format!("`{name}` is seen in no metric");
            findings.push(Finding::new(&security.path, line, what));
        }
    }
    for (at, line) in lines.iter().enumerate() {
        let words = line.split('`').skip(1).step_by(2).filter(|word| word.starts_with("addrd_"));
        let is_metric = |word: &str| {
            word.len() > "addrd_".len()
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                && word != "addrd_limit"
        };
        for word in words.filter(|word| is_metric(word)) {
            if !metrics.contains(&format!("| `{word}` |")) {
                let what = format!("there is no metric `{word}`");
                findings.push(Finding::new(&security.path, at + 1, what));
            }
        }
    }
    findings
}

/// Number of a decision: the four digits that its name begins with.
fn number(name: &str) -> Option<usize> {
    let (digits, _) = name.split_once('-')?;
    if digits.len() == 4 { digits.parse().ok() } else { None }
}

/// Decisions are numbered from 1 without gap, and the index lists each.
fn decisions(files: &[File]) -> Vec<Finding> {
    let folder = "docs/decisions/";
    let index = format!("{folder}README.md");
    let listed = files.iter().find(|file| file.path == index).map_or("", |file| file.text.as_str());
    let ours = files.iter().filter(|file| file.path.starts_with(folder) && file.path != index);
    let mut findings = Vec::new();
    for (at, file) in ours.enumerate() {
        if number(file.name()) != Some(at + 1) {
            let what = format!("the next free number is {:04}", at + 1);
            findings.push(Finding::new(&file.path, 0, what));
        }
        if !listed.contains(&format!("({})", file.name())) {
            findings.push(Finding::new(&file.path, 0, format!("{index} does not list it")));
        }
    }
    findings
}

/// Libraries named in `[workspace.dependencies]` of the manifest, ours left out.
fn linked(manifest: &str) -> Vec<&str> {
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim());
    names.filter(|name| !name.starts_with("addrd-")).collect()
}

/// Every library is named by some source.
fn unused(manifest: &str, files: &[File]) -> Vec<Finding> {
    let sources: Vec<_> = files
        .iter()
        .filter(|file| file.ends_with(".rs") && !file.path.starts_with("tests/tidy"))
        .collect();
    let is_named = |name: &str| {
        // The one whose crate has another name.
        let name = if name == "rustls-webpki" { "webpki" } else { name };
        let path = format!("{}::", name.replace('-', "_"));
        sources.iter().any(|file| file.text.contains(&path))
    };
    let unused = linked(manifest).into_iter().filter(|name| !is_named(name));
    unused.map(|name| Finding::new("Cargo.toml", 0, format!("nothing uses `{name}`"))).collect()
}

/// Every library has a reason in the table of `docs/dependencies.md`, and every reason a library.
fn dependencies(manifest: &str, document: &str) -> Vec<Finding> {
    let path = "docs/dependencies.md";
    let linked = linked(manifest);
    let reasons: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name))
        .collect();
    let without_reason = linked.iter().filter(|name| !reasons.contains(name));
    let without_library = reasons.iter().filter(|name| !linked.contains(name));
    let findings = without_reason.map(|name| format!("says no reason for `{name}`"));
    findings
        .chain(without_library.map(|name| format!("`{name}` is not in Cargo.toml")))
        .map(|what| Finding::new(path, 0, what))
        .collect()
}

#[test]
fn every_library_has_a_reason() {
    let files = tree::files();
    let text = |path: &str| {
        files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str())
    };
    crate::none(&dependencies(text("Cargo.toml"), text("docs/dependencies.md")));
    crate::none(&unused(text("Cargo.toml"), &files));
}

#[test]
fn tables_of_limits_say_what_the_code_says() {
    let files = tree::files();
    let stating = ["README.md", "SECURITY.md", "docs/architecture.md"];
    let documents = files.iter().filter(|file| stating.contains(&file.path.as_str()));
    let bounds = bounds();
    crate::none(&documents.flat_map(|file| limits_tables(file, &bounds)).collect::<Vec<_>>());
}

#[test]
fn every_bound_of_security_is_seen_in_a_metric() {
    let files = tree::files();
    let text = |path: &str| files.iter().find(|file| file.path == path);
    let metrics = text("docs/metrics.md").map_or("", |file| file.text.as_str());
    let security = text("SECURITY.md").expect("there is a page on security");
    assert!(stated_bounds(security).len() > 30, "its table is read");
    crate::none(&seen_bounds(security, metrics));
}

#[test]
fn decisions_are_numbered_once_and_listed() {
    crate::none(&decisions(&tree::files()));
}

#[cfg(test)]
mod tests {
    use super::{bounds, decisions, dependencies, limits_tables, seen_bounds, unused};
    use crate::tree::File;

    #[test]
    fn a_bound_that_disagrees_is_found() {
        let says = |row: &str| limits_tables(&File::made_up("README.md", row), &bounds()).len();
        assert_eq!(says("| `STATE_ROW_BYTES_MAX` | 4,000 | bytes |"), 0);
        assert_eq!(says("| `STATE_ROW_BYTES_MAX` | 4,096 | bytes |"), 1);
        assert_eq!(says("| `NO_SUCH_BOUND` | 1 | |"), 1);
    }

    #[test]
    fn a_bound_without_metric_and_a_metric_that_is_none_are_found() {
        let says = |row: &str| {
            let security = File::made_up("SECURITY.md", row);
            seen_bounds(&security, "| `addrd_ready` | gauge |").len()
        };
        assert_eq!(says("| `IDLE_MS` | 1 | close | `addrd_ready` |"), 0);
        assert_eq!(says("| `IDLE_MS` | 1 | close | |"), 1);
        assert_eq!(says("| `IDLE_MS` | 1 | close | `addrd_readiness` |"), 1);
        assert_eq!(says("a token looks like `addrd_<id>_<secret>`"), 0);
    }

    #[test]
    fn a_gap_a_double_and_an_unlisted_decision_are_found() {
        let file = |name: &str| File::made_up(&format!("docs/decisions/{name}"), "");
        let index = |text: &str| File::made_up("docs/decisions/README.md", text);
        assert!(decisions(&[file("0001-a.md"), index("[a](0001-a.md)")]).is_empty());
        assert_eq!(decisions(&[file("0001-a.md"), index("")]).len(), 1);
        let both = "[a](0001-a.md) [b](0001-b.md) [c](0003-c.md)";
        assert_eq!(decisions(&[file("0001-a.md"), file("0001-b.md"), index(both)]).len(), 1);
        assert_eq!(decisions(&[file("0001-a.md"), file("0003-c.md"), index(both)]).len(), 1);
    }

    #[test]
    fn a_library_without_reason_and_a_reason_without_library_are_found() {
        let manifest =
            "[workspace.dependencies]\naddrd-sync = { path = \"sync\" }\nredb = \"=1\"\n[x]";
        assert!(dependencies(manifest, "| `redb` | storage |").is_empty());
        assert_eq!(dependencies(manifest, "").len(), 1);
        assert_eq!(dependencies(manifest, "| `redb` | x |\n| `tokio` | y |").len(), 1);
    }

    #[test]
    fn a_library_that_nothing_uses_is_found() {
        let manifest = "[workspace.dependencies]\nbytes = \"=1\"\nhyper-util = \"=2\"\n";
        let source = |text| [File::made_up("src/x.rs", text)];
        assert_eq!(unused(manifest, &source("use bytes::Bytes;")).len(), 1);
        assert!(unused(manifest, &source("use bytes::Bytes; hyper_util::x();")).is_empty());
    }
}
