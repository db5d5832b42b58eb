//! One Sluice after another on the same ports, under load: nobody is refused, and nothing that was answered is lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::http::Request;
use http_body_util::Full;
use rustix::process::Signal;
use sluice_integration::process::tied;
use sluice_integration::transport::{connect_http1, connect_http2, frame, receive};
use tokio::task::{JoinHandle, block_in_place};

use crate::support::{Destination, PATIENCE, Setup, eventually, executable, python_server, request};

fn config(setup: &Setup, destination: &Destination) -> String {
    setup.config(
        &format!(
            "exporters:\n  otlp:\n    endpoint: {}\n    compression: none\n    tls:\n      insecure: true\n    \
             sending_queue:\n      enabled: false",
            destination.address
        ),
        "    traces: {receivers: [otlp], exporters: [otlp]}",
    )
}

/// Clients that open a connection for every request, of OTLP/HTTP and of gRPC in turns, until they are told to stop.
#[derive(Default)]
struct Newcomers {
    next: AtomicU64,
    enough: AtomicBool,
}

/// What a client saw: the numbers that were taken, and everything that went wrong.
#[derive(Debug, Default)]
struct Seen {
    taken: BTreeSet<u64>,
    wrong: Vec<String>,
}

impl Newcomers {
    fn come(self: &Arc<Self>, setup: &Setup, count: usize) -> Vec<JoinHandle<Seen>> {
        let (http, grpc) = (setup.http, setup.grpc);
        (0..count).map(|_| tokio::spawn(Arc::clone(self).come_again(http, grpc))).collect()
    }

