//! Where the items of a batch are: the fields that lead to them, from the outermost message inwards.

use crate::signal::Signal;

/// The fields of a message that lead on to its items; the others describe all of these.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    numbers: u32,
    /// Fields that belong to the message, but not to each part of it when it is split.
    pub(super) once: &'static [u32],
}

impl Step {
    const fn to(numbers: &[u32]) -> Self {
        let mut mask = 0;
        let mut place = 0;
        while place < numbers.len() {
            mask |= 1 << numbers[place];
            place += 1;
        }
        Self { numbers: mask, once: &[] }
    }

    /// Whether the field with this number leads to items.
    #[inline]
    pub(super) const fn leads_on(self, number: u32) -> bool {
        number < 32 && self.numbers & 1 << number != 0
    }
}

const RESOURCE_GROUP: Step = Step::to(&[1]);
const SCOPE_GROUP: Step = Step::to(&[2]);
const ITEM: Step = Step::to(&[2]);
/// From a metric to its data.
pub(super) const DATA: Step = Step::to(&[5, 7, 9, 10, 11]);
/// From the data of a metric to its points.
pub(super) const POINT: Step = Step::to(&[1]);
/// From a profile to its samples. Its original payload may be larger than all of them: one part is enough.
pub(super) const SAMPLE: Step = Step { once: &[9, 10], ..Step::to(&[2]) };

/// The steps from the root message of a signal to its spans, data points, log records or profile samples.
pub(super) const fn path(signal: Signal) -> &'static [Step] {
    match signal {
        Signal::Traces | Signal::Logs => &[RESOURCE_GROUP, SCOPE_GROUP, ITEM],
        Signal::Metrics => &[RESOURCE_GROUP, SCOPE_GROUP, ITEM, DATA, POINT],
        Signal::Profiles => &[RESOURCE_GROUP, SCOPE_GROUP, ITEM, SAMPLE],
    }
}
