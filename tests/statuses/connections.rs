//! Statuses that need more than requests one after the other: bytes that no encoder writes, several
//! connections, or a server with other bounds.

use crate::Outcome;
use crate::house::{self, House};
use crate::rows::Provoked;
use crate::script;
use addrd::access::hash_of;
use addrd::config::{Bounds, Config};
use addrd::engine::{Boot, boot};
use addrd::limits;
use addrd::server::Server;
use addrd::store;
use addrd_client::protocol::codec::{BATCH_BYTES_MAX, ReplyDecoder, encode_request};
use addrd_client::protocol::message::{
    Batch, BatchItem, BatchMode, Hello, PrincipalCreate, Request, TokenCreate,
};
use addrd_client::protocol::{
    NetworkId, OwnerId, PrincipalId, ProjectId, ServerId, SessionId, Status, Token, TokenId,
};
use addrd_client::{plain_allocate, plain_hello};
use bytes::BytesMut;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::Decoder;

const NETWORK: NetworkId = NetworkId::from_u128(0xdead);

/// A connection of bytes.
struct Raw {
    stream: TcpStream,
    input: BytesMut,
}

impl Raw {
    async fn open(house: &House) -> Self {
        Self { stream: house.dial().await, input: BytesMut::new() }
    }

    /// Says HELLO, which is accepted.
    async fn greeted(house: &House) -> Self {
        let mut raw = Self::open(house).await;
        let welcome = raw.ask(&frame(1, &hello(plain_hello()))).await;
        assert_eq!(welcome.status, Status::OK);
        raw
    }

    /// Sends bytes and gives the first answer to them.
    async fn ask(&mut self, bytes: &[u8]) -> Outcome {
        self.stream.write_all(bytes).await.unwrap();
        self.next().await
    }

    async fn next(&mut self) -> Outcome {
        loop {
            if let Some((header, body)) = ReplyDecoder::default().decode(&mut self.input).unwrap() {
                return Outcome::of(header.status, body.unwrap());
            }
            let read = self.stream.read_buf(&mut self.input).await.unwrap();
            assert!(read > 0, "the server closed without a word");
        }
    }
}

fn hello(hello: Hello) -> Request {
    Request::Hello(Box::new(hello))
}

fn frame(number: u64, request: &Request) -> Vec<u8> {
    let mut header = house::header(number, NETWORK, request);
    if matches!(request, Request::Hello(_)) {
        (header.project, header.network) = (ProjectId::NIL, NetworkId::NIL);
    }
    let mut out = BytesMut::new();
    encode_request(&header, request, &mut out).unwrap();
    out.to_vec()
}

fn allocate(number: u64) -> Vec<u8> {
    frame(number, &Request::Allocate(plain_allocate(OwnerId::from_u128(number.into()))))
}

/// Forced deletion of a network with many addresses leaves it for a job; requests right behind it
/// meet that job. How far it is by then is not ours to say, so it is tried until one does.
pub(crate) fn deleting(house: &House) -> Provoked<'_> {
    Box::pin(async {
        for round in 0.. {
            assert!(round < 50, "no request met the job that deletes");
            if let Some(met) = meet_deletion(house, 0xde1e_0000 + round).await {
                return met;
            }
        }
        unreachable!("rounds end with a panic");
    })
}

