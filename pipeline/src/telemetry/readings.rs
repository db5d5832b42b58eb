//! The values of Sluice's own metrics at one moment, for components that report them elsewhere than to Prometheus.

use super::exposition;

/// The value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The metric.
    pub name: String,
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Reading {
    /// The value of a label; empty if it is not there.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

/// All values, of all levels; none in a process that collects none.
#[must_use]
pub fn readings() -> Vec<Reading> {
    exposition::text().map_or_else(Vec::new, |text| text.lines().filter_map(read).collect())
}

/// A line of the Prometheus text format, version 0.0.4, as the exporter writes it: without timestamps.
fn read(line: &str) -> Option<Reading> {
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while let Some((label, value)) = rest.split_once("=\"") {
            let (value, behind) = unquoted(value)?;
            labels.push((label.trim_start_matches(',').to_owned(), value));
            rest = behind;
            if let Some(behind) = rest.strip_prefix('}') {
                rest = behind;
                break;
            }
        }
    }
    Some(Reading { name: name.to_owned(), labels, value: rest.trim().parse().ok()? })
}

/// The text up to the quotation mark that ends it, and what is behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn what_is_rendered_is_read() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("taken_items", "receiver" => "otlp/\"a\\b\"\n}", "transport" => "grpc")
                .increment(7);
            metrics::gauge!("share").set(0.25);
        });
        let text = recorder.handle().render();
        let mut found: Vec<Reading> = text.lines().filter_map(read).collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(found.len(), 2, "{text}");
        assert_eq!((found[0].name.as_str(), found[0].value), ("share", 0.25));
        assert_eq!((found[1].name.as_str(), found[1].value), ("taken_items", 7.0));
        assert_eq!(found[1].label("receiver"), "otlp/\"a\\b\"\n}");
        assert_eq!(found[1].label("transport"), "grpc");
        assert_eq!(found[1].label("exporter"), "");
    }

    #[test]
    fn what_is_no_series_is_left_out() {
        for line in ["", "# TYPE a counter", "a", "a{b=\"c", "a{b=\"c\"} much"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
