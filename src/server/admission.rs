//! How many connections there may be: in all, before HELLO, and before HELLO from one peer.
//! Refuses, never waits, knows no socket.

use crate::config::Bounds;
use addrd_sync::{Allowance, Share};
use std::collections::HashMap;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Who is at the other end, as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// An address; of IPv6 the first 64 bits, since one machine has all of those.
    Address(IpAddr),
    /// The Unix socket.
    Local,
}

impl Peer {
    /// The peer that an address belongs to.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::Address(address.into()),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Self::Address(Ipv6Addr::from(network).into())
            }
        }
    }
}

/// Counts of connections.
#[derive(Debug)]
pub(super) struct Admission {
    all: Arc<Allowance>,
    ungreeted: Arc<Allowance>,
    ungreeted_peer_max: u32,
    /// Connections before HELLO by peer; no more entries than such connections.
    peers: Mutex<HashMap<Peer, u32, RandomState>>,
}

/// A connection's place among all; comes back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    _all: Share,
}

/// A connection's place among those that have not finished HELLO; comes back when dropped.
#[derive(Debug)]
pub(super) struct Ungreeted {
    admission: Arc<Admission>,
    peer: Peer,
    _ungreeted: Share,
}

/// Which count was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// All connections.
    Connections,
    /// Those before HELLO.
    Ungreeted,
    /// Those before HELLO from one peer.
    UngreetedPeer,
    /// TLS handshakes.
    Handshakes,
}

impl Admission {
    pub(super) fn new(bounds: &Bounds) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Allowance::new(bounds.connections_max.into())),
            ungreeted: Arc::new(Allowance::new(bounds.connections_ungreeted_max.into())),
            ungreeted_peer_max: bounds.connections_ungreeted_peer_max,
            peers: Mutex::default(),
        })
    }

    /// Takes a place for a new connection.
    ///
    /// # Errors
    /// [`Refused`] names the count that is full; none is changed.
    pub(super) fn admit(self: &Arc<Self>, peer: Peer) -> Result<(Seat, Ungreeted), Refused> {
        let all = Share::take(&self.all, 1).ok_or(Refused::Connections)?;
        let ungreeted = Share::take(&self.ungreeted, 1).ok_or(Refused::Ungreeted)?;
        {
            let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            let count = peers.entry(peer).or_insert(0);
            if *count >= self.ungreeted_peer_max {
                return Err(Refused::UngreetedPeer);
            }
            *count += 1;
        }
        let admission = Arc::clone(self);
        Ok((Seat { _all: all }, Ungreeted { admission, peer, _ungreeted: ungreeted }))
    }

    /// Connections now.
    pub(super) fn connections(&self) -> u64 {
        self.all.used()
    }

    /// Connections now that have not finished HELLO.
    pub(super) fn ungreeted(&self) -> u64 {
        self.ungreeted.used()
    }
}

impl Drop for Ungreeted {
    fn drop(&mut self) {
        let mut peers = self.admission.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::of(text.parse().unwrap())
    }

    fn admission(all: u32, ungreeted: u32, of_peer: u32) -> Arc<Admission> {
        Admission::new(&Bounds {
            connections_max: all,
            connections_ungreeted_max: ungreeted,
            connections_ungreeted_peer_max: of_peer,
            ..Bounds::default()
        })
    }

    #[test]
    fn each_count_refuses_at_its_bound_and_takes_again_below_it() {
        let admission = admission(4, 3, 2);
        let (a, b) = (peer("127.0.0.2"), peer("127.0.0.3"));
        let first = admission.admit(a).unwrap();
        let second = admission.admit(a).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Refused::UngreetedPeer);
        let third = admission.admit(b).unwrap();
        assert_eq!(admission.admit(b).unwrap_err(), Refused::Ungreeted);
        drop((first.1, second.1));
        let fourth = admission.admit(a).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Refused::Connections);
        drop((first.0, third, fourth));
        assert_eq!((admission.connections(), admission.ungreeted()), (1, 0));
        assert!(admission.peers.lock().unwrap().is_empty());
    }

    #[test]
    fn a_machine_is_one_peer_whatever_its_address() {
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8:0:1::1"), peer("2001:db8::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
    }
}
