//! The memory queue: its bounds, its answers, its consumers and its end.

use super::*;
use crate::{
    consumer::{Demand, FanOut},
    export::Sizer,
};

fn of_size(queue_size: usize) -> QueueConfig {
    QueueConfig { queue_size, ..QueueConfig::default() }
}

/// A queue of one consumer whose callers wait for the destination.
fn waiting() -> QueueConfig {
    QueueConfig { wait_for_result: true, num_consumers: 1, ..QueueConfig::default() }
}

async fn offer_all(exporter: &Arc<dyn Consumer>, batches: Vec<Batch>) -> Vec<Reply> {
    let offers = batches.into_iter().map(|batch| {
        let exporter = Arc::clone(exporter);
        tokio::spawn(async move { offer(&*exporter, batch).await })
    });
    let mut replies = Vec::new();
    for task in offers.collect::<Vec<_>>() {
        replies.push(task.await.unwrap());
    }
    replies
}

#[tokio::test(start_paused = true)]
async fn callers_are_answered_on_admission() {
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let exporter = start(&destination, QueueConfig::default());
    assert_eq!(offer(&*exporter, batch_until(1, 10)).await, Reply::Delivered);
    assert_eq!(now(), destination.started, "no time has passed");
    wait(1_000).await;
    assert_eq!(destination.sizes(), [1], "the caller's deadline ended with its answer");
}

