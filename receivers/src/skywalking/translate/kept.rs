//! Segments that are kept as they came: an exporter to OAP hands them on, anybody else has them translated.

use sluice_pipeline::{
    Chunk, Native,
    budget::{Budget, Charge},
    grpc::frame::{self, Messages},
};
use sluice_protocols::skywalking::{COLLECT_SEGMENTS, id::Rules};

use super::{
    Kind, Malformed,
    output::Output,
    segment::{self, Checked},
};

/// Bytes held for each byte kept: the buffer has room to grow.
const HELD: usize = 2;
/// The longest message that is kept. Whoever looks at a longer one would need much more for a moment than what it becomes,
/// which only the receiver can ask for.
const LONGEST: usize = 1 << 20;

/// Checked segments, in order. Charged is also what they may become.
pub(super) struct Kept {
    budget: Budget,
    charge: Charge,
    messages: Messages,
    sum: Checked,
}

impl Kept {
    /// None yet; those that come are charged to this budget.
    pub(super) fn charged_to(budget: &Budget) -> Self {
        let charge = budget.charge_anyway(0);
        let sum = Checked { spans: 0, grown: 0 };
        Self { budget: budget.clone(), charge, messages: Messages::default(), sum }
    }

    /// Keeps the segments of a message that have spans; false if it is to be translated: it is long, or not all of its
    /// segments can be kept, or there is no memory for the most that they may become.
    ///
    /// # Errors
    /// [`Malformed`]; nothing of the message was kept then.
    pub(super) fn push(&mut self, kind: Kind, message: &[u8]) -> Result<bool, Malformed> {
        if message.len() > LONGEST {
            return Ok(false);
        }
        // Those with spans, while all can be kept.
        let mut segments = Some(Vec::new());
        segment::each(kind, message, |segment| {
            match (segment::check(segment)?, &mut segments) {
                (Some(checked), Some(segments)) if checked.spans > 0 => segments.push((segment, checked)),
                (Some(_), _) => {}
                (None, segments) => *segments = None,
            }
            Ok(())
        })?;
        let Some(segments) = segments else { return Ok(false) };
        if segments.is_empty() {
            return Ok(true);
        }
        let grown = segments.iter().fold(0_usize, |grown, (_, checked)| grown.saturating_add(checked.grown));
        let held = HELD * (message.len() + segments.len() * frame::PREFIX);
        if self.charge.grow(held.saturating_add(grown) as u64).is_err() {
            return Ok(false);
        }
        for (segment, checked) in segments {
            // None is too long: it came in a message.
            self.messages.push(|out| out.extend_from_slice(segment));
            self.sum.spans += checked.spans;
        }
        self.sum.grown += grown;
        Ok(true)
    }

    /// Bytes of OTLP, at most, that what was kept since the last [`Self::take`] becomes: requests of it are not to be longer
    /// than those of what is translated at once.
    pub(super) fn size(&self) -> usize {
        self.messages.length().max(self.sum.grown)
    }

    /// What was kept since the last call, if anything.
    pub(super) fn take(&mut self, rules: Rules) -> Option<Chunk> {
        if self.sum.spans == 0 {
            return None;
        }
        let Self { mut charge, messages, sum, .. } = std::mem::replace(self, Self::charged_to(&self.budget));
        let messages = messages.into_bytes();
        charge.shrink_to((messages.len() + messages.len() / 8 + sum.grown) as u64);
        let native =
            Native::new(COLLECT_SEGMENTS, messages, sum.grown, move |framed| translate(framed, rules));
        Some(Chunk::from_native(native, sum.spans).with_charge(charge))
    }
}

fn translate(framed: &[u8], rules: Rules) -> Vec<u8> {
    let mut output = Output::default();
    for segment in frame::each(framed) {
        if let Err(malformed) = segment::segment(segment, rules, &mut output) {
            tracing::error!(%malformed, "a segment passed the check that cannot be translated; please report it");
        }
    }
    output.finish()
}
