//! The span of the v2 model, and what can be wrong with one.

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::id::{IdError, SpanId, TraceId};
use crate::{json::JsonError, protobuf::ProtobufError, thrift::ThriftError};

/// The latest time and the longest duration, in microseconds: what fits 64 bits of nanoseconds.
pub const MAX_TIME: u64 = u64::MAX / 1_000;

/// A span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span<'a> {
    /// Never all zeros.
    pub trace_id: TraceId,
    /// Never all zeros.
    pub id: SpanId,
    /// The span that this one was caused by.
    pub parent_id: Option<SpanId>,
    /// Its role in a request or message; none means local.
    pub kind: Option<Kind>,
    /// Empty if absent.
    pub name: Cow<'a, str>,
    /// When it started, in microseconds since 1970; 0 if absent.
    pub timestamp: u64,
    /// How long it took, in microseconds; 0 if absent.
    pub duration: u64,
    /// Who recorded it.
    pub local_endpoint: Endpoint<'a>,
    /// The other side.
    pub remote_endpoint: Endpoint<'a>,
    /// What happened meanwhile.
    pub annotations: Vec<Annotation<'a>>,
    /// Keys and values as they came; a key may repeat.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Asked to be stored whatever the sampling.
    pub debug: bool,
    /// The server's half of an RPC whose client half has the same id (B3).
    pub shared: bool,
}

/// The role of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Zipkin's own")]
pub enum Kind {
    Client = 1,
    Server = 2,
    Producer = 3,
    Consumer = 4,
}

/// A node in the network. Absent when everything in it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Empty if absent.
    pub service_name: Cow<'a, str>,
    /// Its IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// 0 if absent.
    pub port: u16,
}

/// Something that happened during a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation<'a> {
    /// In microseconds since 1970.
    pub timestamp: u64,
    /// What happened.
    pub value: Cow<'a, str>,
}

/// What a reader went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// How many spans.
    pub spans: usize,
    /// How many values held invalid UTF-8, now U+FFFD.
    pub repaired: usize,
}

/// A request that is no list of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("span {span} of the list: {fault}")]
pub struct Malformed {
    /// The place of the span in the list, from 0.
    pub span: usize,
    /// What is wrong with it.
    pub fault: SpanFault,
}

/// What is wrong with a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanFault {
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is no protobuf.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// It is no thrift.
    #[error(transparent)]
    Thrift(#[from] ThriftError),
    /// A span of the other version of Zipkin's model.
    #[error("\"{field}\" is of Zipkin v{version}: send such spans to /api/v{version}/spans")]
    OtherVersion {
        /// What that version has and this has not.
        field: &'static str,
        /// That version.
        version: u8,
    },
    /// A v1 span that too many services wrote into.
    #[error("more than {maximum} services made annotations")]
    Services {
        /// The most that may.
        maximum: usize,
    },
    /// A v1 span with more annotations than one span has.
    #[error("there are more than {maximum} {field}")]
    Annotations {
        /// The list that they are in.
        field: &'static str,
        /// The most that it may hold.
        maximum: usize,
    },
    /// An id is malformed.
    #[error("{field} {error}")]
    Id {
        /// The field.
        field: &'static str,
        /// Why.
        error: IdError,
    },
    /// A field that every span needs.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A kind that Zipkin does not have.
    #[error("kind must be CLIENT, SERVER, PRODUCER or CONSUMER")]
    Kind,
    /// Text that is no IP address.
    #[error("{0} is no IP address")]
    Address(&'static str),
    /// A port beyond 65535.
    #[error("port is out of range")]
    Port,
    /// A time beyond [`MAX_TIME`].
    #[error("{0} is out of range: it is a number of microseconds")]
    Time(&'static str),
    /// A tag or annotation that is not text.
    #[error("the values of tags and annotations must be strings: {0}")]
    NotText(JsonError),
}

impl Kind {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "CLIENT",
            Self::Server => "SERVER",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Client, Self::Server, Self::Producer, Self::Consumer]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Endpoint<'_> {
    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.service_name.is_empty() && self.ipv4.is_none() && self.ipv6.is_none() && self.port == 0
    }
}

impl Span<'_> {
    /// Forgets everything but the memory of its lists.
    pub(super) fn clear(&mut self) {
        let mut annotations = std::mem::take(&mut self.annotations);
        let mut tags = std::mem::take(&mut self.tags);
        annotations.clear();
        tags.clear();
        *self = Self { annotations, tags, ..Self::default() };
    }

    /// Fails unless it has what every span needs.
    pub(super) fn check(&self) -> Result<(), SpanFault> {
        if self.trace_id == TraceId::default() {
            return Err(SpanFault::Missing("traceId"));
        }
        if self.id == SpanId::default() {
            return Err(SpanFault::Missing("id"));
        }
        Ok(())
    }
}
