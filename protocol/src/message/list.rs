//! Pages and cursors (SPEC.md section 8).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Longest cursor, in bytes.
pub const CURSOR_BYTES_MAX: usize = 64;
/// Most objects in a page.
pub const PAGE_OBJECTS_MAX: u32 = 1_000;

/// Opaque place in a list; valid for ever.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cursor(pub Bytes);

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PageRequest {
    /// Most objects wanted, 1 to [`PAGE_OBJECTS_MAX`]; 0 = as many as the server likes.
    #[serde(default)]
    pub limit: u32,
    /// Where to go on; none = at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        if !odd.is_empty() || pairs.len() > CURSOR_BYTES_MAX {
            return Err(D::Error::custom("a cursor is an even number of hex digits, at most 128"));
        }
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4) | digit(*low)?);
        let bytes = pairs.iter().map(|pair| byte(pair).and_then(|byte| u8::try_from(byte).ok()));
        bytes
            .collect::<Option<Vec<u8>>>()
            .map(|bytes| Self(bytes.into()))
            .ok_or_else(|| D::Error::custom("a cursor has hex digits only"))
    }
}
