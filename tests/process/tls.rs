//! TLS between the real program and its clients: who is let in, who is not and what he is told, what
//! it costs others, and certificates that change while connections live.

use crate::support::certificates::{Authority, Files, Signed};
use crate::support::hostile::hello_bytes;
use crate::support::line::{dial, header};
use crate::support::server::Site;
use crate::support::{eventually, run, soon};
use addrd_client::protocol::NetworkId;
use addrd_client::protocol::message::{Ping, Request};
use addrd_client::{
    Client, Connection, Endpoint, Error, Settings, Tls, TlsFailure, Transport, Trust, plain_hello,
};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(300);
/// Keeps files small, as `--dev` does.
const SMALL: &str = "journal_records_max = 262144\n";
pub(crate) const WEB: &str = "spiffe://example/web";

/// A server whose clients must show certificates of its own CA, and the means to change that.
pub(crate) struct House {
    /// Goes with its files when the house does.
    _folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) files: Files,
    pub(crate) site: Site,
}

impl House {
    pub(crate) fn new(settings: impl FnOnce(&Files) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let files = Files::write(folder.path(), &authority.server(), &authority.pem());
        let site = Site::new().with_config(&format!("{SMALL}{}", settings(&files)));
        Self { _folder: folder, authority, files, site }
    }

    pub(crate) fn mutual() -> Self {
        Self::new(Files::mutual)
    }

    fn settings(&self, tls: Option<Tls>) -> Settings {
        Settings { tls, connect_rounds_max: 1, ..self.site.settings() }
    }

    pub(crate) async fn client(&self, tls: Tls) -> Result<Client, Error> {
        soon("an answer", Client::connect(self.settings(Some(tls)))).await
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let at = self.site.listen();
        Endpoint::Tcp { host: at.ip().to_string(), port: at.port() }
    }

    /// A client that is let in.
    pub(crate) fn good(&self) -> Tls {
        self.authority.tls(Some(&self.authority.client(WEB)))
    }

    /// Why a client is not let in.
    pub(crate) async fn failure(&self, tls: Option<Tls>) -> TlsFailure {
        match soon("an answer", Client::connect(self.settings(tls))).await {
            Err(Error::Tls { failure, .. }) => failure,
            other => panic!("it should have failed over TLS: {other:?}"),
        }
    }

    /// Waits until a figure has a value.
    pub(crate) async fn shows(&self, name: &str, value: f64) {
        let what = format!("{name} to be {value}");
        // Figures are there from the first second on.
        eventually(&what, async || {
            (self.site.figures().await.get(name) == Some(value)).then_some(())
        })
        .await;
    }

    /// Waits until a figure has a value, or more: the server also looks at its files by itself.
    pub(crate) async fn reaches(&self, name: &str, least: f64) {
        let what = format!("{name} to be {least} at least");
        eventually(&what, async || {
            let found = self.site.figures().await.get(name);
            found.is_some_and(|found| found >= least).then_some(())
        })
        .await;
    }

    async fn failed(&self, reason: &str, count: f64) {
        let name = format!("addrd_tls_handshakes_failed_total{{reason=\"{reason}\"}}");
        self.shows(&name, count).await;
    }
}

/// Reads until the server closes; an error of the socket is an end, too.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = soon("the server to close", stream.read_to_end(&mut bytes)).await;
    bytes
}

#[test]
fn who_shows_a_certificate_of_the_ca_is_let_in_and_nobody_else() {
    run(LIMIT, async {
        let house = House::mutual();
        let server = house.site.start().await;
        house.client(house.good()).await.expect("a good client").ping().await.expect("a ping");

        let none = house.authority.tls(None);
        let failure = house.failure(Some(none)).await;
        assert!(
            matches!(&failure, TlsFailure::Refused(why) if why.contains("certificate")),
            "{failure}"
        );
        house.failed("no_certificate", 1.0).await;

        let stranger = Authority::new().client(WEB);
        let failure = house.failure(Some(house.authority.tls(Some(&stranger)))).await;
        assert!(matches!(failure, TlsFailure::Refused(_)), "{failure}");
        house.failed("untrusted", 1.0).await;

        let expired = house.authority.expired(WEB);
        let failure = house.failure(Some(house.authority.tls(Some(&expired)))).await;
        assert!(matches!(&failure, TlsFailure::Refused(why) if why.contains("over")), "{failure}");
        house.failed("expired", 1.0).await;

        let elsewhere = Authority::new();
        let failure = house.failure(Some(elsewhere.tls(Some(&house.authority.client(WEB))))).await;
        assert!(matches!(failure, TlsFailure::Untrusted(_)), "{failure}");
        house.failed("refused_by_peer", 1.0).await;
        server.stop().await;
    });
}

