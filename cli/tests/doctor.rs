//! `sluice doctor` as users run it: with the capabilities of the deployment files, with fewer, and in containers.
#![cfg(feature = "ebpf")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sluice_pipeline::config::{Node, Problems, parse};

const SLUICE: &str = env!("CARGO_BIN_EXE_sluice");

/// Whether this process may give capabilities away. Says loudly that a test is skipped; in CI that is a failure.
fn is_privileged() -> bool {
    let is_host =
        std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link == Path::new("pid:[4026531836]"));
    let can_change =
        Command::new("setpriv").args(["--reuid=65534", "true"]).status().is_ok_and(|status| status.success());
    let reason = match (can_change, is_host) {
        (true, true) => return true,
        (false, _) => "needs root and setpriv (util-linux)",
        (true, false) => "needs the host's PID namespace",
    };
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!is_ci, "skipped: {reason}, which CI has to provide");
    eprintln!("skipped: {reason}");
    false
}

struct Outcome {
    code: Option<i32>,
    found: Value,
    error: String,
}

impl Outcome {
    /// Runs a command that ends in `sluice doctor --json`.
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}\n{error}", String::from_utf8_lossy(&output.stdout)));
        Self { code: output.status.code(), found, error }
    }

    /// Nothing works, and the reason and what mends it are these.
    fn is_fatal(&self, what: &str, mend: &str) {
        assert_eq!(self.code, Some(1), "{:#}", self.found);
        assert_eq!((&self.found["works"], &self.found["tier"]), (&Value::Bool(false), &Value::Null));
        assert!(self.error.contains("kernel events do not work here"), "{}", self.error);
        let problem = &self.found["problems"][0];
        assert_eq!(problem["fatal"], true);
        assert!(problem["what"].as_str().unwrap().contains(what), "{problem:#}");
        assert!(problem["mend"].as_str().unwrap().contains(mend), "{problem:#}");
    }

    /// Tier A works; returns the problems that are left.
    fn works(&self) -> Vec<String> {
        assert_eq!(self.code, Some(0), "{:#}", self.found);
        assert_eq!((&self.found["works"], &self.found["tier"]), (&Value::Bool(true), &Value::from("a")));
        let tiers = self.found["tiers"].as_array().unwrap();
        assert!(
            tiers.iter().all(|tier| tier["loads"] == true && tier["milliseconds"].is_u64()),
            "{tiers:#?}"
        );
        let problems = self.found["problems"].as_array().unwrap();
        problems.iter().map(|it| it["what"].as_str().unwrap().to_owned()).collect()
    }
}

/// Capabilities as `setpriv` takes them, from names with or without `CAP_`.
fn set(names: &[String]) -> String {
    let added = names.iter().map(|name| name.trim_start_matches("CAP_").to_lowercase());
    added.fold("-all".to_owned(), |set, name| set + ",+" + &name)
}

/// With exactly these capabilities, as another user than root if so, and without a way to gain others.
fn with_capabilities(names: &[String], is_root: bool) -> Outcome {
    let set = set(names);
    let mut command = Command::new("setpriv");
    command.args([format!("--bounding-set={set}"), format!("--inh-caps={set}"), "--no-new-privs".to_owned()]);
    if !is_root {
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(format!("--ambient-caps={set}"));
    }
    Outcome::of(command.args([SLUICE, "doctor", "--json"]))
}

/// With all that this process has. Some processes may be protected even from that.
fn everything() -> Outcome {
    Outcome::of(Command::new(SLUICE).args(["doctor", "--json"]))
}

fn refused(outcome: &Outcome) -> u64 {
    outcome.found["process_identity"]["refused"].as_u64().unwrap()
}

/// After a preparation in new namespaces.
fn prepared(namespaces: &[&str], preparation: &str) -> Outcome {
    let script = format!("{preparation}\nexec \"$0\" doctor --json");
    Outcome::of(Command::new("unshare").args(namespaces).args(["sh", "-ec", &script, SLUICE]))
}

fn deployment(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unit_values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

fn yaml(text: &str) -> Node {
    let mut problems = Problems::default();
    let node = parse("deployment", text, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    node.unwrap()
}

fn text<'a>(node: &'a Node, path: &str) -> &'a str {
    node.nearest(path).as_text().unwrap_or_else(|| panic!("no {path}"))
}

