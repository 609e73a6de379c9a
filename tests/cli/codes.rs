//! Exit codes and messages of everything that can go wrong.

use crate::program::{Server, addrd, words_at};
use addrd_protocol::codec::{
    Direction, FrameBounds, decode_request, encode_failure, encode_reply, split_frame,
};
use addrd_protocol::message::{Failure, HelloReply, Reply, Request};
use addrd_protocol::{Incarnation, Seq, ServerId, Status, Text};
use bytes::BytesMut;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;

/// A peer that greets, answers PINGs, and treats every other request like this until the client
/// goes away.
fn peer(answer: Option<Status>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let serve = move || {
        for stream in listener.incoming() {
            let (mut stream, mut input) = (stream.unwrap(), BytesMut::new());
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                input.extend_from_slice(&bytes[..count]);
                let mut output = BytesMut::new();
                while let Some(frame) =
                    split_frame(&mut input, Direction::Request, FrameBounds::REQUESTS).unwrap()
                {
                    let (header, request) = decode_request(&frame).unwrap();
                    let id = header.request_id;
                    match (request.unwrap(), answer) {
                        (Request::Hello(_), _) => {
                            let reply = Reply::Hello(Box::new(greeting()));
                            encode_reply(header.opcode, id, Status::OK, &reply, &mut output);
                        }
                        (Request::Ping(_), _) => {
                            encode_reply(header.opcode, id, Status::OK, &Reply::Empty, &mut output);
                        }
                        (_, Some(status)) => {
                            encode_failure(header.opcode, id, &failure(status), &mut output);
                        }
                        (_, None) => {}
                    }
                }
                if stream.write_all(&output).is_err() {
                    break;
                }
            }
        }
    };
    std::thread::Builder::new().name("peer".to_owned()).spawn(serve).unwrap();
    place
}

fn greeting() -> HelloReply {
    HelloReply {
        version: 1,
        role: 0,
        adopting: false,
        features: 0,
        server_id: ServerId::from_u128(1),
        incarnation: Incarnation(0),
        position: Seq(0),
        frame_bytes_max: 64 << 10,
        batch_bytes_max: 1 << 20,
        batch_items_max: 1_024,
        credit: 256,
        idle_ms: 300_000,
        server: None,
    }
}

fn failure(status: Status) -> Failure {
    Failure {
        status,
        retry_after_ms: 1,
        item: None,
        field: None,
        message: Text::new("as the test says").unwrap(),
        details: Vec::new(),
    }
}

#[test]
fn every_class_has_its_code() {
    let network = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    // One request, which changes something.
    let update = format!("network update {network} --description a --timeout 1");
    for (answer, code) in [
        (Some(Status::EXHAUSTED), 3),
        (Some(Status::NOT_FOUND), 4),
        (Some(Status::OUT_OF_RANGE), 2),
        (Some(Status::WRONG_SERVER), 5),
        (Some(Status::BUSY), 6),
        (Some(Status::OUTCOME_UNKNOWN), 8),
        (None, 8),
    ] {
        let ran = addrd(&peer(answer), &update);
        assert_eq!(ran.code, code, "{answer:?}: {ran:?}");
        assert_eq!(ran.out, "");
        assert!(ran.err.starts_with("error: "), "{ran:?}");
    }
}

#[test]
fn nobody_there_is_7_and_says_what_to_do() {
    let error = addrd("127.0.0.1:1", "allocate demo").fails(7);
    assert!(error.contains("127.0.0.1:1") && error.contains("serve --dev"), "{error}");
}

#[test]
fn something_else_there_is_7_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the client goes away.
        let _ = stream.read_to_end(&mut Vec::new());
    };
    std::thread::Builder::new().name("http".to_owned()).spawn(serve).unwrap();
    let error = addrd(&place, "allocate demo").fails(7);
    assert!(error.contains(&place) && error.contains("an HTTP port answers there"), "{error}");
    assert!(!error.contains("bytes"), "its text is no length: {error}");
}

#[test]
fn a_place_that_is_none_is_said_in_words() {
    // RFC 6761 section 6.4: this name never resolves.
    let error = addrd("nowhere.invalid:2337", "allocate demo --timeout 20").fails(7);
    assert!(error.contains("nowhere.invalid") && !error.contains("uncategorized"), "{error}");
    let error = addrd("unix:/nonexistent/addrd.sock", "allocate demo").fails(7);
    assert!(error.contains("No such file"), "{error}");
}

