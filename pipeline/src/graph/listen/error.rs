//! Why an endpoint cannot be bound.

use std::io;

/// An endpoint that cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Two components of one configuration want the same address.
    #[error(
        "{owner} cannot listen on {address} ({key}): {other} listens there already; give one of them another port"
    )]
    Shared {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// The component that has it.
        other: String,
    },
    /// Another process, or this one, has the port.
    #[error(
        "{owner} cannot listen on {address} ({key}): the address is in use{holder}; stop that process or choose another port"
    )]
    InUse {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// ` by process PID (NAME)` where it can be told.
        holder: String,
    },
    /// The address is no `host:port`, or its host does not resolve.
    #[error("{owner} cannot listen on {address} ({key}): {reason}; write host:port, such as localhost:4317")]
    Address {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else that the system refuses.
    #[error("{owner} cannot listen on {address} ({key}): {source}")]
    System {
        /// The component that cannot listen.
        owner: String,
        /// The configured address.
        address: String,
        /// The key that configures it, with its place.
        key: String,
        /// The system's reason.
        source: io::Error,
    },
}
