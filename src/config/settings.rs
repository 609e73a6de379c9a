//! The list of settings, and the way of a value from file, environment or flag into the config.

use super::error::{ConfigError, Origin, looks_secret};
use super::parse::{self, Parsed};
use super::{AuditLevel, Config, LogFormat, LogLevel, Sources};
use crate::limits;
use std::io::Read;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What is known of a setting.
#[derive(Clone, Copy)]
pub struct SettingInfo {
    /// Its name in the file; `ADDRD_` and the name in capitals in the environment; with dashes as
    /// a flag.
    pub name: &'static str,
    /// Unit and consequence, one line.
    pub meaning: &'static str,
    set: fn(&mut Config, &str) -> Parsed<()>,
    show: fn(&Config) -> String,
}

macro_rules! setting {
    ($name:literal, $meaning:literal, $config:ident . $($field:ident).+, $text:ident => $parse:expr, $value:ident => $show:expr) => {
        SettingInfo {
            name: $name,
            meaning: $meaning,
            set: |$config, $text| {
                $config.$($field).+ = $parse?;
                Ok(())
            },
            show: |$config| {
                let $value = &$config.$($field).+;
                $show
            },
        }
    };
}

/// Every setting, in the order of the example file.
pub const SETTINGS: &[SettingInfo] = &[
    setting!("data_directory", "directory of the data; made with mode 0700 if it is not there",
        config.data_directory, text => path(text), value => value.display().to_string()),
    setting!("listen", "TCP addresses of the protocol; other than loopback needs TLS with tls_client_required or authentication, or insecure",
        config.listen, text => parse::list(text, limits::LISTEN_ADDRESSES_MAX, parse::address),
        value => join(value)),
    setting!("unix_socket", "path of the Unix socket, mode 0660; relative to data_directory; empty = none",
        config.unix_socket, text => parse::optional(text, path),
        value => show_path(value)),
    setting!("http", "address of /metrics, /livez and /readyz; empty = none",
        config.http, text => parse::optional(text, parse::address), value => join(value)),
    setting!("insecure", "true = anybody who reaches an address may do everything",
        config.insecure, text => parse::boolean(text), value => value.to_string()),
    setting!("authentication", "true = a client must show who it is by a token, a certificate or its Unix user, and may do what its grants allow; false = everybody may do everything",
        config.authentication, text => parse::boolean(text), value => value.to_string()),
    setting!("local_operator", "true = root and the server's own user may do everything over the Unix socket; principals are made so",
        config.local_operator, text => parse::boolean(text), value => value.to_string()),
    setting!("local_administration", "true = what needs the verb administer (principals, tokens, projects, backups, adoption mode, the clock) is asked for over the Unix socket alone",
        config.local_administration, text => parse::boolean(text), value => value.to_string()),
    setting!("operator_token_file", "file with a token, mode 0600, whose bearer may do everything; empty = none",
        config.operator_token_file, text => parse::optional(text, path),
        value => show_path(value)),
    setting!("tls_certificate", "PEM file of the server's certificate and of those up to its CA; with it all TCP addresses speak TLS 1.3, loopback too; empty = no TLS",
        config.tls.certificate, text => parse::optional(text, path), value => show_path(value)),
    setting!("tls_key", "PEM file of the certificate's private key; only its owner may read it (mode 0600)",
        config.tls.key, text => parse::optional(text, path), value => show_path(value)),
    setting!("tls_client_ca", "PEM file of the CAs that certificates of clients are verified by; empty = clients are not asked for one",
        config.tls.client_ca, text => parse::optional(text, path), value => show_path(value)),
    setting!("tls_client_required", "true = a client without a certificate is refused",
        config.tls.client_required, text => parse::boolean(text), value => value.to_string()),
    setting!("tls_client_names", "names in certificates of clients that are let in; empty = all that a CA has signed",
        config.tls.client_names,
        text => parse::names(text), value => join(value)),
    setting!("workers", "threads that decide; 0 = a quarter of the cores",
        config.workers, text => parse::automatic(text, 1..=limits::WORKERS_MAX),
        value => value.unwrap_or(0).to_string()),
    setting!("reactors", "threads that read and write sockets; 0 = half of the cores, at least 2",
        config.reactors, text => parse::automatic(text, 1..=limits::REACTORS_MAX),
        value => value.unwrap_or(0).to_string()),
    setting!("journal_records_max", "records that the journal holds; its file has its full length from the start, and a longer one makes a longer start after a crash",
        config.journal_records_max,
        text => parse::number(text, limits::JOURNAL_RECORDS_MAX_DEV..=limits::JOURNAL_RECORDS_MAX_MOST),
        value => value.to_string()),
    setting!("cache_bytes", "memory for pages of the data files",
        config.cache_bytes, text => parse::size(text, limits::CACHE_BYTES_LEAST..=1 << 40),
        value => parse::show_size(*value)),
    setting!("memory_bytes_max", "memory of the server; near it only releases are served; 0 = three quarters of what there is",
        config.memory_bytes_max,
        text => parse::automatic_size(text, limits::MEMORY_BYTES_LEAST..=1 << 44),
        value => parse::show_size(value.unwrap_or(0))),
    setting!("connections_max", "connections at once; more are refused at accept",
        config.bounds.connections_max,
        text => parse::number(text, 1..=limits::CONNECTIONS_MAX_MOST), value => value.to_string()),
    setting!("connections_ungreeted_max", "of these, connections that have not finished HELLO",
        config.bounds.connections_ungreeted_max,
        text => parse::number(text, 1..=limits::CONNECTIONS_UNGREETED_MAX_MOST),
        value => value.to_string()),
    setting!("connections_ungreeted_peer_max", "of these, from one IPv4 address or one IPv6 /64",
        config.bounds.connections_ungreeted_peer_max,
        text => parse::number(text, 1..=limits::CONNECTIONS_UNGREETED_MAX_MOST),
        value => value.to_string()),
    setting!("tls_handshakes_max", "TLS handshakes at once; more are refused at accept",
        config.bounds.tls_handshakes_max,
        text => parse::number(text, 1..=limits::CONNECTIONS_UNGREETED_MAX_MOST),
        value => value.to_string()),
    setting!("bytes_in_flight_max", "requests and replies in memory over all connections; beyond it requests get BUSY",
        config.bounds.bytes_in_flight_max,
        text => parse::size(text, limits::BYTES_IN_FLIGHT_MAX_LEAST..=limits::BYTES_IN_FLIGHT_MAX_MOST),
        value => parse::show_size(*value)),
    setting!("rate_principal", "operations a second of each principal, over all its connections; without authentication of each address, or user of the Unix socket; more get RATE_LIMITED; 0 = as many as come",
        config.bounds.rate_principal, text => parse::automatic(text, 1..=limits::RATE_MOST),
        value => value.unwrap_or(0).to_string()),
    setting!("rate_total", "operations a second of all of them together; who stays below his share of it is not refused; 0 = as many as come",
        config.bounds.rate_total, text => parse::automatic(text, 1..=limits::RATE_MOST),
        value => value.unwrap_or(0).to_string()),
    setting!("rate_burst", "the operations of so long may come at once",
        config.bounds.rate_burst,
        text => parse::duration(text, limits::RATE_BURST_MS_LEAST..=limits::RATE_BURST_MS_MOST),
        value => parse::show_duration(*value)),
    setting!("idle_time", "a connection without a frame for so long is closed; told in HELLO",
        config.bounds.idle, text => parse::duration(text, 1_000..=86_400_000),
        value => parse::show_duration(*value)),
    setting!("frame_time", "a frame must be whole so long after its first byte, else the connection is closed",
        config.bounds.frame, text => parse::duration(text, 100..=600_000),
        value => parse::show_duration(*value)),
    setting!("stall_time", "a peer that takes nothing of its replies for so long is closed",
        config.bounds.stall, text => parse::duration(text, 100..=600_000),
        value => parse::show_duration(*value)),
    setting!("shutdown_time", "a connection that is told to end has so long to read its last answers",
        config.bounds.shutdown, text => parse::duration(text, 100..=600_000),
        value => parse::show_duration(*value)),
    setting!("slow_request", "requests slower than this are logged, at most 10 a second; 0 = none",
        config.bounds.slow_request, text => parse::duration(text, 0..=600_000),
        value => parse::show_duration(*value)),
    setting!("clock_jump_max", "a wall clock further ahead of the last change at a start is not believed, and no lease ends until it agrees or an operator accepts it",
        config.clock_jump_max,
        text => parse::duration(text, limits::CLOCK_JUMP_MS_MAX..=limits::CLOCK_JUMP_MS_MOST),
        value => parse::show_duration(*value)),
    setting!("restart_grace", "whatever has a lease keeps it for so long at least after a start or a standstill, in which nobody could renew; 0 = what is overdue ends at once",
        config.restart_grace, text => parse::duration(text, 0..=limits::RESTART_GRACE_MS_MAX),
        value => parse::show_duration(*value)),
    setting!("usage_levels", "percentages of use at which subnets and subnet pools are told of, by an event, a metric and a log line; empty = none",
        config.usage_levels, text => parse::rising(text, limits::USAGE_LEVELS_MAX, 1..=100),
        value => join(value)),
    setting!("history_days", "days for which it can be asked who held an address; 0 = no history is kept",
        config.history_days, text => parse::automatic(text, 1..=limits::HISTORY_DAYS_MOST),
        value => value.unwrap_or(0).to_string()),
    setting!("history_bytes", "bytes of history in the data directory, at most; it stops to grow at what the disk has free beside it; the oldest goes first; 0 = no history is kept",
        config.history_bytes,
        text => parse::automatic_size(text, limits::HISTORY_BYTES_LEAST..=1 << 50),
        value => parse::show_size(value.unwrap_or(0))),
    setting!("audit", "what is written to the audit log: none, administration (networks, subnets, pools, projects, principals; and what was denied or tried in vain), or all (every allocation and release as well: some 500 bytes each); automatic = administration where authentication is on, else none",
        config.audit, text => parse::choice(text, AUDITS), value => name_of(AUDITS, *value)),
    setting!("audit_directory", "where the audit log lies: audit.log and full ones, JSON lines, mode 0640; relative to data_directory, which others can't look into",
        config.audit_directory, text => path(text), value => value.display().to_string()),
    setting!("audit_bytes", "bytes of the files of the audit log, at most; the oldest goes first",
        config.audit_bytes, text => parse::size(text, limits::AUDIT_BYTES_LEAST..=limits::AUDIT_BYTES_MOST),
        value => parse::show_size(*value)),
    setting!("metrics_subnets", "true = /metrics shows the ids of the fullest subnets to whoever reads it",
        config.metrics_subnets, text => parse::boolean(text), value => value.to_string()),
    setting!("log_level", "error, warn, info, debug or trace",
        config.log_level, text => parse::choice(text, LEVELS), value => name_of(LEVELS, *value)),
    setting!("log_format", "text or json",
        config.log_format, text => parse::choice(text, FORMATS), value => name_of(FORMATS, *value)),
];

