//! HELLO, PING, GOAWAY, server status (SPEC.md sections 4 and 5).

use crate::id::{Incarnation, Seq, ServerId, SessionId};
use crate::text::Text;
use crate::token::Token;
use serde::{Deserialize, Serialize};

/// First request of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Lowest protocol version that the client speaks.
    pub version_min: u8,
    /// Highest protocol version that the client speaks.
    pub version_max: u8,
    /// Features that the client knows, a bit each; none are defined in this version.
    pub features: u32,
    /// The lane; all zero = no session (nothing is fenced).
    pub session: SessionId,
    /// Rises at each reconnect of the session. In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub epoch: u64,
    /// The server that the client pinned; the connection is refused by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<ServerId>,
    /// Name and version of the client, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Text>,
    /// Manager of allocations that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Text>,
    /// Host of allocations that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text>,
    /// Shows who the client is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
}

/// What the server is and allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// Protocol version spoken from here on.
    pub version: u8,
    /// 0 = primary. Other roles come with several machines.
    pub role: u8,
    /// Adoption mode: owners re-take what they hold, and nothing is chosen by the server.
    pub adopting: bool,
    /// Features of the server, a bit each.
    pub features: u32,
    /// Identity of the data.
    pub server_id: ServerId,
    /// Restores that the data has seen.
    pub incarnation: Incarnation,
    /// Durable position when the reply was made.
    pub position: Seq,
    /// Longest frame of a single operation, bytes.
    pub frame_bytes_max: u32,
    /// Longest frame of a batch, bytes.
    pub batch_bytes_max: u32,
    /// Most items of a batch.
    pub batch_items_max: u32,
    /// Requests that may be without reply at once; more stay unread.
    pub credit: u32,
    /// A connection silent for longer is closed, ms.
    pub idle_ms: u32,
    /// Version of the server, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Text>,
}

/// Keeps a connection alive; the reply is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ping {}

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum GoAwayReason {
    /// The server stops; reconnect later or elsewhere.
    Shutdown = 1,
    /// A newer connection took over the session.
    SessionReplaced = 2,
    /// Nothing was sent for longer than the idle time.
    Idle = 3,
    /// The peer does not read its replies.
    SlowReader = 4,
    /// By what the client showed, it is nobody any more.
    AccessEnded = 5,
}

/// Requests read before this are answered; later ones were not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoAway {
    /// Why.
    pub reason: GoAwayReason,
    /// Highest request id read, in order of arrival the last one; what came after was not applied.
    /// In JSON a decimal string.
    #[serde(with = "super::usage::decimal")]
    pub last_request_id: u64,
}

/// Believes the wall clock of the server: see [`ClockAccepted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockAccept {}

/// The server's clock was in doubt, and isn't any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAccepted {
    /// How far the server's time moved on, ms; 0 = it was not in doubt.
    pub moved_ms: u64,
}

/// Whether adoption mode begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum AdoptAction {
    /// From now on owners re-take what they hold, and nothing is chosen by the server.
    Begin = 1,
    /// All of them did: the server chooses again.
    End = 2,
}

/// Begins or ends adoption mode, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAdopt {
    /// Which.
    pub action: AdoptAction,
}

/// How adoption mode is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// The server is in it.
    pub adopting: bool,
    /// It was so before.
    pub repeated: bool,
    /// How long it has lasted, or did last, ms; 0 if it was not in it.
    pub lasted_ms: u64,
}

/// State of the server for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Identity of the data.
    pub server_id: ServerId,
    /// Restores that the data has seen.
    pub incarnation: Incarnation,
    /// Durable position.
    pub position: Seq,
    /// Position up to which the journal is folded.
    pub folded: Seq,
    /// Records in the journal that are not folded.
    pub journal_records: u64,
    /// Most records that the journal may hold.
    pub journal_records_max: u64,
    /// Since start, ms.
    pub uptime_ms: u64,
    /// Workers.
    pub workers: u32,
    /// Open connections.
    pub connections: u32,
    /// Adoption mode: owners re-take what they hold, and nothing is chosen by the server.
    pub adopting: bool,
    /// Networks.
    pub networks: u64,
    /// Live allocations.
    pub allocations: u64,
    /// `ready`, or why not.
    pub state: Text,
    /// Version of the server.
    pub version: Text,
}
