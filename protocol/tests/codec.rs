//! Frames as a peer sees them: sizes that are promised, broken framing, and bodies that are wrong
//! without ending the connection.

use addrd_protocol::codec::{
    self, Direction, FrameBounds, ReplyDecoder, ReplyOrFailure, RequestDecoder, decode_reply,
    decode_request, encode_failure, encode_goaway, encode_reply, encode_request, frame_length,
    split_frame,
};
use addrd_protocol::error::{Fault, FrameError};
use addrd_protocol::message::allocate::AllocatedAddress;
use addrd_protocol::message::*;
use addrd_protocol::*;
use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;

fn header(opcode: Opcode) -> RequestHeader {
    RequestHeader {
        opcode,
        request_id: 7,
        timeout_ms: 1_000,
        project: ProjectId::DEFAULT,
        network: NetworkId::from_u128(0x11),
        pool: false,
        network_project: None,
        restoring: false,
    }
}

fn allocate() -> Allocate {
    Allocate {
        owner: OwnerId::from_text("web-1"),
        slot: Slot(0),
        instance: Instance(0),
        family: FamilyChoice::One,
        strategy: Strategy::Default,
        length: None,
        flags: AllocateFlags::default(),
        extras: None,
    }
}

fn request_bytes(request: &Request) -> BytesMut {
    let mut out = BytesMut::new();
    encode_request(&header(request.opcode()), request, &mut out).unwrap();
    out
}

/// An operation that isn't known is unsupported, whatever the rest of its header says: a client of
/// a later version must be able to tell it from a mistake of its own.
#[test]
fn an_unknown_operation_is_unsupported_with_or_without_a_network() {
    let unknown = [0x0006, 0x00ff, 0x01ff, 0x02ff, 0x03e7, 0x03ff, 0x0400, 0xffff];
    let places = [NetworkId::NIL, NetworkId::from_u128(0x11)];
    for (value, network) in unknown.into_iter().flat_map(|value| places.map(|id| (value, id))) {
        let mut frame = request_bytes(&Request::ServerStatus);
        frame[6..8].copy_from_slice(&u16::to_be_bytes(value));
        frame[40..56].copy_from_slice(network.as_bytes());
        let (header, body) = decode_request(&frame.freeze()).unwrap();
        let error = body.unwrap_err();
        assert_eq!((header.opcode, error.field), (Opcode(value), "opcode"), "{error:?}");
        assert_eq!(error.status(), Status::UNSUPPORTED);
    }
}

fn allocated() -> Allocated {
    Allocated {
        first: AllocatedAddress {
            address: "10.0.0.2".parse().unwrap(),
            length: 32,
            subnet_length: 24,
            subnet_id: SubnetId::from_u128(5),
            slot: Slot(0),
            revision: Revision(9),
            state: AllocationState::Allocated,
            time_left_ms: 0,
            repeated: false,
            was_preferred: false,
            from_quarantine: false,
            taken_over: false,
        },
        second: None,
        settings: None,
    }
}

#[test]
fn plain_requests_and_replies_have_the_promised_sizes() {
    assert_eq!(request_bytes(&Request::Allocate(allocate())).len(), 96);
    let target = Target::Key { owner: OwnerId::from_u128(3), slot: Slot(0) };
    let release = Release { target, fences: Fences::default(), any: false };
    assert!(request_bytes(&Request::Release(release)).len() <= 64 + 48);
    let mut out = BytesMut::new();
    encode_reply(Opcode::ALLOCATE, 7, Status::OK, &Reply::Allocated(allocated()), &mut out);
    assert_eq!(out.len(), 24 + 56);
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    let mut plain = allocate();
    let label = Text::new("a=b").ok();
    let labelled = AllocateExtras { label, ..AllocateExtras::default() };
    for extras in [None, Some(Box::new(labelled))] {
        plain.extras = extras;
        let request = Request::Allocate(plain.clone());
        let frame = request_bytes(&request).freeze();
        let (got, body) = decode_request(&frame).unwrap();
        assert_eq!((got, body.unwrap()), (header(Opcode::ALLOCATE), request));
    }
}

#[test]
fn replies_failures_and_goaway_arrive() {
    let mut out = BytesMut::new();
    encode_reply(Opcode::ALLOCATE, 7, Status::OK, &Reply::Allocated(allocated()), &mut out);
    encode_reply(Opcode::RELEASE, 8, Status::NOT_HELD, &Reply::Empty, &mut out);
    let failure = Failure {
        status: Status::BUSY,
        retry_after_ms: 20,
        item: None,
        field: None,
        message: Text::new("the ring is full").unwrap(),
        details: vec![Detail::Bound { name: Text::new("ring_operations_max").unwrap() }],
    };
    encode_failure(Opcode::ALLOCATE, 9, &failure, &mut out);
    let goaway = GoAway { reason: GoAwayReason::Shutdown, last_request_id: 9 };
    encode_goaway(&goaway, &mut out);
    let mut decoder = ReplyDecoder::default();
    let mut next = || {
        decoder.decode(&mut out).unwrap().map(|(header, body)| (header.request_id, body.unwrap()))
    };
    assert_eq!(next(), Some((7, ReplyOrFailure::Reply(Reply::Allocated(allocated())))));
    assert_eq!(next(), Some((8, ReplyOrFailure::Reply(Reply::Empty))));
    assert_eq!(next(), Some((9, ReplyOrFailure::Failure(Box::new(failure.clone())))));
    assert_eq!(next(), Some((0, ReplyOrFailure::GoAway(goaway))));
    assert_eq!(next(), None);
}