#[test]
fn only_the_names_in_the_list_are_let_in() {
    run(LIMIT, async {
        let names = format!("tls_client_names = [\"{WEB}\", \"node-7.example\"]\n");
        let house = House::new(|files| files.mutual() + &names);
        let server = house.site.start().await;
        house.client(house.good()).await.expect("the first name of the list");
        let dns = rcgen::SanType::DnsName("node-7.example".try_into().expect("ASCII"));
        let by_dns = house.authority.sign(vec![dns.clone()]);
        let tls = house.authority.tls(Some(&by_dns));
        house.client(tls).await.expect("the second name of the list");

        // A URI is the name, whatever stands beside it.
        let both = vec![dns, crate::support::certificates::uri("spiffe://example/db")];
        let other = house.authority.sign(both);
        let failure = house.failure(Some(house.authority.tls(Some(&other)))).await;
        assert!(matches!(&failure, TlsFailure::Refused(why) if why.contains("name")), "{failure}");
        house.failed("name", 1.0).await;
        server.stop().await;
    });
}

/// What a client offers that knows TLS 1.2 and nothing newer.
fn hello_of_tls_1_2() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    // ECDHE-ECDSA and ECDHE-RSA with AES-128-GCM.
    body.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x2f]);
    body.extend([1, 0]);
    // supported_groups: secp256r1; signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_sha256.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 6, 0, 4, 4, 3, 8, 4];
    body.extend([0, extensions.len() as u8]);
    body.extend(extensions);
    let length = body.len() as u8;
    let mut hello = vec![0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    hello.extend(body);
    hello
}

#[test]
fn tls_1_2_and_what_is_no_tls_are_refused_with_an_alert_and_nothing_else() {
    run(LIMIT, async {
        let house = House::mutual();
        let server = house.site.start().await;
        // Alert, fatal: protocol_version (RFC 8446 section 6).
        let mut stream = dial(house.site.listen()).await.expect("a stream");
        stream.write_all(&hello_of_tls_1_2()).await.expect("room");
        assert_eq!(rest(&mut stream).await, [0x15, 3, 3, 0, 2, 2, 70]);
        house.failed("version", 1.0).await;

        for (count, plain) in
            [&hello_bytes()[..], b"GET /metrics HTTP/1.1\r\n\r\n"].iter().enumerate()
        {
            let mut stream = dial(house.site.listen()).await.expect("a stream");
            stream.write_all(plain).await.expect("room");
            // Alert, fatal: decode_error, since the first byte is of no kind of record that there is.
            assert_eq!(rest(&mut stream).await, [0x15, 3, 3, 0, 2, 2, 50]);
            house.failed("plain", (count + 1) as f64).await;
        }
        assert!(house.site.log().contains("the client speaks no TLS"));
        assert_eq!(house.failure(None).await, TlsFailure::Needed);

        // The Unix socket stays plain.
        let place = format!("unix:{}", house.site.data().join("addrd.sock").display());
        let local = Settings::to([place.as_str()]).expect("a path is an endpoint");
        let tls = Some(house.good());
        let client = Client::connect(Settings { tls, ..local }).await.expect("a local client");
        client.ping().await.expect("a ping");
        server.stop().await;
    });
}

#[test]
fn a_client_that_speaks_tls_to_a_plain_server_is_told() {
    run(LIMIT, async {
        let house = House::new(|_| String::new());
        let server = house.site.start().await;
        assert_eq!(house.failure(Some(house.good())).await, TlsFailure::NotSpoken);
        server.stop().await;
    });
}

