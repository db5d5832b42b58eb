//! Loads and attaches the programs.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, Iter, ProgramError},
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{
    event::{Connection, Event},
    losses::Losses,
    object::{Hook, Tier},
    reader::Reader,
    settings::{MAX_CAPTURE, MAX_PORTS, Settings, TierChoice},
};

/// Programs that run until this is dropped.
pub struct Programs {
    // Holds the links: dropping it detaches everything.
    _programs: Ebpf,
    report: Report,
    reader: Option<Reader>,
    losses: Option<Losses>,
    verdicts: Option<Verdicts>,
    existing: Vec<Connection>,
}

/// What was loaded, and what that means.
#[derive(Clone, Debug)]
pub struct Report {
    /// How transfers are seen.
    pub tier: Tier,
    /// What optional programs the kernel refused, with what is missing without them.
    pub missing: Vec<(&'static str, &'static str)>,
    /// Why tier A was not taken, if tier B was taken for it.
    pub fallback: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// Whether a process is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Watch,
    /// It is not.
    Ignore,
}

/// Tells the kernel side whom to watch. A process without a verdict is watched.
pub struct Verdicts {
    processes: HashMap<MapData, u32, u8>,
    /// Those of late, where the kernel side looks first.
    recent: Array<MapData, u64>,
    /// This process, which is never watched.
    own: Option<u32>,
}

/// Why the programs could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no description of the kernel's types.
    #[error(
        "reading the kernel's type information (/sys/kernel/btf/vmlinux): {0}; \
         the kernel must be built with CONFIG_DEBUG_INFO_BTF, and /sys must be mounted"
    )]
    Types(String),
    /// The object was refused as a whole.
    #[error("creating the maps of tier {tier}: {reason}{hint}")]
    Object {
        /// Which tier.
        tier: Tier,
        /// The kernel's own words.
        reason: String,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// A program without which nothing works was refused.
    #[error("loading the program for the tracepoint {tracepoint} of tier {tier}: {reason}{hint}")]
    Program {
        /// Which tier.
        tier: Tier,
        /// Where it is attached.
        tracepoint: &'static str,
        /// The kernel's own words.
        reason: String,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// The kernel's verifier does not accept a program without which nothing works: its rules differ between versions.
    #[error(
        "loading the program for the tracepoint {tracepoint} of tier {tier}: the kernel's verifier rejects it: {words}; \
         please report this as a defect of Sluice, with the version of the kernel (`uname -a`)"
    )]
    Rejected {
        /// Which tier.
        tier: Tier,
        /// Where it would be attached.
        tracepoint: &'static str,
        /// What the verifier objects to.
        words: String,
    },
    /// The object lacks something: objects and code are of different builds.
    #[error("the compiled programs have no {0}; rebuild them with ebpf/build")]
    Mismatch(&'static str),
}

impl LoadError {
    fn of_program(error: &ProgramError, tier: Tier, tracepoint: &'static str) -> Self {
        if let ProgramError::LoadError { io_error, verifier_log } = error
            && let Some(rejected) = Self::rejected(io_error, &verifier_log.to_string(), tier, tracepoint)
        {
            return rejected;
        }
        Self::Program { tier, tracepoint, reason: chain(error), hint: hint(error) }
    }

    /// `None` if the verifier has said nothing: the program was refused before.
    fn rejected(error: &std::io::Error, log: &str, tier: Tier, tracepoint: &'static str) -> Option<Self> {
        let words = objection(log);
        (!words.is_empty()).then(|| Self::Rejected { tier, tracepoint, words: format!("{words} ({error})") })
    }
}

