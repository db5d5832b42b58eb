//! Splits batches by items or by bytes.
//!
//! Whatever surrounds an item is repeated around its part of the items: resource, scope, schema URLs, unknown fields,
//! of a metric its name, unit, temporality and so on, of profiles the dictionary. Only a profile's original payload
//! is not repeated. Chunks keep their origin.

use std::sync::Arc;

use super::{
    count::count_along,
    path::{Step, path},
    wire::Fields,
    write::{Mark, Writer, varint_length},
};
use crate::{
    batch::{Batch, Chunk, Context},
    signal::Signal,
};

/// The most that a batch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// This many spans, data points, log records or profile samples.
    Items(usize),
    /// This many bytes, encoded.
    Bytes(usize),
}

impl Limit {
    const fn most(self) -> usize {
        match self {
            Self::Items(most) | Self::Bytes(most) => most,
        }
    }

    /// What of a chunk counts. Only bytes have it translated.
    fn of(self, chunk: &Chunk) -> usize {
        match self {
            Self::Items(_) => chunk.items(),
            Self::Bytes(_) => chunk.bytes().len(),
        }
    }
}

/// Splits a batch into parts within the limit, each filled before the next is begun. A batch within the limit is
/// returned as it is.
///
/// An item that exceeds the limit by itself goes alone. What is repeated around the parts comes to at most four times
/// the batch and 1 MiB: a sender could make a huge resource with tiny spans multiply without end. Beyond that, the
/// rest stays in one part.
#[must_use]
pub fn split(batch: Batch, limit: Limit) -> Vec<Batch> {
    let signal = batch.signal();
    let joins = Batch::can_join(signal);
    let counted: usize = batch.chunks().iter().map(|chunk| limit.of(chunk)).sum();
    if counted <= limit.most() && (joins || batch.chunks().len() < 2) {
        return vec![batch];
    }
    let mut parts = Parts {
        signal,
        context: Arc::clone(batch.context()),
        limit,
        repeatable: batch.size().saturating_mul(4).saturating_add(1 << 20),
        done: Vec::new(),
        chunks: Vec::new(),
        held: 0,
    };
    for chunk in batch.into_chunks() {
        if parts.is_full() {
            parts.finish();
        }
        if parts.admits(limit.of(&chunk)) {
            parts.push(chunk);
        } else {
            Cut::of(&chunk, &mut parts);
        }
        if !joins {
            parts.finish();
        }
    }
    parts.finish();
    parts.done
}

/// The parts done, and the one that is being filled.
struct Parts {
    signal: Signal,
    context: Arc<Context>,
    limit: Limit,
    /// How many bytes may yet be repeated.
    repeatable: usize,
    done: Vec<Batch>,
    chunks: Vec<Chunk>,
    /// What of these chunks counts.
    held: usize,
}

impl Parts {
    fn admits(&self, more: usize) -> bool {
        self.repeatable == 0 || self.held + more <= self.limit.most()
    }

    /// Whether the part has no room at all, so that the next chunk may go whole into the next part.
    fn is_full(&self) -> bool {
        self.repeatable > 0 && self.held >= self.limit.most()
    }

    fn push(&mut self, chunk: Chunk) {
        self.held += self.limit.of(&chunk);
        self.chunks.push(chunk);
    }

    fn finish(&mut self) {
        if self.chunks.is_empty() {
            return;
        }
        let chunks = std::mem::take(&mut self.chunks);
        self.done.push(Batch::from_chunks(self.signal, chunks, Arc::clone(&self.context)));
        self.held = 0;
    }
}

/// A chunk that is being cut into the parts.
struct Cut<'a> {
    chunk: &'a Chunk,
    parts: &'a mut Parts,
    /// What goes into the current part.
    output: Vec<u8>,
    items: usize,
    /// The messages around the current place, outermost first.
    frames: Vec<Frame>,
}

/// A message some of whose content is in the current part.
struct Frame {
    /// Its field number in the message around it; 0 for the outermost.
    number: u32,
    /// The fields that every part repeats.
    header: Vec<u8>,
    /// The fields that only the first part has.
    once: Vec<u8>,
    was_opened: bool,
    is_open: bool,
    mark: Option<Mark>,
    /// The bytes of its content in the current part, but for the open message in it.
    length: usize,
}

impl<'a> Cut<'a> {
    fn of(chunk: &'a Chunk, parts: &'a mut Parts) {
        let path = path(parts.signal);
        let mut cut = Self { chunk, parts, output: Vec::new(), items: 0, frames: Vec::new() };
        match Frame::of(path, 0, chunk.bytes()) {
            Some(frame) => cut.message(path, frame, chunk.bytes()),
            None => cut.parts.push(chunk.clone()),
        }
    }

