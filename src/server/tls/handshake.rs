//! A handshake: within its bound and its time, and never louder to the peer than an alert of TLS.

use super::failure::HandshakeFailure;
use super::name::CertificateName;
use super::standing::{Chain, Standing};
use super::{Speaks, Tls, wall_clock};
use crate::limits;
use crate::server::origin::Origin;
use addrd_sync::Share;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A stream whose handshake is done.
pub(in crate::server) struct Secured<S> {
    pub(in crate::server) stream: TlsStream<S>,
    /// Of the client's certificate, if it showed one and has a name in it.
    pub(in crate::server) name: Option<CertificateName>,
    /// Of the certificate that it showed, whatever name is in it.
    pub(in crate::server) standing: Option<Standing>,
}

/// The place of a handshake among all; comes back when dropped.
#[derive(Debug)]
pub(in crate::server) struct HandshakePlace {
    _share: Share,
}

impl Tls {
    /// Takes a place for a handshake; `None`: as many are under way as there may be.
    pub(in crate::server) fn place(&self) -> Option<HandshakePlace> {
        Share::take(&self.handshakes, 1).map(|share| HandshakePlace { _share: share })
    }

    /// Speaks with a peer until both have shown what they must. `None`: it failed, was counted and
    /// told, and the peer got its alert.
    pub(in crate::server) async fn handshake<S>(
        &self,
        stream: S,
        speaks: Speaks,
        origin: &Origin,
    ) -> Option<Secured<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let deadline = Instant::now() + Duration::from_millis(limits::TLS_HANDSHAKE_MS);
        let (config, generation) = self.server_config(speaks);
        let acceptor = TlsAcceptor::from(config);
        let accept = acceptor.accept_with(stream, |session| {
            session.set_buffer_limit(Some(limits::TLS_BUFFER_BYTES));
        });
        let failure = match timeout_at(deadline, accept.into_fallible()).await {
            Ok(Ok(stream)) => {
                self.figures.done.add(1);
                let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let name = shown.first().and_then(CertificateName::of);
                let standing =
                    Chain::of(shown).map(|chain| Standing::new(chain, generation, wall_clock()));
                return Some(Secured { stream, name, standing });
            }
            Ok(Err((error, stream))) => {
                let failure = HandshakeFailure::of(&error);
                self.failed(failure, origin);
                part(stream, deadline).await;
                return None;
            }
            Err(_) => HandshakeFailure::TimeOut,
        };
        self.failed(failure, origin);
        None
    }

    fn failed(&self, failure: HandshakeFailure, origin: &Origin) {
        if let Some(count) = self.figures.failed.get(failure as usize) {
            count.add(1);
        }
        // One line of one class: at most ten a second of all of them.
        let reason = failure.label();
        tracing::warn!(peer = %origin, reason, "TLS handshake failed: {}", failure.text());
    }
}

/// Lets the peer read its alert: a socket that is closed while bytes of the peer are unread takes
/// back what was sent last.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, deadline: Instant) {
    let drain = async {
        stream.shutdown().await?;
        let mut waste = [0; 1_024];
        let mut count = 0;
        while count < limits::LINGER_BYTES_MAX {
            match stream.read(&mut waste).await? {
                0 => break,
                more => count += more,
            }
        }
        Ok::<_, io::Error>(())
    };
    let linger = Instant::now() + Duration::from_millis(limits::LINGER_MS);
    // Whatever goes wrong, the peer is gone and the socket is closed.
    let _ = timeout_at(deadline.min(linger), drain).await;
}
