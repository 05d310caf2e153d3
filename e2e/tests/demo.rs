//! The demonstration that a newcomer sees first.

use std::process::Command;

use e2e::parts::portcullis;

#[test]
fn the_demo_does_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(portcullis()).args(["demo", "--check"]).current_dir(folder.path()).output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(!said.is_empty(), "a check that says nothing convinces nobody");
}
