//! TLS to a server: whom to trust, what to show, and what went wrong. Opens no file.

use crate::connection::ConnectionError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage,
    PeerIncompatible, RootCertStore, SignatureScheme, version,
};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Name of the protocol in a handshake (ALPN). SPEC.md section 4.
const ALPN: &[u8] = b"addrd/1";

/// Which server is believed to be the right one.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// One whose certificate is signed by a CA of this PEM text, and has the server's name in it.
    Ca(&'a [u8]),
    /// The one that shows exactly the first certificate of this PEM text, whatever its name and term.
    Pinned(&'a [u8]),
}

/// A client's own certificate and key, as PEM text.
#[derive(Clone, Copy)]
pub struct ClientCertificate<'a> {
    /// The certificate, then those between it and its CA.
    pub certificate: &'a [u8],
    /// Its private key.
    pub key: &'a [u8],
}

impl fmt::Debug for ClientCertificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// How a client speaks TLS 1.3 over TCP; Unix sockets stay plain. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use addrd_client::{Settings, Tls, Trust};
///
/// # let pem: &[u8] = b"";
/// # if pem.is_empty() { return Ok(()); }
/// let pem = std::fs::read("/etc/addrd/ca.pem")?;
/// let tls = Tls::new(Trust::Ca(&pem), None, None)?;
/// let settings = Settings { tls: Some(tls), ..Settings::to(["addrd.example:2337"])? };
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

/// What cannot be used to speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// There is no certificate to trust in the text, or one that can't be used.
    Trust,
    /// There is no certificate of the client's own in the text, or one that can't be used.
    Certificate,
    /// There is no private key in the text, or one of a kind that is not spoken.
    Key,
    /// The key does not belong to the certificate.
    KeyMismatch,
    /// The server's name is none.
    ServerName,
}

impl fmt::Display for TlsSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trust => {
                "there is no certificate to trust in it: expected PEM, \"BEGIN CERTIFICATE\""
            }
            Self::Certificate => {
                "there is no certificate of a client in it: expected PEM, \"BEGIN CERTIFICATE\""
            }
            Self::Key => {
                "there is no private key in it that can be used: expected PEM, \"BEGIN PRIVATE \
                 KEY\", not encrypted, of ECDSA, Ed25519 or RSA"
            }
            Self::KeyMismatch => "the private key does not belong to the certificate",
            Self::ServerName => "the name of the server is neither a host name nor an address",
        })
    }
}

impl std::error::Error for TlsSettingsError {}

/// Why a server could not be spoken to over TLS. Nothing of a request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The server speaks TLS, and the client was not told to.
    Needed,
    /// The server speaks no TLS.
    NotSpoken,
    /// The client does not believe the server: why.
    Untrusted(String),
    /// The server does not let the client in: what it says.
    Refused(String),
    /// Anything else that went wrong in the handshake.
    Other(String),
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Needed => f.write_str("the server speaks TLS, and this client was not told to"),
            Self::NotSpoken => f.write_str("this server doesn't speak TLS"),
            Self::Untrusted(why) => write!(f, "the server's certificate is not trusted: {why}"),
            Self::Refused(why) => write!(f, "the server refuses this client: {why}"),
            Self::Other(why) => write!(f, "TLS failed: {why}"),
        }
    }
}

impl Tls {
    /// How to speak TLS. Without `server_name` the server's certificate must have the host of its
    /// endpoint in it.
    ///
    /// # Errors
    /// [`TlsSettingsError`].
    pub fn new(
        trust: Trust<'_>,
        own: Option<ClientCertificate<'_>>,
        server_name: Option<&str>,
    ) -> Result<Self, TlsSettingsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|_| TlsSettingsError::Trust)?;
        let builder =
            builder.dangerous().with_custom_certificate_verifier(verifier(trust, &provider)?);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = certificates(own.certificate).ok_or(TlsSettingsError::Certificate)?;
                let key = PrivateKeyDer::from_pem_slice(own.key);
                let key = key.map_err(|_| TlsSettingsError::Key)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => TlsSettingsError::KeyMismatch,
                    rustls::Error::InvalidCertificate(_) => TlsSettingsError::Certificate,
                    _ => TlsSettingsError::Key,
                })?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        let server_name = server_name.map(name_of).transpose()?;
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// The handshake over a connected stream. The caller bounds the time.
    pub(crate) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ConnectionError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name_of(host)
                .map_err(|error| ConnectionError::Tls(TlsFailure::Other(error.to_string())))?,
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        // A server that goes in the middle of it is as good as one that is not there.
        connector.connect(name, stream).await.map_err(ConnectionError::from)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

fn name_of(text: &str) -> Result<ServerName<'static>, TlsSettingsError> {
    // The zone of a link-local address is no part of what a certificate names.
    let host = text.split('%').next().unwrap_or_default();
    ServerName::try_from(host.to_owned()).map_err(|_| TlsSettingsError::ServerName)
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

fn verifier(
    trust: Trust<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsSettingsError> {
    match trust {
        Trust::Ca(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem).ok_or(TlsSettingsError::Trust)? {
                roots.add(certificate).map_err(|_| TlsSettingsError::Trust)?;
            }
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            Ok(builder.build().map_err(|_| TlsSettingsError::Trust)?)
        }
        Trust::Pinned(pem) => {
            let found = certificates(pem).and_then(|found| found.into_iter().next());
            let certificate = found.ok_or(TlsSettingsError::Trust)?;
            Ok(Arc::new(Pinned { certificate, provider: Arc::clone(provider) }))
        }
    }
}

/// Believes one certificate, and that its key was used.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl TlsFailure {
    /// What TLS says of a stream that failed; `None`: it was not TLS that failed.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotSpoken,
            rustls::Error::InvalidCertificate(error) => Self::Untrusted(untrusted(error)),
            rustls::Error::AlertReceived(alert) => Self::Refused(refused(*alert)),
            error => Self::Other(error.to_string()),
        })
    }
}

fn untrusted(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "none of the given CAs has signed it".to_owned(),
        CertificateError::ApplicationVerificationFailure => "it is not the pinned one".to_owned(),
        // The library has no word of its own for it.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is the certificate of a CA itself: pin it, or give the server one that a CA signed"
                .to_owned()
        }
        error => error.to_string(),
    }
}

fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it wants a certificate".to_owned(),
        AlertDescription::UnknownCA => "it doesn't know the CA of this certificate".to_owned(),
        AlertDescription::CertificateExpired => "this certificate is over".to_owned(),
        AlertDescription::AccessDenied => "the name in this certificate is not let in".to_owned(),
        AlertDescription::NoApplicationProtocol => "another protocol is spoken there".to_owned(),
        AlertDescription::ProtocolVersion => "it doesn't speak TLS 1.3".to_owned(),
        alert => format!("{alert:?}"),
    }
}
