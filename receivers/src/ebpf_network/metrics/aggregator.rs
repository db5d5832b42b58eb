//! Adds observations to series, and hands the series out.

use std::fmt;

use sluice_pipeline::{
    exchange::{event, record},
    otlp::write::Writer,
};

use super::{
    catalogue::{DROP_REASON, SERVER_PORT},
    collect::Collection,
    config::{MetricsConfig, Temporality},
    counters::{Counters, Counts},
    http::{Http, Labels},
    observation::{HttpObservation, TcpObservation},
    pair::{Key, Pair, Seed},
    point::{write_int, write_text},
    process::{Identity, PeerId, ProcessHandle, Processes},
    recent::Recent,
    table::Table,
    tcp::{DropReason, Tcp},
};
use crate::ebpf_network::socket::{Ends, Role};

/// Adds observations to series, and hands the series out as OTLP.
///
/// Memory is bounded by [`MetricsConfig::max_series`]: what would need one more goes into an overflow series. A series
/// begins with the collection before its first observation, so one that was dropped and comes back begins anew, after
/// the end of what was told of it before. It is dropped when [`MetricsConfig::expiration`] has passed without
/// observations, or when its process was released, then after one more collection.
///
/// Nothing is allocated or formatted for an observation but the first of its series.
pub struct Aggregator {
    http: Option<Http>,
    tcp: Option<Tcp>,
    pub(super) processes: Processes,
    seed: Seed,
    temporality: Temporality,
    expiration: Option<u32>,
    max_series: usize,
    series: usize,
    previous: u64,
    /// The number of the next collection, after which series may have other places. Never 0.
    collection: u32,
    pub(super) counts: Counts,
    counters: Counters,
}

/// An encoded `MetricsData` in canonical form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The message.
    pub bytes: Vec<u8>,
    /// How many data points it holds.
    pub data_points: usize,
}

/// Which series an observation belongs to.
#[derive(Clone, Copy)]
enum Kind {
    Http,
    Tcp,
    Drops,
}

impl Aggregator {
    /// For a receiver with this id on this host, from this time on, in nanoseconds since the epoch. The configuration
    /// must have no [problems](MetricsConfig::problems).
    #[must_use]
    pub fn new(config: &MetricsConfig, receiver: &str, host_name: &str, now: u64) -> Self {
        Self {
            http: config.http.then(|| Http::new(config, now)),
            tcp: config.tcp.then(|| Tcp::new(config, now)),
            processes: Processes::new(host_name),
            seed: Seed::random(),
            temporality: config.temporality,
            expiration: config.expiration_intervals(),
            max_series: config.max_series as usize,
            series: 0,
            previous: now,
            collection: 1,
            counts: Counts::default(),
            counters: Counters::new(receiver),
        }
    }

    /// Makes a process known. The same identity gets the same handle; each call needs its [`Aggregator::release`].
    pub fn process(&mut self, identity: &Identity<'_>) -> ProcessHandle {
        self.processes.register(identity)
    }

    /// Says that a process has ended. Its series are handed out once more; observations that come later are dropped.
    pub fn release(&mut self, process: ProcessHandle) {
        self.processes.release(process);
    }

    /// The two sides of a connection: a process with its role, and its peer, with its process if that runs on this host
    /// and is known. To be kept with the connection.
    #[must_use]
    pub fn pair(&self, process: ProcessHandle, role: Role, ends: &Ends, peer: Option<ProcessHandle>) -> Pair {
        let peer = peer.map_or(PeerId::NONE, |peer| self.processes.peer_of(peer));
        Pair::new(process, role, ends, peer, &self.seed)
    }

    /// A reason for which the kernel drops packets, by its name in the kernel.
    pub fn drop_reason(&mut self, name: &str) -> DropReason {
        self.tcp.as_mut().map_or(DropReason(0), |tcp| tcp.reason(name))
    }

