//! Reading JSON that a gateway told, where what is missing is nothing.

use serde_json::Value;

/// A JSON value that was told.
pub(crate) trait Told {
    /// The member `key`; null where there is none.
    fn at(&self, key: &str) -> &Value;
    /// The items of the list `key`; none where there is no list.
    fn list(&self, key: &str) -> &[Value];
}

impl Told for Value {
    fn at(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&Self::Null)
    }

    fn list(&self, key: &str) -> &[Value] {
        self.at(key).as_array().map(Vec::as_slice).unwrap_or_default()
    }
}
