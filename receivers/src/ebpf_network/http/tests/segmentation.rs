//! However a dialogue is cut into system calls, the exchanges are the same.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::dialogue::{Dialogue, Step, assert_true, dialogue, steps};
use super::*;

fn run(steps: &[Step]) -> Fixture {
    let mut seen = Fixture::new();
    for step in steps {
        seen.call(step.direction, &step.bytes, step.bytes.len());
    }
    seen.close_at_extent();
    seen
}

fn without_calls(seen: &Fixture) -> Vec<Seen> {
    seen.record.exchanges.iter().map(|seen| Seen { calls: Vec::new(), ..seen.clone() }).collect()
}

fn byte_by_byte(dialogue: &Dialogue) -> Vec<Step> {
    let single = |step: &Step| -> Vec<Step> {
        step.bytes.iter().map(|byte| Step { direction: step.direction, bytes: vec![*byte] }).collect()
    };
    steps(dialogue, &[]).iter().flat_map(single).collect()
}

/// An observer that wants no more than metrics need.
#[derive(Default)]
struct Plain {
    exchanges: Vec<Measured>,
}

/// Request, status, sizes of both messages, ending.
type Measured = (String, Option<u16>, [u64; 3], [u64; 3], Ending);

impl Observer for Plain {
    fn wants_details(&self) -> bool {
        false
    }

    fn request(&mut self, _request: &Request<'_>) -> Wants {
        panic!("no details are wanted")
    }

    fn exchange(&mut self, exchange: &Exchange<'_>) {
        let sizes = |message: &crate::ebpf_network::exchange::Message<'_>| {
            assert!(message.head.is_empty() && message.body.is_empty());
            [message.head_size, message.body_size, message.wire_size]
        };
        let (request, response) = (&exchange.request, &exchange.response);
        assert!(request.host.is_empty() && request.contexts.first().is_none() && exchange.calls.is_empty());
        self.exchanges.push((
            format!("{} {}", request.method, request.target),
            response.map(|response| response.status),
            sizes(&request.message),
            response.map(|response| sizes(&response.message)).unwrap_or_default(),
            exchange.ending,
        ));
    }

    fn lost(&mut self, loss: Loss) {
        panic!("{loss:?}")
    }
}

fn measured(steps: &[Step]) -> Vec<Measured> {
    let (mut connection, mut plain) = (Connection::new(Role::Server), Plain::default());
    let mut offsets = [0; 2];
    for step in steps {
        let offset = &mut offsets[usize::from(step.direction == Direction::Outbound)];
        let segment = Segment {
            direction: step.direction,
            operation: Operation::Read,
            offset: *offset,
            length: u32::try_from(step.bytes.len()).unwrap(),
            bytes: &step.bytes,
            start: 0,
            end: 1,
            round_trip: 0,
            retransmits: 0,
        };
        *offset += step.bytes.len() as u64;
        connection.segment(&segment, &mut plain);
    }
    connection.extent(Direction::Inbound, offsets[0], &mut plain);
    connection.extent(Direction::Outbound, offsets[1], &mut plain);
    connection.close(&mut plain);
    plain.exchanges
}

proptest! {
    #[test]
    fn metrics_see_the_same_without_details(dialogue in dialogue(1..5), cuts in vec(any::<Index>(), 40)) {
        let steps = steps(&dialogue, &cuts);
        let detailed = run(&steps).record.exchanges.into_iter().map(|seen| {
            (seen.request, seen.status, seen.request_sizes, seen.response_sizes, seen.ending)
        });
        prop_assert_eq!(measured(&steps), detailed.collect::<Vec<_>>());
    }

    #[test]
    fn exchanges_do_not_depend_on_segmentation(
        dialogue in dialogue(1..5),
        cuts in vec(any::<Index>(), 40),
    ) {
        let whole = run(&steps(&dialogue, &[]));
        prop_assert_eq!(whole.record.exchanges.len(), dialogue.turns.len());
        prop_assert_eq!(&whole.record.losses, &[]);
        whole.record.exchanges.iter().for_each(|seen| {
            assert!(!seen.truncated);
            assert_true(&dialogue, seen);
        });
        for other in [steps(&dialogue, &cuts), byte_by_byte(&dialogue)] {
            let other = run(&other);
            prop_assert_eq!(without_calls(&other), without_calls(&whole));
            prop_assert_eq!(&other.record.losses, &[]);
        }
    }

    #[test]
    fn duplicates_and_overlaps_change_nothing(
        dialogue in dialogue(1..3),
        cuts in vec(any::<Index>(), 20),
        back in vec(0usize..200, 60),
    ) {
        let steps = steps(&dialogue, &cuts);
        let whole = run(&steps);
        let mut seen = Fixture::new();
        let mut streams = [Vec::new(), Vec::new()];
        for (step, back) in steps.iter().zip(back.iter().cycle()) {
            let stream: &mut Vec<u8> = &mut streams[usize::from(step.direction == Direction::Outbound)];
            let begin = stream.len().saturating_sub(*back);
            stream.extend_from_slice(&step.bytes);
            seen.segment(step.direction, begin as u64, &stream[begin..], stream.len() - begin);
        }
        prop_assert_eq!(
            seen.record.exchanges.iter().map(|seen| &seen.request).collect::<Vec<_>>(),
            whole.record.exchanges.iter().map(|seen| &seen.request).collect::<Vec<_>>()
        );
        seen.record.exchanges.iter().for_each(|seen| assert_true(&dialogue, seen));
        prop_assert_eq!(&seen.record.losses, &[]);
    }

    #[test]
    fn bodies_that_were_not_captured_are_counted(dialogue in dialogue(1..3)) {
        // As `sendfile` does it: the head in a call of its own, and the body's bytes out of reach.
        let mut seen = Fixture::new();
        for turn in &dialogue.turns {
            for (direction, message) in [(Direction::Inbound, &turn.request), (Direction::Outbound, &turn.response)] {
                let chunked = String::from_utf8_lossy(message).contains("chunked");
                let body = turn.bodies[usize::from(direction == Direction::Outbound)].len();
                let (head, rest) = message.split_at(message.len() - if chunked { 0 } else { body });
                seen.call(direction, head, head.len()).call(direction, &[], rest.len());
            }
        }
        prop_assert_eq!(seen.record.exchanges.len(), dialogue.turns.len());
        for (seen, turn) in seen.record.exchanges.iter().zip(&dialogue.turns) {
            let sizes = turn.bodies.each_ref().map(|body| body.len() as u64);
            prop_assert_eq!([seen.request_sizes[1], seen.response_sizes[1]], sizes);
        }
    }
}
