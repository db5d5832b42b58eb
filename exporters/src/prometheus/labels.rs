//! Labels of a series as the text that stands between its braces: `a="1",b="2"`.

use std::borrow::Cow;

use sluice_protocols::prometheus::{escape, unescape};

/// Writes labels into an emptied `out`.
pub(super) fn write<'l>(labels: impl IntoIterator<Item = (&'l str, &'l str)>, out: &mut String) {
    out.clear();
    for (name, value) in labels {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        escape(value, out);
        out.push('"');
    }
}

/// Names and values of written labels.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once("=\"")?;
        let mut escaped = false;
        let end = after.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        let (value, after) = after.split_at_checked(end)?;
        rest = after.get(1..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
        Some((name, unescape(value)))
    })
}