    fn message(&mut self, path: &[Step], frame: Frame, message: &[u8]) {
        let [step, below @ ..] = path else { return };
        self.frames.push(frame);
        for field in Fields::of(message).flatten().filter(|field| step.leads_on(field.number)) {
            let inner = field.value.bytes();
            let items = count_along(below, inner);
            if self.fits(field.raw.len(), items) {
                self.place(field.raw, items);
                continue;
            }
            match Frame::of(below, field.number, inner) {
                Some(frame) => self.message(below, frame, inner),
                None => {
                    self.end_part();
                    self.place(field.raw, items);
                }
            }
        }
        self.leave();
    }

    /// Whether the current part has room for a field of this size, with these items, at the current place.
    fn fits(&self, size: usize, items: usize) -> bool {
        let more = match self.parts.limit {
            Limit::Items(_) => self.items + items,
            Limit::Bytes(_) => self.frames.iter().rev().fold(size, |inner, frame| {
                let before = if frame.is_open { frame.length } else { frame.opening_length() };
                frame.encoded_length(before + inner)
            }),
        };
        self.parts.admits(more)
    }

    fn place(&mut self, field: &[u8], items: usize) {
        if self.frames.last().is_some_and(|innermost| !innermost.is_open) {
            self.open_frames();
        }
        if let Some(innermost) = self.frames.last_mut() {
            innermost.length += field.len();
        }
        self.output.extend_from_slice(field);
        self.items += items;
    }

    fn open_frames(&mut self) {
        if self.output.is_empty() {
            self.output.reserve(self.expected_length());
        }
        for frame in self.frames.iter_mut().filter(|frame| !frame.is_open) {
            if frame.was_opened {
                self.parts.repeatable = self.parts.repeatable.saturating_sub(frame.header.len());
            }
            frame.open(&mut self.output);
        }
    }

    /// About as many bytes as this chunk will have in the current part, so that the output need not grow.
    fn expected_length(&self) -> usize {
        let whole = self.chunk.bytes().len();
        let most = match self.parts.limit {
            Limit::Items(most) => (whole / self.chunk.items().max(1)).saturating_mul(most.saturating_add(1)),
            Limit::Bytes(most) => most,
        };
        most.min(whole)
    }

    /// The innermost message has no more content.
    fn leave(&mut self) {
        let Some(mut frame) = self.frames.pop() else { return };
        frame.close(&mut self.output);
        match self.frames.last_mut() {
            Some(outer) => outer.length += frame.encoded_length(frame.length),
            None => self.end_chunk(),
        }
    }

    fn end_part(&mut self) {
        for frame in self.frames.iter_mut().rev() {
            frame.close(&mut self.output);
        }
        self.end_chunk();
        self.parts.finish();
    }

    fn end_chunk(&mut self) {
        if !self.output.is_empty() {
            let bytes = std::mem::take(&mut self.output);
            self.parts.push(self.chunk.replaced(bytes.into(), std::mem::take(&mut self.items)));
        }
    }
}

impl Frame {
    /// `None` if no field of the message leads on to items, so that it cannot be split.
    fn of(path: &[Step], number: u32, message: &[u8]) -> Option<Self> {
        let step = path.first()?;
        let (mut header, mut once, mut leads_on) = (Vec::new(), Vec::new(), false);
        for field in Fields::of(message).flatten() {
            if step.leads_on(field.number) {
                leads_on = true;
            } else if step.once.contains(&field.number) {
                once.extend_from_slice(field.raw);
            } else {
                header.extend_from_slice(field.raw);
            }
        }
        let closed = Self { number, header, once, was_opened: false, is_open: false, mark: None, length: 0 };
        leads_on.then_some(closed)
    }

    fn open(&mut self, output: &mut Vec<u8>) {
        self.length = self.opening_length();
        let mut writer = Writer::new(output);
        self.mark = (self.number != 0).then(|| writer.begin(self.number));
        writer.raw(&self.header);
        writer.raw(&std::mem::take(&mut self.once));
        (self.is_open, self.was_opened) = (true, true);
    }

    fn close(&mut self, output: &mut Vec<u8>) {
        if let Some(mark) = self.mark.take() {
            Writer::new(output).end(mark);
        }
        self.is_open = false;
    }

    fn opening_length(&self) -> usize {
        self.header.len() + self.once.len()
    }

    /// The length of the message as a field of the one around it, with content of this length.
    fn encoded_length(&self, content: usize) -> usize {
        match self.number {
            0 => content,
            number => varint_length(u64::from(number) << 3) + varint_length(content as u64) + content,
        }
    }
}

#[cfg(test)]
mod tests;