impl Programs {
    /// Loads the programs and attaches them.
    ///
    /// # Errors
    /// [`LoadError`] of the last tier that was tried.
    pub fn load(settings: &Settings) -> Result<Self, LoadError> {
        let began = Instant::now();
        // Kernels before 5.11 charge maps to this limit; where it may not be raised, creating a map says so.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
        let types = Btf::from_sys_fs().map_err(|error| LoadError::Types(chain(&error)))?;
        match settings.tier {
            TierChoice::A => Self::load_tier(settings, Tier::A, &types, began, None),
            TierChoice::B => Self::load_tier(settings, Tier::B, &types, began, None),
            TierChoice::Best => match Self::load_tier(settings, Tier::A, &types, began, None) {
                Ok(programs) => Ok(programs),
                Err(error) => Self::load_tier(settings, Tier::B, &types, began, Some(error.to_string())),
            },
        }
    }

    fn load_tier(
        settings: &Settings,
        tier: Tier,
        types: &Btf,
        began: Instant,
        fallback: Option<String>,
    ) -> Result<Self, LoadError> {
        let mut programs = create(settings, tier, types)?;
        // First, since the others leave alone the process that has run it.
        let existing = read_existing(&mut programs, types);
        let mut missing = Vec::new();
        if existing.is_none() {
            missing
                .push(("existing", "connections older than the programs are found at their next transfer"));
        }
        for hook in tier.hooks(settings.time_calls) {
            if let Err(error) = attach(&mut programs, hook, types) {
                match hook.missing {
                    Some(effect) => missing.push((hook.program, effect)),
                    None => return Err(LoadError::of_program(&error, tier, hook.tracepoint)),
                }
            }
        }
        if tier == Tier::A {
            take::<Array<MapData, u32>>(&mut programs, "complete")?
                .set(0, 1, 0)
                .map_err(|error| LoadError::Object { tier, reason: chain(&error), hint: hint(&error) })?;
        }
        let ring = take::<RingBuf<MapData>>(&mut programs, "events")?;
        let losses = take::<PerCpuArray<MapData, u64>>(&mut programs, "losses")?;
        let untold = programs.take_map("untold").and_then(|map| PerCpuArray::try_from(map).ok());
        let processes = take::<HashMap<MapData, u32, u8>>(&mut programs, "processes")?;
        let recent = take::<Array<MapData, u64>>(&mut programs, "recent_verdicts")?;
        let own = take::<Array<MapData, u32>>(&mut programs, "own_process")?.get(&0, 0).ok();
        Ok(Self {
            _programs: programs,
            report: Report { tier, missing, fallback, took: began.elapsed() },
            reader: Some(Reader::new(ring)),
            losses: Some(Losses::new(losses, untold)),
            verdicts: Some(Verdicts { processes, recent, own }),
            existing: existing.unwrap_or_default(),
        })
    }

    /// What was loaded, and what that means.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The way to the events; once.
    pub fn take_reader(&mut self) -> Option<Reader> {
        self.reader.take()
    }

    /// The way to the counts of what was lost; once.
    pub fn take_losses(&mut self) -> Option<Losses> {
        self.losses.take()
    }

    /// The way to say whom to watch; once.
    pub fn take_verdicts(&mut self) -> Option<Verdicts> {
        self.verdicts.take()
    }

    /// The established connections that are older than the programs; once.
    pub fn take_existing(&mut self) -> Vec<Connection> {
        std::mem::take(&mut self.existing)
    }
}

impl Verdicts {
    /// Gives a process its verdict, which its children inherit until they run another program. Our own has none: it is never
    /// watched.
    pub fn set(&mut self, tgid: u32, verdict: Verdict) {
        if self.own == Some(tgid) {
            return;
        }
        let number = match verdict {
            Verdict::Watch => 1,
            Verdict::Ignore => 2,
        };
        // The map evicts by itself; without a verdict a process is watched, and user space decides again.
        let _ = self.processes.insert(tgid, number, 0);
        // In this order: the kernel side puts what it finds there into this place, but not over a newer verdict.
        let place = tgid % self.recent.len().max(1);
        let _ = self.recent.set(place, u64::from(tgid) << 32 | u64::from(number), 0);
    }
}

/// The most lines of the verifier that are told.
const OBJECTION_LINES: usize = 3;

