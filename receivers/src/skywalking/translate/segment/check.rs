//! Whether a segment can be kept as it came, to be translated only if somebody looks.

use super::{
    super::{
        Malformed,
        pair::{PAIR, bytes, fields, number, pair, small_number},
    },
    SEGMENT,
    event::LOG,
    reference::REFERENCE,
    span::SPAN,
};

/// What OTLP needs beside what came, at most, in bytes: for each span besides the ids of its segment, for each reference,
/// and for each tag or log.
const SPAN_GROWTH: usize = 448;
const REFERENCE_GROWTH: usize = 384;
const TAG_GROWTH: usize = 48;
/// How many times its size a segment may become that is kept. What grows more is translated at once, and charged while it
/// grows, as its true size is less than feared.
const GROWTH: usize = 32;

/// A segment that can be kept as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Checked {
    /// How many spans it has.
    pub(in super::super) spans: usize,
    /// How many bytes of OTLP they become at most.
    pub(in super::super) grown: usize,
}

/// Checks a `SegmentObject`. It can be kept if its text is UTF-8, as what has to be repaired is translated, and if it grows
/// little.
///
/// # Errors
/// [`Malformed`] where translating it fails.
pub(in super::super) fn check(message: &[u8]) -> Result<Option<Checked>, Malformed> {
    let mut check = Check { is_text: true, ..Check::default() };
    fields(SEGMENT, message, |field, value| {
        match field {
            1 | 2 => {
                let id = bytes(SEGMENT, field, value)?;
                check.text(id);
                check.ids += id.len();
            }
            3 => check.span(bytes(SEGMENT, field, value)?)?,
            4 | 5 => check.text(bytes(SEGMENT, field, value)?),
            6 => {
                number(SEGMENT, field, value)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    let checked = Checked { spans: check.spans, grown: check.grown(message) };
    let grows_little = checked.grown <= GROWTH * message.len();
    Ok((check.is_text && grows_little).then_some(checked))
}

/// What was seen of a segment.
#[derive(Default)]
struct Check {
    is_text: bool,
    spans: usize,
    references: usize,
    tags: usize,
    /// How long the ids are that each span repeats.
    ids: usize,
}

impl Check {
    fn span(&mut self, message: &[u8]) -> Result<(), Malformed> {
        self.spans += 1;
        fields(SPAN, message, |field, value| {
            match field {
                1 | 2 | 8 | 9 | 10 => {
                    small_number(SPAN, field, value)?;
                }
                3 | 4 | 11 | 14 => {
                    number(SPAN, field, value)?;
                }
                5 => self.reference(bytes(SPAN, field, value)?)?,
                6 | 7 => self.text(bytes(SPAN, field, value)?),
                12 => self.tag(bytes(SPAN, field, value)?)?,
                13 => self.log(bytes(SPAN, field, value)?)?,
                _ => {}
            }
            Ok(())
        })
    }

    fn reference(&mut self, message: &[u8]) -> Result<(), Malformed> {
        self.references += 1;
        fields(REFERENCE, message, |field, value| {
            match field {
                1 | 4 => {
                    small_number(REFERENCE, field, value)?;
                }
                2 | 3 | 5..=8 => self.text(bytes(REFERENCE, field, value)?),
                _ => {}
            }
            Ok(())
        })
    }

    fn log(&mut self, message: &[u8]) -> Result<(), Malformed> {
        self.tags += 1;
        fields(LOG, message, |field, value| match field {
            1 => number(LOG, field, value).map(drop),
            2 => self.tag(bytes(LOG, field, value)?),
            _ => Ok(()),
        })
    }

    fn tag(&mut self, message: &[u8]) -> Result<(), Malformed> {
        self.tags += 1;
        pair(message)?;
        // Mostly at once: the lengths between are below 128.
        if !message.is_ascii() {
            // OAP looks at each occurrence of a field, not only at the last, which counts.
            fields(PAIR, message, |field, value| {
                if matches!(field, 1 | 2) {
                    self.text(bytes(PAIR, field, value)?);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn text(&mut self, raw: &[u8]) {
        self.is_text = self.is_text && std::str::from_utf8(raw).is_ok();
    }

    fn grown(&self, message: &[u8]) -> usize {
        const RESOURCE: usize = 128;
        let repeated = self.spans.saturating_mul(SPAN_GROWTH + self.ids);
        let others = self.references * REFERENCE_GROWTH + self.tags * TAG_GROWTH;
        repeated.saturating_add(RESOURCE + message.len() + others)
    }
}
