//! How long a killed Sluice takes to take up the queue that it left on disk.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Full;
use rustix::process::Signal;
use tokio::task::block_in_place;

use crate::Outcome;
use crate::load::{Load, Plan, Protocol};
use crate::payload::{Compression, Kind};
use crate::process::{Process, free_address, tied};
use crate::sink::{Options, Sink};
use crate::transport::{connect_http1, receive};

/// What is left in the queue, in bytes of OTLP.
const SIZE: u64 = 1 << 30;
const LIMIT: Duration = Duration::from_secs(300);

/// From the start of the process on.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// Bytes of OTLP in the queue.
    pub bytes: u64,
    /// Requests in the queue.
    pub requests: u64,
    /// Until clients could connect.
    pub listening: Duration,
    /// Until the first request had reached the sink.
    pub first: Duration,
    /// Until every record was counted.
    pub scanned: Duration,
    /// Until everything had reached the sink.
    pub delivered: Duration,
}

/// Fills a queue with requests of so many spans, kills Sluice, and starts it again.
///
/// # Errors
/// That Sluice does not start or does not answer.
pub async fn measure(program: &Path, directory: &Path, spans: usize) -> Outcome<Recovery> {
    let (listen, telemetry, target) = (free_address()?, free_address()?, free_address()?);
    let queue = directory.join(format!("recovery-{spans}"));
    let config = directory.join("recovery.yaml");
    fs::write(
        &config,
        format!(
            "extensions:\n  file_storage:\n    directory: {queue}\n    create_directory: true\n    fsync: false\n\
         receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {listen}\n\
         exporters:\n  otlp:\n    endpoint: {target}\n    tls:\n      insecure: true\n    compression: none\n    \
           retry_on_failure:\n      initial_interval: 10ms\n      max_interval: 20ms\n      max_elapsed_time: 0s\n    \
           sending_queue:\n      storage: file_storage\n      queue_size: 100000000\n\
         service:\n  extensions: [file_storage]\n  telemetry:\n    logs:\n      level: error\n    metrics:\n      \
           readers:\n        - pull: {{exporter: {{prometheus: {{host: {host}, port: {port}}}}}}}\n  \
           pipelines:\n    traces: {{receivers: [otlp], exporters: [otlp]}}\n",
            queue = queue.display(),
            host = telemetry.ip(),
            port = telemetry.port(),
        ),
    )?;
    let start = || {
        let mut command = tied(program);
        command.arg("run").arg("--config").arg(&config);
        Process::start(&mut command, &directory.join("recovery.log"))
    };
    let mut first = start()?;
    block_in_place(|| first.wait_until_listening(listen, LIMIT))?;
    let load = Load::prepare(Plan {
        target: listen,
        protocol: Protocol::Grpc,
        kind: Kind::Traces,
        batch: spans,
        compression: Compression::None,
        connections: 4,
        in_flight: 8,
        rate: None,
        duration: Duration::from_millis(500),
        encrypted: false,
    })?;
    let gauge = async |name: &str| gauge(telemetry, name).await;
    while gauge("sluice_exporter_queue_bytes").await? < SIZE {
        load.run(Duration::from_millis(500)).await?;
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let (bytes, requests) =
        (gauge("sluice_exporter_queue_bytes").await?, gauge("otelcol_exporter_queue_size").await?);
    first.signal(Signal::KILL)?;
    block_in_place(|| first.wait(LIMIT))?;

    let any = "127.0.0.1:0".parse()?;
    let sink = Sink::start(target, any, Options::default()).await?;
    let begin = Instant::now();
    let mut second = start()?;
    let listening = block_in_place(|| second.wait_until_listening(listen, LIMIT))?;
    let (mut first, mut scanned) = (None, None);
    while sink.counts().requests < requests {
        if begin.elapsed() > LIMIT {
            return Err(format!("{} of {requests} requests arrived", sink.counts().requests).into());
        }
        if first.is_none() && sink.counts().requests > 0 {
            first = Some(begin.elapsed());
        }
        // What is counted and what has gone are together all that there was.
        if scanned.is_none() {
            let held = gauge("otelcol_exporter_queue_size").await?;
            scanned = (held > 0 && held + sink.counts().requests >= requests).then(|| begin.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let delivered = begin.elapsed();
    block_in_place(|| second.stop(LIMIT))?;
    fs::remove_dir_all(&queue)?;
    Ok(Recovery {
        bytes,
        requests,
        listening,
        first: first.unwrap_or(delivered),
        scanned: scanned.unwrap_or(delivered),
        delivered,
    })
}

/// The value of a gauge with one series; 0 if there is none yet.
async fn gauge(server: std::net::SocketAddr, name: &str) -> Outcome<u64> {
    let mut sender = connect_http1(server).await?;
    let request =
        Request::builder().uri("/metrics").header("host", server.to_string()).body(Full::default())?;
    let page = receive(sender.send_request(request).await?.into_body()).await?.body;
    let page = String::from_utf8_lossy(&page);
    let line = page.lines().find(|line| line.starts_with(&format!("{name}{{")));
    Ok(line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |value| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let value = value as u64;
        value
    }))
}

impl Recovery {
    /// A line for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a size")]
        let gigabytes = self.bytes as f64 / 1e9;
        format!(
            "{gigabytes:.2} GB in {} requests: listening after {:.2?}, first delivery after {:.2?}, counted after \
             {:.2?}, all delivered after {:.2?}",
            self.requests, self.listening, self.first, self.scanned, self.delivered
        )
    }
}
