//! Step three: the normalised path, and the resource it names.
