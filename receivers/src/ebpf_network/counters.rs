//! Counts what the receiver could not see, understand or hand on.

use metrics::{Counter, Gauge, counter, gauge};
use sluice_ebpf::Losses;
use sluice_pipeline::component::ComponentId;

use super::{http::Loss, record::Reason};

/// The reason of exchanges that no rule could take, whatever else may be said of them.
const LEFT_IN_KERNEL: &str = "left_in_kernel";

/// Why something that was seen is not handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// The pipeline is slower than what comes.
    PipelineBusy,
    /// The byte budget is used up.
    Memory,
    /// The pipeline refused it for good.
    Refused,
}

/// A counter for each reason, looked up in the registry only once: most exchanges stay without record for some reason.
struct ByReason {
    name: &'static str,
    receiver: String,
    counters: Vec<(&'static str, Pending)>,
}

/// A counter that only this thread counts on, handed to the registry now and then: that takes atomic operations.
struct Pending {
    count: u64,
    counter: Counter,
}

impl Pending {
    const fn new(counter: Counter) -> Self {
        Self { count: 0, counter }
    }

    fn flush(&mut self) {
        match std::mem::take(&mut self.count) {
            0 => {}
            count => self.counter.increment(count),
        }
    }
}

impl ByReason {
    fn new(name: &'static str, receiver: &str) -> Self {
        Self { name, receiver: receiver.to_owned(), counters: Vec::new() }
    }

    fn count(&mut self, reason: &'static str) {
        self.add(reason, 1);
    }

    fn add(&mut self, reason: &'static str, count: u64) {
        if let Some((_, pending)) = self.counters.iter_mut().find(|(known, _)| *known == reason) {
            pending.count += count;
            return;
        }
        let counter = counter!(self.name, "receiver" => self.receiver.clone(), "reason" => reason);
        self.counters.push((reason, Pending { count, counter }));
    }

    fn flush(&mut self) {
        self.counters.iter_mut().for_each(|(_, pending)| pending.flush());
    }
}

/// The counters of one receiver.
pub(super) struct Counters {
    id: String,
    losses: [(u64, Counter); sluice_ebpf::Loss::ALL.len()],
    exchanges: Pending,
    untold: u64,
    events: Counter,
    unreadable: Counter,
    lost: ByReason,
    unrecorded: ByReason,
    connections: Gauge,
    connection_bytes: Gauge,
}

impl Counters {
    pub(super) fn new(id: &ComponentId) -> Self {
        let id = id.to_string();
        let losses = sluice_ebpf::Loss::ALL.map(|loss| {
            let counter =
                counter!("sluice_ebpf_lost_events", "receiver" => id.clone(), "reason" => loss.reason());
            (0, counter)
        });
        Self {
            losses,
            exchanges: Pending::new(counter!("sluice_ebpf_exchanges", "receiver" => id.clone())),
            untold: 0,
            events: counter!("sluice_ebpf_events", "receiver" => id.clone()),
            unreadable: counter!("sluice_ebpf_lost_events", "receiver" => id.clone(), "reason" => "unreadable"),
            lost: ByReason::new("sluice_ebpf_lost_messages", &id),
            unrecorded: ByReason::new("sluice_ebpf_unrecorded_exchanges", &id),
            connections: gauge!("sluice_ebpf_connections", "receiver" => id.clone()),
            connection_bytes: gauge!("sluice_ebpf_connection_bytes", "receiver" => id.clone()),
            id,
        }
    }

    /// Publishes what the kernel has counted, and how much is held. Exchanges that it did not tell count as seen.
    pub(super) fn publish(&mut self, losses: &Losses, unreadable: u64, connections: usize, bytes: usize) {
        for ((_, now), (before, counter)) in losses.read().iter().zip(&mut self.losses) {
            counter.increment(now.saturating_sub(*before));
            *before = *now;
        }
        let untold = losses.untold();
        let new = untold.saturating_sub(self.untold);
        self.untold = untold;
        self.exchanges.count += new;
        if new > 0 {
            self.unrecorded.add(LEFT_IN_KERNEL, new);
        }
        self.flush();
        self.unreadable.absolute(unreadable);
        #[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
        {
            self.connections.set(connections as f64);
            self.connection_bytes.set(bytes as f64);
        }
    }

    /// So many events were taken, and all that came of them was counted.
    pub(super) fn events(&mut self, count: usize) {
        self.events.increment(count as u64);
        self.flush();
    }

    fn flush(&mut self) {
        self.exchanges.flush();
        self.lost.flush();
        self.unrecorded.flush();
    }

    pub(super) const fn exchange(&mut self) {
        self.exchanges.count += 1;
    }

    /// Messages that were seen in part, or not understood.
    pub(super) fn lost(&mut self, loss: Loss) {
        self.lost.count(loss.reason());
    }

    /// Exchanges that stay without record by the sampling rules.
    pub(super) fn unrecorded(&mut self, reason: Reason) {
        self.unrecorded.count(reason.label());
    }

    /// Connections beyond those that are followed.
    pub(super) fn too_many_connections(&self) {
        counter!("sluice_ebpf_unfollowed_connections", "receiver" => self.id.clone(), "reason" => "max_connections")
            .increment(1);
    }
}

/// Counts items that are not handed on.
pub(super) fn dropped(id: &ComponentId, items: usize, reason: Dropped) {
    let reason = match reason {
        Dropped::PipelineBusy => "pipeline_busy",
        Dropped::Memory => "budget",
        Dropped::Refused => "refused",
    };
    counter!("sluice_ebpf_dropped_items", "receiver" => id.to_string(), "reason" => reason)
        .increment(items as u64);
}
