//! Under loss there are fewer exchanges, never wrong ones.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::dialogue::{Dialogue, assert_true, dialogue, steps};
use super::*;
use Ending::{Complete, ConnectionClosed, Lost};

/// What happens to a system call's event.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Seen,
    Lost,
    Cut(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Seen), 2 => Just(Fate::Lost), 1 => (0usize..200).prop_map(Fate::Cut)]
}

fn damaged(mut seen: Fixture, dialogue: &Dialogue, cuts: &[Index], fates: &[Fate], skip: usize) -> Fixture {
    for (step, fate) in steps(dialogue, cuts).iter().zip(fates.iter().cycle()).skip(skip) {
        let (direction, length) = (step.direction, step.bytes.len());
        match fate {
            Fate::Seen => seen.call(direction, &step.bytes, length),
            Fate::Lost => seen.lose(direction, length),
            Fate::Cut(kept) => seen.call(direction, &step.bytes[..length.min(*kept)], length),
        };
    }
    seen.close_at_extent();
    seen
}

fn assert_all_true(dialogue: &Dialogue, seen: &Fixture) {
    seen.record.exchanges.iter().for_each(|seen| assert_true(dialogue, seen));
    let numbers: Vec<_> =
        seen.record.exchanges.iter().map(|seen| seen.request.rsplit_once('/').unwrap().1).collect();
    let distinct: std::collections::HashSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "an exchange twice");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn one_at_a_time_is_never_paired_wrongly(
        dialogue in dialogue(1..2),
        cuts in vec(any::<Index>(), 20),
        fates in vec(fate(), 37),
    ) {
        assert_all_true(&dialogue, &damaged(Fixture::new(), &dialogue, &cuts, &fates, 0));
    }

    #[test]
    fn bursts_are_never_paired_wrongly(
        dialogue in dialogue(2..5),
        cuts in vec(any::<Index>(), 40),
        fates in vec(fate(), 37),
    ) {
        assert_all_true(&dialogue, &damaged(Fixture::new(), &dialogue, &cuts, &fates, 0));
    }

    #[test]
    fn a_mixture_is_never_paired_wrongly(
        dialogue in dialogue(1..4),
        cuts in vec(any::<Index>(), 40),
        fates in vec(fate(), 37),
    ) {
        assert_all_true(&dialogue, &damaged(Fixture::new(), &dialogue, &cuts, &fates, 0));
    }

    #[test]
    fn a_connection_seen_from_its_middle_is_never_paired_wrongly(
        dialogue in dialogue(1..4),
        cuts in vec(any::<Index>(), 40),
        skip in 0usize..20,
        damage in any::<bool>(),
        fates in vec(fate(), 37),
    ) {
        let fates = if damage { fates } else { vec![Fate::Seen] };
        assert_all_true(&dialogue, &damaged(Fixture::midway(), &dialogue, &cuts, &fates, skip));
    }
}

#[test]
fn one_lost_request_costs_one_exchange() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).response(ok("1")).lose(Direction::Inbound, 100).response(ok("2"));
    for target in ["/3", "/4", "/5"] {
        seen.request(get(target)).response(ok("x"));
    }
    let answered = |target| (target, Some(200), Complete);
    assert_eq!(seen.endings(), ["GET /1", "GET /3", "GET /4", "GET /5"].map(answered));
    assert_eq!(seen.record.losses, [Loss::Gap, Loss::ResponseWithoutRequest]);
    seen.request(get("/6") + &get("/7")).response(ok("6") + &ok("7"));
    assert_eq!(seen.record.exchanges.len(), 6, "certain again, even for requests in a row");
}

#[test]
fn one_lost_response_costs_two_exchanges() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).response(ok("1")).request(get("/2")).lose(Direction::Outbound, 100);
    for target in ["/3", "/4", "/5", "/6"] {
        seen.request(get(target)).response(ok("x"));
    }
    let answered = |target| (target, Some(200), Complete);
    assert_eq!(seen.endings(), ["GET /1", "GET /4", "GET /5", "GET /6"].map(answered));
}

