//! `/metrics`, `/livez` and `/readyz`: bounded connections, bounded times, no state of its own.

use super::decider::{Decider, Readiness};
use super::shared::Shared;
use crate::limits;
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
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Serves operators until told to stop.
pub(super) async fn serve_http<D: Decider>(
    listener: TcpListener,
    shared: Arc<Shared<D>>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    let accept = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                continue;
            };
            // Without a place the connection is closed at once.
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let shared = Arc::clone(&shared);
            connections.spawn(async move {
                serve_one(stream, &shared).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept => {}
    }
}

/// Serves one connection: one request, then it closes.
async fn serve_one<S, D>(stream: S, shared: &Shared<D>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    D: Decider,
{
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, shared)) });
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

fn answer<D: Decider>(request: &Request<Incoming>, shared: &Shared<D>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => metrics(shared),
        "/livez" => {
            let (status, body) = liveness(shared);
            text(status, body)
        }
        "/readyz" => {
            let (status, body) = readiness(shared);
            text(status, body)
        }
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /livez and /readyz\n".to_owned()),
    }
}

fn metrics<D: Decider>(shared: &Shared<D>) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, shared.metrics_text());
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

/// Every loop has turned within the last seconds.
fn liveness<D: Decider>(shared: &Shared<D>) -> (StatusCode, String) {
    let now_ns = shared.decider.clock().monotonic_ns();
    let late = limits::LOOP_AGE_MS * 1_000_000;
    let mut body = String::new();
    let loops = shared.decider.figures().loops;
    let house = ("housekeeping".to_owned(), shared.house_turned_ns.get());
    for (name, turned_ns) in loops.into_iter().chain([house]) {
        let age_ns = now_ns.saturating_sub(turned_ns.max(shared.started_ns));
        if age_ns > late {
            body += &format!("{name} has not turned for {} ms\n", age_ns / 1_000_000);
        }
    }
    if body.is_empty() {
        (StatusCode::OK, "alive\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

fn readiness<D: Decider>(shared: &Shared<D>) -> (StatusCode, String) {
    if shared.is_stopping.is_raised() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n".to_owned());
    }
    match shared.decider.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready\n".to_owned()),
        Readiness::NotReady(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    async fn ask(stage: &Stage, request: &str) -> String {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        let talk = async {
            ours.write_all(request.as_bytes()).await.unwrap();
            let mut reply = String::new();
            ours.read_to_string(&mut reply).await.unwrap();
            reply
        };
        tokio::join!(talk, serve_one(theirs, &stage.shared)).0
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
        assert!(ask(&stage, &get("/readyz")).await.ends_with("the server is stopping\n"));
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
