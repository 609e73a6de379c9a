//! Fetching a backup, block by block (SPEC.md section 9, backup_read).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of a block of a backup, at most.
pub const BACKUP_BLOCK_BYTES_MAX: usize = 256 << 10;

/// Least rate that can be asked for, bytes a second.
pub const BACKUP_RATE_MIN: u64 = 64 << 10;

/// Most of it.
pub const BACKUP_RATE_MAX: u64 = 1 << 40;

/// Asks for a block of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRead {
    /// Made by the client, random: block 0 under a new one begins a backup.
    pub backup_id: Uuid,
    /// Number of the block: the one behind the last one that was given, or that one again.
    pub block: u32,
    /// Most bytes of the state that are read in a second; 0 = as many as the server likes. Only block
    /// 0 says it.
    #[serde(default)]
    pub row_bytes_a_second: u64,
}

/// A block of a backup, to be written to a file behind the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupBlock {
    /// Its number.
    pub block: u32,
    /// The backup is whole with it.
    pub last: bool,
    /// It isn't there yet: ask again after so long, ms; 0 = here it is.
    pub wait_ms: u32,
    /// What is written; in JSON hex digits.
    #[serde(with = "hex")]
    pub bytes: Bytes,
}

/// Bytes as pairs of hex digits.
mod hex {
    use super::BACKUP_BLOCK_BYTES_MAX;
    use bytes::Bytes;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        if !odd.is_empty() || pairs.len() > BACKUP_BLOCK_BYTES_MAX {
            return Err(D::Error::custom("a block is an even number of hex digits"));
        }
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4) | digit(*low)?);
        let bytes = pairs.iter().map(|pair| byte(pair).and_then(|byte| u8::try_from(byte).ok()));
        let bytes: Option<Vec<u8>> = bytes.collect();
        bytes.map(Into::into).ok_or_else(|| D::Error::custom("a block has hex digits only"))
    }
}
