//! `SPEC.md` against the code: every example is read and written again, every table of numbers is
//! the code's, every layout adds up.

#[path = "support/faults.rs"]
#[expect(dead_code, reason = "only the frames around a body are used")]
mod faults;
#[path = "support/samples.rs"]
#[expect(dead_code, reason = "only ids and headers are used")]
mod samples;
#[path = "support/session.rs"]
mod session;

use addrd_protocol::codec::{
    FrameBounds, ReplyDecoder, ReplyOrFailure, RequestDecoder, encode_failure, encode_goaway,
    encode_request, try_encode_reply,
};
use addrd_protocol::message::principal;
use addrd_protocol::message::{
    allocate, allocation, batch, failure, list, pool, port, reconcile, segment, subnet, watch,
};
use addrd_protocol::opcode::NetworkRule;
use addrd_protocol::{Opcode, OwnerId, Retry, Status, codec, text, wire};
use bytes::BytesMut;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio_util::codec::Decoder;

const SPEC: &str = include_str!("../SPEC.md");

/// Fenced blocks: what the fence says, and the lines inside.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in SPEC.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info, Vec::new())),
            (None, None) => {}
            (Some((_, inside)), None) => inside.push(line),
            (Some(_), Some(_)) => {
                let (info, inside) = open.take().unwrap();
                blocks.push((info, inside.join("\n")));
            }
        }
    }
    assert!(open.is_none(), "a block stays open");
    blocks
}

/// Hex digits without spaces and comments.
fn bytes_of(block: &str) -> Vec<u8> {
    let digits: String = block
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().chars())
        .filter(|digit| !digit.is_whitespace())
        .collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Rows of every table whose first column has this heading, as cells, with the section around it.
fn tables(first: &str) -> Vec<(String, Vec<Vec<String>>)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let (mut heading, mut found, mut in_table) = (String::new(), Vec::new(), false);
    for line in SPEC.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        }
        if !line.starts_with('|') {
            in_table = false;
        } else if cells(line)[0] == first {
            in_table = true;
            found.push((heading.clone(), vec![cells(line)]));
        } else if in_table && !line.starts_with("|---") {
            found.last_mut().unwrap().1.push(cells(line));
        }
    }
    found
}

/// Every frame of a stream is read, and written again it is the same bytes.
fn requests_are_canonical(stream: &[u8]) {
    let (mut buffer, mut again) = (BytesMut::from(stream), BytesMut::new());
    let mut decoder = RequestDecoder { bounds: FrameBounds::REQUESTS };
    while let Some((header, body)) = decoder.decode(&mut buffer).unwrap() {
        encode_request(&header, &body.unwrap(), &mut again).unwrap();
    }
    assert_eq!(again, stream);
}

fn replies_are_canonical(stream: &[u8]) {
    let (mut buffer, mut again) = (BytesMut::from(stream), BytesMut::new());
    while let Some((header, body)) = ReplyDecoder::default().decode(&mut buffer).unwrap() {
        let (opcode, request_id) = (header.opcode, header.request_id);
        match body.unwrap() {
            ReplyOrFailure::Reply(reply) => {
                try_encode_reply(opcode, request_id, header.status, &reply, &mut again).unwrap();
            }
            ReplyOrFailure::Failure(failure) => {
                encode_failure(opcode, request_id, &failure, &mut again);
            }
            ReplyOrFailure::GoAway(goaway) => encode_goaway(&goaway, &mut again),
        }
    }
    assert_eq!(again, stream);
}

fn opcode(name: &str) -> Opcode {
    *Opcode::ALL.iter().find(|opcode| opcode.name() == name).unwrap()
}

/// A body has a tail if it can't be read without: the frame is tried both ways.
fn has_tail(frame: impl Fn(bool) -> Vec<u8>, is_read: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let frames = [frame(false), frame(true)];
    let read: Vec<_> = frames.iter().filter(|frame| is_read(frame)).collect();
    assert_eq!(read.len(), 1, "exactly one of the two must be readable");
    read[0].clone()
}

fn request_body(name: &str, body: &[u8]) {
    let frame = has_tail(
        |tail| faults::request_frame(opcode(name), body, tail),
        |frame| codec::decode_request_slice(frame).unwrap().1.is_ok(),
    );
    requests_are_canonical(&frame);
}

fn reply_body(name: &str, body: &[u8]) {
    let frame = has_tail(
        |tail| faults::reply_frame(opcode(name), Status::OK, body, tail),
        |frame| codec::decode_reply_slice(frame).unwrap().1.is_ok(),
    );
    replies_are_canonical(&frame);
}

