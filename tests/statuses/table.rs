//! The table of statuses as SPEC.md has it. Reads text; knows nothing of what the code does.

/// One row.
#[derive(Debug)]
pub(crate) struct Stated {
    pub(crate) number: String,
    pub(crate) name: String,
    pub(crate) class: String,
    /// Sorted; what depends on who asks is there, since these tests ask for what is their own.
    pub(crate) details: Vec<&'static str>,
}

pub(crate) const SPEC: &str = include_str!("../../protocol/SPEC.md");

/// All rows, in order.
pub(crate) fn statuses() -> Vec<Stated> {
    let (_, section) = SPEC.split_once("\n## 10. Statuses\n").unwrap();
    let (_, rows) = section.split_once("| number | name | class |").unwrap();
    let (_, rows) = rows.split_once("---|\n").unwrap();
    rows.lines().take_while(|line| line.starts_with('|')).map(row).collect()
}

fn row(line: &'static str) -> Stated {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let mut details: Vec<&str> = cells[5].split(", ").filter_map(detail).collect();
    details.sort_unstable();
    let [number, name, class] = [0, 1, 2].map(|at| cells[at].to_owned());
    Stated { number, name, class, details }
}

/// The name of a detail; how many there are and who sees it are said behind it.
fn detail(text: &'static str) -> Option<&'static str> {
    match text {
        "" | "one for each" => None,
        _ if text.starts_with("if ") => None,
        _ => text.split(' ').next(),
    }
}
