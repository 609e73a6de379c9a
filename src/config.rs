//! Settings of the server.

use crate::limits;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Bounds of connections that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub connections_max: u32,
    /// Of these, before HELLO.
    pub connections_ungreeted_max: u32,
    /// Of these, from one peer.
    pub connections_ungreeted_peer_max: u32,
    /// Bytes in flight over all connections.
    pub bytes_in_flight_max: u64,
    /// Time without a whole frame after which a connection is closed.
    pub idle: Duration,
    /// Time from a frame's first byte to its last.
    pub frame: Duration,
    /// Time that replies wait for a peer that reads nothing.
    pub stall: Duration,
    /// Time that a stopping server waits for its connections.
    pub shutdown: Duration,
    /// Requests slower than this are logged, sampled; zero = none.
    pub slow_request: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: limits::CONNECTIONS_MAX,
            connections_ungreeted_max: limits::CONNECTIONS_UNGREETED_MAX,
            connections_ungreeted_peer_max: limits::CONNECTIONS_UNGREETED_PEER_MAX,
            bytes_in_flight_max: limits::BYTES_IN_FLIGHT_MAX,
            idle: Duration::from_millis(limits::IDLE_MS),
            frame: Duration::from_millis(limits::FRAME_MS),
            stall: Duration::from_millis(limits::STALL_MS),
            shutdown: Duration::from_millis(limits::SHUTDOWN_MS),
            slow_request: Duration::from_secs(1),
        }
    }
}

/// Checked settings of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// Path of the Unix socket.
    pub unix_socket: Option<PathBuf>,
    /// Address of `/metrics`, `/livez` and `/readyz`.
    pub http: Option<SocketAddr>,
    /// Listen on addresses that others can reach, without TLS and authentication.
    pub insecure: bool,
    /// Bounds of connections.
    pub bounds: Bounds,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 2337))],
            unix_socket: None,
            http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 2338))),
            insecure: false,
            bounds: Bounds::default(),
        }
    }
}