/// A value as the tag of a request that has one of its kind.
fn value(kind: &str, value: &[u8]) {
    let plain_subnet = {
        let create = samples::requests().into_iter().find(|s| s.name == "subnet_create_plain");
        faults::encoded(&create.unwrap().request)[64..].to_vec()
    };
    let plain_allocate = {
        let plain = addrd_protocol::message::Request::Allocate(samples::plain_allocate());
        faults::encoded(&plain)[64..].to_vec()
    };
    let (name, before, tag) = match kind {
        "address" => ("allocate", plain_allocate, 0x8002_u16),
        "range" => ("allocate", plain_allocate, 0x8004),
        "prefix" => ("subnet_get", Vec::new(), 0x8003),
        "route" => ("subnet_create", plain_subnet, 0x8004),
        "setting-address" => ("subnet_create", plain_subnet, 0x8001),
        other => panic!("no example of kind {other} is known"),
    };
    let length = u16::try_from(value.len()).unwrap();
    let body = [&before[..], &tag.to_be_bytes(), &length.to_be_bytes(), value].concat();
    request_body(name, &body);
}

#[test]
fn every_hex_example_is_what_an_encoder_writes() {
    let mut count = 0;
    for (info, block) in blocks() {
        let Some(what) = info.strip_prefix("hex ") else { continue };
        let bytes = bytes_of(&block);
        match what.split(' ').collect::<Vec<_>>()[..] {
            ["frame", "request"] => requests_are_canonical(&bytes),
            ["frame", "reply"] => replies_are_canonical(&bytes),
            ["body", "request", name] => request_body(name, &bytes),
            ["body", "reply", name] => reply_body(name, &bytes),
            [kind] => value(kind, &bytes),
            _ => panic!("{info}"),
        }
        count += 1;
    }
    assert!(count > 40, "{count} examples");
}

#[test]
fn every_block_is_checked() {
    let unknown =
        |info: &&str| *info != "text" && !info.starts_with("hex ") && !info.starts_with("json ");
    assert_eq!(blocks().iter().map(|(info, _)| *info).find(unknown), None);
}

