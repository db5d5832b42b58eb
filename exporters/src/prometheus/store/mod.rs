//! The latest value of every series, in families by name.

mod exemplars;
mod exponential;
mod family;
mod refusal;
mod series;
mod targets;
#[cfg(test)]
mod tests;
mod value;

pub(super) use exemplars::Exemplar;
pub(super) use family::{About, Cursor, Family};
pub(super) use refusal::Refusal;
pub(super) use series::{Moment, Point, Series};
pub(super) use targets::{Target, Targets};

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use sluice_pipeline::{
    budget::Budget,
    component::{ComponentContext, ComponentId},
};
use tracing::warn;

use self::family::{Room, Taken};
use super::{config::PrometheusKeys, counters::Counters};
use crate::prometheus_model::Kind;

/// How often expired series are looked for while points come in, in milliseconds.
const SWEEP: u64 = 10_000;
/// How many names the log warns of.
const MOST_WARNINGS: usize = 1_000;

/// The latest value of every series.
pub(super) struct Store {
    id: ComponentId,
    families: RwLock<Families>,
    pub(super) targets: Targets,
    /// The name of the family of targets.
    pub(super) target_info: Arc<str>,
    room: Room,
    budget: Budget,
    /// In milliseconds; `None` means never.
    expiration: Option<u64>,
    swept: AtomicU64,
    started: Instant,
    open_metrics: bool,
    warned: Mutex<HashSet<Box<str>>>,
    pub(super) counters: Counters,
}

#[derive(Default)]
struct Families {
    by_name: BTreeMap<Arc<str>, Arc<Family>>,
    /// The names that samples have, each with its family.
    samples: HashMap<String, Arc<str>>,
}

impl Store {
    pub(super) fn new(keys: &PrometheusKeys, context: &ComponentContext) -> Self {
        let namer =
            sluice_protocols::prometheus::MetricNamer { namespace: keys.namespace.clone(), suffixes: false };
        let other = sluice_protocols::prometheus::MetricKind::Other;
        let target_info: Arc<str> = namer.name("target_info", "", other).unwrap_or_default().into();
        let mut families = Families::default();
        families.samples.insert(target_info.to_string(), Arc::clone(&target_info));
        let expiration = keys.metric_expiration.limit();
        Self {
            id: context.id.clone(),
            families: RwLock::new(families),
            targets: Targets::new(&context.budget),
            target_info,
            room: Room { most: keys.max_series, taken: AtomicUsize::new(0) },
            budget: context.budget.clone(),
            expiration: expiration.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
            swept: AtomicU64::new(0),
            started: Instant::now(),
            open_metrics: keys.enable_open_metrics,
            warned: Mutex::default(),
            counters: Counters::new(&context.id),
        }
    }

