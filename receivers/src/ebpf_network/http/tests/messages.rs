//! Each rule of HTTP/1.x on a connection without damage.

use super::*;
use Ending::{Complete, ConnectionClosed, UntilClose, Upgraded};

#[test]
fn what_an_exchange_tells() {
    let mut seen = Fixture::new();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let head = format!(
        "POST /a?b HTTP/1.0\r\nhost:  shop \r\nUSER-AGENT: curl\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01\r\n\
         Content-Length: 5\r\n\r\n"
    );
    struct Check(u32);
    impl Observer for Check {
        fn request(&mut self, request: &Request<'_>) -> Wants {
            assert_eq!((request.method, request.target), ("POST", "/a?b"));
            assert_eq!((request.host, request.user_agent, request.minor_version), ("shop", "curl", 0));
            Wants { request_body: 3, response_body: 0, calls: false }
        }
        fn exchange(&mut self, exchange: &Exchange<'_>) {
            self.0 += 1;
            let (request, response) = (exchange.request, exchange.response.unwrap());
            assert_eq!((exchange.role, request.host, response.minor_version), (Role::Server, "shop", 1));
            assert_eq!((request.message.body, response.message.body), (&b"hel"[..], &b""[..]));
            assert_eq!((request.message.start, request.message.end), (105, 205));
            assert_eq!((response.message.start, response.message.end), (400, 505));
            assert!(exchange.calls.is_empty() && !exchange.truncated);
        }
        fn lost(&mut self, loss: Loss) {
            panic!("{loss:?}");
        }
    }
    let mut check = Check(0);
    let mut offsets = [0, 0];
    let response = ok("body");
    let (first, last) = response.split_at(20);
    for (direction, bytes, start) in [
        (Direction::Inbound, head.as_str(), 100),
        (Direction::Inbound, "hello", 200),
        (Direction::Outbound, first, 400),
        (Direction::Outbound, last, 500),
    ] {
        let offset = &mut offsets[usize::from(direction == Direction::Outbound)];
        let segment = Segment {
            direction,
            operation: Operation::Write,
            offset: *offset,
            length: bytes.len() as u32,
            bytes: bytes.as_bytes(),
            start,
            end: start + 5,
            round_trip: 0,
            retransmits: 0,
        };
        *offset += bytes.len() as u64;
        seen.connection.segment(&segment, &mut check);
    }
    assert_eq!(check.0, 1);
    seen = Fixture::new();
    seen.request(&head).request("hello").response(&response);
    let only = seen.only();
    assert_eq!(only.trace_id, trace);
    assert_eq!(only.request_sizes, [head.len() as u64, 5, head.len() as u64 + 5]);
    assert_eq!(only.response_sizes, [response.len() as u64 - 4, 4, response.len() as u64]);
    assert_eq!((&only.request_body[..], &only.response_body[..]), (&b"hello"[..], &b"body"[..]));
    assert_eq!(
        only.calls,
        [
            (Direction::Inbound, head.len() as u64, 1),
            (Direction::Inbound, 5, 1),
            (Direction::Outbound, response.len() as u64, 1)
        ]
    );
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let mut seen = Fixture::new();
    seen.request(get("/1") + "\r\n" + &get("/2") + &get("/3")[..9]).request(&get("/3")[9..]);
    seen.response(ok("a") + &ok("b").replace("200", "404")[..30]);
    seen.response(ok("b")[30..].to_owned() + "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        seen.endings(),
        [("GET /1", Some(200), Complete), ("GET /2", Some(404), Complete), ("GET /3", Some(500), Complete)]
    );
    assert_eq!(seen.record.losses, []);
}

