//! CPU time of several processes, and a plain HTTP request.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{Outcome, process::Process};

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, fixed by its interface).
const TICK: Duration = Duration::from_millis(10);

/// CPU time of the programs that take part. What else runs on the machine is not in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CpuTime {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl CpuTime {
    /// Of these, with all their threads.
    pub(super) fn read(processes: &[&Process]) -> Outcome<Self> {
        processes.iter().try_fold(Self::default(), |sum, process| Ok(sum.and(times(process.id())?)))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }

    pub(super) fn less(self, other: Self) -> Self {
        Self { user: self.user.saturating_sub(other.user), system: self.system.saturating_sub(other.system) }
    }
}

/// Fields of `/proc/PID/stat` before `utime`, counted after the parenthesised name, which may hold anything.
const BEFORE_TIMES: usize = 11;

/// User and system time of a process.
fn times(process: u32) -> Outcome<CpuTime> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_ascii_whitespace());
    let ticks: Vec<u32> = fields
        .into_iter()
        .flatten()
        .skip(BEFORE_TIMES)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    let [user, system] = ticks[..] else { return Err("/proc/pid/stat has an unknown form".into()) };
    Ok(CpuTime { user: TICK * user, system: TICK * system })
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
