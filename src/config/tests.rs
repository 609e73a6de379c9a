//! The example file, precedence, and errors that help.

use super::*;
use std::collections::BTreeSet;
use std::fs;

const EXAMPLE: &str = include_str!("../../docs/addrd.example.toml");

fn load(text: &str) -> Result<Config, ConfigErrors> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("addrd.toml");
    fs::write(&path, text).unwrap();
    Config::load(&Sources { file: Some(path), ..Sources::default() })
}

fn complaint(text: &str) -> String {
    let error = load(text).unwrap_err().to_string();
    error.split_once("addrd.toml:").map_or(error.clone(), |(_, rest)| rest.to_owned())
}

fn flags(flags: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let flags = flags.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::load(&Sources { flags, ..Sources::default() })
}

#[test]
fn the_example_names_every_setting_and_equals_the_defaults() {
    let config = load(EXAMPLE).unwrap();
    assert_eq!(config, Config::default());
    let is_setting = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
    let named: Vec<&str> = EXAMPLE
        .lines()
        .filter(is_setting)
        .map(|line| line.split('=').next().unwrap().trim())
        .collect();
    let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(named, known);
    for setting in SETTINGS {
        let meaning = format!("# {}\n{} = ", setting.meaning, setting.name);
        assert!(EXAMPLE.contains(&meaning), "the example lacks\n{meaning}");
    }
}

#[test]
fn what_is_shown_can_be_read_back() {
    let mut config = Config {
        listen: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
        unix_socket: None,
        workers: Some(3),
        memory_bytes_max: Some(3 << 30),
        log_format: LogFormat::Json,
        ..Config::default()
    };
    config.bounds.idle = Duration::from_millis(90_500);
    let shown: Vec<(&str, String)> =
        SETTINGS.iter().map(|setting| (setting.name, setting.show(&config))).collect();
    let shown: Vec<(&str, &str)> = shown.iter().map(|(name, text)| (*name, &**text)).collect();
    assert_eq!(flags(&shown).unwrap(), config);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("addrd.toml");
    fs::write(&path, "workers = 1\nreactors = 1\nlog_level = \"warn\"\n").unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let config = Config::load(&Sources {
        is_dev: true,
        file: Some(path),
        environment: vec![
            pair("ADDRD_WORKERS", "2"),
            pair("ADDRD_REACTORS", "2"),
            pair("ADDRD_SERVER", "elsewhere:1"),
            pair("HOME", "/root"),
        ],
        set: vec![pair("idle-time", "1m"), pair("listen", "127.0.0.1:1")],
        flags: vec![pair("workers", "3"), pair("listen", "127.0.0.1:3")],
    })
    .unwrap();
    assert_eq!((config.workers(), config.reactors()), (3, 2));
    assert_eq!(config.log_level, LogLevel::Warn);
    assert_eq!(config.bounds.idle, Duration::from_secs(60));
    assert_eq!(config.listen, ["127.0.0.1:3".parse().unwrap()]);
    assert_eq!(config.data_directory, PathBuf::from("addrd-data"));
}

#[test]
fn data_lies_in_the_current_directory_unless_said_otherwise() {
    let of = |is_dev, flags| {
        let sources = Sources { is_dev, flags, ..Sources::default() };
        Config::load(&sources).unwrap().data_directory
    };
    for is_dev in [false, true] {
        assert_eq!(of(is_dev, vec![]), PathBuf::from("addrd-data"));
        assert_eq!(of(is_dev, vec![("data".into(), "/x".into())]), PathBuf::from("/x"));
    }
}

#[test]
fn errors_name_the_line_the_value_and_what_is_allowed() {
    assert_eq!(
        complaint("\nworkers = 1\nlisten = [\"localhost\"]\n"),
        "3: listen = localhost: expected an IP address and a port, such as \"127.0.0.1:2337\" or \
         \"[::1]:2337\""
    );
    assert_eq!(
        complaint("connections_max = 0"),
        "1: connections_max = 0: expected a whole number from 1 to 100000"
    );
    assert_eq!(
        complaint("idle_time = 10"),
        "1: idle_time = 10: expected a duration from 1s to 1d, such as \"30s\""
    );
    assert_eq!(
        complaint("log_format = \"xml\""),
        "1: log_format = xml: expected one of text, json"
    );
    assert_eq!(
        complaint("\n\nhttp = 3.5"),
        "3: http: expected a text, a number, true, false or a list of texts or numbers"
    );
    assert!(complaint("workers = 1\nworkers = 2").starts_with("2: "));
    assert!(complaint("workers = ").starts_with("1: "));
}

