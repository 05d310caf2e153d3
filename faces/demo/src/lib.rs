//! The first run: an embedded identity provider and model, and scenes that show the main job.
