//! The series of exchanges: what tells them apart, and the cells that an exchange is added to.

use sluice_pipeline::{exchange::record, otlp::write::Writer};

use super::{
    bounds::Bounds,
    catalogue::{OTHER, TEMPLATE},
    config::MetricsConfig,
    observation::{HttpObservation, HttpVersion},
    pair::Pair,
    point::{Points, Stamp, write_int, write_text},
    table::{Series, Table},
    template::Templates,
};
use crate::ebpf_network::socket::Role;

/// How many histograms are of times; others, which follow them, are of sizes.
const TIMES: usize = 2;
const HISTOGRAMS: usize = 6;
/// The first cells: the number of requests, then the sums of the histograms. So they share a cache line; buckets follow.
const HEAD: usize = 1 + HISTOGRAMS;

/// What `error.type` says of a connection that ended too early.
const CONNECTION_CLOSED: &str = "connection_closed";

/// The series of exchanges.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) table: Table,
    methods: Vec<Box<str>>,
    templates: Templates,
    times: Bounds,
    sizes: Bounds,
    /// Where the buckets of each histogram begin.
    buckets: [usize; HISTOGRAMS],
}

/// What tells exchanges of a pair apart, in one number.
///
/// Bits 0 to 7: the method's number, 255 if it is not known. Bit 8: HTTP/1.0. Bit 9: the connection ended too early.
/// Bit 10: the status code is none. Bits 16 to 31: the status code; 0 if there is none. Bits 32 to 47: the template's
/// number and one; 0 if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels(pub(super) u64);

const UNKNOWN_METHOD: u8 = u8::MAX;
const VERSION_10: u64 = 1 << 8;
const CLOSED: u64 = 1 << 9;
const NO_STATUS_CODE: u64 = 1 << 10;

impl Http {
    pub(super) fn new(config: &MetricsConfig, start: u64) -> Self {
        let times = Bounds::new(
            config
                .buckets
                .http_duration
                .iter()
                .map(|bound| u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX)),
            1e9,
        );
        let sizes = Bounds::new(config.buckets.http_size.iter().copied(), 1.0);
        let mut next = HEAD;
        let buckets = std::array::from_fn(|histogram| {
            let bounds = if histogram < TIMES { &times } else { &sizes };
            let first = next;
            next += bounds.buckets();
            first
        });
        Self {
            table: Table::new(next, &[Role::Server, Role::Client], start),
            methods: config.known_methods.iter().map(|method| method.as_str().into()).collect(),
            // The configuration was checked; without that, wrong templates match nothing.
            templates: Templates::new(&config.paths).unwrap_or_default(),
            times,
            sizes,
            buckets,
        }
    }

    #[inline]
    pub(super) fn labels(&self, observation: &HttpObservation<'_>) -> Labels {
        let method = self.methods.iter().position(|known| **known == *observation.method);
        let method = method.and_then(|place| u8::try_from(place).ok()).unwrap_or(UNKNOWN_METHOD);
        let mut labels = u64::from(method);
        if observation.version == HttpVersion::Http10 {
            labels |= VERSION_10;
        }
        if observation.connection_closed {
            labels |= CLOSED;
        }
        labels |= match observation.status {
            Some(status @ 100..600) => u64::from(status) << 16,
            // One that also ended too early says so instead: each set of attributes has one number.
            Some(_) if !observation.connection_closed => NO_STATUS_CODE,
            Some(_) => 0,
            None => 0,
        };
        if let Some(template) = self.templates.find(observation.target.as_bytes()) {
            labels |= (u64::from(template) + 1) << 32;
        }
        Labels(labels)
    }

    /// Adds an exchange to the series at this place.
    #[inline]
    pub(super) fn record(&mut self, place: usize, observation: &HttpObservation<'_>) {
        let Self { table, times, sizes, buckets, .. } = self;
        let Some((head, cells)) = table.touch(place).split_at_mut_checked(HEAD) else { return };
        if let Some(requests) = head.first_mut() {
            *requests += 1;
        }
        let HttpObservation { duration, time_to_first_byte, request, response, .. } = *observation;
        let mut record = |histogram: usize, bounds: &Bounds, value: Option<u64>| {
            let (Some(value), Some(first)) = (value, buckets.get(histogram)) else { return };
            let buckets = cells.get_mut(first - HEAD..first - HEAD + bounds.buckets());
            bounds.record(head.get_mut(1 + histogram), buckets, value);
        };
        record(0, times, duration);
        record(1, times, time_to_first_byte);
        record(2, sizes, request.map(|sizes| sizes.body));
        record(3, sizes, response.map(|sizes| sizes.body));
        record(4, sizes, request.map(|sizes| sizes.wire));
        record(5, sizes, response.map(|sizes| sizes.wire));
    }

    /// Adds the points of a series to those of the metric at this place of the catalogue.
    pub(super) fn points(&self, metric: usize, series: &Series, stamp: &Stamp<'_>, points: &mut Points) {
        let cell = |place: usize| series.cells.get(place).copied().unwrap_or(0);
        // The histograms come first in the catalogue too.
        let Some(first) = self.buckets.get(metric) else { return points.number(stamp, cell(0)) };
        let bounds = if metric < TIMES { &self.times } else { &self.sizes };
        let buckets = series.cells.get(*first..first + bounds.buckets()).unwrap_or_default();
        points.histogram(stamp, bounds, cell(1 + metric), buckets);
    }

    /// Writes the attributes of a series as fields 1, other than those of its pair.
    pub(super) fn write_attributes(&self, labels: Labels, pair: &Pair, writer: &mut Writer<'_>) {
        write_text(writer, 1, record::METHOD, self.method(labels));
        if let Some(status) = labels.status() {
            write_int(writer, 1, record::STATUS, i64::from(status));
        }
        labels.write_error(pair.role, writer);
        write_text(writer, 1, record::SCHEME, "http");
        if let Some(template) = labels.template().and_then(|template| self.templates.text(template)) {
            write_text(writer, 1, TEMPLATE, template);
        }
        write_text(writer, 1, record::VERSION, if labels.0 & VERSION_10 == 0 { "1.1" } else { "1.0" });
        if pair.role == Role::Client {
            write_text(writer, 1, record::HOST, &pair.peer_address().to_string());
        }
    }

    fn method(&self, labels: Labels) -> &str {
        self.methods.get((labels.0 & 0xff) as usize).map_or(OTHER, AsRef::as_ref)
    }
}

impl Labels {
    fn status(self) -> Option<u16> {
        Some((self.0 >> 16) as u16).filter(|status| *status != 0)
    }

    fn template(self) -> Option<u16> {
        ((self.0 >> 32) as u16).checked_sub(1)
    }

    /// The semantic conventions: 5xx is an error of the server and of the client, 4xx one of the client.
    fn write_error(self, role: Role, writer: &mut Writer<'_>) {
        let first_error = if role == Role::Client { 400 } else { 500 };
        if self.0 & CLOSED != 0 {
            write_text(writer, 1, record::ERROR, CONNECTION_CLOSED);
        } else if self.0 & NO_STATUS_CODE != 0 {
            write_text(writer, 1, record::ERROR, OTHER);
        } else if let Some(status) = self.status().filter(|status| *status >= first_error) {
            write_text(writer, 1, record::ERROR, &status.to_string());
        }
    }
}
