//! What must hold for any bytes in the place of a token: in its file, as a text, in JSON, where the name of a file
//! belongs. Called by the fuzz target, and on stable by `tests/fuzz_replay.rs` for the committed corpus. Never expects an
//! input to be valid.

use addrd::access::hash_of;
use addrd::config::looks_secret;
use addrd_client::protocol::token::{TokenHash, holds_token};
use addrd_client::protocol::{Token, TokenId};
use addrd_client::{TokenSource, token_in};

/// Longest file of a token (SECURITY.md), bytes.
const FILE_BYTES_MAX: usize = 256;

/// What is a token is one in every way and shows nothing of itself; what is none isn't taken for one. Returns whether a
/// file of these bytes has a token.
pub(crate) fn credential(data: &[u8]) -> bool {
    let text = std::str::from_utf8(data).ok();
    let trimmed = text.filter(|_| data.len() <= FILE_BYTES_MAX).map(str::trim);
    let expected = trimmed.and_then(parts);
    match token_in(data) {
        Ok(token) => {
            assert_eq!(Some((token.id.0, *token.secret())), expected);
            is_token(&token, trimmed.unwrap_or_default());
        }
        Err(error) => {
            assert_eq!(expected, None);
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }
    if let Some(text) = text {
        as_text(text);
    }
    expected.is_some()
}

/// The id and the secret of a token as docs/access.md writes one: read in another way than the code does.
fn parts(text: &str) -> Option<(u64, [u8; 32])> {
    let bytes: &[u8; 87] = text.as_bytes().try_into().ok()?;
    let is_hex = |part: &[u8]| part.iter().all(|byte| b"0123456789abcdef".contains(byte));
    let (id, secret) = (&bytes[6..22], &bytes[23..]);
    if !bytes.starts_with(b"addrd_") || bytes[22] != b'_' || !is_hex(id) || !is_hex(secret) {
        return None;
    }
    let number = |part: &[u8]| {
        let value = |byte: &u8| (*byte as char).to_digit(16).unwrap_or_default();
        part.iter().fold(0_u128, |number, byte| number << 4 | u128::from(value(byte)))
    };
    let mut all = [0; 32];
    all[..16].copy_from_slice(&number(&secret[..32]).to_be_bytes());
    all[16..].copy_from_slice(&number(&secret[32..]).to_be_bytes());
    Some((number(id) as u64, all))
}

/// It reads back from all its forms, is recognized among other text, and no `Debug` shows its secret.
fn is_token(token: &Token, text: &str) {
    assert_eq!(token.reveal(), text);
    let secret = &text[23..];
    assert!(holds_token(text) && holds_token(secret) && looks_secret(text));
    let json = serde_json::to_string(token).expect("a text");
    assert_eq!(serde_json::from_str::<Token>(&json).ok().as_ref(), Some(token));
    let hash = hash_of(token);
    let json = serde_json::to_string(&hash).expect("a text");
    assert_eq!(serde_json::from_str::<TokenHash>(&json).ok(), Some(hash));
    let other = Token::new(token.id, token.secret().map(|byte| byte ^ 1));
    assert!(hash_of(&other) != hash, "another secret has another hash");
    let shown = [
        format!("{token:?}"),
        format!("{hash:?}"),
        format!("{:?}", TokenSource::Fixed(token.clone())),
        format!("{:?}", TokenSource::File(text.into())),
    ];
    for shown in shown {
        assert!(!shown.contains(secret) && !holds_token(&shown), "a secret is shown");
    }
}

/// Any text in the place of a token, of its id, of its hash, of its file's name.
fn as_text(text: &str) {
    let expected = parts(text);
    let token = text.parse::<Token>().ok();
    assert_eq!(token.as_ref().map(|token| (token.id.0, *token.secret())), expected);
    let json = serde_json::Value::from(text);
    assert_eq!(serde_json::from_value::<Token>(json.clone()).ok(), token);
    let hash = serde_json::from_value::<TokenHash>(json.clone()).ok();
    assert_eq!(hash.map(|hash| serde_json::json!(hash)), hash.map(|_| json));
    if let Ok(id) = text.parse::<TokenId>() {
        assert_eq!(id.to_string(), text);
    }
    // What can't be seen to hold a token may be shown: then there is none in it.
    let shown = format!("{:?}", TokenSource::File(text.into()));
    if !holds_token(text) {
        assert!(expected.is_none());
        let found = text.match_indices("addrd_").filter_map(|(at, _)| text.get(at..at + 87));
        assert_eq!(found.filter_map(parts).count(), 0, "a token is not recognized");
    } else {
        assert_eq!(shown, "File((not shown))");
        assert!(looks_secret(text));
    }
}
