//! Routes: methods and a path pattern.

use http::Method;

use super::Wrong;
use crate::fault::shown;

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Methods joined by commas, a blank, and a path pattern.
pub(crate) fn route(text: &str) -> Result<(Vec<Method>, String), Wrong> {
    let Some((words, path)) = text.split_once(' ') else {
        return Err(format!("{} is not a method and a path", shown(text)));
    };
    let mut methods = Vec::new();
    for word in words.split(',') {
        match METHODS.into_iter().find(|method| method.as_str() == word) {
            None => return Err(format!("{} is no method that can be routed", shown(word))),
            Some(method) if methods.contains(&method) => {
                return Err(format!("{} is written twice", shown(word)));
            }
            Some(method) => methods.push(method),
        }
    }
    check_path(path)?;
    Ok((methods, path.to_owned()))
}

/// Whether a path could be one that arrives: what the gateway refuses or rewrites would never match.
fn check_path(path: &str) -> Result<(), Wrong> {
    let fault = |why: &str| Err(format!("the path {} {why}", shown(path)));
    let Some(below) = path.strip_prefix('/') else { return fault("does not begin with `/`") };
    if path.len() > 1024 {
        return Err("the path is longer than 1024 bytes".to_owned());
    }
    if path.contains(['%', '?', '#', '\\', ';']) || !path.bytes().all(|b| b.is_ascii_graphic()) {
        return fault("holds a character that no plain path holds");
    }
    let segments: Vec<&str> = below.split('/').collect();
    let mut names = Vec::new();
    for (i, segment) in segments.iter().enumerate() {
        let last = i + 1 == segments.len();
        if matches!(*segment, "." | "..") || (segment.is_empty() && !last) {
            return fault("holds `//`, `.` or `..`");
        }
        let Some(inside) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            match segment.contains(['{', '}']) {
                true => return fault("has a `{…}` that is not a whole segment"),
                false => continue,
            }
        };
        let name = inside.strip_suffix("...").unwrap_or(inside);
        if name != inside && !last {
            return fault("has a `{…...}` before its end");
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return fault("has a `{…}` without a name of letters, digits and `_`");
        }
        if names.contains(&name) {
            return fault("has two `{…}` of one name");
        }
        names.push(name);
    }
    Ok(())
}
