//! Holds the benches; see `benches/` and `peers/` beside this file.

#![forbid(unsafe_code)]
