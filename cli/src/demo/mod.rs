//! `sluice demo`: a traced client, proxy and server, and what the kernel saw of them on their traces.

mod actor;
mod pipeline;
mod tracer;
mod tree;

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) use actor::act;

use crate::{
    arguments::DemoOptions,
    output::{CommandError, complain, print},
};

/// How long anything that the demo starts may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether it is.
const GLANCE: Duration = Duration::from_millis(20);

/// How long the events of the last spans may take: exchanges leave once a window, and a span waits for them.
const LINGER: Duration = Duration::from_secs(3);

/// Loopback ports for everything that listens.
struct Ports {
    otlp: u16,
    health: u16,
    proxy: u16,
    server: u16,
}

pub(crate) fn demo(options: &DemoOptions) -> Result<(), CommandError> {
    let folder = Folder::create()?;
    let obstacle = kernel_obstacle();
    if let Some(obstacle) = &obstacle {
        print(&format!(
            "The kernel side cannot be attached, so the traces below come without kernel events:\n  {obstacle}\n\n"
        ))?;
    }
    let ports = Ports::choose()?;
    let output = folder.0.join("traces.jsonl");
    let config = folder.0.join("demo.yaml");
    write(&config, &pipeline::configuration(&ports, &output, obstacle.is_none()))?;

    print(
        "Starting a pipeline, a server, a proxy and a client, each a process of its own on loopback ...\n",
    )?;
    let mut sluice =
        Process::start("the pipeline", &["run", "--config", &config.to_string_lossy()], &folder.0)?;
    sluice.wait_for(|| is_healthy(ports.health))?;
    let otlp = ports.otlp.to_string();
    let (server_port, proxy_port) = (ports.server.to_string(), ports.proxy.to_string());
    let mut server = Process::start(
        "the server",
        &["demo-actor", "server", "--listen", &server_port, "--otlp", &otlp],
        &folder.0,
    )?;
    server.wait_for(|| is_listening(ports.server))?;
    let mut proxy = Process::start(
        "the proxy",
        &["demo-actor", "proxy", "--listen", &proxy_port, "--upstream", &server_port, "--otlp", &otlp],
        &folder.0,
    )?;
    proxy.wait_for(|| is_listening(ports.proxy))?;
    let requests = options.requests.to_string();
    let client = Process::start(
        "the client",
        &["demo-actor", "client", "--upstream", &proxy_port, "--otlp", &otlp, "--requests", &requests],
        &folder.0,
    )?;
    client.finish()?;
    wait_for_events(&output, options.requests, obstacle.is_none());
    // In the order in which requests flow: whoever ends sends the spans that it still has.
    for process in [proxy, server, sluice] {
        process.stop()?;
    }
    let lines = fs::read_to_string(&output).unwrap_or_default();
    print(&tree::render(&lines))?;
    print(&pipeline::closing(obstacle.is_none()))
}

/// Why the programs cannot be loaded here, in the loader's own words.
#[cfg(feature = "ebpf")]
fn kernel_obstacle() -> Option<String> {
    sluice_ebpf::Programs::load(&sluice_ebpf::Settings::default()).err().map(|error| error.to_string())
}

#[cfg(not(feature = "ebpf"))]
fn kernel_obstacle() -> Option<String> {
    Some("the receiver ebpf_network is not in this build".to_owned())
}

impl Ports {
    fn choose() -> Result<Self, CommandError> {
        // All are held until all are chosen, so that they differ.
        let listener = || {
            TcpListener::bind(("127.0.0.1", 0))
                .map_err(|error| CommandError::io("cannot listen on a port of 127.0.0.1", error))
        };
        let listeners = [listener()?, listener()?, listener()?, listener()?];
        let mut ports = [0; 4];
        for (port, listener) in ports.iter_mut().zip(&listeners) {
            *port = listener
                .local_addr()
                .map_err(|error| CommandError::io("cannot find out a port that was bound", error))?
                .port();
        }
        let [otlp, health, proxy, server] = ports;
        Ok(Self { otlp, health, proxy, server })
    }
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether everything is attached and running, by the extension `health_check`.
fn is_healthy(port: u16) -> bool {
    let mut answer = String::new();
    TcpStream::connect(("127.0.0.1", port)).is_ok_and(|mut stream| {
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.split(' ').nth(1) == Some("200")
    })
}

/// Waits until all spans have come, each with its events; not for ever, since the kernel may have lost some.
fn wait_for_events(output: &Path, requests: usize, with_kernel: bool) {
    let until = Instant::now() + LINGER;
    while Instant::now() < until {
        let lines = fs::read_to_string(output).unwrap_or_default();
        if tree::is_complete(&lines, requests * SPANS_A_REQUEST, with_kernel) {
            return;
        }
        std::thread::sleep(GLANCE);
    }
}

/// Of client, proxy (twice) and server.
const SPANS_A_REQUEST: usize = 4;

/// A folder that goes when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, CommandError> {
        let path = std::env::temp_dir().join(format!("sluice-demo-{}", std::process::id()));
        fs::create_dir(&path)
            .map_err(|error| CommandError::io(format!("cannot create {}", path.display()), error))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    fs::write(path, text).map_err(|error| CommandError::io(format!("cannot write {}", path.display()), error))
}

/// A process of the demo, which does not outlive it.
struct Process {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Process {
    fn start(name: &'static str, arguments: &[&str], folder: &Path) -> Result<Self, CommandError> {
        let failed = |error| CommandError::io(format!("cannot start {name}"), error);
        let program = std::env::current_exe().map_err(failed)?;
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        let output = fs::File::create(&log).map_err(failed)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name, log, child })
    }

    fn wait_for(&mut self, is_ready: impl Fn() -> bool) -> Result<(), CommandError> {
        let until = Instant::now() + PATIENCE;
        while !is_ready() {
            if Instant::now() >= until || matches!(self.child.try_wait(), Ok(Some(_))) {
                return Err(self.failed("did not start"));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Waits for its end.
    fn finish(mut self) -> Result<(), CommandError> {
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(self.failed("failed")),
        }
    }

    /// Asks it to end, and waits.
    fn stop(mut self) -> Result<(), CommandError> {
        terminate(&self.child);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Ok(());
            }
            std::thread::sleep(GLANCE);
        }
        Err(self.failed("did not stop"))
    }

    fn failed(&self, how: &str) -> CommandError {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        for line in lines.iter().rev() {
            complain(&format!("  {line}\n"));
        }
        CommandError::Other(format!("{} {how}; its last words are above", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without effect on one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn terminate(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
