//! Exchanges that the kernel side does not tell, by a model of `ebpf/bpf/unremarkable.h`: the others are as they were.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::dialogue::{Dialogue, Step, assert_true, dialogue, steps};
use super::*;

/// What is held back.
#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Request(Told),
    Exchange(Told, Told),
}

/// A call on its way to the parser.
struct Told {
    direction: Direction,
    offset: u64,
    bytes: Vec<u8>,
    /// Where the streams were before it.
    begin: [u64; 2],
}

/// The kernel side of one connection. Of what it tells, some is lost.
struct Kernel<'f> {
    seen: Fixture,
    held: Held,
    open: i32,
    is_torn: bool,
    /// Those before the first that was seen may be older.
    has_requests: bool,
    passed: u32,
    untold: usize,
    losses: Box<dyn Iterator<Item = bool> + 'f>,
}

impl<'f> Kernel<'f> {
    fn new(seen: Fixture, losses: &'f [bool]) -> Self {
        let losses = Box::new(losses.iter().copied().cycle());
        let has_requests = seen.offsets == [0, 0];
        Self {
            seen,
            held: Held::Nothing,
            open: 0,
            is_torn: false,
            has_requests,
            passed: 0,
            untold: 0,
            losses,
        }
    }

    fn call(&mut self, step: &Step) {
        let begin = self.seen.offsets;
        let outbound = usize::from(step.direction == Direction::Outbound);
        let call =
            Told { direction: step.direction, offset: begin[outbound], bytes: step.bytes.clone(), begin };
        self.seen.lose(step.direction, step.bytes.len());
        let is_request = step.direction == Direction::Inbound;
        let bytes = step.bytes.as_slice();
        self.has_requests |= is_request;
        self.held = match std::mem::take(&mut self.held) {
            Held::Nothing if is_request && self.may_hold(bytes) => Held::Request(call),
            Held::Exchange(..) if is_request && self.may_hold(bytes) => {
                self.let_go();
                Held::Request(call)
            }
            Held::Request(request) if !is_request && is_success(bytes) => Held::Exchange(request, call),
            held => {
                if let Held::Exchange(..) = held
                    && is_request
                    && begins_request(bytes)
                {
                    self.let_go();
                    self.settle(call.begin);
                } else {
                    self.release(held);
                }
                if is_request {
                    self.open += i32::from(begins_request(bytes));
                    self.is_torn = false;
                } else if bytes.starts_with(b"HTTP/1.")
                    && bytes.get(9) != Some(&b'1')
                    && (self.open > 0 || self.has_requests)
                {
                    self.open -= 1;
                }
                self.tell(&call);
                Held::Nothing
            }
        };
    }

    fn may_hold(&self, bytes: &[u8]) -> bool {
        self.open == 0 && !self.is_torn && is_one_head(bytes)
    }

    fn let_go(&mut self) {
        self.passed += 1;
        self.untold += 1;
    }

    fn settle(&mut self, [inbound, outbound]: [u64; 2]) {
        if std::mem::take(&mut self.passed) > 0 && !self.losses.next().unwrap() {
            self.seen.connection.settled(inbound, outbound, &mut self.seen.record);
        }
    }

    fn release(&mut self, held: Held) {
        match held {
            Held::Nothing => {}
            Held::Request(request) => {
                self.settle(request.begin);
                self.tell(&request);
                self.open = 1;
            }
            Held::Exchange(request, response) => {
                self.settle(request.begin);
                self.tell(&request);
                self.tell(&response);
            }
        }
    }

    fn tell(&mut self, call: &Told) {
        if self.losses.next().unwrap() {
            self.is_torn = true;
        } else {
            self.seen.segment(call.direction, call.offset, &call.bytes, call.bytes.len());
        }
    }

    fn close(mut self) -> (Fixture, usize) {
        let held = std::mem::take(&mut self.held);
        if let Held::Exchange(..) = held {
            self.let_go();
            self.settle(self.seen.offsets);
        } else {
            self.release(held);
        }
        self.seen.close_at_extent();
        (self.seen, self.untold)
    }
}

