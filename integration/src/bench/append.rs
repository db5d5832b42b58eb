//! The floor of a durable queue: a loop that appends what all callers would send, and syncs.

use std::fs;
use std::io::{IoSlice, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::round::Round;
use super::scenario::Scenario;
use crate::Outcome;
use crate::load::{Histogram, Report};
use crate::process::cpu;

/// When a new file is begun, as a queue would.
const FILE_SIZE: usize = 32 << 20;

/// Runs the loop for so long, in the directory of the queues.
pub(super) async fn measure(scenario: &Scenario, duration: Duration, directory: &Path) -> Outcome<Round> {
    let (bodies, batch) = (scenario.bodies(), scenario.batch());
    let file = directory.join("append");
    spawn_blocking(move || {
        append(&bodies, batch, duration / 4, &file)?;
        append(&bodies, batch, duration, &file)
    })
    .await?
}

fn append(bodies: &[Bytes], batch: usize, duration: Duration, path: &Path) -> Outcome<Round> {
    let before = thread_cpu()?;
    let begin = Instant::now();
    let mut latency = Histogram::default();
    let (mut items, mut written) = (0_u64, FILE_SIZE);
    let mut file = fs::File::create(path)?;
    while begin.elapsed() < duration {
        if written >= FILE_SIZE {
            file = fs::File::create(path)?;
            written = 0;
        }
        let turn = Instant::now();
        let mut slices: Vec<IoSlice<'_>> = bodies.iter().map(|body| IoSlice::new(body)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let count = file.write_vectored(rest)?;
            written += count;
            IoSlice::advance_slices(&mut rest, count);
        }
        file.sync_data()?;
        for _ in bodies {
            latency.record(turn.elapsed());
            items += batch as u64;
        }
    }
    let elapsed = begin.elapsed();
    fs::remove_file(path)?;
    let load = Report { accepted: items, latency, elapsed, ..Report::default() };
    Ok(Round { cpu: thread_cpu()?.saturating_sub(before), items, lost: 0, load, peak_resident: 0 })
}

/// CPU time of the calling thread.
fn thread_cpu() -> Outcome<Duration> {
    cpu(&fs::read_to_string("/proc/thread-self/stat")?).ok_or_else(|| "stat has an unknown form".into())
}
