//! Suites every adapter of a port must pass.
