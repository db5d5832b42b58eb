//! One log event as one line of text.

use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::Level;

use super::{fields::Fields, timestamp::rfc3339_millis};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEncoding {
    /// Tab-separated, for people.
    Console,
    /// One JSON object a line, for machines.
    Json,
}

/// A log event.
pub(super) struct Line<'a> {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) caller: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: &'a Fields,
}

impl LogEncoding {
    /// The event as a line, with its end.
    pub(super) fn line(self, line: &Line<'_>) -> String {
        match self {
            Self::Console => console(line),
            Self::Json => json(line),
        }
    }
}

fn console(line: &Line<'_>) -> String {
    let mut text = format!("{}\t{}\t", rfc3339_millis(line.time), level(line.level));
    if !line.caller.is_empty() {
        text.push_str(line.caller);
        text.push('\t');
    }
    text.push_str(&contained(line.message));
    if !line.fields.values().is_empty() {
        text.push('\t');
        text.push_str(&Value::Object(line.fields.values().clone()).to_string());
    }
    text.push('\n');
    text
}

fn json(line: &Line<'_>) -> String {
    let mut object = Map::new();
    object.insert("level".to_owned(), level(line.level).into());
    object.insert("ts".to_owned(), rfc3339_millis(line.time).into());
    if !line.caller.is_empty() {
        object.insert("caller".to_owned(), line.caller.into());
    }
    object.insert("msg".to_owned(), line.message.into());
    for (name, value) in line.fields.values() {
        object.insert(name.clone(), value.clone());
    }
    let mut text = Value::Object(object).to_string();
    text.push('\n');
    text
}

/// What a peer says may end up in a message; it must not look like lines of ours. Lines of a longer message go on
/// after a tab.
fn contained(message: &str) -> String {
    message.replace('\r', "\\r").replace('\t', "\\t").replace('\n', "\n\t")
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(encoding: LogEncoding, message: &str) -> String {
        let mut fields = Fields::default();
        fields.push("otelcol.component.id", "otlp".into());
        fields.push("items", 3.into());
        encoding.line(&Line {
            time: SystemTime::UNIX_EPOCH,
            level: Level::INFO,
            caller: "graph/service.rs:1",
            message,
            fields: &fields,
        })
    }

    #[test]
    fn console_is_tab_separated() {
        assert_eq!(
            sample(LogEncoding::Console, "Ready."),
            "1970-01-01T00:00:00.000Z\tinfo\tgraph/service.rs:1\tReady.\t{\"otelcol.component.id\":\"otlp\",\"items\":3}\n"
        );
    }

    #[test]
    fn json_has_the_collectors_keys() {
        let line: Value = serde_json::from_str(&sample(LogEncoding::Json, "Ready.")).unwrap();
        assert_eq!(line["level"], "info");
        assert_eq!(line["ts"], "1970-01-01T00:00:00.000Z");
        assert_eq!(line["msg"], "Ready.");
        assert_eq!(line["items"], 3);
    }

    #[test]
    fn a_message_cannot_fake_a_line() {
        let line = sample(LogEncoding::Console, "a peer said:\n1970-01-01T00:00:00.000Z\tinfo\tfake");
        assert!(line.contains("a peer said:\n\t1970-01-01T00:00:00.000Z\\tinfo\\tfake"), "{line}");
    }
}
