//! Where a server listens, and the byte stream to it. Speaks no protocol.

use crate::connection::ConnectionError;
use crate::tls::Tls;
use addrd_protocol::token::holds_token;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// Port of a server that names none.
pub const DEFAULT_PORT: u16 = 2337;

/// Where a server listens: `HOST`, `HOST:PORT`, `[V6]:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Name or address, and port.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// A text that names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    text: String,
}

impl Endpoint {
    /// Opens a stream, and over TCP speaks TLS first if told to. The caller bounds the time.
    ///
    /// # Errors
    /// [`ConnectionError::Io`] and [`ConnectionError::Tls`]; no request was sent.
    pub async fn open_with(&self, tls: Option<&Tls>) -> Result<Transport, ConnectionError> {
        match (self, self.open().await?, tls) {
            (Self::Tcp { host, .. }, Transport::Tcp(stream), Some(tls)) => {
                Ok(Transport::Tls(Box::new(tls.handshake(host, stream).await?)))
            }
            (_, stream, _) => Ok(stream),
        }
    }

    /// Whether what is sent there stays on this machine: a Unix socket, a loopback address, or `localhost` (RFC 6761).
    /// Asks no name server: any other name may lead anywhere.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(address) => address.to_canonical().is_loopback(),
                Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
            },
        }
    }

    /// Opens a plain stream. The caller bounds the time.
    ///
    /// # Errors
    /// Those of the operating system; nothing was sent.
    pub async fn open(&self) -> io::Result<Transport> {
        match self {
            Self::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Transport::Tcp(stream))
            }
            Self::Unix(path) => UnixStream::connect(path).await.map(Transport::Unix),
        }
    }
}

impl Default for Endpoint {
    /// The address that a server listens on unless told otherwise.
    fn default() -> Self {
        Self::Tcp { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if holds_token(text) {
            // One in the place of a server is shown to nobody, and no name server is asked for it.
            return Err(EndpointError { text: "(not shown)".to_owned() });
        }
        let error = || EndpointError { text: text.to_owned() };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(error()) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = split_port(text).ok_or_else(error)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(error)?,
            None => DEFAULT_PORT,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(plain) {
            return Err(error());
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

/// Host and port of a text; brackets around an IPv6 address are taken off.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        Some(_) => Some((text, None)),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not HOST, HOST:PORT, [V6]:PORT or unix:PATH", self.text)
    }
}

impl std::error::Error for EndpointError {}

/// A byte stream to a server.
#[derive(Debug)]
pub enum Transport {
    /// Over TCP, without delay for small writes.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TCP, the handshake done.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn endpoints_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Endpoint>();
        assert_eq!(read("addrd.example"), Ok(tcp("addrd.example", DEFAULT_PORT)));
        assert_eq!(read("127.0.0.1:9"), Ok(tcp("127.0.0.1", 9)));
        assert_eq!(read("[::1]:9"), Ok(tcp("::1", 9)));
        assert_eq!(read("[::1]"), Ok(tcp("::1", DEFAULT_PORT)));
        assert_eq!(read("::1"), Ok(tcp("::1", DEFAULT_PORT)));
        assert_eq!(read("unix:/run/addrd.sock"), Ok(Endpoint::Unix("/run/addrd.sock".into())));
        for wrong in ["", ":9", "unix:", "a:0", "a:70000", "a:b", "[::1", "[::1]9", "http://a/"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_local_is_told_without_asking_anybody() {
        let is_local = |text: &str| text.parse::<Endpoint>().unwrap().is_local();
        for text in [
            "unix:/run/s",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:9",
            "LocalHost:1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_local(text), "{text}");
        }
        for text in
            ["192.0.2.1", "0.0.0.0", "[2001:db8::1]:9", "addrd.example", "localhost.example"]
        {
            assert!(!is_local(text), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["127.0.0.1:9", "[::1]:9", "unix:/run/addrd.sock"] {
            assert_eq!(text.parse::<Endpoint>().map(|e| e.to_string()), Ok(text.to_owned()));
        }
    }
}
