//! What a measurement is compared with: an untraced proxy that stays, and is measured right before and right after.

use std::{net::SocketAddr, path::Path, time::Duration};

use tempfile::TempDir;

use super::{
    super::{CpuTime, PATIENCE, microseconds_each, precise},
    WARM_UP, envoy, place, start_nginx, wrk,
};
use crate::{Outcome, process::Process};

/// An untraced proxy that stays.
pub struct Reference {
    _folder: TempDir,
    server: Process,
    proxy: Process,
    front: SocketAddr,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    requests: u64,
    time: Duration,
    cpu: Duration,
}

impl Reference {
    /// Starts it, with an nginx of its own.
    ///
    /// # Errors
    /// What could not be started.
    pub fn start(envoy: &Path) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let (nginx, front) = (place()?, place()?);
        let mut server = start_nginx(folder.path(), nginx)?;
        server.wait_until_listening(nginx, PATIENCE)?;
        let mut proxy = envoy::start(envoy, folder.path(), front, nginx, (nginx, None))?;
        proxy.wait_until_listening(front, PATIENCE)?;
        Ok(Self { _folder: folder, server, proxy, front })
    }

    /// Measures for so many seconds, warmed up as what it is compared with.
    pub(super) fn load(&self, seconds: u64) -> Outcome<Load> {
        wrk(self.front, WARM_UP)?;
        let all = [&self.server, &self.proxy];
        let before = CpuTime::read(&all)?;
        let requests = wrk(self.front, &format!("-d{seconds}s"))?;
        let after = CpuTime::read(&all)?;
        let cpu = (after.user + after.system).saturating_sub(before.user + before.system);
        Ok(Load { requests, time: Duration::from_secs(seconds), cpu })
    }
}

impl Load {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            time: self.time + other.time,
            cpu: self.cpu + other.cpu,
        }
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        precise(self.requests) / self.time.as_secs_f64()
    }

    /// CPU time for a request, in microseconds.
    pub(super) fn cpu_each(&self) -> f64 {
        microseconds_each(self.cpu, self.requests)
    }
}
