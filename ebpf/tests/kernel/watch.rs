//! Loads programs, starts an actor, and collects what is told of it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sluice_ebpf::{
    Event, Loss, Losses, Programs, Reader, Settings, Tier, TierChoice, Verdicts,
    event::{Connection, Incident},
};

/// One at a time: there are two processors, and what the tests load would see one another's traffic.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Nothing that an actor does takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const BOTH: [TierChoice; 2] = [TierChoice::A, TierChoice::B];

/// Whether this process may load programs. Says loudly that a test is skipped; in CI that is a failure.
pub(crate) fn is_privileged() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let is_host =
        std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link == Path::new("pid:[4026531836]"));
    let reason = match (is_root, is_host) {
        (true, true) => return true,
        (false, _) => "needs root",
        (true, false) => "needs the host's PID namespace",
    };
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!is_ci, "skipped: {reason}, which CI has to provide");
    eprintln!("skipped: {reason}");
    false
}

/// Keeps the other tests waiting.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loaded programs and what they have told so far.
pub(crate) struct Watch {
    pub(crate) programs: Programs,
    pub(crate) verdicts: Verdicts,
    reader: Reader,
    losses: Losses,
    told: Vec<Told>,
}

/// An event that is kept.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Connection(Connection),
    Transfer(Transfer),
    Closed(Incident),
    Connected(Incident),
    Retransmit(Incident),
    Reset(Incident),
    Dropped(Incident),
    Settled(Incident),
    Execute { tgid: u32, parent: u32, file_name: Vec<u8>, arguments: Vec<u8> },
    Fork { tgid: u32, parent: u32 },
    Exit { tgid: u32 },
}

#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) socket: u64,
    pub(crate) tgid: u32,
    pub(crate) is_outbound: bool,
    pub(crate) operation: u8,
    pub(crate) protocol: u8,
    pub(crate) offset: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) length: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_opaque: bool,
    pub(crate) faulted: bool,
}

/// What was told of one process, in order.
#[derive(Debug)]
pub(crate) struct Story(pub(crate) Vec<Told>);

impl Watch {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut programs = Programs::load(settings).unwrap();
        let wanted = match settings.tier {
            TierChoice::B => Tier::B,
            _ => Tier::A,
        };
        assert_eq!(programs.report().tier, wanted);
        assert_eq!(programs.report().missing, [], "this kernel has all hooks");
        Self {
            reader: programs.take_reader().unwrap(),
            losses: programs.take_losses().unwrap(),
            verdicts: programs.take_verdicts().unwrap(),
            programs,
            told: Vec::new(),
        }
    }

    pub(crate) fn tier(tier: TierChoice) -> Self {
        Self::new(&Settings { tier, ..Settings::default() })
    }

    /// What is told of the process until it ends.
    pub(crate) fn until_exit(&mut self, tgid: u32) -> Story {
        self.until(|told| matches!(told, Told::Exit { tgid: ended } if *ended == tgid));
        self.story(tgid)
    }

    /// Reads until an event is told, or panics.
    pub(crate) fn until(&mut self, mut is_it: impl FnMut(&Told) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut looked_at = 0;
        loop {
            self.read();
            if self.told[looked_at..].iter().any(&mut is_it) {
                return;
            }
            looked_at = self.told.len();
            assert!(
                Instant::now() < end,
                "not told within {PATIENCE:?}; the last events: {:#?}",
                self.told.iter().rev().take(20).collect::<Vec<_>>()
            );
            self.reader.wait(Duration::from_millis(10));
        }
    }

    /// Takes what the ring holds now.
    pub(crate) fn read(&mut self) {
        self.reader.drain(usize::MAX, |event| self.told.push(Told::from(event)));
    }

    /// What was told of the process so far.
    pub(crate) fn story(&self, tgid: u32) -> Story {
        Story(self.told.iter().filter(|told| told.tgid() == tgid).cloned().collect())
    }

    pub(crate) fn lost(&self, loss: Loss) -> u64 {
        self.losses.read().iter().find(|(kind, _)| *kind == loss).unwrap().1
    }

    pub(crate) fn untold(&self) -> u64 {
        self.losses.untold()
    }

    pub(crate) fn unreadable(&self) -> u64 {
        self.reader.unreadable()
    }
}

