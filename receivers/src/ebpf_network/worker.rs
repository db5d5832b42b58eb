//! The thread that empties the ring: it parses, measures and records, and waits for nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sluice_ebpf::{Event, Losses, Programs, Reader};

use super::{clock, output::Output, tracker::Tracker};

/// How long the ring is left alone while little is in it.
const PATIENCE: Duration = Duration::from_millis(25);
/// How many events are taken before the time is looked at.
const BURST: usize = 8_192;
/// How often clocks are compared and connections looked through, in nanoseconds.
const HOUSEKEEPING: u64 = 1_000_000_000;
/// From how many records or bytes on a message leaves at once.
const MESSAGE_RECORDS: usize = 1_000;
const MESSAGE_BYTES: usize = 1 << 20;
/// How long a record waits for others, in nanoseconds.
const RECORD_WAIT: u64 = 200_000_000;

/// Everything that the thread owns.
pub(super) struct Worker {
    // Dropping it detaches the programs.
    pub(super) programs: Programs,
    pub(super) reader: Reader,
    pub(super) losses: Losses,
    pub(super) tracker: Tracker,
    pub(super) logs: Option<Output>,
    pub(super) metrics: Option<Output>,
    /// In nanoseconds.
    pub(super) metrics_interval: u64,
    pub(super) stop: Arc<AtomicBool>,
}

impl Worker {
    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        for connection in self.programs.take_existing() {
            self.tracker.take(Event::Connection(connection));
        }
        let began = clock::monotonic();
        let mut housekeeping = began;
        let mut records = began;
        let mut metrics = began + self.metrics_interval;
        while !self.stop.load(Ordering::Relaxed) {
            self.reader.wait(PATIENCE);
            self.drain();
            let now = clock::monotonic();
            if now >= housekeeping {
                housekeeping = now + HOUSEKEEPING;
                self.keep_house(now);
            }
            if now >= records {
                records = now + RECORD_WAIT;
                self.send_records(now);
            }
            if now >= metrics {
                metrics = now + self.metrics_interval;
                self.send_metrics();
            }
        }
        self.drain();
        if let Some(recorder) = &mut self.tracker.sinks.recorder {
            recorder.flush();
        }
        self.send_records(clock::monotonic());
        self.send_metrics();
        self.keep_house(clock::monotonic());
    }

    fn drain(&mut self) {
        loop {
            let taken = self.reader.drain(BURST, |event| self.tracker.take(event));
            self.tracker.sinks.counters.events(taken);
            if self.tracker.sinks.recorder.as_ref().is_some_and(|recorder| {
                recorder.records() >= MESSAGE_RECORDS || recorder.bytes() >= MESSAGE_BYTES
            }) {
                self.send_finished();
            }
            if taken < BURST || self.stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn keep_house(&mut self, now: u64) {
        self.tracker.sinks.clock = clock::read();
        let bytes = self.tracker.sweep(now);
        let connections = self.tracker.connections();
        self.tracker.sinks.counters.publish(&self.losses, self.reader.unreadable(), connections, bytes);
    }

    fn send_records(&mut self, now: u64) {
        if let Some(recorder) = &mut self.tracker.sinks.recorder {
            recorder.roll(now);
        }
        self.send_finished();
    }

    fn send_finished(&mut self) {
        if let (Some(recorder), Some(output)) = (&mut self.tracker.sinks.recorder, &self.logs)
            && let Some(finished) = recorder.finish()
        {
            output.send(finished.logs, finished.records);
        }
    }

    fn send_metrics(&mut self) {
        if let (Some(aggregator), Some(output)) = (&mut self.tracker.sinks.aggregator, &self.metrics) {
            for chunk in aggregator.collect(clock::unix()) {
                output.send(chunk.bytes, chunk.data_points);
            }
        }
    }
}
