//! Lamplight: who is in, and a private word with them.
fn main() {}
