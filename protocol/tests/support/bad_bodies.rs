//! Wrong bodies of every operation, in both directions: three that follow from its shortest
//! sample, and those that only it can have. Like samples they are added, never changed.

use super::{changed, encoded, reply_frame, request_frame, tail};
use crate::samples::{ReplySample, replies, requests};
use addrd_protocol::codec::{ReplyOrFailure, encode_failure, encode_goaway, try_encode_reply};
use addrd_protocol::header::{REPLY_HEADER_BYTES, REQUEST_HEADER_BYTES};
use addrd_protocol::*;
use bytes::BytesMut;

/// Names and frames.
type Named = Vec<(String, Vec<u8>)>;
/// Names, operations, places in the body and what stands there instead.
type Changes<'a> = &'a [(&'a str, &'a str, usize, u8)];
/// A name, an operation, and the entries of its tail.
type Tail<'a> = (&'a str, Opcode, &'a [(u16, &'a [u8])]);

/// Of two frames the one without a tail, else the shorter one.
fn simplest(frames: impl Iterator<Item = Vec<u8>>) -> Option<Vec<u8>> {
    frames.min_by_key(|frame| (frame[5], frame.len()))
}

/// The simplest request of an operation.
fn request_of(opcode: Opcode) -> Option<Vec<u8>> {
    let samples = requests().into_iter().filter(|sample| sample.header.opcode == opcode);
    simplest(samples.map(|sample| encoded(&sample.request)))
}

fn reply_bytes(sample: &ReplySample) -> Vec<u8> {
    let mut out = BytesMut::new();
    match &sample.body {
        ReplyOrFailure::Reply(reply) => {
            try_encode_reply(sample.opcode, 7, sample.status, reply, &mut out).unwrap();
        }
        ReplyOrFailure::Failure(failure) => encode_failure(sample.opcode, 7, failure, &mut out),
        ReplyOrFailure::GoAway(goaway) => encode_goaway(goaway, &mut out),
    }
    out.to_vec()
}

/// The simplest reply of an operation, not a failure unless it has nothing else.
fn reply_of(opcode: Opcode) -> Option<Vec<u8>> {
    let is_done = |sample: &ReplySample| sample.status == Status::OK || opcode == Opcode::ERROR;
    let samples = replies().into_iter().filter(|sample| sample.opcode == opcode);
    simplest(samples.filter(is_done).map(|sample| reply_bytes(&sample)))
}

