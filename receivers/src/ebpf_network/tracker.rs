//! Follows connections: gives each event to what parses, measures and records.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use sluice_ebpf::{
    Event, Verdict, Verdicts,
    event::{self, Incident},
};

use super::{
    connection::Connection,
    counters::Counters,
    exchange::{Exchange, Request},
    followed::{Followed, Process},
    http::{self, Loss},
    metrics::{Aggregator, ConnectError, HttpObservation, ProcessHandle, Recent, TcpObservation},
    process::{Filter, Table},
    record::{self, Clock, Outcome, Recorder},
    sampling::Rules,
    socket::{Direction, Ends, Role},
};

/// How many addresses of servers on this host are remembered.
const MAX_SERVERS: usize = 4_096;
/// After this long without an event a connection is told so, in nanoseconds.
const IDLE: u64 = 1_000_000_000;
/// After this long without an event a connection is forgotten, in nanoseconds: the event of its end was lost.
const FORGOTTEN: u64 = 3_600_000_000_000;

/// Follows connections.
pub(super) struct Tracker {
    pub(super) table: Table,
    pub(super) filter: Filter,
    /// Processes that run this are left alone.
    pub(super) excluded_executable: Option<PathBuf>,
    pub(super) verdicts: Verdicts,
    pub(super) followed: Followed,
    pub(super) max_connections: usize,
    pub(super) sinks: Sinks,
    connections: HashMap<u64, Connection, BuildHasherDefault<SocketHasher>>,
    /// Who serves at an address of this host.
    servers: HashMap<(u32, SocketAddr), ProcessHandle>,
}

/// Where what was seen goes.
pub(super) struct Sinks {
    pub(super) rules: Arc<Rules>,
    pub(super) recorder: Option<Recorder>,
    pub(super) aggregator: Option<Aggregator>,
    pub(super) drop_reasons: HashMap<u16, String>,
    pub(super) clock: Clock,
    pub(super) counters: Counters,
}

/// The parser's observer for one connection.
struct Observed<'t> {
    sinks: &'t mut Sinks,
    ends: &'t Ends,
    process: &'t Process,
    pair: Option<&'t super::metrics::Pair>,
    recent: &'t mut Recent,
    now: u64,
}

impl Tracker {
    pub(super) fn new(
        filter: Filter,
        excluded_executable: Option<PathBuf>,
        verdicts: Verdicts,
        host_name: String,
        max_connections: usize,
        sinks: Sinks,
    ) -> Self {
        Self {
            table: Table::default(),
            filter,
            excluded_executable,
            verdicts,
            followed: Followed::new(host_name),
            max_connections,
            sinks,
            connections: HashMap::default(),
            servers: HashMap::new(),
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Data(data) => self.transfer(&data),
            Event::Connection(connection) => self.appeared(&connection),
            Event::Connected(incident) => self.connected(&incident),
            Event::Closed(incident) => self.closed(&incident),
            Event::Retransmit(incident) => self.retransmitted(&incident),
            Event::Reset(incident) => {
                let direction = if incident.flag { Direction::Inbound } else { Direction::Outbound };
                self.observe(&incident, TcpObservation::Reset(direction));
            }
            Event::Dropped(incident) => self.dropped(&incident),
            Event::Settled(incident) => self.settled(&incident),
            Event::Execute(execute) => self.table.executed(&execute),
            Event::Fork(process) => self.table.forked(&process),
            Event::Exit(process) => self.followed.ended(process.tgid, process.time),
        }
    }

    fn transfer(&mut self, data: &event::Data<'_>) {
        let Some(connection) = self.connections.get_mut(&data.socket) else { return };
        let segment = connection.segment(data);
        let retransmits = connection.retransmitted(data.retransmits);
        if let (Some(aggregator), Some(pair)) = (&mut self.sinks.aggregator, &connection.pair) {
            aggregator.tcp_on(pair, &mut connection.recent, TcpObservation::of(&segment, retransmits));
        }
        let (parser, mut observed) = self.sinks.observe(connection, data.end);
        parser.segment(&segment, &mut observed);
    }

