//! The `nop` exporter: takes everything and does nothing with it, as the Collector's.

use std::{sync::Arc, time::Instant};

use futures_util::future::{BoxFuture, ready};
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Permit, Reply,
    component::{BuildError, ComponentConfig, Declaration, ExporterContext, ExporterFactory},
    same_signals,
    telemetry::ExporterMetrics,
};

/// The `nop` exporter.
pub struct Nop;

/// It has no keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct NopConfig {}

impl ComponentConfig for NopConfig {}

impl ExporterFactory for Nop {
    type Config = NopConfig;
    const DECLARATION: Declaration = Declaration {
        name: "nop",
        aliases: &[],
        summary: "Takes telemetry and forgets it.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(_config: NopConfig, context: ExporterContext) -> Result<Arc<dyn Consumer>, BuildError> {
        Ok(Arc::new(Nowhere(ExporterMetrics::new(&context.component.id, context.signal))))
    }

    fn answers_later(_config: &NopConfig) -> bool {
        true
    }
}

struct Nowhere(ExporterMetrics);

impl Consumer for Nowhere {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(Ok(Permit::none())))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        self.0.sent(batch.items());
        Box::pin(ready(Reply::Delivered))
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::{
        Chunk, Context, Signal, budget::Budget, component::ComponentContext, outlet::offer,
    };

    use super::*;

    #[tokio::test]
    async fn everything_is_delivered() {
        for signal in Signal::ALL {
            let context = ExporterContext {
                component: ComponentContext::detached("nop", Budget::new(1 << 20)),
                signal,
                listeners: Default::default(),
            };
            let exporter = Nop::build(NopConfig::default(), context).unwrap();
            let batch = Batch::new(signal, Chunk::new(vec![0].into(), 1), Context::default());
            assert!(matches!(offer(exporter.as_ref(), batch).await, Reply::Delivered));
        }
    }
}