/// The frame with one byte less or with more bytes, and its length put right.
fn resized(mut frame: Vec<u8>, less: usize, more: &[u8]) -> Vec<u8> {
    frame.truncate(frame.len() - less);
    frame.extend(more);
    let length = u32::try_from(frame.len()).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// For each operation: its body cut, a byte behind it, and a critical tag that nobody knows.
pub(super) fn requests_of_every_operation() -> Named {
    let mut bad = Named::new();
    for opcode in Opcode::ALL {
        let (name, Some(frame)) = (opcode.name(), request_of(*opcode)) else { continue };
        if frame.len() > REQUEST_HEADER_BYTES {
            bad.push((format!("{name}_request_cut"), resized(frame.clone(), 1, &[])));
        }
        bad.push((format!("{name}_request_and_a_byte"), resized(frame.clone(), 0, &[0])));
        let unknown = resized(frame, 0, &tail(&[(0xffee, b"later")]));
        bad.push((format!("{name}_request_unknown_tag"), changed(unknown, 5, 1)));
    }
    bad
}

/// For each operation: its body cut, and a byte behind it.
pub(super) fn replies_of_every_operation() -> Named {
    let mut bad = Named::new();
    for opcode in Opcode::ALL {
        let (name, Some(frame)) = (opcode.name(), reply_of(*opcode)) else { continue };
        if frame.len() > REPLY_HEADER_BYTES {
            bad.push((format!("{name}_reply_cut"), resized(frame.clone(), 1, &[])));
        }
        bad.push((format!("{name}_reply_and_a_byte"), resized(frame, 0, &[0])));
    }
    bad
}

fn opcode(name: &str) -> Opcode {
    *Opcode::ALL.iter().find(|opcode| opcode.name() == name).unwrap()
}

/// Bytes of requests that have no meaning, or another one than what the fields beside them say.
const REQUEST_BYTES: Changes<'_> = &[
    ("hello_version_zero", "hello", 0, 0),
    ("hello_reserved", "hello", 3, 1),
    ("job_list_reserved", "job_list", 7, 1),
    ("network_delete_unknown_flag", "network_delete", 1, 2),
    ("network_delete_reserved", "network_delete", 7, 1),
    ("subnet_create_unknown_family", "subnet_create", 32, 5),
    ("subnet_create_unknown_kind", "subnet_create", 34, 3),
    ("subnet_create_unknown_strategy", "subnet_create", 35, 7),
    ("subnet_create_unknown_flag", "subnet_create", 37, 2),
    ("subnet_delete_unknown_flag", "subnet_delete", 0, 1),
    ("subnet_exclude_unknown_mode", "subnet_exclude", 49, 3),
    ("subnet_exclude_reserved", "subnet_exclude", 55, 1),
    ("subnet_include_with_mode", "subnet_include", 49, 1),
    ("free_ranges_reserved", "free_ranges", 7, 1),
    ("allocation_update_any", "allocation_update", 1, 2),
    ("allocation_get_unknown_flag", "allocation_get", 1, 4),
    ("allocation_list_state_without_flag", "allocation_list", 6, 2),
    ("allocation_list_unknown_family", "allocation_list", 7, 5),
    ("allocation_list_changed_since_without_flag", "allocation_list", 15, 1),
    ("lookup_reserved", "lookup", 7, 1),
    ("reconcile_unknown_flag", "reconcile", 1, 2),
    ("reconcile_part_behind_the_last", "reconcile", 3, 2),
    ("reconcile_of_no_parts", "reconcile", 5, 0),
    ("reconcile_of_too_many_parts", "reconcile", 4, 4),
    ("reconcile_call_zero", "reconcile", 15, 0),
    ("reconcile_without_grace", "reconcile", 18, 0),
    ("reconcile_reserved", "reconcile", 23, 1),
    ("manager_list_reserved", "manager_list", 7, 1),
    ("transfer_by_key", "transfer", 1, 0x14),
    ("transfer_unknown_flag", "transfer", 1, 0x95),
    ("transfer_to_nothing", "transfer", 1, 0x05),
    ("transfer_slot_without_flag", "transfer", 65, 1),
    ("transfer_reserved", "transfer", 71, 1),
    ("server_adopt_unknown_action", "server_adopt", 0, 3),
    ("server_adopt_reserved", "server_adopt", 7, 1),
    ("backup_read_reserved", "backup_read", 23, 1),
    ("backup_read_too_fast", "backup_read", 24, 1),
    ("history_unknown_flag", "history", 1, 8),
    ("history_slot_without_owner", "history", 1, 2),
    ("history_slot_of_address", "history", 3, 1),
    ("history_unknown_family", "history", 4, 5),
    ("history_reserved", "history", 7, 1),
    ("history_ends_before_it_begins", "history", 24, 1),
    ("history_limit_too_high", "history", 42, 4),
    ("watch_position_without_flag", "watch", 7, 1),
    ("watch_unknown_flag", "watch", 13, 4),
    ("watch_unknown_kind", "watch", 14, 0x20),
    ("token_create_for_ages", "token_create", 56, 1),
    ("token_revoke_in_an_age", "token_revoke", 8, 1),
];

/// The fixed part of an operation's request.
fn fixed_part(opcode: Opcode) -> Vec<u8> {
    match opcode {
        Opcode::NETWORK_FIND => Vec::new(),
        Opcode::FREE_RANGES => vec![0; 8],
        Opcode::RECONCILE => request_of(opcode).unwrap()[REQUEST_HEADER_BYTES..][..24].to_vec(),
        _ => request_of(opcode).unwrap()[REQUEST_HEADER_BYTES..].to_vec(),
    }
}

/// A grant with a verb that nobody knows.
const UNKNOWN_VERB: [u8; 18] = [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0x41, 0];

