//! Starts with TLS: what is refused before anything is written, which addresses may be open to
//! others, and what operators get over TLS.

use crate::support::certificates::{Authority, Files, Signed, put};
use crate::support::server::{Site, addrd};
use crate::support::{eventually, http, run, soon};
use addrd_client::{Client, Error, Settings, TlsFailure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(300);

/// Files of a server, which each test spoils in its way.
struct Shelf {
    folder: TempDir,
    authority: Authority,
    files: Files,
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        let files = Files::write(folder.path(), &authority.server(), &authority.pem());
        Self { folder, authority, files }
    }

    /// A start with these flags besides, that ends by itself; nothing of its data is there.
    async fn ends(&self, config: &str, flags: &[&str]) -> Output {
        let path = self.folder.path().join("addrd.toml");
        std::fs::write(&path, config).expect("a configuration is written");
        let data = self.folder.path().join("data");
        let mut command = addrd();
        command.arg("serve").arg("--config").arg(path).arg("--data").arg(&data);
        command.args(["--listen", "127.0.0.1:0", "--http", ""]).args(flags);
        let output = ended(command).await;
        assert!(!data.exists(), "{output:?}");
        output
    }
}

async fn ended(mut command: Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || command.output());
    soon("the program to end", ended).await.expect("no panic").expect("output")
}

