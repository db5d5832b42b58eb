//! `sluice convert`: makes a configuration of one that another program has.

mod satellite;

use std::fs;

use sluice_pipeline::config::{self, Problems};

use crate::{
    arguments::{ConvertOptions, Origin},
    output::{self, CommandError},
};

/// Prints the configuration. What has no counterpart is a comment in it.
pub(crate) fn convert(options: &ConvertOptions) -> Result<(), CommandError> {
    let name = options.file.display().to_string();
    let bytes =
        fs::read(&options.file).map_err(|error| CommandError::io(format!("cannot read {name}"), error))?;
    let mut problems = Problems::default();
    let node = config::parse_bytes(&name, &bytes, &mut problems)
        .ok_or_else(|| CommandError::Configuration(problems.to_string()))?;
    output::print(&match options.from {
        Origin::Satellite => satellite::convert(&node).map_err(CommandError::Other)?,
    })
}
