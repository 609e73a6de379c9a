//! Files of certificates and keys played from a script of bytes: what a server and a client make of anything that may stand
//! in them. For the fuzz target `certificate` and the tests; never part of a server.
//!
//! What must hold, whatever the script is: nothing panics; what is refused names a file and shows nothing of what stands in
//! it; with what is taken a handshake succeeds, and a client takes it as its own, too.

use super::material::{Bytes, Demand, Live, Which, Wrong, build, term};
use super::name::names_of;
use super::standing::{Chain, Standing, fits};
use crate::limits;
use addrd_client::{ClientCertificate, Tls, TlsSettingsError, Trust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, DigitallySignedStruct, Error,
    PeerIncompatible, ServerConnection, SideData, SignatureScheme, version,
};
use std::sync::Arc;
use std::time::Duration;

/// What a script came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The certificate was refused.
    NoCertificate,
    /// The key was.
    NoKey,
    /// The CAs of clients were.
    NoClientCa,
    /// A server speaks TLS with them.
    Taken,
    /// The same, and it lets a client in that shows the server's own certificate.
    LetIn,
}

/// What the first byte of a script asks for: CAs of clients, that all must show a certificate, that few names are let in.
const ASKS: u8 = 1;
const REQUIRED: u8 = 2;
const NAMED: u8 = 4;

/// Sections of a script that are read.
const SECTIONS_MAX: usize = 64;
/// Text that must be in no error: put wherever a script wants it.
const MARK: &str = "Zq7Xw9Kv3Jt8Pf5Rn2Lb6Hd4Gs1Yc0Mk";
/// So many letters of it in a row are part of no message.
const SEEN: usize = 4;
/// Names of PEM sections.
const LABELS: [&str; 6] = [
    "CERTIFICATE",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "CERTIFICATE REQUEST",
    "ENCRYPTED PRIVATE KEY",
];
/// Who is let in if few are.
const NAME: &str = "spiffe://example/web";
/// When certificates are judged, seconds since the Unix epoch: in 2033.
const NOW_SECONDS: u64 = 2_000_000_000;

/// Contents of the three files.
#[derive(Default)]
struct Files([Vec<u8>; 3]);

impl Files {
    /// Sections, each a byte for its file and its form, two for its length, and its bytes.
    fn of(mut script: &[u8]) -> Self {
        let mut files = Self::default();
        for _ in 0..SECTIONS_MAX {
            let [form, high, low, rest @ ..] = script else { break };
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
            let (bytes, behind) = rest.split_at(length);
            script = behind;
            let Some(file) = files.0.get_mut(usize::from(form % 4)) else { continue };
            match form / 4 {
                0 => file.extend(bytes),
                1 => file.extend(MARK.as_bytes()),
                other => match LABELS.get(usize::from(other - 2)) {
                    Some(label) => file.extend(pem(label, bytes).as_bytes()),
                    None => file.extend(bytes),
                },
            }
        }
        files
    }
}

/// A section of PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for (number, three) in der.chunks(3).enumerate() {
        if number > 0 && number % 16 == 0 {
            text.push('\n');
        }
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > three.len() { '=' } else { letter as char });
        }
    }
    text + &format!("\n-----END {label}-----\n")
}

/// Plays a script.
///
/// # Panics
/// When something doesn't hold that must.
#[must_use]
pub fn play(script: &[u8]) -> Fate {
    let Some((what, sections)) = script.split_first() else { return Fate::NoCertificate };
    let Files([certificate, key, ca]) = Files::of(sections);
    let is_asking = what & ASKS != 0;
    let is_required = what & REQUIRED != 0;
    let names = if what & NAMED == 0 { Vec::new() } else { vec![NAME.to_owned()] };
    let bytes = Bytes {
        certificate: &certificate,
        key: &key,
        client_ca: is_asking.then_some(ca.as_slice()),
    };
    let shown: Vec<_> =
        CertificateDer::pem_slice_iter(&certificate).map_while(Result::ok).collect();
    for certificate in &shown {
        let _ = term(certificate);
        for name in names_of(certificate) {
            assert!((1..=limits::TLS_NAME_BYTES_MAX).contains(&name.len()), "{name:?}");
            assert!(!name.contains(char::is_control), "{name:?}");
        }
    }
    let as_client = as_client(&ca, ClientCertificate { certificate: &certificate, key: &key });
    match build(&bytes, Demand { required: is_required, names: &names }) {
        Err(wrong) => refused(&wrong, is_asking || is_required),
        Ok(live) => {
            assert_eq!(as_client, Ok(()), "a client doesn't take what a server takes");
            shake_hands(&live, is_required);
            // Where nobody is asked, there is nobody to judge.
            if is_asking && lets_in(&live, &shown) { Fate::LetIn } else { Fate::Taken }
        }
    }
}

