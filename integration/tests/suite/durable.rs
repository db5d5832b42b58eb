//! Sending queues on disk: what was answered survives the process, and what cannot work is said before anything is lost.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::block_in_place;

use crate::support::{
    Clients, Destination, Setup, Sluice, eventually, eventually_every, is_root, post, request, sum,
};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const QUEUE: &str = "exporter_otlp_traces.queue";

/// One exporter with its queue in `directory`; `storage` and `queue` are further keys.
fn config(setup: &Setup, target: SocketAddr, directory: &Path, storage: &str, queue: &str) -> String {
    let config = setup.config(
        &format!(
            "extensions:
  file_storage:
    directory: {}
    create_directory: true
{storage}
exporters:
  otlp:
    endpoint: {target}
    compression: none
    tls:
      insecure: true
    retry_on_failure:
      initial_interval: 50ms
      max_interval: 100ms
      max_elapsed_time: 0s
    sending_queue:
      storage: file_storage
      queue_size: 1000000
{queue}",
            directory.display()
        ),
        "    traces: {receivers: [otlp], exporters: [otlp]}",
    );
    config.replace("service:\n", "service:\n  extensions: [file_storage]\n")
}

fn send(setup: &Setup, number: u64, size: usize) -> u16 {
    post(setup.http, "/v1/traces", &[PROTOBUF], request(number, size)).status
}

fn kill(sluice: Sluice) {
    sluice.process.signal(Signal::KILL).unwrap();
    sluice.wait();
}

/// Everything below a directory with its content, but for the lock.
fn everything(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else if !path.ends_with("sluice.lock") {
            all.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(directory.join(QUEUE))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "segment"))
        .collect();
    names.sort();
    names
}

/// Killed at any moment while clients send: `SLUICE_KILL_ROUNDS` times, 20 if that is not set.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_nothing_that_was_answered() {
    let rounds: u64 =
        std::env::var("SLUICE_KILL_ROUNDS").map_or(20, |rounds| rounds.parse().expect("SLUICE_KILL_ROUNDS"));
    let destination = Destination::start().await;
    let setup = Setup::new();
    let directory = setup.path("queues");
    let config = config(&setup, destination.address, &directory, "", "");
    let clients = Clients::new();
    // Slower than the clients, so that there is always something in the queue when the end comes.
    destination.set_delay(Duration::from_millis(20));
    let mut left_behind = 0;
    for round in 0..rounds {
        let sluice = block_in_place(|| setup.start(&config, setup.http));
        let sending = clients.send(setup.http, 16);
        // Deliveries are recorded every half second: some rounds come so far, others repeat theirs.
        let lived = Duration::from_millis(fastrand::u64(10..900));
        tokio::time::sleep(lived).await;
        block_in_place(|| kill(sluice));
        for client in sending {
            client.await.unwrap();
        }
        let arrived = destination.arrived();
        left_behind += clients.answered().iter().filter(|number| !arrived.contains_key(number)).count();
        println!(
            "round {round}: {lived:?}, {} answered, {} arrived",
            clients.answered().len(),
            arrived.len()
        );
    }
    assert!(
        left_behind > 0,
        "nothing was ever in the queue when the process was killed: this proves nothing"
    );
    destination.set_delay(Duration::ZERO);
    let answered = clients.answered();
    assert!(answered.len() as u64 > rounds, "{} were answered", answered.len());
    let sluice = block_in_place(|| setup.start(&config, setup.http));
    block_in_place(|| {
        // There may be much to deliver: as long as more arrives, it is waited for.
        let mut missing = answered.len();
        while missing > 0 {
            let before = missing;
            eventually_every(Duration::from_millis(250), "everything that was answered arrives", || {
                let arrived = destination.arrived();
                missing = answered.iter().filter(|number| !arrived.contains_key(number)).count();
                missing == 0 || missing < before
            });
        }
        sluice.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_restart_repeats_nothing() {
    let destination = Destination::start().await;
    let setup = Setup::new();
    let directory = setup.path("queues");
    let config = config(&setup, destination.address, &directory, "", "");
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        for number in 0..20 {
            assert_eq!(send(&setup, number, 100), 200);
        }
        eventually("they arrive", || destination.count() == 20);
        destination.set_down(true);
        for number in 20..40 {
            assert_eq!(send(&setup, number, 100), 200, "it is safe although the destination is down");
        }
        let log = sluice.stop();
        assert!(!log.contains("lost"), "{log}");
        destination.set_down(false);
        let sluice = setup.start(&config, setup.http);
        eventually("the rest arrives", || destination.count() == 40);
        sluice.stop();
        let sluice = setup.start(&config, setup.http);
        assert_eq!(send(&setup, 40, 100), 200);
        eventually("what is new arrives", || destination.count() == 41);
        sluice.stop();
    });
    let repeated: Vec<_> = destination.arrived().into_iter().filter(|(_, times)| *times != 1).collect();
    assert_eq!(repeated, []);
    assert_eq!(segments(&directory), Vec::<PathBuf>::new(), "and the space is given back");
}

