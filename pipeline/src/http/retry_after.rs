//! `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// What a server may ask for at most; beyond that it is taken for this.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);

/// The delay that a response asks for, at most a day.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    delay(headers).map(|delay| delay.min(LONGEST_DELAY))
}

fn delay(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        assert!(asked(&date).is_some_and(|delay| delay.as_secs().abs_diff(89) <= 1));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked(&u64::MAX.to_string()), Some(LONGEST_DELAY));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
    }
}
