//! Tokens: a number that says which one, and a secret that shows that it is one's own. Makes and checks none;
//! `Debug` shows no secret.

use crate::id::TokenId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bytes of a token's secret, which are random.
pub const SECRET_BYTES: usize = 32;

/// What a token starts with, so that whoever finds one knows what it is.
const PREFIX: &str = "addrd_";

/// Hex digits of the id.
const ID_DIGITS: usize = 16;

/// What its owner keeps: `addrd_`, 16 hex digits of the id, `_`, 64 hex digits of the secret.
///
/// Shape: `Debug` shows the id alone; the text is given by [`Token::reveal`] and nothing else. JSON has the text, as
/// in the vectors of HELLO.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Which.
    pub id: TokenId,
    secret: [u8; SECRET_BYTES],
}

/// Why a text is no token. Never shows any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoToken;

impl Token {
    /// Of an id and random bytes.
    #[must_use]
    pub const fn new(id: TokenId, secret: [u8; SECRET_BYTES]) -> Self {
        Self { id, secret }
    }

    /// The secret, to be sent or hashed.
    #[must_use]
    pub const fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }

    /// The whole text, to be shown to its owner once.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, hex(&self.secret))
    }
}

/// Whether a text holds a token, or as much of one as could be its secret: so that what stands in the place of a file's
/// name by mistake is shown to nobody.
#[must_use]
pub fn holds_token(text: &str) -> bool {
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
    let starts = |rest: &str| {
        let rest = rest.as_bytes().get(PREFIX.len()..).unwrap_or_default();
        rest.get(..ID_DIGITS).is_some_and(|id| id.iter().all(is_hex))
            && rest.get(ID_DIGITS) == Some(&b'_')
    };
    let mut found = text.match_indices(PREFIX).filter_map(|(at, _)| text.get(at..));
    let secrets = text.as_bytes().chunk_by(|one, other| is_hex(one) && is_hex(other));
    found.any(starts) || secrets.into_iter().any(|run| run.len() >= 2 * SECRET_BYTES)
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (id, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(NoToken)?;
        let secret = bytes_of(secret).ok_or(NoToken)?;
        Ok(Self { id: id.parse().map_err(|_| NoToken)?, secret })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ..)", self.id)
    }
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a token: one reads addrd_, 16 hex digits, _, 64 hex digits")
    }
}

impl std::error::Error for NoToken {}

impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// SHA-256 (FIPS 180-4) of a token's secret: what the server keeps. In JSON 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

impl Serialize for TokenHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        bytes_of(&text).map(Self).ok_or_else(|| serde::de::Error::custom("a hash is 64 hex digits"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lower-case hex digits, exactly as many as are needed.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != N {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_debug_hides_its_secret() {
        let token = Token::new(TokenId(0xfeed), [0xa7; SECRET_BYTES]);
        let text = token.reveal();
        assert_eq!(text.len(), 87);
        assert!(text.starts_with("addrd_000000000000feed_a7a7"));
        assert_eq!(text.parse(), Ok(token.clone()));
        assert!(!format!("{token:?} {:?}", TokenHash([0xa7; 32])).contains("a7"));
    }

    #[test]
    fn a_token_is_recognized_wherever_it_stands() {
        let text = Token::new(TokenId(1), [0x7e; SECRET_BYTES]).reveal();
        let (start, secret) = (&text[..30], &text[23..]);
        for holds in [&text, &format!("'{text}'\n"), &format!("/etc/{text}.token"), start, secret] {
            assert!(holds_token(holds), "{holds}");
        }
        for not in
            ["", "addrd_", "/etc/addrd_tokens/cni.token", "addrd_00000000000000zz_", &secret[1..]]
        {
            assert!(!holds_token(not), "{not}");
        }
    }

    #[test]
    fn what_is_nearly_a_token_is_none() {
        let text = Token::new(TokenId(1), [7; SECRET_BYTES]).reveal();
        let short = &text[..text.len() - 1];
        let nearly = [short, &text[1..], &text.to_uppercase(), &format!("{text}0"), "addrd__", ""];
        for wrong in nearly {
            assert_eq!(wrong.parse::<Token>(), Err(NoToken), "{wrong}");
        }
    }
}
