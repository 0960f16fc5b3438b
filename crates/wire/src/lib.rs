//! The only place that knows JSON: commands in, replies and events out.
