//! T15: nothing that was sent, and nothing that is secret, is in anything that the program writes: not in a log at its most
//! talkative level, not in metrics, not in errors of the command line, whatever went well or wrong.
//!
//! By design there are: ids of objects, paths of files (docs/decisions/0037-tls.md), and the name in a certificate that an
//! operator's own CA has signed, in quotes. The log may be read by more people than the data.

use crate::support::certificates::{Authority, Files, put};
use crate::support::hostile::{CANARY, bytes_of, hello_bytes, malformed};
use crate::support::line::dial;
use crate::support::seed::Choices;
use crate::support::server::{Site, addrd};
use crate::support::tenants::{ASKING, Mark, Tenant, ask, canary, make, operator, subnet};
use crate::support::{eventually, run, soon};
use addrd_client::protocol::message::{Hello, Quotas, Request, Watch};
use addrd_client::protocol::{NetworkId, ProjectId, Text, Token, TokenId};
use addrd_client::{
    Client, ClientCertificate, Connection, Endpoint, Error, Settings, Tls, TokenSource, Trust,
    plain_hello,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(300);
const ANN: Mark = Mark(0xa1a1_cafe);
const NETWORK: Uuid = Uuid::from_u128(0x22);
const POOL: Uuid = Uuid::from_u128(0x88);

/// A text of a client.
fn text(what: &str) -> String {
    canary("ann", what)
}

/// All that must be nowhere: texts of clients, the secrets of tokens in every form, and lines of keys.
fn secrets(tokens: &[&Token], pem: &[&str]) -> Vec<String> {
    let mut all = vec![text(""), CANARY.to_owned()];
    for token in tokens {
        let secret = token.secret();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        // Parts of it are as bad.
        all.extend([hex[..24].to_owned(), hex[40..].to_owned(), hex.to_uppercase()]);
        all.push(format!("{:?}", &secret[..8]).trim_matches(['[', ']']).to_owned());
        all.extend(String::from_utf8(secret[..20].to_vec()));
    }
    let lines = pem.iter().flat_map(|text| text.lines()).filter(|line| line.len() > 30);
    all.extend(lines.map(|line| line[8..].to_owned()));
    all
}

fn must_hide(written: &str, secrets: &[String], what: &str) {
    for secret in secrets {
        if let Some(at) = written.find(secret.as_str()) {
            let line = written[..at].rfind('\n').map_or(0, |start| start + 1);
            let end = written[at..].find('\n').map_or(written.len(), |end| at + end);
            panic!("{what} shows {secret:?}: {}", &written[line..end]);
        }
    }
    let told = written.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(told, None, "{what} has a control character");
}

/// A command, whatever its end: all that it wrote.
async fn output(mut command: std::process::Command) -> (Output, String) {
    let made = tokio::task::spawn_blocking(move || command.output());
    let made = soon("the end of a command", made).await.expect("a thread");
    let made = made.expect("the binary starts");
    let said = [&made.stdout[..], b"\n", &made.stderr].concat();
    (made, String::from_utf8_lossy(&said).into_owned())
}

/// What a client does that is let in: each kind of object with all the texts that it can have.
async fn work(client: &Client) {
    make(
        client,
        NETWORK,
        "network_create",
        json!({ "name": text("network"), "description": text("described") }),
    )
    .await;
    subnet(client, NETWORK, Uuid::from_u128(1), "10.0.0.0/29", Some(&text("subnet"))).await;
    let pool = json!({ "name": text("pool"), "family": "v4", "prefixes": ["172.16.0.0/28"],
        "description": text("described"), "is_default": false, "shared": false });
    make(client, POOL, "pool_create", pool).await;
    let scope = json!({ "name": text("scope"), "family": "v6", "description": text("described"), "shared": false });
    make(client, Uuid::from_u128(3), "scope_create", scope).await;
    let segment = json!({ "segment_id": Uuid::from_u128(4), "description": text("segment") });
    make(client, NETWORK, "segment_create", segment).await;
    let hosts = json!({ "segment_id": Uuid::from_u128(4), "add": [text("rack")], "remove": [] });
    make(client, NETWORK, "segment_hosts", hosts).await;
    let port = json!({ "port_id": Uuid::from_u128(5), "allow_gateway": false, "host": text("host"),
        "description": text("port"), "device_owner": text("device"), "fixed_ips": [] });
    make(client, NETWORK, "port_create", port).await;
    let host = json!({ "begin": "7", "host": text("host"), "lease_ms": 1_000, "life": "0", "manager": text("manager"),
        "on_end": "release" });
    make(client, Uuid::nil(), "renew_host", host).await;
    // Until the subnet and the pool are full, over each level of use.
    for number in 1..8 {
        let told = ask(client, NETWORK, "allocate", allocate(number)).await;
        assert!(told.is_ok() || !(2..5).contains(&number), "{told:?}");
        let mut prefix = allocate(0x100 + number);
        prefix["length"] = json!(30);
        let told = ask(&client.for_pools(), POOL, "allocate", prefix).await;
        assert!(told.is_ok() || number > 4, "{told:?}");
    }
    let watch = Watch { label: Text::new(&text("label")).ok(), ..Watch::default() };
    drop(client.watch(NetworkId(NETWORK), watch).await.expect("a watch"));
    let report = json!({ "call": "1", "dry_run": false, "grace_ms": 60_000, "host": text("other"), "live": [],
        "manager": text("manager"), "part": 0, "parts": 1 });
    make(client, Uuid::nil(), "reconcile", report).await;
    make(client, NETWORK, "allocation_list", json!({ "limit": 0, "label": text("label") })).await;
}

/// An allocation with all texts that it can have; the first follows its host.
fn allocate(number: u128) -> Value {
    let mut body = json!({ "owner": Uuid::from_u128(number), "slot": 0, "instance": "0", "family": "one",
        "strategy": "default", "flags": { "takeover": false, "allow_gateway": false, "allow_resting": false,
        "want_subnet": false }, "owner_name": text("owner"), "label": text("label"), "host": text("host"),
        "manager": text("manager") });
    if number == 1 {
        body["follow_host"] = json!(true);
    }
    body
}

/// What is refused, and what may not be done, with the same texts.
async fn fail(client: &Client) {
    let gone = Uuid::from_u128(0x99);
    let other = client.in_project(ProjectId::from_u128(0x77));
    let refused = [
        (client, gone, "network_create", json!({ "name": text("network") })),
        (
            client,
            gone,
            "network_create",
            json!({ "name": format!("{} \u{1b}[31m", text("wrong")) }),
        ),
        (client, gone, "allocate", allocate(1)),
        (client, NETWORK, "subnet_get", json!({ "subnet": { "name": text("no") } })),
        (client, Uuid::nil(), "network_find", json!({ "name": text("no") })),
        (&other, NETWORK, "allocate", allocate(1)),
        (&other, Uuid::nil(), "network_find", json!({ "name": text("no") })),
        (client, Uuid::nil(), "project_get", json!({ "name": text("no") })),
        (
            client,
            Uuid::nil(),
            "principal_create",
            json!({ "principal_id": gone, "name": text("no"), "certificate_names": [text("certificate")] }),
        ),
        (
            client,
            Uuid::nil(),
            "end_host",
            json!({ "manager": text("no"), "host": text("no"), "life": "7", "on_end": "release" }),
        ),
    ];
    for (client, network, operation, body) in refused {
        let request = serde_json::from_value::<Request>(json!({ operation: body }));
        let Ok(request) = request else { continue };
        let told = client.call(&client.scope(NetworkId(network)), &request).await;
        assert!(told.is_err(), "{operation}: {told:?}");
    }
}

/// Says bytes over a stream and reads to its end.
async fn provoke<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut stream: S,
    bytes: &[u8],
) {
    let _ = soon("room to write", stream.write_all(bytes)).await;
    let _ = stream.shutdown().await;
    let mut waste = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut waste)).await;
}

