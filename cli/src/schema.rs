//! `sluice schema`: the JSON Schema of configuration files.

use sluice_pipeline::{component::Registry, config};

use crate::output::{self, CommandError};

pub(crate) fn print(registry: &Registry) -> Result<(), CommandError> {
    let schema = config::schema::of(registry);
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| CommandError::Other(format!("cannot print the schema: {error}")))?;
    output::print(&(text + "\n"))
}
