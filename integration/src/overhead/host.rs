//! CPU time of the whole machine, and a plain HTTP request.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Outcome;

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, fixed by its interface).
const TICK: Duration = Duration::from_millis(10);

/// CPU time of all processors since the machine was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuTime {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl CpuTime {
    pub(super) fn read() -> Outcome<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u32> =
            line.split_ascii_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let [user, nice, system, _idle, _wait, interrupts, soft_interrupts, ..] = ticks[..] else {
            return Err("/proc/stat has an unknown form".into());
        };
        Ok(Self { user: TICK * (user + nice), system: TICK * (system + interrupts + soft_interrupts) })
    }
}

/// The answer to a GET, head and body.
pub(super) fn get(address: SocketAddr, path: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The sum of the series of a page of metrics that begin so.
pub(super) fn sum(page: &str, series: &str) -> u64 {
    let values =
        page.lines().filter(|line| line.starts_with(series)).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<u64>().ok()).sum()
}
