//! Sending queues on the disks of emulated machines: the power is cut under load, again and again, and disks report errors.
//! What was answered is compared with what was delivered.
//!
//! The disk has a write cache that goes with the power: each time, the machine's writes go to a new layer of the image, of
//! which QEMU keeps in memory what has been written where until the machine flushes. Killing QEMU loses that.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_integration::process::{Process, free_address};
use tokio::{runtime::Handle, task::block_in_place};

use crate::support::machine::Machines;
use crate::support::{Clients, Destination, Setup, post, program, request, sum};

/// How often the power is cut.
const CUTS: usize = 20;
/// Machines that run at the same time, each with a disk of its own.
const LANES: usize = 2;
/// An emulated processor takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

const SCRIPT: &str = "
ip link set eth0 up; ip address add 10.0.2.15/24 dev eth0
mount -t $FILE_SYSTEM /dev/vda /queues
sluice run --config /config.yaml 2>&1
poweroff -f
";

/// Sees the host's loopback interface as 10.0.2.2.
const CONFIG: &str = "receivers:
  otlp: {protocols: {http: {endpoint: '0.0.0.0:4318'}}}
extensions:
  file_storage: {directory: /queues, fsync: '${env:FSYNC}'}
exporters:
  otlp:
    endpoint: 10.0.2.2:PORT
    compression: none
    timeout: 20s
    tls: {insecure: true}
    retry_on_failure: {initial_interval: 50ms, max_interval: 100ms, max_elapsed_time: 0s}
    sending_queue: {storage: file_storage, queue_size: 1000000}
service:
  extensions: [file_storage]
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}}
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp]}
";

/// What the machines of a test share.
struct Laboratory {
    setup: Setup,
    destination: Destination,
    machines: Machines,
    image_tool: PathBuf,
    format_tool: PathBuf,
    check_tool: PathBuf,
}

/// A machine with a Sluice that is ready.
struct Machine {
    process: Process,
    http: SocketAddr,
    telemetry: SocketAddr,
    log: PathBuf,
}

/// A disk, with a layer for each time that it was used.
struct Disk {
    name: String,
    file_system: &'static str,
    layers: usize,
}

impl Laboratory {
    async fn new() -> Option<Self> {
        let setup = Setup::new();
        let destination = Destination::start().await;
        let config = CONFIG.replace("PORT", &destination.address.port().to_string());
        let machines = Machines::new(&setup, SCRIPT, "", &[("config.yaml", &config)])?;
        Some(Self {
            setup,
            destination,
            machines,
            image_tool: program("qemu-img")?,
            format_tool: program("mkfs.ext4")?,
            check_tool: program("e2fsck")?,
        })
    }

    /// An empty file system on a new disk.
    fn disk(&self, name: &str, file_system: &'static str) -> Disk {
        let image = self.setup.path(&format!("{name}-0"));
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run(Command::new(&self.format_tool).args(["-q", "-t", file_system]).arg(image));
        Disk { name: name.to_owned(), file_system, layers: 0 }
    }

    /// Puts a write cache before what the disk holds.
    fn cached(&self, disk: &mut Disk) -> String {
        let below = disk.image(&self.setup);
        let format = if disk.layers == 0 { "raw" } else { "qcow2" };
        disk.layers += 1;
        let image = disk.image(&self.setup);
        let mut create = Command::new(&self.image_tool);
        create.args(["create", "-q", "-f", "qcow2", "-o", "cluster_size=4096", "-F", format, "-b"]);
        run(create.arg(below).arg(&image));
        // The cache never writes by itself.
        format!("file={},format=qcow2,l2-cache-size=1M,cache-clean-interval=0", image.display())
    }

    /// Starts a machine with this disk.
    fn boot(&self, disk: &Disk, drive: &str, is_synced: bool) -> Machine {
        let [http, telemetry] = [(); 2].map(|()| free_address().unwrap());
        let log = self.setup.path(&format!("{}-{}.log", disk.name, http.port()));
        let forward = |to: SocketAddr, port: u16| format!("hostfwd=tcp:{to}-10.0.2.15:{port}");
        let devices = [
            "-netdev".to_owned(),
            format!("user,id=net,{},{}", forward(http, 4318), forward(telemetry, 8888)),
            "-device".to_owned(),
            "virtio-net-pci,netdev=net,romfile=".to_owned(),
            "-drive".to_owned(),
            format!("{drive},if=virtio,cache=writeback"),
        ];
        let variables = format!("FILE_SYSTEM={} FSYNC={is_synced}", disk.file_system);
        let process = self.machines.start(&log, &variables, &devices);
        let mut machine = Machine { process, http, telemetry, log };
        machine.wait_until("be ready", |machine| machine.told().contains("Everything is ready"));
        machine
    }

