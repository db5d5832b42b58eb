//! The endpoints of HTTP.

use super::*;

#[tokio::test]
async fn every_path_takes_its_json() {
    let fixture = start().await;
    let segments =
        r#"[{"traceId":"t","traceSegmentId":"s","spans":[{"spanId":"0","spanType":"Entry"},{"spanId":1}]}]"#;
    for (path, body, items, status) in [
        ("/v3/segments", segments, 2, 200_u16),
        ("/v3/segment", r#"{"spans":[{}]}"#, 1, 200),
        ("/v3/logs", r#"[{"service":"s"},{"body":{"text":{"text":"t"}}}]"#, 2, 200),
        ("/v3/events", r#"[{"uuid":"u","layer":"GENERAL"}]"#, 1, 200),
        ("/v3/management/reportProperties", r#"{"service":"s","properties":[]}"#, 1, 200),
        ("/v3/management/keepAlive", r#"{"service":"s"}"#, 1, 200),
        ("/browser/perfData", "{}", 1, 204),
        ("/browser/perfData/webVitals", r#"{"cls":0.5}"#, 1, 204),
        ("/browser/perfData/webInteractions", r#"[{"inpTime":1},{}]"#, 2, 204),
        ("/browser/perfData/resources", r#"[{"name":"a.js"}]"#, 1, 204),
        ("/browser/errorLog", "{}", 1, 204),
        ("/browser/errorLogs", "[{},{}]", 2, 204),
        ("/v3/segments", "[]", 0, 200),
    ] {
        let before = fixture.pipeline.items();
        assert_eq!(post(&fixture, path, body).await.0, status, "{path}");
        assert_eq!(fixture.pipeline.items() - before, items, "{path}");
    }
    let log = v3::LogData { service: "s".to_owned(), ..Default::default() }.encode_to_vec();
    let (status, body) = post(&fixture, "/logging", log).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &br#"{"status":"success","msg":"success"}"#[..]));
}

#[tokio::test]
async fn json_of_the_wrong_shape_is_refused_whole() {
    let fixture = start().await;
    for body in ["", "{", "[{}", r#"[{"spans":[{}]},{"spans":1}]"#, "null", "\u{1}"] {
        assert_eq!(post(&fixture, "/v3/segments", body).await.0, 400_u16, "{body}");
    }
    assert_eq!(post(&fixture, "/v3/segments", vec![0xff]).await.0, 400_u16);
    assert_eq!(post(&fixture, "/nothing", "{}").await.0, 404_u16);
    assert_eq!(fixture.pipeline.items(), 0);
    assert_eq!(fixture.budget.used(), 0);
}

#[tokio::test]
async fn a_busy_pipeline_asks_http_clients_to_come_again() {
    let fixture = start().await;
    fixture.pipeline.busy.store(true, Ordering::Relaxed);
    let answer = send(&fixture, Request::post("/v3/segment"), Bytes::from_static(br#"{"spans":[{}]}"#)).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
}

#[tokio::test]
async fn pages_of_any_origin_may_send() {
    let fixture = start().await;
    let preflight = Request::options("/browser/perfData")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type, sw8");
    let answer = send(&fixture, preflight, Bytes::new()).await;
    assert_eq!(answer.status(), 204_u16);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://shop.example");
    assert_eq!(answer.headers()["access-control-allow-headers"], "content-type, sw8");
    let sent = Request::post("/browser/perfData").header("origin", "https://shop.example");
    let answer = send(&fixture, sent, Bytes::from_static(b"{}")).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://shop.example");
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true", "as beacons want it");
}
