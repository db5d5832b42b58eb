//! A model-based test: anything may happen to the log, in any order; what was answered must not be lost.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, strategy::ValueTree};

use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Requests arrive together.
    Append(Vec<usize>),
    /// Some are handed over without being read.
    AppendDirect(Vec<usize>),
    Read(usize),
    /// Some of what was read is delivered.
    Settle(usize),
    GiveBack,
    Checkpoint,
    Maintain,
    /// The power goes after so many operations of the disk.
    CrashWithin(u32),
    Crash,
    /// And again so many operations into the recovery.
    CrashTwice(u32),
    Restart,
    FailSync,
    FailWrite(bool),
    FlipInSegment,
    FlipInSettled,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = || prop::collection::vec(prop_oneof![4..120_usize, 4..600_usize], 1..4);
    let step = prop_oneof![
        8 => sizes().prop_map(Step::Append),
        4 => sizes().prop_map(Step::AppendDirect),
        6 => (1..6_usize).prop_map(Step::Read),
        6 => (1..6_usize).prop_map(Step::Settle),
        1 => Just(Step::GiveBack),
        3 => Just(Step::Checkpoint),
        3 => Just(Step::Maintain),
        3 => (0..25_u32).prop_map(Step::CrashWithin),
        1 => Just(Step::Crash),
        1 => (0..20_u32).prop_map(Step::CrashTwice),
        1 => Just(Step::Restart),
        1 => Just(Step::FailSync),
        1 => any::<bool>().prop_map(Step::FailWrite),
        1 => Just(Step::FlipInSegment),
        1 => Just(Step::FlipInSettled),
    ];
    prop::collection::vec(step, 1..60)
}

struct World {
    disk: SimulatedDisk,
    log: Option<Log<SimulatedDisk>>,
    next: u32,
    offered: BTreeMap<u32, usize>,
    answered: BTreeSet<u32>,
    /// Read and neither settled nor given back: number and id.
    outstanding: Vec<(u64, u32)>,
    settled: BTreeSet<u32>,
    /// Settled since the power was last on, and not yet told to the disk with success.
    unrecorded: BTreeSet<u32>,
    recorded: BTreeSet<u32>,
    flips: usize,
    /// Whether something happened after which deliveries may be repeated that were recorded.
    may_repeat: bool,
}

impl World {
    fn new(disk: SimulatedDisk) -> Self {
        let log = Some(open(&disk));
        Self {
            disk,
            log,
            next: 0,
            offered: BTreeMap::new(),
            answered: BTreeSet::new(),
            outstanding: Vec::new(),
            settled: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            recorded: BTreeSet::new(),
            flips: 0,
            may_repeat: false,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Append(sizes) => self.append(sizes, 0),
            Step::AppendDirect(sizes) => self.append(sizes, 2),
            Step::Read(count) => self.read(*count)?,
            Step::Settle(count) => self.settle(*count),
            Step::GiveBack => {
                let numbers: Vec<u64> = self.outstanding.drain(..).map(|(number, _)| number).collect();
                self.log().give_back(numbers);
            }
            Step::Checkpoint => self.checkpoint(),
            Step::Maintain => {
                let moved = self.log().move_stragglers();
                let _ = self.log().reclaim();
                // Stragglers may then be in two places.
                self.may_repeat |= moved.is_err() || self.disk.has_crashed();
            }
            Step::CrashWithin(operations) => self.disk.crash_after(*operations),
            Step::Crash => self.crash(),
            Step::CrashTwice(operations) => {
                self.log = None;
                self.disk.boot();
                self.disk.crash_after(*operations);
                let log = Log::open(self.disk.clone(), SETTINGS);
                if let Ok(mut log) = log {
                    log.survey(u64::MAX);
                    let _ = log.reclaim();
                }
                self.crash();
            }
            Step::Restart => self.restart()?,
            Step::FailSync => {
                // Settlements that were not synced are lost with it; so may be the record of a removal.
                self.may_repeat = true;
                self.disk.fail(Faults { syncs: 1, ..Faults::default() });
            }
            Step::FailWrite(full) => self.disk.fail(Faults { writes: 1, full: *full, ..Faults::default() }),
            Step::FlipInSegment => {
                self.flips += 1;
                self.disk.flip(".segment");
            }
            Step::FlipInSettled => {
                self.may_repeat = true;
                self.disk.flip(".settled");
            }
        }
        if self.disk.has_crashed() {
            self.crash();
        }
        Ok(())
    }

