//! What became of everything that was read: counts, and remarks for people. Decides nothing.

use crate::cli::output;
use crate::cli::view::View;
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts of a conversion.
#[derive(Debug, Default, Serialize)]
pub(super) struct Account {
    /// Objects that are in the file, by kind.
    carried: BTreeMap<&'static str, u64>,
    /// What is not, by reason.
    left_out: BTreeMap<&'static str, u64>,
    /// Places where something is wrong.
    pub(super) faults: u64,
    /// What somebody should know.
    remarks: Vec<String>,
    #[serde(skip)]
    says: bool,
}

impl Account {
    /// `says` = remarks are shown as they come.
    pub(super) fn new(says: bool) -> Self {
        Self { says, ..Self::default() }
    }

    pub(super) fn carry(&mut self, kind: &'static str) {
        *self.carried.entry(kind).or_default() += 1;
    }

    pub(super) fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    pub(super) fn remark(&mut self, text: String) {
        if self.says {
            output::to_stderr(&text);
        }
        self.remarks.push(text);
    }

    /// How far it is.
    pub(super) fn progress(&self, text: &str) {
        if self.says {
            output::to_stderr(text);
        }
    }

    /// Objects that are in the file.
    fn objects(&self) -> u64 {
        self.carried.values().sum()
    }

    /// For standard error, where standard output has the lines.
    pub(super) fn text(&self) -> String {
        let fields = self.fields().into_iter().filter(|(_, value)| !value.is_empty());
        let mut lines: Vec<String> =
            fields.map(|(name, value)| format!("{name}: {value}")).collect();
        lines.insert(0, format!("{} objects", self.objects()));
        lines.join("\n")
    }
}

fn listed(counts: &BTreeMap<&'static str, u64>) -> String {
    let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
    counts.join(", ")
}

impl View for Account {
    const COLUMNS: &'static [&'static str] = &["carried over", "left out", "faults"];

    fn cells(&self) -> Vec<String> {
        let faults = if self.faults == 0 { String::new() } else { self.faults.to_string() };
        vec![listed(&self.carried), listed(&self.left_out), faults]
    }

    fn keys(&self) -> Vec<String> {
        Vec::new()
    }
}