/// Everybody who isn't let in, with a canary wherever one can be shown.
async fn knock(site: &Site, authority: &Authority, token: &Token) {
    let endpoint: Endpoint = site.listen().to_string().parse().expect("an endpoint");
    let hello = |token: Option<Token>| Hello {
        token,
        client: Text::new(&text("client")).ok(),
        manager: Text::new(&text("manager")).ok(),
        host: Text::new(&text("host")).ok(),
        ..plain_hello()
    };
    let good = authority.tls(None);
    // Half of a token, one of nobody, and none.
    let wrong = Token::new(token.id, *b"ann-canary-guessed-secret-123456");
    let unknown = Token::new(TokenId(0x77), *token.secret());
    for token in [Some(wrong), Some(unknown), None] {
        let stream = endpoint.open_with(Some(&good)).await.expect("a handshake");
        let refused = soon("an answer", Connection::hello(stream, &hello(token))).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    // Certificates of another CA, and one that is over; a name of the server that it doesn't have.
    let stranger = Authority::new();
    for own in [stranger.client(&text("certificate")), authority.expired(&text("certificate"))] {
        let own =
            ClientCertificate { certificate: own.certificate.as_bytes(), key: own.key.as_bytes() };
        let pem = authority.pem();
        let tls = Tls::new(Trust::Ca(pem.as_bytes()), Some(own), None)
            .expect("a certificate and its key");
        if let Ok(stream) = endpoint.open_with(Some(&tls)).await {
            let refused = soon("an answer", Connection::hello(stream, &hello(None))).await;
            assert!(refused.is_err(), "{refused:?}");
        }
    }
    let pem = authority.pem();
    let named =
        Tls::new(Trust::Ca(pem.as_bytes()), None, Some("ann-canary-name.example")).expect("a name");
    assert!(endpoint.open_with(Some(&named)).await.is_err());
    // Plain words where TLS is spoken, and nonsense inside of it.
    for bytes in [
        &hello_bytes()[..],
        text("\n\r\u{1b}[2J").as_bytes(),
        b"GET /ann-canary-path HTTP/1.1\r\n\r\n",
    ] {
        provoke(dial(site.listen()).await.expect("a connection"), bytes).await;
        let stream = endpoint.open_with(Some(&good)).await.expect("a handshake");
        provoke(stream, bytes).await;
    }
    // Malformed frames of somebody who is let in: who isn't waits for his refusal, longer each time.
    let known = Request::Hello(Box::new(hello(Some(token.clone()))));
    let known = bytes_of(NetworkId::NIL, 1, &known);
    let mut choices = Choices::of_test("canary");
    for _ in 0..40 {
        let frames = (2..10).flat_map(|number| malformed(number, &mut choices));
        let bytes: Vec<u8> = known.iter().copied().chain(frames).collect();
        provoke(endpoint.open_with(Some(&good)).await.expect("a handshake"), &bytes).await;
    }
    let request = "GET /ann-canary-path?ann-canary-query HTTP/1.1\r\nHost: ann-canary-host\r\nX: ann-canary-header\r\n\
                   Authorization: Bearer ann-canary-token\r\nConnection: close\r\n\r\n";
    for bytes in [request, "ann-canary nonsense\r\n\r\n"] {
        provoke(dial(site.http()).await.expect("a connection"), bytes.as_bytes()).await;
    }
}

async fn pages(site: &Site, secrets: &[String]) {
    for path in ["/metrics", "/livez", "/readyz", "/"] {
        let answer = site.get(path).await.expect("an answer");
        must_hide(&answer.body, secrets, path);
    }
}

#[test]
fn what_is_sent_or_secret_is_in_no_log_and_on_no_page() {
    for format in ["text", "json"] {
        run(LIMIT, story(format));
    }
}

async fn story(format: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let server_pair = authority.server();
    let files = Files::write(folder.path(), &server_pair, &authority.pem());
    let client_ca = format!("tls_client_ca = \"{}\"\n", files.client_ca.display());
    let talks =
        format!("log_level = \"trace\"\nlog_format = \"{format}\"\nslow_request = \"1ms\"\n");
    let site = Site::new().with_config(&format!("{ASKING}{talks}{}{client_ca}", files.settings()));
    let mut server = site.start().await;
    let operator = operator(&site).await;
    let tenant = Tenant::made(&operator, "ann", ANN, Quotas::default(), &[]).await;
    let secrets = secrets(&[&tenant.token], &[&server_pair.key, &server_pair.certificate]);
    let settings = Settings {
        token: Some(TokenSource::Fixed(tenant.token.clone())),
        tls: Some(authority.tls(None)),
        ..site.settings()
    };
    must_hide(&format!("{settings:?}"), &secrets[2..], "Debug of a client's settings");
    let client = soon("a client", Client::connect(settings.clone())).await.expect("it is let in");
    let client = client.with_project(tenant.project);
    work(&client).await;
    fail(&client).await;
    knock(&site, &authority, &tenant.token).await;
    eventually("the end of the host's lease", async || {
        site.log().contains("the lease of a host").then_some(())
    })
    .await;

    // A key where a certificate belongs, while it serves; then the right ones again.
    put(&files.certificate, &server_pair.key);
    server.hang_up();
    eventually("a word on the certificate", async || {
        site.log().contains("certificates can't be used").then_some(())
    })
    .await;
    put(&files.certificate, &server_pair.certificate);

    let backup = folder.path().join("a.backup");
    let place = format!("unix:{}", site.data().join("addrd.sock").display());
    let mut fetch = addrd();
    fetch.args(["--server", &place, "server", "backup"]).arg(&backup);
    let (made, said) = output(fetch).await;
    assert!(made.status.success(), "{said}");
    must_hide(&said, &secrets, "a backup");
    pages(&site, &secrets).await;

    server.kill();
    server = site.start().await;
    let again = soon("a client", Client::connect(settings)).await.expect("it is let in again");
    again.with_project(tenant.project).networks(None).take(5).await.expect("a list");
    pages(&site, &secrets).await;
    server.stop().await;
    must_hide(&String::from_utf8_lossy(&site.check().stdout), &secrets, "a check");
    let mut restore = addrd();
    restore.args(["server", "restore"]).arg(&backup).arg(folder.path().join("restored"));
    let (made, said) = output(restore).await;
    assert!(made.status.success(), "{said}");
    must_hide(&said, &secrets, "a restore");

    let log = site.log();
    must_hide(&log, &secrets, "the log");
    // It was talkative, and the lines are there that could have told.
    for line in [
        "connection opened",
        "identified",
        "denied",
        "a stranger was refused",
        "TLS handshake failed",
        "has reached a level of use",
        "the lease of a host",
    ] {
        assert!(log.contains(line), "no line says {line:?}");
    }
}

/// A server that can't start, and what it says about why.
async fn refused(
    folder: &Path,
    config: &str,
    words: &[&str],
    variable: Option<(&str, &str)>,
) -> String {
    let path = folder.join("addrd.toml");
    std::fs::write(&path, config).expect("a configuration is written");
    let mut command = addrd();
    command.args(["serve", "--config"]).arg(&path);
    command.arg("--data").arg(folder.join("data")).args(words);
    command.envs(variable);
    let (made, said) = output(command).await;
    assert!(made.status.code().is_some_and(|code| code > 0), "{config} {words:?}: {said}");
    said
}

/// A token where the command line takes the path of a file, or a server.
async fn commands_hide(folder: &Path, reveal: &str, secrets: &[String]) {
    for words in [
        &["server", "status", "--token-file", reveal][..],
        &["server", "status", "--server", reveal],
        &["context", "set", "bad", "--server", "127.0.0.1:1", "--token-file", reveal],
    ] {
        let mut command = addrd();
        command.args(words).env("XDG_CONFIG_HOME", folder);
        let (made, said) = output(command).await;
        assert!(!made.status.success(), "{said}");
        must_hide(&said, secrets, &format!("{words:.10?}"));
    }
}

#[test]
fn a_secret_in_a_wrong_place_is_shown_to_nobody() {
    run(LIMIT, async {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let authority = Authority::new();
        let pair = authority.server();
        let token = Token::new(TokenId(0xc0de), *b"ann-canary-secret-of-a-token-xyz");
        let reveal = token.reveal();
        let secrets = secrets(&[&token], &[&pair.key]);
        put(&at("server.pem"), &pair.certificate);
        put(&at("server.key"), &pair.key);
        put(&at("bad.token"), &format!("ann-canary-{reveal}\n"));
        std::fs::write(at("open.token"), format!("{reveal}\n")).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(at("open.token"), mode).expect("a mode");
        let tls = |certificate: &str, key: &str| {
            let path = |name: &str| at(name).display().to_string();
            format!("tls_certificate = \"{}\"\ntls_key = \"{}\"\n", path(certificate), path(key))
        };
        let pem = pair.key.replace('\n', "\\n");
        let configs = [
            format!("operator_token_file = \"{reveal}\"\n"),
            format!("operator_token_file = {reveal}\n"),
            format!("operator_token_file = \"{reveal}\n"),
            format!("http = \"{reveal}\"\n"),
            format!("{reveal} = 1\n"),
            format!("[bounds]\nlog_level = \"{reveal}\"\n"),
            format!("log_level = \"{}\"\n", text("level")) + "workers = 0\nworkers = 1\n",
            format!("operator_token_file = \"{}\"\n", at("bad.token").display()),
            format!("operator_token_file = \"{}\"\n", at("open.token").display()),
            tls("server.key", "server.pem"),
            tls("server.key", "server.key"),
            tls("server.pem", "server.pem"),
            format!("tls_certificate = \"{pem}\"\ntls_key = \"{pem}\"\n"),
            format!("tls_key = \"{pem}\n"),
        ];
        // What somebody wrote in a setting that is no secret may be shown to him: he has to see what is wrong.
        let quoted: Vec<String> =
            secrets.iter().filter(|secret| **secret != text("")).cloned().collect();
        for config in &configs {
            let said = refused(folder.path(), config, &[], None).await;
            must_hide(&said, &quoted, &format!("an error of {config:.30}"));
        }
        let set = format!("operator_token_file={reveal}");
        for words in [
            &["--set", &*set][..],
            &["--set", &*reveal],
            &["--http", &*reveal],
            &["--listen", &*reveal],
        ] {
            let said = refused(folder.path(), "", words, None).await;
            must_hide(&said, &secrets, &format!("an error of {:?}", words[0]));
        }
        let variable = Some(("ADDRD_OPERATOR_TOKEN_FILE", &*reveal));
        let said = refused(folder.path(), "", &[], variable).await;
        must_hide(&said, &secrets, "an error of the environment");
        commands_hide(folder.path(), &reveal, &secrets).await;
        let bad = TokenSource::File(at("bad.token")).read().await;
        assert!(
            matches!(&bad, Err(Error::Settings(told)) if !told.contains("canary-addrd")),
            "{bad:?}"
        );
    });
}

#[test]
fn debug_shows_no_secret() {
    let token = Token::new(TokenId(0xc0de), *b"ann-canary-secret-of-a-token-xyz");
    let secrets = secrets(&[&token], &[]);
    let hello = Hello { token: Some(token.clone()), ..plain_hello() };
    let request = Request::Hello(Box::new(hello.clone()));
    let source = [TokenSource::Fixed(token.clone()), TokenSource::File(token.reveal().into())];
    for shown in [
        format!("{token:?} {token:#?}"),
        format!("{hello:?}"),
        format!("{request:?}"),
        format!("{source:?}"),
    ] {
        must_hide(&shown, &secrets, "Debug");
    }
}
