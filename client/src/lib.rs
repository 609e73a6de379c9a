//! Native asynchronous client of addrd.
