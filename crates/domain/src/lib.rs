//! What presence and private messaging mean: pure, no async, no clock, no I/O.
