//! The walk over the statuses of SPEC.md section 10: a row for each, and each is provoked over TCP on
//! a server with the real engine; status, class, field and details are those of the table.
//!
//! A status without a row fails here, and so does a row whose status the table does not have. What
//! only a fault of disk or memory brings forth names the test that does it.

#[path = "statuses/connections.rs"]
mod connections;
#[path = "statuses/guests.rs"]
mod guests;
#[path = "end_to_end/house.rs"]
#[expect(dead_code, reason = "operators and restarts are for the end-to-end tests")]
mod house;
#[path = "statuses/rows.rs"]
mod rows;
#[path = "statuses/script.rs"]
mod script;
#[path = "statuses/table.rs"]
mod table;

use addrd::config::Bounds;
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::{BatchResult, Detail, Failure, QuotaResource, Reply};
use addrd_client::protocol::{Retry, Status};
use house::House;
use rows::{By, ROWS};
use std::collections::BTreeSet;
use std::path::Path;
use table::Stated;

/// What one request got: status and failure, if it is one.
#[derive(Debug)]
struct Outcome {
    status: Status,
    failure: Option<Failure>,
}

impl Outcome {
    fn of(status: Status, body: ReplyOrFailure) -> Self {
        match body {
            ReplyOrFailure::Failure(failure) => Self { status, failure: Some(*failure) },
            ReplyOrFailure::Reply(Reply::Batch(batch)) => {
                // Of a batch, the first item that was not done.
                let failed = batch.results.into_iter().find_map(|result| match result {
                    BatchResult::Failed(failure) => Some(*failure),
                    _ => None,
                });
                let status = failed.as_ref().map_or(status, |failure| failure.status);
                Self { status, failure: failed }
            }
            ReplyOrFailure::Reply(_) => Self { status, failure: None },
            ReplyOrFailure::GoAway(goaway) => panic!("the server goes away: {goaway:?}"),
        }
    }
}

#[test]
fn every_status_of_the_table_has_one_row() {
    let rows: Vec<Status> = ROWS.iter().map(|row| row.status).collect();
    assert_eq!(rows, Status::ALL);
    let stated: Vec<String> = table::statuses().into_iter().map(|row| row.name).collect();
    let names: Vec<&str> = rows.iter().map(|status| status.name()).collect();
    assert_eq!(names, stated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_provoked_and_says_what_the_table_says() {
    let house = House::start(2, Bounds::default());
    let (mut provoked, mut found) = (0, Vec::new());
    for (number, (row, stated)) in (1..).zip(ROWS.iter().zip(table::statuses())) {
        let outcome = match &row.by {
            By::Requests(text) => script::run(&house, number, text).await,
            By::Made(text) => script::run(&house, number, &text()).await,
            By::Connections(provoke) => provoke(&house).await,
            By::Test(..) | By::Unsent | By::BrokenInvariant => continue,
        };
        found.extend(differences(&outcome, &stated));
        provoked += 1;
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    assert!(provoked >= 69, "{provoked} are provoked here");
    house.stop().await;
}

/// What an answer has otherwise than the table says, in words.
fn differences(outcome: &Outcome, stated: &Stated) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |what: &str, given: String, stated: &str| {
        if given != stated {
            found.push(format!("{what} is {given:?}, the table says {stated:?}"));
        }
    };
    let class = match outcome.status.retry() {
        Retry::Done => "done",
        Retry::Refused => "refused",
        Retry::Invalid => "invalid",
        Retry::Denied => "denied",
        Retry::Later => "later",
        Retry::Unknown => "unknown",
    };
    same("the name", outcome.status.name().to_owned(), &stated.name);
    same("the number", format!("{:#06x}", outcome.status.0), &stated.number);
    same("the class", class.to_owned(), &stated.class);
    match &outcome.failure {
        None => same("what is no failure", class.to_owned(), "done"),
        Some(failure) => {
            same("the body's status", failure.status.name().to_owned(), &stated.name);
            same("the details", details(failure).join(", "), &stated.details.join(", "));
            same("a message", (!failure.message.is_empty()).to_string(), "true");
        }
    }
    found.iter().map(|what| format!("{}: {what}: {outcome:?}", stated.name)).collect()
}

/// What a failure has beside status and message, sorted.
fn details(failure: &Failure) -> Vec<&'static str> {
    let mut given: BTreeSet<&str> = failure.details.iter().map(kind).collect();
    given.extend(failure.field.as_ref().map(|_| "field"));
    given.extend(failure.item.map(|_| "item"));
    given.extend((failure.retry_after_ms > 0).then_some("retry_after_ms"));
    given.into_iter().collect()
}

/// A detail as SPEC.md names it.
fn kind(detail: &Detail) -> &'static str {
    match detail {
        Detail::Bounds { .. } => "bounds",
        Detail::Held(_) => "held",
        Detail::Current { .. } => "current",
        Detail::Other { .. } => "other",
        Detail::Count { .. } => "count",
        Detail::Candidate(_) => "candidate",
        Detail::Quota { .. } => "quota",
        Detail::Bound { .. } => "bound",
    }
}

