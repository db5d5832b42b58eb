//! Numbers that only the text formats have.

use std::fmt::Write;

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
    use super::*;

    #[test]
    fn bounds_have_a_point_and_times_milliseconds() {
        let mut out = String::new();
        write_canonical(&mut out, "5");
        write_canonical(&mut out, "0.5");
        assert_eq!(out, "5.00.5");
        let mut out = String::new();
        write_seconds(&mut out, 1_700_000_000_007_999_999);
        assert_eq!(out, "1700000000.007");
    }
}
