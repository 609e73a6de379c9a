//! The wire protocol of addrd.
