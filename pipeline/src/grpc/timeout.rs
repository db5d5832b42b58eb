//! The `grpc-timeout` header: at most eight digits and a unit.

use std::time::Duration;

/// The time that a header value gives; `None` if it is none.
pub(super) fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The finest unit in which the time fits eight digits.
pub(super) fn format(timeout: Duration) -> String {
    const LARGEST: u128 = 99_999_999;
    let nanos = timeout.as_nanos();
    for (unit, length) in [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000)] {
        if nanos / length <= LARGEST {
            return format!("{}{unit}", nanos / length);
        }
    }
    format!("{}H", (timeout.as_secs() / 3600).min(99_999_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse("5m"), Some(Duration::from_millis(5)));
        assert_eq!(parse("6u"), Some(Duration::from_micros(6)));
        assert_eq!(parse("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "S", "1", "123456789S", "-1S", "1x", "1.5S", "ä"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for timeout in [Duration::from_nanos(7), Duration::from_millis(5_000), Duration::from_secs(400_000)] {
            assert_eq!(parse(&format(timeout)), Some(timeout));
        }
        assert_eq!(format(Duration::from_secs(200_000_000)), "55555H");
    }
}
