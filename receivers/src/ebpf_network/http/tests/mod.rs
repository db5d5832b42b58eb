mod bounds;
mod damage;
mod dialogue;
mod messages;
mod segmentation;
mod untold;

use super::*;
use crate::ebpf_network::{exchange::Ending, socket::Operation};

/// An observer that writes down what it is told.
#[derive(Debug, Default)]
struct Record {
    wants: Wants,
    requests: Vec<String>,
    exchanges: Vec<Seen>,
    losses: Vec<Loss>,
    anomalies: Vec<Anomaly>,
}

/// An exchange, without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    request: String,
    request_body: Vec<u8>,
    request_sizes: [u64; 3],
    trace_id: String,
    status: Option<u16>,
    response_head: String,
    response_body: Vec<u8>,
    response_sizes: [u64; 3],
    ending: Ending,
    truncated: bool,
    calls: Vec<(Direction, u64, u32)>,
}

impl Observer for Record {
    fn request(&mut self, request: &Request<'_>) -> Wants {
        self.requests.push(format!("{} {}", request.method, request.target));
        self.wants
    }

    fn exchange(&mut self, exchange: &Exchange<'_>) {
        let sizes = |message: &crate::ebpf_network::exchange::Message<'_>| {
            [message.head_size, message.body_size, message.wire_size]
        };
        let (request, response) = (&exchange.request, exchange.response);
        assert!(request.message.head.starts_with(request.method.as_bytes()));
        assert!(request.message.start <= request.message.end);
        let response_text =
            response.map(|response| String::from_utf8_lossy(response.message.head).into_owned());
        self.exchanges.push(Seen {
            request: format!("{} {}", request.method, request.target),
            request_body: request.message.body.to_vec(),
            request_sizes: sizes(&request.message),
            trace_id: request.contexts.first().map(|context| context.trace_id.to_owned()).unwrap_or_default(),
            status: response.map(|response| response.status),
            response_head: response_text.unwrap_or_default(),
            response_body: response.map(|response| response.message.body.to_vec()).unwrap_or_default(),
            response_sizes: response.map(|response| sizes(&response.message)).unwrap_or_default(),
            ending: exchange.ending,
            truncated: exchange.truncated,
            calls: exchange.calls.iter().map(|call| (call.direction, call.size, call.count)).collect(),
        });
    }

    fn lost(&mut self, loss: Loss) {
        self.losses.push(loss);
    }

    fn anomaly(&mut self, anomaly: Anomaly) {
        self.anomalies.push(anomaly);
    }
}

/// A server's connection, to which bytes are handed as if each were a system call.
struct Fixture {
    connection: Connection,
    record: Record,
    offsets: [u64; 2],
    time: u64,
}

impl Fixture {
    fn new() -> Self {
        Self::of(Connection::new(Role::Server), [0, 0])
    }

    fn midway() -> Self {
        Self::of(Connection::midway(Role::Server), [7000, 9000])
    }

    fn of(connection: Connection, offsets: [u64; 2]) -> Self {
        let wants = Wants { request_body: 1 << 20, response_body: 1 << 20, calls: true };
        Self { connection, record: Record { wants, ..Record::default() }, offsets, time: 0 }
    }

    fn request(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.call(Direction::Inbound, bytes, bytes.len())
    }

    fn response(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.call(Direction::Outbound, bytes, bytes.len())
    }

    /// Of `length` bytes these were captured.
    fn call(&mut self, direction: Direction, bytes: &[u8], length: usize) -> &mut Self {
        let offset = self.offsets[usize::from(direction == Direction::Outbound)];
        self.lose(direction, length);
        self.segment(direction, offset, bytes, length)
    }

    /// Nothing tells of these bytes.
    fn lose(&mut self, direction: Direction, length: usize) -> &mut Self {
        self.offsets[usize::from(direction == Direction::Outbound)] += length as u64;
        self
    }

    fn segment(&mut self, direction: Direction, offset: u64, bytes: &[u8], length: usize) -> &mut Self {
        self.time += 10;
        let segment = Segment {
            direction,
            operation: Operation::Read,
            offset,
            length: u32::try_from(length).unwrap(),
            bytes,
            start: self.time,
            end: self.time + 5,
            round_trip: 1,
            retransmits: 0,
        };
        self.connection.segment(&segment, &mut self.record);
        assert!(self.connection.memory() <= MAX_MEMORY);
        self
    }

    fn close(&mut self) -> &mut Self {
        self.connection.close(&mut self.record);
        self
    }

    /// The end, with the lengths of both streams known.
    fn close_at_extent(&mut self) -> &mut Self {
        let [inbound, outbound] = self.offsets;
        self.connection.extent(Direction::Inbound, inbound, &mut self.record);
        self.connection.extent(Direction::Outbound, outbound, &mut self.record);
        self.close()
    }

    /// Request, status and ending of each exchange.
    fn endings(&self) -> Vec<(&str, Option<u16>, Ending)> {
        self.record.exchanges.iter().map(|seen| (seen.request.as_str(), seen.status, seen.ending)).collect()
    }

    fn only(&self) -> &Seen {
        assert_eq!(self.record.exchanges.len(), 1, "{:?}", self.record);
        &self.record.exchanges[0]
    }
}

/// A request without a body.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A response with a body.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
