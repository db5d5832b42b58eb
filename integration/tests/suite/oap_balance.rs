//! Several OAP servers, of which one is killed and one is added. The servers are the reference: the stubs of SkyWalking's
//! agent for Python.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;
use sluice_integration::process::{Process, free_address, tied};

use crate::support::{Clients, PATIENCE, Setup, lines, python_server};

/// A server with the notes of what it got.
struct Server {
    _process: Option<Process>,
    notes: PathBuf,
}

impl Server {
    fn start(setup: &Setup, address: SocketAddr) -> Option<Self> {
        let (python, script) = python_server("skywalking_server.py")?;
        let notes = setup.path(&format!("notes-{}", address.port()));
        let mut command = tied(&python);
        command.arg(script).args(["--port", &address.port().to_string(), "--log"]).arg(&notes);
        let mut process = Process::start(&mut command, &setup.path("server.log")).unwrap();
        process.wait_until_listening(address, PATIENCE).unwrap();
        Some(Self { _process: Some(process), notes })
    }

    /// Kills it; its notes stay.
    fn kill(self) -> Self {
        Self { _process: None, notes: self.notes }
    }

    /// The numbers of the spans that it got; the last line may be half written.
    fn numbers(&self) -> BTreeSet<u64> {
        let notes = fs::read_to_string(&self.notes).unwrap_or_default();
        let whole = notes.rsplit_once('\n').map_or("", |(whole, _)| whole);
        lines(whole).iter().map(|line| number(&line["message"]["traceId"])).collect()
    }
}

/// The number that a client put in the first half of the trace id.
fn number(trace: &Value) -> u64 {
    u64::from_str_radix(&trace.as_str().unwrap()[..16], 16).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "it did not come about that {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_one_server_is_killed_and_another_comes() {
    let setup = Setup::new();
    let [first, second, third] = [(); 3].map(|()| free_address().unwrap());
    let Some(killed) = Server::start(&setup, first) else { return };
    let Some(stays) = Server::start(&setup, second) else { return };
    let rest = format!(
        "exporters:
  oap:
    retry_on_failure: {{initial_interval: 50ms}}
extensions:
  oap:
    endpoints: ['{first}', '{second}', '{third}']
    check_period: 500ms"
    );
    let config = setup
        .config(&rest, "    traces: {receivers: [otlp], exporters: [oap]}")
        .replace("service:\n", "service:\n  extensions: [oap]\n");
    let sluice = setup.start(&config, setup.http);
    let clients = Clients::new();
    let sending = clients.send(setup.http, 4);
    until("both servers get spans", || killed.numbers().len() > 100 && stays.numbers().len() > 100).await;

    let of_killed = killed.kill();
    let before = stays.numbers().len();
    until("the other one gets them all", || stays.numbers().len() > before + 200).await;

    let came = Instant::now();
    let comes = Server::start(&setup, third).unwrap();
    let listening = Instant::now();
    until("the new one gets its share", || {
        let (old, new) = (stays.numbers().len(), comes.numbers().len());
        new > 50 && old > 0
    })
    .await;
    let _ = writeln!(
        std::io::stderr(),
        "a new server had its share {:.1} s after it listened ({:.1} s after its start)",
        listening.elapsed().as_secs_f64(),
        came.elapsed().as_secs_f64()
    );
    sluice.stop();
    for client in sending {
        let _ = client.await;
    }
    let answered = clients.answered();
    let arrived: BTreeSet<u64> =
        [&of_killed, &stays, &comes].iter().flat_map(|server| server.numbers()).collect();
    let lost: Vec<_> = answered.difference(&arrived).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), answered.len());
    assert!(answered.len() > 400, "{} spans are not much of a test", answered.len());
}
