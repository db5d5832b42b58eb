//! An emulated machine with Debian's Linux 6.1, which has no socket tracepoints: tier B loads there and sees exchanges.
//!
//! The machine has nothing but this Sluice, and busybox for the server and the client. What it prints is what is compared.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sluice_integration::process::{Process, tied};

use crate::support::kernel::{members, records};
use crate::support::{Setup, executable, old_kernel, program};

/// An emulated processor takes its time.
const PATIENCE: Duration = Duration::from_secs(240);
const REQUESTS: usize = 20;

/// Runs as the first process of the machine, and ends it.
const INIT: &str = r#"#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /tmp
ip link set lo up
echo "kernel $(uname -r)"
sluice run --config /config.yaml > /tmp/log 2>&1 &
wait_for() { i=0; until eval "$1" || [ $i -gt 1200 ]; do usleep 50000; i=$((i + 1)); done; }
wait_for 'grep -q "Everything is ready" /tmp/log'
echo hello > /tmp/index.html
httpd -p 127.0.0.1:8080 -h /tmp
for number in $(seq REQUESTS); do
    wget -q -O /dev/null --header "traceparent: 00-TRACE-b7ad6b7169203331-01" "http://127.0.0.1:8080/index.html?n=$number"
done
wait_for '[ $(grep -o sluice.http.exchange /tmp/records.jsonl | wc -l) -ge $((2 * REQUESTS)) ]'
cat /tmp/log /tmp/records.jsonl
sync
poweroff -f
"#;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CONFIG: &str = "receivers:
  ebpf_network: {sampling: {window: 100ms, default: {ratio: 1}}}
exporters:
  file: {path: /tmp/records.jsonl}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    logs: {receivers: [ebpf_network], exporters: [file]}
";

#[test]
fn tier_b_sees_exchanges_on_linux_6_1() {
    let (Some(kernel), Some(qemu), Some(busybox), Some(strip)) =
        (old_kernel(), program("qemu-system-x86_64"), program("busybox"), program("strip"))
    else {
        return;
    };
    let setup = Setup::new();
    let root = setup.path("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    for directory in ["dev", "proc", "sys", "tmp"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    let copied =
        [("bin/busybox", busybox.as_path()), ("bin/sluice", &executable())].map(|(name, program)| {
            let place = root.join(name);
            let status = Command::new(&strip).arg("-o").arg(&place).arg(program).status().unwrap();
            assert!(status.success());
            place
        });
    copied.iter().for_each(|program| copy_libraries(program, &root));
    for name in "cat echo grep httpd ip mount poweroff seq sh sync uname usleep wc wget".split(' ') {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    let init = INIT.replace("REQUESTS", &REQUESTS.to_string()).replace("TRACE", TRACE);
    fs::write(root.join("init"), init).unwrap();
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(root.join("config.yaml"), CONFIG).unwrap();
    let image = setup.path("image");
    let packed = Command::new("sh")
        .args(["-c", "find . | \"$0\" cpio -o -H newc"])
        .arg(&busybox)
        .current_dir(&root)
        .stderr(Stdio::null())
        .stdout(fs::File::create(&image).unwrap())
        .status();
    assert!(packed.unwrap().success());

    let log = setup.path("machine.log");
    let mut command = tied(&qemu);
    command.args(["-accel", "tcg", "-cpu", "max", "-m", "1024", "-nic", "none", "-nographic", "-no-reboot"]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    command.args(["-append", "console=ttyS0 panic=-1 quiet"]);
    let mut machine = Process::start(&mut command, &log).unwrap();
    let ended = machine.wait(PATIENCE);
    let told = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    assert!(ended.is_ok(), "the machine runs on:\n{told}");

    assert!(told.contains("kernel 6.1."), "{told}");
    assert!(told.contains("B (system calls)"), "the tier is told:\n{told}");
    let exchanges: Vec<Value> = told
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("{\"resourceLogs\""))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .flat_map(|document: Value| records(&document).cloned().collect::<Vec<_>>())
        .collect();
    for role in ["client", "server"] {
        let of = |record: &Value, key: &str| {
            let pair = members(record, &["attributes"]).find(|pair| pair["key"] == key)?;
            pair["value"]["stringValue"].as_str().map(str::to_owned)
        };
        let mine: Vec<&Value> = exchanges
            .iter()
            .filter(|record| of(record, "sluice.event.role").as_deref() == Some(role))
            .collect();
        assert!(mine.iter().all(|record| record["traceId"] == TRACE), "{mine:#?}");
        let mut queries: Vec<u32> =
            mine.iter().map(|record| of(record, "url.query").unwrap()[2..].parse().unwrap()).collect();
        queries.sort_unstable();
        assert_eq!(queries, (1..=20).collect::<Vec<_>>(), "the {role}'s side:\n{told}");
    }
}

/// Copies what a program is linked with; nothing if it is static.
fn copy_libraries(program: &Path, root: &Path) {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(&library[1..]);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library, place).unwrap();
    }
}
