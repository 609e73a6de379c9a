//! Queues and atomics of addrd.