#[tokio::test(start_paused = true)]
async fn callers_wait_for_the_result_if_told_to() {
    let answers = |number, _: &Batch| if number == 1 { bad() } else { Reply::Delivered };
    let destination = Arc::new(Destination { latency: Duration::from_secs(1), ..Destination::new(answers) });
    let exporter = start(&destination, waiting());
    let replies = offer_all(&exporter, vec![batch(1), batch(2)]).await;
    assert_eq!(replies, [bad(), Reply::Delivered]);
    assert_eq!(now() - destination.started, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let exporter = start(&destination, of_size(2));
    let replies = offer_all(&exporter, vec![batch(1), batch(1), batch(7)]).await;
    assert_eq!(replies[..2], [Reply::Delivered, Reply::Delivered]);
    assert!(is_retryable(&replies[2]), "what is on its way takes room too: {:?}", replies[2]);
    assert_eq!(metrics.value("otelcol_exporter_enqueue_failed_spans", "otlp"), 7.0);
    assert_eq!(metrics.value("otelcol_exporter_queue_size", "otlp"), 2.0);
    assert_eq!(metrics.value("otelcol_exporter_queue_capacity", "otlp"), 2.0);
    assert_eq!(metrics.value("sluice_exporter_queue_bytes", "otlp"), 20.0);
    wait(1_500).await;
    assert_eq!(metrics.value("otelcol_exporter_queue_size", "otlp"), 0.0);
    assert_eq!(metrics.value("sluice_exporter_queue_bytes", "otlp"), 0.0);
    assert_eq!(offer(&*exporter, batch(1)).await, Reply::Delivered);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_measured_by_its_sizer() {
    for (sizer, queue_size) in [(Sizer::Items, 5), (Sizer::Bytes, 50)] {
        let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
        let config = QueueConfig { sizer: Some(sizer), ..of_size(queue_size) };
        let exporter = start(&destination, config);
        let replies = offer_all(&exporter, vec![batch(3), batch(3), batch(2)]).await;
        assert_eq!(replies[0], Reply::Delivered);
        assert!(is_retryable(&replies[1]), "3 + 3 exceeds 5");
        assert_eq!(replies[2], Reply::Delivered);
        let never = offer(&*exporter, batch(6)).await;
        assert!(matches!(never, Reply::Failed(failure) if failure.is_permanent()), "6 never fits 5");
    }
}

#[tokio::test(start_paused = true)]
async fn the_byte_budget_overrides_the_queue_size() {
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let exporter = start_in(&destination, of_size(1000), &context_with(Budget::new(1_000)));
    let replies = offer_all(&exporter, vec![batch(40), batch(20)]).await;
    assert_eq!(replies[0], Reply::Delivered);
    assert!(is_retryable(&replies[1]), "600 bytes exceed half of the budget");
    wait(1_500).await;
    assert_eq!(offer(&*exporter, batch(20)).await, Reply::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_can_let_its_callers_wait() {
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let exporter = start(&destination, QueueConfig { block_on_overflow: true, ..of_size(1) });
    assert_eq!(offer(&*exporter, batch(1)).await, Reply::Delivered);
    let refused = offer(&*exporter, batch_until(1, 400)).await;
    assert!(is_retryable(&refused));
    assert_eq!((now() - destination.started).as_millis(), 400, "it waited until its deadline");
    assert_eq!(offer(&*exporter, batch(1)).await, Reply::Delivered);
    assert_eq!((now() - destination.started).as_millis(), 1_000, "room came with the first delivery");
}

#[tokio::test(start_paused = true)]
async fn callers_can_wait_for_bytes_too() {
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let config = QueueConfig { block_on_overflow: true, ..of_size(1000) };
    let exporter = start_in(&destination, config, &context_with(Budget::new(1_000)));
    assert_eq!(offer(&*exporter, batch(50)).await, Reply::Delivered);
    assert!(is_retryable(&offer(&*exporter, batch_until(50, 400)).await));
    assert_eq!(offer(&*exporter, batch(50)).await, Reply::Delivered);
    assert_eq!((now() - destination.started).as_millis(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_there_are_consumers() {
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let exporter = start(&destination, QueueConfig { num_consumers: 3, ..QueueConfig::default() });
    offer_all(&exporter, (0..7).map(|_| batch(1)).collect()).await;
    wait(5_000).await;
    assert_eq!(destination.busiest(), 3);
    assert_eq!(destination.times(), [0, 0, 0, 1_000, 1_000, 1_000, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_past_its_deadline_is_told_and_its_batch_not_sent() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::slow(Duration::from_secs(1)));
    let exporter = start(&destination, waiting());
    let replies = offer_all(&exporter, vec![batch(1), batch_until(5, 500)]).await;
    assert_eq!(replies[0], Reply::Delivered);
    assert!(matches!(&replies[1], Reply::Failed(failure) if failure.code == Some(Code::DeadlineExceeded)));
    wait(2_000).await;
    assert_eq!(destination.sizes(), [1], "the caller sends it again by itself");
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "deadline"), 5.0);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_destination_neither_loses_nor_stops_the_queue() {
    let metrics = Metrics::record();
    let answers = |number, _: &Batch| if number == 1 { panic!("a bug") } else { Reply::Delivered };
    let destination = Arc::new(Destination::new(answers));
    let exporter = start(&destination, waiting());
    let replies = offer_all(&exporter, vec![batch(1), batch(1)]).await;
    assert!(matches!(&replies[0], Reply::Failed(failure) if failure.code == Some(Code::Internal)));
    assert_eq!(replies[1], Reply::Delivered);
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "permanent"), 1.0);
    assert_eq!(metrics.value("otelcol_exporter_queue_size", "otlp"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_refusing_branch_leaves_no_branch_with_data() {
    let metrics = Metrics::record();
    let roomy = Arc::new(Destination::healthy());
    let stuck = Arc::new(Destination::slow(Duration::from_secs(3)));
    let full = start(&stuck, of_size(1));
    let fan_out = FanOut::over(vec![start(&roomy, of_size(1)), Arc::clone(&full)]);
    assert_eq!(offer(&*full, batch(1)).await, Reply::Delivered);
    assert!(is_retryable(&offer(&*fan_out, batch(1)).await));
    wait(1_000).await;
    assert!(roomy.calls().is_empty(), "the roomy branch got nothing");
    wait(5_000).await;
    assert_eq!(offer(&*fan_out, batch(1)).await, Reply::Delivered, "and its room was given back");
    assert_eq!(metrics.value("otelcol_exporter_enqueue_failed_spans", "otlp"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_not_used_gives_its_room_back() {
    let destination = Arc::new(Destination::healthy());
    let exporter = start(&destination, of_size(1));
    let demand = Demand::of(&batch(1));
    let permit = exporter.reserve(&demand).await.unwrap();
    assert!(exporter.reserve(&demand).await.is_err());
    drop(permit);
    assert!(exporter.reserve(&demand).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_batch_is_reported_while_it_waits() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let exporter = start(&destination, QueueConfig::default());
    offer(&*exporter, batch(1)).await;
    wait(21_000).await;
    let age = metrics.value("sluice_exporter_queue_oldest_seconds", "otlp");
    assert!((20.0..=21.0).contains(&age), "{age}");
}

#[tokio::test(start_paused = true)]
async fn draining_sends_what_is_left_once() {
    let metrics = Metrics::record();
    let answers = |number, _: &Batch| if number == 3 { busy() } else { Reply::Delivered };
    let destination = Arc::new(Destination { latency: Duration::from_secs(1), ..Destination::new(answers) });
    let exporter = start(&destination, QueueConfig { num_consumers: 1, ..QueueConfig::default() });
    offer_all(&exporter, (1..=4).map(batch).collect()).await;
    exporter.drain(in_seconds(60)).await;
    assert_eq!(destination.sizes(), [1, 2, 3, 4]);
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "shutdown"), 3.0, "no retries");
    assert_eq!(metrics.value("otelcol_exporter_sent_spans", "otlp"), 7.0);
    assert_eq!(metrics.value("otelcol_exporter_queue_size", "otlp"), 0.0);
    assert!(is_retryable(&offer(&*exporter, batch(1)).await), "a drained queue takes nothing");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_shutdown_deadline_is_counted_as_lost() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::slow(Duration::from_secs(4)));
    let exporter = start(&destination, QueueConfig { num_consumers: 1, ..QueueConfig::default() });
    offer_all(&exporter, (1..=3).map(batch).collect()).await;
    exporter.drain(in_seconds(6)).await;
    assert_eq!((now() - destination.started).as_secs(), 6);
    assert_eq!(metrics.value("otelcol_exporter_sent_spans", "otlp"), 1.0);
    assert_eq!(
        metrics.value("otelcol_exporter_send_failed_spans", "shutdown"),
        5.0,
        "2 on its way, 3 queued"
    );
    assert_eq!(metrics.value("otelcol_exporter_in_flight_requests", "otlp"), 0.0);
}