    /// Waits for all that was answered; if something stays away, says what, and what is left in the queue.
    fn wait_until_delivered(&self, machine: &mut Machine, answered: &BTreeSet<u64>) {
        let missing = || -> Vec<u64> {
            let arrived = self.destination.arrived();
            answered.iter().copied().filter(|number| !arrived.contains_key(number)).collect()
        };
        let begin = Instant::now();
        while !missing().is_empty() {
            let ended = machine.process.wait(Duration::from_millis(10)).is_ok();
            if ended || begin.elapsed() > PATIENCE {
                let left = (!ended).then(|| sum(machine.telemetry, "otelcol_exporter_queue_size", "otlp"));
                panic!(
                    "{:?} of {} did not arrive, {left:?} are in the queue\n{}",
                    missing(),
                    answered.len(),
                    machine.told()
                );
            }
        }
    }
}

impl Machine {
    fn told(&self) -> String {
        read(&self.log)
    }

    fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !condition(self) {
            let ended = self.process.wait(Duration::from_millis(10)).is_ok();
            assert!(!ended && begin.elapsed() < PATIENCE, "it did not {what}\n{}", self.told());
        }
    }

    /// What is gone is the machine's memory and what its disk had not been told to keep.
    fn cut_power(self) -> String {
        drop(self.process);
        read(&self.log)
    }
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

