//! Step five: Cedar decides each operation.
