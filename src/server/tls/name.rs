//! The name that a verified certificate gives its client. Verifies nothing itself.

use crate::limits;
use crate::model::Text;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;

/// Name of a client, from a certificate that was verified.
///
/// Shape: 1 to [`limits::TLS_NAME_BYTES_MAX`] bytes of UTF-8 without control characters. Cheap to
/// clone.
/// Source: docs/decisions/0037-tls.md: of the subject's alternative names the first URI, else the
/// first DNS name; the subject itself is for people, and no name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateName(Arc<str>);

impl CertificateName {
    /// The name of a verified certificate; `None` if it has none that can be used.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        names_of(certificate).first().map(|name| Self(Arc::from(&**name)))
    }

    /// As if it had been verified.
    #[cfg(test)]
    pub fn in_test(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name as principals have it.
    #[must_use]
    pub fn to_text(&self) -> Text {
        // It has no control characters and no more bytes than a text may have.
        Text::new(&self.0).unwrap_or_default()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of a certificate that can be used, the one that counts first.
pub(super) fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    let names = certificate.valid_uri_names().chain(certificate.valid_dns_names());
    names.filter(|name| is_usable(name)).map(str::to_owned).collect()
}

fn is_usable(name: &str) -> bool {
    (1..=limits::TLS_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}
