//! Where a client's token comes from. A file is read for each connection, so that a token can be changed
//! while the program runs. Never prints a token.

use crate::error::Error;
use addrd_protocol::Token;
use addrd_protocol::token::{NoToken, holds_token};
use std::fmt;
use std::io;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest file with a token, bytes.
const FILE_BYTES_MAX: usize = 256;

/// Opening a pipe must not wait for somebody to write into it.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// What shows the server who the client is.
#[derive(Clone)]
pub enum TokenSource {
    /// This one.
    Fixed(Token),
    /// The one in a file, alone but for white space around it.
    File(PathBuf),
}

/// Why a file gives no token.
#[derive(Debug)]
#[non_exhaustive]
pub enum TokenFileError {
    /// It can't be read.
    Io(io::Error),
    /// It is a directory, a pipe, or the like.
    NoFile,
    /// Its name is a token itself, or looks so: then it is shown to nobody.
    Token,
    /// Everybody can read it.
    Open,
    /// There is no token in it.
    NoToken,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(token) => write!(f, "Fixed({token:?})"),
            Self::File(path) => write!(f, "File({})", shown(path)),
        }
    }
}

impl TokenSource {
    /// The token as it is now.
    ///
    /// # Errors
    /// [`Error::Settings`] names the file and what is wrong with it.
    pub async fn read(&self) -> Result<Token, Error> {
        let path = match self {
            Self::Fixed(token) => return Ok(token.clone()),
            Self::File(path) => path.clone(),
        };
        if path.display().to_string().trim().parse::<Token>().is_ok() {
            let what =
                "token file: that is a token itself (not shown); the path of its file is expected";
            return Err(Error::Settings(what.to_owned()));
        }
        let name = shown(&path);
        let read = tokio::task::spawn_blocking(move || read_token(&path)).await;
        let failed =
            |what: &dyn fmt::Display| Error::Settings(format!("token file {name}: {what}"));
        read.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

/// The name of a file of tokens for people; not shown if it may be a token.
fn shown(path: &Path) -> String {
    let name = path.display().to_string();
    if holds_token(&name) { "(not shown)".to_owned() } else { name }
}

/// Reads the token in a file.
///
/// # Errors
/// [`TokenFileError`]; it shows nothing of what the file holds.
pub fn read_token(path: &Path) -> Result<Token, TokenFileError> {
    if holds_token(&path.to_string_lossy()) {
        return Err(TokenFileError::Token);
    }
    let options = std::fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path);
    let file = options.map_err(TokenFileError::Io)?;
    let about = file.metadata().map_err(TokenFileError::Io)?;
    if !about.is_file() {
        return Err(TokenFileError::NoFile);
    }
    if about.mode() & 0o007 != 0 {
        return Err(TokenFileError::Open);
    }
    let mut contents = Vec::new();
    // One byte more, so that a longer file is seen to be one.
    let read = file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut contents);
    read.map_err(TokenFileError::Io)?;
    token_in(&contents).map_err(|NoToken| TokenFileError::NoToken)
}

/// The token that a file of these contents holds, alone but for white space around it.
///
/// # Errors
/// [`NoToken`]: it holds something else, or is longer than 256 bytes.
pub fn token_in(contents: &[u8]) -> Result<Token, NoToken> {
    if contents.len() > FILE_BYTES_MAX {
        return Err(NoToken);
    }
    std::str::from_utf8(contents).map_err(|_| NoToken)?.trim().parse()
}

impl fmt::Display for TokenFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it can't be read: {error}"),
            Self::NoFile => f.write_str("it is no regular file"),
            Self::Token => f.write_str("this is a token: the path of a file with it is expected"),
            Self::Open => f.write_str("everybody can read it: chmod 600 it, and change the token"),
            Self::NoToken => f.write_str("there is no token in it: addrd token create makes one"),
        }
    }
}

impl std::error::Error for TokenFileError {}

#[cfg(test)]
mod tests {
    use super::*;
    use addrd_protocol::TokenId;

    #[tokio::test]
    async fn a_token_in_the_place_of_its_file_is_shown_to_nobody() {
        let token = Token::new(TokenId(7), [0xc4; 32]).reveal();
        let secret = &token[30..];
        let read = TokenSource::File(token.clone().into()).read().await;
        let told = read.expect_err("no file has that name").to_string();
        assert!(told.contains("is a token") && !told.contains(secret), "{told}");
        assert!(!format!("{:?}", TokenSource::File(token.clone().into())).contains(secret));
    }

    #[test]
    fn a_file_holds_a_token_and_nothing_else() {
        let token = Token::new(TokenId(7), [0xc4; 32]);
        let text = token.reveal();
        for whole in [text.clone(), format!("{text}\n"), format!("\r\n {text}\t\n")] {
            assert_eq!(token_in(whole.as_bytes()), Ok(token.clone()), "{whole:?}");
        }
        let spaces = " ".repeat(256);
        for other in
            [&format!("{text} x"), &format!("{text}{spaces}x"), &format!("{text}{spaces}"), ""]
        {
            assert_eq!(token_in(other.as_bytes()), Err(NoToken), "{other:?}");
        }
        assert_eq!(token_in(&[text.as_bytes(), &[0xff]].concat()), Err(NoToken));
    }

    #[test]
    fn what_follows_in_a_long_file_is_not_passed_over() {
        let path = std::env::temp_dir().join(format!("addrd-token-{}", std::process::id()));
        let token = Token::new(TokenId(7), [0xc4; 32]).reveal();
        let write = |text: String| {
            let options = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path);
            io::Write::write_all(&mut options.expect("a file"), text.as_bytes()).expect("room");
            read_token(&path)
        };
        let plain = write(format!("{token}\n"));
        let longer = write(format!("{token}{}and more", "\n".repeat(200)));
        std::fs::remove_file(&path).expect("it is there");
        assert!(plain.is_ok(), "{plain:?}");
        assert!(matches!(longer, Err(TokenFileError::NoToken)), "{longer:?}");
    }
}
