//! Puts a changed configuration in place of the running one.

use std::{fs, path::PathBuf, sync::Arc, time::Duration, time::SystemTime};

use sluice_pipeline::{
    component::Registry,
    graph::{Service, Status},
};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{error, info};

use crate::{
    arguments::RunOptions, configuration::Configuration, output::CommandError, self_telemetry::SelfTelemetry,
};

/// How often `--watch` looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// Reads, checks and applies the configuration again; whatever is wrong with it, the running one goes on.
pub(crate) async fn reload(
    options: &RunOptions,
    registry: &Registry,
    service: &mut Service,
    status: &Arc<Status>,
    telemetry: &mut SelfTelemetry,
) {
    info!("Reloading the configuration");
    let refused = match apply(options, registry, service, telemetry).await {
        Ok(()) => {
            info!("The new configuration is in place");
            None
        }
        Err(reason) => {
            let reason = reason.to_string();
            error!(reason, "The new configuration was refused; the running one goes on");
            Some(reason)
        }
    };
    status.update(|state| {
        state.reloads += u64::from(refused.is_none());
        state.reload_refused = refused;
    });
}

async fn apply(
    options: &RunOptions,
    registry: &Registry,
    service: &mut Service,
    telemetry: &mut SelfTelemetry,
) -> Result<(), CommandError> {
    let mut configuration = Configuration::load(&options.configuration, registry)?;
    let plan = configuration.plan(registry)?;
    configuration.log_warnings();
    let prepared = telemetry.prepare(configuration.telemetry())?;
    match service.reload(&plan).await {
        Ok(()) => {
            telemetry.change(prepared).await;
            Ok(())
        }
        Err(error) => {
            telemetry.abandon(prepared).await;
            Err(error.into())
        }
    }
}

/// Notices changed files by their times of modification.
pub(crate) struct FileWatch {
    files: Vec<(PathBuf, Option<SystemTime>)>,
    ticks: Interval,
}

impl FileWatch {
    /// Watches these files; none never change.
    pub(crate) fn over(files: Vec<PathBuf>) -> Self {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let files = files
            .into_iter()
            .map(|file| {
                let time = modified(&file);
                (file, time)
            })
            .collect();
        Self { files, ticks }
    }

    /// Returns when a file has changed and then been left alone for a look, so that none is read half written.
    pub(crate) async fn changed(&mut self) {
        if self.files.is_empty() {
            return std::future::pending().await;
        }
        let mut pending = false;
        loop {
            self.ticks.tick().await;
            let mut changed = false;
            for (file, seen) in &mut self.files {
                let now = modified(file);
                // A file that is being replaced is absent for a moment.
                if now.is_some() && now != *seen {
                    *seen = now;
                    changed = true;
                }
            }
            if pending && !changed {
                return;
            }
            pending |= changed;
        }
    }
}

fn modified(file: &PathBuf) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
