//! From bytes of PEM files to what a handshake needs. Pure but for the library's randomness: opens
//! no file, reads no clock.

use super::name::names_of;
use super::standing::fits;
use crate::limits;
use crate::planted::{Bug, is_planted};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, version,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What new connections get.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) protocol: Arc<ServerConfig>,
    pub(super) http: Arc<ServerConfig>,
    pub(super) term: Term,
    /// Who of the clients is let in.
    pub(super) clients: Arc<dyn ClientCertVerifier>,
}

/// From when to when a certificate holds, both inclusive, seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) not_before: u64,
    pub(super) not_after: u64,
}

impl Term {
    pub(super) fn holds_at(self, seconds: u64) -> bool {
        (self.not_before..=self.not_after).contains(&seconds)
    }
}

/// Contents of the files.
pub(super) struct Bytes<'a> {
    pub(super) certificate: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) client_ca: Option<&'a [u8]>,
}

/// Which clients are let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand<'a> {
    pub(super) required: bool,
    /// Empty = every name.
    pub(super) names: &'a [String],
}

/// Which file something is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Certificate,
    Key,
    ClientCa,
}

/// What is wrong with the bytes, and what to do about it. Shows nothing of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) which: Which,
    pub(super) what: String,
}

impl Wrong {
    fn new(which: Which, what: impl Into<String>) -> Self {
        Self { which, what: what.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Name of the protocol in a handshake (ALPN). SPEC.md section 4.
pub(super) const ALPN: &[u8] = b"addrd/1";
const ALPN_HTTP: &[u8] = b"http/1.1";

/// Builds what new connections get.
///
/// # Errors
/// [`Wrong`]: the file, and what to do about it.
pub(super) fn build(bytes: &Bytes<'_>, demand: Demand<'_>) -> Result<Live, Wrong> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(bytes.certificate, Which::Certificate)?;
    let term = chain.first().and_then(term).ok_or_else(|| {
        Wrong::new(Which::Certificate, "its first certificate can't be read: make a new one")
    })?;
    must_be_sendable(&chain)?;
    let key = PrivateKeyDer::from_pem_slice(bytes.key).map_err(|_| {
        let what = "there is no private key in it: expected PEM, \"BEGIN PRIVATE KEY\", \
                    not encrypted";
        Wrong::new(Which::Key, what)
    })?;
    let certified =
        CertifiedKey::from_der(chain, key, &provider).map_err(|error| wrong_key(&error))?;
    must_sign(&certified, &provider)?;
    let verifier = match bytes.client_ca {
        Some(pem) => verifier(pem, demand, &provider)?,
        // Settings say so before; a mistake there must not open the door.
        None if demand.required => {
            let what = "it is needed: clients must show a certificate, and no CA is known";
            return Err(Wrong::new(Which::ClientCa, what));
        }
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let certified = Arc::new(SingleCertAndKey::from(certified));
    let config = |alpn: &[u8]| {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| Wrong::new(Which::Key, error.to_string()))?;
        let mut config = builder
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(certified.clone());
        config.alpn_protocols = vec![alpn.to_vec()];
        // Nobody comes back by a ticket: each handshake looks at the certificate, its term and its
        // name (docs/decisions/0037-tls.md).
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    };
    Ok(Live { protocol: config(ALPN)?, http: config(ALPN_HTTP)?, term, clients: verifier })
}

/// Clients read a chain as one message of the handshake, and no certificate in it is empty.
fn must_be_sendable(chain: &[CertificateDer<'_>]) -> Result<(), Wrong> {
    if chain.iter().any(|certificate| certificate.is_empty()) {
        return Err(Wrong::new(Which::Certificate, "one of its certificates is empty"));
    }
    let bytes: usize = chain.iter().map(|one| TLS_CERTIFICATE_FRONT + one.len()).sum();
    if TLS_CHAIN_FRONT + bytes > limits::TLS_OWN_CHAIN_BYTES_MAX {
        let what = "its certificates are more than a handshake has room for: leave in the server's own \
                    and those between it and its CA";
        return Err(Wrong::new(Which::Certificate, what));
    }
    Ok(())
}

/// A key that is damaged can be read all the same, and would fail in every handshake.
fn must_sign(certified: &CertifiedKey, provider: &CryptoProvider) -> Result<(), Wrong> {
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let signer = certified.key.choose_scheme(&schemes);
    if signer.is_some_and(|signer| signer.sign(b"addrd").is_ok()) {
        return Ok(());
    }
    Err(Wrong::new(Which::Key, "nothing can be signed with it: the file is damaged, replace it"))
}

/// Bytes in front of the certificates in a message, and of each, with those of its extensions (RFC 8446, 4.4.2).
const TLS_CHAIN_FRONT: usize = 4;
const TLS_CERTIFICATE_FRONT: usize = 5;

fn wrong_key(error: &rustls::Error) -> Wrong {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            let what = "it doesn't belong to the certificate of tls_certificate: replace both, \
                        the server's own certificate must stand first";
            Wrong::new(Which::Key, what)
        }
        rustls::Error::InvalidCertificate(_) => {
            Wrong::new(Which::Certificate, "its first certificate can't be read: make a new one")
        }
        _ => {
            let what = "keys of this kind aren't spoken: make one of ECDSA (P-256, P-384), \
                        Ed25519, or RSA of 2,048 to 8,192 bits";
            Wrong::new(Which::Key, what)
        }
    }
}

/// All certificates of a file; at least one.
fn certificates(pem: &[u8], which: Which) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|_| Wrong::new(which, "it is no PEM, or cut off"))?;
    if found.is_empty() {
        let what = "there is no certificate in it: expected PEM, \"BEGIN CERTIFICATE\"";
        return Err(Wrong::new(which, what));
    }
    Ok(found)
}