/// A file system of its own in memory, gone with the test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status().unwrap();
        assert!(done.success(), "mount -o {options}: {done}");
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_it_cannot_keep_and_nothing_else() {
    if !is_root() {
        return;
    }
    const SIZE: usize = 100_000;
    let destination = Destination::start().await;
    destination.set_down(true);
    let setup = Setup::new();
    let directory = setup.path("small");
    let _mounted = Mounted::new(&directory, "size=2m");
    let config = config(&setup, destination.address, &directory, "", "");
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        let answers: Vec<u16> = (0..40).map(|number| send(&setup, number, SIZE)).collect();
        let taken: Vec<u64> =
            (0..).zip(&answers).filter(|(_, status)| **status == 200).map(|(number, _)| number).collect();
        assert!((10..=20).contains(&taken.len()), "2 MiB have room for some of 100 KB: {answers:?}");
        assert!(answers.iter().all(|status| matches!(status, 200 | 503)), "{answers:?}");
        assert!(sluice.log().contains("the disk of the sending queue is full"), "{}", sluice.log());
        let refused = sum(setup.telemetry, "otelcol_exporter_enqueue_failed_spans", "otlp");
        assert_eq!(refused, 40 - taken.len());
        assert!(sum(setup.telemetry, "sluice_storage_failed_operations", "operation=\"full\"") > 0);
        kill(sluice);
        let sluice = setup.start(&config, setup.http);
        destination.set_down(false);
        eventually("what was taken arrives", || destination.count() >= taken.len());
        assert_eq!(destination.arrived().into_keys().collect::<Vec<_>>(), taken);
        eventually("there is room again", || send(&setup, 100, SIZE) == 200);
        sluice.stop();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_segment_costs_only_what_is_corrupted() {
    let destination = Destination::start().await;
    destination.set_down(true);
    let setup = Setup::new();
    let directory = setup.path("queues");
    let config = config(&setup, destination.address, &directory, "", "");
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        for number in 0..10 {
            assert_eq!(send(&setup, number, 1000), 200);
        }
        kill(sluice);
        let segment = segments(&directory).remove(0);
        let mut content = fs::read(&segment).unwrap();
        // In the payload of the sixth of ten equal records behind the header.
        let place = 64 + (content.len() - 64) / 10 * 5 + 300;
        content[place] ^= 0x40;
        fs::write(&segment, &content).unwrap();
        destination.set_down(false);
        let sluice = setup.start(&config, setup.http);
        eventually("the others arrive", || destination.count() == 9);
        assert_eq!(sum(setup.telemetry, "sluice_storage_lost_records", "reason=\"corrupt_payload\""), 1);
        assert_eq!(sum(setup.telemetry, "sluice_storage_lost_items", "reason=\"corrupt_payload\""), 1);
        assert!(sluice.log().contains("cannot be read back"), "{}", sluice.log());
        assert_eq!(send(&setup, 10, 1000), 200);
        eventually("it works on", || destination.count() == 10);
        sluice.stop();
    });
}

