use std::{num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::{
    batch::{Batch, Chunk, Context},
    export::Sizer,
    reply::{Code, Failure, Reply},
    signal::Signal,
};

fn batch(items: usize) -> Batch {
    Batch::new(Signal::Traces, Chunk::new(Bytes::from_static(b"x"), items), Context::default())
}

fn rules(min_size: usize, max_size: usize) -> Rules {
    Rules {
        sizer: Sizer::Items,
        min_size,
        max_size: NonZeroUsize::new(max_size),
        timeout: Duration::from_millis(200),
        join: true,
        ..Rules::none()
    }
}

fn push(
    batcher: &mut Batcher,
    items: usize,
    now: Instant,
    deadline: Option<Instant>,
) -> oneshot::Receiver<Reply> {
    let (ticket, answered) = Ticket::new(deadline, ());
    batcher.push(batch(items), ticket, now, send_by(now, deadline)).unwrap();
    answered
}

proptest! {
    #[test]
    fn everything_leaves_once_within_the_limit_and_is_answered(
        sizes in proptest::collection::vec(1..=10_usize, 1..40),
        min_size in 0..=10_usize,
    ) {
        let now = Instant::now();
        let mut batcher = Batcher::new(rules(min_size, 10));
        let mut left = 0;
        let mut answers = Vec::new();
        for (index, items) in sizes.iter().enumerate() {
            answers.push(push(&mut batcher, *items, now, None));
            let eager = index % 7 == 6;
            while let Next::Ready(merged) = batcher.next(now, eager) {
                prop_assert!(merged.batch.items() <= 10);
                left += merged.batch.items();
                merged.answer(&Reply::Delivered);
            }
        }
        while let Next::Ready(merged) = batcher.next(now, true) {
            left += merged.batch.items();
            merged.answer(&Reply::Delivered);
        }
        prop_assert_eq!(left, sizes.iter().sum::<usize>());
        prop_assert!(batcher.is_empty() && batcher.size() == 0);
        for mut answered in answers {
            prop_assert_eq!(answered.try_recv().unwrap(), Reply::Delivered);
        }
    }
}

#[test]
fn a_batch_leaves_by_size_by_time_or_because_nothing_is_gained_by_waiting() {
    let now = Instant::now();
    let mut batcher = Batcher::new(rules(10, 0));
    let mut trigger = |items, later: u64, eager| {
        push(&mut batcher, items, now, None);
        match batcher.next(now + Duration::from_millis(later), eager) {
            Next::Ready(merged) => Ok(merged.trigger),
            Next::Wait(until) => Err(until.unwrap() - now),
        }
    };
    assert_eq!(trigger(4, 0, false), Err(Duration::from_millis(200)));
    assert_eq!(trigger(6, 0, false), Ok(Trigger::Size));
    assert_eq!(trigger(1, 200, false), Ok(Trigger::Timeout));
    assert_eq!(trigger(1, 0, true), Ok(Trigger::Idle));
}

#[test]
fn a_deadline_shortens_the_wait_and_its_end_forfeits_the_place() {
    let now = Instant::now();
    let in_milliseconds = |count| now + Duration::from_millis(count);
    let mut batcher = Batcher::new(rules(10, 0));
    push(&mut batcher, 1, now, Some(in_milliseconds(100)));
    let Next::Wait(until) = batcher.next(now, false) else { panic!("it left") };
    assert_eq!(until, Some(in_milliseconds(50)));
    let mut late = push(&mut batcher, 2, now, Some(in_milliseconds(60)));
    let Next::Ready(merged) = batcher.next(in_milliseconds(70), false) else { panic!("it waits") };
    assert_eq!(merged.batch.items(), 1, "nobody waits for the other any more");
    assert_eq!(batcher.take_expired(), 2);
    let told = late.try_recv().unwrap();
    assert!(matches!(told, Reply::Failed(failure) if failure.code == Some(Code::DeadlineExceeded)));
}

#[test]
fn what_is_abandoned_is_counted_and_told() {
    let now = Instant::now();
    let mut batcher = Batcher::new(rules(10, 0));
    let mut answered = push(&mut batcher, 3, now, None);
    let reply = Reply::Failed(Failure::retryable("closing"));
    assert_eq!(batcher.abandon(&reply), 3);
    assert_eq!(answered.try_recv().unwrap(), reply);
    assert!(batcher.is_empty());
}

#[test]
fn a_piece_that_is_lost_on_its_way_is_told_to_its_caller() {
    let now = Instant::now();
    let mut batcher = Batcher::new(rules(0, 0));
    let mut answered = push(&mut batcher, 1, now, None);
    drop(batcher.next(now, false));
    assert!(matches!(answered.try_recv().unwrap(), Reply::Failed(failure) if !failure.is_permanent()));
}
