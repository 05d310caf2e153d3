//! What a running process holds in its memory, to look for what must not be there.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::FileExt;
use std::process::Command;

/// A process's core, by `gcore`; what [`mappings`] gives where that is not installed.
///
/// # Panics
/// When neither can be had.
pub fn core(pid: i32) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prefix = folder.path().join("core");
    let made = Command::new("gcore").args(["-a", "-o"]).arg(&prefix).arg(pid.to_string()).output();
    match made {
        Ok(output) if output.status.success() => {
            fs::read(folder.path().join(format!("core.{pid}"))).expect("gcore wrote the core")
        }
        _ => mappings(pid),
    }
}

/// Every byte of a process's memory that can be read, by `/proc/PID/mem` (proc_pid_mem(5)). Quicker than a
/// core.
///
/// # Panics
/// When it cannot be read.
pub fn mappings(pid: i32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("a process of ours");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the right to read its memory");
    let mut image = Vec::new();
    for line in maps.lines() {
        let mut columns = line.split_whitespace();
        let (Some(range), Some(rights)) = (columns.next(), columns.next()) else { continue };
        let ends = range.split_once('-').map(|(from, to)| [from, to].map(|at| u64::from_str_radix(at, 16)));
        let (true, Some([Ok(from), Ok(to)])) = (rights.starts_with('r'), ends) else { continue };
        let mut bytes = vec![0; usize::try_from(to - from).expect("a mapping fits")];
        // Mappings of the kernel's own cannot be read, and hold nothing of ours.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            image.extend(bytes);
        }
    }
    assert!(!image.is_empty(), "nothing of the memory could be read");
    image
}

/// Whether bytes are somewhere in others.
pub fn holds(image: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(image, needle).is_some()
}

/// A number that nobody could know before.
pub fn chance() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64) | half()
}