    /// Adds an exchange, if HTTP is measured.
    #[inline]
    pub fn http(&mut self, pair: &Pair, observation: &HttpObservation<'_>) {
        self.http_on(pair, &mut Recent::default(), observation);
    }

    /// Adds an exchange, if HTTP is measured. `recent` is kept with the pair from one call to the next.
    #[inline]
    pub fn http_on(&mut self, pair: &Pair, recent: &mut Recent, observation: &HttpObservation<'_>) {
        let Some(http) = &mut self.http else { return };
        if pair.role == Role::Unknown {
            self.counts.unknown_role += 1;
            return;
        }
        let labels = http.labels(observation).0;
        if let Some(place) = recent.http.get(self.collection, labels) {
            return http.record(place, observation);
        }
        let key = pair.key(labels, &self.seed);
        let place = match http.table.place(&key) {
            Some(place) => recent.http.set(self.collection, labels, place),
            None => self.admit(Kind::Http, &key),
        };
        if let (Some(http), Some(place)) = (&mut self.http, place) {
            http.record(place, observation);
        }
    }

    /// Adds something that happened to a connection, if TCP is measured.
    #[inline]
    pub fn tcp(&mut self, pair: &Pair, observation: TcpObservation) {
        self.tcp_on(pair, &mut Recent::default(), observation);
    }

    /// Adds something that happened to a connection, if TCP is measured. `recent` is kept with the pair from one call to the
    /// next.
    #[inline]
    pub fn tcp_on(&mut self, pair: &Pair, recent: &mut Recent, observation: TcpObservation) {
        if let TcpObservation::Dropped(reason) = observation {
            return self.dropped(pair, reason);
        }
        let Some(tcp) = &mut self.tcp else { return };
        if let Some(place) = recent.tcp.get(self.collection, 0) {
            return tcp.record(place, observation);
        }
        let key = pair.key(0, &self.seed);
        let place = match tcp.table.place(&key) {
            Some(place) => recent.tcp.set(self.collection, 0, place),
            None => self.admit(Kind::Tcp, &key),
        };
        if let (Some(tcp), Some(place)) = (&mut self.tcp, place) {
            tcp.record(place, observation);
        }
    }

    fn dropped(&mut self, pair: &Pair, reason: DropReason) {
        let Some(tcp) = &self.tcp else { return };
        let key = pair.key(u64::from(reason.0), &self.seed);
        let place = tcp.drops.place(&key).or_else(|| self.admit(Kind::Drops, &key));
        if let (Some(tcp), Some(place)) = (&mut self.tcp, place) {
            tcp.record_drop(place);
        }
    }

    /// Hands out all series that have something to tell, in chunks of about half a megabyte, at a time in nanoseconds
    /// since the epoch. To be called at each [`MetricsConfig::interval`].
    pub fn collect(&mut self, now: u64) -> Vec<Collected> {
        let collection = Collection {
            processes: &self.processes,
            http: self.http.as_ref(),
            tcp: self.tcp.as_ref(),
            temporality: self.temporality,
            previous: self.previous,
            time: now,
        };
        let chunks = collection.encode();
        self.sweep();
        self.collection = self.collection.wrapping_add(1).max(1);
        self.previous = now;
        self.counts.cut = std::mem::take(&mut self.processes.cut);
        self.counters.publish(std::mem::take(&mut self.counts), self.series, self.memory());
        chunks
    }

