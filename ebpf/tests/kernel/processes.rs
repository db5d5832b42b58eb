//! Processes: their begins, their programs and their ends.

use crate::watch::{Actor, BOTH, Told, Watch, alone, is_privileged, watch_both};

#[test]
fn a_process_is_told_with_its_program_and_arguments() {
    watch_both("run another", |_, story, _| {
        assert!(matches!(story.0[0], Told::Fork { parent, .. } if parent == std::process::id()));
        let Told::Execute { file_name, arguments, parent, .. } = &story.0[1] else { panic!("{story:#?}") };
        assert_eq!(String::from_utf8_lossy(file_name), std::env::current_exe().unwrap().to_string_lossy());
        assert!(arguments.ends_with(b"\0--ignored\0--exact\0actor::act\0--nocapture\0--test-threads=1\0"));
        assert_eq!(*parent, std::process::id());
        let Told::Execute { file_name, arguments, .. } = &story.0[2] else { panic!("{story:#?}") };
        assert_eq!(file_name, b"/bin/true");
        let begin = b"/bin/true\0one\0\0th ree\0";
        let expected = [begin.as_slice(), "x".repeat(512 - begin.len()).as_bytes()].concat();
        assert_eq!(arguments.escape_ascii().to_string(), expected.escape_ascii().to_string());
        // The first thread was ended by the one that ran the program, but not the process.
        assert!(matches!(story.0[3..], [Told::Exit { .. }]), "{story:#?}");
    });
}

#[test]
fn a_fork_is_told_with_its_parent() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let mut watch = Watch::tier(tier);
        let mut actor = Actor::start("ignored");
        actor.go_on();
        let tgid = actor.tgid();
        watch.until_exit(tgid);
        let said = actor.end();
        let copy: u32 = said.lines().next().unwrap().parse().unwrap();
        let story = watch.story(copy);
        assert!(matches!(story.0.first(), Some(Told::Fork { parent, .. }) if *parent == tgid), "{story:#?}");
        assert!(matches!(story.0.last(), Some(Told::Exit { .. })), "{story:#?}");
    }
}
