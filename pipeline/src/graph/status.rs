//! The state of the running service, for health checks and status pages.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError, RwLock},
    time::{Instant, SystemTime},
};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tracing::error;

use crate::component::{ComponentId, Kind, PipelineId};

/// The state of the running service, kept current by the graph. Extensions and components share it.
#[derive(Debug)]
pub struct Status {
    started: Instant,
    started_at: SystemTime,
    state: RwLock<Snapshot>,
}

/// The state at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Where in its life the service is.
    pub phase: Phase,
    /// The running pipelines.
    pub pipelines: Vec<PipelineStatus>,
    /// The running extensions.
    pub extensions: Vec<ComponentId>,
    /// Tasks that ended although their component still runs.
    pub died: Vec<DeadTask>,
    /// How often the configuration was reloaded, and what came of the last time.
    pub reloads: u64,
    /// Why the last reload was refused; `None` if it was taken.
    pub reload_refused: Option<String>,
    /// Items whose senders had been told that they are safe and that were given up while everything was drained, by
    /// component, such as `exporter otlp`.
    pub lost: BTreeMap<String, usize>,
}

/// Where in its life the service is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not all components have started.
    #[default]
    Starting,
    /// Everything runs.
    Running,
    /// Nothing new is taken; what is held is handed on.
    Draining,
}

/// A running pipeline.
#[derive(Clone, Debug)]
pub struct PipelineStatus {
    /// Its id.
    pub id: PipelineId,
    /// Receivers and connectors that feed it.
    pub receivers: Vec<ComponentId>,
    /// Its processors in order.
    pub processors: Vec<ComponentId>,
    /// Exporters and connectors that it feeds.
    pub exporters: Vec<ComponentId>,
}

/// A task that ended although its component still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadTask {
    /// The component, such as `exporter otlp`.
    pub component: String,
    /// What the task did.
    pub task: &'static str,
}

impl Default for Status {
    fn default() -> Self {
        Self { started: Instant::now(), started_at: SystemTime::now(), state: RwLock::default() }
    }
}

impl Status {
    /// When the process started to serve.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// How long ago that was.
    #[must_use]
    pub fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// The state now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether everything runs and no task has died.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.phase == Phase::Running && state.died.is_empty()
    }

    /// Changes the state.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Items were given up whose senders had been told that they are safe. Counts towards what a drain lost.
    pub fn lost(&self, kind: Kind, id: &ComponentId, items: usize) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.phase == Phase::Draining && items > 0 {
            *state.lost.entry(format!("{kind} {id}")).or_default() += items;
        }
    }

    /// Runs a task that must not end before its component: if it panics, health goes red and the log says why.
    /// A task that returns has ended in order.
    pub fn supervise(
        self: &Arc<Self>,
        kind: Kind,
        id: &ComponentId,
        task: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let status = Arc::clone(self);
        let component = format!("{kind} {id}");
        tokio::spawn(async move {
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                let reason = panic_message(panic.as_ref());
                error!(
                    component,
                    task, reason, "A task of a component has died; restart Sluice and report this"
                );
                status.update(|state| state.died.push(DeadTask { component, task }));
            }
        })
    }
}

/// The text of a panic.
#[must_use]
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_turns_health_red() {
        let status = Arc::new(Status::default());
        status.update(|state| state.phase = Phase::Running);
        assert!(status.is_healthy());
        let id = ComponentId::of_type("otlp");
        status.supervise(Kind::Receiver, &id, "accepts", async { panic!("gone") }).await.unwrap();
        assert!(!status.is_healthy());
        assert_eq!(status.snapshot().died[0].component, "receiver otlp");
    }

    #[test]
    fn only_what_a_drain_loses_counts_towards_it() {
        let status = Status::default();
        let id = ComponentId::of_type("otlp");
        status.update(|state| state.phase = Phase::Running);
        status.lost(Kind::Exporter, &id, 5);
        assert!(status.snapshot().lost.is_empty());
        status.update(|state| state.phase = Phase::Draining);
        status.lost(Kind::Exporter, &id, 3);
        status.lost(Kind::Exporter, &id, 4);
        assert_eq!(status.snapshot().lost, [("exporter otlp".to_owned(), 7)].into());
    }

    #[tokio::test]
    async fn a_task_that_returns_leaves_health_alone() {
        let status = Arc::new(Status::default());
        status.update(|state| state.phase = Phase::Running);
        status.supervise(Kind::Receiver, &ComponentId::of_type("otlp"), "accepts", async {}).await.unwrap();
        assert!(status.is_healthy());
    }
}
