//! `SegmentReference`: the span in another segment that caused this one.

use sluice_pipeline::otlp::write::Writer;

use crate::oap::wire::{int, text};

/// Who caused it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caller<'a> {
    pub(super) service: &'a str,
    pub(super) instance: &'a str,
    pub(super) endpoint: &'a str,
}

/// A reference.
pub(super) struct Reference<'a> {
    /// 0 to another process, 1 to another thread of this one.
    pub(super) kind: i64,
    pub(super) trace: &'a str,
    pub(super) segment: &'a str,
    pub(super) span: i64,
    pub(super) caller: Caller<'a>,
    /// The address by which the caller called.
    pub(super) address: &'a str,
}

impl Reference<'_> {
    /// Writes it as field `number`.
    pub(super) fn write(&self, writer: &mut Writer<'_>, number: u32) {
        writer.message(number, |reference| {
            int(reference, 1, self.kind);
            text(reference, 2, self.trace);
            text(reference, 3, self.segment);
            int(reference, 4, self.span);
            text(reference, 5, self.caller.service);
            text(reference, 6, self.caller.instance);
            text(reference, 7, self.caller.endpoint);
            text(reference, 8, self.address);
        });
    }
}
