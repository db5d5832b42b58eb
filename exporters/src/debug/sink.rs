//! Where printed batches go: Sluice's own log, or plain text to standard output, standard error or files.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use sluice_pipeline::{Signal, component::ComponentId};
use tracing::info;

use super::summary::Summary;

/// Where printed batches go.
pub(super) enum Sink {
    /// Entries of Sluice's own log.
    Log(ComponentId),
    /// Plain text.
    Paths(Arc<Mutex<Vec<Path>>>),
}

/// One of several places for plain text.
pub(super) enum Path {
    Stdout,
    Stderr,
    File {
        name: String,
        file: Option<File>,
    },
    #[cfg(test)]
    Memory(Arc<Mutex<Vec<u8>>>),
}

/// Plain text that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing to {path} failed: {error}")]
pub(super) struct SinkError {
    path: String,
    error: io::Error,
}

impl Sink {
    /// Plain text to these paths, named as in `output_paths`.
    pub(super) fn to_paths(paths: &[String]) -> Self {
        let paths = paths.iter().map(|path| match path.as_str() {
            "stdout" => Path::Stdout,
            "stderr" => Path::Stderr,
            name => Path::File { name: name.strip_prefix("file://").unwrap_or(name).to_owned(), file: None },
        });
        Self::Paths(Arc::new(Mutex::new(paths.collect())))
    }

    /// Prints a summary and, if there is any, the text below it.
    pub(super) async fn print(
        &self,
        signal: Signal,
        summary: &Summary,
        text: String,
    ) -> Result<(), SinkError> {
        match self {
            Self::Log(id) => {
                log_summary(id, signal, summary);
                if !text.is_empty() {
                    log_text(id, signal, &text);
                }
                Ok(())
            }
            Self::Paths(paths) => {
                let text = summary.line() + &text;
                let paths = Arc::clone(paths);
                tokio::task::spawn_blocking(move || write_all(&paths, text.as_bytes())).await.map_err(
                    |panic| SinkError { path: "output_paths".to_owned(), error: io::Error::other(panic) },
                )?
            }
        }
    }
}

// The names of fields are fixed when the program is built, so each signal has an entry of its own.
fn log_summary(id: &ComponentId, signal: Signal, summary: &Summary) {
    let count = |place: usize| summary.counts.get(place).map_or(0, |(_, count)| *count as u64);
    macro_rules! entry {
        ($title:literal: $($name:literal = $place:literal),+) => {
            info!(
                "otelcol.component.id" = %id,
                "otelcol.component.kind" = "exporter",
                "otelcol.signal" = signal.name(),
                $($name = count($place),)+
                $title
            )
        };
    }
    match signal {
        Signal::Traces => entry!("Traces": "resource spans" = 0, "spans" = 1),
        Signal::Metrics => entry!("Metrics": "resource metrics" = 0, "metrics" = 1, "data points" = 2),
        Signal::Logs => entry!("Logs": "resource logs" = 0, "log records" = 1),
        Signal::Profiles => entry!("Profiles": "resource profiles" = 0, "profiles" = 1, "samples" = 2),
    }
}

fn log_text(id: &ComponentId, signal: Signal, text: &str) {
    info!(
        "otelcol.component.id" = %id,
        "otelcol.component.kind" = "exporter",
        "otelcol.signal" = signal.name(),
        "{text}"
    );
}

fn write_all(paths: &Mutex<Vec<Path>>, text: &[u8]) -> Result<(), SinkError> {
    let mut paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
    let mut result = Ok(());
    for path in paths.iter_mut() {
        if let Err(error) = path.write(text) {
            result = Err(SinkError { path: path.name().to_owned(), error });
        }
    }
    result
}

impl Path {
    fn name(&self) -> &str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::File { name, .. } => name,
            #[cfg(test)]
            Self::Memory(_) => "memory",
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(text),
            Self::File { name, file } => {
                let file = match file {
                    Some(file) => file,
                    None => file.insert(OpenOptions::new().create(true).append(true).open(name)?),
                };
                file.write_all(text)
            }
            #[cfg(test)]
            Self::Memory(buffer) => buffer.lock().unwrap_or_else(PoisonError::into_inner).write_all(text),
        }
    }
}
