//! The configuration as a whole: which components are defined, and how the pipelines wire them.

use super::{Location, Node};
use crate::component::{ComponentId, Kind, PipelineId};

/// Something with the place that names it.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// What is named.
    pub value: T,
    /// Where.
    pub location: Location,
}

/// A component as defined in its section.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its kind, from the section.
    pub kind: Kind,
    /// Its id, with the place of the key.
    pub id: Located<ComponentId>,
    /// Its configuration; an empty map where the body is null.
    pub body: Node,
}

/// A pipeline as defined under `service.pipelines`.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its id, with the place of the key.
    pub id: Located<PipelineId>,
    /// Receivers or connectors.
    pub receivers: Vec<Located<ComponentId>>,
    /// Processors in order.
    pub processors: Vec<Located<ComponentId>>,
    /// Exporters or connectors.
    pub exporters: Vec<Located<ComponentId>>,
}

/// The configuration as a whole. Ids are checked for their grammar here, references by [`crate::graph`].
#[derive(Clone, Debug)]
pub struct Document {
    /// Every component of every section, in order.
    pub definitions: Vec<Definition>,
    /// `service.extensions`.
    pub extensions: Vec<Located<ComponentId>>,
    /// `service.pipelines`.
    pub pipelines: Vec<Pipeline>,
    /// `service.telemetry`; an empty map where absent.
    pub telemetry: Node,
}
