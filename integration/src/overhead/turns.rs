//! Two loads on one machine that run in turns, so short that a change of the machine's speed meets both.

use std::{
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    host::{self, CpuTime},
    microseconds_each, precise,
};
use crate::{
    Outcome,
    process::{Process, tied},
};

/// How long a turn is measured.
const TURN: Duration = Duration::from_millis(100);
/// What a load has in a second of its own.
const TURNS_A_SECOND: u64 = 10;
/// How long it runs before that: the other load has left its own in the caches.
const WARM_UP: Duration = Duration::from_millis(30);
/// How long the last answers of a turn may take.
const DRAIN: Duration = Duration::from_millis(20);

/// wrk flat out against a server, while it has its turn.
pub(super) struct Load {
    wrk: Process,
    /// nginx, which counts what it serves.
    server: SocketAddr,
}

/// What a load did in its turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// Requests a second, turn by turn.
    pub(super) rates: Vec<f64>,
    requests: u64,
    cpu: CpuTime,
}

impl Load {
    /// Starts wrk and stops it at once, until it has a turn. `server` answers `/status` as nginx does.
    ///
    /// # Errors
    /// That wrk cannot be started.
    pub(super) fn start(
        target: SocketAddr,
        server: SocketAddr,
        connections: u32,
        header: Option<&str>,
        folder: &Path,
    ) -> Outcome<Self> {
        let mut command = tied(Path::new("wrk"));
        // Longer than any measurement: it ends with this.
        command.args(["-t1", "-d24h", &format!("-c{connections}")]);
        if let Some(header) = header {
            command.args(["-H", header]);
        }
        command.arg(format!("http://{target}/"));
        let wrk = Process::start(&mut command, &folder.join("wrk.log"))
            .map_err(|error| format!("cannot run wrk (Debian: wrk): {error}"))?;
        let mut load = Self { wrk, server };
        let before = load.served()?;
        load.wrk.wait_until(super::PATIENCE, "get an answer", || {
            served(server).is_ok_and(|served| served > before + 1000)
        })?;
        load.wrk.signal(Signal::STOP)?;
        Ok(load)
    }

    /// Requests that its server has answered so far.
    pub(super) fn served(&self) -> Outcome<u64> {
        served(self.server)
    }

    /// Runs for a while; gives the requests that were answered meanwhile.
    pub(super) fn run(&self, time: Duration) -> Outcome<u64> {
        self.wrk.signal(Signal::CONT)?;
        let before = self.served()?;
        thread::sleep(time);
        let after = self.served()?;
        self.wrk.signal(Signal::STOP)?;
        thread::sleep(DRAIN);
        Ok(after - before)
    }

    fn turn(&self, processes: &[&Process], turns: &mut Turns) -> Outcome<()> {
        let all: Vec<&Process> = [&self.wrk].into_iter().chain(processes.iter().copied()).collect();
        self.wrk.signal(Signal::CONT)?;
        thread::sleep(WARM_UP);
        let (before, begin) = (self.served()?, Instant::now());
        let cpu = CpuTime::read(&all)?;
        thread::sleep(TURN);
        let requests = self.served()? - before;
        turns.rates.push(precise(requests) / begin.elapsed().as_secs_f64());
        turns.requests += requests;
        turns.cpu = turns.cpu.and(CpuTime::read(&all)?.less(cpu));
        self.wrk.signal(Signal::STOP)?;
        thread::sleep(DRAIN);
        Ok(())
    }
}

/// Gives each of two loads so many seconds of turns. A load comes with the processes that work for it beside wrk.
pub(super) fn alternate(loads: [(&Load, &[&Process]); 2], seconds: u64) -> Outcome<[Turns; 2]> {
    let mut turns = [Turns::default(), Turns::default()];
    for pair in 0..seconds * TURNS_A_SECOND {
        // Who comes first, too, is taken in turns.
        let order = if pair.is_multiple_of(2) { [0, 1] } else { [1, 0] };
        for who in order {
            let (load, processes) = loads[who];
            load.turn(processes, &mut turns[who])?;
        }
    }
    Ok(turns)
}

impl Turns {
    /// CPU time for a request, in microseconds, in user mode and in the kernel.
    pub(super) fn cpu_each(&self) -> [f64; 2] {
        [self.cpu.user, self.cpu.system].map(|time| microseconds_each(time, self.requests))
    }
}

/// The third number behind `server accepts handled requests`.
fn served(server: SocketAddr) -> Outcome<u64> {
    let page = host::get(server, "/status")?;
    requests(&page).ok_or_else(|| format!("nginx's status has an unknown form: {page}").into())
}

fn requests(page: &str) -> Option<u64> {
    page.split_once("handled requests")?.1.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_nginx_status() {
        let page = "HTTP/1.1 200 OK\r\n\r\nActive connections: 2 \nserver accepts handled requests\n 16 16 31070 \nReading: 0";
        assert_eq!(requests(page), Some(31_070));
        assert_eq!(requests("HTTP/1.1 404 Not Found\r\n\r\n"), None);
    }
}
