//! Random dialogues with their truth: what each request is answered with.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// One request with its response.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) request: Vec<u8>,
    pub(super) response: Vec<u8>,
    pub(super) bodies: [Vec<u8>; 2],
}

/// Turns, and how many of them are asked before the first is answered.
#[derive(Clone, Debug)]
pub(super) struct Dialogue {
    pub(super) turns: Vec<Turn>,
    pub(super) bursts: Vec<usize>,
}

/// A system call.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) direction: Direction,
    pub(super) bytes: Vec<u8>,
}

/// Bodies in which nothing looks like a message.
fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), "[a-z0-9 \r\n]{1,300}".prop_map(String::into_bytes)]
}

/// Chunked with pieces of this size, or by length.
fn framed(body: &[u8], chunk: Option<usize>) -> Vec<u8> {
    let Some(size) = chunk else {
        return [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
    };
    let mut wire = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(size) {
        wire.extend_from_slice(format!("{:X};x=y\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\nTrailer: t\r\n\r\n");
    wire
}

fn turn(number: usize) -> impl Strategy<Value = Turn> {
    let chunk = || prop::option::of(1usize..200);
    let kind = prop_oneof![3 => Just("GET"), 3 => Just("POST"), 1 => Just("HEAD")];
    let status = prop_oneof![4 => Just(200), 1 => Just(204), 1 => Just(304), 1 => Just(503)];
    (kind, status, body(), body(), chunk(), chunk(), 0..3usize).prop_map(
        move |(method, status, asked, answered, asked_chunk, answered_chunk, interim)| {
            let asked = if method == "POST" { asked } else { Vec::new() };
            let mut request = format!("{method} /{number} HTTP/1.1\r\nHost: h\r\n").into_bytes();
            request.extend(if method == "POST" { framed(&asked, asked_chunk) } else { b"\r\n".to_vec() });
            let mut response = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(interim);
            response.extend_from_slice(format!("HTTP/1.1 {status} X\r\nX-Turn: {number}\r\n").as_bytes());
            let none = method == "HEAD" || status == 204 || status == 304;
            let framed = framed(&answered, answered_chunk);
            if none {
                let end = framed.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
                response.extend_from_slice(&framed[..end]);
            } else {
                response.extend_from_slice(&framed);
            }
            Turn { request, response, bodies: [asked, if none { Vec::new() } else { answered }] }
        },
    )
}

/// A dialogue whose client sends this many requests at a time.
pub(super) fn dialogue(burst: std::ops::Range<usize>) -> impl Strategy<Value = Dialogue> {
    vec(burst, 1..6).prop_flat_map(|bursts| {
        let turns: Vec<_> = (0..bursts.iter().sum()).map(turn).collect();
        (turns, Just(bursts)).prop_map(|(turns, bursts)| Dialogue { turns, bursts })
    })
}

/// The system calls of a dialogue if its streams are cut at random, and only there.
pub(super) fn steps(dialogue: &Dialogue, cuts: &[Index]) -> Vec<Step> {
    let mut cuts = cuts.iter();
    let mut steps = Vec::new();
    let mut turns = dialogue.turns.iter();
    for burst in &dialogue.bursts {
        let turns: Vec<_> = turns.by_ref().take(*burst).collect();
        for direction in [Direction::Inbound, Direction::Outbound] {
            let stream: Vec<u8> = turns
                .iter()
                .flat_map(|turn| match direction {
                    Direction::Inbound => turn.request.clone(),
                    Direction::Outbound => turn.response.clone(),
                })
                .collect();
            let mut places: Vec<_> =
                cuts.by_ref().take(1 + turns.len()).map(|cut| cut.index(stream.len())).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            places.dedup();
            steps.extend(
                places.windows(2).map(|ends| Step { direction, bytes: stream[ends[0]..ends[1]].to_vec() }),
            );
        }
    }
    steps
}

/// The exchange is that of its turn, and, unless it says otherwise, all of it.
pub(super) fn assert_true(dialogue: &Dialogue, seen: &Seen) {
    let number: usize = seen.request.rsplit_once('/').unwrap().1.parse().unwrap();
    let turn = &dialogue.turns[number];
    assert!(turn.request.starts_with(seen.request.as_bytes()), "{seen:?}");
    let answers = format!("\r\nX-Turn: {number}\r\n");
    assert!(seen.response_head.contains(&answers), "the response of another request: {seen:?}");
    if !seen.truncated {
        assert_eq!([&seen.request_body, &seen.response_body], [&turn.bodies[0], &turn.bodies[1]]);
        assert_eq!(
            [seen.request_sizes[1], seen.response_sizes[1]],
            turn.bodies.each_ref().map(|body| body.len() as u64)
        );
        assert_eq!(seen.request_sizes[2], turn.request.len() as u64);
        assert_eq!(seen.ending, Ending::Complete);
    }
}