const AUDITS: &[(&str, AuditLevel)] = &[
    ("automatic", AuditLevel::Automatic),
    ("none", AuditLevel::Nothing),
    ("administration", AuditLevel::Administration),
    ("all", AuditLevel::All),
];

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Longest configuration file, bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

impl SettingInfo {
    /// The value in a config, as text that can be read back.
    #[must_use]
    pub fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }

    /// The variable of the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }
}

const PREFIX: &str = "ADDRD_";

impl std::fmt::Debug for SettingInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingInfo").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Applies all sources in their order; returns what is wrong.
pub(super) fn apply(config: &mut Config, sources: &Sources) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    if let Some(path) = &sources.file {
        errors.extend(apply_file(config, path));
    }
    for (variable, value) in &sources.environment {
        errors.extend(apply_variable(config, variable, value));
    }
    for (name, value) in &sources.set {
        let origin = Origin::Set(name.clone());
        errors.extend(set(config, origin, &name.replace('-', "_"), value));
    }
    for (flag, value) in &sources.flags {
        let name = if flag == DATA_FLAG { DATA_SETTING } else { &flag.replace('-', "_") };
        errors.extend(set(config, Origin::Flag(flag.clone()), name, value));
    }
    errors
}

/// The one flag that isn't named like its setting, and that setting.
const DATA_FLAG: &str = "data";
const DATA_SETTING: &str = "data_directory";

