//! Adds what is known of its pod to each resource.

use std::{mem, net::IpAddr};

use sluice_pipeline::{
    Batch,
    otlp::{
        rewrite::{self, Attributes, Editor, Part, Visit, value},
        view::{AnyValue, Text, View},
        wire::Fields,
    },
};

use super::{
    association::Associations,
    block::{self, Block},
    catalogue::{Catalogue, State},
    config::Field,
    metrics::Tally,
    own::{self, Pairs, text},
    pod::{Entry, Restarts},
    related::Kind,
};

const POD_IP: &[u8] = b"k8s.pod.ip";
const SERVICE_NAME: &[u8] = b"service.name";
const EXECUTABLE_NAME: &[u8] = b"process.executable.name";
const CONTAINER_NAME: &[u8] = b"k8s.container.name";
const CONTAINER_ID: &[u8] = b"container.id";
const RESTART_COUNT: &[u8] = b"k8s.container.restart_count";

/// Adds what is known of pods. What a resource has already stays, unless it is empty.
pub(super) fn enrich(batch: Batch, catalogue: &Catalogue) -> (Batch, Tally) {
    let client = client(&batch);
    batch.translate();
    let state = catalogue.read();
    let mut editor = Enrich {
        catalogue,
        state: &state,
        client,
        key: Vec::with_capacity(64),
        pairs: Pairs::with_capacity(16),
        known: Vec::new(),
        tally: Tally::default(),
    };
    let batch = rewrite::batch(batch, &mut editor);
    (batch, editor.tally)
}

/// Adds only the address of the client.
pub(super) fn pass_through(batch: Batch, associations: &Associations) -> Batch {
    let Some(client) = client(&batch) else { return batch };
    rewrite::batch(batch, &mut PassThrough { associations, client, key: Vec::new() })
}

fn client(batch: &Batch) -> Option<IpAddr> {
    batch.context().peer.map(|peer| peer.ip().to_canonical())
}

struct Enrich<'c> {
    catalogue: &'c Catalogue,
    state: &'c State,
    client: Option<IpAddr>,
    key: Vec<u8>,
    /// Empty; what the attributes of each resource are listed in.
    pairs: Pairs<'static>,
    /// What of a block a resource has already.
    known: Vec<Known>,
    tally: Tally,
}

/// An attribute that both a block and a resource have.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Where it stands in the block.
    start: usize,
    end: usize,
    /// Whether that of the block takes the place of that of the resource.
    replaces: bool,
}

struct PassThrough<'c> {
    associations: &'c Associations,
    client: IpAddr,
    key: Vec<u8>,
}

impl Editor for PassThrough<'_> {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        let mut pairs = Pairs::new();
        own::list(resource.bytes(), &mut pairs);
        let identified = self.associations.identify(&pairs, Some(self.client), &mut self.key);
        if identified.is_some_and(|identified| identified.by_connection)
            && let Some(attributes) = resource.attributes()
        {
            set(attributes, POD_IP, &value::string(self.client.to_string().as_bytes()));
        }
        Visit::Keep
    }
}

impl Editor for Enrich<'_> {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        let mut pairs = own::emptied(mem::take(&mut self.pairs));
        own::list(resource.bytes(), &mut pairs);
        let Catalogue { associations, rules, .. } = self.catalogue;
        let identified = associations.identify(&pairs, self.client, &mut self.key);
        let address;
        if identified.is_some_and(|identified| identified.by_connection)
            && rules.has(Field::PodIp)
            && let (Some(client), Some(attributes)) = (self.client, resource.attributes())
        {
            address = value::string(client.to_string().as_bytes());
            if set(attributes, POD_IP, &address) {
                pairs.push((POD_IP, &address));
            }
        }
        let found = identified.and_then(|identified| self.state.pod(identified, &self.key));
        self.tally.count(identified.is_some(), found);
        match found.filter(|entry| !entry.is_ignored) {
            Some(entry) => self.of_pod(entry, &pairs, resource),
            None => self.of_relations(&pairs, resource),
        }
        self.pairs = own::emptied(pairs);
        Visit::Keep
    }
}

