//! Holds the benches; see `benches/` and `peers/` beside this file.
