//! Data classes: kinds of sensitive value, which nest.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A kind of sensitive value, as dotted words: `credential.aws` lies in `credential`. Who may see a
/// class may see every class in it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataClass(Arc<str>);

/// Why a text is no data class.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is no data class: write one to four words of a-z, 0-9 and -, joined by dots, as in `pii.email`"
)]
pub struct DataClassError(String);

impl DataClass {
    /// Checks and takes a dotted name.
    ///
    /// # Errors
    /// [`DataClassError`] when `name` is not one to four dotted words of at most 40 bytes each.
    pub fn new(name: &str) -> Result<Self, DataClassError> {
        let word = |w: &str| {
            (1..=40).contains(&w.len())
                && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if name.split('.').count() <= 4 && name.split('.').all(word) {
            Ok(Self(name.into()))
        } else {
            Err(DataClassError(name.to_owned()))
        }
    }

    /// The dotted name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The class this one lies in directly, if any: `credential` for `credential.aws`.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('.').map(|(parent, _)| Self(parent.into()))
    }

    /// Whether the last characters of a masked value of this class may be shown. Never those of a
    /// credential: a key printed again and again, one letter shorter each time, would show all of itself.
    /// Nor where there are none, as in an image.
    pub fn may_show_end(&self) -> bool {
        !matches!(self.0.split('.').next(), Some("credential" | "opaque" | "model"))
    }
}

impl TryFrom<String> for DataClass {
    type Error = DataClassError;
    fn try_from(name: String) -> Result<Self, DataClassError> {
        Self::new(&name)
    }
}

impl From<DataClass> for String {
    fn from(class: DataClass) -> Self {
        class.0.to_string()
    }
}

impl fmt::Display for DataClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DataClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