    fn log(&mut self) -> &mut Log<SimulatedDisk> {
        self.log.as_mut().unwrap()
    }

    fn append(&mut self, sizes: &[usize], direct: usize) {
        let ids: Vec<u32> = sizes.iter().zip(self.next..).map(|(_, id)| id).collect();
        self.next += u32::try_from(sizes.len()).unwrap();
        let payloads: Vec<Vec<u8>> = ids.iter().zip(sizes).map(|(id, size)| payload(*id, *size)).collect();
        self.offered.extend(ids.iter().copied().zip(sizes.iter().copied()));
        let records: Vec<Record<'_>> = payloads
            .iter()
            .map(|payload| Record { payload: vec![payload], items: 1, bytes: 1, appended_at: 1 })
            .collect();
        let numbers = match self.log().append(&records, direct) {
            Ok(numbers) => numbers,
            Err(_) => return,
        };
        // The power may have gone between the disk's last act and the answer; then it was not given.
        if !self.disk.has_crashed() {
            self.answered.extend(&ids);
            for (number, id) in numbers.into_iter().zip(ids) {
                self.outstanding.extend(number.map(|number| (number, id)));
            }
        }
    }

    fn read(&mut self, count: usize) -> Result<(), TestCaseError> {
        for _ in 0..count {
            let Some(read) = self.log().read() else { break };
            let id = u32::from_le_bytes(*read.payload.first_chunk().unwrap());
            let size = self.offered.get(&id);
            prop_assert!(
                size.is_some_and(|size| payload(id, *size) == read.payload),
                "something was delivered that nobody sent: {read:?}"
            );
            prop_assert!(
                self.may_repeat || !self.recorded.contains(&id),
                "{id} was delivered, that was recorded, and it is delivered again"
            );
            prop_assert!(
                !self.outstanding.iter().any(|(_, known)| *known == id) || self.may_repeat,
                "{id} is on its way already"
            );
            self.outstanding.push((read.number, id));
        }
        Ok(())
    }

    fn settle(&mut self, count: usize) {
        let count = count.min(self.outstanding.len());
        let settled: Vec<(u64, u32)> = self.outstanding.drain(..count).collect();
        for (number, id) in settled {
            self.log().settle(number, Outcome::Delivered);
            self.settled.insert(id);
            self.unrecorded.insert(id);
        }
    }

    fn checkpoint(&mut self) {
        if self.log().checkpoint().is_ok() {
            let recorded = std::mem::take(&mut self.unrecorded);
            self.recorded.extend(recorded);
        }
    }

    fn crash(&mut self) {
        self.log = None;
        self.disk.boot();
        self.outstanding.clear();
        self.unrecorded.clear();
        self.log = Some(open(&self.disk));
    }

    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.checkpoint();
        if self.disk.has_crashed() {
            return Ok(());
        }
        self.log = None;
        self.disk.end_process();
        self.outstanding.clear();
        self.unrecorded.clear();
        self.log = Some(open(&self.disk));
        Ok(())
    }

    /// What is lost, more than flipped bits explain: each hits one record at most.
    fn lost(mut self) -> Result<usize, TestCaseError> {
        self.crash();
        self.read(usize::MAX)?;
        let read: BTreeSet<u32> = self.outstanding.iter().map(|(_, id)| *id).collect();
        let missing =
            self.answered.iter().filter(|id| !read.contains(id) && !self.settled.contains(id)).count();
        Ok(missing.saturating_sub(self.flips))
    }
}

fn run(disk: SimulatedDisk, steps: &[Step]) -> Result<usize, TestCaseError> {
    let mut world = World::new(disk);
    for step in steps {
        world.step(step)?;
    }
    world.lost()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(2_000), ..ProptestConfig::default() })]

    #[test]
    fn what_was_answered_is_delivered_and_nothing_else(seed: u64, steps in steps()) {
        let lost = run(SimulatedDisk::new(seed), &steps)?;
        prop_assert_eq!(lost, 0, "answered and gone");
    }
}

/// If this fails, the test above proves nothing.
#[test]
fn without_a_sync_the_model_finds_a_loss() {
    for idle in [Idle::File, Idle::Directory] {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let found = (0..2_000).any(|seed| {
            let steps = steps().new_tree(&mut runner).unwrap().current();
            run(SimulatedDisk::new(seed).with_idle(idle), &steps).is_ok_and(|lost| lost > 0)
        });
        assert!(
            found,
            "a disk whose sync of {idle:?} does nothing loses nothing: its power cuts are too kind"
        );
    }
}