impl Told {
    pub(crate) fn tgid(&self) -> u32 {
        match self {
            Self::Connection(connection) => connection.tgid,
            Self::Transfer(transfer) => transfer.tgid,
            Self::Closed(incident)
            | Self::Connected(incident)
            | Self::Retransmit(incident)
            | Self::Reset(incident)
            | Self::Dropped(incident)
            | Self::Settled(incident) => incident.tgid,
            Self::Execute { tgid, .. } | Self::Fork { tgid, .. } | Self::Exit { tgid } => *tgid,
        }
    }
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Connection(connection) => Self::Connection(connection),
            Event::Data(data) => Self::Transfer(Transfer {
                socket: data.socket,
                tgid: data.tgid,
                is_outbound: data.is_outbound,
                operation: data.operation,
                protocol: data.protocol,
                offset: data.offset,
                start: data.start,
                end: data.end,
                length: data.length,
                bytes: data.bytes.to_vec(),
                is_opaque: data.is_opaque,
                faulted: data.faulted,
            }),
            Event::Closed(incident) => Self::Closed(incident),
            Event::Connected(incident) => Self::Connected(incident),
            Event::Retransmit(incident) => Self::Retransmit(incident),
            Event::Reset(incident) => Self::Reset(incident),
            Event::Dropped(incident) => Self::Dropped(incident),
            Event::Settled(incident) => Self::Settled(incident),
            Event::Execute(execute) => Self::Execute {
                tgid: execute.process.tgid,
                parent: execute.process.parent,
                file_name: execute.file_name.to_vec(),
                arguments: execute.arguments.to_vec(),
            },
            Event::Fork(process) => Self::Fork { tgid: process.tgid, parent: process.parent },
            Event::Exit(process) => Self::Exit { tgid: process.tgid },
        }
    }
}

impl Story {
    pub(crate) fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.0.iter().filter_map(|told| match told {
            Told::Connection(connection) => Some(connection),
            _ => None,
        })
    }

    pub(crate) fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.0.iter().filter_map(|told| match told {
            Told::Transfer(transfer) => Some(transfer),
            _ => None,
        })
    }

    /// The only connection of a role.
    pub(crate) fn end(&self, is_client: bool) -> &Connection {
        let mut ends = self.connections().filter(|connection| connection.is_client == Some(is_client));
        let end =
            ends.next().unwrap_or_else(|| panic!("no connection of a client ({is_client}): {:#?}", self.0));
        assert!(ends.next().is_none(), "more than one: {:#?}", self.0);
        end
    }

    /// The transfers of one end in one direction.
    pub(crate) fn stream(&self, is_client: bool, is_outbound: bool) -> Vec<&Transfer> {
        let socket = self.end(is_client).socket;
        self.transfers().filter(|it| it.socket == socket && it.is_outbound == is_outbound).collect()
    }

    /// Both ends tell of both directions without a gap, and whatever was captured is what was sent.
    pub(crate) fn is_exact(&self, to_server: &[u8], to_client: &[u8]) {
        for (is_client, is_outbound, sent) in [
            (true, true, to_server),
            (false, false, to_server),
            (false, true, to_client),
            (true, false, to_client),
        ] {
            is_exact(&self.stream(is_client, is_outbound), sent);
        }
    }
}

/// The transfers are the whole stream, without a gap, and whatever was captured is what was sent.
pub(crate) fn is_exact(transfers: &[&Transfer], sent: &[u8]) {
    let mut place = 0;
    for transfer in transfers {
        assert_eq!(transfer.offset, place, "a gap or an overlap: {transfers:#?}");
        let begin = usize::try_from(place).unwrap();
        assert!(transfer.bytes.len() <= usize::try_from(transfer.length).unwrap());
        assert_eq!(
            transfer.bytes.escape_ascii().to_string(),
            sent[begin..begin + transfer.bytes.len()].escape_ascii().to_string(),
            "{transfer:#?}"
        );
        assert!(transfer.start <= transfer.end, "{transfer:#?}");
        place += u64::from(transfer.length);
    }
    assert_eq!(place, sent.len() as u64, "not all was told: {transfers:#?}");
}

/// A process of its own that does what an act says, since the programs skip the process that loaded them.
pub(crate) struct Actor {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Actor {
    pub(crate) fn start(act: &str) -> Self {
        Self::start_with(act, "")
    }

    /// Starts one that is told something.
    pub(crate) fn start_with(act: &str, argument: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "actor::act", "--nocapture", "--test-threads=1"])
            .env("SLUICE_ACT", act)
            .env("SLUICE_ACT_ARGUMENT", argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    pub(crate) fn tgid(&self) -> u32 {
        self.child.id()
    }

    /// Lets an actor go on that waits for it.
    pub(crate) fn go_on(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// The next thing that it says.
    pub(crate) fn said(&mut self) -> String {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once("said: ") {
                return said.to_owned();
            }
            line.clear();
        }
        panic!("the actor ended without a word");
    }

    /// Waits for its end, and returns what it said.
    pub(crate) fn end(mut self) -> String {
        drop(self.stdin.take());
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "the actor failed: {text}");
        text.lines()
            .filter_map(|line| line.split_once("said: "))
            .map(|(_, said)| said)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// What both tiers tell of an act, each loaded for it.
pub(crate) fn watch_both(act: &str, check: impl Fn(Tier, &Story, &str)) {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let mut watch = Watch::tier(tier);
        let actor = Actor::start(act);
        let tgid = actor.tgid();
        let story = watch.until_exit(tgid);
        check(watch.programs.report().tier, &story, &actor.end());
        assert_eq!(watch.unreadable(), 0);
        assert_eq!(watch.lost(Loss::RingFullData), 0);
    }
}