    /// Now, by both clocks.
    pub(super) fn now(&self) -> Moment {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment {
            unix_nano: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
            elapsed: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The family of a metric, made if there is none of the name.
    ///
    /// # Errors
    /// Another kind of metric has the name, or one that its samples would have. Said once in the log.
    pub(super) fn family(&self, about: &About) -> Result<Arc<Family>, Refusal> {
        let known = {
            let families = self.families.read().unwrap_or_else(PoisonError::into_inner);
            families.by_name.get(&about.name).cloned()
        };
        let found = match known {
            Some(family) => Ok(family),
            None => self.make(about),
        };
        match found {
            Ok(family) if family.about.kind == about.kind => Ok(family),
            Ok(family) => Err(self.conflict(about, &family.about.name)),
            Err(other) => Err(self.conflict(about, &other)),
        }
    }

    /// Gives a point to its series.
    pub(super) fn take(
        &self,
        family: &mut Arc<Family>,
        labels: &str,
        mut point: Point,
        now: Moment,
    ) -> Result<(), Refusal> {
        loop {
            match family.take(labels, point, now, &self.room) {
                Taken::Yes => return Ok(()),
                Taken::Refused(refusal) => return Err(refusal),
                Taken::Gone(again) => point = again,
            }
            *family = self.family(&family.about)?;
        }
    }

    /// Ends a series, as its sender says.
    pub(super) fn end(&self, family: &Family, labels: &str, time: u64, now: Moment) -> Result<(), Refusal> {
        family.end(labels, time, now, &self.room)
    }

    /// Replaces what is known of a target; where there is no room for it, that is counted.
    pub(super) fn target(&self, identity: String, labels: String, now: Moment) {
        if let Err(refusal) = self.targets.update(identity, labels, now, &self.room) {
            self.counters.refused_target(refusal);
        }
    }

    /// All families, in the order of their names.
    pub(super) fn all(&self) -> Vec<Arc<Family>> {
        self.families.read().unwrap_or_else(PoisonError::into_inner).by_name.values().cloned().collect()
    }

    /// What was updated before this, in milliseconds since the start, is expired.
    pub(super) fn limit(&self, now: Moment) -> u64 {
        self.expiration.map_or(0, |expiration| now.elapsed.saturating_sub(expiration))
    }

    /// Drops what is expired, if that was not done lately.
    pub(super) fn sweep_if_due(&self, now: Moment) {
        let swept = self.swept.load(Ordering::Relaxed);
        let due = now.elapsed >= swept.saturating_add(SWEEP.min(self.expiration.unwrap_or(SWEEP)));
        let claimed = due
            && self.swept.compare_exchange(swept, now.elapsed, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if claimed {
            self.sweep(now);
        }
    }

    /// Drops what is expired, and families that nothing is left of: then their names are free for any kind.
    pub(super) fn sweep(&self, now: Moment) {
        let limit = self.limit(now);
        let mut expired = self.targets.expire(limit, &self.room);
        let mut bytes = self.targets.bytes();
        for family in self.all() {
            expired += family.expire(limit, &self.room);
            bytes += family.bytes();
        }
        self.counters.expired(expired);
        self.counters.held(self.series(), bytes);
        let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
        let Families { by_name, samples } = &mut *families;
        let mut closed = HashSet::new();
        by_name.retain(|name, family| {
            let close = family.close_if_empty();
            if close {
                closed.insert(Arc::clone(name));
            }
            !close
        });
        if !closed.is_empty() {
            samples.retain(|_, family| !closed.contains(family));
        }
    }

    /// How many series there are, targets among them.
    pub(super) fn series(&self) -> usize {
        self.room.taken.load(Ordering::Relaxed)
    }

    /// Makes a family; else the name of the one that is in its way.
    fn make(&self, about: &About) -> Result<Arc<Family>, Arc<str>> {
        let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(family) = families.by_name.get(&about.name) {
            return Ok(Arc::clone(family));
        }
        let samples = about.samples(self.open_metrics);
        if let Some(other) = samples.iter().find_map(|sample| families.samples.get(sample)) {
            return Err(Arc::clone(other));
        }
        let name = &about.name;
        families.samples.extend(samples.into_iter().map(|sample| (sample, Arc::clone(name))));
        let family = Arc::new(Family::new(about.clone(), &self.budget));
        families.by_name.insert(Arc::clone(name), Arc::clone(&family));
        Ok(family)
    }

    fn conflict(&self, about: &About, other: &str) -> Refusal {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < MOST_WARNINGS && warned.insert(Box::from(&*about.name)) {
            warn!(
                exporter = %self.id, metric = &*about.name, kind = about.kind.name(), conflicts_with = other,
                "Metrics of different kinds have one name in Prometheus; the later one is refused. Rename one of them, \
                 or give each a pipeline with an exporter and a namespace of its own"
            );
        }
        Refusal::Conflict
    }
}

impl About {
    /// The names of its samples.
    fn samples(&self, open_metrics: bool) -> Vec<String> {
        let name = &*self.name;
        let suffixes: &[&str] = match self.kind {
            Kind::Counter | Kind::Gauge => &[],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Summary => &["_sum", "_count"],
        };
        let mut samples: Vec<String> = suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect();
        samples.push(name.to_owned());
        if open_metrics && self.kind != Kind::Gauge {
            samples.push(format!("{}_created", self.base()));
        }
        if self.kind == Kind::Counter && open_metrics && !name.ends_with("_total") {
            samples.push(format!("{name}_total"));
        }
        samples
    }

    /// The name of the family in OpenMetrics, where that of a counter has no `_total`.
    pub(super) fn base(&self) -> &str {
        let counter = self.kind == Kind::Counter;
        self.name.strip_suffix("_total").filter(|base| counter && !base.is_empty()).unwrap_or(&self.name)
    }
}

impl Kind {
    /// What it is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}