/// Each is refused at start, with the place in the configuration, and nothing is touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_used_is_explained() {
    let setup = Setup::new();
    let nobody = sluice_integration::process::free_address().unwrap();
    let mut bbolt = vec![0; 4096];
    bbolt[16..20].copy_from_slice(&0xed0c_daed_u32.to_ne_bytes());
    let cases: [(&str, &[u8], &str); 4] = [
        ("exporter_otlp__traces", &bbolt, "database of the OpenTelemetry Collector"),
        ("notes.txt", b"mine", "notes.txt is nothing of Sluice's"),
        ("exporter_otlp_traces.queue/core", b"mine", "holds \"core\", which is no file of a queue"),
        (
            "exporter_other_traces.queue/queue",
            b"sluice queue 1\nexporter otlp\nsignal traces\ncrc32c 35aeec15\n",
            "it holds the queue of exporter otlp, signal traces",
        ),
    ];
    block_in_place(|| {
        for (place, (name, content, words)) in cases.iter().enumerate() {
            let directory = setup.path(&format!("queues-{place}"));
            let file = directory.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
            let before = everything(&directory);
            let config = config(&setup, nobody, &directory, "", "");
            refused(&setup, &config, words);
            assert_eq!(everything(&directory), before, "{name}");
        }
        let file = setup.write("file", "");
        let config = config(&setup, nobody, &file, "", "");
        refused(&setup, &config, "is not a directory");
    });
}

