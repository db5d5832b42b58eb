//! wrk, Envoy and nginx: one load of two that run in turns.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use tempfile::TempDir;

use super::{
    super::{PATIENCE, nginx, turns::Load},
    envoy::{self, Kind, Tracing},
};
use crate::{
    Outcome,
    process::{Process, free_address},
};

/// Of the loopback interface of the namespace.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const CONNECTIONS: u32 = 64;

/// All of it, stopped until wrk has its turn.
pub(super) struct Stack {
    folder: TempDir,
    server: Process,
    proxy: Process,
    pub(super) load: Load,
}

/// What has to be known before it starts.
pub(super) struct Plan {
    pub(super) folder: TempDir,
    pub(super) nginx: SocketAddr,
}

impl Plan {
    pub(super) fn make() -> Outcome<Self> {
        Ok(Self { folder: tempfile::tempdir()?, nginx: place()? })
    }
}

impl Stack {
    /// Starts it.
    ///
    /// # Errors
    /// What could not be started.
    pub(super) fn start(plan: Plan, envoy: &Path, kind: Kind, tracing: Option<Tracing>) -> Outcome<Self> {
        let Plan { folder, nginx } = plan;
        let front = place()?;
        let mut server = start_nginx(folder.path(), nginx)?;
        server.wait_until_listening(nginx, PATIENCE)?;
        let mut proxy = envoy::start(envoy, folder.path(), front, nginx, kind, tracing)?;
        proxy.wait_until_listening(front, PATIENCE)?;
        let load = Load::start(front, nginx, CONNECTIONS, None, folder.path())?;
        Ok(Self { folder, server, proxy, load })
    }

    /// What works beside wrk.
    pub(super) fn processes(&self) -> [&Process; 2] {
        [&self.server, &self.proxy]
    }

    /// Slow and failed requests so far, as nginx logged them.
    pub(super) fn remarkable(&self) -> Outcome<u64> {
        Ok(fs::read_to_string(self.folder.path().join("remarkable.log"))?.lines().count() as u64)
    }
}

/// A free port of the address that is like one of a host: spans that name the loopback interface could be of any host.
fn place() -> io::Result<SocketAddr> {
    Ok(SocketAddr::new(IpAddr::V4(ADDRESS), free_address()?.port()))
}

/// One worker that answers at once, but for a few requests: 4xx, 5xx, and a second late.
fn start_nginx(folder: &Path, address: SocketAddr) -> Outcome<Process> {
    let (place, large) = (folder.display(), "x".repeat(500));
    let http = format!(
        "split_clients $connection-$connection_requests $kind {{
           0.5% missing; 0.5% broken; 0.02% slow; * usual;
         }}
         map $kind $is_remarkable {{ usual 0; default 1; }}
         log_format kind '$kind $status';
         access_log {place}/remarkable.log kind if=$is_remarkable;
         server {{
           listen {address};
           location = /status {{ stub_status; access_log off; }}
           location / {{
             if ($kind = missing) {{ return 404 'no such thing'; }}
             if ($kind = broken) {{ return 503 'out of order'; }}
             if ($kind = slow) {{ rewrite ^ /slow last; }}
             return 200 'hello from nginx';
           }}
           location = /slow {{ internal; limit_rate 500; return 200 '{large}'; }}
         }}"
    );
    nginx::start(folder, &http)
}
