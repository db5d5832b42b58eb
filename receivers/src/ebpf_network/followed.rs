//! The processes that are followed, with all that they need in metrics and records.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::{
    metrics::{self, Aggregator, ProcessHandle},
    process::Identity,
};

/// A process that owns connections.
#[derive(Clone)]
pub(super) struct Process {
    /// Tells it from all others of this run, also from one that has its number later.
    pub(super) number: u64,
    pub(super) identity: Arc<Identity>,
    /// Its encoded `Resource`.
    pub(super) resource: Bytes,
    /// What metrics know it by.
    pub(super) handle: Option<ProcessHandle>,
}

/// The processes that own connections.
#[derive(Default)]
pub(super) struct Followed {
    host_name: String,
    next: u64,
    processes: HashMap<u32, Process>,
    /// Those that have ended, with when: their connections may be closed a little later.
    ended: Vec<(u64, u32, u64)>,
}

/// How long a process that has ended is remembered, in nanoseconds.
const LINGER: u64 = 5_000_000_000;

impl Followed {
    pub(super) fn new(host_name: String) -> Self {
        Self { host_name, ..Self::default() }
    }

    /// Whether this very process is followed already.
    pub(super) fn knows(&self, identity: &Arc<Identity>) -> bool {
        self.processes.get(&identity.tgid).is_some_and(|process| Arc::ptr_eq(&process.identity, identity))
    }

    /// The process with this identity, made known to metrics when it is new.
    pub(super) fn get(&mut self, identity: &Arc<Identity>, aggregator: Option<&mut Aggregator>) -> Process {
        if let Some(process) = self.processes.get(&identity.tgid)
            && Arc::ptr_eq(&process.identity, identity)
        {
            return process.clone();
        }
        self.next += 1;
        let resource = identity.resource(&self.host_name);
        let known = metrics::Identity {
            host_name: &self.host_name,
            pid: identity.tgid,
            namespace_pid: identity.namespace_pid,
            executable_name: identity.executable_name(),
            executable_path: &identity.executable,
            namespace_host_name: &identity.namespace_host_name,
            container_id: &identity.container_id,
            pod_uid: &identity.pod_uid,
        };
        let mut aggregator = aggregator;
        let handle = aggregator.as_mut().map(|aggregator| aggregator.process(&known));
        let process = Process { number: self.next, identity: Arc::clone(identity), resource, handle };
        let former = self.processes.insert(identity.tgid, process.clone());
        release(former, aggregator);
        process
    }

    /// A process has ended.
    pub(super) fn ended(&mut self, tgid: u32, now: u64) {
        if let Some(process) = self.processes.get(&tgid) {
            self.ended.push((now, tgid, process.number));
        }
    }

    /// Forgets those that ended a while ago.
    pub(super) fn sweep(&mut self, now: u64, mut aggregator: Option<&mut Aggregator>) {
        let Self { ended, processes, .. } = self;
        ended.retain(|(since, tgid, number)| {
            if now.saturating_sub(*since) < LINGER {
                return true;
            }
            if processes.get(tgid).is_some_and(|process| process.number == *number) {
                release(processes.remove(tgid), aggregator.as_deref_mut());
            }
            false
        });
    }
}

fn release(process: Option<Process>, aggregator: Option<&mut Aggregator>) {
    if let (Some(handle), Some(aggregator)) = (process.and_then(|process| process.handle), aggregator) {
        aggregator.release(handle);
    }
}
