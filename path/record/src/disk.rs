//! The few things the ledger asks of a disk, at one place so that tests can make it fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, StatxFlags};

/// What the ledger asks of a disk.
pub(crate) trait Disk: Send + Sync {
    /// Makes a file that is not there yet.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Writes all of `bytes` at `offset`. After an error any part of them may be written.
    fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file off at `length`.
    fn truncate(&self, file: &File, length: u64) -> io::Result<()>;
    /// Waits until the disk says it has the file's bytes.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, offset)?;
        // Into a file without a name one may write for ever, and nobody will read it.
        if names(file)? == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the ledger's file was removed"));
        }
        Ok(())
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// How many names a file has. Asked for nothing else: whoever asks a file's times makes the kernel keep them
/// exact, and then every write costs half as much again.
fn names(file: &File) -> io::Result<u64> {
    match rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK) {
        Ok(told) => Ok(u64::from(told.stx_nlink)),
        // An old kernel, or a sandbox of an old make, does not know the question.
        Err(_) => Ok(file.metadata()?.nlink()),
    }
}

/// Makes a new entry of `dir` survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_takes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = RealDisk.create(&path).unwrap();
        RealDisk.write(&file, 0, b"seen").unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(RealDisk.write(&file, 4, b"lost").is_err());
    }
}
