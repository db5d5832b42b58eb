//! What the exporter counts of itself.

use metrics::counter;
use sluice_pipeline::component::ComponentId;

use super::{refusal::Refusal, request::Holds};

/// Data points that were not sent, by `exporter` and `reason` (see [`Refusal`]).
const REFUSED: &str = "sluice_remote_write_refused_points";
/// What the server has written, by `exporter` and `kind`: `samples`, `histograms`, `exemplars`.
const WRITTEN: &str = "sluice_remote_write_written";
/// What the server refused, by `exporter`, `kind` and `reason`.
const REJECTED: &str = "sluice_remote_write_rejected";
/// Requests by `exporter` and `outcome`: `written`, `partly`, `rejected`, `failed`.
const REQUESTS: &str = "sluice_remote_write_requests";

/// The counters of one exporter.
#[derive(Debug)]
pub(super) struct Counters {
    id: String,
}

impl Counters {
    pub(super) fn new(id: &ComponentId) -> Self {
        Self { id: id.to_string() }
    }

    pub(super) fn refused(&self, reason: Refusal, points: u64) {
        counter!(REFUSED, "exporter" => self.id.clone(), "reason" => reason.name()).increment(points);
    }

    pub(super) fn written(&self, holds: Holds) {
        for (kind, count) in kinds(holds) {
            counter!(WRITTEN, "exporter" => self.id.clone(), "kind" => kind).increment(count);
        }
    }

    pub(super) fn rejected(&self, holds: Holds, reason: &str) {
        for (kind, count) in kinds(holds) {
            let reason = reason.to_owned();
            counter!(REJECTED, "exporter" => self.id.clone(), "kind" => kind, "reason" => reason)
                .increment(count);
        }
    }

    pub(super) fn request(&self, outcome: &'static str) {
        counter!(REQUESTS, "exporter" => self.id.clone(), "outcome" => outcome).increment(1);
    }
}

/// Those that there are any of.
fn kinds(holds: Holds) -> impl Iterator<Item = (&'static str, u64)> {
    let all = [("samples", holds.samples), ("histograms", holds.histograms), ("exemplars", holds.exemplars)];
    all.into_iter().filter(|(_, count)| *count > 0)
}
