//! What a component is: one declaration, one typed configuration, one build function.
//!
//! A component implements the factory trait of its kind and is named once in its crate's `register` function. The
//! registry, `sluice components`, the JSON Schema and the reference docs all come from that.

mod capability;
mod connector;
mod declaration;
mod exporter;
mod extension;
mod id;
mod not_built;
mod processor;
mod receiver;
mod registry;

pub use capability::{
    AuthRefusal, Backend, Capabilities, Capability, ClientAuth, DurableQueue, QueueOwner, QueueUsage,
    Reference, RelayBody, ServerAuth, Storage, Upstream,
};
pub use connector::{ConnectorContext, ConnectorFactory};
pub use declaration::{ComponentConfig, Declaration, Kind, Pair, Problem, Stability};
pub use exporter::{ExporterContext, ExporterFactory};
pub use extension::{Extension, ExtensionContext, ExtensionFactory};
pub use id::{ComponentId, InvalidId, PipelineId};
pub use not_built::NotBuilt;
pub use processor::{ProcessorContext, ProcessorFactory};
pub use receiver::{
    Endpoint, Listener, Listeners, Outlets, Receiver, ReceiverContext, ReceiverFactory, Transport,
};
pub use registry::{AnyConfig, Entry, Registry};

use std::{collections::HashMap, sync::Arc};

use crate::{budget::Budget, graph::Status};

/// What every component is given besides its configuration.
#[derive(Clone)]
pub struct ComponentContext {
    /// Its id in the configuration.
    pub id: ComponentId,
    /// The byte budget of the process.
    pub budget: Budget,
    /// What the running extensions offer, by extension id.
    pub extensions: Arc<HashMap<ComponentId, Capabilities>>,
    /// The state of the service: [`Status::supervise`] runs the component's long-lived tasks.
    pub status: Arc<Status>,
}

/// A component could not be built or started.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting that only shows to be wrong when it is used (a missing file, a bad certificate).
    #[error("{key}: {message}")]
    Setting {
        /// The key below the component, such as `tls.cert_file`.
        key: String,
        /// What was being done, why it failed and what to do.
        message: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl BuildError {
    /// A setting that only shows to be wrong when it is used.
    pub fn setting(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Setting { key: key.into(), message: message.into() }
    }
}

impl ComponentContext {
    /// A context for tests and benchmarks: a named component, its own budget, no extensions.
    ///
    /// # Panics
    /// Never: an id that does not parse becomes `test`.
    #[must_use]
    pub fn detached(id: &str, budget: Budget) -> Self {
        let id = id.parse().unwrap_or_else(|_| ComponentId::of_type("test"));
        Self { id, budget, extensions: Arc::default(), status: Arc::default() }
    }

    /// What the extension `id` offers.
    ///
    /// # Errors
    /// [`BuildError::Setting`] naming `key` if the extension is not listed in `service.extensions`.
    pub fn extension(&self, key: &str, id: &ComponentId) -> Result<&Capabilities, BuildError> {
        self.extensions.get(id).ok_or_else(|| {
            BuildError::setting(
                key,
                format!("extension \"{id}\" is not running; list it in service.extensions"),
            )
        })
    }
}
