//! The processes that series belong to, and the kinds of processes that their peers are.

use std::collections::HashMap;

use sluice_pipeline::{exchange::process as attribute, otlp::write::Writer};

use super::{
    catalogue::peer,
    point::{write_int, write_text},
};

/// The most processes known at a time; what belongs to further ones is counted into the overflow series.
const MAX_PROCESSES: usize = 65_536;
/// The longest text of an identity, in bytes. Longer ones are cut.
const MAX_TEXT: usize = 1_024;
/// The field number of `Resource.attributes`.
const RESOURCE_ATTRIBUTES: u32 = 1;
/// A process, a peer or a place without memory of its own costs about that much, in bytes.
const ENTRY_COST: usize = 160;

/// What is known of a process. Text that is empty and numbers that are absent become no attribute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// The host.
    pub host_name: &'a str,
    /// The process, as the host numbers it.
    pub pid: u32,
    /// The process, as its own PID namespace numbers it, if that differs.
    pub namespace_pid: Option<u32>,
    /// The file name of the executable.
    pub executable_name: &'a str,
    /// Its path.
    pub executable_path: &'a str,
    /// The host name of its own UTS namespace, if that differs.
    pub namespace_host_name: &'a str,
    /// The container.
    pub container_id: &'a str,
    /// The pod.
    pub pod_uid: &'a str,
}

/// A process that an [`super::Aggregator`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessHandle {
    index: u32,
    generation: u32,
}

/// A kind of process that a peer is: executable, container and pod, but not the process id, which is as short-lived as a
/// client's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PeerId(pub(super) u32);

/// All processes and kinds of peers.
#[derive(Debug)]
pub(super) struct Processes {
    entries: Vec<Process>,
    free: Vec<u32>,
    by_resource: HashMap<Box<[u8]>, u32>,
    peers: HashMap<PeerId, Peer>,
    by_attributes: HashMap<Box<[u8]>, PeerId>,
    next_peer: u32,
    text_bytes: usize,
    pub(super) cut: u64,
}

#[derive(Debug)]
struct Process {
    generation: u32,
    /// How often it was registered and not released. Without any, it goes with the next collection.
    registrations: u32,
    /// An encoded `Resource`.
    resource: Box<[u8]>,
    peer: PeerId,
}

#[derive(Debug)]
struct Peer {
    /// Of how many processes and series it is.
    uses: usize,
    /// Encoded `KeyValue`s.
    attributes: Box<[u8]>,
}

impl ProcessHandle {
    /// The process of what cannot be told apart any more.
    pub(super) const OVERFLOW: Self = Self { index: 0, generation: 0 };

    pub(super) fn bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn index(self) -> u32 {
        self.index
    }
}

impl PeerId {
    /// Nothing is known but the address.
    pub(super) const NONE: Self = Self(0);
}

impl Processes {
    pub(super) fn new(host_name: &str) -> Self {
        let mut resource = Vec::new();
        write_texts(&mut resource, &[(attribute::HOST_NAME, host_name)]);
        let overflow =
            Process { generation: 0, registrations: 1, resource: resource.into(), peer: PeerId::NONE };
        Self {
            entries: vec![overflow],
            free: Vec::new(),
            by_resource: HashMap::new(),
            peers: HashMap::new(),
            by_attributes: HashMap::new(),
            next_peer: 1,
            text_bytes: 0,
            cut: 0,
        }
    }

    /// The handle of a process; the same as before if it is known.
    pub(super) fn register(&mut self, identity: &Identity<'_>) -> ProcessHandle {
        let resource = self.resource(identity);
        if let Some(index) = self.by_resource.get(&*resource).copied()
            && let Some(process) = self.entries.get_mut(index as usize)
        {
            process.registrations = process.registrations.saturating_add(1);
            return ProcessHandle { index, generation: process.generation };
        }
        if self.by_resource.len() >= MAX_PROCESSES {
            return ProcessHandle::OVERFLOW;
        }
        let peer = self.peer_kind(identity);
        self.text_bytes += 2 * resource.len();
        let index = self.free.pop().unwrap_or_else(|| {
            let next = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            self.entries.push(Process {
                generation: 0,
                registrations: 0,
                resource: Box::default(),
                peer: PeerId::NONE,
            });
            next
        });
        self.by_resource.insert(resource.clone(), index);
        let Some(process) = self.entries.get_mut(index as usize) else { return ProcessHandle::OVERFLOW };
        *process = Process { generation: process.generation, registrations: 1, resource, peer };
        ProcessHandle { index, generation: process.generation }
    }

    /// Takes back one registration.
    pub(super) fn release(&mut self, handle: ProcessHandle) {
        if handle != ProcessHandle::OVERFLOW
            && self.is_known(handle)
            && let Some(process) = self.entries.get_mut(handle.index as usize)
        {
            process.registrations = process.registrations.saturating_sub(1);
        }
    }

    pub(super) fn is_known(&self, handle: ProcessHandle) -> bool {
        let process = self.entries.get(handle.index as usize);
        process
            .is_some_and(|process| process.generation == handle.generation && !self.is_vacant(handle.index))
    }

    fn is_vacant(&self, index: u32) -> bool {
        index != 0 && self.entries.get(index as usize).is_none_or(|process| process.resource.is_empty())
    }

