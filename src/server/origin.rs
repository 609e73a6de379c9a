//! Who is at the other end of a connection, as far as its transport shows. Decides nothing.

use super::admission::Peer;
use super::tls::{CertificateName, Standing};
use std::fmt;

/// Where a connection comes from, and who showed himself there.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) peer: Peer,
    /// Of a certificate that was verified; `None` over the Unix socket, over plain TCP, and for who
    /// showed none.
    pub(super) name: Option<CertificateName>,
    /// Of the same certificate, also of one without a name.
    pub(super) standing: Option<Standing>,
    /// User of the process at the other end of the Unix socket, as the kernel tells.
    pub(super) user: Option<u32>,
}

impl Origin {
    /// Somebody who showed nothing.
    pub(super) fn of(peer: Peer) -> Self {
        Self { peer, name: None, standing: None, user: None }
    }
}

/// For log lines: the name holds no control characters, and what else it holds is quoted.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Peer::Address(address) => write!(f, "{address}")?,
            Peer::Local => f.write_str("local")?,
        }
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {:?}", name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_showed_nothing_is_told_by_place_alone() {
        assert_eq!(Origin::of(Peer::Local).to_string(), "local");
        let address = Peer::of("192.0.2.7".parse().unwrap());
        assert_eq!(Origin::of(address).to_string(), "192.0.2.7");
    }
}
