//! Space set aside on the disk, given up piece by piece so that open exchanges can be sealed when
//! nothing else fits any more.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::disk::Disk;

/// A file that holds space.
pub(crate) struct Reserve {
    file: File,
    size: u64,
    held: u64,
}

impl Reserve {
    /// Opens the reserve at `path`; [`Reserve::fill`] makes it whole.
    pub(crate) fn open(path: &Path, size: u64) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let held = file.metadata()?.len();
        let mut reserve = Self { file, size, held };
        if held > size {
            reserve.file.set_len(size)?;
            reserve.held = size;
        }
        Ok(reserve)
    }

    /// Takes what is missing from the disk. An error leaves what could be had.
    pub(crate) fn fill(&mut self, disk: &dyn Disk) -> io::Result<()> {
        // Random bytes, because a file system may store repeated ones in no space at all.
        let mut block = vec![0; 64 << 10];
        aws_lc_rs::rand::fill(&mut block).map_err(|_| io::Error::other("no randomness"))?;
        while self.held < self.size {
            let want = (self.size - self.held).min(64 << 10);
            let bytes = block.get(..usize::try_from(want).unwrap_or(0)).unwrap_or_default();
            if let Err(error) = disk.write(&self.file, self.held, bytes) {
                let _ = disk.truncate(&self.file, self.held);
                return Err(error);
            }
            self.held += want;
        }
        Ok(())
    }

    /// Gives back at least `bytes`. False if nothing is held any more.
    pub(crate) fn release(&mut self, disk: &dyn Disk, bytes: u64) -> bool {
        if self.held == 0 {
            return false;
        }
        let left = self.held.saturating_sub(bytes.max(64 << 10));
        if disk.truncate(&self.file, left).is_err() {
            return false;
        }
        self.held = left;
        true
    }
}
