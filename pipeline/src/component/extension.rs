//! Extensions: what serves the process or other components rather than a pipeline.

use std::time::Instant;

use futures_util::future::BoxFuture;

use super::{
    BuildError, Capabilities, Capability, ComponentConfig, ComponentContext, Declaration, Endpoint, Listeners,
};

/// A type of extension.
pub trait ExtensionFactory: 'static {
    /// Its keys.
    type Config: ComponentConfig;
    /// What it says of itself.
    const DECLARATION: Declaration;

    /// The endpoints that the host binds for it before anything starts.
    fn endpoints(config: &Self::Config) -> Vec<Endpoint>;

    /// What it can do for other components with this configuration: those of its [`Extension::capabilities`] that
    /// references ask for.
    fn offers(_config: &Self::Config) -> Vec<Capability> {
        Vec::new()
    }

    /// Builds it.
    ///
    /// # Errors
    /// A setting that cannot work.
    fn build(config: Self::Config, context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError>;
}

/// What an extension is given.
pub struct ExtensionContext {
    /// Id, budget and status. An extension sees no other extensions.
    pub component: ComponentContext,
}

/// A built extension.
pub trait Extension: Send {
    /// What it offers to other components.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// Why it cannot serve.
    fn start(&mut self, listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>>;

    /// Ends, after all pipelines.
    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()>;
}
