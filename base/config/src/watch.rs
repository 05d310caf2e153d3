//! Notices that the file or a policy has changed, by what is in them.
//!
//! Contents are compared, not times: editors, mounts and deployments all write in ways of their own, and a
//! file that is replaced by its equal is no change.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hash, Hasher};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::{AgentConfig, Config, MAX_FILE_BYTES};

/// Most policy files that are looked at.
const MOST_POLICIES: usize = 10_000;

/// A configuration file, and its policies if it is a gateway's, as they were when last looked at.
#[derive(Debug)]
pub struct Watched {
    file: PathBuf,
    policies: Option<PathBuf>,
    /// Made anew for each watch, so that nobody can prepare two files that look the same to it.
    keys: RandomState,
    /// None when the file had changed before the first look.
    seen: Option<u64>,
}

impl Watched {
    /// Begins to watch `file` and the policies that `config`, read from it, names. What is there now counts
    /// as seen, so read the policies after this. A file that says other than `config` by now counts as
    /// changed.
    pub fn open(file: &Path, config: &Config) -> Self {
        let mut watched = Self::of(file, Some(config.policies.dir.clone()));
        watched.see(config);
        watched
    }

    /// Begins to watch an agent's `file`, which `config` was read from.
    pub fn open_agents(file: &Path, config: &AgentConfig) -> Self {
        let mut watched = Self::of(file, None);
        let now = watched.look();
        watched.seen = crate::load_agent(file).is_ok_and(|read| read == *config).then_some(now);
        watched
    }

    fn of(file: &Path, policies: Option<PathBuf>) -> Self {
        Self { file: file.to_owned(), policies, keys: RandomState::new(), seen: None }
    }

    /// Goes over to the policies that a changed `config` names; read them after this.
    pub fn follow(&mut self, config: &Config) {
        if self.policies.as_ref() != Some(&config.policies.dir) {
            self.policies = Some(config.policies.dir.clone());
            self.see(config);
        }
    }

    fn see(&mut self, config: &Config) {
        let now = self.look();
        self.seen = crate::load(&self.file).is_ok_and(|read| read == *config).then_some(now);
    }

    /// Whether anything is other than at the last call. Reads the files: call it from a thread that may
    /// wait.
    pub fn changed(&mut self) -> bool {
        let now = Some(self.look());
        std::mem::replace(&mut self.seen, now) != now
    }

    fn look(&self) -> u64 {
        let mut hasher = self.keys.build_hasher();
        contents(&self.file).hash(&mut hasher);
        match self.policies.as_deref().map(policy_files) {
            None => {}
            Some(Ok(files)) => files.iter().for_each(|file| (file, contents(file)).hash(&mut hasher)),
            Some(Err(kind)) => kind.hash(&mut hasher),
        }
        hasher.finish()
    }
}

/// What is in a file, up to a bound, or why it can't be read. A file beyond the bound is refused on load.
fn contents(path: &Path) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| error.kind())
}

fn policy_files(dir: &Path) -> Result<Vec<PathBuf>, ErrorKind> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| error.kind())?.take(MOST_POLICIES) {
        let path = entry.map_err(|error| error.kind())?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up() -> (tempfile::TempDir, PathBuf, Watched) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("policies")).unwrap();
        std::fs::write(dir.path().join("policies/a.cedar"), "permit(principal, action, resource);").unwrap();
        let file = dir.path().join("portcullis.yaml");
        std::fs::write(&file, crate::reference::SMALL).unwrap();
        let config = crate::load(&file).unwrap();
        let watched = Watched::open(&file, &config);
        (dir, file, watched)
    }

    #[test]
    fn tells_each_change_once() {
        let (dir, file, mut watched) = set_up();
        assert!(!watched.changed());
        let policy = dir.path().join("policies/a.cedar");
        std::fs::write(&policy, "forbid(principal, action, resource);").unwrap();
        assert!(watched.changed());
        assert!(!watched.changed());
        std::fs::rename(&policy, dir.path().join("policies/b.cedar")).unwrap();
        assert!(watched.changed());
        std::fs::write(dir.path().join("policies/c.cedar"), "").unwrap();
        assert!(watched.changed());
        std::fs::write(&file, "listeners: []").unwrap();
        assert!(watched.changed());
        std::fs::remove_file(&file).unwrap();
        assert!(watched.changed());
        std::fs::remove_dir_all(dir.path().join("policies")).unwrap();
        assert!(watched.changed());
        assert!(!watched.changed());
    }

    #[test]
    fn an_equal_file_and_other_files_are_no_change() {
        let (dir, file, mut watched) = set_up();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, crate::reference::SMALL).unwrap();
        std::fs::write(dir.path().join("policies/notes.txt"), "later").unwrap();
        assert!(!watched.changed());
    }

    #[test]
    fn a_file_that_changed_before_the_watch_began_counts_as_changed() {
        let (_dir, file, _) = set_up();
        let config = crate::load(&file).unwrap();
        std::fs::write(&file, format!("{}limits: {{queue: 1}}\n", crate::reference::SMALL)).unwrap();
        let mut watched = Watched::open(&file, &config);
        assert!(watched.changed());
        assert!(!watched.changed());
    }

    #[test]
    fn follows_policies_to_another_folder() {
        let (dir, file, mut watched) = set_up();
        std::fs::create_dir(dir.path().join("other")).unwrap();
        std::fs::write(&file, format!("{}policies: other\n", crate::reference::SMALL)).unwrap();
        assert!(watched.changed());
        watched.follow(&crate::load(&file).unwrap());
        assert!(!watched.changed());
        std::fs::write(dir.path().join("other/a.cedar"), "").unwrap();
        assert!(watched.changed());
    }
}
