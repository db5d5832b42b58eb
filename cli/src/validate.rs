//! `sluice validate`: checks a configuration as far as that goes without running it.

use sluice_pipeline::component::Registry;

use crate::{arguments::ConfigurationOptions, configuration::Configuration, output::CommandError};

/// Silent if the configuration is fine; warnings go to standard error.
pub(crate) fn validate(options: &ConfigurationOptions, registry: &Registry) -> Result<(), CommandError> {
    let mut configuration = Configuration::load(options, registry)?;
    configuration.plan(registry)?;
    configuration.print_warnings();
    Ok(())
}
