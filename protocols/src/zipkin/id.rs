//! Trace and span ids.

/// A trace id; one of 64 bits has zeros in its first half.
pub type TraceId = [u8; 16];
/// A span id.
pub type SpanId = [u8; 8];

/// Text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, or more digits than the id has.
    #[error("must have 1 to {maximum} hexadecimal digits")]
    Length {
        /// The most that it may have.
        maximum: usize,
    },
    /// Bytes of the wrong number, in protobuf.
    #[error("must have {expected} bytes")]
    Bytes {
        /// The numbers that it may have.
        expected: &'static str,
    },
    /// Something other than 0 to 9, a to f, A to F.
    #[error("holds a character that is no hexadecimal digit")]
    Digit,
    /// All zeros, which means "no id".
    #[error("is all zeros")]
    Zero,
}

/// Reads a trace id. Fewer than 32 digits are padded with zeros on the left; case does not matter.
///
/// # Errors
/// [`IdError`] unless there are 1 to 32 digits, not all zero.
pub fn parse_trace_id(text: &str) -> Result<TraceId, IdError> {
    non_zero(parse(text)?)
}

/// Reads a span id. Fewer than 16 digits are padded with zeros on the left; case does not matter.
///
/// # Errors
/// [`IdError`] unless there are 1 to 16 digits, not all zero.
pub fn parse_span_id(text: &str) -> Result<SpanId, IdError> {
    non_zero(parse(text)?)
}

/// Reads a parent id, of which an empty or an all-zero one means that there is none.
pub(super) fn parse_parent_id(text: &str) -> Result<Option<SpanId>, IdError> {
    if text.is_empty() {
        return Ok(None);
    }
    let id: SpanId = parse(text)?;
    Ok((id != SpanId::default()).then_some(id))
}

pub(super) fn non_zero<const BYTES: usize>(id: [u8; BYTES]) -> Result<[u8; BYTES], IdError> {
    if id == [0; BYTES] { Err(IdError::Zero) } else { Ok(id) }
}

fn parse<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], IdError> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 2 * BYTES {
        return Err(IdError::Length { maximum: 2 * BYTES });
    }
    let mut id = [0; BYTES];
    let mut seen = 0;
    for (byte, pair) in id.iter_mut().rev().zip(digits.rchunks(2)) {
        let (high, low) = match *pair {
            [high, low] => (VALUES[usize::from(high)], VALUES[usize::from(low)]),
            [low] => (0, VALUES[usize::from(low)]),
            _ => (0, 0),
        };
        seen |= high | low;
        *byte = high << 4 | low;
    }
    if seen > 0xf { Err(IdError::Digit) } else { Ok(id) }
}

/// The value of each byte as a hexadecimal digit; 255 for those that are none.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        values[DIGITS[digit] as usize] = digit as u8;
        values[DIGITS[digit].to_ascii_uppercase() as usize] = digit as u8;
        digit += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends bytes as lower-case hexadecimal digits.
pub fn push_hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(
        bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_padded_on_the_left() {
        assert_eq!(parse_span_id("1F"), Ok([0, 0, 0, 0, 0, 0, 0, 0x1f]));
        assert_eq!(parse_span_id("abc"), Ok([0, 0, 0, 0, 0, 0, 0xa, 0xbc]));
        let trace_id = parse_trace_id("463ac35c9f6413ad").unwrap();
        assert_eq!(trace_id[..8], [0; 8]);
        assert_eq!(trace_id[8..], 0x463a_c35c_9f64_13ad_u64.to_be_bytes());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert_eq!(parse_span_id(""), Err(IdError::Length { maximum: 16 }));
        assert_eq!(parse_span_id("12345678901234567"), Err(IdError::Length { maximum: 16 }));
        assert_eq!(parse_trace_id(&"1".repeat(33)), Err(IdError::Length { maximum: 32 }));
        assert_eq!(parse_span_id("000000000000000g"), Err(IdError::Digit));
        assert_eq!(parse_span_id("é"), Err(IdError::Digit));
        assert_eq!(parse_trace_id("0000000000000000"), Err(IdError::Zero));
        assert_eq!(parse_parent_id("0000000000000000"), Ok(None));
        assert_eq!(parse_parent_id("x"), Err(IdError::Digit));
    }

    #[test]
    fn digits_are_lower_case() {
        let mut out = Vec::new();
        push_hexadecimal(&mut out, &[0x0a, 0xff]);
        assert_eq!(out, b"0aff");
    }
}
