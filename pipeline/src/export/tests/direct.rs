//! Time limits, retries and resends, without a queue.

use super::*;

fn direct(destination: &Arc<Destination>) -> Arc<dyn Consumer> {
    start(destination, QueueConfig::disabled())
}

#[tokio::test(start_paused = true)]
async fn passing_failures_are_retried_with_growing_intervals() {
    let metrics = Metrics::record();
    let destination =
        Arc::new(Destination::new(|number, _| if number < 4 { busy() } else { Reply::Delivered }));
    assert_eq!(offer(&*direct(&destination), batch(3)).await, Reply::Delivered);
    assert_eq!(destination.times(), [0, 5_000, 12_500, 23_750]);
    assert_eq!(metrics.value("otelcol_exporter_sent_spans", "otlp"), 3.0);
    assert_eq!(metrics.value("sluice_exporter_retried_requests", "Unavailable"), 3.0);
    assert_eq!(metrics.value("otelcol_exporter_in_flight_requests", "otlp"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_destination_can_ask_for_a_longer_wait() {
    let asks = |number, _: &Batch| match number {
        1 => Failure::retryable("slow down").retry_after(Duration::from_secs(42)).into(),
        2 => Failure::retryable("slow down").retry_after(Duration::from_secs(1)).into(),
        _ => Reply::Delivered,
    };
    let destination = Arc::new(Destination::new(asks));
    offer(&*direct(&destination), batch(1)).await;
    assert_eq!(destination.times(), [0, 42_000, 49_500], "the second wait is the planned 7.5 s");
}

#[tokio::test(start_paused = true)]
async fn retrying_ends_after_the_elapsed_time() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let reply = offer(&*direct(&destination), batch(2)).await;
    assert!(is_retryable(&reply), "the caller may try again: {reply:?}");
    let last = *destination.times().last().unwrap();
    assert!((270_000..=300_000).contains(&last), "the last attempt began at {last} ms");
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "retries_exhausted"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn retrying_ends_when_the_caller_would_not_see_the_answer() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let reply = offer(&*direct(&destination), batch_until(1, 6_000)).await;
    assert!(is_retryable(&reply));
    assert_eq!(destination.times(), [0, 5_000], "the next attempt would begin after 12.5 s");
    assert_eq!(now() - destination.started, Duration::from_secs(5), "the caller is told at once");
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "deadline"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_at_the_timeout_or_the_callers_deadline() {
    let destination = Arc::new(Destination::slow(Duration::from_secs(60)));
    let exporter = direct(&destination);
    let reply = offer(&*exporter, batch_until(1, 7_000)).await;
    assert!(matches!(&reply, Reply::Failed(failure) if failure.code == Some(Code::DeadlineExceeded)));
    assert_eq!(now() - destination.started, Duration::from_secs(5), "timeout is 5 s");
    let before = now();
    offer(&*exporter, batch_until(1, 2_000)).await;
    assert_eq!(now() - before, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_are_not_retried() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::new(|_, _| bad()));
    assert_eq!(offer(&*direct(&destination), batch(4)).await, bad());
    assert_eq!(destination.times(), [0]);
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "permanent"), 4.0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_retried_when_retrying_is_off() {
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let settings = Settings {
        timeout: Duration::ZERO,
        retry: RetryConfig { enabled: false, ..RetryConfig::default() },
        queue: QueueConfig::disabled(),
    };
    let sender: Arc<dyn Sender> = Arc::<Destination>::clone(&destination);
    let exporter = Exporter::start(sender, settings, &context()).unwrap();
    assert_eq!(offer(&*exporter, batch(1)).await, busy());
    assert_eq!(destination.times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_partial_rejection_is_counted_and_returned() {
    let metrics = Metrics::record();
    let rejected = Reply::Rejected { items: 2, message: "too old".to_owned() };
    let answer = rejected.clone();
    let destination = Arc::new(Destination::new(move |_, _| answer.clone()));
    assert_eq!(offer(&*direct(&destination), batch(5)).await, rejected);
    assert_eq!(metrics.value("otelcol_exporter_sent_spans", "otlp"), 5.0, "as in the Collector");
    assert_eq!(metrics.value("sluice_exporter_rejected_items", "otlp"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn one_poison_request_does_not_condemn_its_neighbours() {
    let metrics = Metrics::record();
    let (whole, origins) = joined(4);
    let poison = origins[2];
    let refuses = move |_, batch: &Batch| {
        if batch.origins().contains(&poison) { bad() } else { Reply::Delivered }
    };
    let destination = Arc::new(Destination::new(refuses));
    let reply = offer(&*direct(&destination), whole).await;
    assert_eq!(destination.sizes(), [4, 1, 1, 1, 1], "once together, then once per origin");
    for origin in origins {
        let expected = if origin == poison { bad() } else { Reply::Delivered };
        assert_eq!(reply.for_origin(origin), expected);
    }
    assert_eq!(metrics.value("otelcol_exporter_sent_spans", "otlp"), 3.0);
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "permanent"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_lets_nobody_in_is_not_asked_per_request() {
    for code in [Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented, Code::NotFound] {
        let refuses = move |_, _: &Batch| Failure::permanent("no").with_code(code).into();
        let destination = Arc::new(Destination::new(refuses));
        offer(&*direct(&destination), joined(3).0).await;
        assert_eq!(destination.sizes(), [3], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered() {
    let destination = Arc::new(Destination::new(|_, _| panic!("a bug")));
    let exporter = direct(&destination);
    let reply = offer(&*exporter, batch(1)).await;
    assert!(matches!(reply, Reply::Failed(failure) if failure.code == Some(Code::Internal)));
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_the_last_attempt_and_then_refuses() {
    let metrics = Metrics::record();
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let exporter = direct(&destination);
    let caller = tokio::spawn({
        let exporter = Arc::clone(&exporter);
        async move { offer(&*exporter, batch(1)).await }
    });
    wait(1_000).await;
    exporter.drain(in_seconds(60)).await;
    assert_eq!(destination.times(), [0, 1_000], "who waits to repeat does so once more at once");
    assert!(is_retryable(&caller.await.unwrap()));
    assert!(is_retryable(&offer(&*exporter, batch(1)).await));
    assert_eq!(destination.times().len(), 2, "nothing is taken after draining");
    assert_eq!(metrics.value("otelcol_exporter_send_failed_spans", "shutdown"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_of_the_process_nobody_waits_for_a_retry() {
    let destination = Arc::new(Destination::new(|_, _| busy()));
    let exporter = direct(&destination);
    let mut waiting = Box::pin(offer(&*exporter, batch(1)));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending(), "it waits to try again");
    exporter.hurry();
    assert!(is_retryable(&waiting.await), "the caller may try elsewhere");
    assert_eq!(destination.times(), [0, 0], "tried once more, at once");
}