#[test]
fn responses_without_a_body() {
    for (request, head) in [
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ("PUT / HTTP/1.1\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let mut seen = Fixture::new();
        seen.request(request).response(head).request(get("/next")).response(ok("next"));
        assert_eq!(seen.record.exchanges.len(), 2, "{head}");
        assert_eq!(seen.record.exchanges[0].response_sizes, [head.len() as u64, 0, head.len() as u64]);
    }
}

#[test]
fn interim_responses_do_not_answer() {
    let mut seen = Fixture::new();
    seen.request("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    seen.response("HTTP/1.1 100 Continue\r\n\r\n").request("data");
    seen.response("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(seen.record.exchanges, []);
    seen.response(ok("done"));
    assert_eq!((seen.only().status, seen.only().calls.len()), (Some(200), 5));
    assert_eq!(seen.only().response_head, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
}

#[test]
fn chunks_of_both_directions() {
    let mut seen = Fixture::new();
    let request =
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n4;x=y\r\ndata\r\n0\r\nTrailer: z\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\nContent-Length: 3\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
    seen.request(request.to_owned() + &get("/next")).response(response.to_owned() + &ok("next"));
    let first = &seen.record.exchanges[0];
    assert_eq!((&first.request_body[..], &first.response_body[..]), (&b"data"[..], &b"abc"[..]));
    assert_eq!(first.request_sizes[1..], [4, request.len() as u64]);
    assert_eq!(first.response_sizes[1..], [3, response.len() as u64]);
    assert_eq!(seen.record.anomalies, [Anomaly::LengthAndChunked]);
    assert_eq!(seen.record.exchanges[1].request, "GET /next");
}

#[test]
fn a_body_until_the_end_of_the_connection() {
    let mut seen = Fixture::new();
    seen.request("GET / HTTP/1.0\r\n\r\n").response("HTTP/1.0 200 OK\r\n\r\nsome ").response("text");
    assert_eq!(seen.record.exchanges, []);
    seen.close();
    assert_eq!((seen.only().ending, &seen.only().response_body[..]), (UntilClose, &b"some text"[..]));
}

#[test]
fn a_connection_that_ends_too_early() {
    let mut seen = Fixture::new();
    seen.request(get("/1") + &get("/2")).response(&ok("incomplete")[..45]).close();
    assert_eq!(seen.endings(), [("GET /1", Some(200), ConnectionClosed), ("GET /2", None, ConnectionClosed)]);
    seen.request(get("/3"));
    assert_eq!(seen.record.exchanges.len(), 2, "nothing comes behind the end");
}

#[test]
fn upgrades_and_tunnels_end_http() {
    for (request, response) in [
        (
            "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02",
        ),
        ("CONNECT a:443 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 Connection established\r\n\r\n"),
    ] {
        let mut seen = Fixture::new();
        seen.request(request).response(response);
        assert_eq!(seen.only().ending, Upgraded);
        assert_eq!(seen.connection.protocol(), Protocol::Opaque);
        seen.request(get("/inside")).response(ok("inside")).close();
        assert_eq!(seen.record.exchanges.len(), 1);
    }
    let mut seen = Fixture::new();
    seen.request("CONNECT a:443 HTTP/1.1\r\n\r\n").response("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno");
    seen.request(get("/next")).response(ok("next"));
    assert_eq!(seen.endings()[1], ("GET /next", Some(200), Complete), "the tunnel was refused");
}

#[test]
fn a_tunnel_that_is_used_before_it_is_granted() {
    let mut seen = Fixture::new();
    seen.request("CONNECT a:443 HTTP/1.1\r\n\r\n").request("\x16\x03\x01\x02\x00\x01");
    seen.response("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(seen.only().ending, Upgraded);
}

#[test]
fn a_response_that_begins_before_its_request_has_ended() {
    let mut seen = Fixture::new();
    seen.request("POST /big HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345").response(ok("no"));
    assert_eq!(seen.record.exchanges, []);
    seen.request("67890").request(get("/next")).response(ok("next"));
    assert_eq!(seen.record.exchanges[0].request_sizes[1], 10);
    assert_eq!(seen.endings()[1], ("GET /next", Some(200), Complete));

    seen = Fixture::new();
    seen.request("POST /big HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345").response(ok("no")).close();
    assert_eq!(
        (seen.only().ending, seen.only().request_sizes[1]),
        (Complete, 5),
        "answered, if not to the end"
    );
}

#[test]
fn a_response_that_is_reported_before_its_request() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).response(ok("1") + &ok("2")[..20]).response(&ok("2")[20..]);
    assert_eq!(seen.record.exchanges.len(), 1);
    seen.request(get("/2"));
    assert_eq!(seen.endings()[1], ("GET /2", Some(200), Complete));
    assert_eq!(seen.record.exchanges[1].response_body, b"2");

    seen = Fixture::new();
    seen.response(ok("1")).request(get("/1"));
    assert_eq!(seen.endings(), [("GET /1", Some(200), Complete)]);
}

#[test]
fn a_response_that_nothing_asked_for() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).response(ok("1"));
    seen.response("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").close();
    assert_eq!(seen.endings(), [("GET /1", Some(200), Complete)]);
    assert_eq!(seen.record.losses, [Loss::ResponseWithoutRequest]);
}

#[test]
fn heads_that_are_malformed() {
    for (head, loss) in [
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\nName : x\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\n: x\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(), Loss::Malformed),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n".to_owned(), Loss::Malformed),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1)), Loss::TooManyHeaders),
        (format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD)), Loss::HeadTooLarge),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_HEAD)), Loss::HeadTooLarge),
    ] {
        for size in [head.len(), 1000] {
            let mut seen = Fixture::new();
            head.as_bytes().chunks(size).for_each(|piece| {
                seen.request(piece);
            });
            assert_eq!(seen.record.losses, [loss], "{head}");
            seen.request(get("/1")).response(ok("1")).request(get("/2")).response(ok("2"));
            assert_eq!(seen.record.exchanges.len(), 2, "taken up again: {head}");
        }
    }
}

