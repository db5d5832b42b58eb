//! Loading takes little time, and leaves nothing behind.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use aya::{maps::loaded_maps, programs::loaded_programs};
use sluice_ebpf::{Programs, Settings};

use crate::watch::{BOTH, alone, is_privileged};

/// The numbers that the kernel gave to what this process holds.
fn held(key: &str) -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    entries
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok()))
        .collect()
}

#[test]
fn loading_takes_less_than_a_second_and_unloading_leaves_nothing() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            let loaded = Programs::load(&Settings { tier, ..Settings::default() }).unwrap();
            fastest = fastest.min(began.elapsed());
            assert!(loaded.report().took <= began.elapsed());
            let (programs, maps) = (held("prog_id:"), held("map_id:"));
            assert!(programs.len() >= 10 && maps.len() >= 5, "{programs:?} {maps:?}");
            drop(loaded);
            assert_eq!((held("prog_id:"), held("map_id:")), (BTreeSet::new(), BTreeSet::new()));
            are_gone(&programs, &maps);
        }
        assert!(fastest < Duration::from_secs(1), "{fastest:?} at best of three");
    }
}

/// The kernel frees them a grace period after the last descriptor was closed.
fn are_gone(programs: &BTreeSet<u32>, maps: &BTreeSet<u32>) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let left: Vec<u32> = loaded_programs()
            .filter_map(|it| Some(it.ok()?.id()))
            .filter(|id| programs.contains(id))
            .collect();
        let left_maps: Vec<u32> =
            loaded_maps().filter_map(|it| Some(it.ok()?.id())).filter(|id| maps.contains(id)).collect();
        if left.is_empty() && left_maps.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "left behind: programs {left:?}, maps {left_maps:?}");
        std::thread::yield_now();
    }
}