    /// How many series are held, those of overflow not counted.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series
    }

    /// Bytes held, roughly.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.tables().map(Table::memory).sum::<usize>() + self.processes.memory()
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        let http = self.http.iter().map(|http| &http.table);
        http.chain(self.tcp.iter().flat_map(|tcp| [&tcp.table, &tcp.drops]))
    }

    /// A place for a series that was not found: its own if there is room, else an overflow series.
    #[cold]
    fn admit(&mut self, kind: Kind, key: &Key) -> Option<usize> {
        if !self.processes.is_known(key.pair.process) {
            self.counts.unknown_process += 1;
            return None;
        }
        let mut key = *key;
        if self.processes.peer_attributes(key.pair.peer).is_none() {
            // The pair was made before its peer was forgotten. Without it, the series may be known.
            key = key.pair.without_peer_process(&self.seed).key(key.labels, &self.seed);
            if let Some(place) = self.table(kind)?.place(&key) {
                return Some(place);
            }
        }
        if self.series >= self.max_series || key.pair.process == ProcessHandle::OVERFLOW {
            self.counts.overflowed += 1;
            return Some(self.table(kind)?.overflow_place(key.pair.role));
        }
        let attributes = self.attributes(kind, &key);
        let start = self.previous;
        let place = self.table(kind)?.insert(key, start, attributes);
        self.processes.keep_peer(key.pair.peer);
        self.series += 1;
        Some(place)
    }

    fn table(&mut self, kind: Kind) -> Option<&mut Table> {
        match kind {
            Kind::Http => self.http.as_mut().map(|http| &mut http.table),
            Kind::Tcp => self.tcp.as_mut().map(|tcp| &mut tcp.table),
            Kind::Drops => self.tcp.as_mut().map(|tcp| &mut tcp.drops),
        }
    }

    /// The encoded attributes of a series, each as a field 1.
    fn attributes(&self, kind: Kind, key: &Key) -> Box<[u8]> {
        let pair = &key.pair;
        let mut attributes = Vec::with_capacity(512);
        let writer = &mut Writer::new(&mut attributes);
        match (kind, &self.http, &self.tcp) {
            (Kind::Http, Some(http), _) => http.write_attributes(Labels(key.labels), pair, writer),
            (Kind::Drops, _, Some(tcp)) => {
                let reason = DropReason(u16::try_from(key.labels).unwrap_or(0));
                write_text(writer, 1, DROP_REASON, tcp.reason_name(reason));
                write_role(pair.role, writer);
            }
            _ => write_role(pair.role, writer),
        }
        if pair.server_port != 0 {
            write_int(writer, 1, SERVER_PORT, i64::from(pair.server_port));
        }
        write_text(writer, 1, record::PEER_ADDRESS, &pair.peer_address().to_string());
        writer.raw(self.processes.peer_attributes(pair.peer).unwrap_or_default());
        attributes.into()
    }

    /// Drops the series that have told all, and begins the next interval.
    fn sweep(&mut self) {
        let Self { http, tcp, processes, counts, expiration, temporality, .. } = self;
        let mut left = Vec::new();
        let tables = http.iter_mut().map(|http| &mut http.table);
        let tables = tables.chain(tcp.iter_mut().flat_map(|tcp| [&mut tcp.table, &mut tcp.drops]));
        let mut series = 0;
        for table in tables {
            table.retain(
                |series| {
                    series.idle = if series.touched { 0 } else { series.idle.saturating_add(1) };
                    if *temporality == Temporality::Delta && series.touched {
                        series.cells.fill(0);
                    }
                    series.touched = false;
                    let is_expired = expiration.is_some_and(|intervals| series.idle >= intervals);
                    let keeps = !is_expired && !processes.is_released(series.process);
                    counts.expired += u64::from(is_expired && series.key.is_some());
                    keeps
                },
                |key| left.push(key.pair.peer),
            );
            series += table.len();
        }
        self.series = series;
        left.into_iter().for_each(|peer| self.processes.leave_peer(peer));
        self.processes.forget_released();
    }
}

fn write_role(role: Role, writer: &mut Writer<'_>) {
    match role {
        Role::Client => write_text(writer, 1, event::ROLE, event::CLIENT),
        Role::Server => write_text(writer, 1, event::ROLE, event::SERVER),
        Role::Unknown => {}
    }
}

impl fmt::Debug for Aggregator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Aggregator").field("series", &self.series).finish_non_exhaustive()
    }
}
