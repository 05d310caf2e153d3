//! Step four for HTTP: what a request would do, and how to read what comes back.
