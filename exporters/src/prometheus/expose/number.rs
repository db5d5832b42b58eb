//! Numbers as the text formats have them.

use std::fmt::Write;

/// Integers up to this are exact in 64 bits of floating point.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a number: the shortest digits that read back as the same.
pub(in crate::prometheus) fn write(out: &mut String, number: f64) {
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
pub(in crate::prometheus) fn text(number: f64) -> String {
    let mut out = String::new();
    write(&mut out, number);
    out
}

/// Appends a number that identifies a bucket or quantile in OpenMetrics, where it must look like a floating-point number.
pub(super) fn write_canonical(out: &mut String, text: &str) {
    out.push_str(text);
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        out.push_str(".0");
    }
}

/// Appends a time in nanoseconds as seconds, to the millisecond.
pub(super) fn write_seconds(out: &mut String, nanoseconds: u64) {
    let milliseconds = nanoseconds / 1_000_000;
    // Writing into a string does not fail.
    let _ = write!(out, "{}.{:03}", milliseconds / 1_000, milliseconds % 1_000);
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
        let mut out = String::new();
        write_canonical(&mut out, "5");
        write_canonical(&mut out, "0.5");
        assert_eq!(out, "5.00.5");
        let mut out = String::new();
        write_seconds(&mut out, 1_700_000_000_007_999_999);
        assert_eq!(out, "1700000000.007");
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_they_were(number in any::<f64>()) {
            let read: f64 = text(number).parse().unwrap();
            prop_assert!(read.to_bits() == number.to_bits() || read.is_nan() && number.is_nan());
        }
    }
}
