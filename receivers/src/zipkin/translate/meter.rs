//! Charges the memory of a translation while it grows.

use sluice_pipeline::budget::{Charge, Exhausted};

/// How much is charged at a time, in bytes written.
const STEP: usize = 64 << 10;
/// Bytes held for each byte written: the groups' buffers have room to grow, and are copied together in the end.
const HELD: usize = 3;

/// Charges the memory of a translation while it grows; without a charge it is free.
pub(super) struct Meter<'c> {
    charge: Option<&'c mut Charge>,
    covered: usize,
    exhausted: Option<Exhausted>,
}

impl<'c> Meter<'c> {
    pub(super) fn new(charge: Option<&'c mut Charge>) -> Self {
        Self { charge, covered: 0, exhausted: None }
    }

    /// Notes that so many bytes are written by now. Once the budget is gone it stays so for this request.
    pub(super) fn note(&mut self, written: usize) {
        let Some(charge) = self.charge.as_mut().filter(|_| written > self.covered) else { return };
        let step = STEP.max(written - self.covered);
        match charge.grow((HELD * step) as u64) {
            Ok(()) => self.covered += step,
            Err(exhausted) => self.exhausted = Some(exhausted),
        }
    }

    pub(super) fn exhausted(&self) -> Option<Exhausted> {
        self.exhausted
    }
}
