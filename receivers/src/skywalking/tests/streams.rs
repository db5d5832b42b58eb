//! Streams of messages: what becomes of them while they live and when they end.

use super::*;

#[tokio::test]
async fn a_stream_is_handed_over_while_it_lives_and_answered_at_its_end() {
    let fixture = start().await;
    let (sender, body) = open();
    let call = tokio::spawn(call(fixture.grpc, COLLECT, body));
    sender.send(framed(&segment(2, 0))).await.unwrap();
    fixture.pipeline.holds(2).await;
    let second = framed(&segment(3, 0));
    sender.send(second[..9].to_vec()).await.unwrap();
    sender.send(second[9..].to_vec()).await.unwrap();
    fixture.pipeline.holds(5).await;
    drop(sender);
    assert_eq!(call.await.unwrap(), ok(EMPTY));
    fixture.pipeline.batches.lock().unwrap().clear();
    assert_eq!(fixture.budget.used(), 0, "nothing stays charged");
}

#[tokio::test]
async fn a_busy_pipeline_stops_the_stream_and_loses_nothing() {
    let fixture = start().await;
    fixture.pipeline.busy.store(true, Ordering::Relaxed);
    let (sender, body) = open();
    let call = tokio::spawn(call(fixture.grpc, COLLECT, body));
    let large = framed(&segment(1, 60_000));
    let mut sent = 0;
    // Until flow control lets no more go.
    while tokio::time::timeout(Duration::from_millis(500), sender.send(large.clone())).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "the stream is read on and on");
    }
    fixture.pipeline.refused.notified().await;
    fixture.pipeline.busy.store(false, Ordering::Relaxed);
    fixture.pipeline.holds(sent).await;
    drop(sender);
    assert_eq!(call.await.unwrap().status, "0");
}

/// What has been read of a stream and no pipeline has taken is what a crash loses of it.
#[tokio::test]
async fn a_busy_pipeline_bounds_what_is_read_ahead() {
    const MESSAGE: usize = 16 << 10;
    let fixture = start().await;
    fixture.pipeline.busy.store(true, Ordering::Relaxed);
    let message = Bytes::from(framed(&segment(1, MESSAGE)));
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let frames = stream::repeat_with(move || {
        count.fetch_add(message.len(), Ordering::Relaxed);
        Ok(Frame::data(message.clone()))
    });
    let call = tokio::spawn(call(fixture.grpc, COLLECT, StreamBody::new(frames).boxed_unsync()));
    fixture.pipeline.refused.notified().await;
    // Until nothing more goes.
    let mut before = 0;
    while before != sent.load(Ordering::Relaxed) {
        before = sent.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // What is under way, what is in the window, and what the client has in its own hands.
    let bound = CUT + STREAM_WINDOW as usize + 4 * MESSAGE;
    assert!((STREAM_WINDOW as usize..=bound).contains(&before), "{before} bytes of a stream were read ahead");
    call.abort();
}

#[tokio::test]
async fn a_broken_message_costs_only_itself() {
    let fixture = start_with("max_recv_msg_size_mib: 1", "", &[Signal::Traces]).await;
    let body = [
        framed(&segment(1, 0)),
        framed(&[0x1a, 0x09, 0x01]),
        framed(&segment(1, 2 << 20)),
        framed(&segment(1, 0)),
    ]
    .concat();
    assert_eq!(call(fixture.grpc, COLLECT, whole(body)).await, ok(EMPTY));
    assert_eq!(fixture.pipeline.items(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_what_it_sent() {
    let fixture = start().await;
    let (sender, body) = open();
    let leaving = tokio::spawn(call(fixture.grpc, COLLECT, body));
    sender.send(framed(&segment(2, 0))).await.unwrap();
    fixture.pipeline.holds(2).await;
    sender.send(framed(&segment(2, 0))[..7].to_vec()).await.unwrap();
    leaving.abort();
    assert_eq!(call(fixture.grpc, COLLECT, whole(framed(&segment(1, 0)))).await, ok(EMPTY));
    assert_eq!(fixture.pipeline.items(), 3);
}

#[tokio::test]
async fn streams_end_when_the_receiver_stops() {
    let mut fixture = start().await;
    let (sender, body) = open();
    let call = tokio::spawn(call(fixture.grpc, COLLECT, body));
    sender.send(framed(&segment(1, 0))).await.unwrap();
    fixture.pipeline.holds(1).await;
    let begin = Instant::now();
    fixture.receiver.stop(Instant::now() + Duration::from_secs(20)).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "it does not wait for its clients");
    assert_eq!(call.await.unwrap().status, "14");
}