#[test]
fn a_deletion_answers_nothing_or_a_job() {
    let job = Job {
        job_id: JobId(4),
        kind: JobKind::SubnetDelete,
        state: JobState::Running,
        network_id: NetworkId::from_u128(1),
        subnet_id: SubnetId::from_u128(2),
        done: 0,
        total: 1_000,
    };
    for reply in [Reply::Empty, Reply::Job(Box::new(job))] {
        let mut out = BytesMut::new();
        encode_reply(Opcode::SUBNET_DELETE, 7, Status::OK, &reply, &mut out);
        let (_, body) = decode_reply(&out.freeze()).unwrap();
        assert_eq!(body.unwrap(), ReplyOrFailure::Reply(reply));
    }
}

#[test]
fn a_reply_of_another_operation_becomes_outcome_unknown() {
    let mut out = BytesMut::new();
    encode_reply(Opcode::RELEASE, 7, Status::OK, &Reply::Allocated(allocated()), &mut out);
    let (header, _) = decode_reply(&out.freeze()).unwrap();
    assert_eq!((header.request_id, header.status), (7, Status::OUTCOME_UNKNOWN));
}

#[test]
fn a_wrong_body_is_an_answer_and_the_next_frame_is_read() {
    let good = request_bytes(&Request::Allocate(allocate()));
    let mut stream = good.clone();
    stream[64 + 3] = 77;
    stream.extend_from_slice(&good);
    let mut decoder = RequestDecoder { bounds: FrameBounds::REQUESTS };
    let (header, body) = decoder.decode(&mut stream).unwrap().unwrap();
    let error = body.unwrap_err();
    assert_eq!((header.request_id, error.status()), (7, Status::UNSUPPORTED));
    assert_eq!(error.to_failure().field.as_deref(), Some("strategy"));
    assert!(decoder.decode(&mut stream).unwrap().unwrap().1.is_ok());
}

#[test]
fn other_protocols_and_bad_lengths_are_told_apart() {
    let judge = |bytes: &[u8]| frame_length(bytes, Direction::Request, FrameBounds::REQUESTS);
    assert_eq!(judge(b"GET / HTTP/1.1\r\n"), Err(FrameError::Http));
    assert_eq!(judge(b"POST /v1"), Err(FrameError::Http));
    assert_eq!(judge(&[0x16, 3, 1, 2, 0]), Err(FrameError::Tls));
    assert_eq!(judge(&[0, 0, 0, 0]), Err(FrameError::TooShort { length: 0 }));
    assert_eq!(judge(&[0, 0, 0, 63]), Err(FrameError::TooShort { length: 63 }));
    assert_eq!(judge(&[0, 0, 0]), Ok(None));
    assert_eq!(judge(&[0, 0, 0, 96, 2]), Err(FrameError::Version { version: 2 }));
    assert_eq!(judge(&[0, 0, 0, 96, 1, 0, 3, 1]), Ok(Some(96)));
    assert!(matches!(judge(&[0xff; 8]), Err(FrameError::TooLong { length: u32::MAX, .. })));
    let longer = |low| judge(&[0, 1, 0, 1, 1, 0, 3, low]);
    assert_eq!(longer(1), Err(FrameError::TooLong { length: 65_537, most: 65_536 }));
    assert_eq!(longer(4), Ok(Some(65_537)));
    let before = frame_length(&[0, 0, 4, 1], Direction::Request, FrameBounds::BEFORE_HELLO);
    assert_eq!(before, Err(FrameError::TooLong { length: 1_025, most: 1_024 }));
}

#[test]
fn a_declared_length_reserves_little() {
    let mut buffer = BytesMut::from(&[0, 0x10, 0, 0, 1, 0, 3, 4][..]);
    let frame = split_frame(&mut buffer, Direction::Request, FrameBounds::REQUESTS).unwrap();
    assert_eq!(frame, None);
    assert!(buffer.capacity() <= 256 << 10, "{}", buffer.capacity());
}

