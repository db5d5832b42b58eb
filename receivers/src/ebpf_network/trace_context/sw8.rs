//! SkyWalking's `sw8` (Cross Process Propagation Headers Protocol v3).

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// What a valid header says; ids decoded into the buffers given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parent<'h> {
    /// The index of the parent span, as sent.
    pub(super) span_id: &'h str,
    pub(super) sampled: bool,
}

/// The specification advises to stay below 2 KiB.
const LONGEST: usize = 2048;

/// Agents differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the eight fields and appends trace id and segment id to `text`. Gives how long they are. Appends nothing if
/// any field is not as it should be.
pub(super) fn parse<'h>(value: &'h [u8], text: &mut String) -> Option<(Parent<'h>, usize, usize)> {
    if value.len() > LONGEST {
        return None;
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let mut next = || parts.next();
    let (sample, trace, segment, span) = (next()?, next()?, next()?, next()?);
    let names = [next()?, next()?, next()?, next()?];
    if next().is_some() {
        return None;
    }
    let sampled = match sample {
        b"1" => true,
        b"0" => false,
        _ => return None,
    };
    let span_id = str::from_utf8(span).ok()?;
    let index: i32 = span_id.parse().ok()?;
    if index < 0 || !span.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut buffer = [0; LONGEST];
    for name in names {
        decode(name, &mut buffer)?;
    }
    let begin = text.len();
    text.push_str(decode(trace, &mut buffer).filter(|id| !id.is_empty())?);
    let between = text.len();
    let Some(segment) = decode(segment, &mut buffer).filter(|id| !id.is_empty()) else {
        text.truncate(begin);
        return None;
    };
    text.push_str(segment);
    Some((Parent { span_id, sampled }, between - begin, text.len() - between))
}

fn decode<'b>(field: &[u8], buffer: &'b mut [u8; LONGEST]) -> Option<&'b str> {
    let length = BASE64.decode_slice(field, buffer).ok()?;
    str::from_utf8(buffer.get(..length)?).ok()
}
