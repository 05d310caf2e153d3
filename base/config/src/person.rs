//! Where the person who runs the program keeps settings of their own.

use std::path::PathBuf;

/// The person's folder for this program: `portcullis` below `$XDG_CONFIG_HOME`, or below `~/.config` (XDG
/// Base Directory Specification). It need not be there. None when neither variable gives an absolute path.
pub fn person_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(base.join("portcullis"))
}