#[test]
fn every_json_example_is_a_vector() {
    for (info, block) in blocks() {
        let Some(what) = info.strip_prefix("json ") else { continue };
        let (file, name) = what.split_once(' ').unwrap();
        let path = format!("{}/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let vectors: Vec<Value> =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&block).unwrap(), vector["body"], "{name}");
    }
}

#[test]
fn the_sections_are_those_that_were_promised() {
    let titles: Vec<&str> = SPEC.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let promised = [
        "1. Primitives",
        "2. Frame and header",
        "3. Growth",
        "4. Connection",
        "5. Sessions",
        "6. Order of replies",
        "7. Batches",
        "8. Lists",
        "9. Operations",
        "10. Statuses",
        "11. Limits",
        "12. Canonical JSON",
        "13. A client in pseudo-code",
        "14. A whole session",
    ];
    assert_eq!(titles, promised);
}

#[test]
fn every_section_has_a_table_and_a_hex_example() {
    let (_, sections) = SPEC.split_once("\n## ").unwrap();
    for section in sections.split("\n## ") {
        let title = section.lines().next().unwrap();
        assert!(section.contains("\n|---"), "{title}: no table");
        assert!(section.contains("\n```hex "), "{title}: no example");
    }
}

#[test]
fn a_client_fits_forty_lines() {
    let (_, section) = SPEC.split_once("\n## 13.").unwrap();
    let (_, code) = section.split_once("```text\n").unwrap();
    let lines = code.lines().take_while(|line| *line != "```").count();
    assert!((20..=40).contains(&lines), "{lines} lines");
}

/// The rows of the table of operations.
fn operations() -> Vec<Vec<String>> {
    let found = tables("number").into_iter().find(|(section, _)| section == "9. Operations");
    found.unwrap().1.split_off(1)
}

#[test]
fn the_table_of_operations_is_the_code() {
    let rule = |opcode: Opcode| match opcode {
        Opcode::GOAWAY | Opcode::ERROR | Opcode::EVENTS | Opcode::WATCH_END => "",
        _ => match opcode.network_rule() {
            NetworkRule::Needed => "needed",
            NetworkRule::Optional => "optional",
            NetworkRule::None => "none",
        },
    };
    let row = |opcode: &Opcode| {
        [format!("{:#06x}", opcode.0), opcode.name().to_owned(), rule(*opcode).to_owned()]
    };
    let code: Vec<[String; 3]> = Opcode::ALL.iter().map(row).collect();
    let stated: Vec<[String; 3]> =
        operations().iter().map(|row| [0, 1, 2].map(|at| row[at].clone())).collect();
    assert_eq!(stated, code);
}

#[test]
fn the_table_of_statuses_is_the_code() {
    let found = tables("number").into_iter().find(|(section, table)| {
        section == "10. Statuses" && table[0].contains(&"class".to_owned())
    });
    let class = |status: &Status| match status.retry() {
        Retry::Done => "done",
        Retry::Refused => "refused",
        Retry::Invalid => "invalid",
        Retry::Denied => "denied",
        Retry::Later => "later",
        Retry::Unknown => "unknown",
    };
    let row = |status: &Status| {
        [
            format!("{:#06x}", status.0),
            status.name().to_owned(),
            class(status).to_owned(),
            status.http().to_string(),
            status.neutron().to_owned(),
        ]
    };
    let code: Vec<[String; 5]> = Status::ALL.iter().map(row).collect();
    let stated: Vec<[String; 5]> =
        found.unwrap().1[1..].iter().map(|row| [0, 1, 2, 3, 4].map(|at| row[at].clone())).collect();
    assert_eq!(stated, code);
}

#[test]
fn the_table_of_limits_is_the_code() {
    let code = BTreeMap::from([
        ("HELLO_BYTES_MAX", u64::from(codec::HELLO_BYTES_MAX)),
        ("REQUEST_BYTES_MAX", codec::REQUEST_BYTES_MAX.into()),
        ("BATCH_BYTES_MAX", codec::BATCH_BYTES_MAX.into()),
        ("BATCH_ITEMS_MAX", batch::BATCH_ITEMS_MAX as u64),
        ("REPLY_BYTES_MAX", codec::REPLY_BYTES_MAX.into()),
        ("CREDIT", codec::CREDIT.into()),
        ("TAIL_ENTRIES_MAX", wire::TAIL_ENTRIES_MAX as u64),
        ("TEXT_BYTES_MAX", text::TEXT_BYTES_MAX as u64),
        ("NAME_BYTES_MAX", text::NAME_BYTES_MAX as u64),
        ("MANAGER_BYTES_MAX", text::MANAGER_BYTES_MAX as u64),
        ("CURSOR_BYTES_MAX", list::CURSOR_BYTES_MAX as u64),
        ("PAGE_OBJECTS_MAX", list::PAGE_OBJECTS_MAX.into()),
        ("CANDIDATES_MAX", allocate::CANDIDATES_MAX as u64),
        ("POOLS_MAX", subnet::POOLS_MAX as u64),
        ("POOL_PREFIXES_MAX", pool::POOL_PREFIXES_MAX as u64),
        ("CHOICE_PREFIXES_MAX", pool::CHOICE_PREFIXES_MAX as u64),
        ("PAGE_POOLS_MAX", codec::PAGE_POOLS_MAX.into()),
        ("GRANTS_MAX", principal::GRANTS_MAX as u64),
        ("CERTIFICATE_NAMES_MAX", principal::CERTIFICATE_NAMES_MAX as u64),
        ("UNIX_USERS_MAX", principal::UNIX_USERS_MAX as u64),
        ("TOKENS_MAX", principal::TOKENS_MAX as u64),
        ("PAGE_PRINCIPALS_MAX", principal::PAGE_PRINCIPALS_MAX.into()),
        ("PAGE_HISTORY_MAX", codec::PAGE_HISTORY_MAX as u64),
        ("EXCLUSIONS_MAX", subnet::EXCLUSIONS_MAX as u64),
        ("DNS_SERVERS_MAX", subnet::DNS_SERVERS_MAX as u64),
        ("ROUTES_MAX", subnet::ROUTES_MAX as u64),
        ("SERVICE_TYPES_MAX", subnet::SERVICE_TYPES_MAX as u64),
        ("DEVICE_OWNER_BYTES_MAX", text::DEVICE_OWNER_BYTES_MAX as u64),
        ("FIXED_IPS_MAX", port::FIXED_IPS_MAX as u64),
        ("PORT_ADDRESSES_MAX", port::PORT_ADDRESSES_MAX as u64),
        ("BATCH_FIXED_IPS_MAX", port::BATCH_FIXED_IPS_MAX as u64),
        ("QUOTA_MAX", addrd_protocol::message::QUOTA_MAX),
        ("SEGMENT_HOSTS_MAX", segment::SEGMENT_HOSTS_MAX as u64),
        ("EVENTS_MAX", watch::EVENTS_MAX as u64),
        ("WATCHES_MAX", watch::WATCHES_MAX as u64),
        ("LOOKUPS_MAX", allocation::LOOKUPS_MAX as u64),
        ("RECONCILE_LIVE_MAX", reconcile::RECONCILE_LIVE_MAX as u64),
        ("RECONCILE_PARTS_MAX", reconcile::RECONCILE_PARTS_MAX.into()),
        ("SUSPECTS_MAX", reconcile::SUSPECTS_MAX as u64),
        ("DETAILS_MAX", failure::DETAILS_MAX as u64),
        ("FAILURE_BYTES_MAX", codec::FAILURE_BYTES_MAX as u64),
        ("BATCH_RESULT_BYTES_MAX", codec::BATCH_RESULT_BYTES_MAX as u64),
    ]);
    let (_, table) = &tables("limit")[0];
    let stated: BTreeMap<&str, u64> = table[1..]
        .iter()
        .map(|row| (row[0].as_str(), row[1].replace(',', "").parse().unwrap()))
        .collect();
    assert_eq!(stated, code);
}

#[test]
fn the_worked_owners_are_right() {
    let (_, table) = tables("text").into_iter().find(|(_, table)| table[0][1] == "owner").unwrap();
    for row in &table[1..] {
        assert_eq!(OwnerId::from_text(row[0].trim_matches('`')).to_string(), row[1], "{}", row[0]);
    }
    assert!(SPEC.contains(&addrd_protocol::id::NAMESPACE.to_string()));
    assert!(SPEC.contains(&addrd_protocol::ProjectId::DEFAULT.to_string()));
}

#[test]
fn the_longest_batch_reply_is_as_stated() {
    assert!(SPEC.contains("at most 2,080 + n x 1,020 bytes"));
    assert_eq!(codec::batch_reply_bytes_max(0), 2_080);
    assert_eq!(codec::batch_reply_bytes_max(1), 3_100);
}

/// Fields follow each other without a gap; the first may stand behind another table's last.
#[test]
fn every_layout_adds_up_to_its_fixed_part() {
    let rows = operations();
    let fixed = |name: &str, at: usize| -> Option<usize> {
        rows.iter().find(|row| row[1] == name).and_then(|row| row[at].parse().ok())
    };
    let mut compared = 0;
    for (section, table) in tables("offset") {
        let number = |row: &Vec<String>, at: usize| -> usize { row[at].parse().unwrap() };
        let mut end = number(&table[1], 0);
        for row in &table[1..] {
            assert_eq!(number(row, 0), end, "{section}: {row:?}");
            end += number(row, 1);
        }
        let name = section.split(' ').next().unwrap();
        let whole = match table[0][2].as_str() {
            "field of the request" => fixed(name, 3),
            "field of the reply" => fixed(name, 4),
            _ => None,
        };
        if let Some(whole) = whole {
            assert_eq!(end, whole, "{section}");
            compared += 1;
        }
    }
    assert!(compared >= 15, "{compared} layouts");
}

/// What the table says of fixed parts is what an encoder writes when there is nothing else.
#[test]
fn fixed_parts_are_as_long_as_stated() {
    let rows = operations();
    let stated = |name: &str, at: usize| -> usize {
        rows.iter().find(|row| row[1] == name).unwrap()[at].parse().unwrap()
    };
    for sample in samples::requests() {
        let frame = faults::encoded(&sample.request);
        let (name, length) = (sample.header.opcode.name(), frame.len() - 64);
        assert!(length >= stated(name, 3), "{}", sample.name);
        if frame[5] == 0 && !sample.header.opcode.has_items() {
            assert_eq!(length, stated(name, 3), "{}", sample.name);
        }
    }
    for sample in samples::replies().iter().filter(|sample| sample.status == Status::OK) {
        let ReplyOrFailure::Reply(reply) = &sample.body else { continue };
        let mut frame = BytesMut::new();
        try_encode_reply(sample.opcode, 1, Status::OK, reply, &mut frame).unwrap();
        let (name, length) = (sample.opcode.name(), frame.len() - 24);
        assert!(length >= stated(name, 4), "{}", sample.name);
        let has_items = reply_has_items(reply);
        if frame[5] == 0 && !has_items {
            assert_eq!(length, stated(name, 4), "{}", sample.name);
        }
    }
}

fn reply_has_items(reply: &addrd_protocol::message::Reply) -> bool {
    use addrd_protocol::message::Reply;
    match reply {
        Reply::Job(_) | Reply::Jobs(_) | Reply::Networks(_) | Reply::Subnets(_) => true,
        Reply::Usage(_) | Reply::FreeRanges(_) | Reply::Allocations(_) => true,
        Reply::Projects(_) | Reply::Scopes(_) | Reply::Pools(_) => true,
        Reply::Principals(_) => true,
        Reply::Batch(_) | Reply::Segments(_) | Reply::Hosts(_) | Reply::Ports(_) => true,
        Reply::Pins(_) | Reply::Port(_) | Reply::Events(_) => true,
        Reply::BackupBlock(block) => !block.bytes.is_empty(),
        Reply::Suspects(_) | Reply::Managers(_) | Reply::HostLeases(_) | Reply::History(_) => true,
        Reply::Lookups(found) => !found.allocations.is_empty(),
        _ => false,
    }
}
