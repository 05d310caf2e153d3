//! The folder that holds the logins: `logins` below the person's own, mode 0700, a file of mode 0600
//! each. What others can read is not used: they may have read the tokens, or put in their own.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Kept, LoginError};

/// The largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;
/// How long another process may hold a login: two documents and a refresh, each at its limit, and more.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a lock is tried.
const LOOK: Duration = Duration::from_millis(25);
/// The file that names the login that is used when none is named.
const DEFAULT: &str = "default";

/// The folder with the logins.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// Held while one process spends a refresh token. The system lets go of it when the process ends.
pub(crate) struct Lock(#[expect(dead_code, reason = "it is held, not read")] File);

/// Whether `name` can name a login: 1 to 63 of letters, digits, `-`, `_` and `.`, not first a dot.
pub fn is_a_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=63).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

impl Folder {
    /// The person's own: `$XDG_CONFIG_HOME/portcullis/logins` or `~/.config/portcullis/logins`.
    ///
    /// # Errors
    /// [`LoginError::NoFolder`] when the environment names no place.
    pub fn of_person() -> Result<Self, LoginError> {
        config::person_folder().map(|folder| Self(folder.join("logins"))).ok_or(LoginError::NoFolder)
    }

    /// Another one.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The names of the logins, in order.
    ///
    /// # Errors
    /// [`LoginError::File`] when the folder cannot be read, or others can.
    pub fn names(&self) -> Result<Vec<String>, LoginError> {
        if !self.is_safe()? {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&self.0).map_err(|fault| said(&self.0, &fault))?;
        let name = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".json").filter(|name| is_a_name(name)).map(str::to_owned)
        };
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// The name of the login that is used when none is named.
    ///
    /// # Errors
    /// [`LoginError::File`] as for [`Folder::read`].
    pub fn default_name(&self) -> Result<Option<String>, LoginError> {
        let text = self.private(&self.0.join(DEFAULT))?;
        Ok(text.map(|text| text.trim().to_owned()).filter(|name| is_a_name(name)))
    }

    /// Makes `name` the login that is used when none is named.
    ///
    /// # Errors
    /// [`LoginError::File`] when it cannot be written.
    pub fn make_default(&self, name: &str) -> Result<(), LoginError> {
        self.replace(&self.0.join(DEFAULT), name.as_bytes())
    }

    /// The login of this name, if there is one.
    ///
    /// # Errors
    /// [`LoginError::File`] when it cannot be read, or others can read it.
    pub fn read(&self, name: &str) -> Result<Option<Kept>, LoginError> {
        let path = self.file(name, "json")?;
        let Some(text) = self.private(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|fault| LoginError::File {
            path,
            why: format!("this is no login of this program ({fault}): remove it and log in again"),
        })
    }

    /// Puts a login in the place of what is kept under this name, all at once.
    ///
    /// # Errors
    /// [`LoginError::File`] when it cannot be written.
    pub fn write(&self, name: &str, kept: &Kept) -> Result<(), LoginError> {
        let path = self.file(name, "json")?;
        let text = serde_json::to_vec_pretty(kept)
            .map_err(|fault| LoginError::File { path: path.clone(), why: fault.to_string() })?;
        self.replace(&path, &zeroize(text))
    }

    /// Removes a login, and says whether it was there.
    ///
    /// # Errors
    /// [`LoginError::File`] when it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, LoginError> {
        let path = self.file(name, "json")?;
        if self.default_name()?.as_deref() == Some(name) {
            let default = self.0.join(DEFAULT);
            std::fs::remove_file(&default).map_err(|fault| said(&default, &fault))?;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(false),
            Err(fault) => Err(said(&path, &fault)),
        }
    }

    /// Waits until no other process is at this login.
    ///
    /// # Errors
    /// [`LoginError::Locked`] when that takes longer than a refresh can.
    pub(crate) async fn lock(&self, name: &str) -> Result<Lock, LoginError> {
        self.make()?;
        let path = self.file(name, "lock")?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(|fault| said(&path, &fault))?;
        let tried = tokio::time::timeout(PATIENCE, async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
                    Err(TryLockError::Error(fault)) => return Err(said(&path, &fault)),
                }
            }
        });
        match tried.await {
            Ok(held) => held.map(|()| Lock(file)),
            Err(_) => Err(LoginError::Locked { path, after: PATIENCE }),
        }
    }

    fn file(&self, name: &str, kind: &str) -> Result<PathBuf, LoginError> {
        if is_a_name(name) {
            return Ok(self.0.join(format!("{name}.{kind}")));
        }
        Err(LoginError::Choice(format!(
            "`{}` is no name of a login: write 1 to 63 of letters, digits, `-`, `_` and `.`",
            crate::answer::shown(name)
        )))
    }

    /// Makes the folder where it is not there, and sees that it is the person's alone.
    fn make(&self) -> Result<(), LoginError> {
        if !self.is_safe()? {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&self.0).map_err(|fault| said(&self.0, &fault))?;
            self.is_safe()?;
        }
        Ok(())
    }

    /// Whether the folder is there; an error when it is not the person's alone.
    fn is_safe(&self) -> Result<bool, LoginError> {
        match std::fs::metadata(&self.0) {
            Ok(found) => own(&self.0, &found, "700").map(|()| true),
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(false),
            Err(fault) => Err(said(&self.0, &fault)),
        }
    }

    /// The text of a file that is the person's alone.
    fn private(&self, path: &Path) -> Result<Option<String>, LoginError> {
        if !self.is_safe()? {
            return Ok(None);
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(said(path, &fault)),
        };
        // Of the file that is open, not of the one that bears its name a moment later.
        let found = file.metadata().map_err(|fault| said(path, &fault))?;
        own(path, &found, "600")?;
        let mut text = String::new();
        file.take(LIMIT).read_to_string(&mut text).map_err(|fault| said(path, &fault))?;
        Ok(Some(text))
    }

    /// Writes beside and renames: a reader sees the old file or the new one, whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), LoginError> {
        self.make()?;
        let write = || {
            // It has mode 0600 from the first moment.
            let mut beside = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.0)?;
            beside.write_all(bytes)?;
            beside.as_file().sync_all()?;
            beside.persist(path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|fault| said(path, &fault))
    }
}

