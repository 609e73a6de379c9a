//! `addrd import --data`: a new data directory that appears whole. It is made by a server of its
//! own at a socket that nobody else can reach, so that the rules are the same as everywhere.

use super::import::{self, Import};
use super::whole;
use crate::cli::connect;
use crate::cli::fault::Fault;
use crate::cli::serve;
use crate::cli::session::Session;
use addrd::config::Config;
use addrd_client::{Endpoint, Sessions, Settings};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Imports into a directory that is not there yet, or empty.
pub(super) fn run(session: &Session, import: &Import, directory: &Path) -> Result<(), Fault> {
    refuse_content(directory)?;
    let part = whole::part_of(directory);
    if part.exists() {
        // It may be of another file, or nobody's business of ours: what is in it must not get in.
        return Err(Fault::Refused(format!(
            "{} is there, perhaps of an import that was interrupted: remove it and try again",
            part.display()
        )));
    }
    let room = Room::make()?;
    let socket = room.0.join("s");
    let config = Config {
        data_directory: part.clone(),
        listen: Vec::new(),
        unix_socket: Some(socket.clone()),
        http: None,
        ..Config::default()
    };
    let endpoints = vec![Endpoint::Unix(socket)];
    // This server is ours and knows nobody: a token that is for another would be refused.
    let settings = Settings {
        endpoints,
        token: None,
        ..connect::settings(&session.global, Sessions::Random)?
    };
    let made = serve::serve_during(&config, import::import(session, import, settings));
    if made.is_err() || session.global.dry_run {
        // What was refused is of no use; why it was is told first.
        let removed = match fs::remove_dir_all(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(told(&part, &error)),
            _ => Ok(()),
        };
        return made.and(removed);
    }
    whole::appear(&part, directory).map_err(|error| told(directory, &error))
}

fn refuse_content(directory: &Path) -> Result<(), Fault> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(told(directory, &error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Fault::Refused(format!(
                "{} is not empty: an import makes a data directory of its own; to add to one, start \
                 its server and import there",
                directory.display()
            ))),
        },
    }
}

/// A directory for the socket, for this user alone; gone with this.
struct Room(PathBuf);

impl Room {
    fn make() -> Result<Self, Fault> {
        let path = std::env::temp_dir().join(format!("addrd-{}", uuid::Uuid::new_v4().simple()));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| told(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // An empty directory that stays harms nobody.
        let _ = fs::remove_dir(&self.0);
    }
}

fn told(path: &Path, error: &io::Error) -> Fault {
    Fault::Internal(format!("{}: {error}", path.display()))
}