/// When a certificate holds.
///
/// The library does not show the two times, but says them when it refuses a certificate for them,
/// which it does before it looks at anything else: so it is asked at both ends of time.
pub(super) fn term(certificate: &CertificateDer<'_>) -> Option<Term> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let refused_at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = webpki::KeyUsage::server_auth();
        certificate.verify_for_usage(&[], &[], &[], time, usage, None, None).err()
    };
    let not_before = match refused_at(0) {
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => not_before.as_secs(),
        // The Unix epoch, or before.
        Some(_) => 0,
        None => return None,
    };
    match refused_at(u64::MAX) {
        Some(webpki::Error::CertExpired { not_after, .. }) => {
            Some(Term { not_before, not_after: not_after.as_secs() })
        }
        _ => None,
    }
}

/// Who of the clients is let in.
pub(super) fn verifier(
    pem: &[u8],
    demand: Demand<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Wrong> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, Which::ClientCa)? {
        roots.add(certificate).map_err(|_| {
            Wrong::new(Which::ClientCa, "one of its certificates can't be used as a CA")
        })?;
    }
    let hint_bytes: usize = roots.subjects().iter().map(|name| name.as_ref().len()).sum();
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if hint_bytes > limits::TLS_HINT_BYTES_MAX {
        builder.clear_root_hint_subjects()
    } else {
        builder
    };
    let builder = if demand.required { builder } else { builder.allow_unauthenticated() };
    let inner = builder.build().map_err(|error| Wrong::new(Which::ClientCa, error.to_string()))?;
    Ok(Arc::new(Demanding { inner, names: demand.names.to_vec() }))
}

/// Lets in whom the CA has signed and the operator has named.
#[derive(Debug)]
struct Demanding {
    inner: Arc<dyn ClientCertVerifier>,
    /// Empty = every name.
    names: Vec<String>,
}

impl ClientCertVerifier for Demanding {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // It is kept for as long as the connection lives, to be judged again.
        if !fits(end_entity, intermediates) {
            return Err(CertificateError::BadEncoding.into());
        }
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let is_named = self.names.is_empty()
            || names_of(end_entity)
                .first()
                .is_some_and(|name| self.names.iter().any(|known| *known == **name));
        if is_named || is_planted(Bug::ClientNameIgnored) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
