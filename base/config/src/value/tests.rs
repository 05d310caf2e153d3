//! Single values.