impl Disk {
    fn image(&self, setup: &Setup) -> PathBuf {
        setup.path(&format!("{}-{}", self.name, self.layers))
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Cuts the power of a machine while clients send, and starts it again; gives the disk and how often something was left
/// in its queue.
fn cut_again_and_again(laboratory: &Laboratory, clients: &Arc<Clients>, name: &str) -> (Disk, usize) {
    let mut disk = laboratory.disk(name, "ext4");
    let mut left_behind = 0;
    for round in 0..CUTS / LANES {
        let drive = laboratory.cached(&mut disk);
        let mut machine = laboratory.boot(&disk, &drive, true);
        let before = clients.answered().len();
        let sending = clients.send(machine.http, 8);
        machine.wait_until("answer", |_| clients.answered().len() > before);
        let lived = Duration::from_millis(fastrand::u64(0..1200));
        std::thread::sleep(lived);
        let told = machine.cut_power();
        for client in sending {
            Handle::current().block_on(client).unwrap();
        }
        let (answered, arrived) = (clients.answered(), laboratory.destination.arrived());
        let left = answered.iter().filter(|number| !arrived.contains_key(number)).count();
        left_behind += left;
        let torn = told.matches("was cut short").count();
        println!(
            "{name}, cut {round}: after {lived:?} {} answered, {left} left in the queue, {torn} torn",
            answered.len() - before
        );
        assert!(!told.contains("cannot be read back"), "what was synced is damaged:\n{told}");
    }
    (disk, left_behind)
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_under_load_lose_nothing_that_was_answered() {
    let Some(laboratory) = Laboratory::new().await else { return };
    // Slower than the clients, so that there is always something in the queue when the power goes.
    laboratory.destination.set_delay(Duration::from_millis(300));
    let clients: Vec<Arc<Clients>> =
        (0..LANES as u64).map(|lane| Clients::numbered_from(1 + (lane << 32))).collect();
    let (laboratory, runtime) = (&laboratory, Handle::current());
    block_in_place(|| {
        let in_lane = &|lane: usize, clients: &Arc<Clients>| {
            let _entered = runtime.enter();
            let (disk, left_behind) = cut_again_and_again(laboratory, clients, &format!("disk-{lane}"));
            assert!(
                left_behind > 0,
                "nothing was ever in the queue when the power went: this proves nothing"
            );
            disk
        };
        let disks: Vec<Disk> = std::thread::scope(|scope| {
            let lanes: Vec<_> = clients
                .iter()
                .enumerate()
                .map(|(lane, clients)| scope.spawn(move || in_lane(lane, clients)))
                .collect();
            lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
        });
        laboratory.destination.set_delay(Duration::ZERO);
        for (mut disk, clients) in disks.into_iter().zip(clients) {
            let answered = clients.answered();
            assert!(answered.len() > CUTS, "{} were answered", answered.len());
            let drive = laboratory.cached(&mut disk);
            let mut machine = laboratory.boot(&disk, &drive, true);
            laboratory.wait_until_delivered(&mut machine, &answered);
            println!("{}: {} answered and delivered", disk.name, answered.len());
        }
    });
}

/// That the test above can fail: where nothing is synced before the answer, it would. A cut right after one of the syncs in
/// the background may lose nothing; then it is cut again.
#[tokio::test(flavor = "multi_thread")]
async fn without_syncs_a_power_cut_loses_what_was_answered() {
    let Some(laboratory) = Laboratory::new().await else { return };
    let mut disk = laboratory.disk("disk", "ext4");
    for round in 0..5 {
        if lost_without_syncs(&laboratory, &mut disk, round << 32).await > 0 {
            return;
        }
    }
    panic!("nothing was ever lost");
}

/// How much of what was answered is lost by a power cut where nothing is synced before.
async fn lost_without_syncs(laboratory: &Laboratory, disk: &mut Disk, first: u64) -> usize {
    let last = u64::MAX - first;
    laboratory.destination.set_down(true);
    let clients = Clients::numbered_from(first + 1);
    let mut machine = block_in_place(|| {
        let drive = laboratory.cached(disk);
        laboratory.boot(disk, &drive, false)
    });
    let sending = clients.send(machine.http, 8);
    block_in_place(|| machine.wait_until("answer", |_| !clients.answered().is_empty()));
    tokio::time::sleep(Duration::from_millis(1700)).await;
    block_in_place(|| machine.cut_power());
    for client in sending {
        client.await.unwrap();
    }
    laboratory.destination.set_down(false);
    block_in_place(|| {
        let drive = laboratory.cached(disk);
        let mut machine = laboratory.boot(disk, &drive, false);
        let answer =
            post(machine.http, "/v1/traces", &[("content-type", "application/x-protobuf")], request(last, 1));
        assert_eq!(answer.status, 200);
        machine.wait_until("deliver what it has", |machine| {
            laboratory.destination.arrived().contains_key(&last)
                && sum(machine.telemetry, "otelcol_exporter_queue_size", "otlp") == 0
        });
    });
    let (answered, arrived) = (clients.answered(), laboratory.destination.arrived());
    let lost = answered.iter().filter(|number| !arrived.contains_key(number)).count();
    println!("{lost} of {} are lost", answered.len());
    lost
}

/// The rules by which QEMU's `blkdebug` fails one flush after so many that work.
///
/// Not several in a row: the next segment would fail with nothing in it and be removed. Without a journal the disk still has
/// it, with blocks that another segment has by now, and the repair may spoil those.
fn failing_flush(after: usize) -> String {
    let count = |state: usize| {
        format!(
            "[set-state]\nevent = \"flush_to_disk\"\nstate = \"{state}\"\nnew_state = \"{}\"\n",
            state + 1
        )
    };
    let fail = format!(
        "[inject-error]\nevent = \"flush_to_disk\"\nstate = \"{after}\"\niotype = \"flush\"\nerrno = \"5\"\n\
         once = \"on\"\n"
    );
    (1..=after).map(count).chain([fail]).collect()
}

/// A disk that reports an error for one of its flushes, under a file system without a journal, which goes on after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_is_answered_with_an_error_and_nothing_else_is_lost() {
    let Some(laboratory) = Laboratory::new().await else { return };
    laboratory.destination.set_down(true);
    let clients = Clients::new();
    let disk = laboratory.disk("disk", "ext2");
    let rules = laboratory.setup.write("rules", &failing_flush(60));
    let image = disk.image(&laboratory.setup);
    let failing = format!("file=blkdebug:{}:{},format=raw", rules.display(), image.display());
    block_in_place(|| {
        let mut machine = laboratory.boot(&disk, &failing, true);
        let sending = clients.send(machine.http, 8);
        machine.wait_until("fail", |_| clients.refused() > 0);
        let then = clients.answered().len();
        machine.wait_until("go on", |_| clients.answered().len() > then + 100);
        let failed = sum(machine.telemetry, "sluice_storage_failed_operations", "operation=\"sync\"");
        assert_eq!(failed, 1, "syncs have failed");
        assert!(clients.refused() >= failed, "all who waited were told");
        let told = machine.cut_power();
        assert!(told.contains("cannot sync the sending queue's storage"), "{told}");
        println!("{failed} failed, {} refused, {} answered", clients.refused(), clients.answered().len());
        drop(sending);

        // As a system does when it starts.
        let repaired = Command::new(&laboratory.check_tool).arg("-fy").arg(&image).output().unwrap();
        assert!(matches!(repaired.status.code(), Some(0 | 1)), "{repaired:?}");
        laboratory.destination.set_down(false);
        let sound = format!("file={},format=raw", image.display());
        let mut machine = laboratory.boot(&disk, &sound, true);
        let answered = clients.answered();
        laboratory.wait_until_delivered(&mut machine, &answered);
    });
}
