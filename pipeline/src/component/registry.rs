//! All component types of a build, by kind and name.

use std::{any::Any, collections::HashMap, sync::Arc};

use schemars::Schema;

use super::{
    BuildError, Capability, ComponentConfig, ConnectorContext, ConnectorFactory, Declaration, Endpoint,
    ExporterContext, ExporterFactory, Extension, ExtensionContext, ExtensionFactory, Kind, Problem,
    ProcessorContext, ProcessorFactory, Receiver, ReceiverContext, ReceiverFactory, Reference,
};
use crate::{
    config::{Node, Problems, decode},
    consumer::Consumer,
    signal::Signal,
};

/// All component types of a build.
#[derive(Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

/// One component type, its configuration type erased.
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// What it says of itself.
    pub declaration: Declaration,
    schema: fn() -> Schema,
    decode: fn(&Node, &mut Problems) -> Option<AnyConfig>,
    file_problems: fn(&AnyConfig) -> Vec<Problem>,
    references: fn(&AnyConfig) -> Vec<Reference>,
    build: Build,
}

/// A decoded configuration of some component type.
pub struct AnyConfig(Box<dyn Any + Send + Sync>);

type BuildProcessor =
    fn(AnyConfig, ProcessorContext, Arc<dyn Consumer>) -> Result<Arc<dyn Consumer>, BuildError>;
type Branches = HashMap<Signal, Arc<dyn Consumer>>;

enum Build {
    Receiver {
        endpoints: fn(&AnyConfig) -> Vec<Endpoint>,
        build: fn(AnyConfig, ReceiverContext) -> Result<Box<dyn Receiver>, BuildError>,
    },
    Processor(BuildProcessor),
    Exporter {
        endpoints: fn(&AnyConfig) -> Vec<Endpoint>,
        answers_later: fn(&AnyConfig) -> bool,
        build: fn(AnyConfig, ExporterContext) -> Result<Arc<dyn Consumer>, BuildError>,
    },
    Connector(fn(AnyConfig, ConnectorContext) -> Result<Branches, BuildError>),
    Extension {
        endpoints: fn(&AnyConfig) -> Vec<Endpoint>,
        offers: fn(&AnyConfig) -> Vec<Capability>,
        build: fn(AnyConfig, ExtensionContext) -> Result<Box<dyn Extension>, BuildError>,
    },
}

impl Registry {
    /// Adds a receiver type.
    pub fn receiver<F: ReceiverFactory>(&mut self) {
        self.add::<F::Config>(
            Kind::Receiver,
            F::DECLARATION,
            Build::Receiver {
                endpoints: |config| config.get().map_or_else(Vec::new, F::endpoints),
                build: |config, context| F::build(config.take()?, context),
            },
        );
    }

    /// Adds a processor type.
    pub fn processor<F: ProcessorFactory>(&mut self) {
        let build: BuildProcessor = |config, context, next| F::build(config.take()?, context, next);
        self.add::<F::Config>(Kind::Processor, F::DECLARATION, Build::Processor(build));
    }

    /// Adds an exporter type.
    pub fn exporter<F: ExporterFactory>(&mut self) {
        self.add::<F::Config>(
            Kind::Exporter,
            F::DECLARATION,
            Build::Exporter {
                endpoints: |config| config.get().map_or_else(Vec::new, F::endpoints),
                answers_later: |config| config.get().is_some_and(F::answers_later),
                build: |config, context| F::build(config.take()?, context),
            },
        );
    }

    /// Adds a connector type.
    pub fn connector<F: ConnectorFactory>(&mut self) {
        self.add::<F::Config>(
            Kind::Connector,
            F::DECLARATION,
            Build::Connector(|config, context| F::build(config.take()?, context)),
        );
    }

    /// Adds an extension type.
    pub fn extension<F: ExtensionFactory>(&mut self) {
        self.add::<F::Config>(
            Kind::Extension,
            F::DECLARATION,
            Build::Extension {
                endpoints: |config| config.get().map_or_else(Vec::new, F::endpoints),
                offers: |config| config.get().map_or_else(Vec::new, F::offers),
                build: |config, context| F::build(config.take()?, context),
            },
        );
    }

    fn add<C: ComponentConfig>(&mut self, kind: Kind, declaration: Declaration, build: Build) {
        self.entries.push(Entry {
            kind,
            declaration,
            schema: || schemars::schema_for!(C),
            decode: |node, problems| decode_checked::<C>(node, problems),
            file_problems: |config| config.get().map_or_else(Vec::new, C::file_problems),
            references: |config| config.get().map_or_else(Vec::new, C::references),
            build,
        });
    }