/// Tails that can't be right.
fn request_tails() -> Named {
    let (cni, n1) = ((0x8001, &b"cni"[..]), (0x8002, &b"n1"[..]));
    let bad: [Tail<'_>; 26] = [
        ("hello_server_id_of_15_bytes", Opcode::HELLO, &[(0x8001, &[5; 15])]),
        ("hello_token_of_39_bytes", Opcode::HELLO, &[(0x8005, &[5; 39])]),
        ("principal_create_grant_of_no_verb", Opcode::PRINCIPAL_CREATE, &[(0x8003, &[0; 18])]),
        ("principal_create_unknown_verb", Opcode::PRINCIPAL_CREATE, &[(0x8003, &UNKNOWN_VERB)]),
        ("principal_create_nameless_certificate", Opcode::PRINCIPAL_CREATE, &[(0x8004, &[0])]),
        ("principal_create_nine_users", Opcode::PRINCIPAL_CREATE, &[(0x8005, &[9; 36])]),
        ("hello_manager_of_65_bytes", Opcode::HELLO, &[(0x8003, &[b'm'; 65])]),
        ("job_list_cursor_of_65_bytes", Opcode::JOB_LIST, &[(0x8001, &[9; 65])]),
        ("suspect_list_cursor_of_65_bytes", Opcode::SUSPECT_LIST, &[(0x8003, &[9; 65])]),
        ("network_list_prefix_of_64_bytes", Opcode::NETWORK_LIST, &[(0x8002, &[b'n'; 64])]),
        ("network_find_name_of_spaces", Opcode::NETWORK_FIND, &[(0x8001, b"  ")]),
        ("network_update_setting_of_2", Opcode::NETWORK_UPDATE, &[(0x8001, &[2])]),
        ("network_update_null_and_more", Opcode::NETWORK_UPDATE, &[(0x8002, &[0, b'a'])]),
        ("subnet_create_six_dns_servers", Opcode::SUBNET_CREATE, &[(0x8003, &[4; 30])]),
        ("subnet_update_empty_setting", Opcode::SUBNET_UPDATE, &[(0x8001, &[])]),
        ("subnet_update_unknown_strategy", Opcode::SUBNET_UPDATE, &[(0x8007, &[1, 99])]),
        ("subnet_update_enable_dhcp_of_2", Opcode::SUBNET_UPDATE, &[(0x8008, &[1, 2])]),
        ("usage_of_two_subnets", Opcode::USAGE, &[(0x8001, &[1; 16]), (0x8002, b"front")]),
        ("free_ranges_of_no_subnet", Opcode::FREE_RANGES, &[(0x8004, &[4, 10, 0, 0, 1])]),
        ("reconcile_without_host", Opcode::RECONCILE, &[cni]),
        ("reconcile_without_manager", Opcode::RECONCILE, &[n1]),
        ("reconcile_empty_host", Opcode::RECONCILE, &[cni, (0x8002, &[])]),
        ("reconcile_half_an_entry", Opcode::RECONCILE, &[cni, n1, (0x8003, &[7; 27])]),
        ("reconcile_owner_zero", Opcode::RECONCILE, &[cni, n1, (0x8003, &[0; 26])]),
        ("reconcile_of_2049", Opcode::RECONCILE, &[cni, n1, (0x8003, &[7; 2_049 * 26])]),
        (
            "allocation_update_label_of_256",
            Opcode::ALLOCATION_UPDATE,
            &[(0x8003, &[&[1][..], &[b'a'; 256]].concat())],
        ),
    ];
    let named = |(name, opcode, entries): Tail<'_>| {
        let body = [fixed_part(opcode), tail(entries)].concat();
        (name.to_owned(), request_frame(opcode, &body, true))
    };
    bad.map(named).into()
}

/// Requests whose ends or counts contradict each other.
fn request_contradictions() -> Named {
    let zero_id = |name: &str, at: usize| {
        let mut frame = request_of(opcode(name)).unwrap();
        let at = REQUEST_HEADER_BYTES + at;
        frame[at..at + 16].fill(0);
        frame
    };
    let falling = {
        let mut frame = request_of(Opcode::SUBNET_EXCLUDE).unwrap();
        let at = REQUEST_HEADER_BYTES + 32;
        frame[at..at + 16].fill(0);
        frame
    };
    let limit = |name: &str| {
        let frame = request_of(opcode(name)).unwrap();
        changed(changed(frame, REQUEST_HEADER_BYTES + 2, 3), REQUEST_HEADER_BYTES + 3, 0xe9)
    };
    let mut owner_with_family = request_of(Opcode::LOOKUP).unwrap();
    owner_with_family[REQUEST_HEADER_BYTES] = 2;
    owner_with_family[REQUEST_HEADER_BYTES + 1] = 4;
    vec![
        ("subnet_create_id_zero".to_owned(), zero_id("subnet_create", 0)),
        ("subnet_update_id_zero".to_owned(), zero_id("subnet_update", 0)),
        ("subnet_delete_id_zero".to_owned(), zero_id("subnet_delete", 16)),
        ("subnet_exclude_range_falls".to_owned(), falling),
        ("network_list_of_1001".to_owned(), limit("network_list")),
        ("job_list_of_1001".to_owned(), limit("job_list")),
        ("allocation_list_of_1001".to_owned(), limit("allocation_list")),
        ("free_ranges_of_1001".to_owned(), limit("free_ranges")),
        ("lookup_owner_with_family".to_owned(), owner_with_family),
    ]
}

