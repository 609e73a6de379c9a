//! What can go wrong for a caller, by what the caller may do about it.

use crate::tls::TlsFailure;
use addrd_protocol::message::Failure;
use addrd_protocol::{Retry, ServerId, Status};
use std::fmt;

/// Why a call has no result. Cheap to clone: one lost connection can fail many calls.
///
/// Whether something may have happened: only after [`Error::OutcomeUnknown`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The server answered and did not do it: refused, invalid, denied, or still "later" when
    /// the tries or the time ended. Nothing happened.
    Refused(Box<Failure>),
    /// No server could be reached before the request was sent. Nothing happened.
    Unreachable {
        /// The endpoint that was tried last.
        endpoint: String,
        /// What the last try ended with.
        cause: String,
    },
    /// The time of the call ended before the request was sent. Nothing happened.
    Expired,
    /// It was sent and no answer came: it happened once or not at all. Calling again with the
    /// same arguments is safe and tells.
    OutcomeUnknown {
        /// What came instead of the answer.
        cause: String,
    },
    /// Another server than the pinned one answered. Nothing happened.
    WrongServer {
        /// The pinned one.
        expected: ServerId,
        /// The one that answered, if it said so.
        found: Option<ServerId>,
        /// Where.
        endpoint: String,
    },
    /// Client and server do not agree on TLS, or one does not trust the other. Nothing happened.
    Tls {
        /// The endpoint that was tried last.
        endpoint: String,
        /// What is wrong.
        failure: TlsFailure,
    },
    /// A newer connection took over the session. Nothing happened.
    SessionReplaced,
    /// The peer does not speak the protocol, or another version of it.
    Protocol(String),
    /// The request cannot be sent: it is too long for a frame, or a field is.
    Request(String),
    /// The settings cannot work.
    Settings(String),
    /// The client is closed.
    Closed,
}

impl Error {
    /// The status of the server's answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Refused(failure) => Some(failure.status),
            _ => None,
        }
    }

    /// The server's answer, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure) => Some(failure),
            _ => None,
        }
    }

    /// What the caller may do now.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused(failure) => failure.status.retry(),
            Self::Unreachable { .. } | Self::Expired => Retry::Later,
            Self::OutcomeUnknown { .. } => Retry::Unknown,
            Self::WrongServer { .. } | Self::SessionReplaced | Self::Tls { .. } => Retry::Denied,
            Self::Protocol(_) | Self::Request(_) | Self::Settings(_) | Self::Closed => {
                Retry::Invalid
            }
        }
    }

    /// Whether the answer was this status.
    #[must_use]
    pub fn is(&self, status: Status) -> bool {
        self.status() == Some(status)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(failure) => write_failure(failure, f),
            Self::Unreachable { endpoint, cause } => {
                write!(f, "cannot reach a server at {endpoint}: {cause}")
            }
            Self::Expired => f.write_str("the time ended before the request could be sent"),
            Self::OutcomeUnknown { cause } => {
                write!(f, "outcome unknown ({cause}): repeating the same request is safe")
            }
            Self::WrongServer { expected, found, endpoint } => {
                write!(f, "{endpoint} is not the server {expected} that was asked for")?;
                found.map_or(Ok(()), |found| write!(f, ", but {found}"))
            }
            Self::Tls { endpoint, failure } => write!(f, "{endpoint}: {failure}"),
            Self::SessionReplaced => f.write_str("a newer client took over this session"),
            Self::Protocol(text) => write!(f, "protocol: {text}"),
            Self::Request(text) => write!(f, "request: {text}"),
            Self::Settings(text) => write!(f, "settings: {text}"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

fn write_failure(failure: &Failure, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", failure.status)?;
    if !failure.message.is_empty() {
        write!(f, ": {}", failure.message)?;
    }
    if let Some(field) = &failure.field {
        write!(f, " ({field})")?;
    }
    failure.item.map_or(Ok(()), |item| write!(f, " in item {item}"))
}

impl std::error::Error for Error {}

impl From<addrd_protocol::EncodeError> for Error {
    fn from(error: addrd_protocol::EncodeError) -> Self {
        Self::Request(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use addrd_protocol::Text;

    #[test]
    fn a_refusal_shows_status_text_field_and_item() {
        let failure = Failure {
            status: Status::OUT_OF_RANGE,
            retry_after_ms: 0,
            item: Some(3),
            field: Text::new("slot").ok(),
            message: Text::new("outside its bounds").unwrap_or_default(),
            details: Vec::new(),
        };
        let error = Error::Refused(Box::new(failure));
        assert_eq!(error.to_string(), "OUT_OF_RANGE: outside its bounds (slot) in item 3");
        assert!(error.is(Status::OUT_OF_RANGE) && error.retry() == Retry::Invalid);
    }
}
