//! Which format and which compression a scraper gets (RFC 9110, 12.5).

use http::{HeaderMap, header};

use super::expose::Format;

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) format: Format,
    pub(super) content_type: &'static str,
    pub(super) gzip: bool,
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const OPEN_METRICS_OLD: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

impl Choice {
    /// The best that the scraper accepts; text 0.0.4 if it accepts nothing that there is.
    pub(super) fn of(headers: &HeaderMap, open_metrics: bool) -> Self {
        let mut best: Option<(f32, Format, &'static str)> = None;
        for accepted in values(headers, header::ACCEPT) {
            let Some((format, content_type)) = accepted.format(open_metrics) else { continue };
            // Of equals the first.
            if accepted.quality > 0.0 && best.is_none_or(|(quality, ..)| accepted.quality > quality) {
                best = Some((accepted.quality, format, content_type));
            }
        }
        let (format, content_type) = best.map_or((Format::Text, TEXT), |(_, format, kind)| (format, kind));
        let gzip = values(headers, header::ACCEPT_ENCODING)
            .any(|accepted| accepted.name.eq_ignore_ascii_case("gzip") && accepted.quality > 0.0);
        Self { format, content_type, gzip }
    }

    /// What it is called in counters.
    pub(super) const fn name(self) -> &'static str {
        match self.format {
            Format::Text => "text",
            Format::OpenMetrics => "openmetrics",
            Format::Protobuf => "protobuf",
        }
    }
}

struct Accepted<'a> {
    name: &'a str,
    parameters: &'a str,
    quality: f32,
}

impl Accepted<'_> {
    fn format(&self, open_metrics: bool) -> Option<(Format, &'static str)> {
        match self.name.to_ascii_lowercase().as_str() {
            "application/vnd.google.protobuf" => {
                let right = self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && self.parameter("encoding") == Some("delimited");
                right.then_some((Format::Protobuf, PROTOBUF))
            }
            "application/openmetrics-text" if open_metrics => match self.parameter("version") {
                None | Some("1.0.0") => Some((Format::OpenMetrics, OPEN_METRICS)),
                Some("0.0.1") => Some((Format::OpenMetrics, OPEN_METRICS_OLD)),
                Some(_) => None,
            },
            "text/plain" => match self.parameter("version") {
                None | Some("0.0.4") => Some((Format::Text, TEXT)),
                Some(_) => None,
            },
            "text/*" | "*/*" => Some((Format::Text, TEXT)),
            _ => None,
        }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim().trim_matches('"'))
    }
}

fn values(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = Accepted<'_>> {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(|value| {
        let (name, parameters) = value.split_once(';').unwrap_or((value, ""));
        let mut accepted = Accepted { name: name.trim(), parameters, quality: 1.0 };
        if let Some(quality) = accepted.parameter("q") {
            accepted.quality = quality.parse().unwrap_or(0.0);
        }
        accepted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str, open_metrics: bool) -> Choice {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        Choice::of(&headers, open_metrics)
    }

    const PROMETHEUS_WITH_NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
        encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;\
        q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
        q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    #[test]
    fn scrapers_get_what_they_like_best() {
        assert_eq!(chosen(PROMETHEUS_WITH_NATIVE, true).format, Format::Protobuf);
        assert_eq!(chosen(PROMETHEUS_WITH_NATIVE, false).format, Format::Protobuf);
        assert_eq!(chosen(PROMETHEUS, true).content_type, OPEN_METRICS);
        assert_eq!(chosen(PROMETHEUS, false).content_type, TEXT, "only if it is enabled");
        assert_eq!(
            chosen("application/openmetrics-text; version=0.0.1", true).content_type,
            OPEN_METRICS_OLD
        );
        assert_eq!(
            chosen("text/plain;q=0.2, application/openmetrics-text;q=0.9", true).format,
            Format::OpenMetrics
        );
        for text in [
            "",
            "*/*",
            "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            "image/png",
            "application/openmetrics-text;q=0",
            "application/vnd.google.protobuf;proto=other;encoding=delimited",
            "text/plain;q=nonsense",
        ] {
            assert_eq!(chosen(text, true).format, Format::Text, "{text}");
        }
    }

    #[test]
    fn compression_is_only_for_those_who_ask() {
        let mut headers = HeaderMap::new();
        assert!(!Choice::of(&headers, false).gzip);
        headers.insert(header::ACCEPT_ENCODING, "br, gzip;q=0.5".parse().unwrap());
        assert!(Choice::of(&headers, false).gzip);
        headers.insert(header::ACCEPT_ENCODING, "gzip;q=0".parse().unwrap());
        assert!(!Choice::of(&headers, false).gzip);
    }
}