#[test]
fn wrong_values_are_told_with_what_is_allowed() {
    let says = |words: &[&str], parts: &[&str]| {
        let error = words_at("127.0.0.1:1", words).fails(2);
        assert!(parts.iter().all(|part| error.contains(part)), "{words:?}: {error}");
    };
    let allocate = ["allocate", "demo", "--owner"];
    says(&[&allocate[..], &["a\u{7}b"]].concat(), &["1 to 255 bytes", "this text contains"]);
    says(&[&allocate[..], &[&"x".repeat(256)]].concat(), &["1 to 255 bytes", "is longer than"]);
    says(&["subnet", "create", "blue", "10.0.0.0/33"], &["10.0.0.0/33", "0 to 32"]);
    says(&["subnet", "create", "blue", "fd00::/129"], &["0 to 128"]);
    says(&["subnet", "create", "blue", "10.0.0/24"], &["ADDRESS/LENGTH"]);
    says(&["subnet", "create", "blue", "10.0.0.0"], &["ADDRESS/LENGTH"]);
    says(&["bench", "--rate", "-5"], &["--rate -5", "more than 0"]);
    says(&["list", "--limit", "-1"], &["'-1'", "a whole number from 0"]);
    says(&["bench", "--fill", "0"], &["--fill 0", "more than 0 and at most 1"]);
    says(&["bench", "--live", "10"], &["--live 10", "at least 4 for each"]);
}

#[test]
fn a_full_subnet_is_said_as_people_say_it() {
    let server = Server::dev();
    server.addrd("network create tiny").ok();
    server.addrd("subnet create tiny 10.3.0.0/30").ok();
    server.addrd("allocate tiny --owner a").ok();
    let error = server.addrd("allocate tiny --owner b").fails(3);
    assert!(error.contains("no free address in the subnet: 1 of 1"), "{error}");
    server.addrd("subnet create tiny 10.4.0.0/30").ok();
    server.addrd("allocate tiny --owner b").ok();
    let error = server.addrd("allocate tiny --owner c").fails(3);
    assert!(error.contains("in any of 2 subnets"), "{error}");
}

#[test]
fn bad_arguments_are_2_without_asking_anybody() {
    for line in [
        "",
        "nonsense",
        "allocate",
        "allocate demo --owner mac:1",
        "allocate demo --address 10.0.0.256",
        "allocate demo --family v5",
        "allocate demo --slot 65536",
        "allocate demo --range 10.0.0.9-10.0.0.1",
        "allocate demo --network demo",
        "subnet create blue 10.0.0.0/33",
        "subnet create blue ten",
        "subnet create blue 10.0.0.0/24 --pool x",
        "subnet create blue 10.0.0.0/24 --gateway 10.0.0.1 --no-gateway",
        "network create 10.0.0.1",
        "network create 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "network create a/b",
        "list --output yaml",
        "list --limit -1",
        "list --timeout 0",
        "list --server http://x/",
        "list --project a/b",
        "bench --fill 0",
        "bench --duration 0",
        "bench --rate -5",
        "bench --live 10",
    ] {
        let ran = addrd("127.0.0.1:1", line);
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{line}: {ran:?}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for line in ["--help", "--version", "subnet create --help", "bench --help"] {
        assert!(!addrd("127.0.0.1:1", line).ok().is_empty());
    }
}

#[test]
fn errors_are_json_where_output_is() {
    let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let server = Server::dev();
    let missing = json(server.addrd("allocate nowhere --output json").fails(4));
    assert_eq!((&missing["status"], &missing["exit_code"]), (&"NOT_FOUND".into(), &4.into()));
    server.addrd("network create tiny").ok();
    server.addrd("subnet create tiny 10.3.0.0/30").ok();
    server.addrd("allocate tiny --owner a").ok();
    let full = json(server.addrd("allocate tiny --owner b --output jsonl").fails(3));
    assert_eq!((&full["status"], &full["class"]), (&"EXHAUSTED".into(), &"refused".into()));
    assert!(full["details"][0]["candidate"]["pool_size"].is_string(), "{full}");
    let usage = json(addrd("127.0.0.1:1", "allocate --output=json").fails(2));
    assert_eq!(usage["status"], "USAGE");
    let gone = json(addrd("127.0.0.1:1", "-o json list").fails(7));
    assert_eq!(gone["status"], "UNREACHABLE");
}

#[test]
fn a_typing_error_suggests_the_nearest_name() {
    let server = Server::dev();
    let error = server.addrd("allocate dmeo").fails(4);
    assert!(error.contains("did you mean \"demo\"?"), "{error}");
    let error = server.addrd("subnet get demo demo-v5").fails(4);
    assert!(error.contains("did you mean \"demo-v"), "{error}");
    let error = server.addrd("lookup dem").fails(4);
    assert!(error.contains("did you mean \"demo\"?"), "{error}");
    server.addrd("pool create nodes 10.128.0.0/16").ok();
    server.addrd("scope create global --family v4").ok();
    for (line, name) in [("pool get nodez", "nodes"), ("scope get globl", "global")] {
        let error = server.addrd(line).fails(4);
        assert!(error.contains(&format!("did you mean \"{name}\"?")), "{error}");
    }
    let error = server.addrd("allocate something-else").fails(4);
    assert!(!error.contains("did you mean"), "{error}");
}
