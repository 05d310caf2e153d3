//! The files that `portcullis init` writes: a set-up to begin with.
