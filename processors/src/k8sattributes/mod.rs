//! The `k8sattributes` processor: adds what Kubernetes knows of a resource's pod.
//!
//! What is to be added is encoded when Kubernetes tells of it, so that a resource costs a look-up and a copy.

mod association;
mod block;
mod catalogue;
mod config;
mod enrich;
mod image;
mod key;
mod metrics;
mod own;
mod pod;
mod related;
mod rules;
#[cfg(test)]
mod tests;
mod watches;

use std::{sync::Arc, time::Duration};

use association::Associations;
pub use config::{
    AuthType, ExcludeConfig, ExcludePodConfig, ExtractConfig, Field, FieldExtractConfig, FieldFilterConfig,
    FilterConfig, K8sAttributesConfig, Operation, PodAssociationConfig, SourceConfig, SourceFrom, Whose,
};
use futures_util::future::BoxFuture;
use metrics::Metrics;
use sluice_pipeline::{
    Batch, Consumer,
    component::{BuildError, Declaration, ProcessorContext, ProcessorFactory},
    same_signals,
};
use watches::Watches;

use crate::rewriting::{Rewriter, Rewriting};

/// The `k8sattributes` processor.
pub struct K8sAttributes;

impl ProcessorFactory for K8sAttributes {
    type Config = K8sAttributesConfig;
    const DECLARATION: Declaration = Declaration {
        name: "k8sattributes",
        aliases: &["k8s_attributes"],
        summary: "Adds what Kubernetes knows of the pod that telemetry comes from.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: K8sAttributesConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        if config.passthrough {
            let associations = Associations::new(&config.pod_association);
            return Ok(Rewriting::before(next, PassThrough(associations), &context));
        }
        let enrich = Enrich {
            watches: Watches::shared(&config, &context.component)?,
            metrics: Metrics::new(&context.component.id, context.pipeline.signal),
            wait: config.wait_for_metadata.then_some(*config.wait_for_metadata_timeout),
        };
        Ok(Rewriting::before(next, enrich, &context))
    }
}

struct PassThrough(Associations);

impl Rewriter for PassThrough {
    fn rewrite(&self, batch: Batch) -> Batch {
        enrich::pass_through(batch, &self.0)
    }
}

struct Enrich {
    watches: Arc<Watches>,
    metrics: Metrics,
    /// How long receivers wait for the first lists; `None` is not.
    wait: Option<Duration>,
}

impl Rewriter for Enrich {
    fn rewrite(&self, batch: Batch) -> Batch {
        let (batch, tally) = enrich::enrich(batch, &self.watches.catalogue);
        self.metrics.add(tally);
        batch
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            let Some(limit) = self.wait else { return Ok(()) };
            self.watches.listed(limit).await.map_err(|reason| {
                let message = format!("Kubernetes was not listed within {limit:?}: {reason}");
                BuildError::setting("wait_for_metadata_timeout", message)
            })
        })
    }
}