    /// A connection is seen for the first time, or another process uses it.
    pub(super) fn appeared(&mut self, seen: &event::Connection) {
        let identity = self.table.identity(seen.tgid, seen.cgroup);
        let is_server = seen.is_client == Some(false);
        let server_port = if is_server { seen.local.port() } else { seen.peer.port() };
        let is_excluded = self.excluded_executable.as_ref().is_some_and(|excluded| {
            excluded.as_os_str().as_encoded_bytes() == identity.executable.as_bytes()
        });
        if is_excluded || !self.filter.watches(&identity, server_port) {
            if is_excluded || !self.filter.can_watch(&identity) {
                self.verdicts.set(seen.tgid, Verdict::Ignore);
            }
            self.connections.remove(&seen.socket);
            return;
        }
        if !self.followed.knows(&identity) {
            // It would be watched without, too; but what is said is found sooner.
            self.verdicts.set(seen.tgid, Verdict::Watch);
        }
        let process = self.followed.get(&identity, self.sinks.aggregator.as_mut());
        let ends = Ends { local: seen.local, peer: seen.peer };
        let role = match seen.is_client {
            Some(true) => Role::Client,
            Some(false) => Role::Server,
            None => Role::Unknown,
        };
        let pair = self.pair(seen, &process, role, &ends);
        // One that is older than the programs: it gets its number when something moves over it, and only then an end.
        if seen.socket == 0 {
            return;
        }
        if let Some(known) = self.connections.get_mut(&seen.socket) {
            (known.process, known.pair, known.ends) = (process, pair, ends);
            known.recent = Recent::default();
            return;
        }
        if self.connections.len() >= self.max_connections {
            return self.sinks.counters.too_many_connections();
        }
        if let (true, true, Some(aggregator), Some(pair)) =
            (seen.is_fresh, is_server, &mut self.sinks.aggregator, &pair)
        {
            aggregator.tcp(pair, TcpObservation::Accepted);
        }
        let connection = Connection::new(seen.is_fresh, ends, role, process, pair, seen.time);
        self.connections.insert(seen.socket, connection);
    }

    fn pair(
        &mut self,
        seen: &event::Connection,
        process: &Process,
        role: Role,
        ends: &Ends,
    ) -> Option<super::metrics::Pair> {
        let aggregator = self.sinks.aggregator.as_ref()?;
        let handle = process.handle?;
        let namespace = seen.network_namespace;
        if role == Role::Server
            && (self.servers.len() < MAX_SERVERS || self.servers.contains_key(&(namespace, ends.local)))
        {
            self.servers.insert((namespace, ends.local), handle);
        }
        let peer = match role {
            Role::Client => self.servers.get(&(namespace, ends.peer)).copied(),
            _ => None,
        };
        Some(aggregator.pair(handle, role, ends, peer))
    }

    fn connected(&mut self, incident: &Incident) {
        self.retransmitted(incident);
        let observation = if incident.flag {
            TcpObservation::Failed(ConnectError::of(incident.reason))
        } else {
            TcpObservation::Opened { duration: incident.end.saturating_sub(incident.start) }
        };
        self.observe(incident, observation);
    }

    fn closed(&mut self, incident: &Incident) {
        self.retransmitted(incident);
        let Some(mut connection) = self.connections.remove(&incident.socket) else { return };
        if let (Some(aggregator), Some(pair)) = (&mut self.sinks.aggregator, &connection.pair) {
            aggregator.tcp(pair, TcpObservation::Closed);
        }
        let (parser, mut observed) = self.sinks.observe(&mut connection, incident.end);
        parser.extent(Direction::Inbound, incident.received, &mut observed);
        parser.extent(Direction::Outbound, incident.sent, &mut observed);
        parser.close(&mut observed);
    }