    fn came(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    async fn come_again(self: Arc<Self>, http: SocketAddr, grpc: SocketAddr) -> Seen {
        let mut seen = Seen::default();
        while !self.enough.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let sent = async {
                if number.is_multiple_of(2) {
                    over_http(http, number).await
                } else {
                    over_grpc(grpc, number).await
                }
            };
            match tokio::time::timeout(PATIENCE, sent).await {
                Ok(Ok(())) => _ = seen.taken.insert(number),
                Ok(Err(error)) => seen.wrong.push(format!("{number}: {error}")),
                Err(_) => seen.wrong.push(format!("{number}: no answer")),
            }
            // Each connection takes a port of the system's few until it is forgotten.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen
    }
}

async fn over_http(server: SocketAddr, number: u64) -> sluice_integration::Outcome<()> {
    let request = Request::post("/v1/traces")
        .header("host", server.to_string())
        .header("content-type", "application/x-protobuf")
        .header("connection", "close")
        .body(Full::new(request(number, 100)))?;
    let mut sender = connect_http1(server).await?;
    let answer = sender.send_request(request).await?;
    if answer.status() != 200 {
        return Err(answer.status().to_string().into());
    }
    receive(answer.into_body()).await?;
    Ok(())
}

async fn over_grpc(server: SocketAddr, number: u64) -> sluice_integration::Outcome<()> {
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let request = Request::post(format!("http://{server}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(frame(&request(number, 100), false)))?;
    let mut sender = connect_http2(server).await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let received = receive(body).await?;
    let status = head.headers.get("grpc-status").or_else(|| received.trailers.get("grpc-status"));
    if status.is_none_or(|status| status != "0") {
        return Err(format!("gRPC status {status:?}").into());
    }
    Ok(())
}

/// Ends the clients, and looks at what they saw and at what arrived.
async fn conclude(newcomers: &Newcomers, clients: Vec<JoinHandle<Seen>>, destination: &Destination) {
    newcomers.enough.store(true, Ordering::Relaxed);
    let mut all = Seen::default();
    for client in clients {
        let Seen { taken, wrong } = client.await.unwrap();
        all.taken.extend(taken);
        all.wrong.extend(wrong);
    }
    assert!(all.wrong.is_empty(), "{} of {} failed: {:#?}", all.wrong.len(), newcomers.came(), all.wrong);
    let arrived = destination.arrived();
    let missing: Vec<_> = all.taken.iter().filter(|number| !arrived.contains_key(number)).collect();
    assert!(missing.is_empty(), "answered and not delivered: {missing:?}");
    assert!(all.taken.len() > 200, "only {} requests were made", all.taken.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_outlive_it_let_it_restart_without_a_refusal() {
    const RESTARTS: usize = 5;
    let Some((python, keeper)) = python_server("keeper.py") else { return };
    let destination = Destination::start().await;
    let setup = Setup::new();
    let path = setup.write("config.yaml", &config(&setup, &destination));
    let mut command = tied(&python);
    command.arg(keeper).args([setup.grpc.to_string(), setup.http.to_string(), "--".to_owned()]);
    command.arg(executable()).args(["run", "--config"]).arg(path);
    let mut keeper = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(setup.path("sluice.log")).unwrap())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(keeper.stdout.take().unwrap()).lines();
    let mut restart = keeper.stdin.take().unwrap();
    assert_eq!(told.next().unwrap().unwrap(), "running");
    // Nobody waits until it listens: the sockets are there.
    let newcomers = Arc::new(Newcomers::default());
    let clients = newcomers.come(&setup, 8);
    for _ in 0..RESTARTS {
        block_in_place(|| {
            let before = newcomers.came();
            eventually("clients come", || newcomers.came() > before + 50);
            restart.write_all(b"again\n").unwrap();
            assert_eq!(told.next().unwrap().unwrap(), "running", "{}", log(&setup));
        });
    }
    let before = newcomers.came();
    block_in_place(|| eventually("clients come", || newcomers.came() > before + 50));
    conclude(&newcomers, clients, &destination).await;
    drop(restart);
    let status = block_in_place(|| keeper.wait().unwrap());
    assert!(status.success(), "{status}\n{}", log(&setup));
    assert_eq!(log(&setup).matches("Shutdown complete.").count(), RESTARTS + 1, "{}", log(&setup));
}

fn log(setup: &Setup) -> String {
    std::fs::read_to_string(setup.path("sluice.log")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_port_passes_to_a_new_process_without_a_refusal() {
    let destination = Destination::start().await;
    let setup = Setup::new();
    let path = setup.write("config.yaml", &config(&setup, &destination));
    let start = || {
        let begun = log_count(&setup);
        let sluice = setup.spawn_with(&path, &["--reuse-port"]);
        block_in_place(|| eventually("it runs", || log_count(&setup) > begun));
        sluice
    };
    let mut running = start();
    let newcomers = Arc::new(Newcomers::default());
    let clients = newcomers.come(&setup, 8);
    for _ in 0..3 {
        let next = start();
        let before = newcomers.came();
        block_in_place(|| eventually("clients come to both", || newcomers.came() > before + 50));
        running.process.signal(Signal::TERM).unwrap();
        let (status, log) = block_in_place(|| running.wait());
        assert!(status.success(), "{status}\n{log}");
        running = next;
    }
    conclude(&newcomers, clients, &destination).await;
    block_in_place(|| running.stop());
}

/// How often a process has said that it runs.
fn log_count(setup: &Setup) -> usize {
    let log = std::fs::read_to_string(setup.path("sluice.log")).unwrap_or_default();
    log.matches("Begin running and processing data").count()
}

#[test]
fn without_being_asked_two_do_not_share_a_port() {
    let setup = Setup::new();
    let path = setup.write(
        "config.yaml",
        &setup.config("exporters:\n  debug:", "    traces: {receivers: [otlp], exporters: [debug]}"),
    );
    let first = setup.spawn_with(&path, &["--reuse-port"]);
    eventually("it runs", || log_count(&setup) > 0);
    let (status, log) = setup.spawn(&path).wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("the address is in use by process"), "{log}");
    first.stop();
}

#[test]
fn what_is_passed_on_and_of_no_use_is_said() {
    let setup = Setup::new();
    let path = setup.write(
        "config.yaml",
        &setup.config("exporters:\n  debug:", "    traces: {receivers: [otlp], exporters: [debug]}"),
    );
    let passing = |descriptor: &str| {
        let script =
            format!("exec 3{descriptor}; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" run --config \"$1\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(executable()).arg(&path);
        command.output().unwrap()
    };
    let output = passing("</dev/null");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("descriptor 3 of LISTEN_FDS cannot be used"), "{message}");
}
