//! Cursors: places in a list, which callers carry but don't read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Code, Refusal};

/// What a cursor's inside begins with: the list it belongs to is part of it.
fn mark(list: &str) -> String {
    format!("1 {list} ")
}

/// A place of `list`, as callers carry it.
pub(crate) fn cursor(list: &str, place: &str) -> String {
    URL_SAFE_NO_PAD.encode(mark(list) + place)
}

/// The place that a cursor stands for.
///
/// # Errors
/// A refusal when it is no cursor, or one of another list.
pub(crate) fn place(list: &str, cursor: &str) -> Result<String, Refusal> {
    let inside = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    inside.as_deref().and_then(|inside| inside.strip_prefix(&mark(list))).map(str::to_owned).ok_or_else(
        || {
            Refusal::new(Code::RequestMalformed)
                .because("The cursor is none of this list: take `next` of the page before.")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_by_its_own_list_alone() {
        let text = cursor("sessions", "17-abc");
        assert_eq!(place("sessions", &text).unwrap(), "17-abc");
        assert!(place("callers", &text).is_err());
        for odd in ["", "17-abc", "%%", "AAAA"] {
            assert!(place("sessions", odd).is_err(), "{odd}");
        }
    }
}
