//! Structured logs in the Collector's encodings and keys.
//!
//! `console` is a line of tab-separated time, level, caller, message and a JSON object of fields; `json` is one object
//! a line. Repeated messages are sampled as the Collector samples them.

mod encode;
mod fields;
mod sampling;
mod sink;
mod timestamp;

use std::{
    fmt::Write as _,
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

pub use encode::LogEncoding;
pub use timestamp::rfc3339_millis;

use fields::Fields;
use sampling::Sampler;
use sink::Sink;
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

/// How Sluice logs: `service.telemetry.logs`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// How a line looks.
    pub encoding: LogEncoding,
    /// Whether a line says where in the source it comes from.
    pub caller: bool,
    /// How repeated messages are thinned out; `None` writes all.
    pub sampling: Option<Sampling>,
    /// `stdout`, `stderr` or paths of files to append to.
    pub outputs: Vec<String>,
    /// Fields that every line carries.
    pub initial_fields: Vec<(String, serde_json::Value)>,
}

/// Of the lines with one level and message within `tick`, the first `initial` are written, then every `thereafter`th.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// The window.
    pub tick: Duration,
    /// How many are written unconditionally.
    pub initial: u64,
    /// Then every this many; 0 writes no more in the window.
    pub thereafter: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: LevelFilter::INFO,
            encoding: LogEncoding::Console,
            caller: true,
            sampling: Some(Sampling { tick: Duration::from_secs(10), initial: 10, thereafter: 100 }),
            outputs: vec!["stderr".to_owned()],
            initial_fields: Vec::new(),
        }
    }
}

/// Logs cannot be written as configured.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file of `output_paths` cannot be opened.
    #[error("service.telemetry.logs.output_paths: cannot open {path} for appending: {source}")]
    Open {
        /// The path.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Logs were set up before.
    #[error("logs are set up already")]
    Installed,
}

/// Sends the logs of the whole process where the settings say.
///
/// # Errors
/// [`LogError`].
pub fn install(settings: &LogSettings) -> Result<(), LogError> {
    let layer = LogLayer::new(settings)?;
    tracing::subscriber::set_global_default(Registry::default().with(layer.with_filter(settings.level)))
        .map_err(|_| LogError::Installed)
}

/// Writes every event as one line.
struct LogLayer {
    encoding: LogEncoding,
    caller: bool,
    initial: Fields,
    sampler: Option<Sampler>,
    sinks: Mutex<Vec<Sink>>,
}

impl LogLayer {
    fn new(settings: &LogSettings) -> Result<Self, LogError> {
        let sinks = settings.outputs.iter().map(|path| Sink::open(path)).collect::<Result<_, _>>()?;
        let mut initial = Fields::default();
        for (name, value) in &settings.initial_fields {
            initial.push(name, value.clone());
        }
        Ok(Self {
            encoding: settings.encoding,
            caller: settings.caller,
            initial,
            sampler: settings.sampling.map(Sampler::new),
            sinks: Mutex::new(sinks),
        })
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = self.initial.clone();
        event.record(&mut fields);
        let message = fields.take_message();
        if let Some(sampler) = &self.sampler
            && *metadata.level() != Level::ERROR
            && !sampler.admits(*metadata.level(), &message)
        {
            return;
        }
        let mut caller = String::new();
        if self.caller
            && let (Some(file), Some(line)) = (metadata.file(), metadata.line())
        {
            // Writing to a string cannot fail.
            let _ = write!(caller, "{}:{line}", shorten(file));
        }
        let line = self.encoding.line(&encode::Line {
            time: SystemTime::now(),
            level: *metadata.level(),
            caller: &caller,
            message: &message,
            fields: &fields,
        });
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        for sink in sinks.iter_mut() {
            sink.write(line.as_bytes());
        }
    }
}

/// The last two levels of a path, as the Collector shows callers.
fn shorten(path: &str) -> &str {
    let mut slashes = path.rmatch_indices('/');
    slashes.next();
    slashes.next().map_or(path, |(place, _)| path.get(place + 1..).unwrap_or(path))
}
