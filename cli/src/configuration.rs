//! The configuration that commands work on: loaded, its structure and telemetry read, its graph planned.

use std::path::PathBuf;

use sluice_pipeline::{
    Signal,
    component::Registry,
    config::{self, Document, Node, Problems, Severity, Source, System, telemetry::Telemetry},
    graph::Plan,
    telemetry::logs::LogSettings,
};
use tracing::warn;

use crate::{
    arguments::ConfigurationOptions,
    gates::Gates,
    output::{CommandError, complain},
};

/// A configuration whose structure is sound; its graph may still be wrong.
pub(crate) struct Configuration {
    tree: Node,
    document: Document,
    telemetry: Telemetry,
    sources: Vec<Source>,
    warnings: Problems,
}

impl Configuration {
    /// Reads, merges and expands the sources.
    pub(crate) fn load(options: &ConfigurationOptions, registry: &Registry) -> Result<Self, CommandError> {
        let gates = Gates::parse(&options.feature_gates)?;
        let sources = options
            .sources
            .iter()
            .map(|source| source.parse::<Source>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CommandError::Other(error.to_string()))?;
        let mut problems = Problems::default();
        let tree = config::load(&sources, &options.sets, &System, &mut problems);
        let Some(tree) = tree else { return Err(CommandError::Configuration(problems.to_string())) };
        let document = Document::as_far_as_readable(&tree, &mut problems);
        let telemetry = Telemetry::from_node(&document.telemetry, &mut problems);
        check_gates(&document, gates, &mut problems);
        match telemetry {
            Some(telemetry) if !problems.has_errors() => {
                Ok(Self { tree, document, telemetry, sources, warnings: problems })
            }
            _ => {
                // No graph can be planned, but what is wrong with each component is worth telling in the same run.
                Plan::check_components(&document, registry, &mut problems);
                Err(CommandError::Configuration(problems.to_string()))
            }
        }
    }

    /// Plans its graph; every error of the graph and of its components at once.
    pub(crate) fn plan<'r>(&mut self, registry: &'r Registry) -> Result<Plan<'r>, CommandError> {
        let mut problems = std::mem::take(&mut self.warnings);
        match Plan::of(&self.document, registry, &mut problems) {
            Some(plan) => {
                self.warnings = problems;
                Ok(plan)
            }
            None => Err(CommandError::Configuration(problems.to_string())),
        }
    }

    /// The merged and expanded tree.
    pub(crate) fn tree(&self) -> &Node {
        &self.tree
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(crate) fn log_settings(&self) -> LogSettings {
        self.telemetry.logs.settings()
    }

    /// The files that it was read from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.sources
            .iter()
            .filter_map(|source| match source {
                Source::File(path) => Some(path.clone()),
                _ => None,
            })
            .collect()
    }

    /// Prints what is odd about it but lets it run.
    pub(crate) fn print_warnings(&self) {
        if !self.warnings.is_empty() {
            complain(&self.warnings.to_string());
        }
    }

    /// Logs what is odd about it but lets it run.
    pub(crate) fn log_warnings(&self) {
        for diagnostic in self.warnings.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning) {
            let notes = diagnostic.notes.join("; ");
            warn!(at = %diagnostic.location, notes, "{}", diagnostic.message);
        }
    }
}

fn check_gates(document: &Document, gates: Gates, problems: &mut Problems) {
    if gates.profiles {
        return;
    }
    for pipeline in document.pipelines.iter().filter(|pipeline| pipeline.id.value.signal == Signal::Profiles)
    {
        problems.error(
            &pipeline.id.location,
            "pipelines of profiles are switched off; remove -service.profilesSupport from --feature-gates",
        );
    }
}
