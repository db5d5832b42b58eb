//! What Linux says about this process.

use std::fs;

/// Names of figures in `/proc/self/status`, and what they are called here.
const SHOWN: [(&str, &str); 5] = [
    ("VmRSS", "resident memory"),
    ("VmHWM", "resident memory, peak"),
    ("Threads", "threads"),
    ("voluntary_ctxt_switches", "context switches"),
    ("nonvoluntary_ctxt_switches", "preemptions"),
];

/// Figures with their names; none where `/proc` is not mounted.
pub(super) fn figures() -> impl Iterator<Item = (&'static str, String)> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let open_files = fs::read_dir("/proc/self/fd").map(|entries| ("open files", entries.count().to_string()));
    SHOWN.into_iter().filter_map(move |(key, name)| Some((name, value(&status, key)?))).chain(open_files)
}

fn value(status: &str, key: &str) -> Option<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_whole() {
        let status = "Threads:\t7\nVmRSSx:\t1 kB\nVmRSS:\t  123 kB\n";
        assert_eq!(value(status, "VmRSS").as_deref(), Some("123 kB"));
        assert_eq!(value(status, "Vm"), None);
    }
}
