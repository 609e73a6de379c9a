//! What went wrong, as an exit code and a message for eyes or programs. Retries nothing.

use super::global::{Format, Global};
use super::output;
use addrd::config::holds_secret;
use addrd_client::{Error, TlsFailure};
use addrd_protocol::message::{Detail, Failure};
use addrd_protocol::{Retry, Status};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The client says so.
    Client(Error),
    /// Arguments, configuration or contexts are wrong.
    Usage(String),
    /// What was named does not exist.
    NotFound(String),
    /// Not done, for a lawful reason found here.
    Refused(String),
    /// Our own fault, or the machine's.
    Internal(String),
    /// Whoever read our output stopped reading.
    OutputClosed,
}

/// What the process ends with; the help text lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Code {
    Done = 0,
    Ours = 1,
    Usage = 2,
    Refused = 3,
    NotFound = 4,
    Denied = 5,
    Later = 6,
    Unreachable = 7,
    Unknown = 8,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl Fault {
    /// Prints it to standard error and gives the exit code.
    pub(crate) fn report(&self, global: &Global) -> ExitCode {
        let code = self.code();
        if code != Code::Done {
            let json = matches!(global.output, Format::Json | Format::Jsonl);
            let text = if json { self.to_json(code).to_string() } else { self.to_text() };
            output::to_stderr(&text);
        }
        ExitCode::from(code as u8)
    }

    fn code(&self) -> Code {
        match self {
            Self::Client(error) => code_of(error),
            Self::Usage(_) => Code::Usage,
            Self::NotFound(_) => Code::NotFound,
            Self::Refused(_) => Code::Refused,
            Self::Internal(_) => Code::Ours,
            Self::OutputClosed => Code::Done,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Client(Error::Refused(failure)) => failure.message.to_string(),
            Self::Client(error) => error.to_string(),
            Self::Usage(text)
            | Self::NotFound(text)
            | Self::Refused(text)
            | Self::Internal(text) => text.clone(),
            Self::OutputClosed => String::new(),
        }
    }

    fn to_text(&self) -> String {
        let mut text = match self {
            Self::Client(error) => format!("error: {error}"),
            other => format!("error: {}", other.message()),
        };
        if let Self::Client(Error::Refused(failure)) = self {
            for line in failure.details.iter().map(detail_text) {
                text.push_str("\n  ");
                text.push_str(&line);
            }
        }
        let hint = match self {
            Self::Client(Error::Unreachable { .. }) => {
                Some("`addrd serve --dev` starts a server to try things with")
            }
            Self::Client(Error::Tls { failure, .. }) => tls_hint(failure),
            Self::Client(Error::Refused(failure)) => access_hint(failure),
            _ => None,
        };
        if let Some(hint) = hint {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text
    }

    fn to_json(&self, code: Code) -> Value {
        let mut value = match self {
            Self::Client(Error::Refused(failure)) => failure_json(failure),
            _ => json!({ "status": self.status_name(), "message": self.message() }),
        };
        if let Value::Object(fields) = &mut value {
            fields.insert("class".to_owned(), json!(class_name(code)));
            fields.insert("exit_code".to_owned(), json!(code as u8));
        }
        value
    }

    /// A name in the style of a status, for what no server said.
    fn status_name(&self) -> &'static str {
        match self {
            Self::Client(error) => match error {
                Error::Unreachable { .. } => "UNREACHABLE",
                Error::Expired => "EXPIRED",
                Error::OutcomeUnknown { .. } => "OUTCOME_UNKNOWN",
                Error::WrongServer { .. } => "WRONG_SERVER",
                Error::Tls { .. } => "TLS",
                Error::SessionReplaced => "SESSION_REPLACED",
                Error::Protocol(_) => "PROTOCOL",
                Error::Request(_) | Error::Settings(_) => "USAGE",
                _ => "INTERNAL",
            },
            Self::Usage(_) => "USAGE",
            Self::NotFound(_) => "NOT_FOUND",
            Self::Refused(_) => "REFUSED",
            Self::Internal(_) | Self::OutputClosed => "INTERNAL",
        }
    }
}

/// What to do when client and server don't agree on TLS.
fn tls_hint(failure: &TlsFailure) -> Option<&'static str> {
    match failure {
        TlsFailure::Needed => Some("give the CA that signed its certificate: --tls-ca FILE"),
        TlsFailure::NotSpoken => Some("leave --tls-ca out, or name another server or port"),
        TlsFailure::Untrusted(_) => Some("see --tls-ca, --tls-pin and --tls-server-name"),
        TlsFailure::Refused(_) => Some("see --tls-certificate and --tls-key"),
        _ => None,
    }
}

