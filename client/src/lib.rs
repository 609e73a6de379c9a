//! Native asynchronous client of addrd.
//!
//! ```
//! # mod peer { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/example_server.rs.in")); }
//! # #[tokio::main]
//! # async fn main() -> Result<(), addrd_client::Error> {
//! use addrd_client::protocol::{OwnerId, Text};
//! use addrd_client::{Client, Settings, plain_allocate};
//!
//! let place = "127.0.0.1:2337";
//! # let place = &*peer::start();
//! let client = Client::connect(Settings::to([place])?).await?;
//! let network = client.network_find(Text::new("blue").unwrap_or_default()).await?.network_id;
//! let mine = client.allocate(network, plain_allocate(OwnerId::from_text("web-1"))).await?;
//! println!("{}", mine.first.address);
//! # assert_eq!(mine.first.address.to_string(), "10.0.0.2");
//! # Ok(())
//! # }
//! ```
//!
//! What it does for its caller (SPEC.md sections 4 to 6 and 10):
//!
//! - **Lanes.** Each of the client's connections is a session; an owner always uses the same one.
//!   After a lost connection, what has no reply is repeated on the lane's next connection, whose
//!   higher epoch keeps late copies from being applied.
//! - **Repetition by class.** "Later" is repeated after the time that the server names, an unknown
//!   outcome on the next connection; a refusal, a wrong request or a denial never.
//! - **Bounds.** Requests, bytes, tries and time of a call are bounded by [`Settings`].
//!
//! It opens no file but that of a token, reads no environment and starts no thread; it needs a tokio runtime.
#![forbid(unsafe_code)]

mod backoff;
mod client;
mod connection;
mod endpoint;
mod error;
mod frame;
mod lane;
mod operations;
mod session;
mod settings;
mod ticket;
mod tls;
mod token;
mod watch;

pub use addrd_protocol as protocol;
pub use backoff::BackoffLimits;
pub use client::{Client, Scope};
pub use connection::{Connection, ConnectionError, plain_hello};
pub use endpoint::{DEFAULT_PORT, Endpoint, EndpointError, Transport};
pub use error::Error;
pub use operations::{Deleted, HoldOutcome, Pages, plain_allocate};
pub use session::{Sessions, lane_of, of_owner};
pub use settings::{ENDPOINTS_MAX, LANES_MAX, Settings};
pub use tls::{ClientCertificate, Tls, TlsFailure, TlsSettingsError, Trust};
pub use token::{TokenFileError, TokenSource, read_token, token_in};
pub use watch::{Change, Changes};
