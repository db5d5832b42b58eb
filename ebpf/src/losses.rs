//! What the programs could not tell or had not to, counted by the kernel.

use aya::maps::{MapData, PerCpuArray};

/// Why something was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The ring was full: a transfer is missing.
    RingFullData,
    /// The ring was full: the begin, the end or an incident of a connection is missing.
    RingFullConnection,
    /// The ring was full: the begin or the end of a process is missing.
    RingFullProcess,
    /// There was no memory for the state of a connection.
    SocketState,
    /// There was no memory for the state of a thread.
    TaskState,
    /// A thread was preempted while it filled the buffer of its processor.
    Nested,
}

/// Reads the counts.
pub struct Losses {
    counts: PerCpuArray<MapData, u64>,
    /// Only tier A has it.
    untold: Option<PerCpuArray<MapData, u64>>,
}

impl Loss {
    /// All of them, in the order of the kernel's array.
    pub const ALL: [Self; 6] = [
        Self::RingFullData,
        Self::RingFullConnection,
        Self::RingFullProcess,
        Self::SocketState,
        Self::TaskState,
        Self::Nested,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RingFullData => "ring_full_data",
            Self::RingFullConnection => "ring_full_connection",
            Self::RingFullProcess => "ring_full_process",
            Self::SocketState => "no_socket_state",
            Self::TaskState => "no_task_state",
            Self::Nested => "preempted",
        }
    }
}

impl Losses {
    pub(crate) fn new(counts: PerCpuArray<MapData, u64>, untold: Option<PerCpuArray<MapData, u64>>) -> Self {
        Self { counts, untold }
    }

    /// How often each has happened since the programs were loaded.
    #[must_use]
    pub fn read(&self) -> [(Loss, u64); Loss::ALL.len()] {
        let mut index = 0;
        Loss::ALL.map(|loss| {
            let count = sum(&self.counts, index);
            index += 1;
            (loss, count)
        })
    }

    /// Exchanges that were not told because of [`crate::Settings::remarkable_after`], since the programs were loaded.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.untold.as_ref().map_or(0, |untold| sum(untold, 0))
    }
}

fn sum(counts: &PerCpuArray<MapData, u64>, index: u32) -> u64 {
    counts.get(&index, 0).map_or(0, |processors| processors.iter().sum())
}
