//! A disk in memory that does what real ones do when the power goes: unsynced writes are lost, kept or torn, names that
//! were not synced may be gone or back, a failed sync loses what it should have kept, bits rot.

use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc};

use fastrand::Rng;

use super::Disk;

/// What a disk writes at once.
const SECTOR: usize = 64;

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub(in crate::file_storage) struct SimulatedDisk(Rc<RefCell<State>>);

/// An open file: its number.
pub(in crate::file_storage) struct Handle {
    inode: usize,
    /// Handles do not survive a crash.
    boot: u32,
}

struct State {
    random: Rng,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    boot: u32,
    /// How many operations are left until the power goes.
    until_crash: Option<u32>,
    crashed: bool,
    faults: Faults,
    idle: Option<Idle>,
    syncs: usize,
}

/// For the test of the test: a sync that returns success and does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::file_storage) enum Idle {
    /// Of files.
    File,
    /// Of the directory.
    Directory,
}

/// What fails next.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::file_storage) struct Faults {
    pub(in crate::file_storage) syncs: u32,
    pub(in crate::file_storage) writes: u32,
    /// Whether failing writes say that the disk is full.
    pub(in crate::file_storage) full: bool,
}

#[derive(Clone, Default)]
struct Inode {
    /// What is on the platter for certain.
    durable: Vec<u8>,
    /// What a reader sees.
    current: Vec<u8>,
    /// What lies between the two.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl SimulatedDisk {
    pub(in crate::file_storage) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            random: Rng::with_seed(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            boot: 0,
            until_crash: None,
            crashed: false,
            faults: Faults::default(),
            idle: None,
            syncs: 0,
        })))
    }

    pub(in crate::file_storage) fn with_idle(self, idle: Idle) -> Self {
        self.0.borrow_mut().idle = Some(idle);
        self
    }

    pub(in crate::file_storage) fn crash_after(&self, operations: u32) {
        self.0.borrow_mut().until_crash = Some(operations);
    }

    pub(in crate::file_storage) fn has_crashed(&self) -> bool {
        self.0.borrow().crashed
    }

    pub(in crate::file_storage) fn fail(&self, faults: Faults) {
        self.0.borrow_mut().faults = faults;
    }

    pub(in crate::file_storage) fn syncs(&self) -> usize {
        self.0.borrow().syncs
    }

    /// The power is back: what is found is what a disk may have kept.
    pub(in crate::file_storage) fn boot(&self) {
        let mut state = self.0.borrow_mut();
        let State { random, inodes, names, synced_names, .. } = &mut *state;
        let mut found = synced_names.clone();
        let changed: Vec<String> = names
            .keys()
            .chain(synced_names.keys())
            .filter(|name| names.get(*name) != synced_names.get(*name))
            .cloned()
            .collect();
        for name in changed {
            if random.bool() {
                match names.get(&name) {
                    Some(inode) => found.insert(name, *inode),
                    None => found.remove(&name),
                };
            }
        }
        for inode in inodes.iter_mut() {
            inode.settle(random);
        }
        *names = found.clone();
        *synced_names = found;
        state.boot += 1;
        state.until_crash = None;
        state.crashed = false;
        state.faults = Faults::default();
    }

    /// The process ends in order; the system keeps running.
    pub(in crate::file_storage) fn end_process(&self) {
        let mut state = self.0.borrow_mut();
        state.boot += 1;
        state.until_crash = None;
        state.faults = Faults::default();
    }

    /// Flips a bit of some file with this ending.
    pub(in crate::file_storage) fn flip(&self, ending: &str) {
        let mut state = self.0.borrow_mut();
        let State { random, inodes, names, .. } = &mut *state;
        let files: Vec<usize> =
            names.iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, inode)| *inode).collect();
        let Some(inode) = random.choice(files).and_then(|inode| inodes.get_mut(inode)) else { return };
        if inode.current.is_empty() {
            return;
        }
        let bit = random.usize(..inode.current.len() * 8);
        for content in [&mut inode.current, &mut inode.durable] {
            if let Some(byte) = content.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// The content of a file.
    pub(in crate::file_storage) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.0.borrow();
        state.names.get(name).map(|inode| state.inodes[*inode].current.clone()).unwrap_or_default()
    }

    /// Puts a file there, synced.
    pub(in crate::file_storage) fn put(&self, name: &str, content: &[u8]) {
        let mut state = self.0.borrow_mut();
        let inode = state.inodes.len();
        let content = content.to_vec();
        state.inodes.push(Inode { durable: content.clone(), current: content, pending: Vec::new() });
        state.names.insert(name.to_owned(), inode);
        state.synced_names.insert(name.to_owned(), inode);
    }
}

