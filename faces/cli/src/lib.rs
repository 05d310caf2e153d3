//! The face operators meet: one file a verb.