async fn meet_deletion(house: &House, network: u128) -> Option<Outcome> {
    let on = NetworkId::from_u128(network);
    let requests = |text: &str| script::parse(text).2;
    let mut frames = BytesMut::new();
    let setting_up =
        [requests("n network_create"), requests(r#"n subnet_create {"cidr": "10.0.0.0/16"}"#)];
    let batch = |first: u128| {
        let items = (0..1_000).map(|number| plain_allocate(OwnerId::from_u128(first + number)));
        let items = items.map(BatchItem::Allocate).collect();
        Request::Batch(Box::new(Batch { mode: BatchMode::Independent, items }))
    };
    let many = (0..20).map(|number| batch(1_000 * number));
    let behind =
        (0..50).map(|number| Request::Allocate(plain_allocate(OwnerId::from_u128(number))));
    let delete = requests(r#"n network_delete {"force": true}"#);
    let all: Vec<Request> =
        setting_up.into_iter().chain(many).chain([delete]).chain(behind).collect();
    for (number, request) in (2..).zip(&all) {
        house::encode(number, on, request, &mut frames);
    }
    let mut raw = Raw::greeted(house).await;
    raw.stream.write_all(&frames).await.unwrap();
    let mut met = None;
    for _ in &all {
        let outcome = raw.next().await;
        if outcome.status == Status::DELETING {
            met = Some(outcome);
        }
    }
    met
}

pub(crate) fn malformed(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let mut bytes = allocate(2);
        // Reserved bytes of the header.
        bytes[20] = 1;
        Raw::greeted(house).await.ask(&bytes).await
    })
}

pub(crate) fn unsupported_field(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let mut bytes = allocate(2);
        // A tail with a critical tag that nobody knows.
        bytes.extend([0xff, 0xff, 0, 0]);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes[5] = 1;
        Raw::greeted(house).await.ask(&bytes).await
    })
}

pub(crate) fn unsupported_version(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let newer = Hello { version_min: 200, version_max: 201, ..plain_hello() };
        Raw::open(house).await.ask(&frame(1, &hello(newer))).await
    })
}

pub(crate) fn frame_too_long(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let mut bytes = allocate(2);
        bytes[..4].copy_from_slice(&(BATCH_BYTES_MAX + 1).to_be_bytes());
        Raw::greeted(house).await.ask(&bytes).await
    })
}

/// A request and its twin in one write. The first may be answered before the second is read: then
/// its id is free again, and the next two are tried.
pub(crate) fn request_id_in_use(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let mut raw = Raw::greeted(house).await;
        let mut again = [allocate(2), allocate(2)].concat();
        again = again.repeat(20);
        raw.stream.write_all(&again).await.unwrap();
        loop {
            let outcome = raw.next().await;
            if outcome.status == Status::REQUEST_ID_IN_USE {
                return outcome;
            }
        }
    })
}

pub(crate) fn hello_expected(house: &House) -> Provoked<'_> {
    Box::pin(async { Raw::greeted(house).await.ask(&frame(2, &hello(plain_hello()))).await })
}

fn token() -> Token {
    Token::new(TokenId(7), [7; 32])
}

pub(crate) fn unauthenticated(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let stranger = Token::new(TokenId(8), [8; 32]);
        let hello = hello(Hello { token: Some(stranger), ..plain_hello() });
        Raw::open(house).await.ask(&frame(1, &hello)).await
    })
}

/// Somebody who may do nothing.
pub(crate) fn not_allowed(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let principal_id = PrincipalId::from_u128(7);
        let create = PrincipalCreate { principal_id, ..PrincipalCreate::default() };
        let (token_id, hash) = (token().id, hash_of(&token()));
        let give = TokenCreate { principal_id, token_id, hash, life_ms: 0 };
        let made =
            [Request::PrincipalCreate(Box::new(create)), Request::TokenCreate(Box::new(give))];
        let mut operator = Raw::greeted(house).await;
        for (number, request) in (2..).zip(&made) {
            let mut header = house::header(number, NetworkId::NIL, request);
            header.project = ProjectId::NIL;
            let mut bytes = BytesMut::new();
            encode_request(&header, request, &mut bytes).unwrap();
            assert_eq!(operator.ask(&bytes).await.status, Status::OK);
        }
        let mut raw = Raw::open(house).await;
        let hello = hello(Hello { token: Some(token()), ..plain_hello() });
        assert_eq!(raw.ask(&frame(1, &hello)).await.status, Status::OK);
        raw.ask(&allocate(2)).await
    })
}

pub(crate) fn wrong_server(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let pinned = Hello { server_id: Some(ServerId::from_u128(1)), ..plain_hello() };
        Raw::open(house).await.ask(&frame(1, &hello(pinned))).await
    })
}

pub(crate) fn session_stale(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let session = SessionId::from_u128(0x5e55);
        let of = |epoch| frame(1, &hello(Hello { session, epoch, ..plain_hello() }));
        let mut first = Raw::open(house).await;
        assert_eq!(first.ask(&of(7)).await.status, Status::OK);
        Raw::open(house).await.ask(&of(6)).await
    })
}