fn refused(wrong: &Wrong, has_ca: bool) -> Fate {
    for told in [wrong.to_string(), format!("{wrong:?}")] {
        assert!(!told.contains(char::is_control), "{told:?}");
        let mut parts = MARK.as_bytes().windows(SEEN);
        let is_shown = |part: &[u8]| told.as_bytes().windows(SEEN).any(|seen| seen == part);
        assert!(!parts.any(is_shown), "what stands in a file is told: {told}");
    }
    match wrong.which {
        Which::Certificate => Fate::NoCertificate,
        Which::Key => Fate::NoKey,
        Which::ClientCa => {
            assert!(has_ca, "there is no such file");
            Fate::NoClientCa
        }
    }
}

/// What a client says of the same files as its own.
fn as_client(ca: &[u8], own: ClientCertificate<'_>) -> Result<(), TlsSettingsError> {
    for trust in [Trust::Pinned(ca), Trust::Ca(ca), Trust::Ca(own.certificate)] {
        let _ = Tls::new(trust, Some(own), Some("localhost"));
    }
    Tls::new(Trust::Pinned(own.certificate), Some(own), None).map(|_| ())
}

/// Whether a client is let in that shows these certificates.
fn lets_in(live: &Live, shown: &[CertificateDer<'static>]) -> bool {
    let hints = live.clients.root_hint_subjects().iter();
    let hint_bytes: usize = hints.map(|name| name.as_ref().len()).sum();
    assert!(hint_bytes <= limits::TLS_HINT_BYTES_MAX, "{hint_bytes} bytes of hints");
    let Some((own, others)) = shown.split_first() else { return false };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW_SECONDS));
    let is_good = live.clients.verify_client_cert(own, others, now).is_ok();
    let Some(chain) = Chain::of(shown) else { return false };
    assert_eq!(chain.is_good(&*live.clients, now), is_good);
    if is_good {
        assert!(fits(own, others), "longer than what is kept");
        assert!(term(own).is_some_and(|term| term.holds_at(NOW_SECONDS)), "its term is over");
        let standing = Standing::new(chain, 7, now);
        assert!(!standing.is_doubtful(7, NOW_SECONDS) && standing.is_doubtful(8, NOW_SECONDS));
    }
    is_good
}

/// A handshake with somebody who shows nothing and believes everything but a wrong signature.
fn shake_hands(live: &Live, is_required: bool) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the library speaks it");
    let anybody = Arc::new(Anybody(provider));
    let mut config =
        builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth();
    config.alpn_protocols = vec![super::material::ALPN.to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut server = ServerConnection::new(Arc::clone(&live.protocol)).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        if let Err(error) = hear(&mut server, &say(&mut client)) {
            assert!(is_required && error == Error::NoCertificatesPresented, "{error:?}");
            return;
        }
        assert!(!is_required || server.is_handshaking(), "nothing was shown");
        hear(&mut client, &say(&mut server)).expect("a handshake succeeds");
    }
}

/// What one end has to say.
fn say<Side: SideData>(of: &mut ConnectionCommon<Side>) -> Vec<u8> {
    let mut said = Vec::new();
    while of.wants_write() {
        of.write_tls(&mut said).expect("there is room");
    }
    assert!(!said.is_empty() || !of.is_handshaking(), "both ends wait");
    said
}

/// Says it to the other.
fn hear<Side: SideData>(to: &mut ConnectionCommon<Side>, mut said: &[u8]) -> Result<(), Error> {
    while !said.is_empty() {
        to.read_tls(&mut said).expect("bytes can be read");
        to.process_new_packets()?;
    }
    Ok(())
}