#[test]
fn header_rules_are_answered() {
    let wrong = |at: usize, value: u8| {
        let mut frame = request_bytes(&Request::Allocate(allocate()));
        frame[at] = value;
        let (_, body) = decode_request(&frame.freeze()).unwrap();
        body.unwrap_err().fault
    };
    assert_eq!(wrong(23, 1), Fault::Reserved);
    assert_eq!(wrong(63, 1), Fault::Reserved);
    assert_eq!(wrong(55, 0), Fault::Missing);
    assert_eq!(wrong(5, 16), Fault::Unknown { value: 16 });
    assert_eq!(wrong(5, 6), Fault::Unknown { value: 4 });
    assert_eq!(wrong(5, 4), Fault::Short, "half of the body is read as a project");
    assert_eq!(wrong(5, 1), Fault::TailFlag);
    assert_eq!(wrong(6, 0x7f), Fault::Unknown { value: 0x7f01 });
    let mut restoring = request_bytes(&Request::Ping(Ping {}));
    restoring[5] = 8;
    let (_, body) = decode_request(&restoring.freeze()).unwrap();
    assert_eq!(body.unwrap_err().fault, Fault::Unknown { value: 8 });
    let mut zero = request_bytes(&Request::Allocate(allocate()));
    zero[15] = 0;
    assert_eq!(decode_request(&zero.freeze()), Err(FrameError::RequestIdZero));
    let mut default = request_bytes(&Request::Allocate(allocate()));
    default[24..40].fill(0);
    let (header, _) = decode_request(&default.freeze()).unwrap();
    assert_eq!(header.project, ProjectId::DEFAULT);
}

#[test]
fn a_frame_that_is_not_whole_is_no_frame() {
    let frame = request_bytes(&Request::Allocate(allocate())).freeze();
    for length in 0..frame.len() {
        assert!(decode_request(&frame.slice(..length)).is_err());
    }
    assert!(decode_request(&Bytes::new()).is_err());
}

fn held() -> Detail {
    let long = Text::new(&"x".repeat(255)).ok();
    Detail::Held(Box::new(Allocation {
        address: "fd00::1".parse().unwrap(),
        length: 128,
        subnet_length: 64,
        state: AllocationState::Allocated,
        network_id: NetworkId::from_u128(1),
        subnet_id: SubnetId::from_u128(2),
        project_id: ProjectId::DEFAULT,
        owner: OwnerId::from_u128(3),
        slot: Slot(0),
        instance: Instance(0),
        revision: Revision(1),
        time_left_ms: 0,
        repeated: false,
        owner_name: long.clone(),
        label: long.clone(),
        host: long,
        manager: Text::new(&"m".repeat(64)).ok(),
        network_project: Some(ProjectId::from_u128(4)),
        follows_host: true,
    }))
}

fn longest_failure(details: Vec<Detail>) -> Failure {
    let long = Text::new(&"x".repeat(255)).unwrap();
    Failure {
        status: Status::EXHAUSTED,
        retry_after_ms: u32::MAX,
        item: Some(3),
        field: Some(long.clone()),
        message: long,
        details,
    }
}

fn candidate() -> Detail {
    Detail::Candidate(Candidate {
        subnet_id: SubnetId::from_u128(2),
        reason: CandidateReason::Exhausted,
        pool_size: u128::MAX,
        allocated: u128::MAX,
        held: 0,
        quarantined: 0,
        excluded: 0,
        next_free_in_ms: u64::MAX,
    })
}

fn answered(failure: &Failure) -> (usize, Failure) {
    let mut out = BytesMut::new();
    encode_failure(Opcode::ALLOCATE, 7, failure, &mut out);
    let length = out.len();
    match decode_reply(&out.freeze()).unwrap().1.unwrap() {
        ReplyOrFailure::Failure(failure) => (length, *failure),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sixteen_candidates_and_an_allocation_fit_a_failure() {
    let mut details = vec![candidate(); failure::FAILURE_CANDIDATES_MAX];
    details.push(held());
    let failure = longest_failure(details);
    let (length, got) = answered(&failure);
    assert_eq!(got, failure);
    assert!(length <= codec::FAILURE_BYTES_MAX, "{length}");
}

#[test]
fn details_beyond_the_bound_of_a_failure_are_left_out() {
    let failure = longest_failure(vec![held(); 100]);
    let (length, got) = answered(&failure);
    assert!(length <= codec::FAILURE_BYTES_MAX, "{length}");
    assert_eq!(got.details, vec![held(); 3]);
    assert_eq!(got.message, failure.message);
}

#[test]
fn the_reply_to_a_full_batch_fits_whatever_its_items_say() {
    let Detail::Held(longest) = held() else { unreachable!() };
    let failed = BatchResult::Failed(Box::new(longest_failure(vec![candidate(); 16])));
    let updated = BatchResult::Updated(longest);
    let count = batch::BATCH_ITEMS_MAX;
    for results in [vec![failed.clone(); count], vec![updated; count], vec![failed; 1]] {
        let most = codec::batch_reply_bytes_max(results.len());
        let reply = Reply::Batch(Box::new(BatchReply { results: results.clone() }));
        let mut out = BytesMut::new();
        encode_reply(Opcode::BATCH, 7, Status::OK, &reply, &mut out);
        assert!(out.len() <= most, "{} of {most}", out.len());
        let body = decode_reply(&out.freeze()).unwrap().1.unwrap();
        let ReplyOrFailure::Reply(Reply::Batch(got)) = body else { panic!("{body:?}") };
        let statuses =
            |results: &[BatchResult]| results.iter().map(BatchResult::status).collect::<Vec<_>>();
        assert_eq!(statuses(&got.results), statuses(&results));
        if results.len() == 1 {
            assert_eq!(got.results, results, "one item keeps all its candidates");
        }
    }
}
