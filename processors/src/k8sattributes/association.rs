//! How the pod of a resource is found: by what both have in common.

use std::net::IpAddr;

use sluice_pipeline::otlp::view::{AnyValue, Text, View};

use super::config::{PodAssociationConfig, SourceFrom};

/// The rules, in order.
#[derive(Debug)]
pub(super) struct Associations {
    rules: Vec<Rule>,
    /// What pods are known by, each combination once.
    tables: Vec<Vec<Property>>,
}

#[derive(Debug)]
struct Rule {
    sources: Vec<Source>,
    table: usize,
}

#[derive(Debug)]
struct Source {
    /// The attribute of the resource; `None` is the address of the client.
    attribute: Option<Box<[u8]>>,
    property: Property,
}

/// What a pod has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Property {
    Address,
    Uid,
    Name,
    Namespace,
    /// The id of one of its containers.
    ContainerId,
    /// An attribute that is extracted.
    Attribute(String),
}

/// What a resource says of its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identified {
    /// Where such pods are known.
    pub(super) table: usize,
    /// Whether the address of the client was part of it.
    pub(super) by_connection: bool,
}

impl Associations {
    pub(super) fn new(rules: &[PodAssociationConfig]) -> Self {
        let mut associations = Self { rules: Vec::new(), tables: Vec::new() };
        for rule in rules {
            associations.add(rule.sources.iter().map(|source| match source.from {
                Some(SourceFrom::ResourceAttribute) => Some(source.name.as_str()),
                _ => None,
            }));
        }
        if rules.is_empty() {
            // As in the Collector, with the UID besides, which is surer than an address.
            for source in [Some("k8s.pod.ip"), Some("ip"), Some("k8s.pod.uid"), None, Some("host.name")] {
                associations.add([source]);
            }
        }
        associations
    }

    fn add<'a>(&mut self, sources: impl IntoIterator<Item = Option<&'a str>>) {
        let source = |name: Option<&str>| Source {
            attribute: name.map(|name| name.as_bytes().into()),
            property: name.map_or(Property::Address, Property::of_attribute),
        };
        let sources: Vec<Source> = sources.into_iter().map(source).collect();
        let properties: Vec<Property> = sources.iter().map(|source| source.property.clone()).collect();
        let known = self.tables.iter().position(|table| *table == properties);
        let table = known.unwrap_or_else(|| {
            self.tables.push(properties);
            self.tables.len() - 1
        });
        self.rules.push(Rule { sources, table });
    }

    /// What pods are known by, each combination once.
    pub(super) fn tables(&self) -> &[Vec<Property>] {
        &self.tables
    }

    /// Whether pods are known by this.
    pub(super) fn uses(&self, property: &Property) -> bool {
        self.tables.iter().flatten().any(|used| used == property)
    }

    /// The first rule whose sources are all there. `key` becomes what the pod is known by. Attributes are keys with
    /// encoded values.
    pub(super) fn identify(
        &self,
        attributes: &[(&[u8], &[u8])],
        client: Option<IpAddr>,
        key: &mut Vec<u8>,
    ) -> Option<Identified> {
        self.rules.iter().find_map(|rule| {
            key.clear();
            let is_single = rule.sources.len() == 1;
            let mut by_connection = false;
            for source in &rule.sources {
                match &source.attribute {
                    None => {
                        by_connection = true;
                        push(key, is_single, |key| push_address(key, client?))?;
                    }
                    Some(name) => {
                        let (_, value) = attributes.iter().find(|(key, _)| **key == **name)?;
                        let AnyValue::String(text) = AnyValue::of(value) else { return None };
                        push(key, is_single, |key| match source.property {
                            Property::Address => push_address(key, text.as_str().parse().ok()?),
                            _ if text.is_empty() => None,
                            _ => {
                                key.extend_from_slice(text);
                                Some(())
                            }
                        })?;
                    }
                }
            }
            Some(Identified { table: rule.table, by_connection })
        })
    }
}

impl Property {
    fn of_attribute(name: &str) -> Self {
        match name {
            "k8s.pod.ip" | "ip" | "host.name" => Self::Address,
            "k8s.pod.uid" => Self::Uid,
            "k8s.pod.name" => Self::Name,
            "k8s.namespace.name" => Self::Namespace,
            "container.id" => Self::ContainerId,
            other => Self::Attribute(other.to_owned()),
        }
    }
}

