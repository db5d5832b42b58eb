//! The files in `configs/`: each is valid for this build.

use std::{fs, path::Path, process::Command};

use crate::support::executable;

#[test]
fn every_ready_made_configuration_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let output = Command::new(executable()).arg("validate").arg("--config").arg(&path).output().unwrap();
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        count += 1;
    }
    assert!(count >= 6, "{count} files");
}
