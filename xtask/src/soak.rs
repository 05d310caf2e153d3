//! `cargo xtask soak`: the property tests with far more cases than `test` gives them.

use std::process::Command;

use crate::Project;
use crate::run::{Failure, show};

/// Some millions of chunkings: each case of masking's tests is cut in four ways or more, and they multiply
/// the count by ten.
const CASES: &str = "100000";

/// `CRATE [--cases N]`: every property test of a crate, without a limit of time.
pub(crate) fn soak(project: &Project, arguments: &[&str]) -> Result<(), Failure> {
    let (package, cases) = match arguments {
        [package] => (*package, CASES),
        [package, "--cases", cases] => (*package, *cases),
        _ => return Err(Failure::new("usage: cargo xtask soak CRATE [--cases N]")),
    };
    let mut run = Command::new("cargo");
    run.current_dir(&project.root).env("PROPTEST_CASES", cases);
    // The optimised profile would build everything anew; the development one optimises what masks.
    show(run.args(["test", "--package", package, "--lib"]))
}