fn must_say(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in parts {
        assert!(said.contains(part), "\"{part}\" is not in: {said}");
    }
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do_and_nothing_is_written() {
    run(LIMIT, async {
        let shelf = Shelf::new();
        let config = shelf.files.mutual();
        let name = |path: &Path| path.display().to_string();
        let key = &shelf.files.key;

        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(key, open).expect("a mode is set");
        must_say(&shelf.ends(&config, &[]).await, &["tls_key", "chmod 600", &name(key)]);

        put(key, &shelf.authority.server().key);
        must_say(&shelf.ends(&config, &[]).await, &[&name(key), "doesn't belong"]);

        std::fs::remove_file(key).expect("a file is removed");
        must_say(&shelf.ends(&config, &[]).await, &[&name(key), "there is no such file"]);

        shelf.files.replace(&shelf.authority.server());
        put(&shelf.files.client_ca, "nothing");
        let ca = name(&shelf.files.client_ca);
        must_say(&shelf.ends(&config, &[]).await, &["tls_client_ca", &ca, "no certificate"]);

        put(&shelf.files.certificate, "nothing");
        let certificate = name(&shelf.files.certificate);
        must_say(&shelf.ends(&config, &[]).await, &["tls_certificate", &certificate]);

        must_say(&shelf.ends("", &["--tls-certificate", "x"]).await, &["--set tls_certificate="]);
        let dev = ["--dev", "--set", "tls_certificate=x", "--set", "tls_key=x"];
        must_say(&shelf.ends("", &dev).await, &["--dev speaks no TLS"]);
    });
}

#[test]
fn an_open_address_needs_certificates_of_all_clients_or_insecure() {
    run(LIMIT, async {
        let shelf = Shelf::new();
        let optional = shelf.files.settings()
            + &format!("tls_client_ca = \"{}\"\n", shelf.files.client_ca.display());
        for (config, says) in [
            (String::new(), "set tls_certificate, tls_key"),
            (shelf.files.settings(), "TLS alone lets everybody in"),
            (optional, "who shows no certificate is let in"),
        ] {
            for (flags, setting) in
                [(["--listen", "0.0.0.0:0"], "listen"), (["--http", "0.0.0.0:0"], "http")]
            {
                must_say(&open(&shelf, &config, &flags).await, &[says, setting, "insecure"]);
            }
        }
        let site = open_site(&shelf.files.mutual());
        let server = site.start().await;
        let own = shelf.authority.client("spiffe://example/web");
        let tls = Some(shelf.authority.tls(Some(&own)));
        let client = Client::connect(Settings { tls, ..site.settings() });
        soon("a client", client).await.expect("a client with a certificate");
        server.stop().await;
        assert!(!site.log().contains("insecure"), "{}", site.log());

        // Somebody who knows what he does is warned.
        let site = open_site(&(shelf.files.settings() + "insecure = true\n"));
        let server = site.start().await;
        eventually("a warning", async || site.log().contains("insecure: others").then_some(()))
            .await;
        let tls = Some(shelf.authority.tls(None));
        let client = Client::connect(Settings { tls, ..site.settings() });
        soon("a client", client).await.expect("anybody");
        server.stop().await;
    });
}

/// A start at an open address, and at loopback for the rest.
async fn open(shelf: &Shelf, config: &str, flags: &[&str]) -> Output {
    let path = shelf.folder.path().join("addrd.toml");
    std::fs::write(&path, config).expect("a configuration is written");
    let mut command = addrd();
    command.arg("serve").arg("--config").arg(path);
    command.arg("--data").arg(shelf.folder.path().join("data")).args(flags);
    ended(command).await
}

/// A site that listens on every address.
fn open_site(settings: &str) -> Site {
    Site::new().with_config(&format!("journal_records_max = 262144\n{settings}")).open()
}

#[test]
fn a_certificate_that_is_over_is_presented_and_told_of() {
    run(LIMIT, async {
        let shelf = Shelf::new();
        shelf.files.replace(&shelf.authority.expired("spiffe://example/server"));
        let site = Site::new()
            .with_config(&format!("journal_records_max = 262144\n{}", shelf.files.mutual()));
        let server = site.start().await;
        assert!(
            site.log().contains("the certificate of tls_certificate is over"),
            "{}",
            site.log()
        );
        // The first day of 2001.
        eventually("the end of the certificate", async || {
            let ends = site.figures().await.get("addrd_tls_certificate_end_seconds");
            (ends == Some(978_307_200.0)).then_some(())
        })
        .await;
        let own = shelf.authority.client("spiffe://example/web");
        let tls = Some(shelf.authority.tls(Some(&own)));
        let refused = soon("an answer", Client::connect(Settings { tls, ..site.settings() })).await;
        let untrusted = matches!(
            &refused,
            Err(Error::Tls { failure: TlsFailure::Untrusted(why), .. }) if why.contains("expired")
        );
        assert!(untrusted, "{refused:?}");
        server.stop().await;
    });
}

#[test]
fn operators_are_told_over_tls_where_others_could_listen() {
    run(LIMIT, async {
        let shelf = Shelf::new();
        let site = open_site(&shelf.files.mutual()).open_http();
        let server = site.spawn();
        let own = shelf.authority.client("spiffe://example/monitor");
        let answer = eventually("https to be ready", async || {
            let answer = get(&shelf.authority, Some(&own), site.http(), "/readyz").await?;
            (answer.status == 200).then_some(answer)
        })
        .await;
        assert!(answer.body.starts_with("ready"), "{answer:?}");
        let metrics =
            get(&shelf.authority, Some(&own), site.http(), "/metrics").await.expect("metrics");
        assert!(metrics.body.contains("addrd_tls_handshakes_total"), "{metrics:?}");

        // Nor to who shows no certificate, or one of another CA.
        let stranger = Authority::new().client("spiffe://example/monitor");
        for own in [None, Some(&stranger)] {
            let told = get(&shelf.authority, own, site.http(), "/metrics").await;
            assert!(told.is_none(), "{told:?}");
        }

        // Without TLS nothing is told.
        assert!(soon("an end", http::get(site.http(), "/metrics")).await.is_err());
        server.stop().await;
    });
}

/// One GET over TLS 1.3.
async fn get(
    authority: &Authority,
    own: Option<&Signed>,
    at: SocketAddr,
    path: &str,
) -> Option<http::Answer> {
    let mut roots = RootCertStore::empty();
    let ca = authority.pem();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("a CA")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let chain =
                vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("PEM");
            config.with_client_auth_cert(chain, key).expect("a certificate that fits")
        }
    };
    let stream = TcpStream::connect(at).await.ok()?;
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: addrd\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = Vec::new();
    // The server may end without the farewell of TLS; the answer carries its length.
    let _ = stream.read_to_end(&mut bytes).await;
    http::Answer::read(&bytes).ok()
}