fn begins_request(bytes: &[u8]) -> bool {
    [b"GET ", b"HEAD", b"POST"].iter().any(|method| bytes.starts_with(*method))
}

fn is_one_head(bytes: &[u8]) -> bool {
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
    end.is_some_and(|end| end + 4 == bytes.len()) && begins_request(bytes) && !bytes.starts_with(b"POST")
}

fn is_success(bytes: &[u8]) -> bool {
    bytes.len() >= 13 && bytes.starts_with(b"HTTP/1.1 ") && matches!(bytes[9], b'2' | b'3')
}

fn run(seen: Fixture, dialogue: &Dialogue, cuts: &[Index], losses: &[bool], skip: usize) -> (Fixture, usize) {
    let mut kernel = Kernel::new(seen, losses);
    steps(dialogue, cuts).iter().skip(skip).for_each(|step| kernel.call(step));
    kernel.close()
}

fn failures(dialogue: &Dialogue) -> Vec<String> {
    let is_failure = |response: &[u8]| {
        String::from_utf8_lossy(response).split("\r\n").any(|line| line == "HTTP/1.1 503 X")
    };
    let turns = dialogue.turns.iter().enumerate();
    turns.filter(|(_, turn)| is_failure(&turn.response)).map(|(number, _)| format!("/{number}")).collect()
}

fn told(seen: &Fixture) -> Vec<&str> {
    seen.record
        .exchanges
        .iter()
        .filter_map(|seen| seen.request.split_once(' '))
        .map(|(_, path)| path)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn one_at_a_time_all_that_failed_is_told_and_the_rest_is_counted(
        dialogue in dialogue(1..2),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let (seen, untold) = run(Fixture::new(), &dialogue, &cuts, &[false], 0);
        seen.record.exchanges.iter().for_each(|seen| assert_true(&dialogue, seen));
        prop_assert_eq!(&seen.record.losses, &[]);
        prop_assert_eq!(seen.record.exchanges.len() + untold, dialogue.turns.len());
        let told = told(&seen);
        prop_assert!(failures(&dialogue).iter().all(|path| told.contains(&path.as_str())), "{:?}", told);
    }

    #[test]
    fn nothing_is_paired_wrongly_by_losses_and_bursts(
        dialogue in prop_oneof![dialogue(1..2), dialogue(1..4), dialogue(2..5)],
        cuts in vec(any::<Index>(), 0..40),
        losses in prop_oneof![Just(vec![false]), vec(prop::bool::weighted(0.2), 37)],
        skip in prop_oneof![2 => Just(0usize), 1 => 0usize..20],
    ) {
        let seen = if skip > 0 { Fixture::midway() } else { Fixture::new() };
        let (seen, _) = run(seen, &dialogue, &cuts, &losses, skip);
        seen.record.exchanges.iter().for_each(|seen| assert_true(&dialogue, seen));
        let told = told(&seen);
        let distinct: std::collections::HashSet<_> = told.iter().collect();
        prop_assert_eq!(distinct.len(), told.len(), "an exchange twice");
    }
}

const BROKEN: &str = "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";

fn step(direction: Direction, bytes: impl AsRef<[u8]>) -> Step {
    Step { direction, bytes: bytes.as_ref().to_vec() }
}

#[test]
fn a_failure_between_many_that_succeed() {
    let mut kernel = Kernel::new(Fixture::new(), &[false]);
    for number in 0..1000 {
        kernel.call(&step(Direction::Inbound, get(&format!("/{number}"))));
        kernel.call(&step(Direction::Outbound, if number == 700 { BROKEN.to_owned() } else { ok("x") }));
    }
    let (seen, untold) = kernel.close();
    assert_eq!(seen.endings(), [("GET /700", Some(503), Ending::Complete)]);
    assert_eq!((untold, &seen.record.losses[..]), (999, &[][..]));
    assert_eq!(seen.record.requests, ["GET /700"], "nothing else was read");
}

