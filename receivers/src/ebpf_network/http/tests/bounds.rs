//! Whatever comes, nothing panics, and memory stays bounded.

use proptest::{collection::vec, prelude::*};

use super::*;

/// Pieces that mean something.
const TOKENS: [&[u8]; 14] = [
    b"GET / HTTP/1.1\r\n",
    b"HEAD / HTTP/1.1\r\n\r\n",
    b"CONNECT a HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 \r\n\r\n",
    b"HTTP/1.1 101 \r\n\r\n",
    b"Content-Length: 10\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"\xff\xfe\x00",
    b"Content-Length: 18446744073709551615\r\n",
    b"ffffffffffffffff\r\n",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        9 => prop::sample::select(&TOKENS[..]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..20)
    ];
    vec(token, 0..6).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn anything_may_come(
        role in prop::sample::select(&[Role::Unknown, Role::Client, Role::Server][..]),
        segments in vec((any::<bool>(), prop_oneof![5 => Just(0u64), 1 => 0u64..100, 1 => any::<u64>()], bytes(), 0usize..5), 0..40),
    ) {
        let mut seen = Fixture::of(Connection::new(role), [0, 0]);
        for (inbound, gap, bytes, uncaptured) in segments {
            let direction = if inbound { Direction::Inbound } else { Direction::Outbound };
            let place = &mut seen.offsets[usize::from(!inbound)];
            *place = place.wrapping_add(gap);
            let (offset, length) = (*place, bytes.len() + uncaptured);
            *place = place.wrapping_add(length as u64);
            seen.segment(direction, offset, &bytes, length);
        }
        seen.connection.idle(&mut seen.record);
        seen.close();
        prop_assert_eq!(seen.connection.memory(), size_of::<Connection>());
    }
}

#[test]
fn requests_that_are_never_answered() {
    let mut seen = Fixture::new();
    (0..1000).for_each(|_| {
        seen.request(get("/"));
    });
    assert_eq!(seen.record.losses.iter().filter(|loss| **loss == Loss::QueueFull).count(), 1);
    seen.response(ok("1").repeat(MAX_QUEUE));
    assert_eq!(seen.record.exchanges.len(), MAX_QUEUE, "those before the limit keep their order");
    assert!(seen.record.losses.len() >= 1000 - MAX_QUEUE);
}

#[test]
fn large_heads_and_bodies_are_kept_within_the_bound() {
    let mut seen = Fixture::new();
    let large = format!("POST /{} HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", "x".repeat(15 << 10));
    for _ in 0..100 {
        seen.request(&large);
        (0..100).for_each(|_| {
            seen.request("x".repeat(1000));
        });
    }
    assert!(seen.record.losses.contains(&Loss::QueueFull));
    seen.response(ok(&"x".repeat(1 << 20)));
    assert_eq!((seen.only().request_body.len(), seen.only().request_sizes[1]), (MAX_BODIES / 4, 100_000));
    seen.close();
}

#[test]
fn text_that_grows_when_it_is_repaired() {
    let mut seen = Fixture::new();
    let large = [&b"GET /"[..], &[0xff; 14 << 10], b" HTTP/1.1\r\nHost: \xff\r\n\r\n"].concat();
    (0..100).for_each(|_| {
        seen.request(&large);
    });
    assert!(seen.record.losses.contains(&Loss::QueueFull));
}

#[test]
fn endless_responses_without_a_request() {
    let mut seen = Fixture::new();
    seen.request(get("/")).response(ok("1"));
    (0..1000).for_each(|_| {
        seen.response(ok(&"x".repeat(1000)));
    });
    assert_eq!(seen.record.exchanges.len(), 1);
    assert!(seen.record.losses.contains(&Loss::ResponseWithoutRequest));
}

#[test]
fn buffers_are_used_again_and_given_back() {
    let mut seen = Fixture::new();
    let round = |seen: &mut Fixture| {
        seen.request(get("/")).response(ok("1"));
        seen.connection.memory()
    };
    round(&mut seen);
    let memory = round(&mut seen);
    assert_eq!((0..100).map(|_| round(&mut seen)).max(), Some(memory), "nothing grows");
    seen.response("").request(get(&format!("/{}", "x".repeat(8000)))).response(ok(&"x".repeat(100_000)));
    assert!(seen.connection.memory() < 32 << 10, "large buffers are not kept: {}", seen.connection.memory());
    let idle = |seen: &mut Fixture| {
        seen.connection.idle(&mut seen.record);
        seen.connection.memory()
    };
    assert!(idle(&mut seen) < 1024, "{}", idle(&mut seen));
    assert_eq!(seen.record.exchanges.len(), 103);
}
