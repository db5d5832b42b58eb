//! What agents ask of OAP goes through Sluice byte for byte, as it arrives: gRPC's own library on both ends.

use serde_json::{Value, json};
use sluice_integration::process::{Process, free_address, tied};

use crate::support::{PATIENCE, Setup, python, python_server, sum};

#[test]
fn tasks_for_agents_and_their_answers_pass_through_as_they_are() {
    let Some((program, script)) = python_server("skywalking_tasks.py") else { return };
    let setup = Setup::new();
    let [oap, agents] = [(); 2].map(|()| free_address().unwrap());
    let mut command = tied(&program);
    command.arg(script).args(["serve", "--port", &oap.port().to_string()]);
    let mut server = Process::start(&mut command, &setup.path("server.log")).unwrap();
    server.wait_until_listening(oap, PATIENCE).unwrap();
    let rest = format!(
        "  skywalking:
    protocols:
      grpc: {{endpoint: '{agents}'}}
    upstream: oap
exporters:
  oap: {{}}
extensions:
  oap: {{endpoints: ['{oap}']}}"
    );
    let config = setup
        .config(&rest, "    traces: {receivers: [skywalking], exporters: [oap]}")
        .replace("service:\n", "service:\n  extensions: [oap]\n");
    let sluice = setup.start(&config, agents);
    let printed = python("skywalking_tasks.py", &["call", "--backend", &agents.to_string()]).unwrap();
    let mut found: Value = serde_json::from_str(&printed).unwrap();
    let found = found.as_object_mut().unwrap();
    let expected = found.remove("expected").unwrap();

    let refused = found.remove("/skywalking.v3.ProfileTask/refused").unwrap();
    assert_eq!(refused, json!(["PERMISSION_DENIED", "not this one"]));
    let conversations = ["/skywalking.v10.AsyncProfilerTask/collect", "/skywalking.v10.PprofTask/collect"];
    for path in conversations {
        // Content only goes once the server has answered what came first.
        assert_eq!(found.remove(path).unwrap(), json!(["go on after metadata", expected]), "{path}");
    }
    let (mut unary, mut streams) = (0, 0);
    for (path, answer) in found.iter() {
        if answer.is_array() {
            let reversed: String = path.chars().rev().collect();
            assert_eq!(*answer, json!([format!("{path}|python|{reversed}"), path]));
            unary += 1;
        } else {
            assert_eq!(*answer, expected, "{path}");
            streams += 1;
        }
    }
    assert_eq!((unary, streams), (12, 4));
    assert_eq!(sum(setup.telemetry, "sluice_receiver_refused_requests", "skywalking"), 0);
    sluice.stop();
}
