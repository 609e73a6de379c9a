//! `/metrics`, `/livez` and `/readyz`: bounded connections, bounded times, no state of its own.

use super::admission::{Admission, Peer};
use super::decider::{Decider, Readiness};
use super::operators::{Front, Operated};
use super::origin::Origin;
use super::shared::Shared;
use super::tls::{Speaks, Tls};
use crate::config::Bounds;
use crate::limits;
use addrd_sync::Level;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Serves operators until told to stop.
pub(super) async fn serve_http(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    front: Arc<Front>,
    stop: CancellationToken,
) {
    let places = places();
    let connections = TaskTracker::new();
    let accept = async {
        loop {
            let Ok((stream, address)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                continue;
            };
            let peer = Peer::of(address.ip());
            // Without a place the connection is closed at once.
            let Ok(seats) = places.admit(peer) else { continue };
            let secure = match &tls {
                None => None,
                Some(tls) => match tls.place() {
                    Some(place) => Some((Arc::clone(tls), place)),
                    None => continue,
                },
            };
            let front = Arc::clone(&front);
            connections.spawn(async move {
                let _counted = Counted::new(&front.connections);
                match secure {
                    Some((tls, place)) => {
                        let origin = Origin::of(peer);
                        let secured = tls.handshake(stream, Speaks::Http, &origin).await;
                        drop(place);
                        if let Some(secured) = secured {
                            serve_one(secured.stream, &front).await;
                        }
                    }
                    None => serve_one(stream, &front).await,
                }
                drop(seats);
            });
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept => {}
    }
}

/// Places for connections, all the time that they last: one peer can't take all of them.
fn places() -> Arc<Admission> {
    Admission::new(&Bounds {
        connections_max: limits::HTTP_CONNECTIONS_MAX,
        connections_ungreeted_max: limits::HTTP_CONNECTIONS_MAX,
        connections_ungreeted_peer_max: limits::HTTP_CONNECTIONS_PEER_MAX,
        ..Bounds::default()
    })
}

/// A connection that is counted while this lives, however it ends.
struct Counted(Arc<Level>);

impl Counted {
    fn new(level: &Arc<Level>) -> Self {
        level.add(1);
        Self(Arc::clone(level))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}

/// Serves one connection: one request, then it closes.
async fn serve_one<S>(stream: S, front: &Front)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, front)) });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::HTTP_HEADER_MS))
        .max_buf_size(limits::HTTP_BUFFER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let most = Duration::from_millis(limits::HTTP_CONNECTION_MS);
    // Whatever goes wrong, the connection ends and nobody else is touched.
    let _ = tokio::time::timeout(most, serving).await;
}

fn answer(request: &Request<Incoming>, front: &Front) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => metrics(front),
        "/livez" => verdict("alive", front.liveness()),
        "/readyz" => match front.readiness() {
            Ok(()) => text(StatusCode::OK, format!("ready\n{}", front.notes())),
            refused => verdict("ready", refused),
        },
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /livez and /readyz\n".to_owned()),
    }
}

fn metrics(front: &Front) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, front.metrics());
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

fn verdict(good: &str, found: Result<(), String>) -> Response<Full<Bytes>> {
    match found {
        Ok(()) => text(StatusCode::OK, format!("{good}\n")),
        Err(reasons) => text(StatusCode::SERVICE_UNAVAILABLE, reasons),
    }
}

impl<D: Decider> Operated for Shared<D> {
    /// Every loop has turned within the last seconds. Those of a server whose connections have
    /// ended end one by one.
    fn liveness(&self) -> Result<(), String> {
        let now_ns = self.decider.clock().monotonic_ns();
        let late = limits::LOOP_AGE_MS * 1_000_000;
        let mut late_ones = String::new();
        let house = ("housekeeping".to_owned(), self.house_turned_ns.get());
        for (name, turned_ns) in self.decider.loops().into_iter().chain([house]) {
            let age_ns = now_ns.saturating_sub(turned_ns.max(self.started_ns));
            if age_ns > late && !self.is_closed.is_raised() {
                late_ones += &format!("{name} has not turned for {} ms\n", age_ns / 1_000_000);
            }
        }
        if late_ones.is_empty() { Ok(()) } else { Err(late_ones) }
    }

    fn readiness(&self) -> Result<(), String> {
        if self.is_stopping.is_raised() {
            return Err("draining: the server is stopping\n".to_owned());
        }
        match self.decider.readiness() {
            Readiness::Ready => Ok(()),
            Readiness::NotReady(reason) => Err(format!("{reason}\n")),
        }
    }

    fn notes(&self) -> String {
        Self::notes(self)
    }

    /// As of the last fold.
    fn metrics(&self) -> String {
        self.metrics_text()
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeDecider, Stage};
    use super::*;
    use crate::engine::StartProgress;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    fn front_of(stage: &Stage) -> Arc<Front> {
        let front = Front::new(Arc::new(StartProgress::done()));
        front.serves(Arc::<Shared<FakeDecider>>::clone(&stage.shared));
        front
    }

    async fn ask(stage: &Stage, request: &str) -> String {
        ask_front(&front_of(stage), request).await
    }

