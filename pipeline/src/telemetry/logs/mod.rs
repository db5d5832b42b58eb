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
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

pub use encode::LogEncoding;
pub use timestamp::rfc3339_millis;

use arc_swap::ArcSwap;
use fields::Fields;
use sampling::Sampler;
use sink::Sink;
use tracing::{Event, Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
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

/// The logs of the process, which other settings can be given.
#[derive(Clone)]
pub struct Logs {
    current: Arc<ArcSwap<Writing>>,
}

/// Settings whose outputs are open, ready to take effect.
pub struct PreparedLogs(Writing);

impl Logs {
    /// Sends the logs of the whole process where the settings say.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn install(settings: &LogSettings) -> Result<Self, LogError> {
        let current = Arc::new(ArcSwap::from_pointee(Writing::new(settings)?));
        let layer = LogLayer { current: Arc::clone(&current) };
        tracing::subscriber::set_global_default(Registry::default().with(layer))
            .map_err(|_| LogError::Installed)?;
        Ok(Self { current })
    }

    /// Opens the outputs of other settings. Nothing changes yet.
    ///
    /// # Errors
    /// [`LogError::Open`].
    pub fn prepare(settings: &LogSettings) -> Result<PreparedLogs, LogError> {
        Writing::new(settings).map(PreparedLogs)
    }

    /// Goes on with other settings. Files are those just opened, so one that was moved aside is begun anew.
    pub fn change(&self, prepared: PreparedLogs) {
        self.current.store(Arc::new(prepared.0));
        // Which lines are worth making is remembered where they are made.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Writes every event as one line.
struct LogLayer {
    current: Arc<ArcSwap<Writing>>,
}

/// Where and how lines are written.
struct Writing {
    level: LevelFilter,
    encoding: LogEncoding,
    caller: bool,
    initial: Fields,
    sampler: Option<Sampler>,
    sinks: Mutex<Vec<Sink>>,
}

impl Writing {
    fn new(settings: &LogSettings) -> Result<Self, LogError> {
        let sinks = settings.outputs.iter().map(|path| Sink::open(path)).collect::<Result<_, _>>()?;
        let mut initial = Fields::default();
        for (name, value) in &settings.initial_fields {
            initial.push(name, value.clone());
        }
        Ok(Self {
            level: settings.level,
            encoding: settings.encoding,
            caller: settings.caller,
            initial,
            sampler: settings.sampling.map(Sampler::new),
            sinks: Mutex::new(sinks),
        })
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= self.current.load().level { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        *metadata.level() <= self.current.load().level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.current.load().level)
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.current.load().write(event);
    }
}

impl Writing {
    fn write(&self, event: &Event<'_>) {
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

#[cfg(test)]
mod tests;
