//! The two files that pages are dressed with. Their addresses change with their content, so that browsers
//! may keep them.

/// The stylesheet's path. The version in its query changes with its text.
pub(crate) const STYLE: &str = "/style.css";
/// The stylesheet.
pub(crate) const STYLE_TEXT: &str = include_str!("../assets/style.css");
/// The mark's path.
pub(crate) const MARK: &str = "/mark.svg";
/// The mark.
pub(crate) const MARK_TEXT: &str = include_str!("../assets/mark.svg");

/// The stylesheet's address for pages of this build.
pub(crate) fn style() -> String {
    versioned(STYLE, STYLE_TEXT)
}

/// The mark's address for pages of this build.
pub(crate) fn mark() -> String {
    versioned(MARK, MARK_TEXT)
}

fn versioned(path: &str, text: &str) -> String {
    let hash = crate::secret::hash(text);
    format!("{path}?v={}", hash.get(..12).unwrap_or_default())
}
