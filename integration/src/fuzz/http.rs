//! The passive HTTP/1.x parser and the trace context in its headers.

use sluice_receivers::ebpf_network::{
    exchange::{Ending, Exchange, MAX_CALLS, Message, Request},
    http::{Connection, Loss, MAX_HEAD, MAX_MEMORY, Observer, Wants},
    socket::{Direction, Operation, Role, Segment},
    trace_context::{Carried, Contexts, Format, Headers},
};

/// Tokens of HTTP/1.x, and of the segments that carry it.
pub(super) const TOKENS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\n",
    b"HEAD /h HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"\x16\x03\x01\x00\x10",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    &[0, 0],
    &[1, 0],
    &[0, 3],
];

/// Tokens of trace context.
pub(super) const HEADERS: &[&[u8]] = &[
    b"traceparent: ",
    b"b3: ",
    b"X-B3-TraceId: ",
    b"X-B3-SpanId: ",
    b"X-B3-Sampled: ",
    b"X-B3-Flags: ",
    b"sw8: ",
    b"0af7651916cd43dd8448eb211c80319c",
    b"b7ad6b7169203331",
    b"0000000000000000",
    b"-",
    b"-01",
    b"ff-",
    b"d",
    b"=",
    b"\n",
];

/// A segment is its flags, its length, and its bytes.
const PREFIX: usize = 2;

/// The flags of a segment: which way it goes, whether bytes before it are missing, whether some of its own are.
mod flag {
    pub(super) const OUTBOUND: u8 = 1;
    pub(super) const GAP: u8 = 2;
    pub(super) const CUT: u8 = 4;
    pub(super) const AGAIN: u8 = 8;
}

