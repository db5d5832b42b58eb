use std::{collections::BTreeSet, time::Duration};

use futures_util::FutureExt as _;
use http::header;
use prost::Message;
use sluice_pipeline::{
    Batch, Failure, Reply,
    export::{Delivery, Sender},
    http::text,
    reply::Retry,
};

use super::{fixture::*, messages::*};
use crate::prometheusremotewrite::delivery::RemoteDelivery;

/// Gauges that differ by a label, each a series.
fn rooms(count: usize) -> Batch {
    let points = (0..count).map(|id| point(0, TIME, 1.0, &[("id", &id.to_string())])).collect();
    batch(vec![gauge("rooms", "", points)])
}

fn names(body: &[u8]) -> Vec<String> {
    WriteRequest::decode(body).unwrap().timeseries.iter().map(TimeSeries::name).collect()
}

fn failure(reply: Reply) -> Failure {
    match reply {
        Reply::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_say_what_they_are() {
    let peer = Peer::answering(|_, _| written(1, 0, 0)).await;
    let headers = |config: &mut crate::prometheusremotewrite::RemoteWriteConfig| {
        config.client.headers = [("X-Scope-OrgID", "me")].into_iter().collect();
    };
    assert_eq!(peer.writer(headers).send(&rooms(1), None).await, Reply::Delivered);
    assert_eq!(peer.writer(version2).send(&rooms(1), None).await, Reply::Delivered);
    let requests = peer.requests();
    let [(first, one), (second, two)] = requests.as_slice() else { panic!("two requests") };
    assert_eq!(first[header::CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(second[header::CONTENT_TYPE], "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    assert_eq!(first[header::CONTENT_ENCODING], "snappy");
    assert_eq!(first["x-prometheus-remote-write-version"], "0.1.0");
    assert_eq!(second["x-prometheus-remote-write-version"], "2.0.0");
    assert_eq!(first["x-scope-orgid"], "me");
    assert_eq!(second.get("x-scope-orgid"), None);
    assert!(first[header::USER_AGENT].to_str().unwrap().starts_with("sluice/"));
    assert_eq!(names(one), ["rooms{id=\"0\"}"]);
    assert_eq!(Request2::decode(two.as_slice()).unwrap().timeseries.len(), 1);
}

#[tokio::test]
async fn answers_say_whether_to_try_again() {
    for (code, words, after, expected) in [
        (500, "", None, Retry::Backoff),
        (503, "", Some("7"), Retry::After(Duration::from_secs(7))),
        (429, "too many out of order", Some("3"), Retry::After(Duration::from_secs(3))),
        (408, "", None, Retry::Backoff),
        (500, "too old sample", None, Retry::Permanent),
        (400, "out of order sample", None, Retry::Permanent),
        (401, "", None, Retry::Permanent),
        (404, "", None, Retry::Permanent),
        (413, "", None, Retry::Permanent),
        (415, "", None, Retry::Permanent),
        (302, "", None, Retry::Permanent),
    ] {
        let peer = Peer::answering(move |_, _| {
            let mut response = text(http::StatusCode::from_u16(code).unwrap(), words);
            if let Some(after) = after {
                response.headers_mut().insert(header::RETRY_AFTER, after.parse().unwrap());
            }
            response
        })
        .await;
        let failure = failure(peer.writer(|_| {}).send(&rooms(1), None).await);
        assert_eq!(failure.retry, expected, "{code} {words}");
        assert!(
            failure.message.contains("/api/v1/write answered") && failure.message.contains(words),
            "{failure}"
        );
        assert_eq!(peer.requests().len(), 1, "a single series is not halved");
    }
}

#[tokio::test]
async fn a_server_without_version_2_is_told_of() {
    let peer = Peer::answering(|_, _| status(415)).await;
    let refused = failure(peer.writer(version2).send(&rooms(1), None).await);
    assert!(refused.is_permanent() && refused.message.contains("prometheus.WriteRequest"), "{refused}");
    // Prometheus before 2.54 reads it as version 1.0, finds nothing, and is content.
    let peer = Peer::answering(|_, _| status(204)).await;
    let refused = failure(peer.writer(version2).send(&rooms(1), None).await);
    assert!(
        refused.is_permanent() && refused.message.contains("does not know remote write 2.0"),
        "{refused}"
    );
    assert_eq!(peer.writer(|_| {}).send(&rooms(1), None).await, Reply::Delivered);
}

#[tokio::test]
async fn what_version_2_says_is_not_written_is_rejected() {
    let peer = Peer::answering(|_, _| written(3, 0, 0)).await;
    let Reply::Rejected { items, message } = peer.writer(version2).send(&rooms(5), None).await else {
        panic!("rejected")
    };
    assert!(items == 2 && message.contains("not written 2 samples"), "{items} {message}");
    let peer = Peer::answering(|_, _| written(0, 0, 0)).await;
    assert!(failure(peer.writer(version2).send(&rooms(5), None).await).is_permanent());
}

#[tokio::test]
async fn target_info_that_was_not_written_is_sent_again() {
    for refusal in [503, 400] {
        let peer =
            Peer::answering(move |number, _| if number == 0 { status(refusal) } else { status(204) }).await;
        let writer = peer.writer(|config| config.own.max_batch_size_bytes = 1);
        let resource = [("service.name", "shop"), ("host.name", "box")];
        let batch = batch_of(&resource, vec![gauge("rooms", "", vec![point(0, TIME, 1.0, &[])])]);
        // The one of them that is refused may be that of the target or not.
        let first = writer.send(&batch, None).await;
        assert_ne!(first, Reply::Delivered);
        let sent = |peer: &Peer| {
            let bodies = peer.requests().into_iter().map(|(_, body)| names(&body));
            bodies.filter(|names| names[0].starts_with("target_info")).count()
        };
        let before = sent(&peer);
        let was_refused = names(&peer.requests()[0].1)[0].starts_with("target_info") || before == 0;
        // The sender comes with the same again, and then once more.
        assert_eq!(writer.send(&batch, None).await, Reply::Delivered);
        assert_eq!(sent(&peer), before + usize::from(was_refused), "{refusal}");
        assert_eq!(writer.send(&batch, None).await, Reply::Delivered);
        assert_eq!(sent(&peer), before + usize::from(was_refused), "{refusal}");
    }
}

#[tokio::test]
async fn what_the_server_has_is_not_sent_again() {
    // Refuses the second request of each attempt.
    let peer =
        Peer::answering(|number, _| if number == 1 || number == 3 { status(503) } else { status(204) }).await;
    let writer = peer.writer(|config| {
        config.own.max_batch_size_bytes = 1;
        config.own.max_batch_request_parallelism = Some(1);
    });
    let batch = rooms(4);
    let mut delivery = RemoteDelivery::new(&writer, &batch);
    for _ in 0..2 {
        assert_eq!(failure(delivery.attempt(None).await).retry, Retry::Backoff);
    }
    assert_eq!(delivery.attempt(None).await, Reply::Delivered);
    let requests = peer.requests();
    let told: Vec<String> = requests.iter().flat_map(|(_, body)| names(body)).collect();
    // The first is written, the second refused, which stops the attempt; and so on.
    let expected = [0, 1, 1, 2, 2, 3].map(|id| format!("rooms{{id=\"{id}\"}}"));
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_later_part_waits_for_the_one_before() {
    let peer = Peer::answering(|number, _| if number == 0 { status(503) } else { status(204) }).await;
    let writer = peer.writer(|_| {}).with_segments_of(1);
    let points = (0..3).map(|second| point(0, TIME + second * SECOND, 1.0, &[])).collect();
    let batch = batch(vec![gauge("rooms", "", points)]);
    let mut delivery = RemoteDelivery::new(&writer, &batch);
    assert_eq!(failure(delivery.attempt(None).await).retry, Retry::Backoff);
    assert_eq!(delivery.attempt(None).await, Reply::Delivered);
    let times: Vec<i64> = peer
        .requests()
        .iter()
        .map(|(_, body)| WriteRequest::decode(body.as_slice()).unwrap().timeseries[0].samples[0].timestamp)
        .collect();
    let first = 1_700_000_000_000;
    assert_eq!(times, [first, first, first + 1000, first + 2000]);
}

#[tokio::test]
async fn one_bad_series_costs_few_others() {
    for version in [1, 2] {
        // As Prometheus: one bad sample, and nothing of the request is taken.
        let peer = Peer::answering(move |_, body| {
            let has = |name: &str| body.windows(name.len()).any(|bytes| bytes == name.as_bytes());
            // The symbols of version 2.0 stay whole.
            let bad = if version == 1 {
                has("bad")
            } else {
                let request = Request2::decode(body).unwrap();
                request.timeseries.iter().any(|series| request.name(series).contains("bad"))
            };
            let count = Request2::decode(body).map_or(0, |request| request.timeseries.len()) as u64;
            if bad {
                text(http::StatusCode::BAD_REQUEST, "out of order sample")
            } else {
                written(count, 0, 0)
            }
        })
        .await;
        let points = (0..200).map(|id| {
            let id = if id == 77 { "bad".to_owned() } else { id.to_string() };
            point(0, TIME, 1.0, &[("id", &id)])
        });
        let batch = batch(vec![gauge("rooms", "", points.collect())]);
        let writer = peer.writer(|config| {
            if version == 2 {
                version2(config)
            }
        });
        let Reply::Rejected { items, message } = writer.send(&batch, None).await else { panic!("rejected") };
        assert!(items == 1 && message.contains("out of order sample"), "{items} {message}");
        assert!(peer.requests().len() <= 17, "{}", peer.requests().len());
        let taken: BTreeSet<String> = peer
            .requests()
            .iter()
            .flat_map(|(_, body)| match version {
                1 => names(body),
                _ => {
                    let request = Request2::decode(body.as_slice()).unwrap();
                    request.timeseries.iter().map(|series| request.name(series)).collect()
                }
            })
            .collect();
        assert_eq!(taken.len(), 200);
    }
}

#[tokio::test]
async fn a_server_that_refuses_all_is_not_asked_for_ever() {
    let peer = Peer::answering(|_, _| status(400)).await;
    assert!(failure(peer.writer(|_| {}).send(&rooms(5000), None).await).is_permanent());
    assert!(peer.requests().len() <= 65, "{}", peer.requests().len());
}

#[tokio::test]
async fn nothing_is_sent_if_nothing_is_left() {
    let peer = Peer::answering(|_, _| status(204)).await;
    let delta = batch(vec![sum("delta", DELTA, true, vec![point(1, TIME, 1.0, &[])])]);
    let Reply::Rejected { items, message } = peer.writer(|_| {}).send(&delta, None).await else {
        panic!("rejected")
    };
    assert!(items == 1 && message.contains("1 not cumulative"), "{message}");
    assert_eq!(peer.requests().len(), 0);
}

#[tokio::test]
async fn a_server_that_is_down_is_retryable() {
    let peer = Peer::answering(|_, _| status(204)).await;
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let writer = peer.writer(|config| config.client.endpoint = format!("http://{unused}/"));
    assert_eq!(failure(writer.send(&rooms(1), None).await).retry, Retry::Backoff);
}

/// As Prometheus 3 answers.
#[tokio::test]
async fn what_a_server_of_2_0_has_taken_is_not_sent_again() {
    let peer = Peer::answering(|_, _| {
        let mut response = written(3, 0, 0);
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        response
    })
    .await;
    let reply = peer.writer(version2).send(&rooms(4), None).await;
    assert!(matches!(reply, Reply::Rejected { items: 1, .. }), "{reply:?}");
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn only_a_500_is_read_for_words_about_samples() {
    let peer =
        Peer::answering(|_, _| text(http::StatusCode::SERVICE_UNAVAILABLE, "the replica is too old")).await;
    assert_eq!(failure(peer.writer(|_| {}).send(&rooms(1), None).await).retry, Retry::Backoff);
}

/// Without a queue callers deliver by themselves.
#[tokio::test]
async fn a_batch_waits_until_the_one_before_it_has_ended() {
    let peer = Peer::answering(|count, _| status(if count == 0 { 503 } else { 200 })).await;
    let writer = peer.writer(|_| {});
    let (one, two) = (rooms(1), rooms(1));
    let mut first = writer.begin(&one).unwrap();
    assert_eq!(failure(first.attempt(None).await).retry, Retry::Backoff);
    let mut second = writer.begin(&two).unwrap();
    assert!(second.attempt(None).now_or_never().is_none());
    assert_eq!(first.attempt(None).await, Reply::Delivered);
    drop(first);
    assert_eq!(second.attempt(None).await, Reply::Delivered);
    assert_eq!(peer.requests().len(), 3);
}