impl Inode {
    fn apply(&mut self, change: Change) {
        apply(&mut self.current, &change);
        self.pending.push(change);
    }

    /// Each pending change was done, in part or not at all.
    fn settle(&mut self, random: &mut Rng) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Truncate(_) if random.bool() => {}
                Change::Truncate(_) => apply(&mut self.durable, &change),
                Change::Write(offset, bytes) => {
                    let fate = random.u8(..4);
                    for (place, sector) in bytes.chunks(SECTOR).enumerate() {
                        let kept = match fate {
                            0 => false,
                            1 => true,
                            _ => random.bool(),
                        };
                        // Torn: the sector in which the power went may be kept in part.
                        let length =
                            if kept && fate == 3 { random.usize(..=sector.len()) } else { sector.len() };
                        if kept {
                            let part = sector[..length].to_vec();
                            apply(&mut self.durable, &Change::Write(offset + place * SECTOR, part));
                        }
                    }
                }
            }
        }
        self.current = self.durable.clone();
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(length) => content.resize(*length, 0),
        Change::Write(offset, bytes) => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(bytes);
        }
    }
}

impl State {
    fn inode(&mut self, handle: &Handle) -> io::Result<&mut Inode> {
        assert_eq!(handle.boot, self.boot, "a file of a process that is gone is used");
        self.inodes.get_mut(handle.inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts down to the crash. From then on nothing works.
    fn step(&mut self) -> io::Result<()> {
        if self.until_crash == Some(0) {
            self.crashed = true;
        }
        self.until_crash = self.until_crash.map(|left| left.saturating_sub(1));
        if self.crashed { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }
}

impl Disk for SimulatedDisk {
    type File = Handle;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Handle> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (inode, boot) = (state.inodes.len(), state.boot);
        state.inodes.push(Inode::default());
        state.names.insert(name.to_owned(), inode);
        Ok(Handle { inode, boot })
    }

    fn open(&self, name: &str) -> io::Result<Handle> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Handle { inode, boot: state.boot })
    }

    fn length(&self, file: &Handle) -> io::Result<u64> {
        Ok(self.0.borrow_mut().inode(file)?.current.len() as u64)
    }

    fn read_at(&self, file: &Handle, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        let content = &state.inode(file)?.current;
        let rest = content.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, file: &Handle, offset: u64, pieces: &[&[u8]]) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let mut bytes = pieces.concat();
        let offset = usize::try_from(offset).unwrap();
        let mut outcome = Ok(());
        if state.faults.writes > 0 {
            state.faults.writes -= 1;
            bytes.truncate(state.random.usize(..=bytes.len()));
            outcome =
                Err(if state.faults.full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other }.into());
        }
        // The power may go while it is written.
        let step = state.step();
        state.inode(file)?.apply(Change::Write(offset, bytes));
        step.and(outcome)
    }

    fn truncate(&self, file: &Handle, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.inode(file)?.apply(Change::Truncate(usize::try_from(length).unwrap()));
        Ok(())
    }

    fn sync(&self, file: &Handle) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.syncs += 1;
        let (fails, nothing) = (state.faults.syncs > 0, state.idle == Some(Idle::File));
        if fails {
            state.faults.syncs -= 1;
        }
        let mut random = state.random.fork();
        let inode = state.inode(file)?;
        if fails {
            // As Linux does: the pages count as clean, and the next sync succeeds without them.
            let current = inode.current.clone();
            inode.settle(&mut random);
            inode.current = current;
            return Err(io::Error::other("input/output error"));
        }
        if !nothing {
            let Inode { durable, pending, .. } = inode;
            for change in pending.drain(..) {
                apply(durable, &change);
            }
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.names.remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step()?;
        state.syncs += 1;
        if state.faults.syncs > 0 {
            state.faults.syncs -= 1;
            return Err(io::Error::other("input/output error"));
        }
        if state.idle != Some(Idle::Directory) {
            state.synced_names = state.names.clone();
        }
        Ok(())
    }
}
