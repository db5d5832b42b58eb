//! Numbers as Prometheus writes them: in the text formats and in the labels `le` and `quantile`.

use std::fmt::Write;

/// Integers up to this are exact in 64 bits of floating point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a number: the shortest digits that read back as the same.
pub(crate) fn write(out: &mut String, number: f64) {
    let size = number.abs();
    // Writing into a string does not fail.
    let _ = if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "+Inf" } else { "-Inf" })
    } else if size < EXACT && number.fract() == 0.0 && (size > 0.0 || number.is_sign_positive()) {
        write!(out, "{}", number as i64)
    } else if size == 0.0 || (1e-5..1e17).contains(&size) {
        write!(out, "{number}")
    } else {
        write!(out, "{number:e}")
    };
}

/// A number by itself.
pub(crate) fn text(number: f64) -> String {
    let mut out = String::new();
    write(&mut out, number);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (1e300, "1e300"),
            (2.5e-9, "2.5e-9"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(number), expected);
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_they_were(number in any::<f64>()) {
            let read: f64 = text(number).parse().unwrap();
            prop_assert!(read.to_bits() == number.to_bits() || read.is_nan() && number.is_nan());
        }
    }
}
