//! Why a handshake failed, as a class that can be counted. Shows nothing of what the peer sent.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::io;

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident $label:literal,)*) => {
        /// Why a handshake failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub(in crate::server) enum HandshakeFailure {
            $($(#[$doc])* $name,)*
        }

        impl HandshakeFailure {
            /// Every class, by its place.
            pub(in crate::server) const ALL: [Self; [$($label),*].len()] = [$(Self::$name),*];

            /// The class in `/metrics`.
            pub(in crate::server) fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }
        }
    };
}

failures! {
    /// It was not done in time.
    TimeOut "time_out",
    /// The peer went before it was done.
    Closed "closed",
    /// The peer speaks no TLS.
    Plain "plain",
    /// The peer doesn't speak TLS 1.3.
    Version "version",
    /// The peer asks for another protocol (ALPN).
    Protocol "protocol",
    /// The peer shows no certificate.
    NoCertificate "no_certificate",
    /// The peer's certificate is over, or not valid yet.
    Expired "expired",
    /// The peer's certificate is of no known CA, or can't be used.
    Untrusted "untrusted",
    /// The name in the peer's certificate is not among those that are let in.
    Name "name",
    /// The peer refuses the server, such as for its certificate.
    RefusedByPeer "refused_by_peer",
    /// Something else that no right client does.
    Other "other",
}

impl HandshakeFailure {
    /// The class of an error of the handshake.
    pub(in crate::server) fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error),
            None => Self::Closed,
        }
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::Plain,
            Error::PeerIncompatible(_) => Self::Version,
            Error::NoApplicationProtocol => Self::Protocol,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::AlertReceived(_) => Self::RefusedByPeer,
            _ => Self::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::ApplicationVerificationFailure => Self::Name,
            _ => Self::Untrusted,
        }
    }

    /// For the operator.
    pub(in crate::server) fn text(self) -> &'static str {
        match self {
            Self::TimeOut => "it was not done in time",
            Self::Closed => "the client went",
            Self::Plain => {
                "the client speaks no TLS, and this address nothing else: an addrd client without \
                 --tls-ca, or plain HTTP"
            }
            Self::Version => "the client doesn't speak TLS 1.3, or none of its methods",
            Self::Protocol => "the client asks for another protocol (ALPN)",
            Self::NoCertificate => "the client shows no certificate",
            Self::Expired => "the client's certificate is over, or not valid yet",
            Self::Untrusted => "the client's certificate is of no CA in tls_client_ca, or unfit",
            Self::Name => "the name in the client's certificate is not in tls_client_names",
            Self::RefusedByPeer => "the client refuses the server's certificate",
            Self::Other => "the client doesn't keep to TLS",
        }
    }
}
