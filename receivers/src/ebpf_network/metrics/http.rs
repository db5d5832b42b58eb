//! The series of exchanges: what tells them apart, and the cells that an exchange is added to.

use sluice_pipeline::{exchange::record, otlp::write::Writer};

use super::{
    bounds::Bounds,
    catalogue::{OTHER, TEMPLATE},
    config::MetricsConfig,
    observation::{HttpObservation, HttpVersion, Sizes},
    pair::Pair,
    point::{Points, Stamp, write_int, write_text},
    table::{Series, Table},
    template::Templates,
};
use crate::ebpf_network::socket::Role;

/// How many histograms of times come after the number of requests, and how many of sizes after those.
const TIMES: usize = 2;
const SIZES: usize = 4;

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
        let cells = 1 + TIMES * times.cells() + SIZES * sizes.cells();
        Self {
            table: Table::new(cells, &[Role::Server, Role::Client], start),
            methods: config.known_methods.iter().map(|method| method.as_str().into()).collect(),
            // The configuration was checked; without that, wrong templates match nothing.
            templates: Templates::new(&config.paths).unwrap_or_default(),
            times,
            sizes,
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
        let cells = self.table.touch(place);
        let Some((requests, cells)) = cells.split_first_mut() else { return };
        *requests += 1;
        let (times, sizes) = (&self.times, &self.sizes);
        let Some((duration, cells)) = cells.split_at_mut_checked(times.cells()) else { return };
        let Some((first_byte, cells)) = cells.split_at_mut_checked(times.cells()) else { return };
        if let Some(value) = observation.duration {
            times.record(duration, value);
        }
        if let Some(value) = observation.time_to_first_byte {
            times.record(first_byte, value);
        }
        let mut histograms = cells.chunks_exact_mut(sizes.cells());
        let mut record = |size: Option<u64>| {
            if let (Some(cells), Some(size)) = (histograms.next(), size) {
                sizes.record(cells, size);
            }
        };
        let body = |sizes: Option<Sizes>| sizes.map(|sizes| sizes.body);
        let wire = |sizes: Option<Sizes>| sizes.map(|sizes| sizes.wire);
        record(body(observation.request));
        record(body(observation.response));
        record(wire(observation.request));
        record(wire(observation.response));
    }

    /// Adds the points of a series to those of the metric at this place of the catalogue.
    pub(super) fn points(&self, metric: usize, series: &Series, stamp: &Stamp<'_>, points: &mut Points) {
        let (times, sizes) = (self.times.cells(), self.sizes.cells());
        let (bounds, from) = match metric {
            0..TIMES => (&self.times, 1 + metric * times),
            _ if metric < TIMES + SIZES => (&self.sizes, 1 + TIMES * times + (metric - TIMES) * sizes),
            _ => return points.number(stamp, series.cells.first().copied().unwrap_or(0)),
        };
        points.histogram(stamp, bounds, series.cells.get(from..from + bounds.cells()).unwrap_or_default());
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
