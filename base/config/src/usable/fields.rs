//! What a resource says of the data in its answers and requests.

/// What becomes of values in a request that policy does not disclose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disclose {
    /// They are masked.
    Mask,
    /// The request is refused.
    Refuse,
}
