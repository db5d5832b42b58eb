//! The queues of one extension: opened when exporters ask for them, closed with the extension.

use std::{
    collections::{HashMap, HashSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use sluice_pipeline::{
    component::{ComponentContext, DurableQueue, QueueOwner, Storage},
    graph::{DeadTask, panic_message},
    reply::Failure,
};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout_at},
};
use tracing::{error, info, warn};

use super::{
    directory::{Directory, Opened},
    disk::FileDisk,
    identity::{self, IdentityError},
    log::{Log, OpenError, Settings},
    queue::{Queue, Shared},
    telemetry::{self, Telemetry},
    worker::{Retention, Worker},
};

/// How often a queue that its last user has yet to leave is asked for again.
const REOPEN_INTERVAL: Duration = Duration::from_millis(20);

/// The queues of one extension.
pub(super) struct FileQueues {
    context: ComponentContext,
    settings: Settings,
    retention: Retention,
    /// The directory, once the extension has started.
    directory: watch::Sender<Option<Arc<Directory>>>,
    queues: Mutex<HashMap<QueueOwner, Running>>,
    /// Whose queues the configuration needs.
    announced: Mutex<HashSet<QueueOwner>>,
}

/// A queue with its thread.
struct Running {
    shared: Weak<Shared>,
    ended: watch::Receiver<bool>,
}

/// Why a queue cannot be opened.
#[derive(Debug, thiserror::Error)]
enum QueueError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl FileQueues {
    pub(super) fn new(context: ComponentContext, settings: Settings, retention: Retention) -> Arc<Self> {
        let (directory, _) = watch::channel(None);
        Arc::new(Self {
            context,
            settings,
            retention,
            directory,
            queues: Mutex::default(),
            announced: Mutex::default(),
        })
    }

    /// Lets the queues of this directory be opened, and tells of those that nobody will open.
    pub(super) fn start(&self, directory: Arc<Directory>) {
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match directory.abandoned(&announced) {
            Ok(abandoned) => abandoned.iter().for_each(telemetry::abandoned),
            Err(error) => warn!(%error, "Sending queues that no exporter uses could not be looked for"),
        }
        self.directory.send_replace(Some(directory));
    }

    /// Closes every queue and waits until what they know is on the disk.
    pub(super) async fn stop(&self, deadline: Instant) {
        let running: Vec<Running> = self.queues().drain().map(|(_, running)| running).collect();
        for queue in &running {
            if let Some(shared) = queue.shared.upgrade() {
                shared.close();
            }
        }
        for mut queue in running {
            if timeout_at(deadline.into(), queue.ended.wait_for(|ended| *ended)).await.is_err() {
                error!(
                    "A sending queue was not closed before the shutdown deadline; deliveries may be repeated"
                );
            }
        }
    }

    async fn directory(&self) -> Result<Arc<Directory>, Failure> {
        let mut directory = self.directory.subscribe();
        let started = directory.wait_for(Option::is_some).await.ok().and_then(|directory| directory.clone());
        started.ok_or_else(|| Failure::retryable("the storage extension has ended"))
    }

    /// A hold on a queue that is open.
    fn join(&self, owner: &QueueOwner) -> Option<Queue> {
        self.queues().get(owner)?.shared.upgrade()?.hold()
    }

    async fn open(&self, owner: &QueueOwner) -> Result<Queue, Failure> {
        let directory = self.directory().await?;
        loop {
            if let Some(queue) = self.join(owner) {
                return Ok(queue);
            }
            let (directory, asked) = (Arc::clone(&directory), owner.clone());
            let settings = self.settings;
            let opening = spawn_blocking(move || open_log(&directory, &asked, settings));
            let outcome = opening.await.map_err(|error| Failure::retryable(error.to_string()))?;
            match outcome.map_err(|error| Failure::retryable(error.to_string()))? {
                Some((log, opened)) => return self.run(owner, log, opened),
                // Its thread is about to end, or another extension has it until its exporter has drained.
                None => sleep(REOPEN_INTERVAL).await,
            }
        }
    }

    fn run(&self, owner: &QueueOwner, log: Log<FileDisk>, opened: Opened) -> Result<Queue, Failure> {
        let shared = Shared::new();
        let queue = shared.hold().ok_or_else(|| Failure::retryable("the queue is closed"))?;
        let telemetry = Telemetry::new(owner);
        let budget = self.context.budget.clone();
        let worker = Worker::new(log, Arc::clone(&shared), budget, self.retention, telemetry);
        let (ending, ended) = watch::channel(false);
        let thread = {
            let (shared, status) = (Arc::clone(&shared), Arc::clone(&self.context.status));
            let component = format!("extension {}", self.context.id);
            move || {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| worker.run())) {
                    let reason = panic_message(panic.as_ref());
                    error!(
                        component,
                        reason, "The thread of a sending queue has died; restart Sluice and report this"
                    );
                    let task = "writes a sending queue";
                    status.update(|state| state.died.push(DeadTask { component, task }));
                }
                shared.closed();
                drop(opened);
                ending.send_replace(true);
            }
        };
        std::thread::Builder::new()
            .name("sluice-queue".to_owned())
            .spawn(thread)
            .map_err(|error| Failure::retryable(format!("cannot start the thread of the queue: {error}")))?;
        let running = Running { shared: Arc::downgrade(&shared), ended };
        self.queues().insert(owner.clone(), running);
        Ok(queue)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<QueueOwner, Running>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for FileQueues {
    fn announce(&self, owner: &QueueOwner) {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).insert(owner.clone());
    }

    fn queue(&self, owner: QueueOwner) -> BoxFuture<'_, Result<Arc<dyn DurableQueue>, Failure>> {
        Box::pin(async move {
            let queue: Arc<dyn DurableQueue> = Arc::new(self.open(&owner).await?);
            Ok(queue)
        })
    }
}

/// Opens the log of a queue; `None` while it is open elsewhere in this process.
fn open_log(
    directory: &Arc<Directory>,
    owner: &QueueOwner,
    settings: Settings,
) -> Result<Option<(Log<FileDisk>, Opened)>, QueueError> {
    let Some(opened) = directory.queue(owner)? else { return Ok(None) };
    let disk = FileDisk::new(opened.path.clone(), Telemetry::new(owner).sync_seconds())?;
    super::log::check(&disk)?;
    identity::establish(&disk, owner)?;
    let log = Log::open(disk, settings)?;
    info!(exporter = %owner.id, data_type = %owner.signal, path = %opened.path.display(), "Opened a sending queue");
    Ok(Some((log, opened)))
}