fn set(config: &mut Config, origin: Origin, name: &str, value: &str) -> Option<ConfigError> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
        return Some(unknown(origin, name));
    };
    let what = (setting.set)(config, value).err()?;
    Some(ConfigError::new(origin, name, value, what))
}

fn unknown(origin: Origin, name: &str) -> ConfigError {
    let what = match nearest(name) {
        Some(nearest) => format!("there is no such setting; did you mean {nearest}?"),
        None => "there is no such setting".to_owned(),
    };
    ConfigError::new(origin, name, "", what)
}

/// The setting that a misspelt name probably means.
fn nearest(name: &str) -> Option<&'static str> {
    let distance = |setting: &SettingInfo| strsim::damerau_levenshtein(name, setting.name);
    let best = SETTINGS.iter().min_by_key(|setting| distance(setting))?;
    (distance(best) <= 1 + name.len() / 4).then_some(best.name)
}

/// Variables that are not settings belong to the client, unless they look like a misspelt one.
fn apply_variable(config: &mut Config, variable: &str, value: &str) -> Option<ConfigError> {
    let name = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let origin = Origin::Environment(variable.to_owned());
    let is_close = |setting: &&SettingInfo| strsim::damerau_levenshtein(&name, setting.name) <= 2;
    match SETTINGS.iter().find(|setting| setting.name == name) {
        Some(_) => set(config, origin, &name, value),
        None => SETTINGS.iter().find(is_close).map(|_| unknown(origin, &name)),
    }
}

