use std::{path::PathBuf, time::Duration};

use super::*;
use crate::{
    Tier,
    probe::{Identities, Loaded, Refusal},
};

/// One on which everything works.
fn host() -> Host {
    Host {
        kernel: "6.12.0".to_owned(),
        architecture: "x86_64",
        has_types: true,
        has_sysfs: true,
        capabilities: u64::MAX,
        is_root: true,
        is_host_user_namespace: true,
        is_host_pid_namespace: true,
        is_filtered: false,
        no_new_privileges: false,
        is_container: false,
        lockdown: Some("none".to_owned()),
        unprivileged_bpf_disabled: Some(2),
        locked_memory_limit: None,
        cgroups: Some(PathBuf::from("/sys/fs/cgroup")),
        identities: Identities { readable: 10, refused: 0 },
    }
}

fn loads(tier: Tier) -> Attempt {
    Attempt { tier, outcome: Ok(Loaded { took: Duration::from_millis(1), missing: Vec::new() }) }
}

fn fails(tier: Tier, is_denied: bool) -> Attempt {
    Attempt { tier, outcome: Err(Refusal { reason: "the kernel's words".to_owned(), is_denied }) }
}

fn refused(is_denied: bool) -> [Attempt; 2] {
    [fails(Tier::A, is_denied), fails(Tier::B, is_denied)]
}

/// The only reason why nothing works.
fn fatal(host: &Host, is_denied: bool) -> Problem {
    let problems: Vec<Problem> =
        find(host, &refused(is_denied)).into_iter().filter(|it| it.is_fatal).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn where_everything_works_nothing_is_missing() {
    assert_eq!(find(&host(), &[loads(Tier::A), loads(Tier::B)]), []);
}

#[test]
fn each_way_to_fail_has_its_own_words() {
    let without = Host { capabilities: 0, is_root: false, ..host() };
    let cases = [
        (fatal(&Host { has_sysfs: false, has_types: false, ..host() }, false), "/sys is not mounted"),
        (fatal(&Host { has_types: false, ..host() }, false), "/sys/kernel/btf/vmlinux"),
        (fatal(&Host { is_host_user_namespace: false, ..host() }, true), "rootless"),
        (fatal(&without, true), "lacks CAP_BPF and CAP_PERFMON"),
        (fatal(&Host { lockdown: Some("confidentiality".to_owned()), ..host() }, false), "lockdown"),
        (fatal(&Host { is_filtered: true, ..host() }, true), "seccomp"),
        (fatal(&host(), true), "security module"),
        (fatal(&host(), false), "neither tier: the kernel's words"),
    ];
    for (problem, words) in cases {
        assert!(problem.what.contains(words), "{words}: {problem:?}");
        assert!(!problem.mend.is_empty());
    }
}

#[test]
fn what_mends_a_lack_of_capabilities_fits_the_place() {
    let without = Host { capabilities: 0, is_root: false, ..host() };
    assert!(fatal(&without, true).mend.starts_with("sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep /"));
    let sealed = Host { no_new_privileges: true, ..without.clone() };
    assert!(fatal(&sealed, true).mend.contains("no_new_privs"));
    let container = Host { is_container: true, ..without };
    assert!(fatal(&container, true).mend.contains("capabilities.add: [BPF, PERFMON, SYS_PTRACE]"));
}

#[test]
fn what_is_partial_is_said_with_its_cost() {
    let host = Host {
        is_host_pid_namespace: false,
        cgroups: None,
        identities: Identities { readable: 1, refused: 2 },
        ..host()
    };
    let problems = find(&host, &[fails(Tier::A, false), loads(Tier::B)]);
    let all: Vec<&str> = problems.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(problems.len(), 4, "{all:?}");
    assert!(problems.iter().all(|it| !it.is_fatal && !it.costs.is_empty()));
    for (what, words) in all.iter().zip(["tier A", "PID namespace", "1 of 3", "cgroup v2"]) {
        assert!(what.contains(words), "{words}: {what}");
    }
}

#[test]
fn an_administrators_capability_stands_for_the_newer_ones() {
    let administrator = Host { capabilities: 1 << 21, ..host() };
    assert!(administrator.has(Capability::Bpf) && administrator.has(Capability::Perfmon));
    assert!(!administrator.has(Capability::SysPtrace));
    assert!(!Host { is_host_user_namespace: false, ..administrator }.has(Capability::Bpf));
}
