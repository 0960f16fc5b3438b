//! The one door: a caller and a command in, a reply and events out.
