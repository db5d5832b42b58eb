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

proptest! {
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
