//! The `memory_limiter` processor: sets the byte budget of the process, and refuses data before it is used up.

mod config;

use std::{sync::Arc, time::Instant};

pub use config::MemoryLimiterConfig;
use futures_util::future::BoxFuture;
use metrics::{Counter, counter};
use sluice_pipeline::{
    Batch, Code, Consumer, Demand, Failure, Permit, Reply,
    budget::{Budget, Limit, available_memory},
    component::{BuildError, Declaration, ProcessorContext, ProcessorFactory},
    same_signals,
    telemetry::names,
};

/// The `memory_limiter` processor.
pub struct MemoryLimiter;

impl ProcessorFactory for MemoryLimiter {
    type Config = MemoryLimiterConfig;
    const DECLARATION: Declaration = Declaration {
        name: "memory_limiter",
        aliases: &[],
        summary: "Limits the memory that telemetry takes, and refuses data before it runs out.",
        signals: same_signals!(Beta: Traces, Metrics, Logs, Profiles),
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: MemoryLimiterConfig,
        context: ProcessorContext,
        next: Arc<dyn Consumer>,
    ) -> Result<Arc<dyn Consumer>, BuildError> {
        let limits = config.limits(available_memory());
        let budget = context.component.budget;
        let processor = context.component.id.to_string();
        let items = context.pipeline.signal.items_name();
        let counter = |prefix: &str| counter!(format!("{prefix}{items}"), "processor" => processor.clone());
        Ok(Arc::new(Limiter {
            soft: limits.soft,
            _hard: budget.limit_to(limits.hard),
            budget,
            accepted: counter(names::LIMITER_ACCEPTED),
            refused: counter(names::LIMITER_REFUSED),
            next,
        }))
    }
}

struct Limiter {
    soft: u64,
    budget: Budget,
    accepted: Counter,
    refused: Counter,
    next: Arc<dyn Consumer>,
    _hard: Limit,
}

impl Limiter {
    fn check(&self) -> Result<(), Failure> {
        let (used, soft) = (self.budget.used(), self.soft);
        if used <= soft {
            return Ok(());
        }
        Err(Failure::retryable(format!(
            "data refused due to high memory usage: {used} bytes of telemetry are held, the soft limit is {soft}; \
             send again later, or raise memory_limiter.limit_mib"
        ))
        .with_code(Code::Unavailable))
    }
}

impl Consumer for Limiter {
    fn reserve<'a>(&'a self, demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(async move {
            self.check().inspect_err(|_| self.refused.increment(demand.items as u64))?;
            self.next.reserve(demand).await
        })
    }

    fn consume(&self, batch: Batch, permit: Permit) -> BoxFuture<'_, Reply> {
        self.accepted.increment(batch.items() as u64);
        self.next.consume(batch, permit)
    }

    fn drain(&self, _deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests;
