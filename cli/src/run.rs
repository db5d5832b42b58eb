//! `sluice run`: the life of the process, from the configuration to the last drained batch.

use std::{sync::Arc, time::Duration};

use sluice_pipeline::{
    budget::Budget,
    component::Registry,
    graph::{Service, Sockets, Status},
    telemetry::{exposition::Exposition, logs::Logs},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::{
    arguments::RunOptions,
    configuration::Configuration,
    output::{CommandError, complain},
    reload::{self, FileWatch},
    self_telemetry::{self, SelfTelemetry},
};

/// When a receiver that saw nothing is worth a word.
const SILENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(options: &RunOptions, registry: &Registry) -> Result<(), CommandError> {
    let mut configuration = Configuration::load(&options.configuration, registry)?;
    // Checked before anything is touched; also what `validate` does.
    configuration.plan(registry)?;
    let logs = Logs::install(&configuration.log_settings())
        .map_err(|error| CommandError::Other(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::io("cannot start worker threads", error))?;
    let result = runtime.block_on(serve(options, registry, configuration, logs));
    // Whatever is still under way was given its time.
    runtime.shutdown_background();
    result
}

async fn serve(
    options: &RunOptions,
    registry: &Registry,
    mut configuration: Configuration,
    logs: Logs,
) -> Result<(), CommandError> {
    let sockets =
        Sockets::inherit(options.reuse_port).map_err(|error| CommandError::Other(error.to_string()))?;
    let mut stop = StopSignals::new()?;
    let mut hangup = listen(SignalKind::hangup())?;
    let (status, budget) = (Arc::new(Status::default()), Budget::default());
    let exposition = Exposition::install(Arc::clone(&status), budget.clone())
        .map_err(|error| CommandError::Other(format!("cannot collect metrics: {error}")))?;
    tokio::spawn(exposition.clone().keep_up());
    info!(
        version = env!("CARGO_PKG_VERSION"),
        workers = tokio::runtime::Handle::current().metrics().num_workers(),
        budget_bytes = budget.limit(),
        "Starting sluice..."
    );
    configuration.log_warnings();
    let context = self_telemetry::context(&budget, &status);
    let mut telemetry =
        SelfTelemetry::start(configuration.telemetry(), logs, context, exposition, sockets.clone())?;
    let plan = configuration.plan(registry)?;
    let starting = Service::start(&plan, budget, Arc::clone(&status), sockets.clone(), options.drain_timeout);
    let mut service = starting.await?;
    for address in sockets.unclaimed() {
        warn!(
            address,
            "A socket was passed on (LISTEN_FDS) on which no component listens; clients will wait there"
        );
    }
    info!("Everything is ready. Begin running and processing data.");

    let mut watch = FileWatch::over(if options.watch { configuration.files() } else { Vec::new() });
    let silence = tokio::time::sleep(SILENCE);
    tokio::pin!(silence);
    let mut looked_for_silence = false;
    loop {
        tokio::select! {
            name = stop.recv() => {
                info!(signal = name, "Received signal from OS, draining");
                break;
            }
            _ = hangup.recv() => {
                reload::reload(options, registry, &mut service, &status, &mut telemetry).await;
            }
            () = watch.changed() => {
                reload::reload(options, registry, &mut service, &status, &mut telemetry).await;
            }
            () = &mut silence, if !looked_for_silence => {
                looked_for_silence = true;
                for receiver in service.silent_receivers() {
                    warn!(
                        otelcol.component.id = %receiver,
                        "A receiver has seen nothing in its first 30 s; is anything sending to it?"
                    );
                }
            }
        }
    }
    drain(service, telemetry, &status, &mut stop).await
}

async fn drain(
    service: Service,
    telemetry: SelfTelemetry,
    status: &Status,
    stop: &mut StopSignals,
) -> Result<(), CommandError> {
    let drained = async {
        let drained = service.shutdown().await;
        telemetry.stop().await;
        drained
    };
    tokio::select! {
        drained = drained => {
            info!("Shutdown complete.");
            match drained.shortcoming(&status.snapshot().lost) {
                None => Ok(()),
                Some(shortcoming) => Err(CommandError::Lost(shortcoming)),
            }
        }
        name = stop.recv() => {
            complain(&format!("Received {name} again, stopping at once\n"));
            Err(CommandError::Interrupted)
        }
    }
}

/// The signals that ask Sluice to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> Result<Self, CommandError> {
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one; returns its name.
    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CommandError> {
    signal(kind).map_err(|error| CommandError::io("cannot listen for signals", error))
}