    /// Exchanges passed that nobody asked for.
    fn settled(&mut self, incident: &Incident) {
        let Some(connection) = self.connections.get_mut(&incident.socket) else { return };
        connection.settled(incident.end, incident.retransmits);
        let (parser, mut observed) = self.sinks.observe(connection, incident.end);
        parser.settled(incident.received, incident.sent, &mut observed);
    }

    fn retransmitted(&mut self, incident: &Incident) {
        let Some(connection) = self.connections.get_mut(&incident.socket) else { return };
        let segments = connection.retransmitted(incident.retransmits);
        if segments > 0 {
            self.observe(incident, TcpObservation::Retransmitted { segments });
        }
    }

    fn dropped(&mut self, incident: &Incident) {
        let Sinks { aggregator, drop_reasons, .. } = &mut self.sinks;
        let Some(aggregator) = aggregator else { return };
        let number;
        let name = match drop_reasons.get(&incident.reason) {
            Some(name) => name.as_str(),
            None => {
                number = format!("reason_{}", incident.reason);
                &number
            }
        };
        let reason = aggregator.drop_reason(name);
        self.observe(incident, TcpObservation::Dropped(reason));
    }

    fn observe(&mut self, incident: &Incident, observation: TcpObservation) {
        let Some(connection) = self.connections.get_mut(&incident.socket) else { return };
        connection.last = incident.end;
        if let (Some(aggregator), Some(pair)) = (&mut self.sinks.aggregator, &connection.pair) {
            aggregator.tcp(pair, observation);
        }
    }

    /// Tells connections on which nothing happens so, and forgets those whose end was not seen. Returns the bytes that the
    /// others hold.
    pub(super) fn sweep(&mut self, now: u64) -> usize {
        let Self { connections, sinks, .. } = self;
        let mut bytes = 0;
        connections.retain(|_, connection| {
            let quiet = now.saturating_sub(connection.last);
            if quiet > IDLE && !connection.is_idle {
                connection.is_idle = true;
                let (parser, mut observed) = sinks.observe(connection, now);
                parser.idle(&mut observed);
            }
            bytes += connection.parser.memory();
            quiet < FORGOTTEN
        });
        self.followed.sweep(now, self.sinks.aggregator.as_mut());
        bytes
    }

    /// How many connections are followed.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }
}

impl Sinks {
    /// The parser of a connection, and what it tells its findings.
    fn observe<'t>(
        &'t mut self,
        connection: &'t mut Connection,
        now: u64,
    ) -> (&'t mut http::Connection, Observed<'t>) {
        let Connection { parser, process, ends, pair, recent, .. } = connection;
        (parser, Observed { sinks: self, ends, process, pair: pair.as_ref(), recent, now })
    }
}

impl http::Observer for Observed<'_> {
    fn wants_details(&self) -> bool {
        self.sinks.recorder.is_some()
    }

    fn request(&mut self, request: &Request<'_>) -> http::Wants {
        let wants = self.sinks.rules.wants(request);
        http::Wants { request_body: wants.request, response_body: wants.response, calls: wants.syscalls }
    }

    fn exchange(&mut self, exchange: &Exchange<'_>) {
        let Sinks { aggregator, recorder, counters, clock, .. } = &mut *self.sinks;
        counters.exchange();
        if let (Some(aggregator), Some(pair)) = (aggregator, self.pair) {
            aggregator.http_on(pair, self.recent, &HttpObservation::of(exchange));
        }
        if let Some(recorder) = recorder {
            let process = record::Process { id: self.process.number, resource: &self.process.resource };
            match recorder.push(exchange, self.ends, process, *clock, self.now) {
                Outcome::Recorded | Outcome::Held => {}
                Outcome::Replaced => counters.unrecorded(record::Reason::Shorter),
                Outcome::Dropped(reason) => counters.unrecorded(reason),
            }
        }
    }

    fn lost(&mut self, loss: Loss) {
        self.sinks.counters.lost(loss);
    }
}

/// Mixes the numbers that the kernel side gives to connections, which nobody outside chooses.
#[derive(Default)]
struct SocketHasher(u64);

impl Hasher for SocketHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