fn texts(node: &Node, path: &str) -> Vec<String> {
    let items = node.nearest(path).as_sequence().unwrap_or_else(|| panic!("no {path}"));
    items.iter().map(|item| item.as_text().unwrap().to_owned()).collect()
}

fn documents() -> (Node, Node) {
    let file = deployment("kubernetes/daemonset.yaml");
    let documents: Vec<Node> = file.split("\n---\n").map(yaml).collect();
    let of_kind =
        |kind: &str| documents.iter().find(|document| text(document, "kind") == kind).unwrap().clone();
    (of_kind("ConfigMap"), of_kind("DaemonSet"))
}

#[test]
fn the_units_capabilities_are_enough_and_each_is_needed() {
    let unit = deployment("systemd/sluice.service");
    let capabilities = unit_values(&unit, "AmbientCapabilities");
    assert_eq!(capabilities, unit_values(&unit, "CapabilityBoundingSet"));
    assert!(unit_values(&unit, "SystemCallFilter").contains(&"bpf".to_owned()));
    for hides in ["PrivateUsers", "PrivatePIDs", "ProtectProc", "ProcSubset"] {
        assert!(unit_values(&unit, hides).is_empty(), "{hides} hides what is to be seen");
    }
    if !is_privileged() {
        return;
    }
    let mut other = Command::new("sleep").arg("100").spawn().unwrap();
    let all = with_capabilities(&capabilities, false);
    other.kill().unwrap();
    other.wait().unwrap();
    all.works();
    assert!(
        refused(&all) <= refused(&everything()),
        "programs of other users' processes are known: {:#}",
        all.found
    );
    for missing in &capabilities {
        let rest: Vec<String> = capabilities.iter().filter(|it| *it != missing).cloned().collect();
        let without = with_capabilities(&rest, false);
        if missing == "CAP_SYS_PTRACE" {
            assert!(without.works().iter().any(|it| it.contains("/proc/PID/exe")), "{:#}", without.found);
            assert!(refused(&without) > refused(&everything()), "{:#}", without.found);
        } else {
            without.is_fatal(&format!("lacks {missing}"), "SYS_PTRACE");
        }
    }
}

#[test]
fn the_daemon_sets_capabilities_are_enough() {
    let (config_map, daemon_set) = documents();
    assert_eq!((text(&config_map, "kind"), text(&daemon_set, "kind")), ("ConfigMap", "DaemonSet"));
    let pod = daemon_set.nearest("spec.template.spec");
    let container = pod.nearest("containers.0");
    let is_true = |node: &Node, path: &str| {
        matches!(node.nearest(path).value, sluice_pipeline::config::Value::Bool(true))
    };
    assert!(is_true(pod, "hostPID"));
    assert!(!is_true(pod, "hostNetwork") && !is_true(container, "securityContext.privileged"));
    assert_eq!(texts(container, "securityContext.capabilities.drop"), ["ALL"]);
    let mounts = container.nearest("volumeMounts").as_sequence().unwrap();
    let volumes = pod.nearest("volumes").as_sequence().unwrap();
    for path in ["/sys/kernel/btf", "/sys/fs/cgroup", "/etc/sluice"] {
        let mount = mounts.iter().find(|mount| text(mount, "mountPath") == path).unwrap();
        assert!(is_true(mount, "readOnly"));
        let volume = volumes.iter().find(|volume| text(volume, "name") == text(mount, "name")).unwrap();
        assert!(path == "/etc/sluice" || text(volume, "hostPath.path") == path);
    }
    let labels = |path: &str| {
        daemon_set
            .nearest(path)
            .as_mapping()
            .unwrap()
            .get("app.kubernetes.io/name")
            .unwrap()
            .as_text()
            .unwrap()
    };
    assert_eq!(labels("spec.selector.matchLabels"), labels("spec.template.metadata.labels"));
    if !is_privileged() {
        return;
    }
    let outcome = with_capabilities(&texts(container, "securityContext.capabilities.add"), true);
    outcome.works();
    assert!(refused(&outcome) <= refused(&everything()), "{:#}", outcome.found);
}

