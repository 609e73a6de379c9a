//! Certificates of a test: a CA made anew, and what it signs, as PEM files. Nothing of it outlives
//! the test, so nothing in the tree runs out.

use addrd_client::{ClientCertificate, Tls, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A CA.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM text.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// When no key can be made.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Two CAs of a test have names of their own.
        let key = KeyPair::generate().expect("a key");
        let serial = key.public_key_raw()[1..9].iter().map(|byte| format!("{byte:02x}"));
        let name = format!("CA {}", serial.collect::<String>());
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, key).expect("a CA"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate with these names.
    ///
    /// # Panics
    /// When it can't be made.
    pub(crate) fn sign(&self, names: Vec<SanType>) -> Signed {
        self.sign_until(names, 4096)
    }

    /// One of a server at the loopback address.
    pub(crate) fn server(&self) -> Signed {
        self.sign(vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))])
    }

    /// One of a client with a URI as its name.
    pub(crate) fn client(&self, name: &str) -> Signed {
        self.sign(vec![uri(name)])
    }

    /// One of a client whose term is over.
    pub(crate) fn expired(&self, name: &str) -> Signed {
        self.sign_until(vec![uri(name)], 2001)
    }

    /// One of a client whose term is over soon, given as time since the Unix epoch.
    pub(crate) fn client_until(&self, name: &str, end: Duration) -> Signed {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(name)];
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(1970, 1, 1) + end);
        self.issue(&params)
    }

    fn sign_until(&self, names: Vec<SanType>, year: i32) -> Signed {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 1));
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that believes this CA and shows a certificate, or none.
    ///
    /// # Panics
    /// When it can't be used.
    pub(crate) fn tls(&self, own: Option<&Signed>) -> Tls {
        let pem = self.pem();
        let own = own.map(|own| ClientCertificate {
            certificate: own.certificate.as_bytes(),
            key: own.key.as_bytes(),
        });
        Tls::new(Trust::Ca(pem.as_bytes()), own, None).expect("certificates that fit")
    }
}

/// A name of a client.
///
/// # Panics
/// When it is not ASCII.
pub(crate) fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("ASCII"))
}

/// Writes a file that only its owner may read, beside it and renamed, as careful tools do.
///
/// # Panics
/// When it cannot be written.
pub(crate) fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("a file is written");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&beside, mode).expect("a mode is set");
    std::fs::rename(&beside, path).expect("a file is renamed");
}

/// Files of a server below a folder.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: PathBuf,
}

impl Files {
    /// Writes a server's certificate and key, and the CA of its clients.
    pub(crate) fn write(folder: &Path, server: &Signed, client_ca: &str) -> Self {
        let files = Self {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            client_ca: folder.join("clients.pem"),
        };
        files.replace(server);
        put(&files.client_ca, client_ca);
        files
    }

    /// The server gets another certificate.
    pub(crate) fn replace(&self, server: &Signed) {
        put(&self.key, &server.key);
        put(&self.certificate, &server.certificate);
    }

    /// Lines of a configuration file.
    pub(crate) fn settings(&self) -> String {
        format!(
            "tls_certificate = \"{}\"\ntls_key = \"{}\"\n",
            self.certificate.display(),
            self.key.display()
        )
    }

    /// The same, and clients must show a certificate.
    pub(crate) fn mutual(&self) -> String {
        format!(
            "{}tls_client_ca = \"{}\"\ntls_client_required = true\n",
            self.settings(),
            self.client_ca.display()
        )
    }
}
