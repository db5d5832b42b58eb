//! The names of metrics.

use super::Unit;

/// What a name must say of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows: the name ends in `_total`.
    Counter,
    /// Comes and goes: with unit `1` the name ends in `_ratio`.
    Gauge,
    /// Anything else.
    Other,
}

/// Makes names of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricNamer {
    /// What every name begins with; empty for nothing.
    pub namespace: String,
    /// Whether names tell unit and kind.
    pub suffixes: bool,
}

impl MetricNamer {
    /// The name of a metric; `None` if nothing of it may stand in one.
    ///
    /// With suffixes: what a name may not have separates words, which underscores join; the words of the unit follow
    /// unless they are there already; `total` or `ratio` comes last. Without: each run of what a name may not have
    /// becomes an underscore.
    #[must_use]
    pub fn name(&self, name: &str, unit: &str, kind: MetricKind) -> Option<String> {
        let own = if self.suffixes { with_suffixes(name, unit, kind) } else { plain(name) };
        if own.bytes().all(|byte| byte == b'_') {
            return None;
        }
        let whole = match plain(&self.namespace) {
            namespace if namespace.is_empty() => own,
            namespace => format!("{namespace}_{own}"),
        };
        Some(if whole.starts_with(|first: char| first.is_ascii_digit()) {
            format!("_{whole}")
        } else {
            whole
        })
    }
}

/// Whether Prometheus takes this as the name of a metric: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

fn plain(name: &str) -> String {
    let may_stand = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | ':');
    let parts = name.split(|character| !may_stand(character)).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_")
}

fn with_suffixes(name: &str, unit: &str, kind: MetricKind) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == ':';
    let mut words: Vec<&str> =
        name.split(|character| !is_word(character)).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return String::new();
    }
    let said = Unit::of(unit);
    let is_new = |word: &str| !word.is_empty() && !words.contains(&word);
    let (main, per) = (is_new(&said.main), is_new(&said.per));
    if main {
        words.push(&said.main);
    }
    if per {
        words.extend(["per", &said.per]);
    }
    let last = match kind {
        MetricKind::Counter => "total",
        MetricKind::Gauge if unit == "1" => "ratio",
        MetricKind::Gauge | MetricKind::Other => "",
    };
    if !last.is_empty() {
        words.retain(|word| *word != last);
        words.push(last);
    }
    words.join("_")
}
