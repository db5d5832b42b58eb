//! Who telemetry is of, as OAP has it: service, instance, layer.

use std::borrow::Cow;

use sluice_pipeline::otlp::view::{Attributes, Resource, Text};

use super::config::EntityConfig;

/// A service, its instance and its layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) service: String,
    pub(super) instance: String,
    /// Empty where OAP is to choose.
    pub(super) layer: String,
}

impl Entity {
    /// By the first of these whose attributes are all there. The configuration makes sure that there is one; where its
    /// last entry has no defaults a resource may still be nobody's.
    pub(super) fn of(resource: &Resource<'_>, configs: &[EntityConfig]) -> Self {
        let attributes = resource.attributes();
        let value = |name: &str| text(attributes, name);
        let entity = configs.iter().find_map(|config| {
            let applies =
                config.when.iter().all(|(name, wanted)| value(name).is_some_and(|value| value == *wanted));
            Some(Self {
                service: applies.then(|| config.service.render(value)).flatten()?,
                instance: config.instance.render(value)?,
                layer: config.layer.render(value)?,
            })
        });
        entity.unwrap_or_default()
    }

    /// As SkyWalking's agent said.
    pub(super) fn as_said(resource: &Resource<'_>) -> Self {
        let value = |name: &str| text(resource.attributes(), name).unwrap_or_default().into_owned();
        Self {
            service: value("service.name"),
            instance: value("service.instance.id"),
            layer: value("service.layer"),
        }
    }
}

/// The last attribute with this name, as text.
pub(super) fn text<'a>(attributes: Attributes<'a>, name: &str) -> Option<Cow<'a, str>> {
    attributes.filter(|pair| pair.key.as_str() == name).last().map(|pair| pair.value.text())
}