/// All keys that a pod is known by in a table: one for each combination of `values`, what it has of each property.
pub(super) fn keys(values: &[Vec<Vec<u8>>]) -> Vec<Vec<u8>> {
    /// A pod with more addresses and containers than this is none.
    const MOST: usize = 256;
    let mut keys = vec![Vec::new()];
    for value in values {
        let extended = keys.iter().flat_map(|key: &Vec<u8>| {
            value.iter().map(move |value| {
                let mut key = key.clone();
                let _ = push(&mut key, values.len() == 1, |key| {
                    key.extend_from_slice(value);
                    Some(())
                });
                key
            })
        });
        keys = extended.take(MOST).collect();
    }
    keys
}

/// An address as it is in keys, however it was written.
pub(super) fn address(address: IpAddr) -> Vec<u8> {
    let mut key = Vec::new();
    let _ = push_address(&mut key, address);
    key
}

fn push_address(key: &mut Vec<u8>, address: IpAddr) -> Option<()> {
    match address.to_canonical() {
        IpAddr::V4(address) => key.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => key.extend_from_slice(&address.octets()),
    }
    Some(())
}

/// One of several parts is followed by its length, so that they cannot run into each other.
fn push(key: &mut Vec<u8>, is_single: bool, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let start = key.len();
    write(key)?;
    if !is_single {
        let length = u32::try_from(key.len() - start).unwrap_or(u32::MAX);
        key.extend_from_slice(&length.to_le_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::otlp::rewrite::value;

    use super::*;
    use crate::k8sattributes::config::SourceConfig;

    fn identify(
        associations: &Associations,
        attributes: &[(&str, &str)],
        client: Option<&str>,
    ) -> Option<(Identified, Vec<u8>)> {
        let values: Vec<_> =
            attributes.iter().map(|(key, text)| (*key, value::string(text.as_bytes()))).collect();
        let pairs: Vec<_> = values.iter().map(|(key, value)| (key.as_bytes(), value.as_slice())).collect();
        let mut key = Vec::new();
        let client = client.map(|client| client.parse().unwrap());
        associations.identify(&pairs, client, &mut key).map(|identified| (identified, key))
    }

    #[test]
    fn without_rules_the_surest_source_comes_first() {
        let rules = Associations::new(&[]);
        let by = |attributes: &[(&str, &str)], client| identify(&rules, attributes, client);
        let (ip, key) = by(&[("k8s.pod.ip", "10.0.0.1"), ("k8s.pod.uid", "u")], Some("10.0.0.9")).unwrap();
        assert_eq!((key, ip.by_connection), (vec![10, 0, 0, 1], false));
        let (uid, key) = by(&[("k8s.pod.uid", "u")], Some("10.0.0.9")).unwrap();
        assert_eq!(key, b"u");
        assert_ne!(uid.table, ip.table);
        let (client, key) = by(&[("k8s.pod.ip", "none")], Some("::ffff:10.0.0.9")).unwrap();
        assert_eq!((key, client.by_connection, client.table), (vec![10, 0, 0, 9], true, ip.table));
        assert_eq!(by(&[("host.name", "node-1")], None), None);
        assert_eq!(by(&[("host.name", "10.0.0.3")], None).unwrap().1, [10, 0, 0, 3]);
    }

    #[test]
    fn all_sources_of_a_rule_must_be_there() {
        let source =
            |name: &str| SourceConfig { from: Some(SourceFrom::ResourceAttribute), name: name.to_owned() };
        let rules = Associations::new(&[
            PodAssociationConfig { sources: vec![source("k8s.namespace.name"), source("k8s.pod.name")] },
            PodAssociationConfig { sources: vec![source("container.id")] },
        ]);
        let namespace = ("k8s.namespace.name", "a");
        let (both, key) = identify(&rules, &[("k8s.pod.name", "b-c"), namespace], None).unwrap();
        assert_eq!(rules.tables()[both.table], [Property::Namespace, Property::Name]);
        assert_eq!(keys(&[vec![b"a".to_vec()], vec![b"x".to_vec(), b"b-c".to_vec()]])[1], key);
        let (container, _) = identify(&rules, &[namespace, ("container.id", "1")], None).unwrap();
        assert_eq!(rules.tables()[container.table], [Property::ContainerId]);
        assert_eq!(identify(&rules, &[namespace, ("k8s.pod.name", "")], Some("10.0.0.1")), None);
        // Parts do not run into each other.
        let split = |one: &str, other: &str| {
            identify(&rules, &[("k8s.namespace.name", one), ("k8s.pod.name", other)], None).unwrap().1
        };
        assert_ne!(split("ab", "c"), split("a", "bc"));
        assert_eq!(keys(&[Vec::new(), vec![b"x".to_vec()]]), Vec::<Vec<u8>>::new());
    }
}
