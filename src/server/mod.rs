//! Sockets: listener, connection, dispatch, sessions, shutdown, HTTP. Decides nothing.
