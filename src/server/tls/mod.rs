//! TLS of the TCP addresses: certificates and keys from files, handshakes with a bound and a time,
//! the name that a client's certificate gives. Never speaks the protocol, never decides who may do
//! what, and never shows a key.
//!
//! `material` builds from bytes and is pure but for the library's randomness; `files` reads;
//! `handshake` waits.

mod failure;
mod files;
mod handshake;
mod material;
mod name;
#[cfg(any(test, fuzzing))]
pub mod rehearsal;
mod standing;
#[cfg(test)]
mod tests;

pub use files::TlsError;
pub use name::CertificateName;

pub(super) use failure::HandshakeFailure;
pub(super) use standing::{Chain, Standing};

use crate::config::Config;
use addrd_sync::{Allowance, Level};
use files::{Stamps, error, load, stamps};
use material::{Live, Which};
use rustls::ServerConfig;
use rustls::pki_types::UnixTime;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use std::sync::{Arc, Mutex, PoisonError};

/// What the TCP addresses of a server present and demand, now.
#[derive(Debug)]
pub struct Tls {
    settings: crate::config::TlsSettings,
    live: Mutex<Kept>,
    /// Held while files are read, so that what was read first never replaces what was read later.
    reading: Mutex<()>,
    handshakes: Arc<Allowance>,
    figures: TlsFigures,
}

/// What new connections get, and the files that it was read from or that were refused since.
#[derive(Debug)]
struct Kept {
    live: Live,
    /// Rises whenever something else is put in its place.
    generation: u64,
    /// `None`: the next look reads them, whatever they look like.
    stamps: Option<Stamps>,
    /// What was told last, if they were refused since.
    refused: Option<String>,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct TlsFigures {
    pub(super) done: Level,
    /// By [`HandshakeFailure::ALL`].
    pub(super) failed: [Level; HandshakeFailure::ALL.len()],
    pub(super) reloads: Level,
    pub(super) reloads_failed: Level,
}

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The files are as they were.
    Same,
    /// New connections get what is in them now.
    Done,
    /// They can't be used; new connections get what was there before.
    Refused,
}

/// Which of the two addresses a handshake is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Protocol,
    Http,
}

impl Tls {
    /// Reads the files that the settings name; `None` without TLS.
    ///
    /// # Errors
    /// [`TlsError`] names the file, and what to do about it.
    pub(super) fn of(config: &Config) -> Result<Option<Arc<Self>>, TlsError> {
        let settings = &config.tls;
        if !settings.is_on() {
            return Ok(None);
        }
        // Taken before the files are read: what changes in between is seen to have changed.
        let stamps = stamps(settings);
        let live = load(settings)?;
        tell_term(&live);
        Ok(Some(Arc::new(Self {
            settings: settings.clone(),
            live: Mutex::new(Kept { live, generation: 0, stamps: Some(stamps), refused: None }),
            reading: Mutex::new(()),
            handshakes: Arc::new(Allowance::new(config.bounds.tls_handshakes_max.into())),
            figures: TlsFigures::default(),
        })))
    }

    /// Reads the files again, whether they seem to have changed or not.
    ///
    /// Connections that are there go on with what they began with, unless the certificate of their client would be let
    /// in no more.
    ///
    /// Concurrency: one reads at a time; handshakes don't wait for it.
    pub fn reload(&self) -> Reload {
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.kept().refused = None;
        let stamps = stamps(&self.settings);
        self.read(stamps)
    }

    /// Reads the files again if they changed since they were read last, or if that failed by what
    /// may have passed.
    pub(super) fn reload_if_changed(&self) -> Reload {
        let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.settings);
        let is_same = self.kept().stamps.as_ref() == Some(&stamps);
        if is_same { Reload::Same } else { self.read(stamps) }
    }

    fn read(&self, stamps: Stamps) -> Reload {
        let loaded = load(&self.settings).and_then(|live| self.must_hold(live));
        let mut kept = self.kept();
        // Nothing is written to the log while handshakes wait for what is kept.
        match loaded {
            Ok(live) => {
                let told = live.clone();
                let generation = kept.generation + 1;
                *kept = Kept { live, generation, stamps: Some(stamps), refused: None };
                drop(kept);
                tell_term(&told);
                self.figures.reloads.add(1);
                tracing::info!("certificates were read again; new connections get them");
                Reload::Done
            }
            Err(error) => {
                kept.stamps = (!error.is_passing).then_some(stamps);
                // The same trouble is told once, not at every look.
                let text = error.to_string();
                let is_told = kept.refused.as_ref() == Some(&text);
                kept.refused = Some(text);
                drop(kept);
                if !is_told {
                    self.figures.reloads_failed.add(1);
                    tracing::error!(%error, "certificates can't be used; the ones before stay");
                }
                Reload::Refused
            }
        }
    }

    /// A certificate that holds is not given up for one that doesn't. It is looked at again: its
    /// time may come, or that of the one before may end.
    fn must_hold(&self, live: Live) -> Result<Live, TlsError> {
        let now = wall_clock().as_secs();
        if live.term.holds_at(now) || !self.kept().live.term.holds_at(now) {
            return Ok(live);
        }
        let what = if now < live.term.not_before {
            "it isn't valid yet, and the certificate before it is"
        } else {
            "it is over, and the certificate before it is not"
        };
        Err(error(&self.settings, Which::Certificate, what.to_owned(), true))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a handshake is done by, and the generation of its files.
    fn server_config(&self, speaks: Speaks) -> (Arc<ServerConfig>, u64) {
        let kept = self.kept();
        let config = match speaks {
            Speaks::Protocol => &kept.live.protocol,
            Speaks::Http => &kept.live.http,
        };
        (Arc::clone(config), kept.generation)
    }

    /// When the certificate ends that new connections get, seconds since the Unix epoch.
    pub(super) fn certificate_ends(&self) -> u64 {
        self.kept().live.term.not_after
    }

    pub(super) fn figures(&self) -> &TlsFigures {
        &self.figures
    }

    /// Handshakes now.
    pub(super) fn handshakes(&self) -> u64 {
        self.handshakes.used()
    }
}

/// Whether certificates hold is asked of the wall clock, as the library does it: the server's own
/// time may be kept back on purpose, and has nothing to do with who signed what.
fn wall_clock() -> UnixTime {
    DefaultTimeProvider.current_time().unwrap_or(UnixTime::since_unix_epoch(Default::default()))
}

/// A certificate that does not hold is presented all the same: its clients will say so, and a clock
/// that is wrong must not keep the server from starting.
fn tell_term(live: &Live) {
    let now = wall_clock().as_secs();
    let term = live.term;
    if now > term.not_after {
        let days = (now - term.not_after) / DAY_SECONDS;
        tracing::warn!(days, "the certificate of tls_certificate is over: clients refuse it");
    } else if now < term.not_before {
        let days = (term.not_before - now) / DAY_SECONDS;
        tracing::warn!(
            days,
            "the certificate of tls_certificate isn't valid yet: clients refuse it"
        );
    }
}

const DAY_SECONDS: u64 = 86_400;