#[test]
fn heads_at_their_limits() {
    let head = format!("GET / HTTP/1.1\nA: {}\r\n\n", "x".repeat(MAX_HEAD - 21));
    assert_eq!(head.len(), MAX_HEAD);
    for size in [head.len(), 1000, 1] {
        let mut seen = Fixture::new();
        head.as_bytes().chunks(size).for_each(|piece| {
            seen.request(piece);
        });
        seen.response(ok("1"));
        assert_eq!(seen.only().request_sizes[0], MAX_HEAD as u64, "in pieces of {size}");
    }
    let mut seen = Fixture::new();
    seen.request(format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS))).response(ok("1"));
    assert_eq!(seen.record.exchanges.len(), 1);
}

#[test]
fn text_that_is_not_utf8() {
    let mut seen = Fixture::new();
    seen.request(b"GET /caf\xe9 HTTP/1.1\r\nUser-Agent: \xff\r\n\r\n").response(ok(""));
    assert_eq!(seen.only().request, "GET /caf\u{fffd}");
}

#[test]
fn other_protocols_are_left_alone() {
    for (bytes, protocol) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], Protocol::Tls),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04", Protocol::Http2),
        (b"*1\r\n$4\r\nPING\r\n", Protocol::Other),
        (b"hello world\r\n", Protocol::Unknown),
        (b"GET / HTTP/2.0\r\n\r\n", Protocol::Other),
    ] {
        let mut seen = Fixture::new();
        seen.request(bytes);
        let is = seen.connection.protocol();
        assert!(is == protocol || is == Protocol::Other, "{is:?}");
        seen.response(bytes).close();
        assert_eq!((seen.record.losses.len(), seen.record.exchanges.len()), (0, 0));
        assert_eq!(seen.connection.memory(), size_of::<Connection>());
    }
    let mut seen = Fixture::new();
    for _ in 0..MAX_TRIES {
        seen.request("hello").request(" world\r\n");
    }
    assert_eq!(seen.connection.protocol(), Protocol::Other);
    let mut seen = Fixture::new();
    seen.request("220 smtp.example.com\r\n").request("EHLO a\r\n");
    assert_eq!(seen.connection.protocol(), Protocol::Other);
}

#[test]
fn the_role_is_found_out() {
    for (direction, bytes, role) in [
        (Direction::Inbound, get("/"), Role::Server),
        (Direction::Outbound, get("/"), Role::Client),
        (Direction::Inbound, ok(""), Role::Client),
        (Direction::Outbound, ok(""), Role::Server),
    ] {
        let mut seen = Fixture::of(Connection::new(Role::Unknown), [5, 5]);
        seen.call(direction, b"in the middle of a body", 23);
        assert_eq!((seen.connection.role(), seen.connection.protocol()), (Role::Unknown, Protocol::Unknown));
        seen.call(direction, bytes.as_bytes(), bytes.len());
        assert_eq!(seen.connection.role(), role);
    }
}

#[test]
fn further_calls_are_folded() {
    let mut seen = Fixture::new();
    seen.request("POST / HTTP/1.1\r\nContent-Length: 200\r\n\r\n");
    (0..200).for_each(|_| {
        seen.request("x");
    });
    seen.response(ok("1"));
    let calls = &seen.only().calls;
    assert_eq!(calls.len(), crate::ebpf_network::exchange::MAX_CALLS);
    assert_eq!(calls.iter().map(|(_, _, count)| count).sum::<u32>(), 202);
    assert_eq!(calls.last().unwrap(), &(Direction::Outbound, ok("1").len() as u64, 1));
    assert_eq!(calls[calls.len() - 2], (Direction::Inbound, 139, 139));
}