#[test]
fn a_sliding_window_is_not_paired_after_a_loss() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).request(get("/2"));
    for number in 3..6 {
        seen.response(ok(&(number - 2).to_string())).request(get(&format!("/{number}")));
    }
    seen.response(ok("4")).lose(Direction::Inbound, 100);
    for number in 7..20 {
        seen.response(ok(&(number - 2).to_string())).request(get(&format!("/{number}")));
    }
    seen.close_at_extent();
    assert!(seen.record.exchanges.len() >= 4, "{:?}", seen.endings());
    for exchange in &seen.record.exchanges {
        assert_eq!(exchange.request.as_bytes()[5..], exchange.response_body, "{exchange:?}");
    }
    assert!(seen.record.losses.contains(&Loss::Pipelined));
}

#[test]
fn a_gap_inside_a_body_of_known_length_loses_nothing_but_content() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).response(&ok(&"x".repeat(1000))[..500]);
    seen.lose(Direction::Outbound, 400).response(&ok(&"x".repeat(1000))[900..]);
    seen.request(get("/2")).response(ok("2"));
    assert_eq!(seen.endings(), [("GET /1", Some(200), Complete), ("GET /2", Some(200), Complete)]);
    let first = &seen.record.exchanges[0];
    assert_eq!((first.response_sizes[1], first.truncated), (1000, true));
    assert_eq!(seen.record.losses, []);
}

#[test]
fn chunks_behind_a_cut_capture() {
    let mut seen = Fixture::new();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    seen.request(get("/1")).response(head);
    for _ in 0..3 {
        let chunk = format!("3E8\r\n{}\r\n", "x".repeat(1000));
        seen.call(Direction::Outbound, &chunk.as_bytes()[..64], chunk.len());
    }
    seen.response("0\r\n\r\n").request(get("/2")).response(ok("2"));
    assert_eq!(seen.record.exchanges[0].response_sizes[1], 3000);
    assert_eq!((seen.record.exchanges.len(), &seen.record.losses[..]), (2, &[][..]));
}

#[test]
fn a_response_whose_end_was_lost() {
    let mut seen = Fixture::new();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    seen.request(get("/1")).response(head).lose(Direction::Outbound, 100).response("what comes after");
    assert_eq!(seen.record.exchanges, []);
    seen.request(get("/2")).response(ok("2")).close_at_extent();
    assert_eq!(seen.endings(), [("GET /1", Some(200), Lost), ("GET /2", Some(200), Complete)]);
    let first = &seen.record.exchanges[0];
    assert!(first.truncated);
    assert_eq!(first.response_sizes[2], (head.len() + 16) as u64);
}

#[test]
fn a_lost_end_is_not_reported_as_a_closed_connection() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).lose(Direction::Outbound, 100).close_at_extent();
    assert_eq!(seen.endings(), []);
    seen = Fixture::new();
    seen.request(get("/1")).close_at_extent();
    assert_eq!(seen.endings(), [("GET /1", None, ConnectionClosed)]);
}

#[test]
fn a_server_that_sends_more_than_it_declared() {
    let mut seen = Fixture::new();
    seen.request(get("/1")).response(ok("1") + "more");
    seen.request(get("/2")).response(ok("2")).request(get("/3")).response(ok("3"));
    seen.request(get("/4")).response(ok("4"));
    for exchange in &seen.record.exchanges {
        assert_eq!(exchange.request.as_bytes()[5..], exchange.response_body, "{exchange:?}");
    }
    assert!(seen.record.exchanges.len() >= 2, "{:?}", seen.endings());
    assert!(!seen.record.losses.is_empty());
}

#[test]
fn a_start_in_the_middle_waits_for_a_message() {
    let mut seen = Fixture::midway();
    seen.request("rest of a body").response("rest of another").response(ok("0"));
    seen.request(get("/1")).response(ok("1"));
    assert_eq!(seen.record.exchanges, []);
    seen.connection.idle(&mut seen.record);
    assert_eq!(seen.endings(), [("GET /1", Some(200), Complete)], "nothing else came");
    seen.request(get("/2")).response(ok("2")).close();
    assert_eq!(seen.record.exchanges.len(), 2);
}
