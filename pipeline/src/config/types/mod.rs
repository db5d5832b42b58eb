//! Types that configurations of components share.

mod duration;
mod headers;
mod identifier;
mod secret;

pub use duration::{Duration, InvalidDuration};
pub use headers::Headers;
pub use secret::Secret;
