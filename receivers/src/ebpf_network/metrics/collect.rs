//! Writes all series as OTLP: a resource for each process, its metrics below it.

use sluice_pipeline::otlp::write::Writer;

use super::{
    aggregator::Collected,
    catalogue::{DROPS, HTTP_CLIENT, HTTP_SERVER, Kind, Metric, TCP},
    config::Temporality,
    http::Http,
    point::{Points, Stamp},
    process::Processes,
    table::{Series, Table},
    tcp::Tcp,
};
use crate::ebpf_network::socket::Role;

/// The scope of all metrics.
pub(super) const SCOPE: &str = "sluice.receiver.ebpf_network";
/// From how many bytes on a chunk is closed.
const CHUNK: usize = 512 << 10;
/// How many series are written before a chunk may be closed. With the longest attributes and the most buckets possible, a
/// chunk stays below the 4 MiB that gRPC servers accept.
const BLOCK: usize = 64;

/// What is written, and when.
pub(super) struct Collection<'a> {
    pub(super) processes: &'a Processes,
    pub(super) http: Option<&'a Http>,
    pub(super) tcp: Option<&'a Tcp>,
    pub(super) temporality: Temporality,
    /// The time of the collection before, nanoseconds since the epoch.
    pub(super) previous: u64,
    /// The time of this one.
    pub(super) time: u64,
}

/// Series whose metrics are the same; in this order they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    HttpServer,
    HttpClient,
    Tcp,
    Drops,
}

/// Where a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    process: u32,
    group: Group,
    place: usize,
}

impl Collection<'_> {
    /// All series that have something to tell, as encoded `MetricsData`.
    pub(super) fn encode(&self) -> Vec<Collected> {
        let entries = self.entries();
        let mut chunks = Vec::new();
        let mut current = Collected::default();
        let mut points = Points::default();
        for of_process in entries.chunk_by(|left, right| left.process == right.process) {
            for block in of_process.chunks(BLOCK) {
                self.write_block(block, &mut current, &mut points);
                if current.bytes.len() >= CHUNK {
                    current.bytes.shrink_to_fit();
                    chunks.push(std::mem::take(&mut current));
                }
            }
        }
        if current.data_points > 0 {
            chunks.push(current);
        }
        chunks
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut add = |table: &Table, group: fn(&Series) -> Group| {
            let told = table.iter().filter(|(_, series)| {
                let may_be_new = self.temporality == Temporality::Cumulative || series.touched;
                may_be_new && series.cells.iter().any(|cell| *cell != 0)
            });
            entries.extend(told.map(|(place, series)| Entry {
                process: series.process,
                group: group(series),
                place,
            }));
        };
        if let Some(http) = self.http {
            add(&http.table, |series| match series.role {
                Role::Client => Group::HttpClient,
                _ => Group::HttpServer,
            });
        }
        if let Some(tcp) = self.tcp {
            add(&tcp.table, |_| Group::Tcp);
            add(&tcp.drops, |_| Group::Drops);
        }
        entries.sort_unstable();
        entries
    }

    /// Writes a `ResourceMetrics` of these series, which are of one process.
    fn write_block(&self, block: &[Entry], chunk: &mut Collected, points: &mut Points) {
        let Some(first) = block.first() else { return };
        let data_points = &mut chunk.data_points;
        Writer::new(&mut chunk.bytes).message(1, |writer| {
            writer.bytes(1, self.processes.resource_at(first.process));
            writer.message(2, |writer| {
                writer.message(1, |writer| {
                    writer.bytes(1, SCOPE.as_bytes());
                    writer.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
                });
                for entries in block.chunk_by(|left, right| left.group == right.group) {
                    let Some(group) = entries.first().map(|entry| entry.group) else { continue };
                    for (place, metric) in group.metrics().iter().enumerate() {
                        points.clear();
                        for entry in entries {
                            self.add_points(entry, place, points);
                        }
                        *data_points += points.count;
                        self.write_metric(metric, points, writer);
                    }
                }
            });
        });
    }

    fn add_points(&self, entry: &Entry, metric: usize, points: &mut Points) {
        match (entry.group, self.http, self.tcp) {
            (Group::HttpServer | Group::HttpClient, Some(http), _) => {
                let Some(series) = http.table.get(entry.place) else { return };
                http.points(metric, series, &self.stamp(series), points);
            }
            (Group::Tcp, _, Some(tcp)) => {
                let Some(series) = tcp.table.get(entry.place) else { return };
                tcp.points(metric, series, &self.stamp(series), points);
            }
            (Group::Drops, _, Some(tcp)) => {
                let Some(series) = tcp.drops.get(entry.place) else { return };
                let count = series.cells.first().copied().unwrap_or(0);
                points.number(&self.stamp(series), count);
            }
            _ => {}
        }
    }

    fn stamp<'s>(&self, series: &'s Series) -> Stamp<'s> {
        let start = match self.temporality {
            Temporality::Cumulative => series.start,
            Temporality::Delta => self.previous,
        };
        // A clock that was set back must not make a point end before it starts.
        let start = start.min(self.time);
        Stamp { attributes: &series.attributes, own: None, start, time: self.time }
    }

    fn write_metric(&self, metric: &Metric, points: &Points, writer: &mut Writer<'_>) {
        if points.count == 0 {
            return;
        }
        let temporality = match self.temporality {
            Temporality::Delta => 1,
            Temporality::Cumulative => 2,
        };
        writer.message(2, |writer| {
            writer.bytes(1, metric.name.as_bytes());
            writer.bytes(2, metric.description.as_bytes());
            writer.bytes(3, metric.unit.as_bytes());
            let number = match metric.kind {
                Kind::Counter => 7,
                Kind::Histogram => 9,
            };
            writer.message(number, |writer| {
                writer.raw(&points.encoded);
                writer.varint(2, temporality);
                if metric.kind == Kind::Counter {
                    writer.varint(3, 1);
                }
            });
        });
    }
}

impl Group {
    fn metrics(self) -> &'static [Metric] {
        match self {
            Self::HttpServer => &HTTP_SERVER,
            Self::HttpClient => &HTTP_CLIENT,
            Self::Tcp => &TCP,
            Self::Drops => &DROPS,
        }
    }
}
