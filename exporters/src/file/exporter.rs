//! Takes batches and answers once the operating system has them.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use futures_util::future::{BoxFuture, join_all, ready};
use sluice_pipeline::{
    Batch, Consumer, Demand, Failure, Permit, Reply, Signal,
    component::{BuildError, ComponentId, ExporterContext},
    telemetry::ExporterMetrics,
};
use tracing::{info, warn};

use super::{
    config::{FileConfig, GroupBy},
    grouping::{Groups, Writers},
    output::Settings,
    record::{Layout, LayoutError},
    writer::{Conflict, Writer},
};

/// Writes batches of one signal to one file, or to one for each value of a resource attribute.
pub(super) struct FileExporter {
    id: ComponentId,
    layout: Layout,
    destination: Destination,
    metrics: ExporterMetrics,
    failing: AtomicBool,
}

enum Destination {
    One(Arc<Writer>),
    Grouped(Grouping),
}

struct Grouping {
    attribute: String,
    writers: Writers,
    settings: Settings,
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error("writing to {path} failed: {error}")]
    Io { path: String, error: io::Error },
}

impl FileExporter {
    pub(super) fn new(config: &FileConfig, context: &ExporterContext) -> Result<Self, BuildError> {
        let id = context.component.id.clone();
        let layout = Layout { format: config.format, compression: config.compression };
        let settings = Settings {
            // A file of a group may be closed to make room and opened again: it must not lose what it held.
            append: config.append || config.grouping().is_some(),
            rotation: config.rotation,
            // The Collector's rotation creates missing directories whatever create_directory says.
            directory_mode: config.directory_mode().or(config.rotation.map(|_| 0o755)),
            sync_interval: config.sync_interval(),
        };
        let destination = match config.grouping() {
            Some(group_by) => Destination::Grouped(grouping(config, group_by, settings)?),
            None => {
                let writer = Writer::of(Path::new(&config.path), settings, layout, &id)
                    .map_err(|conflict| BuildError::setting("path", conflict.to_string()))?;
                writer.prepare().map_err(|error| unwritable(&config.path, &error))?;
                Destination::One(writer)
            }
        };
        let metrics = ExporterMetrics::new(&id, context.signal);
        Ok(Self { id, layout, destination, metrics, failing: AtomicBool::new(false) })
    }

    async fn write(&self, batch: &Batch) -> Result<usize, WriteError> {
        match &self.destination {
            Destination::One(writer) => {
                let chunks: Vec<&[u8]> = batch.chunks().iter().map(|chunk| chunk.bytes().as_ref()).collect();
                append(writer, record(self.layout, batch.signal(), &chunks)?).await?;
                Ok(0)
            }
            Destination::Grouped(grouping) => {
                let groups = Groups::of(batch, &grouping.attribute);
                for (segment, messages) in groups.messages {
                    let (writer, closed) = grouping
                        .writers
                        .get(&segment, |path| Writer::of(path, grouping.settings, self.layout, &self.id))?;
                    if let Some(closed) = closed {
                        closed.sync().await;
                    }
                    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
                    append(&writer, record(self.layout, batch.signal(), &messages)?).await?;
                }
                Ok(groups.homeless)
            }
        }
    }

    fn written(&self, batch: &Batch, homeless: usize) -> Reply {
        self.metrics.sent(batch.items() - homeless.min(batch.items()));
        if self.failing.swap(false, Ordering::Relaxed) {
            info!(exporter = %self.id, "Writing works again");
        }
        if homeless == 0 {
            return Reply::Delivered;
        }
        self.metrics.send_failed(homeless, "no_path_segment");
        Reply::Rejected {
            items: homeless as u64,
            message: format!(
                "exporter {}: {homeless} items have no usable path segment in their resource attribute",
                self.id
            ),
        }
    }

    fn failed(&self, batch: &Batch, error: &WriteError) -> Failure {
        self.metrics.send_failed(batch.items(), error.reason());
        if !self.failing.swap(true, Ordering::Relaxed) {
            warn!(exporter = %self.id, %error, "A batch was not written; further failures are counted but not logged");
        }
        let message = format!("exporter {}: {error}", self.id);
        if error.is_permanent() { Failure::permanent(message) } else { Failure::retryable(message) }
    }

    fn writers(&self) -> Vec<Arc<Writer>> {
        match &self.destination {
            Destination::One(writer) => vec![Arc::clone(writer)],
            Destination::Grouped(grouping) => grouping.writers.all(),
        }
    }
}

impl Consumer for FileExporter {
    fn reserve<'a>(&'a self, _demand: &'a Demand) -> BoxFuture<'a, Result<Permit, Failure>> {
        Box::pin(ready(Ok(Permit::none())))
    }

    fn consume(&self, batch: Batch, _permit: Permit) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            match self.write(&batch).await {
                Ok(homeless) => self.written(&batch, homeless),
                Err(error) => self.failed(&batch, &error).into(),
            }
        })
    }

    fn drain(&self, deadline: Instant) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let writers = self.writers();
            let synced = join_all(writers.iter().map(|writer| writer.sync()));
            if tokio::time::timeout_at(deadline.into(), synced).await.is_err() {
                warn!(exporter = %self.id, "Syncing to the disk took longer than the shutdown allows");
            }
        })
    }
}

fn grouping(config: &FileConfig, group_by: &GroupBy, settings: Settings) -> Result<Grouping, BuildError> {
    let mode = settings.directory_mode.unwrap_or(0o755);
    let writers = Writers::new(&config.path, group_by.max_open_files);
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(writers.directory())
        .map_err(|error| unwritable(&config.path, &error))?;
    Ok(Grouping {
        attribute: group_by.resource_attribute.clone(),
        writers,
        // The segment may name directories, which the Collector creates as well.
        settings: Settings { directory_mode: Some(mode), ..settings },
    })
}

/// A path that nothing can be written to, with what to do.
fn unwritable(path: &str, error: &io::Error) -> BuildError {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "; its directory is missing: create it, or set create_directory: true",
        io::ErrorKind::PermissionDenied => "; give the user that runs Sluice the right to write there",
        io::ErrorKind::IsADirectory => "; name a file in it",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "; a part of the path is a file",
        _ => "",
    };
    BuildError::setting("path", format!("cannot write to {path}: {error}{advice}"))
}

/// One record for all messages, or, where messages cannot be joined, a record for each.
fn record(layout: Layout, signal: Signal, messages: &[&[u8]]) -> Result<Vec<u8>, LayoutError> {
    if Batch::can_join(signal) {
        return layout.record(signal, messages);
    }
    let records: Result<Vec<_>, _> =
        messages.iter().map(|message| layout.record(signal, std::slice::from_ref(message))).collect();
    records.map(|records| records.concat())
}

async fn append(writer: &Writer, record: Vec<u8>) -> Result<(), WriteError> {
    writer
        .append(record)
        .await
        .map_err(|error| WriteError::Io { path: writer.path().display().to_string(), error })
}

impl WriteError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Layout(LayoutError::TooLong(_)) => "too_long",
            Self::Layout(LayoutError::Compression(_)) => "compression",
            Self::Conflict(_) => "conflict",
            Self::Io { error, .. } => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk_full",
                io::ErrorKind::FileTooLarge => "file_too_large",
                io::ErrorKind::PermissionDenied => "permission_denied",
                _ => "io",
            },
        }
    }

    fn is_permanent(&self) -> bool {
        match self {
            Self::Layout(_) | Self::Conflict(_) => true,
            Self::Io { error, .. } => error.kind() == io::ErrorKind::InvalidFilename,
        }
    }
}
