//! The statuses that projects give each other on what they share: what each says, and that it says no
//! more. Everything that somebody else has is full of words that may not appear.

use crate::house::{self, House};
use crate::{Outcome, details, script, table};
use addrd_client::Connection;
use addrd_client::protocol::message::RequestHeader;
use addrd_client::protocol::{ProjectId, Status};
use tokio::net::TcpStream;

/// What one project gets where another has something. Before each line stands who sends it: `home`,
/// which has network n and pool ~p and lends them, or a guest, `ann` or `bob`.
struct Row {
    status: Status,
    /// What the failure has, sorted.
    details: &'static [&'static str],
    text: &'static str,
}

const fn row(status: Status, details: &'static [&'static str], text: &'static str) -> Row {
    Row { status, details, text }
}

/// A word of another's request that an answer may not have.
const SECRET: &str = "canary";

const ROWS: &[Row] = &[
    row(
        Status::NOT_HELD,
        &[],
        r#"home n allocate {"owner": "canary", "exact": "10.0.0.9"}
           ann n release {"target": {"key": {"owner": "canary", "slot": 0}}}"#,
    ),
    row(
        Status::NOT_HELD,
        &[],
        r#"bob n allocate {"owner": "canary", "exact": "10.0.0.9"}
           ann n release {"target": {"address": "10.0.0.9"}, "any": true}"#,
    ),
    row(
        Status::EXHAUSTED,
        &["candidate"],
        r#"home n subnet_create {"subnet_id": "t", "cidr": "10.1.0.0/30"}
           bob n allocate {"owner": "canary", "subnets": ["t"], "host": "canary"}
           ann n allocate {"owner": "a", "subnets": ["t"]}"#,
    ),
    row(
        Status::ADDRESS_TAKEN,
        &["field"],
        r#"home n allocate {"owner": "canary", "exact": "10.0.0.9", "label": "canary", "host": "canary"}
           ann n allocate {"owner": "a", "exact": "10.0.0.9"}"#,
    ),
    row(
        Status::ADDRESS_TAKEN,
        &["field"],
        r#"bob n allocate {"owner": "canary", "exact": "10.0.0.9", "owner_name": "canary"}
           home n allocate {"owner": "a", "exact": "10.0.0.9"}"#,
    ),
    row(
        Status::ADDRESS_TAKEN,
        &["field"],
        r#"bob n port_create {"port_id": "canary", "fixed_ips": [{"ip_address": "10.0.0.9"}], "host": "canary"}
           ann n port_create {"fixed_ips": [{"ip_address": "10.0.0.9"}]}"#,
    ),
    row(
        Status::KEY_IN_USE,
        &["field", "held"],
        r#"bob n allocate {"owner": "a", "exact": "10.0.0.9", "label": "canary"}
           ann n allocate {"owner": "a", "exact": "10.0.0.10"}
           ann n allocate {"owner": "a", "exact": "10.0.0.9"}"#,
    ),
    row(
        Status::HELD_BY_OTHER_INSTANCE,
        &["current", "field", "held"],
        r#"bob n allocate {"owner": "a", "instance": "7", "label": "canary"}
           ann n allocate {"owner": "a", "instance": "1"}
           ann n allocate {"owner": "a", "instance": "2"}"#,
    ),
    row(
        Status::STALE,
        &["current", "field"],
        r#"bob n allocate {"owner": "a", "label": "canary"}
           ann n allocate {"owner": "a"}
           ann n release {"target": {"key": {"owner": "a", "slot": 0}}, "revision": "1"}"#,
    ),
    // Only the network's project is told that somebody is there, and not who.
    row(
        Status::NOT_HOLDER,
        &["field"],
        r#"ann n allocate {"owner": "canary", "exact": "10.0.0.9", "label": "canary"}
           home n release {"target": {"address": "10.0.0.9"}, "any": true}"#,
    ),
    row(
        Status::NOT_FOUND,
        &[],
        r#"home n network_update {"shared": false}
           ann n network_get"#,
    ),
    row(
        Status::NOT_FOUND,
        &[],
        r#"bob n allocate {"owner": "canary", "exact": "10.0.0.9"}
           ann n allocation_get {"target": {"address": "10.0.0.9"}}"#,
    ),
    row(
        Status::NOT_FOUND,
        &["field"],
        r#"bob n port_create {"port_id": "x", "host": "canary"}
           ann n port_get {"port_id": "x"}"#,
    ),
    row(
        Status::MAC_IN_USE,
        &["field"],
        r#"bob n port_create {"port_id": "canary", "mac": "02:00:00:00:00:01", "host": "canary"}
           ann n port_create {"mac": "02:00:00:00:00:01"}"#,
    ),
    row(
        Status::PINNED,
        &["field"],
        r#"home n pin_create {"address": "10.0.0.9", "owner": "canary", "owner_name": "canary"}
           ann n allocate {"owner": "canary-too", "exact": "10.0.0.9"}"#,
    ),
    row(Status::IS_GATEWAY, &["field"], r#"ann n allocate {"owner": "a", "exact": "10.0.0.1"}"#),
    row(
        Status::EXCLUDED,
        &["field"],
        r#"home n subnet_exclude {"first": "10.0.0.9", "last": "10.0.0.9", "reason": "canary"}
           ann n allocate {"owner": "a", "exact": "10.0.0.9"}"#,
    ),
    row(
        Status::IN_USE,
        &["count", "field"],
        r#"ann n allocate {"owner": "canary", "host": "canary"}
           home n network_update {"shared": false}"#,
    ),
    row(
        Status::IN_USE,
        &["count", "field"],
        r#"ann n port_create {"port_id": "canary", "fixed_ips": []}
           home n network_update {"shared": false}"#,
    ),
    row(
        Status::IN_USE,
        &["count", "held"],
        r#"ann n allocate {"owner": "canary", "host": "canary", "label": "canary"}
           home n subnet_delete"#,
    ),
    row(Status::UNSUPPORTED, &["field"], r#"ann n subnet_create {"cidr": "10.2.0.0/24"}"#),
    row(
        Status::PREFIX_TAKEN,
        &["field"],
        r#"bob pool:~p allocate {"owner": "canary", "length": 24, "exact": "10.64.9.0", "label": "canary"}
           ann pool:~p allocate {"owner": "a", "length": 24, "exact": "10.64.9.0"}"#,
    ),
    row(
        Status::POOL_EXHAUSTED,
        &["field"],
        r#"bob pool:~p allocate {"owner": "canary", "length": 16, "host": "canary"}
           ann pool:~p allocate {"owner": "a", "length": 24}"#,
    ),
    // What each uses counts for itself.
    row(
        Status::QUOTA,
        &["quota"],
        r#"home ~p pool_update {"default_quota": 256}
           bob pool:~p allocate {"owner": "canary", "length": 24}
           ann pool:~p allocate {"owner": "a", "length": 25}
           ann pool:~p allocate {"owner": "b", "length": 24}"#,
    ),
    row(
        Status::POOL_IN_USE,
        &["field"],
        r#"ann pool:~p allocate {"owner": "canary", "length": 24}
           home ~p pool_update {"shared": false}"#,
    ),
    row(Status::NOT_FOUND, &[], "ann ~p pool_delete"),
    row(
        Status::SCOPE_OVERLAP,
        &["field"],
        r#"home ~s scope_create {"shared": true}
           bob canary pool_create {"name": "canary", "prefixes": ["10.80.0.0/16"], "address_scope_id": "~s"}
           ann q pool_create {"prefixes": ["10.80.9.0/24"], "address_scope_id": "~s"}"#,
    ),
];

/// What every row begins with.
const LENT: &str = r#"home n network_create {"shared": true}
    home n subnet_create {"cidr": "10.0.0.0/24"}
    home ~p pool_create {"shared": true, "prefixes": ["10.64.0.0/16"]}"#;

/// The projects of a row: nobody else has them.
fn project(row: usize, who: &str) -> ProjectId {
    let who = ["home", "ann", "bob"].iter().position(|name| *name == who);
    let who = who.unwrap_or_else(|| panic!("row {row}: who is that?"));
    ProjectId::from_u128(0xbed_0000 + 16 * row as u128 + who as u128)
}

/// Operations on a network of one's own, or on none, though others have the same.
fn is_of_home(operation: &str) -> bool {
    !["project_create", "pool_", "scope_"].iter().any(|own| operation.starts_with(own))
}

async fn say(connection: &mut Connection<TcpStream>, row: usize, line: &str) -> Outcome {
    // A pool or scope that is shared is found by its id in every project.
    let line = line.replace('~', &format!("{row}-"));
    let (who, rest) = line.split_once(' ').unwrap();
    let (on, pool, request) = script::parse(rest);
    let operation = rest.split(' ').nth(1).unwrap_or_default();
    let is_guest = who != "home" && !pool && is_of_home(operation);
    let header = RequestHeader {
        project: project(row, who),
        pool,
        network_project: is_guest.then(|| project(row, "home")),
        ..house::header(1, on, &request)
    };
    connection.queue(&header, &request).unwrap();
    connection.flush().await.unwrap();
    let (header, body) = connection.receive().await.unwrap();
    Outcome::of(header.status, body.unwrap())
}

/// What an answer has otherwise than the row says, in words.
fn differences(row: &Row, number: usize, outcome: &Outcome, asker: &str) -> Vec<String> {
    let mut found = Vec::new();
    let given = outcome.failure.as_ref().map(details).unwrap_or_default();
    if (outcome.status, &given[..]) != (row.status, row.details) {
        found.push(format!("{} with {given:?}", outcome.status));
    }
    // Debug text has ids and texts alike.
    let text = format!("{:?}", outcome.failure);
    let mut secrets = vec![SECRET.to_owned(), script::id(SECRET)];
    // A guest knows whose the network is, and that project may see who its guests are.
    let guests = ["ann", "bob"].into_iter().filter(|who| !["home", who].contains(&asker));
    secrets.extend(guests.map(|who| project(number, who).to_string()));
    found.extend(secrets.iter().filter(|secret| text.contains(*secret)).cloned());
    found.iter().map(|what| format!("{}: {what}: {}: {outcome:?}", row.status, row.text)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_tell_each_other_that_something_is_taken_and_nothing_else() {
    let house = House::start(2, addrd::config::Bounds::default());
    let stated = table::statuses();
    let mut found = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let mut connection = house.connect().await;
        for who in ["home", "ann", "bob"] {
            let made = say(&mut connection, number, &format!("{who} - project_create {{}}")).await;
            assert!(made.failure.is_none(), "{made:?}");
        }
        let lines: Vec<&str> = LENT.lines().chain(row.text.lines()).map(str::trim).collect();
        let (last, before) = lines.split_last().unwrap();
        for line in before {
            let done = say(&mut connection, number, line).await;
            assert!(done.failure.is_none(), "before {last}, {line}: {done:?}");
        }
        let outcome = say(&mut connection, number, last).await;
        let asker = last.split(' ').next().unwrap();
        found.extend(differences(row, number, &outcome, asker));
        // No detail that the table of the statuses doesn't know.
        let own = stated.iter().find(|stated| stated.name == row.status.name()).unwrap();
        let more = row
            .details
            .iter()
            .filter(|&detail| *detail != "field" && !own.details.contains(detail));
        assert_eq!(more.count(), 0, "{}: {:?} beside {:?}", row.status, row.details, own.details);
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    house.stop().await;
}
