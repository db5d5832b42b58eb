//! Halving a request that a server refused, so that what is wrong with one series costs few others.

use sluice_pipeline::compression::{Encoding, decompress};
use sluice_protocols::protobuf::{Fields, Value, write_bytes};

use super::{ProtobufMessage, Request};

impl Request {
    /// Its halves, each whole by itself; `None` of a single series. A series stays in one of them.
    pub(in crate::prometheusremotewrite) fn halves(&self, message: ProtobufMessage) -> Option<[Self; 2]> {
        let (first, second) = self.series.split_at_checked(self.series.len() / 2)?;
        if first.is_empty() {
            return None;
        }
        let content = decompress(Encoding::Snappy, &self.body, self.size).ok()?.bytes;
        let of_first: usize = first.iter().map(|series| series.messages).sum();
        let mut bodies = [Vec::new(), Vec::new()];
        let mut seen = 0;
        for (number, value) in Fields::of(&content).filter_map(Result::ok) {
            let Value::Bytes(bytes) = value else { continue };
            let is_series = number == message.series_field();
            let second_half = seen >= of_first;
            seen += usize::from(is_series);
            for (half, body) in bodies.iter_mut().enumerate() {
                // What is no series, symbols and metadata, may be needed by either.
                if !is_series || (half == 1) == second_half {
                    write_bytes(body, number, bytes);
                }
            }
        }
        let [one, other] = bodies;
        Some([
            Self::new(one, first.to_vec(), self.depth + 1).ok()?,
            Self::new(other, second.to_vec(), self.depth + 1).ok()?,
        ])
    }
}