/// Starts with a configuration whose storage directory cannot work.
fn refused(setup: &Setup, config: &str, words: &str) {
    let file = setup.write("config.yaml", config);
    fs::write(setup.path("sluice.log"), "").unwrap();
    let (status, log) = setup.spawn(&file).wait();
    assert_eq!(status.code(), Some(1), "{log}");
    let line = config.lines().position(|line| line.contains("directory: ")).unwrap() + 1;
    assert!(log.contains(&format!("config.yaml:{line}:16: error: ")), "{log}");
    assert!(log.contains(words), "{words} is not said in\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_directory_is_explained() {
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let nobody = sluice_integration::process::free_address().unwrap();
    let directory = setup.path("read-only");
    let _mounted = Mounted::new(&directory, "ro,size=1m");
    block_in_place(|| {
        let config = config(&setup, nobody, &directory, "", "");
        refused(&setup, &config, "must be writable");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_directory_is_refused() {
    let destination = Destination::start().await;
    let setup = Setup::new();
    let directory = setup.path("queues");
    block_in_place(|| {
        let first = setup.start(&config(&setup, destination.address, &directory, "", ""), setup.http);
        let mut second = config(&setup, destination.address, &directory, "    timeout: 100ms", "");
        let http = sluice_integration::process::free_address().unwrap();
        for (own, other) in [(setup.http, http)].into_iter().chain(
            [setup.grpc, setup.zipkin].map(|own| (own, sluice_integration::process::free_address().unwrap())),
        ) {
            second = second.replace(&own.to_string(), &other.to_string());
        }
        let telemetry = sluice_integration::process::free_address().unwrap();
        let port = |address: SocketAddr| format!("port: {}", address.port());
        second = second.replace(&port(setup.telemetry), &port(telemetry));
        refused(&setup, &second, &format!("is in use by process {}", first.process.id()));
        assert_eq!(send(&setup, 1, 10), 200);
        eventually("the first works on", || destination.count() == 1);
        first.stop();
        // It was the lock and nothing else.
        setup.start(&second, http).stop();
    });
}

/// A reload that changes the exporter hands its queue over, and loses and repeats nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_queue() {
    let (old, new) = (Destination::start().await, Destination::start().await);
    old.set_down(true);
    let setup = Setup::new();
    let directory = setup.path("queues");
    block_in_place(|| {
        let sluice = setup.start(&config(&setup, old.address, &directory, "", ""), setup.http);
        for number in 0..50 {
            assert_eq!(send(&setup, number, 100), 200);
        }
        setup.write("config.yaml", &config(&setup, new.address, &directory, "", "      num_consumers: 3"));
        sluice.process.signal(Signal::HUP).unwrap();
        for number in 50..100 {
            assert_eq!(send(&setup, number, 100), 200, "{}", sluice.log());
        }
        eventually("everything arrives at the new destination", || new.count() == 100);
        setup.write(
            "config.yaml",
            &config(&setup, new.address, &directory, "    fsync: false", "      num_consumers: 2"),
        );
        sluice.process.signal(Signal::HUP).unwrap();
        eventually("the storage is replaced too", || {
            sluice.log().matches("Opened a sending queue").count() == 2
        });
        assert_eq!(send(&setup, 100, 100), 200);
        eventually("it works on", || new.count() == 101);
        sluice.stop();
    });
    assert!(new.arrived().values().all(|times| *times == 1));
    assert_eq!(old.count(), 0);
}

/// `sizer: bytes` is the limit in bytes; `retention` gives up the oldest instead.
#[tokio::test(flavor = "multi_thread")]
async fn limits_in_bytes_refuse_and_retention_evicts() {
    let destination = Destination::start().await;
    destination.set_down(true);
    let setup = Setup::new();
    block_in_place(|| {
        let limited = config(&setup, destination.address, &setup.path("limited"), "", "      sizer: bytes");
        let limited = limited.replace("queue_size: 1000000", "queue_size: 10000");
        let sluice = setup.start(&limited, setup.http);
        let answers: Vec<u16> = (0..6).map(|number| send(&setup, number, 3000)).collect();
        assert_eq!(answers, [200, 200, 200, 503, 503, 503]);
        eventually("its size is in bytes", || {
            sum(setup.telemetry, "otelcol_exporter_queue_size", "otlp") > 9_000
        });
        assert_eq!(sum(setup.telemetry, "otelcol_exporter_queue_capacity", "otlp"), 10_000);
        kill(sluice);

        let storage = "    retention:\n      max_size_mib: 1";
        let evicting =
            config(&setup, destination.address, &setup.path("evicting"), storage, "      num_consumers: 1");
        let sluice = setup.start(&evicting, setup.http);
        assert!((0..60).all(|number| send(&setup, number, 100_000) == 200), "nothing is refused");
        eventually("the oldest are given up", || {
            sum(setup.telemetry, "sluice_storage_lost_items", "reason=\"evicted\"") > 0
        });
        kill(sluice);
    });
}

/// An exporter that is gone from the configuration leaves its queue, which is told of at each start until it is dealt with.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_no_exporter_has_any_more_is_told_of() {
    const WARNING: &str = "belongs to no exporter that uses this storage";
    let destination = Destination::start().await;
    destination.set_down(true);
    let setup = Setup::new();
    let directory = setup.path("queues");
    let config = config(&setup, destination.address, &directory, "", "");
    let renamed = config.replace("  otlp:\n    endpoint: 127", "  otlp/new:\n    endpoint: 127");
    let renamed = renamed.replace("exporters: [otlp]", "exporters: [otlp/new]");
    block_in_place(|| {
        let sluice = setup.start(&config, setup.http);
        assert_eq!(send(&setup, 1, 1000), 200);
        assert!(!sluice.log().contains(WARNING), "{}", sluice.log());
        kill(sluice);
        let before = everything(&directory);
        fs::write(setup.path("sluice.log"), "").unwrap();
        let sluice = setup.start(&renamed, setup.http);
        let queue = directory.join(QUEUE);
        eventually("it is ready", || sluice.log().contains("Everything is ready"));
        let log = sluice.log();
        assert!(log.contains(WARNING) && log.contains(&queue.display().to_string()), "{log}");
        assert!(log.contains("exporter otlp, signal traces"), "{log}");
        kill(sluice);
        let after: Vec<_> =
            everything(&directory).into_iter().filter(|(path, _)| path.starts_with(&queue)).collect();
        assert_eq!(after, before, "nothing is touched");
        fs::write(setup.path("sluice.log"), "").unwrap();
        destination.set_down(false);
        let sluice = setup.start(&config, setup.http);
        eventually("the exporter is back and it is delivered", || destination.count() == 1);
        // What the renamed exporter left is empty.
        assert!(!sluice.log().contains(WARNING), "{}", sluice.log());
        sluice.stop();
    });
}

#[test]
fn the_directory_is_checked_by_validate() {
    let setup = Setup::new();
    let nobody = sluice_integration::process::free_address().unwrap();
    let config = config(&setup, nobody, Path::new("/no/such/directory"), "", "");
    let file = setup.write("config.yaml", &config.replace("    create_directory: true\n", ""));
    let output = setup.command().args(["validate", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/no/such/directory does not exist") && said.contains("config.yaml:"), "{said}");
}
