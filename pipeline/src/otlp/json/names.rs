//! The names of OTLP's enums, which the Collector takes in JSON beside their numbers.

/// The number of this name in the enum of the field with this JSON name.
pub(super) fn number(field: &str, name: &str) -> Option<i64> {
    match field {
        "kind" => place(name.strip_prefix("SPAN_KIND_")?, &SPAN_KINDS),
        "code" => place(name.strip_prefix("STATUS_CODE_")?, &["UNSET", "OK", "ERROR"]),
        "aggregationTemporality" => {
            place(name.strip_prefix("AGGREGATION_TEMPORALITY_")?, &["UNSPECIFIED", "DELTA", "CUMULATIVE"])
        }
        "severityNumber" => severity(name.strip_prefix("SEVERITY_NUMBER_")?),
        _ => None,
    }
}

const SPAN_KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const SEVERITIES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// `TRACE` is 1, `TRACE2` 2, `DEBUG` 5, up to `FATAL4`, 24.
fn severity(name: &str) -> Option<i64> {
    let (base, step) = match name.as_bytes().last()? {
        digit @ b'2'..=b'4' => (name.get(..name.len() - 1)?, i64::from(digit - b'1')),
        _ => (name, 0),
    };
    match (base, step) {
        ("UNSPECIFIED", 0) => Some(0),
        _ => Some(place(base, &SEVERITIES)? * 4 + 1 + step),
    }
}

fn place(name: &str, names: &[&str]) -> Option<i64> {
    names.iter().position(|candidate| *candidate == name).and_then(|place| i64::try_from(place).ok())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        logs::v1::SeverityNumber,
        metrics::v1::AggregationTemporality,
        trace::v1::{span::SpanKind, status::StatusCode},
    };

    use super::number;

    #[test]
    fn names_have_the_numbers_of_the_protocol() {
        for value in 0..=24 {
            let severity = SeverityNumber::try_from(value).unwrap().as_str_name();
            assert_eq!(number("severityNumber", severity), Some(value.into()), "{severity}");
            if let Ok(kind) = SpanKind::try_from(value) {
                assert_eq!(number("kind", kind.as_str_name()), Some(value.into()));
            }
            if let Ok(code) = StatusCode::try_from(value) {
                assert_eq!(number("code", code.as_str_name()), Some(value.into()));
            }
            if let Ok(temporality) = AggregationTemporality::try_from(value) {
                assert_eq!(number("aggregationTemporality", temporality.as_str_name()), Some(value.into()));
            }
        }
    }

    #[test]
    fn other_names_have_none() {
        for name in [
            "",
            "SERVER",
            "SPAN_KIND_",
            "SPAN_KIND_server",
            "SEVERITY_NUMBER_INFO5",
            "SEVERITY_NUMBER_UNSPECIFIED2",
        ] {
            for field in ["kind", "severityNumber", "code", "other"] {
                assert_eq!(number(field, name), None, "{name}");
            }
        }
    }
}
