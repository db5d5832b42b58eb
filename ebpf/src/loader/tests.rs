//! What is said of a program that the kernel refuses.

use std::io;

use super::{LoadError, Tier};

fn rejected(code: i32, log: &str) -> Option<LoadError> {
    LoadError::rejected(&io::Error::from_raw_os_error(code), log, Tier::B, "sys_exit")
}

#[test]
fn the_verifiers_objection_is_told_without_its_statistics() {
    let error = rejected(
        13,
        "R2 unbounded memory access, use 'var &= const' or 'if (var < const)'\nverification time 168873 usec\n\
         stack depth 0+0+40\nprocessed 9265 insns (limit 1000000) max_states_per_insn 10 total_states 350\n",
    )
    .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("sys_exit of tier B")
            && text.contains(
                ": R2 unbounded memory access, use 'var &= const' or 'if (var < const)' (Permission denied"
            )
            && text.contains("uname -a"),
        "{text}"
    );
    assert!(!text.contains("processed") && !text.contains("CAP") && !text.contains("run as root"), "{text}");
}

#[test]
fn only_the_end_of_a_long_log_is_told() {
    let log: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    let text = rejected(22, &log).unwrap().to_string();
    assert!(text.contains("line 997; line 998; line 999 (Invalid argument"), "{text}");
    assert!(!text.contains("line 996"), "{text}");
}

#[test]
fn what_was_refused_before_the_verifier_is_not_its_objection() {
    assert!(rejected(1, "").is_none());
    assert!(rejected(22, "processed 0 insns (limit 1000000)\n").is_none());
}