/// A batch that needs a larger buffer than there is for all connections.
pub(crate) fn busy(_: &House) -> Provoked<'_> {
    Box::pin(async {
        let bytes_in_flight_max = 8 * limits::BYTES_IN_FLIGHT_STEP;
        let house = House::start(1, Bounds { bytes_in_flight_max, ..Bounds::default() });
        let items = (0..1_024).map(|_| BatchItem::Allocate(plain_allocate(OwnerId::NIL)));
        let batch = Batch { mode: BatchMode::Independent, items: items.collect() };
        let bytes = frame(2, &Request::Batch(Box::new(batch)));
        assert!(bytes.len() as u64 > bytes_in_flight_max);
        let outcome = Raw::greeted(&house).await.ask(&bytes).await;
        house.stop().await;
        outcome
    })
}

/// Half a frame, and nothing more.
pub(crate) fn timed_out(_: &House) -> Provoked<'_> {
    Box::pin(async {
        let frame = Duration::from_millis(20);
        let house = House::start(1, Bounds { frame, ..Bounds::default() });
        let mut raw = Raw::greeted(&house).await;
        let outcome = raw.ask(&allocate(2)[..70]).await;
        house.stop().await;
        outcome
    })
}

/// A server that may remember next to nothing.
pub(crate) fn memory_full(_: &House) -> Provoked<'_> {
    Box::pin(async {
        let house = small();
        let mut text = r#"n network_create
            n subnet_create {"cidr": "10.0.0.0/24"}
            "#
        .to_owned();
        // A network, a subnet and 93 allocations are 95 % of what it may remember.
        for number in 0..94 {
            text += &format!("n allocate {{\"owner\": \"{number}\"}}\n");
        }
        let outcome = script::run(&house, 1, &text).await;
        house.stop().await;
        outcome
    })
}

fn small() -> House {
    let directory = tempfile::tempdir().unwrap();
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config {
        data_directory: directory.path().join("data"),
        listen: vec![anywhere],
        http: Some(anywhere),
        ..Config::default()
    };
    let booted = boot(Boot {
        history: None,
        audit: None,
        adopts_if_new: false,
        data: config.data_directory.clone(),
        store: store::Settings {
            journal_records_max: limits::JOURNAL_RECORDS_MAX_DEV,
            ..store::Settings::default()
        },
        workers: 1,
        memory_records_max: 100,
        clock_jump_ms_max: addrd::limits::CLOCK_JUMP_MS_MAX,
        restart_grace_ms: addrd::limits::RESTART_GRACE_MS,
        usage_levels: Default::default(),
        hands: Box::new(addrd::engine::SystemHands),
        on_failure: Arc::new(|what| panic!("the engine failed: {what}")),
        progress: Arc::default(),
    });
    let running = booted.unwrap().running;
    let server = Server::bind(running.engine().clone(), &config, None).unwrap();
    House::around(directory, Bounds::default(), running, server)
}

/// One protocol error more than a connection may have in a minute.
/// The mode is the whole server's: the rows behind this one find it ended.
pub(crate) fn adopting(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let lines = r#"- server_adopt {"action": "begin"}
                       n network_create
                       n subnet_create {"cidr": "10.0.0.0/24"}
                       n allocate {"owner": "a", "exact": "10.0.0.9"}
                       n allocate {"owner": "b"}"#;
        let outcome = script::run(house, 0xad, lines).await;
        let ended = script::run(house, 0xae, r#"- server_adopt {"action": "end"}"#).await;
        assert_eq!(ended.status, Status::OK);
        outcome
    })
}

pub(crate) fn rate_limited(house: &House) -> Provoked<'_> {
    Box::pin(async {
        let mut raw = Raw::greeted(house).await;
        let mut bytes = allocate(2);
        bytes[20] = 1;
        for _ in 0..limits::PROTOCOL_ERRORS_MAX {
            assert_eq!(raw.ask(&bytes).await.status, Status::MALFORMED);
        }
        assert_eq!(raw.ask(&bytes).await.status, Status::MALFORMED, "it gets its answer");
        raw.next().await
    })
}