#[test]
fn unknown_settings_are_errors_with_the_nearest_name() {
    let asked = |text| complaint(text);
    assert_eq!(asked("listn = []"), "1: listn: there is no such setting; did you mean listen?");
    assert_eq!(asked("[bounds]"), "1: bounds: there is no such setting");
    assert_eq!(asked("\nfrobnicate = 1"), "2: frobnicate: there is no such setting");
    let error = flags(&[("conections-max", "1")]).unwrap_err().to_string();
    assert!(error.contains("did you mean connections_max?"), "{error}");
    let sources =
        Sources { environment: vec![("ADDRD_LISTN".into(), "x".into())], ..Sources::default() };
    let error = Config::load(&sources).unwrap_err().to_string();
    assert!(error.starts_with("environment ADDRD_LISTN: "), "{error}");
}

#[test]
fn all_errors_are_told_at_once_and_in_the_order_of_the_file() {
    let error = load("workers = -1\nhtpp = \"\"\nlog_level = \"loud\"").unwrap_err();
    let lines: Vec<&Origin> = error.0.iter().map(|one| &one.origin).collect();
    assert!(
        matches!(lines[..], [Origin::Line(_, 1), Origin::Line(_, 2), Origin::Line(_, 3)]),
        "{error}"
    );
}

#[test]
fn errors_name_the_flag_as_it_was_typed_and_a_missing_file_has_no_line() {
    let sources = Sources {
        file: Some("/nonexistent/addrd.toml".into()),
        set: vec![("workers".into(), "many".into())],
        flags: vec![("data".into(), String::new()), ("unix-socket".into(), "\0".into())],
        ..Sources::default()
    };
    let error = Config::load(&sources).unwrap_err().to_string();
    let begins: Vec<&str> = error.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        begins,
        ["/nonexistent/addrd.toml", "--set workers", "--data", "--unix-socket"],
        "{error}"
    );
}

