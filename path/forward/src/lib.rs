//! Step eight: the judged bytes go upstream under a credential the caller never sees.
