//! addrd: an address daemon.
