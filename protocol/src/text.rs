//! Bounded UTF-8 text without control characters, shared without copies. Never a secret.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// Longest label, host, owner name, description or reason, in bytes.
pub const TEXT_BYTES_MAX: usize = 255;
/// Longest name of a network or subnet, in bytes.
pub const NAME_BYTES_MAX: usize = 63;
/// Longest manager, in bytes.
pub const MANAGER_BYTES_MAX: usize = 64;

/// Longest device owner of a port, and longest service type of a subnet, in bytes.
pub const DEVICE_OWNER_BYTES_MAX: usize = 64;

/// UTF-8 text of at most [`TEXT_BYTES_MAX`] bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Bytes);

/// Why bytes are not a [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Longer than the bound.
    Long,
    /// Not UTF-8.
    Utf8,
    /// Contains a control character (U+0000 to U+001F, U+007F to U+009F).
    Control,
}

impl Text {
    /// Takes bytes as they came, without copying.
    ///
    /// # Errors
    /// [`TextError`] tells what is wrong; nothing is changed.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, TextError> {
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(TextError::Long);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| TextError::Utf8)?;
        if text.chars().any(char::is_control) {
            return Err(TextError::Control);
        }
        Ok(Self(bytes))
    }

    /// Copies a string.
    ///
    /// # Errors
    /// [`TextError::Long`] or [`TextError::Control`].
    pub fn new(text: &str) -> Result<Self, TextError> {
        Self::from_bytes(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// As a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether it is a name: 1 to 63 of `[A-Za-z0-9._-]`, and not an id, address or prefix.
    #[must_use]
    pub fn is_name(&self) -> bool {
        let text = self.as_str();
        (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && uuid::Uuid::try_parse(text).is_err()
            && text.parse::<std::net::IpAddr>().is_err()
            && text.parse::<ipnet::IpNet>().is_err()
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "is longer than 255 bytes",
            Self::Utf8 => "is not UTF-8",
            Self::Control => "contains a control character",
        })
    }
}

impl std::error::Error for TextError {}

impl TryFrom<&str> for Text {
    type Error = TextError;
    fn try_from(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}
