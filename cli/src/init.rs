//! `sluice init`: writes a commented configuration to start from.

use std::{fs::OpenOptions, io::Write};

use crate::{
    arguments::InitOptions,
    output::{self, CommandError},
};

const TEMPLATE: &str = include_str!("init.yaml");

/// Writes the file; never over an existing one.
pub(crate) fn init(options: &InitOptions) -> Result<(), CommandError> {
    if options.path.as_os_str() == "-" {
        return output::print(TEMPLATE);
    }
    let path = options.path.display();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&options.path)
        .and_then(|mut file| file.write_all(TEMPLATE.as_bytes()))
        .map_err(|error| {
            CommandError::io(
                format!("cannot write {path}; name a new file in a directory that exists"),
                error,
            )
        })?;
    output::print(&format!("Wrote {path}. Next: sluice run --config {path}\n"))
}
