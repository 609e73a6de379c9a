//! Streams of frames that are unusual and right, and bytes that are wrong with the answer that
//! SPEC.md promises. Like samples they are added, never changed.

use crate::samples::{NETWORK, header, plain_allocate, requests};
use addrd_protocol::codec::{Direction, FrameBounds, encode_request};
use addrd_protocol::message::*;
use addrd_protocol::*;
use bytes::BytesMut;

mod bad_bodies;

/// Bytes with one or more frames.
pub(crate) struct StreamSample {
    pub(crate) name: &'static str,
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

/// Bytes that are wrong.
pub(crate) struct BadSample {
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
    pub(crate) bounds: FrameBounds,
}

/// The bytes of a request.
pub(crate) fn encoded(request: &Request) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_request(&header(request.opcode(), 7), request, &mut out).unwrap();
    out.to_vec()
}

/// The bytes of a request sample.
fn sample(name: &str) -> Vec<u8> {
    let samples = requests();
    encoded(&samples.iter().find(|sample| sample.name == name).unwrap().request)
}

/// A frame with this body.
pub(crate) fn request_frame(opcode: Opcode, body: &[u8], has_tail: bool) -> Vec<u8> {
    let RequestHeader { request_id, timeout_ms, project, network, .. } = header(opcode, 7);
    let length = u32::try_from(64 + body.len()).unwrap();
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend([1, u8::from(has_tail)]);
    frame.extend(opcode.0.to_be_bytes());
    frame.extend(request_id.to_be_bytes());
    frame.extend(timeout_ms.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(project.as_bytes());
    frame.extend(network.as_bytes());
    frame.extend([0; 8]);
    frame.extend(body);
    frame
}

/// A frame of a reply with this body.
pub(crate) fn reply_frame(opcode: Opcode, status: Status, body: &[u8], has_tail: bool) -> Vec<u8> {
    let length = u32::try_from(24 + body.len()).unwrap();
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend([1, u8::from(has_tail)]);
    frame.extend(opcode.0.to_be_bytes());
    frame.extend(7_u64.to_be_bytes());
    frame.extend(status.0.to_be_bytes());
    frame.extend([0; 6]);
    frame.extend(body);
    frame
}

/// A tail of these entries.
fn tail(entries: &[(u16, &[u8])]) -> Vec<u8> {
    let entry = |(tag, value): &(u16, &[u8])| {
        let length = u16::try_from(value.len()).unwrap();
        [&tag.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
    };
    entries.iter().flat_map(entry).collect()
}

/// A plain allocate with a tail of these entries.
fn allocate_tail(entries: &[(u16, &[u8])]) -> Vec<u8> {
    let plain = encoded(&Request::Allocate(plain_allocate()));
    request_frame(Opcode::ALLOCATE, &[&plain[64..], &tail(entries)].concat(), true)
}

/// A plain allocate with one byte changed.
fn allocate_byte(at: usize, value: u8) -> Vec<u8> {
    changed(encoded(&Request::Allocate(plain_allocate())), at, value)
}

fn changed(mut frame: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    frame[at] = value;
    frame
}

fn mapped() -> Vec<u8> {
    let mut address = vec![6];
    address.extend("::ffff:10.0.0.9".parse::<std::net::Ipv6Addr>().unwrap().octets());
    address
}

/// Streams that are right.
pub(crate) fn streams() -> Vec<StreamSample> {
    let stream = |name, direction, bytes| StreamSample { name, direction, bytes };
    let request = |name, bytes| stream(name, Direction::Request, bytes);
    let many: Vec<(u16, &[u8])> = (1..=16).map(|tag| (0x4000 + tag, &b"?"[..])).collect();
    let empty_list = allocate_tail(&[(0x8001, b"")]);
    let unknown_detail = [
        &[0xff, 0xff, 0, 2, 0, 0, 0, 0][..],
        &[0, 5, 200, 0, 1, 2, 3],
        &[0, 18, 5, 0],
        &9_u128.to_be_bytes(),
        &tail(&[(1, b"live allocations")]),
    ]
    .concat();
    vec![
        request(
            "hello_and_requests_without_waiting",
            [
                changed(sample("hello_full"), 15, 1),
                changed(sample("allocate_plain"), 15, 2),
                changed(sample("release_by_key"), 15, 3),
            ]
            .concat(),
        ),
        request("session_requests", crate::session::request_bytes()),
        stream("session_replies", Direction::Reply, crate::session::reply_bytes()),
        request("unknown_tag_is_ignored", allocate_tail(&[(0x7fff, b"later")])),
        request("sixteen_unknown_tags", allocate_tail(&many)),
        request("mapped_address_becomes_ipv4", allocate_tail(&[(0x8002, &mapped())])),
        request("empty_list_is_no_list", empty_list),
        request("network_project_zero_is_the_default", {
            let mut frame = request_frame(Opcode::NETWORK_GET, &[0; 16], false);
            frame[5] = 4;
            frame
        }),
        request("project_zero_is_the_default", {
            let mut frame = encoded(&Request::Allocate(plain_allocate()));
            frame[24..40].fill(0);
            frame
        }),
        request("lookup_in_all_networks", {
            let mut frame = sample("lookup_owner");
            frame[40..56].fill(0);
            frame
        }),
        stream(
            "unknown_status_class_is_unknown_outcome",
            Direction::Reply,
            reply_frame(
                Opcode::ALLOCATE,
                Status(0x0601),
                &[&[0xff, 0xff, 0, 0, 0, 0, 0, 0][..], &tail(&[(1, b"new")])].concat(),
                true,
            ),
        ),
        stream(
            "unknown_detail_is_skipped",
            Direction::Reply,
            reply_frame(Opcode::SUBNET_DELETE, Status::IN_USE, &unknown_detail, true),
        ),
        stream(
            "unknown_status_of_class_done_is_empty",
            Direction::Reply,
            reply_frame(Opcode::RELEASE, Status(0x0002), &[], false),
        ),
    ]
}

/// Bytes that are wrong.
pub(crate) fn bad() -> Vec<BadSample> {
    let sample = |direction, bounds| {
        move |(name, bytes): (String, Vec<u8>)| BadSample { name, direction, bytes, bounds }
    };
    let owned = |named: Named| named.into_iter().map(|(name, bytes)| (name.to_owned(), bytes));
    let request = sample(Direction::Request, FrameBounds::REQUESTS);
    let reply = sample(Direction::Reply, FrameBounds::REPLIES);
    let early = sample(Direction::Request, FrameBounds::BEFORE_HELLO);
    let framing = owned(bad_framing()).chain(owned(bad_headers())).chain(owned(bad_tails()));
    let bodies = owned(bad_allocates()).chain(owned(bad_releases())).chain(owned(bad_others()));
    let before_hello = [("before_hello_too_long".to_owned(), vec![0, 0, 4, 1, 1, 0, 0, 1])];
    framing
        .chain(bodies)
        .map(request)
        .chain(owned(bad_replies()).map(reply))
        .chain(before_hello.into_iter().map(early))
        .chain(bad_bodies::requests_of_every_operation().into_iter().map(request))
        .chain(bad_bodies::particular_requests().into_iter().map(request))
        .chain(bad_bodies::replies_of_every_operation().into_iter().map(reply))
        .chain(bad_bodies::particular_replies().into_iter().map(reply))
        .collect()
}

type Named = Vec<(&'static str, Vec<u8>)>;

fn bad_framing() -> Named {
    let plain = encoded(&Request::Allocate(plain_allocate()));
    vec![
        ("frame_length_zero", vec![0, 0, 0, 0, 1, 0, 3, 1]),
        ("frame_length_below_header", changed(plain.clone(), 3, 63)),
        ("frame_too_long", vec![0, 1, 0, 1, 1, 0, 3, 1]),
        ("batch_too_long", vec![0, 0x10, 0, 1, 1, 0, 3, 4]),
        ("frame_length_all_ones", vec![0xff; 8]),
        ("version_zero", changed(plain.clone(), 4, 0)),
        ("version_two", changed(plain.clone(), 4, 2)),
        ("http_get", b"GET / HTTP/1.1\r\nHost: example\r\n\r\n".to_vec()),
        ("http_post", b"POST /v1/allocate HTTP/1.1\r\n\r\n".to_vec()),
        ("http2_preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("tls_client_hello", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("request_id_zero", changed(plain.clone(), 15, 0)),
        ("connection_ends_inside_a_frame", plain[..95].to_vec()),
    ]
}

fn bad_headers() -> Named {
    let plain = encoded(&Request::Allocate(plain_allocate()));
    let mut without_network = plain.clone();
    without_network[40..56].fill(0);
    let mut with_network = sample("ping");
    with_network[40..56].copy_from_slice(NETWORK.as_bytes());
    vec![
        ("header_reserved_word", changed(plain.clone(), 20, 1)),
        ("header_reserved_end", changed(plain.clone(), 63, 1)),
        ("header_unknown_flag", changed(plain.clone(), 5, 0x82)),
        ("header_unknown_opcode", changed(plain.clone(), 6, 0x7f)),
        ("header_opcode_of_the_server", request_frame(Opcode::GOAWAY, &[0; 16], false)),
        ("header_network_missing", without_network),
        ("header_network_without_use", with_network),
        ("shared_flag_where_nothing_is_shared", changed(sample("subnet_create_plain"), 5, 4)),
        ("shared_flag_beside_that_of_a_pool", changed(plain.clone(), 5, 6)),
        ("shared_network_without_its_project", {
            let cut = request_frame(Opcode::NETWORK_GET, &[7; 15], false);
            changed(cut, 5, 4)
        }),
        ("shared_network_missing", {
            let mut frame = sample("lookup_owner");
            frame[40..56].fill(0);
            changed(frame, 5, 4)
        }),
        ("pool_flag_where_no_pool_can_be", changed(sample("subnet_create_plain"), 5, 2)),
        ("pool_choice_without_pool", {
            let plain = sample("subnet_create_plain");
            let allowed = tail(&[(0x8021, &[4, 8, 10, 0, 0, 0])]);
            request_frame(Opcode::SUBNET_CREATE, &[&plain[64..], &allowed].concat(), true)
        }),
        ("tail_flag_without_tail", changed(plain.clone(), 5, 1)),
        ("tail_without_flag", changed(allocate_tail(&[(0x800a, b"a=b")]), 5, 0)),
    ]
}

fn bad_tails() -> Named {
    let many: Vec<(u16, &[u8])> = (1..=17).map(|tag| (0x4000 + tag, &b"?"[..])).collect();
    let mut long = allocate_tail(&[(0x800a, b"a=b")]);
    let length_at = long.len() - 4;
    long[length_at] = 4;
    let label = |value: &[u8]| allocate_tail(&[(0x800a, value)]);
    let cut = request_frame(
        Opcode::ALLOCATE,
        &[&encoded(&Request::Allocate(plain_allocate()))[64..], &[0x80]].concat(),
        true,
    );
    vec![
        ("tail_unknown_critical_tag", allocate_tail(&[(0xffee, b"later")])),
        ("tail_tags_fall", allocate_tail(&[(0x800a, b"a"), (0x8009, b"b")])),
        ("tail_tag_repeated", allocate_tail(&[(0x800a, b"a"), (0x800a, b"b")])),
        ("tail_seventeen_entries", allocate_tail(&many)),
        ("tail_value_too_long", long),
        ("tail_cut_inside_a_tag", cut),
        ("tail_bytes_after_a_value", allocate_tail(&[(0x8005, &[0, 0, 0, 0, 0, 0, 9, 9, 9])])),
        ("text_of_256_bytes", label(&[b'a'; 256])),
        ("text_not_utf8", label(&[0xc3, 0x28])),
        ("text_with_control_character", label(b"a\nb")),
        ("manager_of_65_bytes", allocate_tail(&[(0x8008, &[b'm'; 65])])),
    ]
}

fn bad_allocates() -> Named {
    let subnets = [7_u8; 16 * 17];
    let mut ownerless = encoded(&Request::Allocate(plain_allocate()));
    ownerless[72..88].fill(0);
    let mut pair = changed(encoded(&Request::Allocate(plain_allocate())), 66, 2);
    pair[68..70].fill(0xff);
    let plain = encoded(&Request::Allocate(plain_allocate()));
    let falling = [4, 10, 0, 0, 9, 10, 0, 0, 1];
    let lease = 999_u64.to_be_bytes();
    vec![
        ("allocate_short", request_frame(Opcode::ALLOCATE, &plain[64..95], false)),
        ("allocate_unknown_flag", allocate_byte(64, 0x80)),
        ("allocate_unknown_family", allocate_byte(66, 5)),
        ("allocate_unknown_strategy", allocate_byte(67, 77)),
        ("allocate_length_129", allocate_byte(70, 129)),
        ("allocate_reserved", allocate_byte(71, 1)),
        ("allocate_owner_zero", ownerless),
        ("allocate_pair_at_the_last_slot", pair),
        ("allocate_seventeen_subnets", allocate_tail(&[(0x8001, &subnets)])),
        ("allocate_subnet_zero", allocate_tail(&[(0x8001, &[0; 16])])),
        ("allocate_address_of_family_5", allocate_tail(&[(0x8002, &[5, 10, 0, 0, 1])])),
        ("allocate_address_too_short", allocate_tail(&[(0x8002, &[6, 10, 0, 0, 1])])),
        ("allocate_address_too_long", allocate_tail(&[(0x8002, &[4, 10, 0, 0, 1, 0])])),
        ("allocate_limit_falls", allocate_tail(&[(0x8004, &falling)])),
        ("allocate_lease_too_short", allocate_tail(&[(0x8005, &lease)])),
    ]
}

fn bad_releases() -> Named {
    let by_key = sample("release_by_key");
    let by_address = sample("release_by_address");
    let no_fence = {
        let mut frame = changed(by_address.clone(), 65, 1);
        frame[88..96].fill(0);
        frame
    };
    vec![
        ("release_unknown_flag", changed(by_key.clone(), 65, 0x10)),
        ("release_without_fence", no_fence),
        ("release_key_with_family", changed(by_key.clone(), 68, 4)),
        ("release_address_with_slot", changed(by_address.clone(), 67, 1)),
        ("release_address_too_wide", changed(by_address.clone(), 72, 1)),
        ("release_revision_without_flag", changed(by_key.clone(), 95, 1)),
        ("release_instance_without_flag", changed(by_key.clone(), 103, 1)),
        (
            "release_with_bytes_after_it",
            request_frame(Opcode::RELEASE, &[&by_key[64..], &[0]].concat(), false),
        ),
    ]
}

/// A transaction of items given as bytes.
fn transaction_frame(count: u16, items: &[&[u8]]) -> Vec<u8> {
    let mut frame = batch_frame(count, 0, items);
    let body = [&count.to_be_bytes()[..], &[0; 6], frame.split_off(64 + 8).as_slice()].concat();
    request_frame(Opcode::TRANSACTION, &body, false)
}

/// A batch of items given as bytes.
fn batch_frame(count: u16, mode: u8, items: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![mode, 0];
    body.extend(count.to_be_bytes());
    body.extend([0; 4]);
    for item in items {
        body.extend(u16::try_from(item.len()).unwrap().to_be_bytes());
        body.extend(*item);
    }
    request_frame(Opcode::BATCH, &body, false)
}

fn bad_others() -> Named {
    let allocate = encoded(&Request::Allocate(plain_allocate()));
    let good = [&[1, 0][..], &allocate[64..]].concat();
    let want_subnet = changed(good.clone(), 3, 8);
    let wrong_kind = changed(good.clone(), 0, 9);
    let within = |flags: u8, place: &[u8]| [&[1, flags][..], place, &allocate[64..]].concat();
    let two_names = [tail(&[(0x8001, &[1; 16]), (0x8002, b"front")])].concat();
    let pools: Vec<u8> = [1].into_iter().chain([4, 10, 0, 0, 1, 10, 0, 0, 1].repeat(65)).collect();
    let create = &sample("subnet_create_plain")[64..];
    let too_many = [create, &tail(&[(0x8002, &pools)])].concat();
    let mixed_route = [4, 0, 0, 0, 0, 0, 6].into_iter().chain([1; 16]).collect::<Vec<u8>>();
    let routes = [create, &tail(&[(0x8004, &mixed_route)])].concat();
    let name =
        |value: &[u8]| request_frame(Opcode::NETWORK_CREATE, &tail(&[(0x8001, value)]), true);
    let cursor = [&[0; 8][..], &tail(&[(0x8001, &[9; 65])])].concat();
    vec![
        ("batch_of_nothing", batch_frame(0, 1, &[])),
        ("batch_of_1025", batch_frame(1_025, 1, &[])),
        ("batch_with_fewer_items_than_its_count", batch_frame(3, 1, &[&good, &good])),
        ("batch_with_more_items_than_its_count", batch_frame(1, 1, &[&good, &good])),
        ("batch_unknown_mode", batch_frame(1, 3, &[&good])),
        ("batch_second_item_of_unknown_kind", batch_frame(2, 1, &[&good, &wrong_kind])),
        ("batch_item_wants_subnet", batch_frame(1, 1, &[&want_subnet])),
        ("transaction_of_nothing", transaction_frame(0, &[])),
        (
            "transaction_with_bytes_reserved",
            changed(transaction_frame(1, &[&within(0, &[2; 16])]), 66, 1),
        ),
        ("transaction_without_network", transaction_frame(1, &[&within(0, &[0; 16])])),
        ("transaction_unknown_flag", transaction_frame(1, &[&within(4, &[2; 16])])),
        ("transaction_pool_of_another", transaction_frame(1, &[&within(3, &[2; 32])])),
        ("transaction_item_cut", transaction_frame(1, &[&within(2, &[2; 20])[..30]])),
        ("batch_item_cut", batch_frame(1, 1, &[&good[..20]])),
        ("name_empty", name(b"")),
        ("name_with_space", name(b"a b")),
        ("name_reads_as_address", name(b"10.0.0.1")),
        ("name_reads_as_id", name(b"22222222-2222-4222-8222-222222222222")),
        ("name_of_64_bytes", name(&[b'n'; 64])),
        ("name_needed", request_frame(Opcode::NETWORK_FIND, &[], false)),
        ("subnet_needed", request_frame(Opcode::SUBNET_GET, &[], false)),
        ("subnet_named_twice", request_frame(Opcode::SUBNET_GET, &two_names, true)),
        ("subnet_with_host_bits", changed(sample("subnet_create_plain"), 64 + 31, 1)),
        ("subnet_prefix_too_long", changed(sample("subnet_create_plain"), 64 + 33, 33)),
        ("subnet_65_pools", request_frame(Opcode::SUBNET_CREATE, &too_many, true)),
        ("subnet_route_of_two_families", request_frame(Opcode::SUBNET_CREATE, &routes, true)),
        ("setting_neither_null_nor_value", {
            let mut frame = sample("subnet_create_nulls");
            let at = frame.len() - 1;
            frame[at] = 2;
            frame
        }),
        ("page_of_1001", request_frame(Opcode::SUBNET_LIST, &[0, 0, 3, 0xe9, 0, 0, 0, 0], false)),
        ("cursor_of_65_bytes", request_frame(Opcode::SUBNET_LIST, &cursor, true)),
        ("hello_versions_fall", changed(sample("hello_plain"), 64, 2)),
        ("lookup_of_unknown_kind", changed(sample("lookup_owner"), 64, 3)),
    ]
}

fn bad_replies() -> Named {
    let ok = Status::OK;
    let count =
        |count: u8| [&[0, 0, 0, 0, 0, 0, 0, 0][..], &[0, 0, count, 0xe9, 0, 0, 0, 0]].concat();
    vec![
        ("reply_length_below_header", vec![0, 0, 0, 23, 1, 0, 3, 1]),
        ("reply_too_long", vec![0, 0x10, 0, 1, 1, 0, 3, 1]),
        ("reply_of_unknown_opcode", reply_frame(Opcode(0x7f00), ok, &[], false)),
        ("reply_reserved", changed(reply_frame(Opcode::PING, ok, &[], false), 18, 1)),
        ("reply_page_cut", reply_frame(Opcode::SUBNET_LIST, ok, &[0; 15], false)),
        ("reply_page_of_1001", reply_frame(Opcode::SUBNET_LIST, ok, &count(3), false)),
        (
            "reply_delete_neither",
            reply_frame(Opcode::SUBNET_DELETE, ok, &[2, 0, 0, 0, 0, 0, 0, 0], false),
        ),
        (
            "reply_failure_short",
            reply_frame(Opcode::PING, Status::BUSY, &[0xff, 0xff, 0, 0, 0, 0, 0], false),
        ),
        (
            "reply_not_held_with_body",
            reply_frame(Opcode::RELEASE, Status::NOT_HELD, &[0; 48], false),
        ),
    ]
}
