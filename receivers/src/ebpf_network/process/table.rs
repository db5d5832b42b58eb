//! The processes that are known, looked up when a connection asks for them.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use sluice_ebpf::event;

use super::{
    cgroup::Membership,
    identity::{Identity, Told},
};

/// How many processes are remembered, whether or not they have connections.
const MAX_PROCESSES: usize = 16_384;
/// How many control groups are remembered.
const MAX_CGROUPS: usize = 8_192;
/// How deep control groups are searched for.
const MAX_CGROUP_DEPTH: usize = 12;

/// The processes that are known.
pub struct Table {
    proc: PathBuf,
    cgroups_root: PathBuf,
    processes: HashMap<u32, Entry>,
    /// Thread groups in the order in which they came, for eviction.
    order: VecDeque<(u32, u64)>,
    next: u64,
    cgroups: HashMap<u64, Membership>,
}

struct Entry {
    number: u64,
    told: Option<Told>,
    identity: Option<Arc<Identity>>,
}

impl Default for Table {
    fn default() -> Self {
        Self::new(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    }
}

impl Table {
    /// A table that reads below these folders.
    #[must_use]
    pub fn new(proc: &Path, cgroups_root: &Path) -> Self {
        Self {
            proc: proc.to_owned(),
            cgroups_root: cgroups_root.to_owned(),
            processes: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            cgroups: HashMap::new(),
        }
    }

    /// A process runs another program: what was known of it is void.
    pub fn executed(&mut self, execute: &event::Execute<'_>) {
        let told = Told {
            file_name: String::from_utf8_lossy(execute.file_name).into_owned(),
            arguments: execute.arguments.to_vec(),
            cgroup: execute.process.cgroup,
        };
        self.insert(execute.process.tgid, Some(told), None);
    }

    /// A process began: until it runs another program it is what its parent is.
    pub fn forked(&mut self, process: &event::Process) {
        let inherited = self.processes.get(&process.parent).and_then(|parent| parent.told.clone());
        self.insert(process.tgid, inherited, None);
    }

    /// What is known of a process; `cgroup` is the kernel's number for its control group.
    pub fn identity(&mut self, tgid: u32, cgroup: u64) -> Arc<Identity> {
        if let Some(identity) = self.processes.get(&tgid).and_then(|entry| entry.identity.clone()) {
            return identity;
        }
        let told = self.processes.get(&tgid).and_then(|entry| entry.told.clone());
        let identity = Arc::new(self.find(tgid, cgroup, told.as_ref()));
        match self.processes.get_mut(&tgid) {
            Some(entry) => entry.identity = Some(Arc::clone(&identity)),
            None => self.insert(tgid, None, Some(Arc::clone(&identity))),
        }
        identity
    }

    fn find(&mut self, tgid: u32, cgroup: u64, told: Option<&Told>) -> Identity {
        if let Some(identity) = Identity::read(&self.proc, tgid) {
            // What `/proc` has for a process that is ending is empty.
            if !identity.arguments.is_empty() || told.is_none() {
                return identity;
            }
        }
        match told {
            Some(told) => {
                let membership = self.membership(told.cgroup);
                Identity::of_told(tgid, told, membership)
            }
            None => Identity::of_told(tgid, &Told::default(), self.membership(cgroup)),
        }
    }

    fn insert(&mut self, tgid: u32, told: Option<Told>, identity: Option<Arc<Identity>>) {
        self.next += 1;
        self.processes.insert(tgid, Entry { number: self.next, told, identity });
        self.order.push_back((tgid, self.next));
        while self.order.len() > MAX_PROCESSES
            && let Some((tgid, number)) = self.order.pop_front()
        {
            if self.processes.get(&tgid).is_some_and(|entry| entry.number == number) {
                self.processes.remove(&tgid);
            }
        }
    }

    /// The number of a control group is the inode of its folder.
    fn membership(&mut self, cgroup: u64) -> Membership {
        if let Some(known) = self.cgroups.get(&cgroup) {
            return known.clone();
        }
        let path = find_folder(&self.cgroups_root, cgroup, MAX_CGROUP_DEPTH);
        let membership =
            path.map_or_else(Membership::default, |path| Membership::of_path(&path.to_string_lossy()));
        if self.cgroups.len() >= MAX_CGROUPS {
            self.cgroups.clear();
        }
        self.cgroups.insert(cgroup, membership.clone());
        membership
    }
}

fn find_folder(folder: &Path, inode: u64, depth: usize) -> Option<PathBuf> {
    use std::os::unix::fs::{DirEntryExt, MetadataExt};

    if folder.metadata().ok()?.ino() == inode {
        return Some(folder.to_owned());
    }
    let deeper = depth.checked_sub(1)?;
    let folders: Vec<_> = folder
        .read_dir()
        .ok()?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .collect();
    folders
        .iter()
        .find(|entry| entry.ino() == inode)
        .map(std::fs::DirEntry::path)
        .or_else(|| folders.iter().find_map(|entry| find_folder(&entry.path(), inode, deeper)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn began(tgid: u32, parent: u32, cgroup: u64) -> event::Process {
        event::Process { tgid, parent, cgroup, time: 0 }
    }

    #[test]
    fn a_process_that_is_gone_is_known_from_what_the_kernel_told() {
        let root = tempfile::tempdir().unwrap();
        let id = "ab".repeat(32);
        let folder = root.path().join(format!("system.slice/docker-{id}.scope"));
        std::fs::create_dir_all(&folder).unwrap();
        let cgroup = folder.metadata().unwrap().ino();
        let mut table = Table::new(Path::new("/nowhere"), root.path());
        table.executed(&event::Execute {
            process: began(70_000, 1, cgroup),
            file_name: b"/usr/bin/curl",
            arguments: b"curl\0-s\0",
        });
        table.forked(&began(70_001, 70_000, cgroup));
        for tgid in [70_000, 70_001] {
            let identity = table.identity(tgid, 0);
            assert_eq!(identity.executable_name(), "curl");
            assert_eq!(identity.container_id, id);
        }
    }

    #[test]
    fn another_program_is_another_identity() {
        let mut table = Table::new(Path::new("/nowhere"), Path::new("/nowhere"));
        for name in [b"/bin/sh".as_slice(), b"/bin/ls"] {
            table.executed(&event::Execute {
                process: began(70_000, 1, 0),
                file_name: name,
                arguments: b"x\0",
            });
            assert_eq!(table.identity(70_000, 0).executable.as_bytes(), name);
        }
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut table = Table::new(Path::new("/nowhere"), Path::new("/nowhere"));
        for tgid in 1..=u32::try_from(MAX_PROCESSES).unwrap() + 10 {
            table.forked(&began(tgid, 0, 0));
        }
        assert_eq!(table.processes.len(), MAX_PROCESSES);
        assert_eq!(table.order.len(), MAX_PROCESSES);
    }
}
