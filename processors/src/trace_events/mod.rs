//! The `trace_events` connector: puts the HTTP exchanges that the kernel saw onto the spans that they belong to.
//!
//! Exchanges arrive as log records ([`sluice_pipeline::exchange`]), spans as traces. An exchange waits in an index for
//! its span; a span waits only if its exchange is plausibly still on its way, and never longer than `span_hold`. An
//! exchange that finds its span later than that leaves as a partial span: the same ids, and the events only. What
//! stays unjoined goes to the logs pipelines. [`rules`] says what belongs together.

mod config;
mod connector;
mod events;
mod exchange;
mod identity;
mod index;
mod intake;
mod leaving;
mod metrics;
mod partial;
mod rules;
mod span;
mod store;

use std::{collections::HashMap, sync::Arc};

pub use config::{AttachedEvent, LateMatches, TraceEventsConfig, UnseenSpans};
use sluice_pipeline::{
    Consumer, Signal,
    component::{BuildError, ConnectorContext, ConnectorFactory, Declaration, Pair, Stability},
};

/// The `trace_events` connector.
pub struct TraceEvents;

impl ConnectorFactory for TraceEvents {
    type Config = TraceEventsConfig;
    const DECLARATION: Declaration = Declaration {
        name: "trace_events",
        aliases: &[],
        summary: "Puts HTTP exchanges seen in the kernel onto the spans that they belong to.",
        signals: &[
            (Pair(Signal::Logs, Signal::Traces), Stability::Alpha),
            (Pair(Signal::Traces, Signal::Traces), Stability::Alpha),
            (Pair(Signal::Logs, Signal::Logs), Stability::Alpha),
        ],
        absorbs: true,
        example: include_str!("example.yaml"),
    };

    fn build(
        config: TraceEventsConfig,
        context: ConnectorContext,
    ) -> Result<HashMap<Signal, Arc<dyn Consumer>>, BuildError> {
        connector::build(config, context)
    }
}

#[cfg(test)]
mod tests;
