//! The life of a running service: start, reload, drain.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tracing::{info, warn};

use super::{
    build::{Builder, CannotStart},
    instances::{ConnectorInstance, Instances, Leftover},
    listen::{Claim, ListenError, ListenerPool, Sockets},
    plan::Plan,
    status::{Phase, PipelineStatus, Status},
};
use crate::{
    budget::Budget,
    component::{BuildError, ComponentId, Kind, Listeners},
    outlet::Line,
};

/// A graph that can be started, reloaded and drained.
pub struct Service {
    budget: Budget,
    status: Arc<Status>,
    listeners: ListenerPool,
    running: Instances,
    drain_timeout: Duration,
}

/// Why a graph could not be started or reloaded. A failed reload leaves the running graph alone.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Endpoints that cannot be bound.
    #[error("{}", lines(.0))]
    Listen(Vec<ListenError>),
    /// A component that cannot be built or cannot serve.
    #[error(transparent)]
    Start(#[from] CannotStart),
    /// The system gave no further handle on a bound socket.
    #[error("cannot hand a listener to {kind} \"{id}\": {source}")]
    HandOut {
        /// The kind of the component.
        kind: Kind,
        /// Its id.
        id: ComponentId,
        /// The system's reason.
        source: io::Error,
    },
}

fn lines(errors: &[ListenError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Service {
    /// Starts the graph: binds every endpoint, unless `sockets` has it, builds every component, then starts extensions
    /// and receivers.
    ///
    /// # Errors
    /// [`ServiceError`]; whatever had started is stopped again.
    pub async fn start(
        plan: &Plan<'_>,
        budget: Budget,
        status: Arc<Status>,
        sockets: Sockets,
        drain_timeout: Duration,
    ) -> Result<Self, ServiceError> {
        let mut service = Self {
            budget,
            status,
            listeners: ListenerPool::new(sockets),
            running: Instances::default(),
            drain_timeout,
        };
        match service.apply(plan).await {
            Ok(_) => Ok(service),
            Err(error) => {
                service.shutdown().await;
                Err(error)
            }
        }
    }

    /// Puts another plan in place: unchanged components go on untouched, changed ones are built before the old ones
    /// are let go, outlets are swapped atomically, and the old pipelines drain in the background.
    ///
    /// # Errors
    /// [`ServiceError`]; unless a new receiver could not be started, the running graph is as it was.
    pub async fn reload(&mut self, plan: &Plan<'_>) -> Result<(), ServiceError> {
        let left = self.apply(plan).await?;
        let deadline = Instant::now() + self.drain_timeout;
        tokio::spawn(async move {
            left.drain(deadline).await;
            info!("What the reload replaced has drained");
        });
        Ok(())
    }

    async fn apply(&mut self, plan: &Plan<'_>) -> Result<Leftover, ServiceError> {
        let claims = plan.claims();
        self.listeners.bind(&claims).map_err(ServiceError::Listen)?;
        let builder = Builder {
            budget: self.budget.clone(),
            status: Arc::clone(&self.status),
            running: &self.running,
            listeners: &self.listeners,
            claims: &claims,
        };
        let built = builder.build(plan)?;
        built.ready(plan).await?;
        let mut left = built.take_over(&mut self.running);
        // The old receiver lets go of its connections before the new one takes some, on the same socket.
        stop_receivers(&mut left, Instant::now() + self.drain_timeout).await;
        let started = self.start_new(plan, &claims).await;
        self.listeners.retain(&claims);
        self.describe(plan);
        started.map(|()| left)
    }

    async fn start_new(&mut self, plan: &Plan<'_>, claims: &[Claim]) -> Result<(), ServiceError> {
        for instance in self.running.extensions.iter_mut().filter(|instance| !instance.started) {
            let listeners = hand_out(&self.listeners, claims, Kind::Extension, &instance.id)?;
            let started = instance.extension.start(listeners).await;
            started.map_err(|source| cannot_start(plan, Kind::Extension, &instance.id, source))?;
            instance.started = true;
        }
        for instance in self.running.receivers.iter_mut().filter(|instance| !instance.started) {
            let listeners = hand_out(&self.listeners, claims, Kind::Receiver, &instance.id)?;
            let started = instance.receiver.start(listeners).await;
            started.map_err(|source| cannot_start(plan, Kind::Receiver, &instance.id, source))?;
            instance.started = true;
        }
        Ok(())
    }

    fn describe(&self, plan: &Plan<'_>) {
        let pipelines = plan
            .pipelines
            .iter()
            .map(|pipeline| PipelineStatus {
                id: pipeline.id.clone(),
                receivers: pipeline.receivers.clone(),
                processors: pipeline.processors.iter().map(|processor| processor.id.clone()).collect(),
                exporters: pipeline.exporters.iter().chain(&pipeline.connectors).cloned().collect(),
            })
            .collect();
        let extensions = plan.extensions.iter().map(|extension| extension.id.clone()).collect();
        self.status.update(|state| {
            state.phase = Phase::Running;
            state.pipelines = pipelines;
            state.extensions = extensions;
        });
    }

    /// The receivers that have handed over nothing since they started.
    #[must_use]
    pub fn silent_receivers(&self) -> Vec<ComponentId> {
        self.running
            .receivers
            .iter()
            .filter(|instance| instance.outlets.iter().all(|(_, outlet)| !outlet.was_used()))
            .map(|instance| instance.id.clone())
            .collect()
    }

    /// Stops receiving, hands on everything held, and stops; at most for the drain time-out. What it lost stands in
    /// [`Snapshot::lost`](super::Snapshot::lost).
    pub async fn shutdown(mut self) -> Drained {
        self.status.update(|state| state.phase = Phase::Draining);
        let deadline = Instant::now() + self.drain_timeout;
        // Callers that wait for a destination that is down are given their batches back, not kept to the deadline.
        for exporter in self.running.exporters.values() {
            exporter.consumer.hurry();
        }
        let receivers = self.running.receivers.iter().map(|receiver| owner(Kind::Receiver, &receiver.id));
        let receivers: Vec<String> = receivers.collect();
        self.listeners.leave_shared_ports(|owner| receivers.iter().any(|receiver| receiver == owner)).await;
        // At once, so that clients turn to another process, or are refused, and do not wait for this one.
        self.listeners.retain(&[]);
        let everything = std::mem::take(&mut self.running).into_leftover();
        let unanswered = everything.drain(deadline).await;
        if unanswered > 0 {
            warn!(batches = unanswered, "The drain time-out has passed; batches under way were given up");
        }
        Drained { unanswered, overran: (Instant::now() >= deadline).then_some(self.drain_timeout) }
    }
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// How many batches were given up before their senders were answered.
    pub unanswered: usize,
    /// The time-out, if the drain was not finished within it.
    pub overran: Option<Duration>,
}

impl Drained {
    /// What kept the drain from being complete, in one line, given what components lost; `None` if nothing did.
    #[must_use]
    pub fn shortcoming(&self, lost: &BTreeMap<String, usize>) -> Option<String> {
        let lost = lost.iter().map(|(component, items)| format!("{component} lost {items} items"));
        let unanswered =
            (self.unanswered > 0).then(|| format!("{} requests were given up unanswered", self.unanswered));
        let overran = self.overran.map(|timeout| format!("the drain time-out of {timeout:?} had passed"));
        let all: Vec<String> = lost.chain(unanswered).chain(overran).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn cannot_start(plan: &Plan<'_>, kind: Kind, id: &ComponentId, source: BuildError) -> CannotStart {
    let planned = plan.components().find(|planned| planned.kind == kind && planned.id == *id);
    CannotStart::new(kind, id.clone(), planned.map(|planned| &planned.body), source)
}

/// As [`Planned::owner`](super::plan::Planned::owner) says.
fn owner(kind: Kind, id: &ComponentId) -> String {
    format!("{kind} {id}")
}

fn hand_out(
    pool: &ListenerPool,
    claims: &[Claim],
    kind: Kind,
    id: &ComponentId,
) -> Result<Listeners, ServiceError> {
    pool.hand_out(claims, &owner(kind, id)).map_err(|source| ServiceError::HandOut {
        kind,
        id: id.clone(),
        source,
    })
}

async fn stop_receivers(left: &mut Leftover, deadline: Instant) {
    join_all(left.receivers.iter_mut().map(|instance| instance.receiver.stop(deadline))).await;
    let outlets = left
        .receivers
        .drain(..)
        .flat_map(|instance| instance.outlets.iter().map(|(_, outlet)| outlet.line()).collect::<Vec<_>>());
    left.lines.extend(outlets);
}

impl Instances {
    fn into_leftover(self) -> Leftover {
        Leftover {
            receivers: self.receivers,
            lines: Vec::new(),
            pipelines: self.pipelines,
            connectors: self.connectors,
            exporters: self.exporters.into_values().collect(),
            extensions: self.extensions,
        }
    }
}

impl Leftover {
    /// Drains in the order in which data passes; returns how many batches were left unanswered.
    async fn drain(mut self, deadline: Instant) -> usize {
        stop_receivers(&mut self, deadline).await;
        let mut unanswered = settle(&self.lines, deadline).await;
        for pipeline in &self.pipelines {
            for stage in &pipeline.stages {
                stage.drain(deadline).await;
            }
            for id in &pipeline.connectors {
                if let Some(connector) = self.connectors.get(id) {
                    unanswered += drain_connector(connector, deadline).await;
                }
            }
        }
        join_all(self.exporters.iter().map(|exporter| exporter.consumer.drain(deadline))).await;
        for instance in &mut self.extensions {
            instance.extension.stop(deadline).await;
        }
        unanswered
    }
}

async fn drain_connector(connector: &ConnectorInstance, deadline: Instant) -> usize {
    join_all(connector.branches.values().map(|branch| branch.drain(deadline))).await;
    let lines: Vec<Arc<Line>> = connector.outlets.iter().map(|(_, outlet)| outlet.line()).collect();
    settle(&lines, deadline).await
}

/// Waits until no batch is under way on these lines; returns how many still are at the deadline.
async fn settle(lines: &[Arc<Line>], deadline: Instant) -> usize {
    let idle = join_all(lines.iter().map(|line| line.idle()));
    if tokio::time::timeout_at(deadline.into(), idle).await.is_ok() {
        return 0;
    }
    lines.iter().map(|line| line.under_way()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_complete_only_if_nothing_is_missing() {
        let complete = Drained { unanswered: 0, overran: None };
        assert_eq!(complete.shortcoming(&BTreeMap::new()), None);
        let lost = BTreeMap::from([("exporter otlp".to_owned(), 1200)]);
        assert_eq!(complete.shortcoming(&lost).as_deref(), Some("exporter otlp lost 1200 items"));
        let late = Drained { unanswered: 3, overran: Some(Duration::from_secs(25)) };
        assert_eq!(
            late.shortcoming(&lost).as_deref(),
            Some(
                "exporter otlp lost 1200 items; 3 requests were given up unanswered; the drain time-out of 25s had passed"
            )
        );
    }
}
