//! Decides whether telemetry matches `include` or `exclude`.

use sluice_pipeline::otlp::view::{AnyValue, Attributes, LogRecord, Resource, Scope, Span};

use super::{
    config::{AttributeMatch, MatchConfig, MatchType, SPAN_KINDS, SeverityMatch},
    pattern::{PatternError, Patterns, ValuePattern},
};

/// What the Collector takes for the service of a resource that names none.
const NO_SERVICE: &[u8] = b"<nil-service-name>";

/// Decides whether telemetry matches, level by level: a resource that does not match spares looking into it.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    services: Option<Patterns>,
    resources: Vec<AttributeMatcher>,
    libraries: Vec<LibraryMatcher>,
    span_names: Option<Patterns>,
    span_kinds: Option<Patterns>,
    log_bodies: Option<Patterns>,
    log_severity_texts: Option<Patterns>,
    log_severity_number: Option<SeverityMatch>,
    metric_names: Option<Patterns>,
    attributes: Vec<AttributeMatcher>,
}

#[derive(Clone, Debug)]
struct AttributeMatcher {
    key: Vec<u8>,
    value: ValuePattern,
}

#[derive(Clone, Debug)]
struct LibraryMatcher {
    name: Patterns,
    version: Option<Patterns>,
}

impl Matcher {
    /// The matcher of a block without problems; `None` if it has any.
    pub(crate) fn of(config: &MatchConfig) -> Option<Self> {
        Self::try_of(config, config.match_type?).ok()
    }

    fn try_of(config: &MatchConfig, match_type: MatchType) -> Result<Self, PatternError> {
        let texts = |texts: &[String]| match texts {
            [] => Ok(None),
            texts => Patterns::of(match_type, texts).map(Some),
        };
        let attributes = |attributes: &[AttributeMatch]| {
            let matchers = attributes.iter().map(|attribute| {
                let value = ValuePattern::of(match_type, attribute.value.as_ref())?;
                Ok(AttributeMatcher { key: attribute.key.clone().into_bytes(), value })
            });
            matchers.collect::<Result<Vec<_>, PatternError>>()
        };
        let libraries = config.libraries.iter().map(|library| {
            let name = Patterns::of(match_type, std::slice::from_ref(&library.name))?;
            Ok(LibraryMatcher { name, version: texts(library.version.as_slice())? })
        });
        Ok(Self {
            services: texts(&config.services)?,
            resources: attributes(&config.resources)?,
            libraries: libraries.collect::<Result<_, PatternError>>()?,
            span_names: texts(&config.span_names)?,
            span_kinds: texts(&config.span_kinds)?,
            log_bodies: texts(&config.log_bodies)?,
            log_severity_texts: texts(&config.log_severity_texts)?,
            log_severity_number: config.log_severity_number,
            metric_names: texts(&config.metric_names)?,
            attributes: attributes(&config.attributes)?,
        })
    }

    /// Whether what is asked of the resource is so.
    pub(crate) fn resource(&self, resource: Resource<'_>) -> bool {
        let service = || {
            let found = resource.attributes().find(|pair| pair.key == b"service.name");
            found.map(|pair| pair.value)
        };
        self.services.as_ref().is_none_or(|services| match service() {
            None => services.matches(NO_SERVICE),
            Some(AnyValue::String(name)) => services.matches(name),
            Some(other) => services.matches(other.text().as_bytes()),
        }) && all_match(&self.resources, resource.attributes())
    }

    /// Whether what is asked of the scope is so.
    pub(crate) fn scope(&self, scope: Scope<'_>) -> bool {
        self.libraries.iter().all(|library| {
            library.name.matches(scope.name)
                && library.version.as_ref().is_none_or(|version| version.matches(scope.version))
        })
    }

    /// Whether what is asked of the span is so.
    pub(crate) fn span(&self, span: Span<'_>) -> bool {
        matches(self.span_names.as_ref(), || span.name.into())
            && matches(self.span_kinds.as_ref(), || {
                let name = usize::try_from(span.kind).ok().and_then(|kind| SPAN_KINDS.get(kind));
                name.map_or(b"".as_slice(), |name| name.as_bytes()).into()
            })
            && all_match(&self.attributes, span.attributes())
    }

    /// Whether what is asked of the log record is so.
    pub(crate) fn log_record(&self, record: LogRecord<'_>) -> bool {
        matches(self.log_bodies.as_ref(), || {
            record.body().map_or_else(Vec::new, |body| body.text().into_owned().into_bytes()).into()
        }) && matches(self.log_severity_texts.as_ref(), || record.severity_text.into())
            && self.log_severity_number.is_none_or(|severity| match record.severity_number {
                0 => severity.match_undefined,
                number => number >= severity.min,
            })
            && all_match(&self.attributes, record.attributes())
    }

    /// Whether what is asked of a metric of this name is so.
    pub(crate) fn metric(&self, name: &[u8]) -> bool {
        matches(self.metric_names.as_ref(), || name.into())
    }
}

fn matches<'a>(patterns: Option<&Patterns>, text: impl FnOnce() -> std::borrow::Cow<'a, [u8]>) -> bool {
    patterns.is_none_or(|patterns| patterns.matches(&text()))
}

fn all_match(matchers: &[AttributeMatcher], attributes: Attributes<'_>) -> bool {
    matchers.iter().all(|matcher| {
        // A key may occur more than once: any of its values may match.
        let mut candidates = attributes;
        candidates.any(|pair| pair.key == matcher.key.as_slice() && matcher.value.matches(pair.value))
    })
}
