//! The keys of the receiver below `metrics`.

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{component::Problem, config::types::Duration};

use super::{catalogue::OTHER, template::Templates};

/// The most boundaries that a histogram has.
pub(super) const MAX_BUCKETS: usize = 64;
/// The most methods that may be known.
const MAX_METHODS: usize = 64;
/// The longest name of a method, in bytes.
const MAX_METHOD_LENGTH: usize = 32;
/// The most series that may be held.
const MAX_SERIES: u32 = 10_000_000;

/// Metrics of HTTP exchanges and TCP connections, for each pair of processes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricsConfig {
    /// How often metrics are sent.
    pub interval: Duration,
    /// Whether HTTP exchanges are measured.
    pub http: bool,
    /// Whether TCP connections are measured.
    pub tcp: bool,
    /// How many series are held. What would need one more is added to a series with `otel.metric.overflow`, and counted.
    pub max_series: u32,
    /// What the numbers count: everything since the series began, or what came since the last time.
    pub temporality: Temporality,
    /// How long a series that gets no more observations is still sent, in whole intervals (rounded up); 0 means for ever.
    pub expiration: Duration,
    /// Templates of paths, such as `/users/{id}/orders/{order}` or `/files/{path...}`. A path that matches gives its
    /// series the attribute `url.template`; one that matches none gives no attribute of its path. The more specific of
    /// two templates counts.
    pub paths: Vec<String>,
    /// The methods that `http.request.method` tells apart; others become `_OTHER`. Their case matters.
    pub known_methods: Vec<String>,
    /// Upper boundaries of histogram buckets.
    pub buckets: Buckets,
}

/// Upper boundaries of histogram buckets, in rising order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Buckets {
    /// Of the times of HTTP exchanges. The default is the semantic conventions'.
    pub http_duration: Vec<Duration>,
    /// Of the sizes of HTTP messages, in bytes.
    pub http_size: Vec<u64>,
    /// Of the times of TCP: connecting, calls, round trips.
    pub tcp_duration: Vec<Duration>,
}

/// What the numbers of a metric count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// Everything since the series began.
    #[default]
    Cumulative,
    /// What came since the last time.
    Delta,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        let known_methods =
            ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"];
        Self {
            interval: Duration::from_secs(15),
            http: true,
            tcp: true,
            max_series: 10_000,
            temporality: Temporality::Cumulative,
            expiration: Duration::from_secs(300),
            paths: Vec::new(),
            known_methods: known_methods.map(str::to_owned).to_vec(),
            buckets: Buckets::default(),
        }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        let microseconds =
            |list: &[u64]| list.iter().map(|bound| std::time::Duration::from_micros(*bound).into()).collect();
        Self {
            http_duration: microseconds(&[
                5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
                2_500_000, 5_000_000, 7_500_000, 10_000_000,
            ]),
            http_size: (0..10).map(|power| 128 << (2 * power)).collect(),
            tcp_duration: microseconds(&[
                10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
                500_000, 1_000_000, 2_500_000, 5_000_000,
            ]),
        }
    }
}

impl MetricsConfig {
    /// What cannot work, with the keys below `key`.
    #[must_use]
    pub fn problems(&self, key: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong =
            |name: &str, message: String| problems.push(Problem::at(format!("{key}.{name}"), message));
        if self.interval.is_zero() {
            wrong("interval", "must be longer than 0s, such as 15s".to_owned());
        }
        if !self.expiration.is_zero() && self.expiration < self.interval {
            wrong(
                "expiration",
                format!("must be at least the interval ({}), or 0s for never", self.interval),
            );
        }
        if !(1..=MAX_SERIES).contains(&self.max_series) {
            wrong("max_series", format!("must be 1 to {MAX_SERIES}"));
        }
        if let Err(invalid) = Templates::new(&self.paths) {
            wrong(&invalid.key("paths"), invalid.to_string());
        }
        if let Some((place, message)) = self.wrong_method() {
            wrong(
                &place.map_or("known_methods".to_owned(), |place| format!("known_methods.{place}")),
                message,
            );
        }
        let nanoseconds = |list: &[Duration]| list.iter().map(|bound| bound.as_nanos()).collect::<Vec<_>>();
        let sizes = self.buckets.http_size.iter().map(|bound| u128::from(*bound)).collect::<Vec<_>>();
        for (name, bounds) in [
            ("buckets.http_duration", nanoseconds(&self.buckets.http_duration)),
            ("buckets.http_size", sizes),
            ("buckets.tcp_duration", nanoseconds(&self.buckets.tcp_duration)),
        ] {
            if bounds.len() > MAX_BUCKETS {
                wrong(name, format!("has {} boundaries; at most {MAX_BUCKETS} are possible", bounds.len()));
            } else if let Some(place) =
                bounds.iter().zip(bounds.iter().skip(1)).position(|(low, high)| low >= high)
            {
                wrong(
                    &format!("{name}.{}", place + 1),
                    "is not above the boundary before it; list them in rising order".to_owned(),
                );
            }
        }
        problems
    }

    fn wrong_method(&self) -> Option<(Option<usize>, String)> {
        if self.known_methods.len() > MAX_METHODS {
            let message =
                format!("lists {} methods; at most {MAX_METHODS} are possible", self.known_methods.len());
            return Some((None, message));
        }
        self.known_methods.iter().enumerate().find_map(|(place, method)| {
            let message = if method.is_empty() || !method.bytes().all(is_token) {
                format!("{method:?} is no method of HTTP; write a name such as GET or PROPFIND")
            } else if method.len() > MAX_METHOD_LENGTH {
                format!("{method:?} is longer than {MAX_METHOD_LENGTH} characters")
            } else if method == OTHER {
                format!("{OTHER:?} stands for the methods that are not listed; remove it")
            } else if self.known_methods.iter().take(place).any(|before| before == method) {
                format!("{method:?} is listed twice; remove one")
            } else {
                return None;
            };
            Some((Some(place), message))
        })
    }

    /// After how many intervals without observations a series is dropped.
    pub(super) fn expiration_intervals(&self) -> Option<u32> {
        let intervals = self.expiration.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        (intervals > 0).then(|| u32::try_from(intervals).unwrap_or(u32::MAX))
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
