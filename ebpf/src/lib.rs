//! The kernel side: programs that see every TCP transfer on the host, and what loads and reads them.
//!
//! The programs are C in `bpf/`, compiled by `./build` into `objects/`, which is checked in. They only watch: nothing is
//! injected into traffic, no memory of any process is written.

pub mod event;
mod loader;
mod losses;
mod object;
pub mod probe;
mod reader;
mod settings;
mod types;

pub use event::Event;
pub use loader::{LoadError, Programs, Report, Verdict, Verdicts};
pub use losses::{Loss, Losses};
pub use object::Tier;
pub use reader::Reader;
pub use settings::{MAX_CAPTURE, MAX_PORTS, Settings, TierChoice};
pub use types::drop_reasons;
