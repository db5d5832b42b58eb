//! Adds what is known of its pod to each resource.

use std::net::IpAddr;

use sluice_pipeline::{
    Batch,
    otlp::{
        rewrite::{self, Attributes, Editor, Part, Visit, value},
        view::{AnyValue, Repeated, Text, View},
        wire::Fields,
    },
};

use super::{
    association::Associations,
    block::{self, Block},
    catalogue::{Catalogue, State},
    config::Field,
    metrics::Tally,
    pod::Entry,
    related::Kind,
};

const POD_IP: &[u8] = b"k8s.pod.ip";
const SERVICE_NAME: &[u8] = b"service.name";
const EXECUTABLE_NAME: &[u8] = b"process.executable.name";

/// The attributes of a resource: keys with encoded values.
type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Adds what is known of pods. What a resource has already stays, unless it is empty.
pub(super) fn enrich(batch: Batch, catalogue: &Catalogue) -> (Batch, Tally) {
    let client = client(&batch);
    let state = catalogue.read();
    let mut editor =
        Enrich { catalogue, state: &state, client, key: Vec::with_capacity(64), tally: Tally::default() };
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
    tally: Tally,
}

struct PassThrough<'c> {
    associations: &'c Associations,
    client: IpAddr,
    key: Vec<u8>,
}

impl Editor for PassThrough<'_> {
    fn resource(&mut self, resource: &mut Part<'_>) -> Visit {
        let pairs = pairs(resource.bytes());
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
        let mut pairs = pairs(resource.bytes());
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
            Some(entry) => of_pod(entry, &pairs, resource),
            None => self.of_relations(&pairs, resource),
        }
        Visit::Keep
    }
}

impl Enrich<'_> {
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

fn of_pod(entry: &Entry, pairs: &Pairs<'_>, resource: &mut Part<'_>) {
    add(&entry.block, pairs, resource);
    let id = text(pairs, b"container.id");
    let Some(container) = entry.container(text(pairs, b"k8s.container.name"), id) else { return };
    add(&container.block, pairs, resource);
    // A resource may say which run of the container it is of.
    let restarts = match pairs.iter().find(|(key, _)| *key == b"k8s.container.restart_count") {
        Some((_, count)) => number(count),
        None => Some(container.restarts),
    };
    if restarts == Some(container.restarts) && container.runs_as(id) {
        add(&container.run, pairs, resource);
    }
}

fn pairs(resource: &[u8]) -> Pairs<'_> {
    let mut pairs = Vec::with_capacity(16);
    pairs.extend(Repeated::<&[u8]>::all(resource, 1).map(|pair| {
        let mut parts = (&[][..], &[][..]);
        for field in Fields::of(pair).flatten() {
            match field.number {
                1 => parts.0 = field.value.bytes(),
                2 => parts.1 = field.value.bytes(),
                _ => {}
            }
        }
        parts
    }));
    pairs
}

/// The text of an attribute; empty if there is none.
fn text<'a>(pairs: &Pairs<'a>, key: &[u8]) -> &'a [u8] {
    match pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| AnyValue::of(value)) {
        Some(AnyValue::String(text)) => text,
        _ => &[],
    }
}

fn number(value: &[u8]) -> Option<i64> {
    match AnyValue::of(value) {
        AnyValue::Int(number) => Some(number),
        AnyValue::String(text) => text.as_str().parse().ok(),
        _ => None,
    }
}

/// Adds what the resource does not have of a block, all at once: nearly always that is the block as it stands, or without
/// what the pod was found by.
fn add(block: &Block, pairs: &Pairs<'_>, resource: &mut Part<'_>) {
    let shared = block.shares(pairs.iter().map(|(key, _)| *key));
    if shared == 0 {
        if !block.is_empty() {
            resource.append(|writer| writer.raw(block.bytes()));
        }
        return;
    }
    let mut replaced: Vec<(&[u8], &[u8])> = Vec::new();
    resource.append(|writer| {
        for (field, key) in block.fields() {
            let own = pairs.iter().find(|(own, _)| block::bit(key) & shared != 0 && *own == key);
            match own {
                None => writer.raw(field),
                Some((_, value)) if is_free(key, value, pairs) => replaced.push((key, field)),
                Some(_) => {}
            }
        }
    });
    for (key, field) in replaced {
        if let Some(attributes) = resource.attributes() {
            attributes.update(key, field_value(field));
        }
    }
}

/// Whether an attribute that a resource has is to be replaced.
fn is_free(key: &[u8], value: &[u8], pairs: &Pairs<'_>) -> bool {
    let is_empty = matches!(AnyValue::of(value), AnyValue::Empty | AnyValue::String([]));
    is_empty || key == SERVICE_NAME && is_made_up(pairs)
}

fn add_one_by_one(block: &Block, resource: &mut Part<'_>) {
    let Some(attributes) = resource.attributes() else { return };
    for (field, key) in block.fields() {
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
