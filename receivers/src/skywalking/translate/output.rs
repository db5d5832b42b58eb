//! Collects what messages become, by resource.

use std::{
    borrow::Cow,
    time::{SystemTime, UNIX_EPOCH},
};

use sluice_pipeline::{
    budget::{Budget, Charge, Exhausted},
    otlp::{group::Groups, write::Writer},
};

use super::Malformed;

/// How much is charged at a time, in bytes written.
const STEP: usize = 64 << 10;
/// Bytes held for each byte written: buffers have room to grow, and are copied together in the end.
const HELD: usize = 3;

/// What messages become, by resource.
#[derive(Default)]
pub(super) struct Output {
    groups: Groups,
    meter: Meter,
    pub(super) items: usize,
    pub(super) repairs: Repairs,
    written: usize,
    observed: Option<u64>,
    // Reused from message to message.
    resource: Vec<u8>,
    message: Vec<u8>,
}

/// Charges what is written while it grows: a small message may become a large one, since all of its spans say whose they
/// are. Without a charge it is free.
#[derive(Default)]
struct Meter {
    charge: Option<Charge>,
    covered: usize,
}

/// Counts text that was not UTF-8.
#[derive(Default)]
pub(super) struct Repairs(usize);

/// What one message becomes: complete items, tags included, below one resource.
pub(super) struct Items<'o> {
    pub(super) writer: Writer<'o>,
    pub(super) repairs: &'o mut Repairs,
    count: &'o mut usize,
    meter: &'o mut Meter,
    /// What was written before this message, in bytes.
    before: usize,
}

impl Output {
    /// When what comes now was seen, in nanoseconds since 1970.
    pub(super) fn observed(&mut self) -> u64 {
        *self.observed.get_or_insert_with(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
        })
    }

    /// Adds what `items` writes below a resource with the attributes that `resource` writes; nothing if it fails.
    pub(super) fn add(
        &mut self,
        resource: impl FnOnce(&mut Writer<'_>),
        items: impl FnOnce(&mut Items<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.add_scoped(resource, &[], items)
    }

    /// The same in a scope, an encoded `InstrumentationScope`. Scopes that are equal are one.
    pub(super) fn add_scoped(
        &mut self,
        resource: impl FnOnce(&mut Writer<'_>),
        scope: &[u8],
        items: impl FnOnce(&mut Items<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.resource.clear();
        self.message.clear();
        resource(&mut Writer::new(&mut self.resource));
        let mut count = 0;
        items(&mut Items {
            writer: Writer::new(&mut self.message),
            repairs: &mut self.repairs,
            count: &mut count,
            meter: &mut self.meter,
            before: self.written,
        })?;
        if count > 0 {
            self.groups.items(&self.resource, scope).extend_from_slice(&self.message);
            self.items += count;
            self.written += self.message.len();
        }
        Ok(())
    }

    /// Starts a new scope even if the last one was equal.
    pub(super) fn separate(&mut self) {
        self.groups.separate();
    }

    /// Charges what is written from now on.
    pub(super) fn charge_to(&mut self, budget: &Budget) {
        self.meter.charge.get_or_insert_with(|| budget.charge_anyway(0));
    }

    /// The charge of all that was written, if it was charged.
    pub(super) fn take_charge(&mut self) -> Option<Charge> {
        self.meter.charge.take()
    }

    /// Bytes written, about.
    pub(super) fn size(&self) -> usize {
        self.written
    }

    /// The encoded root message of the signal.
    pub(super) fn finish(self) -> Vec<u8> {
        self.groups.finish()
    }
}

impl Items<'_> {
    /// Writes a span, metric or log record that counts as `items`.
    pub(super) fn item<T>(
        &mut self,
        items: usize,
        fill: impl FnOnce(&mut Writer<'_>, &mut Repairs) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        let repairs = &mut *self.repairs;
        let filled = self.writer.long_message(2, |writer| fill(writer, repairs))?;
        *self.count += items;
        self.meter.note(self.before + self.writer.position())?;
        Ok(filled)
    }
}

impl Meter {
    /// Notes that so many bytes are written by now.
    #[inline]
    fn note(&mut self, written: usize) -> Result<(), Exhausted> {
        let Some(charge) = self.charge.as_mut().filter(|_| written > self.covered) else { return Ok(()) };
        let step = STEP.max(written - self.covered);
        charge.grow((HELD * step) as u64)?;
        self.covered += step;
        Ok(())
    }
}

impl Repairs {
    /// The text; invalid UTF-8 becomes U+FFFD and is counted.
    #[inline]
    pub(super) fn text<'t>(&mut self, raw: &'t [u8]) -> Cow<'t, str> {
        match std::str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                self.0 += 1;
                String::from_utf8_lossy(raw)
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0
    }
}
