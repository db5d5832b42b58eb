//! Why something does not work, what that costs, and what mends it.

use super::{Attempt, Capability, Host};

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub what: String,
    /// What does not work for it.
    pub costs: &'static str,
    /// What mends it: a command, or what to set.
    pub mend: String,
    /// Whether nothing works until it is mended.
    pub is_fatal: bool,
}

/// How Rust's standard library ends the text of ENOSYS.
const NO_SUCH_CALL: &str = "(os error 38)";

const EVERYTHING: &str = "no kernel events at all; all other components work";

/// All that is missing, the worst first.
pub(super) fn find(host: &Host, attempts: &[Attempt]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if attempts.iter().all(|attempt| attempt.outcome.is_err()) {
        problems.push(why_nothing_loads(host, attempts));
    }
    problems.extend(what_is_partial(host, attempts));
    problems
}

fn why_nothing_loads(host: &Host, attempts: &[Attempt]) -> Problem {
    let fatal = |what: String, mend: String| Problem { what, costs: EVERYTHING, mend, is_fatal: true };
    let is_denied = attempts.iter().any(|attempt| attempt.outcome.as_ref().is_err_and(|it| it.is_denied));
    let words = attempts
        .iter()
        .find_map(|attempt| attempt.outcome.as_ref().err())
        .map_or("", |it| it.reason.as_str());
    let missing: Vec<Capability> =
        Capability::ALL.into_iter().filter(|it| it.is_required() && !host.has(*it)).collect();
    if !host.has_sysfs {
        return fatal(
            "/sys is not mounted".to_owned(),
            "mount the host's /sys, read-only: `mount -t sysfs sysfs /sys`, or in Kubernetes a hostPath volume".to_owned(),
        );
    }
    if !host.has_types {
        return fatal(
            "the kernel does not describe its types (no /sys/kernel/btf/vmlinux)".to_owned(),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as current Debian, Ubuntu, Fedora and RHEL (8.2 and later) \
             ship them; in a container, mount /sys/kernel/btf"
                .to_owned(),
        );
    }
    if !host.is_host_user_namespace {
        return fatal(
            "this process is in a user namespace (a rootless container), where capabilities do not count for the kernel"
                .to_owned(),
            "run it outside: as a system service, or in a container of the host's user namespace \
             (Docker: `--userns host`; Kubernetes: `hostUsers: true`)"
                .to_owned(),
        );
    }
    if !missing.is_empty() {
        return fatal(format!("this process lacks {}", names(&missing)), give(host));
    }
    if host.lockdown.as_deref() == Some("confidentiality") {
        return fatal(
            "kernel lockdown is in the mode confidentiality, in which no program may read kernel memory".to_owned(),
            "boot with `lockdown=integrity` (or without Secure Boot's confidentiality policy); it cannot be changed at run time"
                .to_owned(),
        );
    }
    let has_no_call = words.contains(NO_SUCH_CALL);
    if host.is_filtered && (is_denied || has_no_call) {
        return fatal(
            format!("this process has the capabilities, but a seccomp filter refuses bpf(2): {words}"),
            "allow the system call bpf: Docker `--security-opt seccomp=PROFILE`, Kubernetes \
             `securityContext.seccompProfile: {type: Localhost, ...}` or `Unconfined`, systemd `SystemCallFilter=bpf`"
                .to_owned(),
        );
    }
    if has_no_call {
        return fatal(
            "the kernel has no system call bpf".to_owned(),
            "use a kernel built with CONFIG_BPF_SYSCALL=y".to_owned(),
        );
    }
    if is_denied {
        return fatal(
            format!("this process has the capabilities, but a security module refuses: {words}"),
            "look for a denial in `dmesg` or `ausearch -m avc` (SELinux, AppArmor, Landlock), and allow bpf for Sluice".to_owned(),
        );
    }
    fatal(
        format!("the kernel takes the programs of neither tier: {words}"),
        "use Linux 5.11 or later; if it is, report this text".to_owned(),
    )
}

fn what_is_partial(host: &Host, attempts: &[Attempt]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut partial = |what: String, costs: &'static str, mend: String| {
        problems.push(Problem { what, costs, mend, is_fatal: false });
    };
    if let [Attempt { outcome: Err(refusal), .. }, Attempt { outcome: Ok(_), .. }] = attempts {
        partial(
            format!("tier A does not load: {}", refusal.reason),
            "tier B is taken, which costs every system call on the host about 0.1 microseconds; \
             `io_uring` is not seen",
            "use Linux 6.3 or later".to_owned(),
        );
    }
    if let Some(loaded) = attempts.iter().find_map(|attempt| attempt.outcome.as_ref().ok()) {
        for (program, costs) in loaded.missing.iter().copied() {
            partial(
                format!("the kernel refuses the optional program `{program}`"),
                costs,
                "a later kernel has its tracepoint".to_owned(),
            );
        }
    }
    if !host.is_host_pid_namespace {
        partial(
            "processes are not numbered here as on the host (a PID namespace)".to_owned(),
            "processes outside this container are known by number only, without program, command line and container",
            "use the host's: Docker `--pid host`, Kubernetes `hostPID: true`".to_owned(),
        );
    }
    // In a user namespace the first problem says it all.
    if host.identities.refused > 0 && host.is_host_user_namespace {
        let readable = host.identities.readable;
        let all = readable + host.identities.refused;
        partial(
            format!("/proc/PID/exe can be read of {readable} of {all} processes"),
            "of the others only name and command line are known; rules by executable do not match them",
            if host.has(Capability::SysPtrace) {
                "nothing that Sluice could be given: a security module or a sandbox protects them".to_owned()
            } else {
                give(host)
            },
        );
    }
    if host.cgroups.is_none() {
        partial(
            "cgroup v2 is not mounted here".to_owned(),
            "containers are found from /proc/PID/cgroup alone, which fails for processes that have ended",
            "mount it: `mount -t cgroup2 none /sys/fs/cgroup`, in Kubernetes a hostPath volume of /sys/fs/cgroup"
                .to_owned(),
        );
    }
    problems
}

fn names(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|it| it.name()).collect::<Vec<_>>().join(" and ")
}

/// How this process would be given all capabilities that it can use.
fn give(host: &Host) -> String {
    if host.is_container {
        return "Kubernetes: `securityContext.capabilities.add: [BPF, PERFMON, SYS_PTRACE]` (deploy/kubernetes/daemonset.yaml); \
                Docker: `--cap-add BPF --cap-add PERFMON --cap-add SYS_PTRACE`"
            .to_owned();
    }
    if host.is_root {
        return "root's capabilities are bounded here: start it with `AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE` \
                (deploy/systemd/sluice.service), or from a shell that has them"
            .to_owned();
    }
    if host.no_new_privileges {
        return "run it as root, or with `AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE` \
                (deploy/systemd/sluice.service); capabilities of files do not count here, as no_new_privs is set"
            .to_owned();
    }
    let path = std::env::current_exe()
        .map_or_else(|_| "$(command -v sluice)".to_owned(), |path| path.display().to_string());
    format!(
        "sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep {path}   (or run it as root, or by deploy/systemd/sluice.service)"
    )
}

#[cfg(test)]
mod tests;
