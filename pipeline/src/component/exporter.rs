//! Exporters: where telemetry leaves.

use std::sync::Arc;

use super::{BuildError, ComponentConfig, ComponentContext, Declaration, Endpoint, Listeners};
use crate::{consumer::Consumer, signal::Signal};

/// A type of exporter. One instance for each id and signal, shared by its pipelines.
pub trait ExporterFactory: 'static {
    /// Its keys.
    type Config: ComponentConfig;
    /// What it says of itself.
    const DECLARATION: Declaration;

    /// The endpoints that the host binds for it before it is built, where it is asked rather than sends. An exporter
    /// that listens takes a single signal: each of its instances would want the same address.
    fn endpoints(_config: &Self::Config) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Builds it. Connections are made when first needed, so that a destination that is down delays no start.
    ///
    /// # Errors
    /// A setting that cannot work.
    fn build(config: Self::Config, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError>;

    /// Whether it answers only once data is delivered or synced. False for a memory queue without
    /// `wait_for_result`, which answers on admission.
    fn answers_later(config: &Self::Config) -> bool;
}

/// What an exporter is given.
pub struct ExporterContext {
    /// Id, budget, extensions.
    pub component: ComponentContext,
    /// The signal of this instance.
    pub signal: Signal,
    /// The bound endpoints of [`ExporterFactory::endpoints`], by name. It serves them from now on, and stops when it
    /// is drained.
    pub listeners: Listeners,
}
