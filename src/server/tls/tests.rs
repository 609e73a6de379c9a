//! What is built from bytes and files, and what is told when it can't be.

use super::files::{load, stamps};
use super::material::{Bytes, Demand, Live, Which, Wrong, build, term, verifier};
use super::name::names_of;
use super::{CertificateName, HandshakeFailure};
use crate::config::TlsSettings;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd,
};
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A certificate that nobody signed but itself.
struct Made {
    der: CertificateDer<'static>,
    pem: String,
    key: String,
}

fn made(names: Vec<SanType>) -> Made {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    (params.not_before, params.not_after) = (date_time_ymd(2001, 9, 9), date_time_ymd(2033, 5, 18));
    let certificate = params.self_signed(&key).unwrap();
    let (der, pem) = (certificate.der().clone(), certificate.pem());
    Made { der, pem, key: key.serialize_pem() }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn build_of(certificate: &str, key: &str, client_ca: Option<&str>) -> Result<Live, Wrong> {
    let bytes = Bytes {
        certificate: certificate.as_bytes(),
        key: key.as_bytes(),
        client_ca: client_ca.map(str::as_bytes),
    };
    build(&bytes, Demand { required: client_ca.is_some(), names: &[] })
}

#[test]
fn the_first_uri_is_the_name_else_the_first_dns_name_and_nothing_else() {
    let name = |names: Vec<SanType>| {
        CertificateName::of(&made(names).der).map(|name| name.as_str().to_owned())
    };
    let both = vec![dns("a.example"), uri("spiffe://x/a"), uri("spiffe://x/b")];
    assert_eq!(name(both).as_deref(), Some("spiffe://x/a"));
    assert_eq!(name(vec![dns("b.example"), dns("a.example")]).as_deref(), Some("b.example"));
    let email = SanType::Rfc822Name("a@example".try_into().unwrap());
    let address = SanType::IpAddress("192.0.2.1".parse().unwrap());
    assert_eq!(name(vec![email, address]), None);
    assert_eq!(name(vec![]), None);
}

#[test]
fn a_name_that_no_text_could_carry_is_none() {
    let long = format!("spiffe://x/{}", "a".repeat(300));
    let names = vec![uri("spiffe://x/\u{1b}[31m"), uri(&long), dns("a.example")];
    assert_eq!(names_of(&made(names).der), ["a.example"]);
}

#[test]
fn the_term_is_what_the_certificate_says() {
    let term = term(&made(vec![]).der).unwrap();
    assert_eq!((term.not_before, term.not_after), (999_993_600, 1_999_987_200));
    assert!(super::material::term(&CertificateDer::from(vec![0x30, 0])).is_none());
}

#[test]
fn what_new_connections_get_is_tls_1_3_without_tickets_or_early_data() {
    let made = made(vec![dns("localhost")]);
    let live = build_of(&made.pem, &made.key, None).unwrap();
    for (config, alpn) in [(&live.protocol, &b"addrd/1"[..]), (&live.http, b"http/1.1")] {
        assert_eq!(config.alpn_protocols, [alpn]);
        assert_eq!((config.send_tls13_tickets, config.max_early_data_size), (0, 0));
        assert!(!config.session_storage.can_cache());
    }
}

#[test]
fn what_is_wrong_with_the_bytes_names_the_file_and_shows_none_of_them() {
    let (ours, other) = (made(vec![dns("localhost")]), made(vec![]));
    let wrong = |certificate: &str, key: &str, ca: Option<&str>| {
        let wrong = build_of(certificate, key, ca).unwrap_err();
        assert!(!wrong.what.contains("MII") && !wrong.what.contains("-----"), "{wrong}");
        (wrong.which, wrong.what)
    };
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (found, which, says) in [
        (wrong("", &ours.key, None), Which::Certificate, "no certificate in it"),
        (wrong(&ours.key, &ours.key, None), Which::Certificate, "no certificate in it"),
        (wrong(garbage, &ours.key, None), Which::Certificate, "can't be read"),
        (wrong(&ours.pem[..60], &ours.key, None), Which::Certificate, "no PEM, or cut off"),
        (wrong(&ours.pem, "", None), Which::Key, "no private key"),
        (wrong(&ours.pem, &ours.pem, None), Which::Key, "no private key"),
        (wrong(&ours.pem, &other.key, None), Which::Key, "doesn't belong"),
        (wrong(&ours.pem, &ours.key, Some("")), Which::ClientCa, "no certificate in it"),
        (wrong(&ours.pem, &ours.key, Some(garbage)), Which::ClientCa, "can't be used as a CA"),
    ] {
        assert_eq!(found.0, which, "{}", found.1);
        assert!(found.1.contains(says), "{}", found.1);
    }
}

fn put(folder: &TempDir, name: &str, text: &str, mode: u32) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn settings(certificate: &Path, key: &Path) -> TlsSettings {
    TlsSettings {
        certificate: Some(certificate.to_owned()),
        key: Some(key.to_owned()),
        ..TlsSettings::default()
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let (folder, made) = (tempfile::tempdir().unwrap(), made(vec![]));
    let certificate = put(&folder, "c.pem", &made.pem, 0o644);
    for mode in [0o640, 0o604, 0o644, 0o660, 0o610] {
        let key = put(&folder, "k.pem", &made.key, mode);
        let error = load(&settings(&certificate, &key)).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", key.display())), "{error}");
        assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
    }
    for mode in [0o600, 0o400] {
        let key = put(&folder, "k.pem", &made.key, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(load(&settings(&certificate, &key)).is_ok(), "{mode:o}");
    }
}

#[test]
fn a_file_that_is_missing_no_file_or_too_long_is_named() {
    let (folder, made) = (tempfile::tempdir().unwrap(), made(vec![]));
    let certificate = put(&folder, "c.pem", &made.pem, 0o644);
    let key = put(&folder, "k.pem", &made.key, 0o600);
    let long = put(&folder, "long.pem", &"x".repeat((1 << 20) + 1), 0o600);
    let missing = folder.path().join("missing.pem");
    for (settings, says) in [
        (settings(&missing, &key), "tls_certificate = "),
        (settings(&missing, &key), "missing.pem: there is no such file"),
        (settings(&certificate, &missing), "tls_key = "),
        (settings(folder.path(), &key), "it is no file"),
        (settings(&long, &key), "longer than 1048576 bytes"),
    ] {
        let error = load(&settings).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let client_ca = Some(missing);
    let error = load(&TlsSettings { client_ca, ..settings(&certificate, &key) }).unwrap_err();
    assert!(error.to_string().contains("tls_client_ca = "), "{error}");
}

#[test]
fn a_file_that_was_exchanged_is_seen_also_behind_a_link() {
    let (folder, first, second) = (tempfile::tempdir().unwrap(), made(vec![]), made(vec![]));
    let key = put(&folder, "k.pem", &first.key, 0o600);
    put(&folder, "1.pem", &first.pem, 0o644);
    put(&folder, "2.pem", &second.pem, 0o644);
    let link = folder.path().join("c.pem");
    std::os::unix::fs::symlink("1.pem", &link).unwrap();
    let settings = settings(&link, &key);
    let before = stamps(&settings);
    assert_eq!(stamps(&settings), before);
    fs::remove_file(&link).unwrap();
    assert_ne!(stamps(&settings), before);
    std::os::unix::fs::symlink("2.pem", &link).unwrap();
    assert_ne!(stamps(&settings), before);
}

#[test]
fn only_who_is_named_is_let_in_if_there_is_a_list() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let signed = |names: Vec<SanType>| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.signed_by(&KeyPair::generate().unwrap(), &ca).unwrap().der().clone()
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    let is_let_in = |listed: &[&str], names: Vec<SanType>| {
        let listed: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
        let demand = Demand { required: true, names: &listed };
        let verifier = verifier(ca.pem().as_bytes(), demand, &provider).unwrap();
        match verifier.verify_client_cert(&signed(names), &[], now) {
            Ok(_) => true,
            Err(error) => {
                let why = CertificateError::ApplicationVerificationFailure;
                assert_eq!(error, rustls::Error::InvalidCertificate(why));
                false
            }
        }
    };
    assert!(is_let_in(&[], vec![uri("spiffe://x/a")]));
    assert!(is_let_in(&[], vec![]));
    assert!(is_let_in(&["b.example", "spiffe://x/a"], vec![uri("spiffe://x/a")]));
    for names in [
        vec![uri("spiffe://x/b")],
        // The URI is the name.
        vec![uri("spiffe://x/b"), dns("b.example")],
        vec![uri("SPIFFE://x/a")],
        vec![uri("spiffe://x/a/more")],
        vec![],
    ] {
        assert!(!is_let_in(&["spiffe://x/a", "b.example"], names.clone()), "{names:?}");
    }
}

#[test]
fn reasons_have_names_of_their_own() {
    let labels: BTreeSet<&str> = HandshakeFailure::ALL.iter().map(|why| why.label()).collect();
    assert_eq!(labels.len(), HandshakeFailure::ALL.len());
    for (place, failure) in HandshakeFailure::ALL.iter().enumerate() {
        assert_eq!(*failure as usize, place);
    }
}