#[test]
fn a_slow_handshake_ends_in_time_and_holds_up_nobody() {
    run(LIMIT, async {
        let house = House::mutual();
        let server = house.site.start().await;
        let mut silent = dial(house.site.listen()).await.expect("a stream");
        let mut slow = dial(house.site.listen()).await.expect("a stream");
        slow.write_all(&hello_of_tls_1_2()[..7]).await.expect("room");
        house.client(house.good()).await.expect("a good client beside slow ones");
        assert!(rest(&mut slow).await.is_empty());
        assert!(rest(&mut silent).await.is_empty());
        house.failed("time_out", 2.0).await;
        house.shows("addrd_tls_handshakes", 0.0).await;
        house.shows("addrd_connections_ungreeted", 0.0).await;
        server.stop().await;
    });
}

#[test]
fn more_handshakes_than_a_bound_are_refused_and_there_is_room_again_afterwards() {
    run(LIMIT, async {
        for (bound, reason) in [
            ("tls_handshakes_max = 2\n", "handshakes"),
            // A handshake is a connection before HELLO.
            ("connections_ungreeted_peer_max = 2\n", "ungreeted_peer"),
        ] {
            let house = House::new(|files| files.mutual() + bound);
            let server = house.site.start().await;
            let name = format!("addrd_connections_refused_total{{reason=\"{reason}\"}}");
            let mut held = Vec::new();
            // Those that were there first end by themselves: more come until one is too many.
            eventually("a refusal", async || {
                held.push(dial(house.site.listen()).await.ok()?);
                (house.site.figures().await.get(&name)? >= 1.0).then_some(())
            })
            .await;
            drop(held);
            house.shows("addrd_tls_handshakes", 0.0).await;
            house.client(house.good()).await.expect("room again");
            server.stop().await;
        }
    });
}

/// A connection that is kept as it is: nothing connects it again.
pub(crate) async fn kept(house: &House, tls: &Tls) -> Connection<Transport> {
    let place = house.endpoint();
    let stream = soon("a handshake", place.open_with(Some(tls))).await.expect("a stream");
    soon("HELLO", Connection::hello(stream, &plain_hello())).await.expect("a greeting")
}

pub(crate) async fn ping(connection: &mut Connection<Transport>, request_id: u64) {
    let header = header(NetworkId::NIL, request_id);
    connection.queue(&header, &Request::Ping(Ping {})).expect("it fits");
    connection.flush().await.expect("it is sent");
    let (reply, _) = soon("a reply", connection.receive()).await.expect("a reply");
    assert_eq!(reply.request_id, request_id);
}

#[test]
fn new_certificates_are_for_new_connections_and_old_ones_go_on() {
    run(LIMIT, async {
        let house = House::mutual();
        let mut server = house.site.start().await;
        let own = house.authority.client(WEB);
        let mut old = kept(&house, &house.good()).await;
        let ends = "addrd_tls_certificate_end_seconds";
        // The first day of 4096.
        house.shows(ends, 67_090_118_400.0).await;

        let next = Authority::new();
        house.files.replace(&next.server());
        server.hang_up();
        house.reaches("addrd_tls_reloads_total{result=\"done\"}", 1.0).await;
        house.client(next.tls(Some(&own))).await.expect("who believes the new CA");
        let failure = house.failure(Some(house.good())).await;
        assert!(matches!(failure, TlsFailure::Untrusted(_)), "{failure}");
        ping(&mut old, 2).await;

        // What can't be used changes nothing.
        let stranger = Authority::new().server();
        std::fs::write(&house.files.key, &stranger.key).expect("a key is written");
        server.hang_up();
        house.reaches("addrd_tls_reloads_total{result=\"refused\"}", 1.0).await;
        let log = house.site.log();
        assert!(log.contains(&format!("tls_key = {}", house.files.key.display())), "{log}");
        assert!(!log.contains("PRIVATE KEY"), "{log}");
        house.client(next.tls(Some(&own))).await.expect("the one before stays");
        ping(&mut old, 3).await;

        // Files that change are found without a signal.
        house.files.replace(&house.authority.server());
        house.reaches("addrd_tls_reloads_total{result=\"done\"}", 2.0).await;
        house.client(house.good()).await.expect("the third one");
        ping(&mut old, 4).await;
        server.stop().await;
    });
}

#[test]
fn a_hang_up_ends_no_server_without_tls() {
    run(LIMIT, async {
        let site = Site::new();
        let mut server = site.start().await;
        server.hang_up();
        eventually("the server to say so", async || {
            site.log().contains("nothing to read again").then_some(())
        })
        .await;
        site.client().await.ping().await.expect("it serves");
        server.stop().await;
    });
}

