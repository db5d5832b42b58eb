//! `sluice doctor`: whether kernel events work here, what is missing, and what mends it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sluice_ebpf::{
    Tier,
    probe::{Attempt, Capability, Findings, probe},
};

use crate::{
    arguments::DoctorOptions,
    output::{self, CommandError},
};

/// Fails if no tier works.
pub(crate) fn examine(options: &DoctorOptions) -> Result<(), CommandError> {
    let findings = probe();
    if options.json {
        let text = serde_json::to_string_pretty(&document(&findings))
            .map_err(|error| CommandError::Other(format!("cannot print what was found: {error}")))?;
        output::print(&(text + "\n"))?;
    } else {
        output::print(&table(&findings))?;
    }
    match findings.tier() {
        Some(_) => Ok(()),
        None => Err(CommandError::Other("kernel events do not work here".to_owned())),
    }
}

fn table(findings: &Findings) -> String {
    let host = &findings.host;
    let mut text = match findings.tier() {
        Some(tier) => format!("Kernel events work: tier {tier}.\n\n"),
        None => "Kernel events do not work here.\n\n".to_owned(),
    };
    let mut row = |mark: bool, name: &str, found: &str| {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "  {:<3} {name:<27} {found}", if mark { "ok" } else { "--" });
    };
    row(true, "kernel", &format!("Linux {}, {}", host.kernel, host.architecture));
    row(
        host.has_types,
        "type information (BTF)",
        if host.has_types { "/sys/kernel/btf/vmlinux" } else { "none" },
    );
    for attempt in &findings.attempts {
        let found = match &attempt.outcome {
            Ok(loaded) => format!("loads and attaches in {} ms", loaded.took.as_millis()),
            Err(refusal) => refusal.reason.clone(),
        };
        row(attempt.outcome.is_ok(), &format!("tier {}", attempt.tier), &found);
    }
    for capability in Capability::ALL {
        let has = host.has(capability);
        row(
            has || capability == Capability::SysResource && findings.tier().is_some(),
            capability.name(),
            &format!("{}; {}", if has { "yes" } else { "no" }, capability.purpose()),
        );
    }
    let namespace = |is_host: bool| if is_host { "the host's" } else { "a container's" };
    row(host.is_host_user_namespace, "user namespace", namespace(host.is_host_user_namespace));
    row(host.is_host_pid_namespace, "PID namespace", namespace(host.is_host_pid_namespace));
    let identities = host.identities;
    let all = identities.readable + identities.refused;
    row(
        identities.refused == 0,
        "process identity",
        &format!("of {} of {all} processes", identities.readable),
    );
    let cgroups = host.cgroups.as_ref().map_or("not mounted".to_owned(), |path| path.display().to_string());
    row(host.cgroups.is_some(), "cgroup v2", &cgroups);
    let lockdown = host.lockdown.as_deref().unwrap_or("not shown");
    row(lockdown != "confidentiality", "lockdown", lockdown);
    row(true, "seccomp filter", if host.is_filtered { "yes" } else { "none" });
    row(
        true,
        "unprivileged BPF",
        match host.unprivileged_bpf_disabled {
            Some(0) => "allowed (Sluice needs the capabilities all the same)",
            Some(_) => "disabled (kernel.unprivileged_bpf_disabled), as it should be",
            None => "not shown",
        },
    );
    let limit =
        host.locked_memory_limit.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes / 1024));
    row(true, "locked memory limit", &format!("{limit}; counts before Linux 5.11 only"));
    row(true, "/sys/kernel/tracing", "not needed, nor CAP_NET_ADMIN, nor kernel headers");
    for (place, problem) in findings.problems.iter().enumerate() {
        let begin = if place == 0 { "\nWhat is missing:\n" } else { "" };
        let earlier = findings.problems.iter().take(place).position(|it| it.mend == problem.mend);
        let mend = earlier.map_or_else(|| problem.mend.clone(), |earlier| format!("as {}", earlier + 1));
        let _ = writeln!(
            text,
            "{begin}\n  {}. {}\n     costs: {}\n     mend:  {mend}",
            place + 1,
            problem.what,
            problem.costs,
        );
    }
    text
}

/// Keys are only ever added to this document.
fn document(findings: &Findings) -> Value {
    let host = &findings.host;
    json!({
        "works": findings.tier().is_some(),
        "tier": findings.tier().map(letter),
        "kernel": host.kernel,
        "architecture": host.architecture,
        "type_information": host.has_types,
        "tiers": findings.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "capabilities": Capability::ALL.map(|it| json!({
            "name": it.name(),
            "has": host.has(it),
            "required": it.is_required(),
            "purpose": it.purpose(),
        })),
        "host_user_namespace": host.is_host_user_namespace,
        "host_pid_namespace": host.is_host_pid_namespace,
        "process_identity": {"readable": host.identities.readable, "refused": host.identities.refused},
        "cgroup2": host.cgroups,
        "lockdown": host.lockdown,
        "seccomp_filter": host.is_filtered,
        "no_new_privileges": host.no_new_privileges,
        "unprivileged_bpf_disabled": host.unprivileged_bpf_disabled,
        "locked_memory_limit_bytes": host.locked_memory_limit,
        "problems": findings.problems.iter().map(|it| json!({
            "what": it.what,
            "costs": it.costs,
            "mend": it.mend,
            "fatal": it.is_fatal,
        })).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    let tier = letter(attempt.tier);
    match &attempt.outcome {
        Ok(loaded) => json!({
            "tier": tier,
            "loads": true,
            "milliseconds": u64::try_from(loaded.took.as_millis()).unwrap_or(u64::MAX),
            "missing": loaded.missing.iter().map(|(program, costs)| json!({"program": program, "costs": costs})).collect::<Vec<_>>(),
        }),
        Err(refusal) => json!({"tier": tier, "loads": false, "error": refusal.reason}),
    }
}

fn letter(tier: Tier) -> &'static str {
    match tier {
        Tier::A => "a",
        Tier::B => "b",
    }
}
