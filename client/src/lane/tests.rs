//! The state of a lane, frame by frame and without a clock.

use super::state::{LaneState, Verdict};
use crate::error::Error;
use crate::ticket::{Answer, Ticket};
use addrd_protocol::codec::{ReplyOrFailure, decode_request_slice, encode_request};
use addrd_protocol::header::ReplyHeader;
use addrd_protocol::message::{
    Failure, GoAway, GoAwayReason, JobGet, NetworkDelete, Reply, Request, RequestHeader,
};
use addrd_protocol::{Incarnation, JobId, NetworkId, Opcode, ProjectId, Status, Text};
use bytes::{Buf, BytesMut};
use std::time::Duration;
use tokio::sync::oneshot::{self, Receiver};
use tokio::time::Instant;

type Answered = Receiver<Result<Answer, Error>>;

/// A deletion of network `number`, or with `reads` a look at job `number`.
fn ticket(number: u64, reads: bool, deadline: Instant) -> (Ticket, Answered) {
    let network = if reads { NetworkId::NIL } else { NetworkId::from_u128(number.into()) };
    let request = match reads {
        true => Request::JobGet(JobGet { job_id: JobId(number) }),
        false => Request::NetworkDelete(NetworkDelete::default()),
    };
    let header = RequestHeader {
        opcode: request.opcode(),
        request_id: 0,
        timeout_ms: 0,
        project: ProjectId::DEFAULT,
        network,
        pool: false,
        network_project: None,
        restoring: false,
    };
    let mut frame = BytesMut::new();
    encode_request(&header, &request, &mut frame).unwrap();
    let (answer, answered) = oneshot::channel();
    let ticket = Ticket {
        opcode: request.opcode(),
        frame,
        deadline,
        sends: 0,
        in_doubt: false,
        answer: Some(answer),
        _permits: Vec::new(),
    };
    (ticket, answered)
}

struct Bench {
    state: LaneState,
    now: Instant,
}

impl Bench {
    fn new(sends_max: u32, credit: u32) -> Self {
        let mut state = LaneState::new(sends_max);
        state.connected(credit);
        Self { state, now: Instant::now() }
    }

    fn submit(&mut self, number: u64) -> Answered {
        let (ticket, answered) = ticket(number, false, self.now + Duration::from_secs(10));
        self.state.submit(ticket);
        answered
    }

    /// What is sent now: request id and number of each.
    fn sent(&mut self) -> Vec<(u64, u128)> {
        let mut output = BytesMut::new();
        self.state.fill(self.now, &mut output);
        let mut sent = Vec::new();
        while output.has_remaining() {
            let length = usize::try_from(u32::from_be_bytes(output[..4].try_into().unwrap()));
            let frame = output.split_to(length.unwrap());
            let (header, body) = decode_request_slice(&frame).unwrap();
            assert!(body.is_ok() && header.timeout_ms > 0);
            sent.push((header.request_id, header.network.0.as_u128()));
        }
        sent
    }

    fn reply(&mut self, request_id: u64, status: Status) -> Verdict {
        self.frame(Opcode::NETWORK_DELETE, request_id, status)
    }

    fn frame(&mut self, opcode: Opcode, request_id: u64, status: Status) -> Verdict {
        let header = ReplyHeader { opcode, request_id, status, retry_after_ms: 7 };
        let body = match status.is_done() {
            true => ReplyOrFailure::Reply(Reply::Empty),
            false => ReplyOrFailure::Failure(Box::new(failure(status))),
        };
        self.state.received(&header, Ok(body))
    }

    fn goaway(&mut self, reason: GoAwayReason, last_request_id: u64) -> Verdict {
        let (opcode, status) = (Opcode::GOAWAY, Status::OK);
        let header = ReplyHeader { opcode, request_id: 0, status, retry_after_ms: 0 };
        let goaway = GoAway { reason, last_request_id };
        self.state.received(&header, Ok(ReplyOrFailure::GoAway(goaway)))
    }
}

fn failure(status: Status) -> Failure {
    Failure {
        status,
        retry_after_ms: 7,
        item: None,
        field: None,
        message: Text::default(),
        details: Vec::new(),
    }
}

fn numbers(sent: &[(u64, u128)]) -> Vec<u128> {
    sent.iter().map(|(_, number)| *number).collect()
}

#[test]
fn credit_bounds_what_flies_and_keeps_one_for_a_ping() {
    let mut bench = Bench::new(3, 4);
    let _answers: Vec<Answered> = (1..=5).map(|n| bench.submit(n)).collect();
    let sent = bench.sent();
    assert_eq!(numbers(&sent), [1, 2, 3]);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.reply(sent[1].0, Status::OK), Verdict::Continue);
    assert_eq!(numbers(&bench.sent()), [4]);
}

