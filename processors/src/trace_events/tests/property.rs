//! Whatever the order and the delays: no event goes onto a span of another trace or process, and what can join does.

use opentelemetry_proto::tonic::{
    logs::v1::ResourceLogs,
    trace::v1::{ResourceSpans, Span},
};
use proptest::prelude::*;
use sluice_pipeline::exchange::process;

use super::{super::*, world::*};

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A process.
#[derive(Clone, Copy)]
struct Actor {
    /// Those in a container have the pid 1 there, and its short id as host name.
    in_container: bool,
    name: &'static str,
    pid: u64,
    host: &'static str,
    address: &'static str,
    port: u64,
}

const FRONT: Actor =
    Actor { in_container: false, name: "front", pid: 1, host: "h", address: "10.0.0.1", port: 80 };
const PROXY: Actor =
    Actor { in_container: false, name: "proxy", pid: 2, host: "h", address: "10.0.0.2", port: 81 };
/// The second has the number of the first on another host.
const BACKS: [Actor; 2] = [
    Actor { in_container: true, name: "back", pid: 3, host: "h", address: "10.0.0.3", port: 82 },
    Actor { in_container: false, name: "other back", pid: 3, host: "i", address: "10.0.0.4", port: 82 },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    Pid,
    Container,
    Address,
}

impl Actor {
    fn container(self) -> String {
        format!("{:0<64}", format!("{:x}{:x}", self.pid, self.port))
    }

    /// As the kernel knows it.
    fn seen(self) -> Host {
        let mut host = Host::pid(self.host, self.pid);
        if self.in_container {
            host.0.extend([text(process::CONTAINER_ID, &self.container()), int(process::NAMESPACE_PID, 1)]);
        }
        host
    }

    /// As its spans tell.
    fn told(self, identity: Identity) -> Host {
        match identity {
            Identity::Pid if self.in_container => Host::pid(&self.container()[..12], 1),
            Identity::Container if self.in_container => {
                Host::unknown().with(process::CONTAINER_ID, &self.container())
            }
            Identity::Pid | Identity::Container => Host::pid(self.host, self.pid),
            Identity::Address => Host::unknown(),
        }
    }
}

#[derive(Clone)]
enum Item {
    Span(ResourceSpans),
    Exchange(ResourceLogs),
}

/// What happens, with when it arrives in milliseconds, and how many exchanges can join.
struct Story {
    items: Vec<(u64, Item)>,
    joinable: usize,
    exchanges: usize,
}

struct Teller {
    random: Random,
    in_time: bool,
    base: u64,
    story: Story,
}

impl Teller {
    fn at(&self, milliseconds: u64) -> u64 {
        self.base + milliseconds * 1_000_000
    }

    fn span(
        &mut self,
        actor: Actor,
        trace: u8,
        kind: i32,
        ids: (u64, u64, bool),
        times: (u64, u64),
        due: u64,
    ) {
        let identity = match self.random.below(if self.in_time { 2 } else { 3 }) {
            0 => Identity::Pid,
            1 => Identity::Container,
            _ => Identity::Address,
        };
        let mut one = span(kind, [trace; 16], ids.0, ids.1, self.at(times.0), self.at(times.1))
            .with(text("truth", actor.name));
        if ids.2 {
            one = shared(one);
        }
        if identity == Identity::Address {
            one = one.with(text("net.host.ip", actor.address));
            if kind == SERVER {
                one = one.with(int("net.host.port", actor.port));
            }
        }
        let arrival = if self.in_time { due + self.random.below(3_000) } else { self.random.below(45_000) };
        self.story.items.push((arrival, Item::Span(actor.told(identity).reports(vec![one]))));
    }

    fn exchange(
        &mut self,
        actor: Actor,
        role: &str,
        trace: u8,
        header: u64,
        span: Option<u64>,
        times: (u64, u64),
    ) {
        let truth = match span {
            Some(span) => format!("{trace}/{span}/{}", actor.name),
            None => "no span's".to_owned(),
        };
        let port = if role == "server" { actor.port } else { 40_000 + self.random.below(1_000) };
        let exchange = Exchange::new(role, [trace; 16], header, self.at(times.0), self.at(times.1))
            .called(&truth)
            .ends((actor.address, port), ("10.9.9.9", 1));
        let arrival = if self.in_time { self.random.below(300) } else { self.random.below(45_000) };
        self.story.items.push((arrival, Item::Exchange(exchange.of(&actor.seen()))));
        self.story.exchanges += 1;
        self.story.joinable += usize::from(span.is_some());
    }