#[test]
fn a_response_that_goes_on_is_told_from_its_begin() {
    let mut kernel = Kernel::new(Fixture::new(), &[false]);
    let whole = ok(&"x".repeat(100));
    for number in 0..3 {
        kernel.call(&step(Direction::Inbound, get(&format!("/{number}"))));
        kernel.call(&step(Direction::Outbound, &whole[..60]));
        kernel.call(&step(Direction::Outbound, &whole[60..]));
    }
    let (seen, untold) = kernel.close();
    assert_eq!((seen.record.exchanges.len(), untold), (3, 0));
    assert!(seen.record.exchanges.iter().all(|seen| seen.response_body.len() == 100));
}

#[test]
fn a_connection_seen_from_its_middle_is_certain_after_an_exchange_that_was_not_told() {
    let mut kernel = Kernel::new(Fixture::midway(), &[false]);
    for response in [ok("1"), BROKEN.to_owned()] {
        kernel.call(&step(Direction::Inbound, get("/")));
        kernel.call(&step(Direction::Outbound, response));
    }
    assert_eq!(kernel.seen.endings(), [("GET /", Some(503), Ending::Complete)]);
}

#[test]
fn a_sliding_window_that_began_in_one_call_is_not_paired_wrongly() {
    let failed = |number: usize| format!("HTTP/1.1 503 X\r\nContent-Length: 3\r\n\r\n{number:03}");
    let mut kernel = Kernel::new(Fixture::new(), &[false]);
    kernel.call(&step(Direction::Inbound, get("/000") + &get("/001")));
    for number in 0..300 {
        let response = if number % 40 == 39 { failed(number) } else { ok(&format!("{number:03}")) };
        kernel.call(&step(Direction::Outbound, response));
        kernel.call(&step(Direction::Inbound, get(&format!("/{:03}", number + 2))));
    }
    let (seen, _) = kernel.close();
    for exchange in seen.record.exchanges.iter().filter(|seen| seen.status.is_some()) {
        assert_eq!(exchange.request.as_bytes()[5..], exchange.response_body, "{exchange:?}");
    }
    assert!(seen.record.losses.contains(&Loss::Pipelined), "what is not told is counted");
}

#[test]
fn after_a_loss_what_fails_is_told_again() {
    for (lost, other) in (0..8).flat_map(|lost| [(lost, lost), (lost, lost + 1)]) {
        let losses: Vec<_> = (0..1000).map(|event| event == lost || event == other).collect();
        let mut kernel = Kernel::new(Fixture::new(), &losses);
        for number in 0..100 {
            kernel.call(&step(Direction::Inbound, get(&format!("/{number}"))));
            kernel
                .call(&step(Direction::Outbound, if number % 10 == 5 { BROKEN.to_owned() } else { ok("x") }));
        }
        let (seen, _) = kernel.close();
        let told: Vec<_> = seen.endings().iter().map(|(request, ..)| request.to_string()).collect();
        for number in [55, 65, 75, 85, 95] {
            assert!(told.contains(&format!("GET /{number}")), "{lost} and {other} were lost: {told:?}");
        }
    }
}

#[test]
fn a_response_that_is_seen_before_its_request_is_told_at_once() {
    let mut kernel = Kernel::new(Fixture::new(), &[false]);
    for number in 0..30 {
        let calls = [
            step(Direction::Inbound, get(&format!("/{number}"))),
            step(Direction::Outbound, if number == 15 { BROKEN.to_owned() } else { ok("x") }),
        ];
        if number == 15 {
            calls.iter().rev().for_each(|call| kernel.call(call))
        } else {
            calls.iter().for_each(|call| kernel.call(call))
        }
        if number == 15 {
            // The one before is told, too: it might have been its response that went on.
            let expected =
                [("GET /14", Some(200), Ending::Complete), ("GET /15", Some(503), Ending::Complete)];
            assert_eq!(kernel.seen.endings(), expected);
        }
    }
    let (seen, untold) = kernel.close();
    assert_eq!((seen.record.exchanges.len(), untold), (2, 28));
}
