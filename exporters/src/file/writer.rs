//! Files shared by all exporters of the process that write to them.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
    time::Duration,
};

use sluice_pipeline::component::ComponentId;
use tokio::sync;
use tracing::error;

use super::{
    output::{Output, Settings},
    record::Layout,
};

/// The writer of each file that some exporter has open: the exporter of each signal, and on reload the old and the
/// new pipelines, add to the same file.
static WRITERS: LazyLock<Mutex<HashMap<PathBuf, Registered>>> = LazyLock::new(Mutex::default);

struct Registered {
    writer: Weak<Writer>,
    layout: Layout,
    owner: ComponentId,
}

/// Two exporters that would garble each other's file.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{owner}\" writes to {path} with another format or compression; give this exporter a path of its own"
)]
pub(super) struct Conflict {
    owner: ComponentId,
    path: String,
}

/// Adds records to one file, one at a time, and syncs it now and then.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    output: Arc<sync::Mutex<Output>>,
    /// Those of the exporter built last: a reload may change them.
    settings: Mutex<Settings>,
}

impl Writer {
    /// The writer of this file, that of another exporter if there is one.
    pub(super) fn of(
        path: &Path,
        settings: Settings,
        layout: Layout,
        owner: &ComponentId,
    ) -> Result<Arc<Self>, Conflict> {
        let path = resolved(path);
        let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|_, registered| registered.writer.strong_count() > 0);
        if let Some((registered, writer)) =
            writers.get(&path).and_then(|registered| Some((registered, registered.writer.upgrade()?)))
        {
            if registered.layout == layout {
                *writer.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
                return Ok(writer);
            }
            if registered.owner != *owner {
                return Err(Conflict { owner: registered.owner.clone(), path: path.display().to_string() });
            }
        }
        let output = Arc::new(sync::Mutex::new(Output::new(path.clone())));
        let writer = Arc::new(Self { path: path.clone(), output, settings: Mutex::new(settings) });
        let registered = Registered { writer: Arc::downgrade(&writer), layout, owner: owner.clone() };
        writers.insert(path, registered);
        Ok(writer)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that the file can be written to. One that is being written to can.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let settings = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        self.output.try_lock().map_or(Ok(()), |output| output.prepare(settings))
    }

    /// Adds a record. When this returns, the operating system has it.
    pub(super) async fn append(&self, record: Vec<u8>) -> io::Result<()> {
        let settings = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let (was_synced, written) = blocking(&self.output, move |output| {
            let was_synced = output.is_synced();
            (was_synced, output.append(&record, settings))
        })
        .await?;
        if was_synced && written.is_ok() {
            self.sync_later(settings.sync_interval);
        }
        written
    }

    /// Waits until everything added is on the disk. A failure is logged: what was added cannot be taken back.
    pub(super) async fn sync(&self) {
        sync_output(&self.output, &self.path).await;
    }

    fn sync_later(&self, interval: Duration) {
        let (path, output) = (self.path.clone(), Arc::downgrade(&self.output));
        tokio::spawn(async move {
            tokio::time::sleep(interval).await;
            if let Some(output) = output.upgrade() {
                sync_output(&output, &path).await;
            }
        });
    }
}

async fn sync_output(output: &Arc<sync::Mutex<Output>>, path: &Path) {
    let synced = blocking(output, Output::sync).await.and_then(|synced| synced);
    if let Err(error) = synced {
        error!(
            path = %path.display(), %error,
            "Syncing a file to the disk failed; its end may be lost in a power cut"
        );
    }
}

/// Does what blocks off the runtime, with the file to itself.
async fn blocking<T: Send + 'static>(
    output: &Arc<sync::Mutex<Output>>,
    work: impl FnOnce(&mut Output) -> T + Send + 'static,
) -> io::Result<T> {
    let mut output = Arc::clone(output).lock_owned().await;
    tokio::task::spawn_blocking(move || work(&mut output)).await.map_err(io::Error::other)
}

/// The path by which a file is known, however it is written.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent().map(Path::canonicalize), absolute.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => absolute,
    }
}