    /// The type of this kind that answers to `name`.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.of_kind(kind).find(|entry| entry.declaration.is_called(name))
    }

    /// All types of a kind, in the order of registration.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }
}

fn decode_checked<C: ComponentConfig>(node: &Node, problems: &mut Problems) -> Option<AnyConfig> {
    let config: C = decode(node, problems)?;
    let found = config.problems();
    let sound = found.is_empty();
    for problem in found {
        problems.at_key(node, &problem.key, problem.message);
    }
    sound.then(|| AnyConfig(Box::new(config)))
}

impl Entry {
    /// The JSON Schema of its configuration.
    #[must_use]
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }

    /// Decodes a configuration, reporting everything wrong with it; `None` if it cannot be used.
    pub fn decode(&self, node: &Node, problems: &mut Problems) -> Option<AnyConfig> {
        (self.decode)(node, problems)
    }

    /// What is wrong with the files that a configuration names. Reads them.
    #[must_use]
    pub fn file_problems(&self, config: &AnyConfig) -> Vec<Problem> {
        (self.file_problems)(config)
    }

    /// The extensions that a configuration needs.
    #[must_use]
    pub fn references(&self, config: &AnyConfig) -> Vec<Reference> {
        (self.references)(config)
    }

    /// What an extension can do for other components.
    #[must_use]
    pub fn offers(&self, config: &AnyConfig) -> Vec<Capability> {
        match &self.build {
            Build::Extension { offers, .. } => offers(config),
            _ => Vec::new(),
        }
    }

    /// The endpoints that the host binds for it.
    #[must_use]
    pub fn endpoints(&self, config: &AnyConfig) -> Vec<Endpoint> {
        match &self.build {
            Build::Receiver { endpoints, .. }
            | Build::Exporter { endpoints, .. }
            | Build::Extension { endpoints, .. } => endpoints(config),
            _ => Vec::new(),
        }
    }

    /// Whether an exporter answers only once data is delivered or synced.
    #[must_use]
    pub fn answers_later(&self, config: &AnyConfig) -> bool {
        match &self.build {
            Build::Exporter { answers_later, .. } => answers_later(config),
            _ => true,
        }
    }

    /// Builds a receiver.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn build_receiver(
        &self,
        config: AnyConfig,
        context: ReceiverContext,
    ) -> Result<Box<dyn Receiver>, BuildError> {
        match &self.build {
            Build::Receiver { build, .. } => build(config, context),
            _ => Err(self.not_a(Kind::Receiver)),
        }
    }

    /// Builds a processor.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn build_processor(
        &self,
        config: AnyConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        match &self.build {
            Build::Processor(build) => build(config, context, next),
            _ => Err(self.not_a(Kind::Processor)),
        }
    }

    /// Builds an exporter.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn build_exporter(
        &self,
        config: AnyConfig,
        context: ExporterContext,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        match &self.build {
            Build::Exporter { build, .. } => build(config, context),
            _ => Err(self.not_a(Kind::Exporter)),
        }
    }

    /// Builds a connector.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn build_connector(
        &self,
        config: AnyConfig,
        context: ConnectorContext,
    ) -> Result<Branches, BuildError> {
        match &self.build {
            Build::Connector(build) => build(config, context),
            _ => Err(self.not_a(Kind::Connector)),
        }
    }

    /// Builds an extension.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn build_extension(
        &self,
        config: AnyConfig,
        context: ExtensionContext,
    ) -> Result<Box<dyn Extension>, BuildError> {
        match &self.build {
            Build::Extension { build, .. } => build(config, context),
            _ => Err(self.not_a(Kind::Extension)),
        }
    }

    fn not_a(&self, kind: Kind) -> BuildError {
        BuildError::Other(format!("\"{}\" is a {}, not a {kind}", self.declaration.name, self.kind))
    }
}

impl AnyConfig {
    fn get<C: 'static>(&self) -> Option<&C> {
        self.0.downcast_ref()
    }

    fn take<C: 'static>(self) -> Result<C, BuildError> {
        self.0
            .downcast()
            .map(|config| *config)
            .map_err(|_| BuildError::Other("a configuration reached a component of another type".to_owned()))
    }
}
