//! Step two: a verified caller from a short-lived token, every time.