/// One status for all quotas; which one it is stands in its detail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_says_what_it_limits() {
    const QUOTAS: [(QuotaResource, &str); 5] = [
        (
            QuotaResource::Addresses,
            r#"- project_update {"quota_addresses": 1}
               n network_create
               n subnet_create {"cidr": "10.0.0.0/28"}
               n allocate {"owner": "a"}
               n allocate {"owner": "b"}"#,
        ),
        (
            QuotaResource::Ports,
            r#"- project_update {"quota_ports": 1}
               n network_create
               n port_create {"port_id": "a"}
               n port_create {"port_id": "b"}"#,
        ),
        (
            QuotaResource::Networks,
            r#"- project_update {"quota_networks": 1}
               n network_create
               m network_create"#,
        ),
        (
            QuotaResource::Subnets,
            r#"- project_update {"quota_subnets": 1}
               n network_create
               n subnet_create {"cidr": "10.0.0.0/28", "subnet_id": "a"}
               n subnet_create {"cidr": "10.0.1.0/28", "subnet_id": "b"}"#,
        ),
        (
            QuotaResource::Prefixes,
            r#"- project_update {"quota_prefixes": 1}
               p pool_create
               pool:p allocate {"owner": "a", "length": 24}
               pool:p allocate {"owner": "b", "length": 24}"#,
        ),
    ];
    let house = House::start(2, Bounds::default());
    for (number, (resource, text)) in (0x9000..).zip(QUOTAS) {
        let outcome = script::run(&house, number, text).await;
        assert_eq!(outcome.status, Status::QUOTA, "{outcome:?}");
        let details = outcome.failure.map(|failure| failure.details);
        let expected = Detail::Quota { resource, limit: 1, used: 1, asked: 1 };
        assert_eq!(details, Some(vec![expected]));
    }
    house.stop().await;
}

/// Every list of section 8, and what goes on like one: a cursor that it did not make is out of its range.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_a_list_did_not_make_is_out_of_range() {
    const LISTS: [&str; 13] = [
        "- job_list",
        "- network_list",
        "- project_list",
        "- scope_list",
        "- pool_list",
        "- suspect_list",
        "n suspect_list",
        "n subnet_list",
        "n allocation_list",
        "n segment_list",
        "n host_list",
        "n port_list",
        "n pin_list",
    ];
    let house = House::start(2, Bounds::default());
    for (number, list) in (0xa000..).zip(LISTS) {
        for (at, cursor) in (0..).zip(["", "ff", "00112233", &"ff".repeat(22), &"7e".repeat(64)]) {
            let text = format!(
                r#"n network_create
                   {list} {{"limit": 0, "cursor": "{cursor}"}}"#
            );
            let outcome = script::run(&house, number * 16 + at, &text).await;
            assert_eq!(outcome.status, Status::OUT_OF_RANGE, "{list} {cursor:?}: {outcome:?}");
            let field = outcome.failure.and_then(|failure| failure.field);
            assert_eq!(field.as_ref().map(|field| field.as_str()), Some("cursor"), "{list}");
        }
    }
    house.stop().await;
}

/// A row that names a test elsewhere names one that is there and that expects the status.
#[test]
fn tests_that_rows_name_are_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for row in ROWS {
        let By::Test(file, name) = row.by else { continue };
        let text = std::fs::read_to_string(top.join(file)).unwrap_or_default();
        let (before, body) = text
            .split_once(&format!("fn {name}("))
            .unwrap_or_else(|| panic!("{}: {file} has no test {name}", row.status));
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        assert!(attributes.contains("test]"), "{}: {name} is no test", row.status);
        let body = body.split("\n}\n").next().unwrap_or_default();
        let expected = format!("Status::{}", row.status.name());
        assert!(body.contains(&expected), "{}: {name} does not expect it", row.status);
    }
}

/// A status that no request gets today is named nowhere in the server: whoever begins to send it
/// gives it a row that provokes it.
#[test]
fn what_is_never_sent_is_named_nowhere() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 100, "the sources are found");
    let unsent = ROWS.iter().filter(|row| matches!(row.by, By::Unsent));
    let names: Vec<String> = unsent.map(|row| format!("`{}`", row.status.name())).collect();
    let (last, first) = names.split_last().unwrap();
    let sentence = format!("No request of this version gets {} or {last};", first.join(", "));
    assert!(table::SPEC.contains(&sentence), "{sentence}");
    for row in ROWS.iter().filter(|row| matches!(row.by, By::Unsent)) {
        let name = format!("Status::{}", row.status.name());
        let sends = |text: &&(String, String)| text.1.contains(&name);
        let found: Vec<&String> = files.iter().filter(sends).map(|(path, _)| path).collect();
        assert!(found.is_empty(), "{name} is sent by {found:?} and has no row that provokes it");
    }
}

/// Every source file of the server's deciding and sending rooms, with its text.
fn sources(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() && !name.ends_with("/cli") {
            sources(&path, files);
        } else if name.ends_with(".rs") {
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}