/// Pages that are longer than what TLS and the socket hold together.
#[test]
fn much_is_carried_in_both_directions() {
    run(LIMIT, async {
        let house = House::mutual();
        let server = house.site.start().await;
        let client = house.client(house.good()).await.expect("a good client");
        let network = crate::support::network::network(&client, 1, &["10.0.0.0/8"]).await;
        let count = 4_000;
        let held: Vec<_> = (1..=count)
            .map(|owner| {
                let owner = addrd_client::protocol::OwnerId::from_u128(owner);
                client.allocate(network, addrd_client::plain_allocate(owner))
            })
            .collect();
        let held = soon("addresses", futures_of(held)).await;
        assert_eq!(held.len(), count as usize);
        assert_eq!(crate::support::network::held(&client, network).await.len(), count as usize);
        server.stop().await;
    });
}

/// The results of calls that are under way at once.
async fn futures_of<T, E: std::fmt::Debug>(
    calls: Vec<impl Future<Output = Result<T, E>>>,
) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut results = Vec::new();
    std::future::poll_fn(|cx| {
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            std::task::Poll::Ready(result) => {
                results.push(result.expect("a result"));
                false
            }
            std::task::Poll::Pending => true,
        });
        if calls.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    results
}

#[test]
fn a_pinned_server_is_believed_and_no_other() {
    run(LIMIT, async {
        let house = House::new(Files::settings);
        let server = house.site.start().await;
        let pinned =
            |pem: &str| Tls::new(Trust::Pinned(pem.as_bytes()), None, None).expect("a pin");
        let ours = std::fs::read_to_string(&house.files.certificate).expect("a file");
        house.client(pinned(&ours)).await.expect("the pinned server");
        let other: Signed = house.authority.server();
        let failure = house.failure(Some(pinned(&other.certificate))).await;
        assert!(
            matches!(&failure, TlsFailure::Untrusted(why) if why.contains("pinned")),
            "{failure}"
        );
        server.stop().await;
    });
}

/// Where a server seems to be: closes the first streams after it has read of them, then leads to it. It ends with
/// the set.
async fn front(house: &House, closed: usize) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (at, behind) = (listener.local_addr().expect("an address"), house.site.listen());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut streams = JoinSet::new();
        for count in 0.. {
            let (mut stream, _) = listener.accept().await.expect("a stream");
            if count < closed {
                let _ = stream.read(&mut [0; 16]).await;
                continue;
            }
            streams.spawn(async move {
                let mut inner = TcpStream::connect(behind).await.expect("the server");
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
            });
        }
    });
    (at, tasks)
}

#[test]
fn a_server_that_goes_within_a_handshake_is_asked_again() {
    run(LIMIT, async {
        let house = House::mutual();
        let server = house.site.start().await;
        let (place, tasks) = front(&house, 3).await;
        let settings = Settings::to([place.to_string().as_str()]).expect("an endpoint");
        let settings = Settings { tls: Some(house.good()), connect_rounds_max: 0, ..settings };
        let client = soon("a client", Client::connect(settings)).await.expect("the fourth try");
        client.ping().await.expect("a ping");
        drop(tasks);
        server.stop().await;
    });
}

#[test]
fn a_server_that_is_not_believed_is_final_only_after_the_others() {
    run(LIMIT, async {
        let (house, other) = (House::mutual(), House::mutual());
        let (server, stranger) = (house.site.start().await, other.site.start().await);
        let (good, bad) = (house.site.listen().to_string(), other.site.listen().to_string());
        let to = |places: [&str; 2]| {
            let settings = Settings::to(places).expect("endpoints");
            Settings { tls: Some(house.good()), connect_rounds_max: 0, ..settings }
        };
        let client = soon("a client", Client::connect(to([&bad, &good]))).await;
        client.expect("the second endpoint").ping().await.expect("a ping");
        // Tries without end, but all of them say the same.
        let failed = soon("an end", Client::connect(to([&bad, &bad]))).await;
        assert!(matches!(failed, Err(Error::Tls { .. })), "{failed:?}");
        server.stop().await;
        stranger.stop().await;
    });
}
