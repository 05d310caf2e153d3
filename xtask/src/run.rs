//! Runs other programs, and says what is going on.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Why a command did not do what it was asked, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Turns an error of the machine into a failure that names what it met.
pub(crate) trait Met<T> {
    fn met(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Met<T> for Result<T, E> {
    fn met(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{what}: {error}")))
    }
}

/// Writes to standard output. A closed pipe is no reason to stop working.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes a failure to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

/// Runs `command` with the terminal as its own.
pub(crate) fn show(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    let status = command.status().met(format!("cannot run `{shown}`"))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{shown}` failed ({status})"))) }
}

/// Runs `command` with its output in the file `log`; when it fails, its last lines are in the failure.
pub(crate) fn quietly(command: &mut Command, log: &Path) -> Result<(), Failure> {
    let shown = shown(command);
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).met(folder.display())?;
    }
    let file = File::create(log).met(log.display())?;
    let also = file.try_clone().met(log.display())?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(also)
        .status()
        .met(format!("cannot run `{shown}`"))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n    ");
    Err(Failure::new(format!("`{shown}` failed ({status}); all of it is in {}\n    {last}", log.display())))
}

/// Runs `command` and gives its standard output, or nothing if it cannot run or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The file a program's name leads to.
pub(crate) fn program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Daemons live where a plain user's PATH does not look.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Says a step's name, does it, says how it went and how long it took.
pub(crate) struct Steps {
    total: usize,
    next: usize,
}

impl Steps {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, next: 1 }
    }

    /// `work` gives a word on what there was to do, such as `ok` or `already there`.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<&'static str, Failure>,
    ) -> Result<(), Failure> {
        say(&format!("[{}/{}] {name} … ", self.next, self.total));
        self.next += 1;
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs();
        match &result {
            Ok(word) => say(&format!("{word} {seconds} s\n")),
            Err(_) => say(&format!("failed {seconds} s\n")),
        }
        result.map(|_| ())
    }
}
