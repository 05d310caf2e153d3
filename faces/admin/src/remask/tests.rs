//! Masking again what was recorded.
