//! What can be wrong with bytes from a peer: bodies (answered) and frames (the connection ends).
//!
//! Never carries a payload: only names of fields and numbers of this protocol.

use crate::message::{Detail, Failure};
use crate::status::Status;
use crate::text::Text;
use std::fmt;

/// Why a body could not be read although its frame could. Answered once; the connection goes on.
///
/// Shape: `Copy`, no allocation until [`DecodeError::to_failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub fault: Fault,
    /// Name of the field, as in the JSON of the message.
    pub field: &'static str,
    /// 0-based number of the item in a batch or a page.
    pub item: Option<u16>,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Fewer bytes than the field needs.
    Short,
    /// Bytes left after the last field.
    Trailing,
    /// The tail flag of the header and the bytes after the fixed part do not agree.
    TailFlag,
    /// Tags do not rise, or there are more than [`crate::wire::TAIL_ENTRIES_MAX`].
    TailOrder,
    /// A reserved byte, or a field that is absent by its flag, is not zero.
    Reserved,
    /// A field that the operation needs is not there.
    Missing,
    /// Not UTF-8, or with control characters.
    Text,
    /// More elements or bytes than the bound.
    Limit {
        /// How many came.
        value: u64,
        /// Most allowed.
        most: u64,
    },
    /// A number outside its bounds (inclusive).
    Range {
        /// What came.
        value: u64,
        /// Least allowed.
        least: u64,
        /// Most allowed.
        most: u64,
    },
    /// The ends of a range are of two families or in falling order.
    Order,
    /// A number that this version gives no meaning: an enumeration or a flag bit.
    Unknown {
        /// What came.
        value: u64,
    },
    /// A critical tag that this version does not know.
    UnknownTag {
        /// The tag as it came, critical bit included.
        tag: u16,
    },
    /// Fields that exclude each other.
    Conflict,
    /// Not a name: 1 to 63 of `[A-Za-z0-9._-]`, and not an id, an address or a prefix.
    Name,
    /// Not a prefix: too long for its family, or with host bits.
    Prefix,
}

impl DecodeError {
    pub(crate) const fn new(fault: Fault, field: &'static str) -> Self {
        Self { fault, field, item: None }
    }

    pub(crate) const fn short(field: &'static str) -> Self {
        Self::new(Fault::Short, field)
    }

    /// The same, as a fault of an item.
    pub(crate) fn of_item(self, item: usize) -> Self {
        Self { item: u16::try_from(item).ok(), ..self }
    }

    /// The status that answers it.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.fault {
            Fault::Short
            | Fault::Trailing
            | Fault::TailFlag
            | Fault::TailOrder
            | Fault::Reserved
            | Fault::Missing
            | Fault::Text => Status::MALFORMED,
            Fault::Limit { .. } => Status::LIMIT,
            Fault::Range { .. } | Fault::Order => Status::OUT_OF_RANGE,
            Fault::Unknown { .. } => Status::UNSUPPORTED,
            Fault::UnknownTag { .. } => Status::UNSUPPORTED_FIELD,
            Fault::Conflict => Status::CONFLICTING_FIELDS,
            Fault::Name => Status::INVALID_NAME,
            Fault::Prefix => Status::INVALID_PREFIX,
        }
    }

    /// For people.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self.fault {
            Fault::Short => "the body ends inside this field",
            Fault::Trailing => "bytes are left after the last field",
            Fault::TailFlag => "the tail flag of the header does not agree with the body",
            Fault::TailOrder => "tags must rise, and at most 16 are allowed",
            Fault::Reserved => "reserved bytes must be zero",
            Fault::Missing => "this field is needed",
            Fault::Text => "text must be UTF-8 without control characters",
            Fault::Limit { .. } => "more than the bound",
            Fault::Range { .. } => "outside its bounds",
            Fault::Order => "a range needs two addresses of one family in rising order",
            Fault::Unknown { .. } => "this value is not built in this version",
            Fault::UnknownTag { .. } => "this critical tag is not known in this version",
            Fault::Conflict => "these fields exclude each other",
            Fault::Name => {
                "a name has 1 to 63 of A-Z a-z 0-9 . _ - and is not an id, address or prefix"
            }
            Fault::Prefix => "the length does not fit the family, or host bits are set",
        }
    }

    /// The answer to the peer.
    #[must_use]
    pub fn to_failure(&self) -> Failure {
        let field = match self.fault {
            Fault::UnknownTag { tag } => Text::new(&format!("{tag:#06x}")),
            _ => Text::new(self.field),
        };
        let (value, least, most) = match self.fault {
            Fault::Limit { value, most } => (value, 0, most),
            Fault::Range { value, least, most } => (value, least, most),
            _ => (0, 0, 0),
        };
        let bounds = Detail::Bounds { value: value.into(), least: least.into(), most: most.into() };
        Failure {
            status: self.status(),
            retry_after_ms: 0,
            item: self.item,
            field: field.ok().filter(|text| !text.is_empty()),
            message: Text::new(self.message()).unwrap_or_default(),
            details: if most > 0 { vec![bounds] } else { Vec::new() },
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({:?})", self.field, self.message(), self.fault)?;
        self.item.map_or(Ok(()), |item| write!(f, " in item {item}"))
    }
}