fn create(settings: &Settings, tier: Tier, types: &Btf) -> Result<Ebpf, LoadError> {
    let processors = aya::util::nr_cpus().map_or(256, |count| u32::try_from(count).unwrap_or(256));
    let mut ports = [0_u16; MAX_PORTS];
    for (place, port) in ports.iter_mut().zip(&settings.ports) {
        *place = *port;
    }
    let port_count = u32::try_from(settings.ports.len().min(MAX_PORTS)).unwrap_or(0);
    let capture_size = settings.capture.min(MAX_CAPTURE);
    let capture = u8::from(capture_size > 0);
    let filter = u8::from(settings.filter_processes);
    let time_calls = u8::from(settings.time_calls);
    let wake_up_at = settings.wake_up_at();
    let remarkable_after =
        settings.remarkable_after.map_or(0, |after| u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
    EbpfLoader::new()
        .btf(Some(types))
        // Task storage is for the kernel side alone.
        .allow_unsupported_maps()
        // Asked for only once a program was refused. Without a level, kernels before 6.4 answer that with EINVAL, which hides
        // why it was; with a higher one they write megabytes.
        .verifier_log_level(VerifierLogLevel::STATS)
        .override_global("capture_size", &capture_size, true)
        .override_global("capture", &capture, true)
        .override_global("filter_processes", &filter, true)
        .override_global("port_count", &port_count, true)
        .override_global("ports", ports.as_slice(), true)
        .override_global("time_calls", &time_calls, true)
        .override_global("wake_up_at", &wake_up_at, true)
        .override_global("remarkable_after", &remarkable_after, true)
        .map_max_entries("events", settings.ring_size())
        .map_max_entries("scratches", processors)
        .map_max_entries("execute_scratches", processors)
        .load(tier.object())
        .map_err(|error| LoadError::Object { tier, reason: chain(&error), hint: hint(&error) })
}

fn attach(programs: &mut Ebpf, hook: Hook, types: &Btf) -> Result<(), ProgramError> {
    let program: &mut BtfTracePoint =
        programs.program_mut(hook.program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load(hook.tracepoint, types)?;
    program.attach()?;
    Ok(())
}

/// Runs the iterator over open files; `None` if the kernel has none.
fn read_existing(programs: &mut Ebpf, types: &Btf) -> Option<Vec<Connection>> {
    let program: &mut Iter = programs.program_mut("existing")?.try_into().ok()?;
    program.load("task_file", types).ok()?;
    let link = program.attach().ok()?;
    let mut output = Vec::new();
    program.take_link(link).ok()?.into_file().ok()?.read_to_end(&mut output).ok()?;
    let connections = output.chunks_exact(Connection::SIZE).filter_map(|bytes| match Event::read(bytes) {
        Some(Event::Connection(connection)) => Some(connection),
        _ => None,
    });
    Some(connections.collect())
}

fn take<M: TryFrom<Map, Error = MapError>>(programs: &mut Ebpf, name: &'static str) -> Result<M, LoadError> {
    programs.take_map(name).and_then(|map| M::try_from(map).ok()).ok_or(LoadError::Mismatch(name))
}

/// What the verifier says at last, without its statistics; nothing if the program was refused before it.
fn objection(log: &str) -> String {
    let is_statistics = |line: &&str| {
        ["verification time ", "stack depth ", "processed "].iter().any(|it| line.starts_with(it))
    };
    let lines: Vec<&str> =
        log.lines().map(str::trim).filter(|line| !line.is_empty() && !is_statistics(line)).collect();
    lines[lines.len().saturating_sub(OBJECTION_LINES)..].join("; ")
}

/// An error with its causes, each once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

/// What to do about it, where the error says.
fn hint(error: &(dyn std::error::Error + 'static)) -> &'static str {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            return "; run as root or with the capabilities BPF and PERFMON (`sluice doctor` says what is missing)";
        }
        next = cause.source();
    }
    ""
}

#[cfg(test)]
mod tests;
