//! How a lawful no is put together: status, field, message, details. Decides nothing.

use crate::model::{ProjectId, Status, Text};
use addrd_protocol::message::{Detail, Failure};
use addrd_protocol::text::TEXT_BYTES_MAX;
use std::fmt::Arguments;

/// Advice to clients in adoption mode, ms: operators decide in minutes, not in moments.
const ADOPTING_RETRY_MS: u32 = 10_000;

/// A refusal on its way out.
pub(super) type Refused = Box<Failure>;

/// A refusal that concerns no field.
#[cold]
pub(super) fn refuse(status: Status, message: Arguments<'_>) -> Refused {
    Box::new(Failure {
        status,
        retry_after_ms: 0,
        item: None,
        field: None,
        message: bounded(message),
        details: Vec::new(),
    })
}

/// A refusal that concerns a field, named as in the JSON of its message.
#[cold]
pub(super) fn refuse_field(status: Status, field: &str, message: Arguments<'_>) -> Refused {
    let mut failure = refuse(status, message);
    failure.field = Text::new(field).ok();
    failure
}

/// A value outside its bounds.
#[cold]
pub(super) fn out_of_range(field: &str, value: u128, least: u128, most: u128) -> Refused {
    let message = format_args!("{field} is {value}; {least} to {most} is accepted");
    with(refuse_field(Status::OUT_OF_RANGE, field, message), Detail::Bounds { value, least, most })
}

/// A bound on how many may exist.
#[cold]
pub(super) fn limit(bound: &str, count: u128, most: u128) -> Refused {
    let message = format_args!("there would be {count} where {most} is the most: bound {bound}");
    let refused =
        with(refuse(Status::LIMIT, message), Detail::Bounds { value: count, least: 0, most });
    match Text::new(bound) {
        Ok(name) => with(refused, Detail::Bound { name }),
        Err(_) => refused,
    }
}

/// Something that has its place in the messages and is not built yet.
#[cold]
pub(super) fn unsupported(field: &str, what: &str) -> Refused {
    refuse_field(Status::UNSUPPORTED, field, format_args!("{what} is not built in this version"))
}

/// The server would have to choose, and it may not know all who hold something.
#[cold]
pub(super) fn adopting(what: &str) -> Refused {
    let message = format_args!(
        "adoption mode: the server chooses no {what} until an operator ends it (addrd server adopt \
         --end); one that is named exactly is given if it is free"
    );
    Box::new(Failure { retry_after_ms: ADOPTING_RETRY_MS, ..*refuse(Status::ADOPTING, message) })
}

/// No project with this id.
#[cold]
pub(super) fn no_project(id: ProjectId) -> Refused {
    let message = format_args!("there is no project {id}; create it first");
    refuse_field(Status::NOT_FOUND, "project", message)
}

/// The same refusal with one detail more.
#[cold]
pub(super) fn with(mut refused: Refused, detail: Detail) -> Refused {
    refused.details.push(detail);
    refused
}

/// A message that fits its field: cut at a character, control characters replaced.
fn bounded(message: Arguments<'_>) -> Text {
    let clean: String =
        message.to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let end = (0..=clean.len().min(TEXT_BYTES_MAX)).rev().find(|&end| clean.is_char_boundary(end));
    Text::new(&clean[..end.unwrap_or(0)]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let refused = refuse(Status::BUSY, format_args!("a\n{}", "é".repeat(200)));
        assert_eq!(refused.message.len(), TEXT_BYTES_MAX - 1);
        assert!(refused.message.starts_with("a?é"));
    }
}
