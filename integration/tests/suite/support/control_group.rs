//! Control groups like those of containers in pods.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sluice_integration::process::tied;
use tempfile::TempDir;

use super::{is_root, skip_for_host};

/// A control group of a container. It goes with its owner, once its processes are gone.
pub(crate) struct ControlGroup {
    path: PathBuf,
    /// Where its hierarchy is seen, if this host shows none that can be written.
    _mount: Option<Mount>,
}

/// The unified hierarchy, mounted for one process alone. Others see it through that process while it lives.
struct Mount {
    process: Child,
    directory: TempDir,
}

impl ControlGroup {
    /// That of a container of a pod: in a hierarchy that is mounted, else in one that is mounted for it.
    ///
    /// # Errors
    /// Why this host lets nobody make one.
    pub(crate) fn of_container(pod: &str, container: &str) -> Result<Self, String> {
        let folder = folder(pod, container);
        let mut reasons = Vec::new();
        for place in mounted() {
            match Self::make(place.join(&folder), None) {
                Ok(group) => return Ok(group),
                Err(reason) => reasons.push(reason),
            }
        }
        Mount::new()
            .and_then(|mount| Self::make(mount.path().join(&folder), Some(mount)))
            .map_err(|reason| format!("{}; {reason}", reasons.join("; ")))
    }

    fn make(path: PathBuf, mount: Option<Mount>) -> Result<Self, String> {
        fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        let group = Self { path, _mount: mount };
        // Not every group takes processes.
        if group.run(&["true"]) {
            Ok(group)
        } else {
            Err(format!("no process enters {}", group.path.display()))
        }
    }

    pub(crate) fn add(&self, process: u32) {
        fs::write(self.path.join("cgroup.procs"), process.to_string()).unwrap();
    }

    /// Runs a command in it; whether it ended well.
    pub(crate) fn run(&self, command: &[&str]) -> bool {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo 0 > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&self.path).args(command);
        shell.status().unwrap().success()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let begin = Instant::now();
        while fs::remove_dir(&self.path).is_err() && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = fs::remove_dir(self.path.parent().unwrap());
    }
}

/// As the runtime names it.
fn folder(pod: &str, container: &str) -> String {
    format!("kubepods-burstable-pod{}.slice/cri-containerd-{container}.scope", pod.replace('-', "_"))
}

/// Where hierarchies are mounted, the unified one first.
fn mounted() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mut places: Vec<(&str, &str)> = mounts
        .lines()
        .filter_map(|line| {
            let parts: Vec<&str> = line.split(' ').collect();
            parts.get(2).filter(|kind| kind.starts_with("cgroup")).map(|kind| (*kind, parts[1]))
        })
        .collect();
    // A new group of processors and memory nodes has none, and takes no process before it has.
    places.retain(|(_, place)| !place.contains("cpuset"));
    places.sort_by_key(|(kind, _)| *kind != "cgroup2");
    places.into_iter().map(|(_, place)| PathBuf::from(place)).collect()
}

impl Mount {
    fn new() -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let script = "mount -t cgroup2 none \"$0\" && echo mounted && exec cat";
        let process = tied(Path::new("unshare"))
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let process = process.map_err(|error| format!("cannot run setpriv and unshare: {error}"))?;
        let mut mount = Self { process, directory };
        let mut line = String::new();
        BufReader::new(mount.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.trim() == "mounted" {
            return Ok(mount);
        }
        let mut reason = String::new();
        mount.process.stderr.take().unwrap().read_to_string(&mut reason).unwrap();
        Err(format!("cannot mount cgroup2: {}", reason.trim()))
    }

    fn path(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.process.id());
        Path::new(&root).join(self.directory.path().strip_prefix("/").unwrap())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where what is mounted is read-only, as in most containers, there still is one.
#[test]
fn a_control_group_needs_no_hierarchy_that_is_mounted() {
    if !is_root() {
        return;
    }
    let container = "f".repeat(64);
    let group = Mount::new()
        .and_then(|mount| ControlGroup::make(mount.path().join(folder("a-pod", &container)), Some(mount)));
    match group {
        Ok(group) => assert!(group.run(&["grep", "-q", &container, "/proc/self/cgroup"])),
        Err(why) => skip_for_host("control groups without a hierarchy that is mounted", &why),
    }
}