#[test]
fn replies_find_their_callers_in_any_order() {
    let mut bench = Bench::new(3, 100);
    let mut answers: Vec<Answered> = (1..=3).map(|n| bench.submit(n)).collect();
    let sent = bench.sent();
    for at in [2, 0, 1] {
        assert_eq!(bench.reply(sent[at].0, Status::OK), Verdict::Continue);
        let answer = answers[at].try_recv().unwrap().unwrap();
        assert!(answer.body.is_ok() && !answer.in_doubt);
    }
    assert!(bench.state.is_idle());
}

#[test]
fn what_was_lost_is_sent_again_first_in_order_under_new_ids_and_with_doubt() {
    let mut bench = Bench::new(3, 4);
    let mut answers: Vec<Answered> = (1..=4).map(|n| bench.submit(n)).collect();
    let first = bench.sent();
    assert_eq!(bench.reply(first[0].0, Status::OK), Verdict::Continue);
    bench.state.disconnected("gone");
    assert!(bench.sent().is_empty(), "nothing is sent without a connection");
    bench.state.connected(100);
    let second = bench.sent();
    assert_eq!(numbers(&second), [2, 3, 4]);
    assert!(second.iter().all(|(id, _)| first.iter().all(|(old, _)| old < id)));
    for (id, _) in second {
        bench.reply(id, Status::OK);
    }
    let doubts: Vec<bool> =
        answers.iter_mut().map(|a| a.try_recv().unwrap().unwrap().in_doubt).collect();
    assert_eq!(doubts, [false, true, true, false]);
}

/// A server that was restored meanwhile counts its positions anew.
#[test]
fn an_answer_names_the_life_of_the_data_that_it_came_from() {
    let mut bench = Bench::new(3, 4);
    bench.state.incarnation = Incarnation(3);
    let mut answers: Vec<Answered> = (1..=2).map(|n| bench.submit(n)).collect();
    let first = bench.sent();
    bench.reply(first[0].0, Status::OK);
    bench.state.disconnected("gone");
    bench.state.incarnation = Incarnation(4);
    bench.state.connected(4);
    let second = bench.sent();
    bench.reply(second[0].0, Status::OK);
    let lives: Vec<Incarnation> =
        answers.iter_mut().map(|a| a.try_recv().unwrap().unwrap().incarnation).collect();
    assert_eq!(lives, [Incarnation(3), Incarnation(4)]);
}

#[test]
fn a_request_is_sent_no_more_often_than_allowed() {
    let mut bench = Bench::new(2, 4);
    let mut answer = bench.submit(1);
    for _ in 0..2 {
        bench.state.connected(4);
        assert_eq!(bench.sent().len(), 1);
        bench.state.disconnected("gone");
    }
    let error = answer.try_recv().unwrap().unwrap_err();
    assert_eq!(error, Error::OutcomeUnknown { cause: "gone".to_owned() });
    assert!(bench.state.is_idle());
}

#[test]
fn goaway_spares_what_came_after_the_last_request_that_was_read() {
    let mut bench = Bench::new(1, 100);
    let mut answers: Vec<Answered> = (1..=4).map(|n| bench.submit(n)).collect();
    let sent = bench.sent();
    assert_eq!(bench.goaway(GoAwayReason::Shutdown, sent[1].0), Verdict::Drain);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.reply(sent[0].0, Status::OK), Verdict::Continue);
    bench.state.disconnected("gone");
    let unknown = answers[1].try_recv().unwrap().unwrap_err();
    assert!(matches!(unknown, Error::OutcomeUnknown { .. }));
    bench.state.connected(100);
    let again = bench.sent();
    assert_eq!(numbers(&again), [3, 4], "sent once only, for the first send did not count");
    bench.reply(again[0].0, Status::OK);
    assert!(!answers[2].try_recv().unwrap().unwrap().in_doubt);
}

#[test]
fn a_replaced_session_fails_all_and_tells_what_may_have_happened() {
    let mut bench = Bench::new(3, 2);
    let mut answers: Vec<Answered> = (1..=2).map(|n| bench.submit(n)).collect();
    let sent = bench.sent();
    assert_eq!(sent.len(), 1);
    let verdict = bench.goaway(GoAwayReason::SessionReplaced, sent[0].0);
    let Verdict::GiveUp(error) = verdict else { panic!("{verdict:?}") };
    bench.state.give_up(&error);
    let errors: Vec<Error> =
        answers.iter_mut().map(|a| a.try_recv().unwrap().unwrap_err()).collect();
    assert!(matches!(errors[0], Error::OutcomeUnknown { .. }));
    assert_eq!(errors[1], Error::SessionReplaced);
}

