//! The sockets of a server: bound before its data is touched, so that a wrong address changes
//! nothing; listened on when requests can be answered. Accepts nothing.

use super::ServeError;
use super::listener::{Listener, LocalListener, bind_tcp, listen_tcp};
use super::operators::Operators;
use super::tls::Tls;
use crate::config::Config;
use crate::engine::StartProgress;
use addrd_client::{TokenFileError, read_token};
use addrd_protocol::Token;
use socket2::Socket;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Bound sockets that nobody can connect to yet, except the one for operators.
#[derive(Debug)]
pub struct Sockets {
    tcp: Vec<(Socket, SocketAddr)>,
    /// Its directory may not be there yet.
    local: Option<PathBuf>,
    http: Option<TcpListener>,
    pub(super) tls: Option<Arc<Tls>>,
    /// The HTTP address speaks TLS too.
    secures_http: bool,
    pub(super) is_insecure: bool,
    /// The operator's token, if there is one.
    pub(super) operator_token: Option<Token>,
}

impl Sockets {
    /// Reads certificates and binds every TCP address of the settings. Runs inside a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`]; what was bound is closed again.
    pub fn bind(config: &Config) -> Result<Self, ServeError> {
        let unguarded = config.unguarded();
        if let Some(address) = unguarded.filter(|_| !config.insecure) {
            return Err(ServeError::Insecure { address, why: config.unguarded_text() });
        }
        let tls = Tls::of(config)?;
        let bind = |address: &SocketAddr| {
            let socket = bind_tcp(*address)?;
            let address = socket.local_addr()?.as_socket().unwrap_or(*address);
            Ok((socket, address))
        };
        let named = |address: &SocketAddr| {
            bind(address).map_err(|source| ServeError::bind(address.to_string(), source))
        };
        let tcp = config.listen.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let http = config.http.as_ref().map(|address| {
            let (socket, _) = named(address)?;
            listen_tcp(socket).map_err(|source| ServeError::bind(address.to_string(), source))
        });
        Ok(Self {
            tcp,
            local: config.unix_socket_path(),
            http: http.transpose()?,
            tls,
            secures_http: config.secures_http(),
            is_insecure: unguarded.is_some(),
            operator_token: operator_token(config)?,
        })
    }

    /// Tells operators how far the start is, from now on; at most once. Runs inside a tokio runtime.
    pub fn tell_operators(&mut self, progress: Arc<StartProgress>) -> Operators {
        let tls = self.tls.clone().filter(|_| self.secures_http);
        Operators::open(self.http.take(), tls, progress)
    }

    /// The TCP addresses, as the system chose them.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().map(|(_, address)| *address).collect()
    }

    /// Lets everybody connect, and binds the Unix socket. Runs inside a tokio runtime.
    pub(super) fn listen(self) -> Result<Vec<Listener>, ServeError> {
        let mut listeners = Vec::new();
        for (socket, address) in self.tcp {
            let failed = |source| ServeError::bind(address.to_string(), source);
            listeners.push(Listener::Tcp(listen_tcp(socket).map_err(failed)?));
        }
        if let Some(path) = self.local {
            let failed = |source| ServeError::bind(path.display().to_string(), source);
            listeners.push(Listener::Local(LocalListener::bind(&path).map_err(failed)?));
        }
        Ok(listeners)
    }
}

/// The token in the file of the settings, if one is set.
fn operator_token(config: &Config) -> Result<Option<Token>, ServeError> {
    let Some(path) = &config.operator_token_file else { return Ok(None) };
    let failed =
        |why: TokenFileError| ServeError::Token { path: path.clone(), why: why.to_string() };
    read_token(path).map(Some).map_err(failed)
}
