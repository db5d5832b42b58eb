//! `sluice print-config`: what the sources come to, merged and expanded.

use sluice_pipeline::{
    component::Registry,
    config::print::{self, Format, Secrets},
};

use crate::{
    arguments::{PrintConfigOptions, PrintFormat, PrintMode},
    configuration::Configuration,
    output::{self, CommandError},
};

pub(crate) fn print(options: &PrintConfigOptions, registry: &Registry) -> Result<(), CommandError> {
    let mut configuration = Configuration::load(&options.configuration, registry)?;
    if options.validate {
        configuration.plan(registry)?;
    }
    let secrets = match options.mode {
        PrintMode::Redacted => Secrets::Masked,
        PrintMode::Unredacted => Secrets::Shown,
    };
    let format = match options.format {
        PrintFormat::Yaml => Format::Yaml,
        PrintFormat::Json => Format::Json,
    };
    output::print(&print::print(configuration.tree(), registry, secrets, format))
}
