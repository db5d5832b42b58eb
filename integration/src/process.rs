//! A child process under test: started, watched and always ended with its owner.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::Outcome;

/// A child in a process group of its own. Dropping it kills the group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    started: Instant,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time in user and system mode of all its threads.
    pub cpu: Duration,
    /// The most memory that it ever had resident, in bytes.
    pub peak_resident: u64,
    /// The memory that it has resident now, in bytes.
    pub resident: u64,
}

/// The kernel counts CPU time in hundredths of a second (`USER_HZ`, fixed by its interface).
const TICK: Duration = Duration::from_millis(10);

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(1);

impl Process {
    /// Starts a command with its output in `log`.
    ///
    /// # Errors
    /// That the log cannot be written or the command cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Outcome<Self> {
        let output = fs::File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
        let group = Pid::from_child(&child);
        Ok(Self { child, group, started })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it accepts connections here; gives how long after its start that was.
    ///
    /// # Errors
    /// That it ended, or did not listen in time.
    pub fn wait_until_listening(&mut self, address: SocketAddr, limit: Duration) -> Outcome<Duration> {
        self.wait_until(limit, &format!("listen on {address}"), || TcpStream::connect(address).is_ok())
    }

    /// Waits until a condition holds; gives how long after the start that was.
    ///
    /// # Errors
    /// That it ended, or the condition did not come to hold in time.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) -> Outcome<Duration> {
        let begin = Instant::now();
        loop {
            // The condition first: what it saw does not count if the process is gone.
            let holds = condition();
            let elapsed = self.started.elapsed();
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the process ended ({status}) before it did {what}").into());
            }
            if holds {
                return Ok(elapsed);
            }
            if begin.elapsed() > limit {
                return Err(format!("the process did not {what} within {limit:?}").into());
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// That it is gone.
    pub fn usage(&self) -> Outcome<Usage> {
        let id = self.child.id();
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        Ok(Usage {
            cpu: cpu(&stat).ok_or("/proc/pid/stat has an unknown form")?,
            peak_resident: kilobytes(&status, "VmHWM:").ok_or("/proc/pid/status has no VmHWM")?,
            resident: kilobytes(&status, "VmRSS:").ok_or("/proc/pid/status has no VmRSS")?,
        })
    }

    /// Sends a signal to the process alone, not to its group.
    ///
    /// # Errors
    /// That it is gone.
    pub fn signal(&self, signal: Signal) -> Outcome<()> {
        kill_process(self.group, signal)?;
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// That it runs on beyond the limit.
    pub fn wait(&mut self, limit: Duration) -> Outcome<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() > limit {
                return Err(format!("the process still runs after {limit:?}").into());
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Asks it to end, waits, and gives how it ended.
    ///
    /// # Errors
    /// As [`Process::signal`] and [`Process::wait`].
    pub fn stop(mut self, limit: Duration) -> Outcome<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(limit)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the group is gone already.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// How a process ended, for a message: its code or its signal.
#[must_use]
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// A command that the kernel ends when the thread that starts it does, however that comes about.
#[must_use]
pub fn tied(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A TCP port on the loopback interface that is free, and that this process gives out only once.
///
/// It lies below the ports that the kernel gives to outgoing connections, so that none of those takes it meanwhile, and
/// above those that configurations name by default.
///
/// # Errors
/// That none is free.
pub fn free_address() -> io::Result<SocketAddr> {
    const FIRST: u32 = 14_000;
    const COUNT: u32 = 16_000;
    static GIVEN_OUT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time start at different places.
    let start = std::process::id().wrapping_mul(997);
    for _ in 0..COUNT {
        let place = start.wrapping_add(GIVEN_OUT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + place).unwrap_or(u16::MAX);
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr();
        }
    }
    Err(io::Error::from(io::ErrorKind::AddrInUse))
}

/// Fields 14 and 15 (utime, stime), counted after the parenthesised name, which may hold anything.
pub(crate) fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_a_name_with_parentheses() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(kilobytes("Name:\tx\nVmHWM:\t  2048 kB\n", "VmHWM:"), Some(2 << 20));
    }

    #[test]
    fn a_child_and_its_children_end_with_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = tied(Path::new("sh"));
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut process = Process::start(&mut command, &log).unwrap();
        let read = || fs::read_to_string(&log).unwrap_or_default();
        process.wait_until(Duration::from_secs(10), "print", || read().ends_with('\n')).unwrap();
        assert!(process.usage().unwrap().peak_resident > 0);
        let grandchild = Pid::from_raw(read().trim().parse().unwrap()).unwrap();
        drop(process);
        let begin = Instant::now();
        // The orphan is a zombie until init reaps it; a zombie cannot run.
        let gone = || {
            fs::read_to_string(format!("/proc/{}/stat", grandchild.as_raw_nonzero()))
                .map_or(true, |stat| stat.contains(") Z "))
        };
        while !gone() {
            assert!(begin.elapsed() < Duration::from_secs(10), "the grandchild survived");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_early_end_is_told_from_a_late_start() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Process::start(&mut Command::new("false"), &directory.path().join("log")).unwrap();
        let error = process.wait_until(Duration::from_secs(10), "listen", || false).unwrap_err();
        assert!(error.to_string().contains("exit status: 1"), "{error}");
    }
}
