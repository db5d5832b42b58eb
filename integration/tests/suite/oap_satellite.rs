//! Satellite's own meters, of Sluice, in OAP: its rules for Satellite, its dashboards' metrics and the one that
//! autoscaling asks for.

use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Oap, PATIENCE, Setup, eventually, post, service_id};

const SERVICE: &str = "satellite::gateway";

/// The values of a metric of the service by the value of a label, the highest of each series.
fn labelled(oap: &Oap, metric: &str, label: &str) -> Vec<(String, f64)> {
    let found = oap.query(&format!(
        "{{ found: execExpression(expression: \"{metric}\", entity: {{serviceName: \"{SERVICE}\", normal: true}}, duration: \
         $duration) {{ error results {{ metric {{ labels {{ key value }} }} values {{ value }} }} }} }}"
    ));
    assert!(found["found"]["error"].is_null(), "{metric}: {found}");
    let results = found["found"]["results"].as_array().cloned().unwrap_or_default();
    let mut values = Vec::new();
    for result in &results {
        let labels = result["metric"]["labels"].as_array().cloned().unwrap_or_default();
        let of = labels.iter().find(|pair| pair["key"] == label).map_or(&Value::Null, |pair| &pair["value"]);
        let number = |value: &Value| value["value"].as_str()?.parse::<f64>().ok();
        let highest = result["values"].as_array().unwrap().iter().filter_map(number).fold(0.0, f64::max);
        values.push((of.as_str().unwrap_or_default().to_owned(), highest));
    }
    values
}

#[test]
fn satellites_metrics_of_sluice_are_in_oap() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let rest = format!(
        "exporters:
  oap: {{}}
extensions:
  oap:
    endpoints: ['{}']
    check_period: 1s
    satellite_meters: {{service: gateway, instance: gateway-1, interval: 1s}}",
        oap.grpc
    );
    let config = setup
        .config(&rest, "    traces: {receivers: [otlp], exporters: [oap]}")
        .replace("service:\n", "service:\n  extensions: [oap]\n");
    let sluice = setup.start(&config, setup.http);
    let _agents = [(); 3].map(|()| TcpStream::connect(setup.grpc).unwrap());

    oap.knows("SO11Y_SATELLITE", &[SERVICE]);
    assert_eq!(
        oap.query(&format!(
            "{{ all: getService(serviceId: \"{}\") {{ name layers }} }}",
            service_id(SERVICE)
        ))["all"]["layers"],
        json!(["SO11Y_SATELLITE"])
    );
    // The metric that autoscaling asks for. OAP takes the mean of a minute.
    let read = |metric: &str| oap.metric(metric, SERVICE, None).into_iter().fold(0.0, f64::max);
    eventually("OAP counts the connections", || read("satellite_service_grpc_connect_count") >= 2.0);
    assert!(read("satellite_service_grpc_connect_count") <= 3.0);

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "a", "kind": 2,
        "startTimeUnixNano": now, "endTimeUnixNano": now,
    });
    let spans = vec![span; 5];
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
    let json = [("content-type", "application/json")];
    // Of all signals.
    let of = |values: &[(String, f64)], label: &str| -> f64 {
        values.iter().filter(|(value, _)| value == label).map(|(_, count)| count).sum()
    };
    let (mut received, mut sent) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while of(&received, "all") < 5.0 || of(&sent, "success") < 5.0 {
        assert!(begin.elapsed() < PATIENCE, "OAP counts {received:?} and {sent:?}");
        assert_eq!(post(setup.http, "/v1/traces", &json, body.clone()).status, 200);
        std::thread::sleep(Duration::from_millis(500));
        received = labelled(oap, "satellite_service_receive_event_count", "status");
        sent = labelled(oap, "satellite_service_send_event_count", "status");
    }
    let capacity = labelled(oap, "satellite_service_queue_total_capacity", "pipeline");
    assert!(of(&capacity, "traces") >= 1.0, "{capacity:?}");
    assert!(read("satellite_service_server_cpu_utilization") <= 100.0);
    sluice.stop();
}
