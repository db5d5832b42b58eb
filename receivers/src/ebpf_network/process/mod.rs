//! Who owns a connection: processes, their containers, and which of them are watched.

mod cgroup;
mod filter;
mod identity;
mod namespaces;
mod table;

pub use self::{
    filter::{Filter, FilterConfig, Matcher},
    identity::Identity,
    table::Table,
};
