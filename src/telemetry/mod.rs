//! Metrics table and tracing set-up. Measures, never decides.
