//! How the program makes connections of its own: roots, client certificates, bounded fetches.
