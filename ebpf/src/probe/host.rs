//! What can be seen of the host without loading anything.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, geteuid, getrlimit};

/// The inodes of the first namespaces, which the kernel fixes.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";
const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";

/// A capability that something here may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// To create maps and load programs.
    Bpf,
    /// To read kernel memory in programs and attach them to tracepoints.
    Perfmon,
    /// To read which program a process of another user runs.
    SysPtrace,
    /// To lock memory for maps beyond the limit; only before Linux 5.11.
    SysResource,
}

/// What can be seen of the host without loading anything.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its release, as `uname -r` prints it.
    pub kernel: String,
    /// The processor's, as Rust names it.
    pub architecture: &'static str,
    /// Whether the kernel describes its types (`/sys/kernel/btf/vmlinux`).
    pub has_types: bool,
    /// Whether `/sys` is there at all.
    pub has_sysfs: bool,
    /// This process's effective capabilities, a bit each.
    pub capabilities: u64,
    /// Whether this process is root in its user namespace.
    pub is_root: bool,
    /// Whether its user namespace is the host's, where alone capabilities count for the kernel.
    pub is_host_user_namespace: bool,
    /// Whether it numbers processes as the host does.
    pub is_host_pid_namespace: bool,
    /// Whether a seccomp filter stands before its system calls.
    pub is_filtered: bool,
    /// Whether programs that it starts cannot gain capabilities.
    pub no_new_privileges: bool,
    /// Whether it looks like a container.
    pub is_container: bool,
    /// The lockdown mode; `None` if the kernel has none or does not show it.
    pub lockdown: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`: 0 if everyone may load some programs, else not.
    pub unprivileged_bpf_disabled: Option<u8>,
    /// The limit of locked memory in bytes, which counts before Linux 5.11; `None` if there is none.
    pub locked_memory_limit: Option<u64>,
    /// Where cgroup v2 is mounted.
    pub cgroups: Option<PathBuf>,
    /// Of how many processes the program can be read.
    pub identities: Identities,
}

/// Of how many processes `/proc/PID/exe` can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    /// It can be read.
    pub readable: usize,
    /// It is refused.
    pub refused: usize,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bpf, Self::Perfmon, Self::SysPtrace, Self::SysResource];

    /// Its name in `capabilities(7)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysResource => "CAP_SYS_RESOURCE",
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Bpf => "creates maps and loads programs",
            Self::Perfmon => "attaches programs to tracepoints",
            Self::SysPtrace => "reads which program a process of another user runs",
            Self::SysResource => "locks memory for maps before Linux 5.11",
        }
    }

    /// Whether nothing works without it on any kernel.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Bpf | Self::Perfmon)
    }

    const fn bit(self) -> u64 {
        1 << match self {
            Self::SysPtrace => 19,
            Self::SysResource => 24,
            Self::Perfmon => 38,
            Self::Bpf => 39,
        }
    }
}

/// The capability that stands for CAP_BPF and CAP_PERFMON as well.
const SYS_ADMIN: u64 = 1 << 21;

impl Host {
    /// Looks.
    #[must_use]
    pub(crate) fn look() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let is_host_pid_namespace = is_namespace("pid", INITIAL_PID_NAMESPACE);
        Self {
            kernel: line_of("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            architecture: std::env::consts::ARCH,
            has_types: Path::new("/sys/kernel/btf/vmlinux").exists(),
            has_sysfs: Path::new("/sys/kernel").exists(),
            capabilities: field(&status, "CapEff")
                .and_then(|text| u64::from_str_radix(text, 16).ok())
                .unwrap_or(0),
            is_root: geteuid().is_root(),
            is_host_user_namespace: is_namespace("user", INITIAL_USER_NAMESPACE),
            is_host_pid_namespace,
            is_filtered: field(&status, "Seccomp") == Some("2"),
            no_new_privileges: field(&status, "NoNewPrivs") == Some("1"),
            is_container: !is_host_pid_namespace
                || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
                || ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists()),
            lockdown: line_of("/sys/kernel/security/lockdown").and_then(|text| chosen(&text)),
            unprivileged_bpf_disabled: line_of("/proc/sys/kernel/unprivileged_bpf_disabled")
                .and_then(|text| text.parse().ok()),
            locked_memory_limit: getrlimit(Resource::Memlock).current,
            cgroups: fs::read_to_string("/proc/self/mountinfo").ok().and_then(|text| cgroup_mount(&text)),
            identities: Identities::count(),
        }
    }

    /// Whether this process has a capability that counts for the kernel.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        if !self.is_host_user_namespace {
            return false;
        }
        let stands_for = if capability.is_required() { SYS_ADMIN } else { 0 };
        self.capabilities & (capability.bit() | stands_for) != 0
    }
}

impl Identities {
    fn count() -> Self {
        let mut count = Self::default();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().parse::<u32>().is_err() {
                continue;
            }
            match fs::read_link(entry.path().join("exe")) {
                Ok(_) => count.readable += 1,
                Err(error)
                    if error.kind() == ErrorKind::PermissionDenied && !is_kernel_thread(&entry.path()) =>
                {
                    count.refused += 1;
                }
                // Threads of the kernel have none, and processes end.
                Err(_) => {}
            }
        }
        count
    }
}

/// By the flags in `proc_pid_stat(5)`, which stand after the name in parentheses.
fn is_kernel_thread(process: &Path) -> bool {
    const PF_KTHREAD: u64 = 0x0020_0000;
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let flags =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
}

fn line_of(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

fn is_namespace(kind: &str, link: &str) -> bool {
    fs::read_link(format!("/proc/self/ns/{kind}")).is_ok_and(|found| found == Path::new(link))
}

/// The word in brackets, as in `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// The mount point of the first file system of the type `cgroup2`, by `proc_pid_mountinfo(5)`.
fn cgroup_mount(text: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_cgroup = file_system.split(' ').next() == Some("cgroup2");
        is_cgroup.then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let status = "CapEff:\t000000c000000000\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!(
            (field(status, "CapEff"), field(status, "Seccomp")),
            (Some("000000c000000000"), Some("2"))
        );
        assert_eq!(field(status, "NoNewPrivs"), None);
        assert_eq!(chosen("none [integrity] confidentiality").as_deref(), Some("integrity"));
        assert_eq!(chosen(""), None);
        let mounts = "24 1 0:22 / /sys rw - sysfs sysfs rw\n31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup_mount(mounts), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(cgroup_mount("24 1 0:22 / /sys/fs/cgroup rw - tmpfs cgroup2 rw\n"), None);
    }
}
