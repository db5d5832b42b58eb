//! Tags of spans, under their names in the semantic conventions.

use std::borrow::Cow;

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::{ESCAPE, span};

use super::{
    super::{
        Malformed,
        output::Repairs,
        pair::{is_reserved, pair},
    },
    span::ATTRIBUTES,
};

/// Writes a tag of a span, under its name in the semantic conventions if it has one.
pub(super) fn write_tag(
    writer: &mut Writer<'_>,
    message: &[u8],
    repairs: &mut Repairs,
) -> Result<(), Malformed> {
    let (key, value) = pair(message)?;
    let (key, value) = (repairs.text(key), repairs.text(value));
    match key.as_ref() {
        span::HTTP_STATUS_CODE => match printed_integer(&value) {
            Some(code) => write_int(writer, ATTRIBUTES, span::HTTP_RESPONSE_STATUS_CODE, code),
            None => write_text(writer, ATTRIBUTES, &key, &value),
        },
        key => write_text(writer, ATTRIBUTES, &attribute_of(key), &value),
    }
    Ok(())
}

fn attribute_of(tag: &str) -> Cow<'_, str> {
    match tag {
        "url" => Cow::Borrowed("url.full"),
        "http.method" => Cow::Borrowed("http.request.method"),
        "db.type" => Cow::Borrowed("db.system.name"),
        "db.instance" => Cow::Borrowed("db.namespace"),
        "db.statement" => Cow::Borrowed("db.query.text"),
        "url.full"
        | "http.request.method"
        | span::HTTP_RESPONSE_STATUS_CODE
        | "db.system.name"
        | "db.namespace"
        | "db.query.text"
        | span::CLIENT_ADDRESS
        | span::CLIENT_PORT
        | span::SERVER_ADDRESS
        | span::SERVER_PORT => Cow::Owned(format!("{ESCAPE}{tag}")),
        _ if is_reserved(tag) => Cow::Owned(format!("{ESCAPE}{tag}")),
        _ => Cow::Borrowed(tag),
    }
}

/// The integer, if this is how it is written.
fn printed_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = text == "0" || (digits.starts_with(|digit: char| ('1'..='9').contains(&digit)));
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printed_integers_are_integers() {
        assert_eq!(
            (printed_integer("200"), printed_integer("0"), printed_integer("-1")),
            (Some(200), Some(0), Some(-1))
        );
        for text in ["", "+200", "0200", "-0", "200 ", "2e2", "99999999999999999999"] {
            assert_eq!(printed_integer(text), None, "{text}");
        }
    }
}