/// What to do when the server doesn't know who this is, or doesn't let it do that.
fn access_hint(failure: &Failure) -> Option<&'static str> {
    let is_elsewhere = |detail: &Detail| matches!(detail, Detail::Bound { name } if name.as_str() == "local_administration");
    match failure.status {
        Status::UNAUTHENTICATED => Some(
            "show who you are: --token-file FILE (or ADDRD_TOKEN_FILE), or --tls-certificate; on the server's machine \
             its user and root are let in with --server unix:PATH",
        ),
        Status::NOT_ALLOWED if failure.details.iter().any(is_elsewhere) => {
            Some("on the server's machine: --server unix:PATH")
        }
        Status::NOT_ALLOWED => Some(
            "who has the verb administer can give it: `addrd principal update NAME --add-grant PROJECT:VERB`",
        ),
        _ => None,
    }
}

fn code_of(error: &Error) -> Code {
    match error {
        Error::Refused(failure) if failure.status == Status::NOT_FOUND => Code::NotFound,
        Error::Unreachable { .. } | Error::Protocol(_) => Code::Unreachable,
        Error::Tls { failure: TlsFailure::Needed | TlsFailure::NotSpoken, .. } => Code::Unreachable,
        Error::Closed => Code::Ours,
        other => match other.retry() {
            Retry::Done => Code::Done,
            Retry::Refused => Code::Refused,
            Retry::Invalid => Code::Usage,
            Retry::Denied => Code::Denied,
            Retry::Later => Code::Later,
            Retry::Unknown => Code::Unknown,
        },
    }
}

fn class_name(code: Code) -> &'static str {
    match code {
        Code::Done => "done",
        Code::Ours => "internal",
        Code::Usage => "invalid",
        Code::Refused | Code::NotFound => "refused",
        Code::Denied => "denied",
        Code::Later => "later",
        Code::Unreachable => "unreachable",
        Code::Unknown => "unknown",
    }
}

fn failure_json(failure: &Failure) -> Value {
    serde_json::to_value(failure).unwrap_or_else(|_| json!({ "status": failure.status.name() }))
}

/// What a detail tells somebody who reads.
fn detail_text(detail: &Detail) -> String {
    match detail {
        Detail::Bounds { value, least, most } => {
            format!("{value} is not in {least} to {most}")
        }
        Detail::Held(held) => format!(
            "held: {} by {} (revision {})",
            held.address,
            held.owner_name.as_deref().unwrap_or(&held.owner.to_string()),
            held.revision
        ),
        Detail::Current { revision, instance } => {
            format!("now: revision {revision}, instance {instance}")
        }
        Detail::Other { network_id, subnet_id, cidr } => match cidr {
            Some(cidr) if subnet_id.is_nil() => {
                format!("the other: {cidr} of network or pool {network_id}")
            }
            Some(cidr) => format!("the other: subnet {cidr} ({subnet_id}) of network {network_id}"),
            None => format!("the other: {network_id}"),
        },
        Detail::Count { count } => format!("{count} in the way"),
        Detail::Candidate(candidate) => format!(
            "subnet {}: {}; pool {}, allocated {}, held {}, resting {}, excluded {}",
            candidate.subnet_id,
            json!(candidate.reason).as_str().unwrap_or("unknown reason"),
            candidate.pool_size,
            candidate.allocated,
            candidate.held,
            candidate.quarantined,
            candidate.excluded
        ),
        Detail::Quota { resource, limit, used, asked } => {
            let resource = json!(resource);
            let resource = resource.as_str().unwrap_or("unknown resource");
            format!("quota of {resource}: {used} of {limit} used, {asked} more asked for")
        }
        Detail::Bound { name } => format!("bound: {name}"),
    }
}

/// An error with its causes, each said once.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// A fault of the arguments, found by the parser; help and version come this way too.
pub(crate) fn report_usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if error.use_stderr()
        && let Some(place) = secret_place(arguments)
    {
        let what =
            "expected the path of a file, or a name; what is there is a key or a token (not shown)";
        let fault = Fault::Usage(format!("{place}: {what}"));
        let json = wants_json(arguments).then(|| fault.to_json(Code::Usage).to_string());
        output::to_stderr(&json.unwrap_or_else(|| fault.to_text()));
        return ExitCode::from(Code::Usage as u8);
    }
    if !error.use_stderr() || !wants_json(arguments) {
        // A closed standard error leaves nobody to tell.
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        // The first paragraph; usage and tips follow after an empty line.
        let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let message = lines.collect::<Vec<_>>().join(" ");
        let fault = Fault::Usage(message.trim_start_matches("error: ").to_owned());
        output::to_stderr(&fault.to_json(Code::Usage).to_string());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Code::Usage as u8))
}