    /// A client calls a server, perhaps twice, perhaps through a proxy that only copies headers.
    fn trace(&mut self, trace: u8) {
        // Ids repeat from trace to trace.
        let client = 1 + self.random.below(3);
        let attempts = if self.random.chance(30) { 2 } else { 1 };
        let share = self.random.chance(40);
        self.span(FRONT, trace, CLIENT, (client, 0, false), (0, 100 * attempts + 10), 0);
        for attempt in 0..attempts {
            let start = 100 * attempt + 5;
            let times = |inset: u64| (start + inset, start + 90 - inset);
            let back = BACKS[self.random.below(2) as usize];
            let server = if share { client } else { 100 + attempt };
            self.exchange(FRONT, "client", trace, client, Some(client), times(0));
            if self.random.chance(50) {
                self.exchange(PROXY, "server", trace, client, None, times(3));
                self.exchange(PROXY, "client", trace, client, None, times(6));
            }
            self.exchange(back, "server", trace, client, Some(server), times(10));
            let parent = if share { 0 } else { client };
            self.span(back, trace, SERVER, (server, parent, share), times(12), 0);
        }
    }
}

fn story(seed: u64, in_time: bool) -> Story {
    let story = Story { items: Vec::new(), joinable: 0, exchanges: 0 };
    // However slow the test is, all spans are recent, so that all of requests wait.
    let base = ago(0) + 60_000_000_000;
    let mut teller = Teller { random: Random(seed), in_time, base, story };
    for trace in 1..=20 {
        teller.trace(trace);
    }
    teller.story.items.sort_by_key(|(arrival, _)| *arrival);
    teller.story
}

/// Plays a story, checks every event against the truth, and returns how many exchanges joined.
async fn play(story: &Story, late_matches: LateMatches) -> usize {
    let world = World::new(|config| config.late_matches = late_matches);
    let mut now = 0;
    for (arrival, item) in &story.items {
        wait(arrival - now).await;
        now = *arrival;
        match item.clone() {
            Item::Span(span) => world.spans(vec![span]).await,
            Item::Exchange(exchange) => world.exchanges(vec![exchange]).await,
        };
    }
    wait(60_000).await;
    let mut joined = 0;
    let left = world.left();
    for (group, span) in &left {
        let is_partial = span.attributes.iter().any(|pair| pair.key == "sluice.span.partial");
        for truth in contents(span) {
            joined += 1;
            let expected = format!("{}/{}/", span.trace_id[0], id_of(span));
            assert!(truth.starts_with(&expected), "{truth} is on {expected}");
            if !is_partial {
                let actor = span.attributes.iter().find(|pair| pair.key == "truth").map(text_of).unwrap();
                assert_eq!(truth, format!("{expected}{actor}"));
            } else {
                // Two servers that share the client's span may differ in their address alone.
                let mut originals = left.iter().filter(|(other, original)| {
                    original.name == "request"
                        && (&original.trace_id, &original.span_id, original.kind)
                            == (&span.trace_id, &span.span_id, span.kind)
                        && other.resource == group.resource
                        && address_of(original) == address_of(span)
                });
                let is_its_own = |(_, original): &(ResourceSpans, Span)| {
                    let actor =
                        original.attributes.iter().find(|pair| pair.key == "truth").map(text_of).unwrap();
                    truth == format!("{expected}{actor}")
                };
                assert!(originals.any(is_its_own), "{truth} is on a partial span of another");
            }
        }
    }
    assert_eq!(joined + world.unjoined().len(), story.exchanges, "each exchange leaves once");
    let spans = story.items.iter().filter(|(_, item)| matches!(item, Item::Span(_))).count();
    assert_eq!(
        left.iter().filter(|(_, span)| span.name == "request").count(),
        spans,
        "each span leaves once"
    );
    assert_eq!(world.budget.queued(), 0);
    joined
}

fn address_of(span: &Span) -> Option<String> {
    span.attributes.iter().find(|pair| pair.key == "net.host.ip").map(text_of)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_event_goes_onto_a_span_of_another_trace_or_process(seed in any::<u64>(), late in any::<bool>()) {
        let late_matches = if late { LateMatches::PartialSpan } else { LateMatches::Drop };
        run(play(&story(seed, false), late_matches));
    }

    #[test]
    fn what_tells_its_process_and_comes_in_time_joins(seed in any::<u64>()) {
        let story = story(seed, true);
        // A client's second attempt may come when its span has left with the first.
        let joined = run(play(&story, LateMatches::PartialSpan));
        prop_assert_eq!(joined, story.joinable);
    }
}