/// The requests that only one operation can have.
pub(super) fn particular_requests() -> Named {
    let one = |(name, operation, at, value): &(&str, &str, usize, u8)| {
        let frame = request_of(opcode(operation)).unwrap();
        ((*name).to_owned(), changed(frame, REQUEST_HEADER_BYTES + at, *value))
    };
    let bytes = REQUEST_BYTES.iter().map(one);
    bytes.chain(request_tails()).chain(request_contradictions()).collect()
}

/// Bytes of replies that have no meaning.
const REPLY_BYTES: Changes<'_> = &[
    ("hello_reply_reserved", "hello", 3, 1),
    ("server_status_reply_reserved", "server_status", 31, 1),
    ("job_of_unknown_kind", "job_get", 8, 77),
    ("job_of_unknown_state", "job_get", 9, 77),
    ("job_list_with_position", "job_list", 7, 1),
    ("network_unknown_flag", "network_get", 52, 0x80),
    ("network_reserved", "network_create", 55, 1),
    ("subnet_unknown_family", "subnet_get", 64, 5),
    ("subnet_unknown_kind", "subnet_create", 66, 3),
    ("subnet_unknown_flag", "subnet_update", 68, 0x80),
    ("usage_more_subnets_than_items", "usage", 19, 9),
    ("free_ranges_more_than_items", "free_ranges", 19, 9),
    ("allocated_unknown_state", "allocate", 53, 9),
    ("allocated_second_missing", "allocate", 55, 1),
    ("allocated_length_too_long", "allocate", 51, 33),
    ("released_unknown_state", "release", 42, 9),
    ("allocation_unknown_state", "allocation_get", 19, 9),
    ("allocation_unknown_flag", "allocation_update", 22, 0x80),
    ("batch_result_of_unknown_kind", "batch", 10, 77),
    ("batch_more_results_than_items", "batch", 1, 9),
    ("transaction_reply_reserved", "transaction", 7, 1),
    ("lookup_reply_of_257", "lookup", 0, 1),
    ("reconcile_reply_unknown_flag", "reconcile", 9, 0x10),
    ("suspects_of_257", "suspect_list", 0, 1),
    ("managers_more_than_items", "manager_list", 3, 9),
    ("goaway_unknown_reason", "goaway", 0, 77),
    ("events_unknown_flag", "events", 21, 2),
    ("events_more_than_items", "events", 23, 9),
    ("events_of_1001", "events", 22, 4),
    ("watch_end_unknown_reason", "watch_end", 20, 77),
    ("watch_end_reserved", "watch_end", 23, 1),
    ("history_reply_unknown_flag", "history", 21, 2),
    ("history_more_than_items", "history", 19, 9),
];

/// The replies that only one operation can have.
pub(super) fn particular_replies() -> Named {
    let one = |(name, operation, at, value): &(&str, &str, usize, u8)| {
        let frame = reply_of(opcode(operation)).unwrap();
        ((*name).to_owned(), changed(frame, REPLY_HEADER_BYTES + at, *value))
    };
    let stateless = reply_of(Opcode::SERVER_STATUS).unwrap();
    let stateless = &stateless[REPLY_HEADER_BYTES..REPLY_HEADER_BYTES + 88];
    let version = tail(&[(2, b"0.1.0")]);
    let stateless = [stateless, &version].concat();
    let mut bad: Named = REPLY_BYTES.iter().map(one).collect();
    bad.push((
        "server_status_without_state".to_owned(),
        reply_frame(Opcode::SERVER_STATUS, Status::OK, &stateless, true),
    ));
    bad
}
