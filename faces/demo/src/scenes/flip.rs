//! Scene six: one bit of a copy of the record is flipped, and the audit names the place.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use record::{Position, Series};
use tokio::process::Command;

use super::expect;
use crate::error::DemoError;
use crate::ground::Ground;
use crate::screen::Screen;

/// How often it is looked whether the gateway has signed, and how many times.
const POLL: (Duration, u32) = (Duration::from_millis(50), 200);

pub(crate) async fn play(ground: &mut Ground, screen: &mut Screen<'_>) -> Result<(), DemoError> {
    let failed = |fault: &dyn std::fmt::Display| DemoError::new("auditing the record", fault);
    let ledger = ground.ledger();
    record::ask_for_checkpoint(&ledger).map_err(|e| failed(&e))?;
    for _ in 0..POLL.1 {
        if !record::is_asked(&ledger) {
            break;
        }
        tokio::time::sleep(POLL.0).await;
    }
    let copied = ground.dir().join("copy-of-the-ledger");
    copy(&ledger, &copied).map_err(|e| failed(&e))?;
    let (status, said) = audit(ground, &copied).await?;
    expect(status == Some(0), "the copy is whole", &said)?;
    screen.plain(&format!("$ portcullis audit verify {}", copied.display()))?;
    screen.plain(first_line(&said))?;

    let (file, frame, byte) = flip(&copied).map_err(|e| failed(&e))?;
    screen.plain(&format!("Now one bit of byte {byte} of {file} is flipped."))?;
    let (status, said) = audit(ground, &copied).await?;
    screen.plain(first_line(&said))?;
    expect(status == Some(1), "the audit says no", &said)?;
    let place = format!("{file} at byte {frame}");
    expect(said.contains(&place), "the audit names the place", &said)?;
    Ok(screen.good("The audit names the frame that was changed. Signed checkpoints, kept elsewhere, show skilled edits too.")?)
}

fn first_line(said: &str) -> &str {
    said.lines().next().unwrap_or_default()
}

/// Runs the audit on a copy, as an auditor would.
async fn audit(ground: &Ground, ledger: &Path) -> Result<(Option<i32>, String), DemoError> {
    let mut command = Command::new(ground.program());
    let output = command.args([OsStr::new("audit"), OsStr::new("verify"), ledger.as_os_str()]).output().await;
    let output = output.map_err(|fault| DemoError::new("running the audit", fault))?;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.code(), said))
}

/// Copies the record beside the running gateway: what tells of leaves before the leaves, and bodies last.
fn copy(ledger: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    fs::copy(ledger.join("checkpoints"), to.join("checkpoints"))?;
    for folder in ["leaves", "bodies/default"] {
        fs::create_dir_all(to.join(folder))?;
        for entry in fs::read_dir(ledger.join(folder))? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(folder).join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Flips a bit in the last byte of the longest body frame. Says in which file, where that frame begins, and
/// which byte it was.
fn flip(ledger: &Path) -> io::Result<(String, u64, u64)> {
    let bodies = Series::bodies(ledger, record::DEFAULT_CLASS);
    let mut reader = bodies.read(Position::default());
    let mut longest: Option<(Position, u64)> = None;
    while let Some((at, frame)) = reader.next().map_err(io::Error::other)? {
        if longest.is_none_or(|(found, end)| frame.end() - at.offset > end - found.offset) {
            longest = Some((at, frame.end()));
        }
    }
    let (at, end) = longest.ok_or_else(|| io::Error::other("the record holds no bodies"))?;
    let path = bodies.path(at.segment);
    let mut bytes = fs::read(&path)?;
    let byte = end.saturating_sub(1);
    let changed = usize::try_from(byte).ok().and_then(|byte| bytes.get_mut(byte));
    *changed.ok_or_else(|| io::Error::other("the file became shorter"))? ^= 1;
    fs::write(&path, bytes)?;
    let file = path.strip_prefix(ledger).unwrap_or(&path).display().to_string();
    Ok((file, at.offset, byte))
}