#[test]
fn an_unknown_outcome_is_repeated_on_the_next_connection_only() {
    let mut bench = Bench::new(3, 100);
    let mut answers: Vec<Answered> = (1..=2).map(|n| bench.submit(n)).collect();
    let sent = bench.sent();
    let verdict = bench.reply(sent[0].0, Status::OUTCOME_UNKNOWN);
    let after = Duration::from_millis(7);
    assert_eq!(verdict, Verdict::Reconnect { cause: "OUTCOME_UNKNOWN".to_owned(), after });
    assert!(bench.sent().is_empty());
    bench.state.disconnected("OUTCOME_UNKNOWN");
    bench.state.connected(100);
    let again = bench.sent();
    assert_eq!(numbers(&again), [1, 2]);
    bench.reply(again[0].0, Status::NOT_FOUND);
    let answer = answers[0].try_recv().unwrap().unwrap();
    assert!(answer.in_doubt && answer.body.is_err());
}

#[test]
fn later_is_an_answer() {
    let mut bench = Bench::new(3, 100);
    let mut answer = bench.submit(1);
    let sent = bench.sent();
    assert_eq!(bench.reply(sent[0].0, Status::BUSY), Verdict::Continue);
    let failure = answer.try_recv().unwrap().unwrap().body.unwrap_err();
    assert_eq!((failure.status, failure.retry_after_ms), (Status::BUSY, 7));
}

#[test]
fn replies_that_belong_to_nothing_end_the_connection() {
    let mut bench = Bench::new(3, 100);
    let _answer = bench.submit(1);
    let sent = bench.sent();
    assert!(matches!(bench.reply(sent[0].0 + 1, Status::OK), Verdict::Reconnect { .. }));
    let wrong = bench.frame(Opcode::PING, sent[0].0, Status::OK);
    assert!(matches!(wrong, Verdict::Reconnect { .. }));
    bench.state.disconnected("gone");
    bench.state.connected(100);
    assert_eq!(numbers(&bench.sent()), [1]);
}

#[test]
fn the_servers_error_frame_is_final_unless_it_says_later() {
    let mut bench = Bench::new(3, 100);
    let later = bench.frame(Opcode::ERROR, 0, Status::RATE_LIMITED);
    assert!(matches!(later, Verdict::Reconnect { after, .. } if after.as_millis() == 7));
    let wrong = bench.frame(Opcode::ERROR, 0, Status::MALFORMED);
    assert!(matches!(wrong, Verdict::GiveUp(Error::Refused(_))));
}

#[test]
fn deadlines_tell_what_was_sent() {
    let mut bench = Bench::new(3, 3);
    let soon = bench.now + Duration::from_secs(1);
    let mut answers = Vec::new();
    for reads in [false, true, false] {
        let (ticket, answer) = ticket(1, reads, soon);
        bench.state.submit(ticket);
        answers.push(answer);
    }
    let mut output = BytesMut::new();
    bench.state.fill(bench.now, &mut output);
    assert_eq!(bench.state.next_deadline(), Some(soon));
    bench.state.expire(soon - Duration::from_millis(1));
    assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()));
    bench.state.expire(soon);
    let errors: Vec<Error> =
        answers.iter_mut().map(|a| a.try_recv().unwrap().unwrap_err()).collect();
    assert!(matches!(errors[0], Error::OutcomeUnknown { .. }), "sent, and it changes something");
    assert_eq!(errors[1], Error::Expired, "sent, but it only reads");
    assert_eq!(errors[2], Error::Expired, "never sent");
    assert_eq!(bench.state.next_deadline(), None);
    // The late reply still has its place and disturbs nothing.
    assert_eq!(bench.reply(2, Status::OK), Verdict::Continue);
}

#[test]
fn without_a_connection_the_reason_is_told() {
    let mut bench = Bench::new(3, 3);
    let mut answer = bench.submit(1);
    let trouble =
        Error::Unreachable { endpoint: "a:1".to_owned(), cause: "connection refused".to_owned() };
    bench.state.disconnected("gone");
    bench.state.trouble = Some(trouble.clone());
    bench.state.expire(bench.now + Duration::from_secs(60));
    assert_eq!(answer.try_recv().unwrap().unwrap_err(), trouble);
}

#[test]
fn a_caller_that_went_away_is_not_sent_for() {
    let mut bench = Bench::new(3, 100);
    let first = bench.submit(1);
    let _second = bench.submit(2);
    drop(first);
    assert_eq!(numbers(&bench.sent()), [2]);
}
