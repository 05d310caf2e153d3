//! Step seven: an operation that needs consent waits for it.
