//! Listening sockets: binds them and hands out connections within the caps. Reads no frame.

use super::admission::{Peer, Refused, Seat, Ungreeted};
use super::connection;
use super::decider::Decider;
use super::origin::Origin;
use super::shared::Shared;
use super::tls::{Speaks, Tls};
use crate::limits;
use crate::telemetry::reactors::Count;
use socket2::{Domain, Protocol, Socket, Type};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Binds a TCP address. Nobody can connect before [`listen_tcp`].
///
/// # Errors
/// The system's.
pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Else `[::]` would also take IPv4, and collide with `0.0.0.0`.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Lets peers connect. Runs inside a tokio runtime.
///
/// # Errors
/// The system's.
pub(super) fn listen_tcp(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(limits::LISTEN_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A Unix socket that is listened on; the file goes when this is dropped.
#[derive(Debug)]
pub(super) struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// Mode of the socket's file: its owner and group may connect.
const SOCKET_MODE: u32 = 0o660;

impl LocalListener {
    /// Binds a path; the file of a server that is gone is replaced.
    ///
    /// # Errors
    /// `AddrInUse` if somebody listens there, `AlreadyExists` if the file is no socket, or the
    /// system's.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        check_free(path)?;
        // Bound beside it and renamed, so that nobody connects before the mode is set.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        if is_socket(&beside)? {
            fs::remove_file(&beside)?;
        }
        let listener = UnixListener::bind(&beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(SOCKET_MODE))?;
        let inode = fs::symlink_metadata(&beside)?.ino();
        fs::rename(&beside, path)?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_ours {
            // Nobody listens any more; a file that stays is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn check_free(path: &Path) -> io::Result<()> {
    if !is_socket(path)? {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket"))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether there is a socket; an error if there is something else.
fn is_socket(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => Ok(true),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is no socket"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where connections come from.
#[derive(Debug)]
pub(super) enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// The Unix socket.
    Local(LocalListener),
}

/// Accepts connections until told to stop.
pub(super) async fn accept_all<D: Decider>(
    listener: Listener,
    shared: Arc<Shared<D>>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let accept = async {
        loop {
            if let Err(error) = accept_one(&listener, &shared, &tracker, &stop).await {
                accept_failed(&error, &shared).await;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept => {}
    }
}

async fn accept_one<D: Decider>(
    listener: &Listener,
    shared: &Arc<Shared<D>>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> io::Result<()> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // A small reply must not wait for the acknowledgement of the one before.
            stream.set_nodelay(true)?;
            let peer = Peer::of(address.ip());
            match &shared.tls {
                Some(tls) => admit_secured(stream, peer, (shared, tls), tracker, stop),
                None => admit(stream, Origin::of(peer), shared, tracker),
            }
        }
        Listener::Local(local) => {
            let (stream, _) = local.listener.accept().await?;
            let user = stream.peer_cred()?.uid();
            let origin = Origin { user: Some(user), ..Origin::of(Peer::Local) };
            admit(stream, origin, shared, tracker);
        }
    }
    Ok(())
}

fn admit<S, D>(stream: S, origin: Origin, shared: &Arc<Shared<D>>, tracker: &TaskTracker)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    D: Decider,
{
    if let Some(seats) = seats(origin.peer, shared) {
        tracker.spawn(connection::serve(stream, Arc::clone(shared), seats, origin));
    }
}

/// A connection begins with its handshake, in which it has the seats that it has before HELLO.
fn admit_secured<S, D>(
    stream: S,
    peer: Peer,
    (shared, tls): (&Arc<Shared<D>>, &Arc<Tls>),
    tracker: &TaskTracker,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    D: Decider,
{
    let Some(place) = tls.place() else { return refused(Refused::Handshakes, shared) };
    let Some(seats) = seats(peer, shared) else { return };
    let (shared, tls, stop) = (Arc::clone(shared), Arc::clone(tls), stop.clone());
    tracker.spawn(async move {
        let mut origin = Origin::of(peer);
        let handshake = tls.handshake(stream, Speaks::Protocol, &origin);
        let Some(Some(secured)) = stop.run_until_cancelled(handshake).await else { return };
        drop(place);
        (origin.name, origin.standing) = (secured.name, secured.standing);
        connection::serve(secured.stream, shared, seats, origin).await;
    });
}

/// Places for a new connection; `None`: there are none, which is counted and told.
fn seats<D: Decider>(peer: Peer, shared: &Arc<Shared<D>>) -> Option<(Seat, Ungreeted)> {
    match shared.admission.admit(peer) {
        Ok(seats) => {
            shared.reactors.count(Count::Accepted, 1);
            Some(seats)
        }
        Err(why) => {
            refused(why, shared);
            None
        }
    }
}

fn refused<D>(why: Refused, shared: &Shared<D>) {
    let count = match why {
        Refused::Connections => Count::RefusedConnections,
        Refused::Ungreeted => Count::RefusedUngreeted,
        Refused::UngreetedPeer => Count::RefusedUngreetedPeer,
        Refused::Handshakes => Count::RefusedHandshakes,
    };
    shared.reactors.count(count, 1);
    tracing::warn!(refused = ?why, "connection refused: as many as there may be");
}

/// One connection that failed before it was accepted is nobody's fault; a lack of descriptors or
/// memory lasts, and asking at once again would only burn time.
async fn accept_failed<D>(error: &io::Error, shared: &Shared<D>) {
    let of_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
    );
    if !of_connection {
        shared.reactors.count(Count::AcceptFailures, 1);
        tracing::warn!(%error, "accept failed; pausing");
        tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_a_live_one_is_not_and_other_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("addrd.sock");
        let first = LocalListener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        let error = LocalListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists());

        // The file of a process that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = LocalListener::bind(&path).unwrap();
        drop(second);

        fs::write(&path, "precious").unwrap();
        let error = LocalListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