/// Believes everybody, if the signature is of the key in the certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{corpus_of, play_corpus};
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair,
        PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, date_time_ymd,
    };
    use std::collections::BTreeSet;

    const CERTIFICATE: u8 = 0;
    const KEY: u8 = 1;
    const CA: u8 = 2;
    /// Forms of a section: text, the mark, a certificate, a key.
    const TEXT: u8 = 0;
    const MARKED: u8 = 4;
    const DER: u8 = 8;
    const KEY_DER: u8 = 12;

    fn section(form: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[form][..], &length, bytes].concat()
    }

    fn params(names: &[&str], to: i32) -> CertificateParams {
        let mut params = CertificateParams::default();
        let uri = |name: &&str| SanType::URI((*name).try_into().unwrap());
        params.subject_alt_names = names.iter().map(uri).collect();
        (params.not_before, params.not_after) =
            (date_time_ymd(2001, 9, 9), date_time_ymd(to, 1, 1));
        params
    }

    /// Files that are right, of every kind of key that can be made here, and files that are wrong in one way each.
    fn seeds() -> Vec<Vec<u8>> {
        let mut ca_params = params(&[], 2096);
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca_params, KeyPair::generate().unwrap()).unwrap();
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let signed = |params: CertificateParams| params.signed_by(&key, &ca).unwrap();
        let (good, old) = (signed(params(&[NAME], 2096)), signed(params(&[NAME], 2002)));
        let long = format!("spiffe://x/{}", "a".repeat(300));
        let strange = signed(params(&["spiffe://x/\u{1b}[31m", &long, "b"], 2096));
        let (ca_der, key_der) = (ca.der().to_vec(), key.serialize_der());
        let own = section(DER | CERTIFICATE, good.der());
        let its_key = section(KEY_DER | KEY, &key_der);
        let issuer = section(DER | CA, &ca_der);
        let text = |file: u8, text: &str| section(TEXT | file, text.as_bytes());
        let mut seeds = vec![
            [&[0][..], &own, &its_key].concat(),
            [&[ASKS][..], &own, &its_key, &issuer].concat(),
            [&[ASKS | REQUIRED | NAMED][..], &own, &its_key, &issuer].concat(),
            [&[ASKS][..], &text(CERTIFICATE, &good.pem()), &text(KEY, &key.serialize_pem())]
                .concat(),
            [
                &[ASKS][..],
                &text(CERTIFICATE, &(good.pem() + &ca.pem())),
                &text(KEY, &key.serialize_pem()),
                &text(CA, &ca.pem()),
            ]
            .concat(),
            [&[ASKS][..], &section(DER, old.der()), &its_key, &issuer].concat(),
            [&[ASKS | NAMED][..], &section(DER, strange.der()), &its_key, &issuer].concat(),
            [&[0][..], &own, &section(KEY_DER | KEY, &other.serialize_der())].concat(),
            [&[0][..], &own, &section(KEY_DER | KEY, good.der())].concat(),
            [&[0][..], &own, &section(MARKED | KEY, &[]), &its_key].concat(),
            [&[0][..], &own, &section(16 | KEY, &key_der)].concat(),
            [&[0][..], &section(DER, &key_der), &its_key].concat(),
            [&[0][..], &own, &section(DER, b""), &its_key].concat(),
            [&[0][..], &text(CERTIFICATE, &good.pem()[..60]), &its_key].concat(),
            [&[ASKS][..], &own, &its_key, &section(DER | CA, b"00")].concat(),
            [&[ASKS][..], &own, &its_key, &section(MARKED | CA, &[])].concat(),
            [&[REQUIRED][..], &own, &its_key].concat(),
        ];
        for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let key = KeyPair::generate_for(kind).unwrap();
            let own = params(&[NAME], 2096).self_signed(&key).unwrap();
            let key = section(KEY_DER | KEY, &key.serialize_der());
            seeds.push(
                [&[ASKS][..], &section(DER, own.der()), &key, &section(DER | CA, own.der())]
                    .concat(),
            );
        }
        seeds
    }

    #[test]
    fn the_corpus_of_certificate_is_played() {
        play_corpus("certificate", &seeds(), play);
    }

    #[test]
    fn files_come_as_far_as_they_should() {
        let fates: Vec<Fate> = seeds().iter().map(|seed| play(seed)).collect();
        use Fate::{LetIn, NoCertificate, NoClientCa, NoKey, Taken};
        assert_eq!(fates[..5], [Taken, LetIn, LetIn, NoClientCa, LetIn]);
        assert_eq!(fates[5..11], [Taken, Taken, NoKey, NoKey, NoKey, NoKey]);
        assert_eq!(
            fates[11..17],
            [NoCertificate, NoCertificate, NoCertificate, NoClientCa, NoClientCa, NoClientCa]
        );
        let all: BTreeSet<Fate> = fates.iter().copied().collect();
        assert_eq!(all.len(), 5);
    }

    /// What the server takes, clients read; what they don't read, it refuses.
    #[test]
    fn a_chain_is_as_long_as_a_handshake_has_room_for() {
        let key = KeyPair::generate().unwrap();
        let own = params(&[NAME], 2096).self_signed(&key).unwrap();
        let filled = |total: usize| {
            let rest = total - 4 - (5 + own.der().len()) - 5;
            let other = vec![0x30; rest];
            let key = section(KEY_DER | KEY, &key.serialize_der());
            play(&[&[0][..], &section(DER, own.der()), &section(DER, &other), &key].concat())
        };
        assert_eq!(filled(limits::TLS_OWN_CHAIN_BYTES_MAX), Fate::Taken);
        assert_eq!(filled(limits::TLS_OWN_CHAIN_BYTES_MAX + 1), Fate::NoCertificate);
    }

    /// An RSA key of which one number is wrong: it is read, belongs to its certificate, and signs nothing.
    #[test]
    fn a_key_that_cannot_sign_is_refused() {
        let script = std::fs::read(corpus_of("certificate").join("rsa-damaged")).unwrap();
        assert_eq!(play(&script), Fate::NoKey);
    }

    #[test]
    fn files_with_any_byte_changed_keep_what_is_promised() {
        for seed in seeds() {
            for at in (0..seed.len()).step_by(23) {
                let mut changed = seed.clone();
                changed[at] ^= 1 << (at % 8);
                let _ = play(&changed);
                let _ = play(&seed[..at]);
            }
        }
    }
}
