//! What a client is told at its start. Checked once; never changed afterwards.

use crate::backoff::BackoffLimits;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::session::Sessions;
use crate::tls::Tls;
use crate::token::TokenSource;
use addrd_protocol::{ProjectId, ServerId, Text};
use std::time::Duration;

/// Most lanes of a client.
pub const LANES_MAX: usize = 256;
/// Most endpoints of a client.
pub const ENDPOINTS_MAX: usize = 64;

/// Settings of a [`crate::Client`]. Every queue and wait of the client is bounded by one of them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where servers of one data set listen, tried in this order; 1 to [`ENDPOINTS_MAX`].
    pub endpoints: Vec<Endpoint>,
    /// How TCP endpoints are spoken to; `None` = plain. Unix sockets are always plain.
    pub tls: Option<Tls>,
    /// What shows the server who the client is, beside its certificate; `None` = nothing.
    pub token: Option<TokenSource>,
    /// A token may go over plain TCP to other machines, where who is on the way can read and use it. Else such settings are
    /// refused.
    pub token_in_plain: bool,
    /// Connections, each a session; 1 to [`LANES_MAX`].
    pub lanes: usize,
    /// Where session ids come from.
    pub sessions: Sessions,
    /// The only server that is accepted; `None` = the first one that answers, from then on.
    pub server_id: Option<ServerId>,
    /// Project of requests that name none.
    pub project: ProjectId,
    /// Name and version of the program, for people at the server.
    pub client: Option<Text>,
    /// Manager of allocations that name none; at most 64 bytes.
    pub manager: Option<Text>,
    /// Host of allocations that name none.
    pub host: Option<Text>,
    /// How long a call may take with all its repetitions.
    pub timeout: Duration,
    /// How long one try to connect may take, HELLO included.
    pub connect_timeout: Duration,
    /// How often all endpoints are tried before a request that was never sent is given up; 0 = as
    /// often as its time allows.
    pub connect_rounds_max: u32,
    /// How often a request is sent at most.
    pub sends_max: u32,
    /// A connection on which something is outstanding and nothing came for this long is probed by
    /// a PING; without an answer for as long again it is lost.
    pub silence: Duration,
    /// Waits between tries.
    pub backoff: BackoffLimits,
    /// Requests of a lane that may wait or be without reply; more make their callers wait.
    pub queue_operations_max: usize,
    /// The same in bytes of frames.
    pub queue_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: vec![Endpoint::default()],
            tls: None,
            token: None,
            token_in_plain: false,
            lanes: 1,
            sessions: Sessions::Random,
            server_id: None,
            project: ProjectId::DEFAULT,
            client: None,
            manager: None,
            host: None,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            connect_rounds_max: 0,
            sends_max: 8,
            silence: Duration::from_secs(5),
            backoff: BackoffLimits::default(),
            queue_operations_max: 4_096,
            queue_bytes_max: 16 << 20,
        }
    }
}

impl Settings {
    /// Defaults, for these endpoints.
    ///
    /// # Errors
    /// [`Error::Settings`] names the text that is no endpoint.
    pub fn to<'a>(endpoints: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let endpoints = endpoints
            .into_iter()
            .map(|text| text.parse().map_err(|error| Error::Settings(format!("{error}"))))
            .collect::<Result<Vec<Endpoint>, Error>>()?;
        Ok(Self { endpoints, ..Self::default() })
    }

    /// The first endpoint to which the token would go so that others can read it.
    #[must_use]
    pub fn exposed_token(&self) -> Option<&Endpoint> {
        let is_plain = self.token.is_some() && self.tls.is_none();
        self.endpoints.iter().find(|endpoint| is_plain && !endpoint.is_local())
    }

    /// Refuses what cannot work, or tells a secret.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |text: &str| Err(Error::Settings(text.to_owned()));
        if self.endpoints.is_empty() || self.endpoints.len() > ENDPOINTS_MAX {
            return refuse("1 to 64 endpoints are needed");
        }
        if let Some(endpoint) = self.exposed_token().filter(|_| !self.token_in_plain) {
            return Err(Error::Settings(format!(
                "the token would go over plain TCP to {endpoint}, where others can read it: speak TLS, or set token_in_plain"
            )));
        }
        if !(1..=LANES_MAX).contains(&self.lanes) {
            return refuse("lanes: 1 to 256");
        }
        if matches!(self.sessions, Sessions::OfOwner(_)) && self.lanes != 1 {
            return refuse("a session of an owner has one lane");
        }
        if self.sends_max == 0 || self.queue_operations_max == 0 {
            return refuse("sends_max and queue_operations_max: at least 1");
        }
        if self.queue_bytes_max < crate::frame::FRAME_BYTES_MAX {
            return refuse("queue_bytes_max: at least the longest frame, 1 MiB");
        }
        if [self.timeout, self.connect_timeout, self.silence].iter().any(Duration::is_zero) {
            return refuse("time-outs: more than zero");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert_eq!(Settings::default().check(), Ok(()));
        let wrong = [
            Settings { endpoints: Vec::new(), ..Settings::default() },
            Settings { lanes: 0, ..Settings::default() },
            Settings { lanes: LANES_MAX + 1, ..Settings::default() },
            Settings {
                lanes: 2,
                sessions: Sessions::OfOwner(addrd_protocol::OwnerId::from_u128(1)),
                ..Settings::default()
            },
            Settings { sends_max: 0, ..Settings::default() },
            Settings { queue_bytes_max: 1, ..Settings::default() },
            Settings { timeout: Duration::ZERO, ..Settings::default() },
        ];
        for settings in wrong {
            assert!(matches!(settings.check(), Err(Error::Settings(_))));
        }
        let token = Some(crate::TokenSource::File("/nowhere".into()));
        let to = |place: &str| Settings { token: token.clone(), ..Settings::to([place]).unwrap() };
        assert_eq!(to("localhost").check(), Ok(()));
        assert_eq!(to("unix:/run/s").check(), Ok(()));
        let exposed = to("addrd.example:9");
        let error = exposed.check().unwrap_err().to_string();
        assert!(error.contains("addrd.example:9") && !error.contains("nowhere"), "{error}");
        assert_eq!(Settings { token_in_plain: true, ..exposed.clone() }.check(), Ok(()));
        assert_eq!(Settings { token: None, ..exposed }.check(), Ok(()));
        let error = Settings::to(["a b"]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("\"a b\""), "{error}");
    }
}