impl std::error::Error for DecodeError {}

/// Why no frame could be taken from the bytes. Answered by one `error` frame, then close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is smaller than the header.
    TooShort {
        /// As it came.
        length: u32,
    },
    /// The length is beyond the bound that holds now.
    TooLong {
        /// As it came.
        length: u32,
        /// Most allowed for this operation at this point of the connection.
        most: u32,
    },
    /// The version byte is not one that is spoken.
    Version {
        /// As it came.
        version: u8,
    },
    /// The first bytes are a line of HTTP.
    Http,
    /// The first bytes are a TLS handshake.
    Tls,
    /// Request id 0 is the server's own.
    RequestIdZero,
    /// The peer ended inside a frame.
    Truncated,
    /// The transport failed.
    Io(std::io::ErrorKind),
}

impl FrameError {
    /// The status of the `error` frame.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::TooLong { .. } => Status::FRAME_TOO_LONG,
            Self::Version { .. } => Status::UNSUPPORTED_VERSION,
            _ => Status::MALFORMED,
        }
    }

    /// The body of the `error` frame.
    #[must_use]
    pub fn to_failure(&self) -> Failure {
        let details = match *self {
            Self::TooShort { length } => vec![bounds(length.into(), 24, u32::MAX.into())],
            Self::TooLong { length, most } => vec![bounds(length.into(), 24, most.into())],
            Self::Version { version } => vec![bounds(
                version.into(),
                crate::header::VERSION.into(),
                crate::header::VERSION.into(),
            )],
            _ => Vec::new(),
        };
        Failure {
            status: self.status(),
            retry_after_ms: 0,
            item: None,
            field: None,
            message: Text::new(&self.to_string()).unwrap_or_default(),
            details,
        }
    }
}

fn bounds(value: u128, least: u128, most: u128) -> Detail {
    Detail::Bounds { value, least, most }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length } => {
                write!(f, "a frame of {length} bytes is shorter than its header")
            }
            Self::TooLong { length, most } => {
                write!(f, "a frame of {length} bytes is longer than the {most} allowed here")
            }
            Self::Version { version } => {
                write!(f, "version {version} is not spoken here, only {}", crate::header::VERSION)
            }
            Self::Http => f.write_str("this is not an HTTP port: addrd speaks its own protocol"),
            Self::Tls => f.write_str("this port does not speak TLS: connect without it"),
            Self::RequestIdZero => f.write_str("request id 0 is reserved for the server"),
            Self::Truncated => f.write_str("the connection ended inside a frame"),
            Self::Io(kind) => write!(f, "transport: {kind}"),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<std::io::Error> for FrameError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// A message that no frame can carry. The output buffer is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A list or text of more than 65,535 bytes, or too many tags.
    FieldTooLong {
        /// Which.
        tag: u16,
    },
    /// The frame would be longer than its bound.
    FrameTooLong {
        /// Bytes that it would have.
        length: usize,
    },
    /// The reply does not belong to the operation.
    WrongReply,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldTooLong { tag } => write!(f, "field {tag:#06x} is too long for a frame"),
            Self::FrameTooLong { length } => write!(f, "{length} bytes do not fit a frame"),
            Self::WrongReply => f.write_str("this reply does not belong to the operation"),
        }
    }
}

impl std::error::Error for EncodeError {}
