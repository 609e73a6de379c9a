//! Objects as aligned text. Prints nothing itself.

use super::view::View;
use comfy_table::{ContentArrangement, Table};

/// A table without lines, two spaces between columns.
pub(crate) fn rows<T: View>(objects: &[T], headers: bool) -> String {
    let mut table = plain_table();
    if headers {
        table.set_header(T::COLUMNS.iter().map(|name| name.to_uppercase()));
    }
    for object in objects {
        table.add_row(object.cells());
    }
    trimmed(&table)
}

/// The title of an object, and its fields below, one a line.
pub(crate) fn details<T: View>(object: &T) -> String {
    let mut text = String::new();
    for title in object.titles() {
        text.push_str(&title);
        text.push('\n');
    }
    let mut table = plain_table();
    for (name, value) in object.fields().into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([name.to_owned(), value]);
    }
    text.push_str(&trimmed(&table));
    text
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn trimmed(table: &Table) -> String {
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
        text.push('\n');
    }
    if table.row_count() == 0 && table.header().is_none() {
        text.clear();
    }
    text
}
