//! Exporters: where telemetry leaves.

use std::sync::Arc;

use super::{BuildError, ComponentConfig, ComponentContext, Declaration};
use crate::{consumer::Consumer, signal::Signal};

/// A type of exporter. One instance for each id and signal, shared by its pipelines.
pub trait ExporterFactory: 'static {
    /// Its keys.
    type Config: ComponentConfig;
    /// What it says of itself.
    const DECLARATION: Declaration;

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
}
