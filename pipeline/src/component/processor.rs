//! Processors: what changes, holds or refuses batches on their way.

use std::sync::Arc;

use super::{BuildError, ComponentConfig, ComponentContext, Declaration, PipelineId};
use crate::consumer::Consumer;

/// A type of processor. One instance for each pipeline that lists the id.
pub trait ProcessorFactory: 'static {
    /// Its keys.
    type Config: ComponentConfig;
    /// What it says of itself.
    const DECLARATION: Declaration;

    /// Builds it before `next`, to which it hands what it lets through.
    ///
    /// # Errors
    /// A setting that cannot work.
    fn build(
        config: Self::Config,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError>;
}

/// What a processor is given.
pub struct ProcessorContext {
    /// Id, budget, extensions.
    pub component: ComponentContext,
    /// The pipeline that it is part of; its signal is the processor's.
    pub pipeline: PipelineId,
    /// Whether some later stage answers only once data is delivered or synced. If not (a memory queue follows), a
    /// batching processor may answer on admission.
    pub answers_later: bool,
}