/// Where among arguments that could not be parsed there is what must not be shown: the parser quotes them.
fn secret_place(arguments: &[OsString]) -> Option<String> {
    let texts: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let at = texts.iter().position(|text| holds_secret(text))?;
    let own = texts.get(at)?.split_once('=').map(|(option, _)| option);
    let before = at.checked_sub(1).and_then(|before| texts.get(before)).map(|text| &**text);
    let option = own.or(before).filter(|text| text.starts_with("--") && !holds_secret(text));
    Some(option.map_or_else(|| format!("argument {at}"), str::to_owned))
}

/// Whether arguments that could not be parsed ask for JSON.
fn wants_json(arguments: &[OsString]) -> bool {
    let is = |text: &OsString, wanted: &str| text.to_str().is_some_and(|text| text == wanted);
    let names = ["json", "jsonl"];
    arguments.windows(2).any(|pair| {
        matches!(pair, [name, value] if (is(name, "--output") || is(name, "-o"))
            && names.iter().any(|wanted| is(value, wanted)))
    }) || arguments.iter().any(|argument| {
        names.iter().any(|wanted| {
            is(argument, &format!("--output={wanted}")) || is(argument, &format!("-o{wanted}"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use addrd_protocol::Text;

    fn refused(status: Status) -> Fault {
        Fault::Client(Error::Refused(Box::new(Failure {
            status,
            retry_after_ms: 0,
            item: None,
            field: None,
            message: Text::new("why").unwrap_or_default(),
            details: vec![Detail::Count { count: 3 }],
        })))
    }

    #[test]
    fn exit_codes_follow_the_class() {
        let codes = [
            (refused(Status::EXHAUSTED), 3),
            (refused(Status::NOT_FOUND), 4),
            (refused(Status::OUT_OF_RANGE), 2),
            (refused(Status::WRONG_SERVER), 5),
            (refused(Status::BUSY), 6),
            (refused(Status::OUTCOME_UNKNOWN), 8),
            (Error::OutcomeUnknown { cause: String::new() }.into(), 8),
            (Error::Expired.into(), 6),
            (Error::SessionReplaced.into(), 5),
            (Error::Protocol(String::new()).into(), 7),
            (Error::Unreachable { endpoint: String::new(), cause: String::new() }.into(), 7),
            (Error::Settings(String::new()).into(), 2),
            (Fault::Usage(String::new()), 2),
            (Fault::NotFound(String::new()), 4),
            (Fault::Refused(String::new()), 3),
            (Fault::Internal(String::new()), 1),
            (Fault::OutputClosed, 0),
        ];
        for (fault, code) in codes {
            assert_eq!(fault.code() as u8, code, "{fault:?}");
        }
    }

    #[test]
    fn a_refusal_is_json_with_status_class_and_details() {
        let fault = refused(Status::IN_USE);
        let value = fault.to_json(fault.code());
        assert_eq!(value["status"], "IN_USE");
        assert_eq!(value["class"], "refused");
        assert_eq!(value["exit_code"], 3);
        assert_eq!(value["details"][0]["count"]["count"], "3");
        assert_eq!(fault.to_text(), "error: IN_USE: why\n  3 in the way");
    }

    #[test]
    fn a_secret_among_arguments_is_placed_and_not_shown() {
        let token = format!("addrd_0011223344556677_{}", "ab".repeat(32));
        let key = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----";
        let place = |arguments: &[&str]| {
            secret_place(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
        };
        assert_eq!(place(&["addrd", "list", "--tls-key", key]).as_deref(), Some("--tls-key"));
        let joined = format!("--token-file={token}");
        assert_eq!(place(&["addrd", &joined]).as_deref(), Some("--token-file"));
        assert_eq!(place(&["addrd", &token, "list"]).as_deref(), Some("argument 1"));
        assert_eq!(place(&["addrd", key, key]).as_deref(), Some("argument 1"));
        assert_eq!(place(&["addrd", "list", "a b", "--tls-key", "key.pem"]), None);
    }

    #[test]
    fn json_is_recognised_in_arguments_that_cannot_be_parsed() {
        let wants = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            wants_json(&arguments)
        };
        assert!(wants("addrd --output json nonsense"));
        assert!(wants("addrd nonsense --output=jsonl"));
        assert!(wants("addrd nonsense -ojson"));
        assert!(!wants("addrd nonsense --output table"));
        assert!(!wants("addrd json"));
    }
}