/// The text with the tokens, cleared when it goes.
fn zeroize(text: Vec<u8>) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(text)
}

fn own(path: &Path, found: &std::fs::Metadata, mode: &str) -> Result<(), LoginError> {
    let refuse = |why: String| LoginError::File { path: path.to_owned(), why };
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return Err(refuse(format!("it belongs to the user {}, not to you ({me}); remove it", found.uid())));
    }
    if found.mode() & 0o077 != 0 {
        return Err(refuse(format!(
            "others can use it (mode {:o}), so its tokens may be known: run `chmod {mode} {}`, and log in again if \
             they were ever read",
            found.mode() & 0o777,
            path.display()
        )));
    }
    Ok(())
}

fn said(path: &Path, fault: &std::io::Error) -> LoginError {
    LoginError::File { path: path.to_owned(), why: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use jiff::Timestamp;

    use super::*;
    use crate::profile::tests::{profile, tokens};

    fn kept(access: &str) -> Kept {
        Kept::new(profile(), tokens(access, Some("r"), Timestamp::UNIX_EPOCH, 60)).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folder_are_the_persons_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("portcullis/logins");
        let folder = Folder::at(&path);
        assert!(folder.read("one").unwrap().is_none() && folder.names().unwrap().is_empty());
        folder.write("one", &kept("a")).unwrap();
        folder.make_default("one").unwrap();
        let file = path.join("one.json");
        assert_eq!((mode(&path), mode(&file), mode(path.parent().unwrap())), (0o700, 0o600, 0o700));
        assert_eq!(folder.default_name().unwrap().as_deref(), Some("one"));

        for (at, bad, good) in [(&file, 0o640, 0o600), (&file, 0o604, 0o600), (&path, 0o750, 0o700)] {
            fs::set_permissions(at, Permissions::from_mode(bad)).unwrap();
            let fault = folder.read("one").unwrap_err().to_string();
            assert!(fault.contains("others can use it") && fault.contains("chmod"), "{fault}");
            fs::set_permissions(at, Permissions::from_mode(good)).unwrap();
            assert!(folder.read("one").unwrap().is_some());
        }
        // A file that was opened to others is closed again by the next write.
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        folder.write("one", &kept("b")).unwrap();
        assert_eq!(mode(&file), 0o600);

        assert!(folder.remove("one").unwrap() && !folder.remove("one").unwrap());
        assert_eq!(folder.default_name().unwrap(), None);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path().join("logins"));
        for bad in ["", ".", "..", "../x", "a/b", ".hidden", "a b", "a\0", "ü", &"x".repeat(64)] {
            assert!(folder.write(bad, &kept("a")).is_err(), "{bad:?}");
            assert!(folder.read(bad).is_err(), "{bad:?}");
        }
        folder.write("gateway.example.test-8443", &kept("a")).unwrap();
        assert_eq!(folder.names().unwrap(), ["gateway.example.test-8443"]);
    }

    #[test]
    fn a_reader_never_sees_half_a_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path().join("logins"));
        folder.write("one", &kept("a")).unwrap();
        let long = "x".repeat(100_000);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..50 {
                    folder.write("one", &kept(if round % 2 == 0 { "a" } else { &long })).unwrap();
                }
            });
            while !writer.is_finished() {
                assert!(folder.read("one").unwrap().is_some());
            }
        });
    }

    #[tokio::test]
    async fn one_holds_the_lock_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path().join("logins"));
        let held = folder.lock("one").await.unwrap();
        let other = folder.lock("two").await.unwrap();
        let waiting = tokio::spawn({
            let folder = folder.clone();
            async move { folder.lock("one").await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop((held, other));
        waiting.await.unwrap().unwrap();
    }
}
