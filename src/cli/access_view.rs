//! How principals and tokens look. The secret of a token is shown by the command that made it alone.

use super::view::{View, text};
use super::{duration, grant};
use addrd_protocol::message::{Principal, TokenShown};
use addrd_protocol::{PrincipalId, Text, TokenId};
use serde::Serialize;

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(" ")
}

/// A token and until when it is good.
fn token(token: &TokenShown) -> String {
    match token.time_left_ms {
        Some(left) => format!("{} ({} left)", token.token_id, duration::left(left)),
        None => token.token_id.to_string(),
    }
}

impl View for Principal {
    const COLUMNS: &'static [&'static str] =
        &["name", "principal_id", "grants", "tokens", "description", "note"];

    fn cells(&self) -> Vec<String> {
        vec![
            text(self.name.as_ref()),
            self.principal_id.to_string(),
            joined(self.grants.iter().map(grant::shown)),
            self.tokens.len().to_string(),
            text(self.description.as_ref()),
            if self.disabled { "disabled".to_owned() } else { String::new() },
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.principal_id.to_string()]
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let tokens = self.tokens.iter().map(token).collect::<Vec<_>>().join(", ");
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        for (_, value) in fields.iter_mut().filter(|(name, _)| *name == "tokens") {
            value.clone_from(&tokens);
        }
        fields.extend([
            ("certificate_names", joined(self.certificate_names.iter().map(ToString::to_string))),
            ("unix_users", joined(self.unix_users.iter().map(ToString::to_string))),
            ("revision", self.revision.to_string()),
        ]);
        fields
    }
}

/// A line of `addrd token list`.
#[derive(Debug, Serialize)]
pub(crate) struct TokenLine {
    pub(crate) principal_id: PrincipalId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Text>,
    #[serde(flatten)]
    pub(crate) token: TokenShown,
}

impl View for TokenLine {
    const COLUMNS: &'static [&'static str] = &["token_id", "principal", "age", "left"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.token.token_id.to_string(),
            self.name.as_ref().map_or_else(|| self.principal_id.to_string(), ToString::to_string),
            duration::left(self.token.age_ms),
            self.token.time_left_ms.map_or_else(|| "no end".to_owned(), duration::left),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![self.token.token_id.to_string()]
    }
}

/// A token that was made just now.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    pub(crate) principal_id: PrincipalId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Text>,
    pub(crate) token_id: TokenId,
    /// The token, unless it is in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// `None`: it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) life_ms: Option<u64>,
    /// The token that ends instead, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<TokenShown>,
}

impl View for Made {
    const COLUMNS: &'static [&'static str] =
        &["token", "file", "token_id", "principal", "life", "old"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.token.clone().unwrap_or_default(),
            self.file.clone().unwrap_or_default(),
            self.token_id.to_string(),
            self.name.as_ref().map_or_else(|| self.principal_id.to_string(), ToString::to_string),
            self.life_ms.map_or_else(|| "no end".to_owned(), duration::left),
            self.old.as_ref().map(token).unwrap_or_default(),
        ]
    }

    /// The token and nothing else, or the id of one that is in a file.
    fn keys(&self) -> Vec<String> {
        vec![self.token.clone().unwrap_or_else(|| self.token_id.to_string())]
    }
}