#[test]
fn settings_that_contradict_each_other_are_errors() {
    for (bad, says) in [
        (&[("listen", "0.0.0.0:2337")][..], "insecure"),
        (&[("http", "192.0.2.1:80")], "http = 192.0.2.1:80: others can reach this address"),
        (&[("tls_key", "k")], "tls_certificate is needed"),
        (&[("tls_certificate", "c")], "tls_key is needed"),
        (&[("tls_client_ca", "a")], "there is no TLS"),
        (&[("tls_client_required", "true")], "set tls_client_ca"),
        (&[("tls_client_names", "a")], "set tls_client_required"),
        (&[("listen", ""), ("unix_socket", "")], "nobody could connect"),
        (&[("local_administration", "true"), ("unix_socket", "")], "nobody could administer"),
        (&[("connections_max", "1000")], "connections_max"),
        (&[("connections_ungreeted_max", "100")], "connections_ungreeted_max"),
    ] {
        let error = flags(bad).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let long = "x".repeat(200);
    assert!(flags(&[("unix_socket", &long)]).unwrap_err().to_string().contains("longer than"));
    assert!(flags(&[("listen", "0.0.0.0:2337"), ("insecure", "true")]).is_ok());
}

/// Who may come to an address that others can reach: by address, certificate of the server, CA of
/// clients, and whether a certificate is a must.
#[test]
fn an_open_address_needs_certificates_of_everybody_or_insecure() {
    let tls = [("tls_certificate", "c"), ("tls_key", "k")];
    let ca = [("tls_client_ca", "a")];
    let required = [("tls_client_required", "true")];
    for place in [("listen", "0.0.0.0:2337"), ("http", "[2001:db8::1]:80")] {
        for (settings, says) in [
            (vec![place], Some("set tls_certificate, tls_key, tls_client_ca")),
            ([&[place], &tls[..]].concat(), Some("TLS alone lets everybody in")),
            ([&[place], &tls[..], &ca].concat(), Some("who shows no certificate is let in")),
            ([&[place], &tls[..], &ca, &required].concat(), None),
        ] {
            match (flags(&settings), says) {
                (Ok(config), None) => {
                    assert_eq!(config.secures_http(), place.0 == "http");
                    assert_eq!(config.unguarded(), None);
                }
                (Err(error), Some(says)) => {
                    let error = error.to_string();
                    assert!(error.contains(says) && error.contains(place.0), "{error}");
                    let all = [&settings[..], &[("insecure", "true")]].concat();
                    assert!(flags(&all).unwrap().unguarded().is_some(), "{all:?}");
                }
                (result, _) => panic!("{settings:?}: {result:?}"),
            }
        }
    }
    let authentic = [&tls[..], &[("authentication", "true"), ("listen", "0.0.0.0:2337")]].concat();
    assert_eq!(flags(&authentic).unwrap().unguarded(), None);
    let http = [&authentic[..], &[("http", "[2001:db8::1]:80")]].concat();
    assert!(flags(&http).unwrap_err().to_string().contains("http"));
    let plain = flags(&authentic[2..]).unwrap_err().to_string();
    assert!(plain.contains("set tls_certificate"), "tokens are not sent in the clear: {plain}");
    let loopback = flags(&tls).unwrap();
    assert!(loopback.unguarded().is_none() && !loopback.secures_http());
}

#[test]
fn values_in_errors_are_short_and_escaped() {
    let long = format!("\u{1b}[31m{}", "x".repeat(500));
    let error = flags(&[("log_level", &long)]).unwrap_err().to_string();
    assert!(error.len() < 200 && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn sizes_and_durations_have_units() {
    let config = flags(&[
        ("cache_bytes", "64MiB"),
        ("bytes_in_flight_max", "16777216"),
        ("slow_request", "0"),
        ("stall_time", "1500ms"),
    ])
    .unwrap();
    assert_eq!((config.cache_bytes, config.bounds.bytes_in_flight_max), (64 << 20, 16 << 20));
    assert_eq!(config.bounds.slow_request, Duration::ZERO);
    assert_eq!(config.bounds.stall, Duration::from_millis(1_500));
    for bad in ["64MB", "64 mib", "-1", "1e9", "99999999999999999999TiB"] {
        assert!(flags(&[("cache_bytes", bad)]).is_err(), "{bad}");
    }
}

#[test]
fn names_are_said_once() {
    let names: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), SETTINGS.len());
    assert!(Config::default().memory_records_max() > 0);
}

/// An empty list lets in everybody of the CA: only who writes nothing at all means that.
#[test]
fn names_that_are_empty_or_would_fall_apart_are_errors_that_say_what_to_do() {
    let own = "tls_certificate = \"c\"\ntls_key = \"k\"\ntls_client_ca = \"a\"\n\
               tls_client_required = true\ntls_client_names = ";
    for names in
        ["[\"\"]", "[\" \"]", "[\"\", \"\"]", "\",\"", "\" \"", "[\"a\", \"\"]", "\"a,,b\""]
    {
        let error = complaint(&format!("{own}{names}\n"));
        assert!(error.contains("leave the whole setting out"), "{names}: {error}");
    }
    let error = complaint(&format!("{own}[\"spiffe://x/a,b\"]\n"));
    assert!(error.contains("a name with a comma") && error.contains("another name"), "{error}");
    let names = |text: &str| load(&format!("{own}{text}\n")).unwrap().tls.client_names;
    assert_eq!(names("[]"), [""; 0]);
    assert_eq!(names("\"\""), [""; 0]);
    assert_eq!(names("[\"a\", \"b\"]"), ["a", "b"]);
    assert_eq!(names("\"a, b\""), ["a", "b"]);
}

/// A script that gives what is in a file in the place of its name must not put a key into a log.
#[test]
fn a_key_in_the_place_of_a_path_is_an_error_that_does_not_show_it() {
    let key = "-----BEGIN PRIVATE KEY-----\nSECRETSECRET==\n-----END PRIVATE KEY-----\n";
    let tail = "QUJDSECRET\nREVGSECRET";
    for text in [key, tail] {
        for name in ["tls_key", "tls-certificate", "tls_client_names", "data", "workers"] {
            let error = flags(&[(name, text)]).unwrap_err().to_string();
            assert!(!error.contains("SECRET") && !error.contains("BEGIN"), "{error}");
        }
        let set = vec![(text.to_owned(), text.to_owned())];
        let error = Config::load(&Sources { set, ..Sources::default() }).unwrap_err().to_string();
        assert!(!error.contains("SECRET") && !error.contains("BEGIN"), "{error}");
        let error = flags(&[("tls_key", text)]).unwrap_err().to_string();
        assert!(error.contains("the path of a file"), "{error}");
    }
}