    /// Whether nobody has a registration any more.
    pub(super) fn is_released(&self, index: u32) -> bool {
        self.entries.get(index as usize).is_none_or(|process| process.registrations == 0)
    }

    /// Forgets the processes that are released; their series must be gone.
    pub(super) fn forget_released(&mut self) {
        for index in 1..self.entries.len() {
            let Some(process) = self.entries.get_mut(index) else { continue };
            if process.registrations > 0 || process.resource.is_empty() {
                continue;
            }
            // Numbers that have gone round would make an old handle valid again: such a place stays unused.
            let reusable = process.generation.checked_add(1);
            process.generation = reusable.unwrap_or(u32::MAX);
            let resource = std::mem::take(&mut process.resource);
            let peer = std::mem::replace(&mut process.peer, PeerId::NONE);
            self.text_bytes -= 2 * resource.len();
            self.by_resource.remove(&resource);
            self.leave_peer(peer);
            if let (Some(_), Ok(index)) = (reusable, u32::try_from(index)) {
                self.free.push(index);
            }
        }
    }

    /// The encoded `Resource` of the process at this place.
    pub(super) fn resource_at(&self, index: u32) -> &[u8] {
        self.entries.get(index as usize).map_or(&[], |process| &process.resource)
    }

    /// What kind of peer a process is.
    pub(super) fn peer_of(&self, handle: ProcessHandle) -> PeerId {
        let process = self.entries.get(handle.index as usize).filter(|_| self.is_known(handle));
        process.map_or(PeerId::NONE, |process| process.peer)
    }

    /// The encoded attributes of a kind of peer; `None` if it is not known (any more).
    pub(super) fn peer_attributes(&self, peer: PeerId) -> Option<&[u8]> {
        self.peers.get(&peer).map(|peer| &*peer.attributes)
    }

    /// Keeps a kind of peer as long as a series needs it.
    pub(super) fn keep_peer(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.uses += 1;
        }
    }

    /// Undoes [`Processes::keep_peer`].
    pub(super) fn leave_peer(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.uses -= 1;
        if peer.uses == 0 {
            let attributes = std::mem::take(&mut peer.attributes);
            self.text_bytes -= 2 * attributes.len();
            self.by_attributes.remove(&attributes);
            self.peers.remove(&id);
        }
    }

    /// Bytes held, roughly.
    pub(super) fn memory(&self) -> usize {
        self.text_bytes + ENTRY_COST * (self.entries.capacity() + self.peers.capacity())
    }

    fn resource(&mut self, identity: &Identity<'_>) -> Box<[u8]> {
        let mut resource = Vec::with_capacity(256);
        self.cut += write_texts(
            &mut resource,
            &[
                (attribute::SERVICE_NAME, identity.executable_name),
                (attribute::HOST_NAME, identity.host_name),
            ],
        );
        let mut writer = Writer::new(&mut resource);
        write_int(&mut writer, RESOURCE_ATTRIBUTES, attribute::PID, i64::from(identity.pid));
        if let Some(pid) = identity.namespace_pid {
            write_int(&mut writer, RESOURCE_ATTRIBUTES, attribute::NAMESPACE_PID, i64::from(pid));
        }
        let texts = [
            (attribute::EXECUTABLE_NAME, identity.executable_name),
            (attribute::EXECUTABLE_PATH, identity.executable_path),
            (attribute::NAMESPACE_HOST_NAME, identity.namespace_host_name),
            (attribute::CONTAINER_ID, identity.container_id),
            (attribute::POD_UID, identity.pod_uid),
        ];
        self.cut += write_texts(&mut resource, &texts);
        resource.into()
    }

    fn peer_kind(&mut self, identity: &Identity<'_>) -> PeerId {
        let mut attributes = Vec::new();
        let texts = [
            (peer::EXECUTABLE_NAME, identity.executable_name),
            (peer::CONTAINER_ID, identity.container_id),
            (peer::POD_UID, identity.pod_uid),
        ];
        write_texts(&mut attributes, &texts);
        if attributes.is_empty() {
            return PeerId::NONE;
        }
        let attributes = attributes.into_boxed_slice();
        if let Some(id) = self.by_attributes.get(&attributes).copied() {
            self.keep_peer(id);
            return id;
        }
        // Numbers are not used twice: a pair may outlive the kind of its peer. The last one is never given out.
        let Some(next) = self.next_peer.checked_add(1) else { return PeerId::NONE };
        let id = PeerId(std::mem::replace(&mut self.next_peer, next));
        self.text_bytes += 2 * attributes.len();
        self.by_attributes.insert(attributes.clone(), id);
        self.peers.insert(id, Peer { uses: 1, attributes });
        id
    }
}

/// Writes those that are not empty; gives how many had to be cut.
fn write_texts(buffer: &mut Vec<u8>, texts: &[(&str, &str)]) -> u64 {
    let mut cut = 0;
    let mut writer = Writer::new(buffer);
    for (key, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        let end = text.floor_char_boundary(MAX_TEXT);
        cut += u64::from(end < text.len());
        write_text(&mut writer, RESOURCE_ATTRIBUTES, key, text.get(..end).unwrap_or_default());
    }
    cut
}
