//! The `forward` connector: joins and splits pipelines by handing batches on unchanged.

use std::{collections::HashMap, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    Consumer, Signal,
    component::{BuildError, ComponentConfig, ConnectorContext, ConnectorFactory, Declaration},
    same_signals,
};

/// The `forward` connector.
pub struct Forward;

/// It has no keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct ForwardConfig {}

impl ComponentConfig for ForwardConfig {}

impl ConnectorFactory for Forward {
    type Config = ForwardConfig;
    const DECLARATION: Declaration = Declaration {
        name: "forward",
        aliases: &[],
        summary: "Hands batches on unchanged to other pipelines of the same signal.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        _config: ForwardConfig,
        context: ConnectorContext,
    ) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
        context
            .taken
            .iter()
            .map(|signal| {
                let outlet = context.outlets.get(*signal).ok_or_else(|| {
                    BuildError::Other(format!(
                        "no pipeline of {signal} receives from it; add it to one's receivers"
                    ))
                })?;
                Ok((*signal, Arc::new(outlet.clone()) as Arc<dyn Consumer>))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