impl Enrich<'_> {
    fn of_pod(&mut self, entry: &Entry, pairs: &Pairs<'_>, resource: &mut Part<'_>) {
        if !pairs.iter().any(|(key, _)| matches!(*key, CONTAINER_NAME | CONTAINER_ID | RESTART_COUNT)) {
            return self.add(entry.usual(), pairs, resource);
        }
        self.add(entry.all(), pairs, resource);
        // A resource may say which run of the container it is of.
        let restarts = own::value(pairs, RESTART_COUNT);
        let restarts = restarts.map_or(Restarts::Untold, |value| Restarts::Told(own::number(value)));
        let (name, id) = (text(pairs, CONTAINER_NAME), text(pairs, CONTAINER_ID));
        if let Some(block) = entry.of_container(name, id, restarts) {
            self.add(block, pairs, resource);
        }
    }

    /// Adds what the resource does not have of a block, all at once: nearly always that is the block as it stands, or
    /// without what the pod was found by.
    fn add(&mut self, block: Block<'_>, pairs: &Pairs<'_>, resource: &mut Part<'_>) {
        self.known.clear();
        for (key, value) in pairs {
            if let Some(place) = block.find(key)
                && !self.known.iter().any(|known| known.start == place.start)
            {
                let replaces = is_free(key, value, pairs);
                self.known.push(Known { start: place.start, end: place.end, replaces });
            }
        }
        self.known.sort_unstable_by_key(|known| known.start);
        resource.append(|writer| {
            let mut from = 0;
            for known in &self.known {
                writer.raw(block.bytes.get(from..known.start).unwrap_or_default());
                from = known.end;
            }
            writer.raw(block.bytes.get(from..).unwrap_or_default());
        });
        for known in self.known.iter().filter(|known| known.replaces) {
            let field = block.bytes.get(known.start..known.end).unwrap_or_default();
            if let (Some((_, key)), Some(attributes)) = (block::fields(field).next(), resource.attributes()) {
                attributes.update(key, field_value(field));
            }
        }
    }

    /// What a resource whose pod is not known says that it belongs to.
    fn of_relations(&self, pairs: &Pairs<'_>, resource: &mut Part<'_>) {
        for (kind, key) in [
            (Kind::Namespace, "k8s.namespace.name"),
            (Kind::Node, "k8s.node.name"),
            (Kind::Deployment, "k8s.deployment.uid"),
            (Kind::StatefulSet, "k8s.statefulset.uid"),
            (Kind::DaemonSet, "k8s.daemonset.uid"),
            (Kind::Job, "k8s.job.uid"),
        ] {
            let name = text(pairs, key.as_bytes());
            if !name.is_empty()
                && let Some(block) = self.state.related(kind, name.as_str())
            {
                // Several may have the same key.
                add_one_by_one(block, resource);
            }
        }
        if self.catalogue.rules.has(Field::ServiceNamespace)
            && let name @ [_, ..] = text(pairs, b"k8s.namespace.name")
            && let Some(attributes) = resource.attributes()
        {
            set(attributes, b"service.namespace", &value::string(name));
        }
    }
}

/// Whether an attribute that a resource has is to be replaced.
fn is_free(key: &[u8], value: &[u8], pairs: &Pairs<'_>) -> bool {
    let is_empty = matches!(AnyValue::of(value), AnyValue::Empty | AnyValue::String([]));
    is_empty || key == SERVICE_NAME && is_made_up(pairs)
}

fn add_one_by_one(block: &[u8], resource: &mut Part<'_>) {
    let Some(attributes) = resource.attributes() else { return };
    for (field, key) in block::fields(block) {
        set(attributes, key, field_value(field));
    }
}

/// Whether the name of the service is only that of the program, as `ebpf_network` gives it where nobody knows better.
fn is_made_up(pairs: &Pairs<'_>) -> bool {
    let name = text(pairs, SERVICE_NAME);
    !name.is_empty() && name == text(pairs, EXECUTABLE_NAME)
}

/// The value of an attribute that stands as a field of a resource.
fn field_value(field: &[u8]) -> &[u8] {
    let content = Fields::of(field).flatten().next().map_or(&[][..], |field| field.value.bytes());
    let value = Fields::of(content).flatten().find(|field| field.number == 2);
    value.map_or(&[], |field| field.value.bytes())
}

/// Sets an attribute that is absent or empty; says whether it did.
fn set(attributes: &mut Attributes<'_>, key: &[u8], value: &[u8]) -> bool {
    match attributes.get(key).map(AnyValue::of) {
        None => attributes.insert(key, value),
        Some(AnyValue::Empty | AnyValue::String([])) => attributes.update(key, value),
        Some(_) => false,
    }
}
