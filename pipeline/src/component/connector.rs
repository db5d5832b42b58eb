//! Connectors: exporter of one pipeline and receiver of another.

use std::{collections::HashMap, sync::Arc};

use super::{BuildError, ComponentConfig, ComponentContext, Declaration, Outlets};
use crate::{consumer::Consumer, signal::Signal};

/// A type of connector. One instance for each id serves all its signal pairs.
pub trait ConnectorFactory: 'static {
    /// Its keys.
    type Config: ComponentConfig;
    /// What it says of itself; its pairs are those that it can serve.
    const DECLARATION: Declaration;

    /// Builds it: a consumer for each signal in `context.taken`.
    ///
    /// # Errors
    /// A setting that cannot work.
    fn build(
        config: Self::Config,
        context: ConnectorContext,
    ) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError>;
}

/// What a connector is given.
pub struct ConnectorContext {
    /// Id, budget, extensions.
    pub component: ComponentContext,
    /// The signals of the pipelines that export to it.
    pub taken: Vec<Signal>,
    /// Where what it gives goes: the pipelines that receive from it.
    pub outlets: Outlets,
}
