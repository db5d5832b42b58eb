//! Gives values another type.

use sluice_pipeline::otlp::{
    rewrite::value,
    view::{AnyValue, Text, View},
};

/// The type to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Int,
    Double,
    String,
}

impl Target {
    /// The encoded value in this type; `None` if it has it already or cannot be converted.
    pub(super) fn convert(self, encoded: &[u8]) -> Option<Vec<u8>> {
        let value = AnyValue::of(encoded);
        match (self, value) {
            (Self::String, AnyValue::String(_))
            | (Self::Int, AnyValue::Int(_))
            | (Self::Double, AnyValue::Double(_)) => None,
            (Self::String, other) => Some(value::string(other.text().as_bytes())),
            #[expect(clippy::cast_possible_truncation, reason = "the fraction is to go; the range saturates")]
            (Self::Int, AnyValue::Double(number)) => Some(value::int(number as i64)),
            (Self::Int, AnyValue::Bool(truth)) => Some(value::int(i64::from(truth))),
            (Self::Int, AnyValue::String(text)) => text.as_str().parse().ok().map(value::int),
            #[expect(clippy::cast_precision_loss, reason = "a double is asked for")]
            (Self::Double, AnyValue::Int(number)) => Some(value::double(number as f64)),
            (Self::Double, AnyValue::Bool(truth)) => Some(value::double(f64::from(u8::from(truth)))),
            (Self::Double, AnyValue::String(text)) => text.as_str().parse().ok().map(value::double),
            (Self::Int | Self::Double, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_text_truth_and_each_other() {
        assert_eq!(Target::Int.convert(&value::string(b"-123")), Some(value::int(-123)));
        assert_eq!(Target::Int.convert(&value::double(-2.9)), Some(value::int(-2)));
        assert_eq!(Target::Int.convert(&value::bool(true)), Some(value::int(1)));
        assert_eq!(Target::Double.convert(&value::string(b"1e3")), Some(value::double(1000.0)));
        assert_eq!(Target::Double.convert(&value::int(7)), Some(value::double(7.0)));
        assert_eq!(Target::String.convert(&value::double(0.5)), Some(value::string(b"0.5")));
        assert_eq!(Target::String.convert(&value::array([value::int(1)])), Some(value::string(b"[1]")));
    }

    #[test]
    fn what_cannot_be_converted_stays() {
        for text in ["", " 1", "1.5", "0x10", "99999999999999999999"] {
            assert_eq!(Target::Int.convert(&value::string(text.as_bytes())), None, "{text:?}");
        }
        assert_eq!(Target::Double.convert(&value::bytes(b"1")), None);
        assert_eq!(Target::Int.convert(&value::int(1)), None, "nothing to do");
    }
}
