//! Step one: listeners, TLS, and the limits a connection lives under.