#[test]
fn the_config_map_is_valid_where_its_receiver_is_in_the_build() {
    let (config_map, _) = documents();
    let config = config_map.get("data").unwrap().get("sluice.yaml").unwrap().as_text().unwrap();
    yaml(config);
    let listed = Command::new(SLUICE).args(["components", "--format", "yaml"]).output().unwrap();
    let has_receiver = String::from_utf8_lossy(&listed.stdout).contains("- name: ebpf_network\n");
    let checked =
        Command::new(SLUICE).args(["validate", "--config", &format!("yaml:{config}")]).output().unwrap();
    let errors = String::from_utf8_lossy(&checked.stderr);
    if has_receiver {
        assert!(checked.status.success(), "{errors}");
    } else {
        let errors: Vec<&str> = errors.lines().filter(|line| line.contains("error: ")).collect();
        assert!(!errors.is_empty() && errors.iter().all(|line| line.contains("ebpf_network")), "{errors:?}");
    }
}

#[test]
fn without_privileges_the_command_that_mends_it_is_named() {
    if !is_privileged() {
        return;
    }
    let unprivileged = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
            SLUICE,
            "doctor",
        ]);
        command.args(arguments).env_remove("KUBERNETES_SERVICE_HOST");
        command
    };
    let is_container = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
    let mend = if is_container {
        "capabilities.add: [BPF"
    } else {
        "sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep /"
    };
    Outcome::of(&mut unprivileged(&["--json"])).is_fatal("lacks CAP_BPF and CAP_PERFMON", mend);
    let shown = unprivileged(&[]).output().unwrap();
    let table = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(1));
    let in_kubernetes =
        unprivileged(&["--json"]).env("KUBERNETES_SERVICE_HOST", "10.0.0.1").output().unwrap();
    assert!(
        String::from_utf8_lossy(&in_kubernetes.stdout)
            .contains("capabilities.add: [BPF, PERFMON, SYS_PTRACE]")
    );
    for words in ["Kernel events do not work here.", "CAP_BPF", "What is missing:", "mend:  "] {
        assert!(table.contains(words), "{words}:\n{table}");
    }
}

#[test]
fn in_a_pid_namespace_it_works_and_says_what_that_costs() {
    if !is_privileged() {
        return;
    }
    let outcome = prepared(&["--pid", "--fork", "--mount-proc"], "");
    let problems = outcome.works();
    assert!(problems.iter().any(|it| it.contains("PID namespace")), "{problems:?}");
    assert_eq!(outcome.found["host_pid_namespace"], false);
    assert!(outcome.found.to_string().contains("hostPID: true"));
}

#[test]
fn in_a_user_namespace_capabilities_do_not_count() {
    if !is_privileged() {
        return;
    }
    prepared(&["--user", "--map-root-user"], "")
        .is_fatal("user namespace (a rootless container)", "hostUsers: true");
}

#[test]
fn without_the_kernels_types_it_says_so() {
    if !is_privileged() {
        return;
    }
    prepared(&["--mount"], "mount -t tmpfs none /sys/kernel/btf")
        .is_fatal("no /sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF");
    prepared(&["--mount"], "mount -t tmpfs none /sys").is_fatal("/sys is not mounted", "mount -t sysfs");
}

#[test]
fn a_seccomp_filter_is_told_from_a_lack_of_capabilities() {
    if !is_privileged() {
        return;
    }
    for error in [libc_error::NOT_PERMITTED, libc_error::NO_SUCH_CALL] {
        let outcome = Outcome::of(Command::new("python3").args([
            "-c",
            FILTER,
            &error.to_string(),
            SLUICE,
            "doctor",
            "--json",
        ]));
        outcome.is_fatal("seccomp filter", "SystemCallFilter=bpf");
        assert_eq!(outcome.found["seccomp_filter"], true);
    }
}

/// What container runtimes answer to a call that their profile does not allow.
mod libc_error {
    pub(super) const NOT_PERMITTED: i32 = 1;
    pub(super) const NO_SUCH_CALL: i32 = 38;
}

/// Lets the call bpf fail with the error given, then runs the rest of the command line.
const FILTER: &str = "
import ctypes, os, struct, sys
number = {'x86_64': 321, 'aarch64': 280}[os.uname().machine]
code = struct.pack('HBBI', 0x20, 0, 0, 0)
code += struct.pack('HBBI', 0x15, 0, 1, number)
code += struct.pack('HBBI', 0x06, 0, 0, 0x50000 | int(sys.argv[1]))
code += struct.pack('HBBI', 0x06, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(buffer)))
assert ctypes.CDLL(None).prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program))) == 0
os.execv(sys.argv[2], sys.argv[2:])
";
