//! What the programs in the kernel take, by the kernel's own count of their run time.

use std::{fs, os::fd::OwnedFd, time::Duration};

use aya::sys::{Stats, enable_stats};

use crate::{Outcome, process::Process};

/// While this lives, the kernel measures each run of a program, which itself costs two readings of its clock. The kernel
/// stops with whoever asked for it, however that ends.
pub(super) struct Counting {
    _asked: OwnedFd,
}

impl Counting {
    pub(super) fn begin() -> Outcome<Self> {
        Ok(Self { _asked: enable_stats(Stats::RunTime)? })
    }
}

/// The time for which the programs that a process holds have run since they are measured.
pub(super) fn run_time(process: &Process) -> Outcome<Duration> {
    let mut programs = Vec::new();
    for file in fs::read_dir(format!("/proc/{}/fdinfo", process.id()))? {
        // A file that the process has closed meanwhile is no program.
        let Ok(text) = fs::read_to_string(file?.path()) else { continue };
        if let (Some(program), Some(time)) = (field(&text, "prog_id:"), field(&text, "run_time_ns:")) {
            programs.push((program, time));
        }
    }
    programs.sort_unstable();
    programs.dedup_by_key(|(program, _)| *program);
    Ok(Duration::from_nanos(programs.iter().map(|(_, time)| time).sum()))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_names() {
        let text = "pos:\t0\nprog_type:\t26\nprog_id:\t46178\nrun_time_ns:\t136263680\nrun_cnt:\t212912\n";
        assert_eq!(field(text, "prog_id:"), Some(46178));
        assert_eq!(field(text, "run_time_ns:"), Some(136_263_680));
        assert_eq!(field("link_type:\ttracing\n", "run_time_ns:"), None);
    }
}
