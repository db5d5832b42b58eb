//! The `nop` receiver: receives nothing, as the Collector's; for files that need a receiver and want none.

use std::time::Instant;

use futures_util::future::{BoxFuture, ready};
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{
        BuildError, ComponentConfig, Declaration, Endpoint, Listeners, Receiver, ReceiverContext,
        ReceiverFactory,
    },
    same_signals,
};

/// The `nop` receiver.
pub struct Nop;

/// It has no keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct NopConfig {}

impl ComponentConfig for NopConfig {}

impl ReceiverFactory for Nop {
    type Config = NopConfig;
    const DECLARATION: Declaration = Declaration {
        name: "nop",
        aliases: &[],
        summary: "Receives nothing.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &NopConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn build(_config: NopConfig, _context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(Self))
    }
}

impl Receiver for Nop {
    fn start(&mut self, _listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(ready(Ok(())))
    }

    fn stop(&mut self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}