fn apply_file(config: &mut Config, path: &Path) -> Vec<ConfigError> {
    match read(path) {
        Ok(text) => apply_text(config, path, &text),
        Err(what) => vec![ConfigError::new(Origin::File(path.to_owned()), "", "", what)],
    }
}

/// The text of a file; `path` is only told.
pub(super) fn apply_text(config: &mut Config, path: &Path, text: &str) -> Vec<ConfigError> {
    let at = |line: usize| Origin::Line(path.to_owned(), line);
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            return vec![ConfigError::new(at(line), "", "", error.message().replace('\n', " "))];
        }
    };
    let mut errors = Vec::new();
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    // As they stand in the file, and so are the errors.
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let (name, line) = (key.get_ref(), line_of(text, key.span().start));
        // A list of numbers is none of texts: a number in brackets is no number.
        let value = match value.get_ref() {
            DeValue::Array(items) if &**name == LEVELS_SETTING => numbers(items),
            DeValue::Array(items) if &**name == NAMES_SETTING => match names(items) {
                Ok(text) => text,
                Err(what) => {
                    errors.push(ConfigError::new(at(line), name, "", what));
                    continue;
                }
            },
            value => as_text(value),
        };
        match value {
            Some(value) => errors.extend(set(config, at(line), name, &value)),
            None => {
                let what = "expected a text, a number, true, false or a list of texts or numbers"
                    .to_owned();
                let error = unknown(at(line), name);
                let is_known = SETTINGS.iter().any(|setting| setting.name == &**name);
                let wrong = ConfigError::new(at(line), name, "", what);
                errors.push(if is_known { wrong } else { error });
            }
        }
    }
    errors
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("longer than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// 1-based line of a byte.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The value as it would stand in the environment.
fn as_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            texts.collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
        }
        _ => None,
    }
}

/// The one setting that is a list of numbers.
const LEVELS_SETTING: &str = "usage_levels";

fn numbers(items: &toml::de::DeArray<'_>) -> Option<String> {
    let numbers = items.iter().map(|item| match item.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str()),
        _ => None,
    });
    numbers.collect::<Option<Vec<_>>>().map(|numbers| numbers.join(","))
}

/// The one list that lets everybody in when it is empty: no item of it may be lost on the way.
const NAMES_SETTING: &str = "tls_client_names";

fn names(items: &toml::de::DeArray<'_>) -> Parsed<Option<String>> {
    let texts = items.iter().map(|item| match item.get_ref() {
        DeValue::String(text) => Some(&**text),
        _ => None,
    });
    let Some(texts) = texts.collect::<Option<Vec<&str>>>() else { return Ok(None) };
    if texts.iter().any(|text| text.contains(',')) {
        return Err("a name with a comma can't be in it: give that client a certificate with \
                    another name, and each name as a text of its own"
            .to_owned());
    }
    let text = texts.join(",");
    // A list of one empty name would look like no list.
    if text.is_empty() && !texts.is_empty() {
        Err(parse::NO_NAME.to_owned())
    } else {
        Ok(Some(text))
    }
}

fn path(text: &str) -> Parsed<std::path::PathBuf> {
    match text {
        "" => Err("expected a path".to_owned()),
        text if looks_secret(text) => {
            Err("expected the path of a file, not what is in the file".to_owned())
        }
        text if text.contains('\0') => Err("expected a path without a zero byte".to_owned()),
        text => Ok(text.into()),
    }
}

fn show_path(path: &Option<std::path::PathBuf>) -> String {
    path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
}

fn join<'a, T: ToString + 'a>(values: impl IntoIterator<Item = &'a T>) -> String {
    values.into_iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

fn name_of<T: PartialEq + Copy>(choices: &[(&str, T)], value: T) -> String {
    let found = choices.iter().find(|(_, choice)| *choice == value);
    found.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
}
