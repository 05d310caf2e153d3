//! The local way in for tools that cannot keep a token fresh.