    async fn ask_front(front: &Front, request: &str) -> String {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        let talk = async {
            ours.write_all(request.as_bytes()).await.unwrap();
            let mut reply = String::new();
            ours.read_to_string(&mut reply).await.unwrap();
            reply
        };
        tokio::join!(talk, serve_one(theirs, front)).0
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: addrd\r\n\r\n")
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_and_health_are_served_and_nothing_else() {
        let stage = Stage::new(FakeDecider::answering());
        super::super::figures::fold(&stage.shared);
        let reply = ask(&stage, &get("/metrics")).await;
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        assert!(reply.contains("text/plain; version=0.0.4"), "{reply}");
        assert!(reply.contains("\naddrd_connections 0\n"), "{reply}");
        assert!(ask(&stage, &get("/readyz")).await.ends_with("\r\n\r\nready\n"));
        assert!(ask(&stage, &get("/livez")).await.ends_with("\r\n\r\nalive\n"));
        assert!(ask(&stage, &get("/etc/passwd")).await.starts_with("HTTP/1.1 404 "));
        let post = "POST /metrics HTTP/1.1\r\nHost: addrd\r\nContent-Length: 0\r\n\r\n";
        assert!(ask(&stage, post).await.starts_with("HTTP/1.1 405 "));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_ready_says_why() {
        let stage = Stage::new(FakeDecider::answering());
        stage.decider.set_not_ready("the journal is full");
        let reply = ask(&stage, &get("/readyz")).await;
        assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
        assert!(reply.ends_with("\r\n\r\nthe journal is full\n"), "{reply}");
        stage.shared.is_stopping.raise();
        let reply = ask(&stage, &get("/readyz")).await;
        assert!(reply.ends_with("\r\n\r\ndraining: the server is stopping\n"), "{reply}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_in_doubt_is_told_by_a_server_that_serves() {
        let stage = Stage::new(FakeDecider::answering());
        assert_eq!(stage.shared.notes(), "");
        stage.decider.doubt_clock();
        let reply = ask(&stage, &get("/readyz")).await;
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        assert!(
            reply.contains("\r\n\r\nready\nno lease ends: the wall clock is 7 s ahead"),
            "{reply}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_in_adoption_mode_says_so() {
        let stage = Stage::new(FakeDecider::answering());
        super::super::figures::fold(&stage.shared);
        assert!(ask(&stage, &get("/metrics")).await.contains("\naddrd_adoption_seconds 0\n"));
        stage.decider.adopt_since(stage.decider.clock().tick());
        stage.decider.advance(90_000);
        let reply = ask(&stage, &get("/readyz")).await;
        assert!(reply.contains("\r\n\r\nready\nadoption mode for 90 s: "), "{reply}");
        super::super::figures::fold(&stage.shared);
        assert!(ask(&stage, &get("/metrics")).await.contains("\naddrd_adoption_seconds 90\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn while_data_is_read_it_is_alive_and_tells_how_far_it_is() {
        let progress = Arc::new(StartProgress::default());
        let front = Front::new(Arc::clone(&progress));
        let ready = get("/readyz");
        assert!(ask_front(&front, &ready).await.ends_with("\r\n\r\nrecovering: 0 %\n"));
        progress.set(37, 100);
        let reply = ask_front(&front, &ready).await;
        assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
        assert!(reply.ends_with("\r\n\r\nrecovering: 37 %\n"), "{reply}");
        assert!(ask_front(&front, &get("/livez")).await.ends_with("\r\n\r\nalive\n"));
        let text = ask_front(&front, &get("/metrics")).await;
        for line in ["addrd_ready 0", "addrd_recovered_ratio 0.37"] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
        let stage = Stage::new(FakeDecider::answering());
        front.serves(Arc::<Shared<FakeDecider>>::clone(&stage.shared));
        assert!(ask_front(&front, &ready).await.ends_with("\r\n\r\nready\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_told() {
        let stage = Stage::new(FakeDecider::answering());
        stage.shared.house_turned_ns.set(stage.decider.clock().monotonic_ns());
        stage.decider.advance(limits::LOOP_AGE_MS + 1_000);
        let reply = ask(&stage, &get("/livez")).await;
        assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
        assert!(reply.contains("fake has not turned for"), "{reply}");
        assert!(reply.contains("housekeeping has not turned for 11000 ms"), "{reply}");
        // Loops of a server that only folds what is left end one by one.
        stage.shared.is_closed.raise();
        assert!(ask(&stage, &get("/livez")).await.ends_with("\r\n\r\nalive\n"));
    }

    #[test]
    fn one_peer_leaves_places_for_others() {
        let places = places();
        let peer = |last: u8| Peer::of(std::net::Ipv4Addr::new(192, 0, 2, last).into());
        let held: Vec<_> = std::iter::from_fn(|| places.admit(peer(1)).ok()).collect();
        assert_eq!(held.len(), limits::HTTP_CONNECTIONS_PEER_MAX as usize);
        assert!(places.admit(peer(2)).is_ok());
        drop(held);
        assert!(places.admit(peer(1)).is_ok());
    }

    #[test]
    fn a_connection_that_panics_is_counted_no_more() {
        let level = Arc::new(Level::default());
        let counted = Arc::clone(&level);
        let panics = std::panic::AssertUnwindSafe(move || {
            let _counted = Counted::new(&counted);
            std::panic::resume_unwind(Box::new("a panic of a test"));
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(level.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_header_and_a_long_one_end_the_connection() {
        let stage = Stage::new(FakeDecider::answering());
        let since = Instant::now();
        ask(&stage, "GET /metrics HTTP/1.1\r\nHost").await;
        let header = Duration::from_millis(limits::HTTP_HEADER_MS);
        assert!((header..header * 2).contains(&since.elapsed()), "{:?}", since.elapsed());
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
        let reply = ask(&stage, &long).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431 "), "{reply}");
    }
}
