//! What is built from bytes and files, and what is told when it can't be.

use super::files::{is_too_open, load, stamps};
use super::material::{Bytes, Demand, Live, Which, Wrong, build, term, verifier};
use super::name::names_of;
use super::{CertificateName, HandshakeFailure, Reload, Tls};
use crate::config::{Config, TlsSettings};
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
    made_for(names, 2001, 2033)
}

/// From a day of the one year to a day of the other.
fn made_for(names: Vec<SanType>, from: i32, to: i32) -> Made {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    (params.not_before, params.not_after) = (date_time_ymd(from, 9, 9), date_time_ymd(to, 5, 18));
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

/// By owner, user of the server and mode: the rule of PostgreSQL, so that what service managers
/// (root's, 0440 with an access list) and orchestrators (root's, 0640) hand over is taken.
#[test]
fn a_key_of_root_may_be_read_by_its_group_and_any_other_by_its_owner_alone() {
    let (root, us) = (0, 990);
    for mode in [0o400, 0o440, 0o600, 0o640] {
        assert!(!is_too_open(root, us, mode), "{mode:o}");
    }
    for mode in [0o644, 0o660, 0o650, 0o604, 0o641] {
        assert!(is_too_open(root, us, mode), "{mode:o}");
    }
    for (owner, user) in [(us, us), (root, root), (us, root), (us, 991)] {
        assert!(!is_too_open(owner, user, 0o600) && !is_too_open(owner, user, 0o400));
        for mode in [0o440, 0o640, 0o604, 0o610] {
            assert!(is_too_open(owner, user, mode), "{owner} {user} {mode:o}");
        }
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_holds_up_nobody() {
    let (folder, made) = (tempfile::tempdir().unwrap(), made(vec![]));
    let key = put(&folder, "k.pem", &made.key, 0o600);
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let error = load(&settings(&pipe, &key)).unwrap_err().to_string();
    assert!(error.contains("it is no file"), "{error}");
}

fn tls_of(settings: TlsSettings) -> Arc<Tls> {
    Tls::of(&Config { tls: settings, ..Config::default() }).unwrap().unwrap()
}

/// Puts a pair in the place of another.
fn exchange(folder: &TempDir, pair: &Made) {
    for (name, text) in [("c.pem", &pair.pem), ("k.pem", &pair.key)] {
        put(folder, "new", text, 0o600);
        fs::rename(folder.path().join("new"), folder.path().join(name)).unwrap();
    }
}

#[test]
fn a_file_that_could_not_be_read_is_read_again_though_it_seems_the_same() {
    let (folder, made) = (tempfile::tempdir().unwrap(), made(vec![]));
    exchange(&folder, &made);
    let certificate = folder.path().join("c.pem");
    let tls = tls_of(settings(&certificate, &folder.path().join("k.pem")));
    assert_eq!(tls.reload_if_changed(), Reload::Same);
    // A regular file whose first byte the system can't give.
    fs::remove_file(&certificate).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &certificate).unwrap();
    for _ in 0..3 {
        assert_eq!(tls.reload_if_changed(), Reload::Refused);
    }
    assert_eq!(tls.figures.reloads_failed.get(), 1, "it is told once");
    exchange(&folder, &made);
    assert_eq!(tls.reload_if_changed(), Reload::Done);
    assert_eq!(tls.reload_if_changed(), Reload::Same);
}

#[test]
fn a_certificate_that_does_not_hold_never_replaces_one_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let ends = |to| made_for(vec![], 2001, to);
    exchange(&folder, &ends(4000));
    let tls = tls_of(settings(&folder.path().join("c.pem"), &folder.path().join("k.pem")));
    let first = tls.certificate_ends();
    for (count, bad) in [(1, ends(2002)), (2, made_for(vec![], 3999, 4001))] {
        exchange(&folder, &bad);
        assert_eq!(tls.reload_if_changed(), Reload::Refused);
        // Its time may come without another change of the file.
        assert_eq!(tls.reload_if_changed(), Reload::Refused);
        assert_eq!((tls.certificate_ends(), tls.figures.reloads_failed.get()), (first, count));
    }
    exchange(&folder, &ends(4002));
    assert_eq!(tls.reload_if_changed(), Reload::Done);
    assert_ne!(tls.certificate_ends(), first);
}

#[test]
fn a_certificate_that_does_not_hold_is_as_good_as_another_such_one() {
    let folder = tempfile::tempdir().unwrap();
    exchange(&folder, &made_for(vec![], 2001, 2002));
    let tls = tls_of(settings(&folder.path().join("c.pem"), &folder.path().join("k.pem")));
    exchange(&folder, &made_for(vec![], 2001, 2003));
    assert_eq!(tls.reload_if_changed(), Reload::Done);
}

/// The message that asks for a certificate has a bound; a client needs no names in it.
#[test]
fn many_cas_are_believed_without_being_told() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let demand = Demand { required: true, names: &[] };
    let hints = |count: usize| {
        let pem: String = (0..count)
            .map(|number| {
                let mut params = CertificateParams::default();
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                let name = format!("{number} {}", "x".repeat(50));
                params.distinguished_name.push(rcgen::DnType::CommonName, name);
                params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
            })
            .collect();
        verifier(pem.as_bytes(), demand, &provider).unwrap().root_hint_subjects().len()
    };
    assert_eq!(hints(3), 3);
    assert_eq!(hints(300), 0);
}

#[test]
fn who_demands_certificates_names_a_ca() {
    let made = made(vec![]);
    let bytes =
        Bytes { certificate: made.pem.as_bytes(), key: made.key.as_bytes(), client_ca: None };
    let wrong = build(&bytes, Demand { required: true, names: &[] }).unwrap_err();
    assert_eq!(wrong.which, Which::ClientCa);
}
