//! How a command speaks TLS: from options and files to what the client needs. Shows no key.

use super::fault::Fault;
use addrd::config::looks_secret;
use addrd_client::{ClientCertificate, Tls, TlsSettingsError, Trust};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Options of every command; a context keeps them, too. Files are named, never their contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsOptions {
    /// Speak TLS with servers whose certificate a CA of this PEM file signed
    #[arg(
        long = "tls-ca",
        id = "tls_ca",
        global = true,
        env = "ADDRD_TLS_CA",
        hide_env_values = true,
        value_name = "FILE"
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,

    /// Speak TLS with the server that has exactly the certificate of this PEM file
    #[arg(
        long = "tls-pin",
        id = "tls_pin",
        global = true,
        env = "ADDRD_TLS_PIN",
        hide_env_values = true,
        value_name = "FILE"
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pin: Option<PathBuf>,

    /// PEM file of this client's own certificate
    #[arg(
        long = "tls-certificate",
        id = "tls_certificate",
        global = true,
        env = "ADDRD_TLS_CLIENT_CERTIFICATE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,

    /// PEM file of that certificate's private key
    #[arg(
        long = "tls-key",
        id = "tls_key",
        global = true,
        env = "ADDRD_TLS_CLIENT_KEY",
        hide_env_values = true,
        value_name = "FILE"
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,

    /// Name that the server's certificate must have in it [default: the host of the endpoint]
    #[arg(
        long = "tls-server-name",
        id = "tls_server_name",
        global = true,
        env = "ADDRD_TLS_SERVER_NAME",
        hide_env_values = true,
        value_name = "NAME"
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_name: Option<String>,
}

impl TlsOptions {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Paths from the root, so that they hold wherever a later command runs.
    pub(crate) fn absolute(&self) -> Result<Self, Fault> {
        let absolute = |path: &Option<PathBuf>| -> Result<Option<PathBuf>, Fault> {
            let Some(path) = path else { return Ok(None) };
            must_be_path(path)?;
            Ok(Some(std::path::absolute(path)?))
        };
        Ok(Self {
            ca: absolute(&self.ca)?,
            pin: absolute(&self.pin)?,
            certificate: absolute(&self.certificate)?,
            key: absolute(&self.key)?,
            server_name: self.server_name.clone(),
        })
    }

    /// Reads the files; `None` without TLS.
    pub(crate) fn tls(&self) -> Result<Option<Tls>, Fault> {
        let usage = |text: &str| Err(Fault::Usage(text.to_owned()));
        let (trusted, is_pin) = match (&self.ca, &self.pin) {
            (Some(_), Some(_)) => return usage("--tls-ca or --tls-pin, not both"),
            (Some(ca), None) => (ca, false),
            (None, Some(pin)) => (pin, true),
            (None, None) if self.is_empty() => return Ok(None),
            (None, None) => {
                return usage("--tls-ca is needed: which CA signed the server's certificate");
            }
        };
        let trusted_pem = read(trusted)?;
        let trust = if is_pin { Trust::Pinned(&trusted_pem) } else { Trust::Ca(&trusted_pem) };
        let own = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            (None, None) => None,
            (Some(_), None) => return usage("--tls-key is needed as well"),
            (None, Some(_)) => return usage("--tls-certificate is needed as well"),
        };
        let own = own.as_ref().map(|(certificate, key)| ClientCertificate { certificate, key });
        let tls = Tls::new(trust, own, self.server_name.as_deref());
        tls.map(Some).map_err(|error| Fault::Usage(self.told(trusted, error)))
    }

    /// Which file or option is meant.
    fn told(&self, trusted: &Path, error: TlsSettingsError) -> String {
        let path = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        let what = match error {
            TlsSettingsError::Trust => trusted.display().to_string(),
            TlsSettingsError::Certificate => path(&self.certificate),
            TlsSettingsError::Key | TlsSettingsError::KeyMismatch => path(&self.key),
            _ => "--tls-server-name".to_owned(),
        };
        format!("{what}: {error}")
    }
}

/// A key or token in the place of its file's name must be shown to nobody, and not be kept in a context.
pub(crate) fn must_be_path(path: &Path) -> Result<(), Fault> {
    if looks_secret(&path.to_string_lossy()) {
        let what =
            "an option has the contents of a file (not shown): it takes the path of the file";
        return Err(Fault::Usage(what.to_owned()));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    must_be_path(path)?;
    let failed = |what: String| Fault::Usage(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed("longer than 1 MiB".to_owned()));
    }
    Ok(bytes)
}
