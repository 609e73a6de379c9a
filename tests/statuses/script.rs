//! Requests as lines of text, run one by one on a connection in a project of their own.
//!
//! A line is the header's network (`-` = none, `pool:p` = a pool), the operation, and its JSON as in
//! SPEC.md section 12 with defaults for what is always the same. Ids are any text. All but the last
//! must be done; what the last one got is the outcome. `$` is the revision of what was allocated last.

use crate::Outcome;
use crate::house::{self, House};
use addrd_client::Connection;
use addrd_client::protocol::codec::ReplyOrFailure;
use addrd_client::protocol::message::{Reply, Request};
use addrd_client::protocol::{NetworkId, OwnerId, ProjectId, Revision};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

pub(crate) async fn run(house: &House, project: u128, text: &str) -> Outcome {
    let project = ProjectId::from_u128(0x5eed_0000 + project);
    let mut connection = house.connect().await;
    let mut revision = Revision::default();
    let made = ask(&mut connection, project, 1, "- project_create {}", &mut revision).await;
    assert!(made.failure.is_none(), "{made:?}");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut last = made;
    for (number, line) in (2..).zip(&lines) {
        assert!(last.failure.is_none(), "before {line}: {last:?}");
        let line = line.replace('$', &revision.to_string());
        last = ask(&mut connection, project, number, &line, &mut revision).await;
    }
    last
}

async fn ask(
    connection: &mut Connection<TcpStream>,
    project: ProjectId,
    number: u64,
    line: &str,
    revision: &mut Revision,
) -> Outcome {
    let (on, pool, request) = parse(line);
    let header = house::header(number, on, &request);
    let header = addrd_client::protocol::message::RequestHeader { project, pool, ..header };
    connection.queue(&header, &request).unwrap();
    connection.flush().await.unwrap();
    let (header, body) = connection.receive().await.unwrap();
    assert_eq!(header.request_id, number);
    let body = body.unwrap();
    if let ReplyOrFailure::Reply(Reply::Allocated(allocated)) = &body {
        *revision = allocated.first.revision;
    }
    Outcome::of(header.status, body)
}

/// Network of the header, whether that is a pool, and the request.
pub(crate) fn parse(line: &str) -> (NetworkId, bool, Request) {
    let mut parts = line.splitn(3, ' ');
    let (place, operation) = (parts.next().unwrap(), parts.next().unwrap());
    let given: Value = serde_json::from_str(parts.next().unwrap_or("{}"))
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut body = defaults(operation);
    body.extend(with_ids("", given).as_object().unwrap().clone());
    if let Some(Value::Array(items)) = body.get_mut("items") {
        items.iter_mut().for_each(complete_item);
    }
    let request = serde_json::from_value(json!({ operation: body }));
    let request = request.unwrap_or_else(|error| panic!("{line}: {error}"));
    let (name, pool) = match place.strip_prefix("pool:") {
        Some(name) => (name, true),
        None => (place, false),
    };
    let on = if name == "-" { NetworkId::NIL } else { id(name).parse().unwrap() };
    (on, pool, request)
}

fn complete_item(item: &mut Value) {
    let (operation, given) = item.as_object().unwrap().iter().next().unwrap();
    let mut body = defaults(operation);
    body.extend(given.as_object().unwrap().clone());
    *item = json!({ operation.as_str(): body });
}

/// Fields that most requests have alike.
fn defaults(operation: &str) -> Map<String, Value> {
    let all = match operation {
        "subnet_create" => json!({
            "subnet_id": id("s"), "kind": "broadcast", "strategy": "default", "enable_dhcp": false,
        }),
        "subnet_update" | "subnet_delete" => json!({
            "subnet_id": id("s"), "expected": "0",
        }),
        "subnet_exclude" => json!({ "subnet_id": id("s"), "mode": "everyone" }),
        "allocate" => json!({
            "slot": 0, "instance": "0", "family": "one", "strategy": "default",
            "flags": { "takeover": false, "allow_gateway": false, "allow_resting": false,
                "want_subnet": false },
        }),
        "release" => json!({ "any": false }),
        "pool_create" => json!({
            "family": "v4", "prefixes": ["10.0.0.0/16"], "is_default": false, "shared": false,
        }),
        "scope_create" => json!({ "family": "v4", "shared": false }),
        "network_update" | "network_delete" | "pool_update" | "pool_delete" => {
            json!({ "expected": "0" })
        }
        "port_create" => json!({ "port_id": id("p"), "allow_gateway": false }),
        "port_update" => json!({ "port_id": id("p"), "allow_gateway": false, "expected": "0" }),
        "pin_create" => json!({ "slot": 0 }),
        _ => json!({}),
    };
    let mut all = all.as_object().unwrap().clone();
    if matches!(operation, "subnet_delete" | "network_delete") {
        all.insert("force".to_owned(), json!(false));
    }
    all
}

/// Ids may be any text: each text is its own.
fn with_ids(field: &str, value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let value = with_ids(&key, value);
                    (key, value)
                })
                .collect(),
        ),
        Value::Array(all) => {
            Value::Array(all.into_iter().map(|value| with_ids(field, value)).collect())
        }
        Value::String(text) if is_id(field) => Value::String(id(&text)),
        other => other,
    }
}

fn is_id(field: &str) -> bool {
    field.ends_with("_id") || matches!(field, "owner" | "subnets" | "scope_v4" | "scope_v6")
}

/// The id of a text, as owners have it.
pub(crate) fn id(text: &str) -> String {
    OwnerId::from_text(text).to_string()
}