/// Runs a command in a folder that also has the contexts: its code, and what it said.
async fn asked(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = addrd();
    command.current_dir(folder).env("XDG_CONFIG_HOME", folder);
    command.args(words);
    let output = ended(command).await;
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What is in a file in the place of its name is neither shown nor kept.
async fn shows_no_key(folder: &Path, place: &str) {
    let key = std::fs::read_to_string(folder.join("web.key")).expect("a key");
    let key = format!("--tls-key={key}");
    let words = ["--server", place, "--tls-ca", "ca.pem"];
    for (command, more) in [
        (&["server", "status"][..], &["--tls-certificate", "web.pem"][..]),
        (&["context", "set", "bad"], &[]),
    ] {
        let (code, said) = asked(folder, &[command, &words, more, &[&key]].concat()).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("the path of the file") && !said.contains("BEGIN"), "{said}");
    }
    let kept = folder.join("addrd/contexts.toml");
    assert!(!std::fs::read_to_string(kept).expect("contexts").contains("BEGIN"));
}

#[test]
fn the_command_line_speaks_tls_and_says_what_is_missing() {
    run(LIMIT, async {
        let shelf = Shelf::new();
        let site = Site::new().with_config(&format!(
            "journal_records_max = 262144\nlog_level = \"debug\"\n{}",
            shelf.files.mutual()
        ));
        let server = site.start().await;
        let own = shelf.authority.client("spiffe://example/web");
        let path = |name: &str| shelf.folder.path().join(name);
        for (name, text) in [
            ("ca.pem", &shelf.authority.pem()),
            ("web.pem", &own.certificate),
            ("web.key", &own.key),
            ("other.pem", &Authority::new().pem()),
        ] {
            put(&path(name), text);
        }
        let place = site.listen().to_string();
        let ask = async |words: &[&str]| asked(shelf.folder.path(), words).await;
        let own = ["--tls-certificate", "web.pem", "--tls-key", "web.key"];
        let status = ["server", "status", "--server", &place];
        let with = |more: &[&[&'static str]]| [&status[..], &more.concat()].concat();

        let (code, said) = ask(&with(&[&["--tls-ca", "ca.pem"], &own])).await;
        assert_eq!((code, said.as_str()), (Some(0), ""));
        for (words, code, says) in [
            (with(&[]), 7, "hint: give the CA that signed its certificate: --tls-ca"),
            (
                with(&[&["--tls-ca", "ca.pem"]]),
                5,
                "it wants a certificate\nhint: see --tls-certificate",
            ),
            (with(&[&["--tls-ca", "other.pem"], &own]), 5, "none of the given CAs has signed it"),
            (
                with(&[&["--tls-ca", "ca.pem", "--tls-server-name", "a.example"], &own]),
                5,
                "a.example",
            ),
            (
                with(&[&["--tls-ca", "ca.pem", "--tls-key", "web.key"]]),
                2,
                "--tls-certificate is needed",
            ),
            (with(&[&own]), 2, "--tls-ca is needed"),
            (with(&[&["--tls-ca", "missing.pem"]]), 2, "missing.pem: "),
            (with(&[&["--tls-ca", "web.key"]]), 2, "web.key: there is no certificate"),
        ] {
            let (found, said) = ask(&words).await;
            assert!(found == Some(code) && said.contains(says), "{words:?}: {found:?} {said}");
        }
        // A context keeps the paths from the root, and serves from elsewhere.
        let (code, said) =
            ask(&[&["context", "set", "prod", "--server", &place, "--tls-ca", "ca.pem"], &own[..]]
                .concat())
            .await;
        assert_eq!((code, said.as_str()), (Some(0), ""));
        let (code, said) = ask(&["server", "status"]).await;
        assert_eq!((code, said.as_str()), (Some(0), ""));
        // Another server is named, and nobody falls to plain text for it.
        let (code, said) = ask(&status).await;
        assert_eq!((code, said.as_str()), (Some(0), ""));
        shows_no_key(shelf.folder.path(), &place).await;
        let log = site.log();
        assert!(
            log.contains("connection opened") && log.contains("\"spiffe://example/web\""),
            "{log}"
        );
        server.stop().await;
    });
}
