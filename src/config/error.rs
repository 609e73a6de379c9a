//! What is wrong with a setting, and where it stands. Shows values shortened and escaped.

use addrd_protocol::token::holds_token;
use std::fmt;
use std::path::PathBuf;

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file as a whole.
    File(PathBuf),
    /// A line of the file, 1-based.
    Line(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// A flag, without the dashes in front.
    Flag(String),
    /// A value of `--set`.
    Set(String),
    /// Several settings together.
    Together,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub origin: Origin,
    /// Which setting; empty if it is the file itself.
    pub setting: String,
    /// The value, shortened and escaped.
    pub value: String,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// All that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// Characters of a value that are shown.
const VALUE_CHARACTERS_MAX: usize = 60;

impl ConfigError {
    pub(super) fn new(origin: Origin, setting: &str, value: &str, what: String) -> Self {
        Self { origin, setting: shown(setting), value: shown(value), what }
    }
}

/// A text for people, shortened and escaped. What may be a secret in the place of its file's name is
/// not shown.
#[must_use]
pub fn shown(text: &str) -> String {
    if looks_secret(text) {
        return "(not shown)".to_owned();
    }
    let short: String = text.chars().take(VALUE_CHARACTERS_MAX).collect();
    let escaped = short.escape_debug().to_string();
    if short.len() < text.len() { format!("{escaped}…") } else { escaped }
}

/// Whether a text is what stands in a file of keys or of a token, and not the name of one.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    holds_secret(text) || text.contains(['\n', '\r'])
}

/// Whether a key or a token can be seen somewhere in a text.
#[must_use]
pub fn holds_secret(text: &str) -> bool {
    text.contains("-----") || text.contains("PRIVATE KEY") || holds_token(text)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {}", shown(name)),
            Self::Flag(name) => write!(f, "--{}", shown(name)),
            Self::Set(name) => write!(f, "--set {}", shown(name)),
            Self::Together => f.write_str("settings"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (self.setting.is_empty(), self.value.is_empty()) {
            (true, _) => {}
            (false, true) => write!(f, "{}: ", self.setting)?,
            (false, false) => write!(f, "{} = {}: ", self.setting, self.value)?,
        }
        f.write_str(&self.what)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}
