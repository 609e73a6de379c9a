//! The files of TLS: read within a bound, a key only if nobody else can read it. Keeps nothing.

use super::material::{Bytes, Demand, Live, Which, Wrong, build};
use crate::config::TlsSettings;
use crate::limits;
use rustix::fs::OFlags;
use std::fmt;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why the files of TLS can't be used: which file, what is wrong, what to do about it.
#[derive(Debug)]
pub struct TlsError {
    setting: &'static str,
    path: PathBuf,
    what: String,
    /// Another try may help though the files stay as they are.
    pub(super) is_passing: bool,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.setting, self.path.display(), self.what)
    }
}

impl std::error::Error for TlsError {}

/// Reads and builds.
///
/// # Errors
/// [`TlsError`].
pub(super) fn load(settings: &TlsSettings) -> Result<Live, TlsError> {
    let read_or_none = |which, is_secret| match path_of(settings, which) {
        Some(path) => read(path, is_secret)
            .map(Some)
            .map_err(|Bad { what, is_passing }| error(settings, which, what, is_passing)),
        None => Ok(None),
    };
    let certificate = read_or_none(Which::Certificate, false)?.unwrap_or_default();
    let key = read_or_none(Which::Key, true)?.unwrap_or_default();
    let client_ca = read_or_none(Which::ClientCa, false)?;
    let bytes = Bytes { certificate: &certificate, key: &key, client_ca: client_ca.as_deref() };
    let demand = Demand { required: settings.client_required, names: &settings.client_names };
    build(&bytes, demand).map_err(|Wrong { which, what }| error(settings, which, what, false))
}

fn path_of(settings: &TlsSettings, which: Which) -> Option<&Path> {
    match which {
        Which::Certificate => settings.certificate.as_deref(),
        Which::Key => settings.key.as_deref(),
        Which::ClientCa => settings.client_ca.as_deref(),
    }
}

/// An error that names the file and its setting.
pub(super) fn error(
    settings: &TlsSettings,
    which: Which,
    what: String,
    is_passing: bool,
) -> TlsError {
    let setting = match which {
        Which::Certificate => "tls_certificate",
        Which::Key => "tls_key",
        Which::ClientCa => "tls_client_ca",
    };
    let path = path_of(settings, which).unwrap_or(Path::new("")).to_owned();
    TlsError { setting, path, what, is_passing }
}

/// What is wrong with a file.
struct Bad {
    what: String,
    is_passing: bool,
}

impl From<String> for Bad {
    fn from(what: String) -> Self {
        Self { what, is_passing: false }
    }
}

impl Bad {
    /// The system's word, which may be another one the next time.
    fn passing(what: &str, error: &io::Error) -> Self {
        Self { what: format!("{what}: {error}"), is_passing: true }
    }
}

/// The bytes of a file.
fn read(path: &Path, is_secret: bool) -> Result<Vec<u8>, Bad> {
    // Nobody has to come to the other end of a pipe for this to go on.
    let waits_for_nobody = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(waits_for_nobody).open(path);
    let file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Bad::from("there is no such file".to_owned()),
        io::ErrorKind::PermissionDenied => {
            Bad::from("the server's user may not read it: give it to that user (chown)".to_owned())
        }
        _ => Bad::passing("it cannot be opened", &error),
    })?;
    // Asked of the open file: it can't be exchanged in between.
    let metadata =
        file.metadata().map_err(|error| Bad::passing("it cannot be looked at", &error))?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned().into());
    }
    let mode = metadata.permissions().mode() & 0o777;
    if is_secret && is_too_open(metadata.uid(), rustix::process::geteuid().as_raw(), mode) {
        return Err(Bad::from(format!(
            "its group or others may use it (mode {mode:04o}): chmod 600 {}, and if others may have \
             read it, make a new key; one of root's that the server's group reads may have mode 0640",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    let most = limits::TLS_FILE_BYTES_MAX;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Bad::passing("it cannot be read", &error))?;
    if bytes.len() as u64 > most {
        return Err(format!("it is longer than {most} bytes").into());
    }
    Ok(bytes)
}

/// Whether a key may be used by more than who needs it. What belongs to root may be read by its
/// group: so service managers and orchestrators hand secrets to one user or group. For the mode of a
/// file with an access list, the group's bits are the most that anybody in the list may do.
/// The same rule as PostgreSQL's.
pub(super) fn is_too_open(owner: u32, us: u32, mode: u32) -> bool {
    let refused = if owner == ROOT && us != ROOT { 0o037 } else { 0o077 };
    mode & refused != 0
}

const ROOT: u32 = 0;

/// By which it is seen that a file is another one than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps([Option<Stamp>; 3]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and ns.
    modified: (i64, i64),
    /// Changes also when only the mode does.
    changed: (i64, i64),
}

/// How the files look now; one that can't be looked at has no stamp.
pub(super) fn stamps(settings: &TlsSettings) -> Stamps {
    let of = |metadata: Metadata| Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    let files = [Which::Certificate, Which::Key, Which::ClientCa];
    Stamps(files.map(|which| {
        path_of(settings, which).and_then(|path| std::fs::metadata(path).ok()).map(of)
    }))
}
