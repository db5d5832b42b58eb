//! A profile task that somebody starts in OAP reaches the agent through Sluice, and what the agent finds comes back.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_integration::process::{Process, tied};

use crate::oap_agents::Satellite;
use crate::support::{
    Oap, PATIENCE, Setup, eventually_every, eventually_within, java_shop, python_server, service_id,
};

#[test]
fn a_profile_task_reaches_the_python_agent_through_sluice_and_its_analysis_comes_back() {
    let Some(oap) = Oap::shared() else { return };
    let Some((program, script)) = python_server("skywalking_shop.py") else { return };
    let setup = Setup::new();
    let satellite = Satellite::start(&setup, oap);
    let mut command = tied(&program);
    command.arg(script).args(["--backend", &satellite.grpc.to_string(), "--name", "profiled-python"]);
    command.args(["--requests", "1", "--slow", "600"]);
    let _shop = Process::start(&mut command, &setup.path("shop.log")).unwrap();
    profile(oap, "profiled-python");
    satellite.sluice.stop();
}

#[test]
fn a_profile_task_reaches_the_java_agent_through_sluice_and_its_analysis_comes_back() {
    let Some(oap) = Oap::shared() else { return };
    let setup = Setup::new();
    let satellite = Satellite::start(&setup, oap);
    let Some(mut command) = java_shop(&satellite.grpc.to_string(), "profiled-java", 1, 600) else { return };
    let _shop = Process::start(&mut command, &setup.path("shop.log")).unwrap();
    profile(oap, "profiled-java");
    satellite.sluice.stop();
}

/// OAP knows where the time of a shop's slow orders went.
fn profile(oap: &Oap, name: &str) {
    let service = format!("{name}-web");
    oap.knows("GENERAL", &[&service]);
    let id = service_id(&service);
    let instance = format!("{service}-1");
    let created = oap.query(&format!(
        "mutation {{ task: createProfileTask(creationRequest: {{serviceId: \"{id}\", endpointName: \"/order\", duration: 5, \
         minDurationThreshold: 0, dumpPeriod: 10, maxSamplingCount: 2}}) {{ id errorReason }} }}"
    ));
    let task = created["task"]["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
    let mut segments = Value::Null;
    // OAP looks for new tasks every ten seconds, the agent asks OAP every second.
    eventually_within(PATIENCE * 3, Duration::from_millis(500), "the agent's snapshots are there", || {
        segments = oap.query(&format!(
            "{{ all: getProfileTaskSegments(taskID: \"{task}\") {{ traceId instanceName spans {{ segmentId startTime endTime \
             endpointName profiled }} }} }}"
        ));
        segments["all"].as_array().is_some_and(|segments| !segments.is_empty())
    });
    let segment = &segments["all"][0];
    assert_eq!(segment["instanceName"], instance, "{segments}");
    let told = oap.query(&format!(
        "{{ all: getProfileTaskLogs(taskID: \"{task}\") {{ operationType instanceName }} }}"
    ));
    let notified = json!({"operationType": "NOTIFIED", "instanceName": instance});
    assert!(told["all"].as_array().unwrap().contains(&notified), "{told}");

    let span = segment["spans"].as_array().unwrap().iter().find(|span| span["profiled"] == true).unwrap();
    let (start, end) = (&span["startTime"], &span["endTime"]);
    let mut analysis = Value::Null;
    eventually_every(Duration::from_millis(500), "the analysis sees where the time went", || {
        analysis = oap.query(&format!(
            "{{ found: getSegmentsProfileAnalyze(queries: [{{segmentId: {}, timeRange: {{start: {start}, end: {end}}}}}]) {{ \
             tip trees {{ elements {{ codeSignature duration count }} }} }} }}",
            span["segmentId"]
        ));
        let trees = analysis["found"]["trees"].as_array().cloned().unwrap_or_default();
        let mut elements = trees.iter().flat_map(|tree| tree["elements"].as_array().unwrap());
        elements.any(|element| {
            // A snapshot every 10 ms.
            element["codeSignature"].as_str().unwrap().contains("busy") && element["count"].as_i64() > Some(5)
        })
    });
}