/// Dialogues, one message a segment.
pub(super) fn dialogues() -> Vec<Vec<u8>> {
    const MESSAGES: [&[(u8, &str)]; 5] = [
        &[
            (
                0,
                "GET /1 HTTP/1.1\r\nHost: a\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
            ),
            (1, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            (0, "HEAD /2 HTTP/1.1\r\n\r\n"),
            (1, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ],
        &[
            (0, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"),
            (1, "HTTP/1.1 100 Continue\r\n\r\n"),
            (1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        ],
        &[
            (0, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"),
            (1, "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 No\r\n\r\n"),
            (0, "GET /3 HTTP/1.0\r\n\r\n"),
            (1, "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
        ],
        &[
            (2, "GET /1 HTTP/1.1\r\n\r\n"),
            (1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            (0, "GET /2 HTTP/1.1\r\nUpgrade: x\r\n\r\n"),
            (1, "HTTP/1.1 101 Switching\r\n\r\n"),
        ],
        &[(0, "CONNECT a:1 HTTP/1.1\r\n\r\n"), (1, "HTTP/1.1 200 OK\r\n\r\n")],
    ];
    let segment = |(flags, text): &(u8, &str)| [&[*flags, text.len() as u8][..], text.as_bytes()].concat();
    MESSAGES
        .iter()
        .flat_map(|messages| {
            [0, 1].map(|role| [vec![role], messages.iter().flat_map(segment).collect()].concat())
        })
        .collect()
}

/// Lines of headers.
pub(super) fn headers() -> Vec<Vec<u8>> {
    [
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "traceparent: cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "b3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1-05e3ac9a4f6e3b90\nb3: 0",
        "X-B3-TraceId: 8448eb211c80319c\nX-B3-SpanId: b7ad6b7169203331\nX-B3-Sampled: 1\nX-B3-Flags: 1",
        "sw8: 1-dHJhY2UuMQ==-c2VnbWVudC4x-3-c3Zj-aW5zdA==-L2FwaQ==-MTAuMC4wLjE6ODA=",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Whatever comes, exchanges are sound, and memory stays within its bound and is given back.
pub(super) fn http1(input: &[u8]) -> String {
    let Some((role, mut rest)) = input.split_first() else { return String::new() };
    let role = [Role::Server, Role::Client, Role::Unknown].get(usize::from(role % 3)).copied();
    let mut connection = Connection::new(role.unwrap_or(Role::Unknown));
    let mut judge = Judge::default();
    let (mut offsets, mut time) = ([0, 0], 0);
    while let Some(([flags, size], behind)) = rest.split_first_chunk::<PREFIX>() {
        let (bytes, behind) = behind.split_at(usize::from(*size).min(behind.len()));
        rest = behind;
        time += 10;
        let outbound = flags & flag::OUTBOUND != 0;
        let offset: &mut u64 = &mut offsets[usize::from(outbound)];
        let distance = u64::from(flags >> 4);
        if flags & flag::GAP != 0 {
            *offset += distance;
        } else if flags & flag::AGAIN != 0 {
            *offset = offset.saturating_sub(distance);
        }
        let cut = if flags & flag::CUT != 0 { usize::from(flags >> 4).min(bytes.len()) } else { 0 };
        let segment = Segment {
            direction: if outbound { Direction::Outbound } else { Direction::Inbound },
            operation: Operation::Read,
            offset: *offset,
            length: bytes.len() as u32,
            bytes: &bytes[..bytes.len() - cut],
            start: time,
            end: time + 5,
            round_trip: 1,
            retransmits: 0,
        };
        *offset += bytes.len() as u64;
        connection.segment(&segment, &mut judge);
        assert!(connection.memory() <= MAX_MEMORY, "a connection takes {} bytes", connection.memory());
    }
    let protocol = connection.protocol();
    connection.idle(&mut judge);
    connection.close(&mut judge);
    assert_eq!(connection.memory(), size_of::<Connection>(), "memory is not given back");
    format!("{protocol:?} {}", judge.outcome)
}

/// Contexts found have valid ids, and those only.
pub(super) fn trace_context(input: &[u8]) -> String {
    let mut headers = Headers::default();
    for line in input.split(|byte| *byte == b'\n') {
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            headers.add(&line[..colon], &line[colon + 1..]);
        }
    }
    let mut carried = Carried::default();
    carried.read(&headers);
    let contexts = carried.contexts();
    check(&contexts);
    let formats: Vec<_> = contexts.iter().map(|context| context.format).collect();
    format!("{formats:?} {:?}", contexts.sampled())
}

fn check(contexts: &Contexts<'_>) {
    for context in contexts.iter() {
        if context.format == Format::Sw8 {
            assert!(!context.trace_id.is_empty() && !context.segment_id.is_empty(), "an empty id");
            assert!(context.span_id.parse::<i32>().is_ok_and(|index| index >= 0), "no index of a span");
        } else {
            assert!(context.trace_id_bytes().is_some_and(|id| id != [0; 16]), "no trace id");
            assert!(context.span_id_bytes().is_some_and(|id| id != [0; 8]), "no span id");
        }
    }
}

/// Looks at everything, and writes down what kinds of things there were.
#[derive(Default)]
struct Judge {
    requests: usize,
    settled: usize,
    outcome: String,
}

impl Judge {
    fn note(&mut self, what: &str) {
        if !self.outcome.contains(what) {
            self.outcome += what;
        }
    }
}

impl Observer for Judge {
    fn request(&mut self, request: &Request<'_>) -> Wants {
        self.requests += 1;
        check(request.contexts);
        assert!(!request.target.is_empty() && !request.method.is_empty(), "an empty request line");
        Wants { request_body: 1 << 20, response_body: 1 << 20, calls: true }
    }

    fn exchange(&mut self, exchange: &Exchange<'_>) {
        self.settled += 1;
        assert!(self.settled <= self.requests, "more exchanges than requests");
        assert!(exchange.calls.len() <= MAX_CALLS, "too many calls");
        assert!(exchange.calls.is_sorted_by_key(|call| call.start), "calls out of order");
        let sound = |message: &Message<'_>| {
            assert!(message.head.len() <= MAX_HEAD && message.head.ends_with(b"\n"), "no whole head");
            assert!(message.body.len() as u64 <= message.body_size, "more of a body than there was");
            assert!(message.head_size + message.body_size <= message.wire_size, "more content than bytes");
            assert!(message.start <= message.end, "an end before the start");
        };
        sound(&exchange.request.message);
        match &exchange.response {
            Some(response) => {
                sound(&response.message);
                assert!((101..=999).contains(&response.status), "no final status");
            }
            None => assert_eq!(exchange.ending, Ending::ConnectionClosed, "no response, and yet an end"),
        }
        self.note(&format!("{:?} {} ", exchange.ending, exchange.truncated));
    }

    fn lost(&mut self, loss: Loss) {
        self.note(loss.reason());
    }
}
