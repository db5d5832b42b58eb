//! The `ebpf_network` receiver: HTTP exchanges and TCP connections, as the kernel sees them.
//!
//! Programs in the kernel (`sluice-ebpf`) tell of every transfer on the connections of watched processes. One thread takes
//! what they tell, finds HTTP in it, measures, and samples exchanges into log records. It never waits for a pipeline.

mod clock;
mod config;
mod connection;
mod counters;
pub mod exchange;
mod followed;
pub mod http;
pub mod metrics;
mod output;
pub mod process;
pub mod record;
pub mod redaction;
pub mod sampling;
pub mod socket;
pub mod trace_context;
mod tracker;
mod worker;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use futures_util::future::BoxFuture;
use sluice_ebpf::{Programs, Report};
use sluice_pipeline::{
    Signal,
    component::{
        BuildError, Declaration, Endpoint, Kind, Listeners, Pair, Receiver, ReceiverContext, ReceiverFactory,
        Stability,
    },
};
use tokio::task::JoinHandle;
use tracing::{info, warn};

pub use self::config::{EbpfNetworkConfig, Tier};
use self::{
    counters::Counters,
    metrics::Aggregator,
    output::{Forwarder, Output, output},
    record::Recorder,
    redaction::Redactor,
    sampling::Rules,
    tracker::{Sinks, Tracker},
    worker::Worker,
};

/// The `ebpf_network` receiver.
pub struct EbpfNetwork {
    config: EbpfNetworkConfig,
    context: ReceiverContext,
    rules: Arc<Rules>,
    redactor: Arc<Redactor>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl ReceiverFactory for EbpfNetwork {
    type Config = EbpfNetworkConfig;
    const DECLARATION: Declaration = Declaration {
        name: "ebpf_network",
        aliases: &[],
        summary: "Sees HTTP exchanges and TCP connections in the kernel, with nothing changed in the applications.",
        signals: &[
            (Pair(Signal::Metrics, Signal::Metrics), Stability::Alpha),
            (Pair(Signal::Logs, Signal::Logs), Stability::Alpha),
        ],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(_config: &EbpfNetworkConfig) -> Vec<Endpoint> {
        Vec::new()
    }

    fn build(config: EbpfNetworkConfig, context: ReceiverContext) -> Result<Box<dyn Receiver>, BuildError> {
        let rules = Rules::new(&config.sampling)
            .map_err(|error| BuildError::setting("sampling.rules", error.to_string()))?;
        let redactor = Redactor::new(&config.redaction)
            .map_err(|error| BuildError::setting("redaction.patterns", error.to_string()))?;
        Ok(Box::new(Self {
            config,
            context,
            rules: Arc::new(rules),
            redactor: Arc::new(redactor),
            stop: Arc::default(),
            tasks: Vec::new(),
        }))
    }
}

impl Receiver for EbpfNetwork {
    fn start(&mut self, _listeners: Listeners) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            let is_used = |signal| self.context.outlets.get(signal).is_some();
            let (has_logs, has_metrics) = (is_used(Signal::Logs), is_used(Signal::Metrics));
            let settings = self.config.settings(
                self.rules.limits(),
                self.rules.remarkable_after(),
                has_logs,
                has_metrics,
            );
            let programs = tokio::task::spawn_blocking(move || Programs::load(&settings))
                .await
                .map_err(|error| BuildError::Other(error.to_string()))?
                .map_err(|error| BuildError::Other(error.to_string()))?;
            self.announce(programs.report());
            let id = &self.context.component.id;
            let ways = |signal| output(id, signal, &self.context.outlets, &self.context.component.budget);
            let (logs, logs_forwarder) = ways(Signal::Logs).unzip();
            let (metrics, metrics_forwarder) = ways(Signal::Metrics).unzip();
            let worker = self.worker(programs, logs, metrics)?;
            let status = Arc::clone(&self.context.component.status);
            let run = async move {
                if let Err(error) = tokio::task::spawn_blocking(move || worker.run()).await
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            };
            self.tasks.push(status.supervise(Kind::Receiver, id, "reads the kernel's events", run));
            for forwarder in [logs_forwarder, metrics_forwarder].into_iter().flatten() {
                let run = Forwarder::run(forwarder);
                self.tasks.push(status.supervise(Kind::Receiver, id, "hands on what was seen", run));
            }
            Ok(())
        })
    }

    fn stop(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.stop.store(true, Ordering::Relaxed);
            for task in self.tasks.drain(..) {
                let abort = task.abort_handle();
                if tokio::time::timeout_at(deadline.into(), task).await.is_err() {
                    abort.abort();
                }
            }
        })
    }
}

impl EbpfNetwork {
    fn worker(
        &self,
        mut programs: Programs,
        logs: Option<Output>,
        metrics: Option<Output>,
    ) -> Result<Worker, BuildError> {
        let taken_once = || BuildError::Other("the receiver was started twice".to_owned());
        let (Some(reader), Some(losses), Some(verdicts)) =
            (programs.take_reader(), programs.take_losses(), programs.take_verdicts())
        else {
            return Err(taken_once());
        };
        let config = &self.config;
        let id = &self.context.component.id;
        let host_name = host_name();
        let recorder = logs
            .is_some()
            .then(|| Recorder::new(&config.sampling, Arc::clone(&self.rules), Arc::clone(&self.redactor)));
        let aggregator = metrics
            .is_some()
            .then(|| Aggregator::new(&config.metrics, &id.to_string(), &host_name, clock::unix()));
        let sinks = Sinks {
            rules: Arc::clone(&self.rules),
            recorder,
            aggregator,
            // Only metrics name them.
            drop_reasons: if metrics.is_some() { sluice_ebpf::drop_reasons() } else { Default::default() },
            clock: clock::read(),
            counters: Counters::new(id),
        };
        let excluded = if config.own_executable { None } else { std::env::current_exe().ok() };
        let tracker = Tracker::new(
            config.processes.compile(),
            excluded,
            verdicts,
            host_name,
            config.max_connections,
            sinks,
        );
        let metrics_interval = u64::try_from(config.metrics.interval.as_nanos()).unwrap_or(u64::MAX);
        let stop = Arc::clone(&self.stop);
        Ok(Worker { programs, reader, losses, tracker, logs, metrics, metrics_interval, stop })
    }

    /// Says in one line what was loaded, what is missing and what that costs.
    fn announce(&self, report: &Report) {
        let receiver = &self.context.component.id;
        let tier = report.tier.to_string();
        let took = format!("{} ms", report.took.as_millis());
        let missing: Vec<_> = report.missing.iter().map(|(_, effect)| *effect).collect();
        let missing = missing.join("; ");
        match &report.fallback {
            None if missing.is_empty() => {
                info!(%receiver, tier, took, "The kernel side is attached; nothing is missing");
            }
            None => warn!(%receiver, tier, took, missing, "The kernel side is attached, in part"),
            Some(reason) => warn!(
                %receiver, tier, took, missing, reason,
                "The kernel side is attached in the dearer tier, about 0.4 microseconds more for every socket operation"
            ),
        }
    }
}

/// The host's name, as OTel's SDKs report it.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
