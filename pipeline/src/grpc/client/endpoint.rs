//! Where a client connects to, and what it calls the destination.

use std::path::PathBuf;

use http::uri::{Authority, Scheme};

/// A destination.
#[derive(Clone, Debug)]
pub(in crate::grpc) struct Endpoint {
    name: String,
    address: Address,
    encrypted: bool,
    authority: Authority,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A host and a port.
    Tcp { host: String, port: u16 },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Endpoint {
    /// `host:port`, `http://host:port`, `https://host:port`, `dns:///host:port` or `unix:///path`. A scheme decides
    /// about encryption, else `insecure` does.
    pub(in crate::grpc) fn parse(text: &str, authority: &str, insecure: bool) -> Result<Self, String> {
        let (rest, encrypted) = if let Some(rest) = text.strip_prefix("https://") {
            (rest, true)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (rest, false)
        } else {
            (text.strip_prefix("dns:///").unwrap_or(text), !insecure)
        };
        let (address, default_authority) = match unix_path(text) {
            Some(path) => (Address::Unix(path), "localhost".to_owned()),
            None => {
                let rest = rest.trim_end_matches('/');
                let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong(text))?;
                let port = port.parse().map_err(|_| wrong(text))?;
                if host.is_empty() {
                    return Err(wrong(text));
                }
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                (Address::Tcp { host, port }, rest.to_owned())
            }
        };
        let authority = if authority.is_empty() { default_authority } else { authority.to_owned() };
        let authority = authority.parse().map_err(|_| format!("\"{authority}\" is not an authority"))?;
        Ok(Self { name: text.to_owned(), address, encrypted, authority })
    }

    /// As configured, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(in crate::grpc) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether it is a socket of this machine.
    pub(super) fn is_unix(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// What is connected to.
    pub(super) fn host(&self) -> &str {
        match &self.address {
            Address::Tcp { host, .. } => host,
            Address::Unix(_) => "localhost",
        }
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.encrypted { Scheme::HTTPS } else { Scheme::HTTP }
    }

    pub(super) fn authority(&self) -> Authority {
        self.authority.clone()
    }

    /// The name that the destination's certificate must be for.
    pub(super) fn server_name(&self) -> &str {
        self.authority.host()
    }
}

fn unix_path(text: &str) -> Option<PathBuf> {
    text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")).map(PathBuf::from)
}

fn wrong(text: &str) -> String {
    format!("\"{text}\" is not a destination; write host:port, such as collector.example.com:4317")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_decides_about_encryption() {
        let encrypted = |text, insecure| Endpoint::parse(text, "", insecure).unwrap().is_encrypted();
        assert!(encrypted("localhost:4317", false), "as in the Collector, TLS is the default");
        assert!(!encrypted("localhost:4317", true));
        assert!(!encrypted("http://localhost:4317", false));
        assert!(encrypted("https://localhost:4317", true));
    }

    #[test]
    fn addresses_of_every_form() {
        let parsed = |text| Endpoint::parse(text, "", true).unwrap();
        let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
        assert_eq!(*parsed("[::1]:4317").address(), tcp("::1", 4317));
        assert_eq!(parsed("[::1]:4317").authority(), "[::1]:4317");
        assert_eq!(*parsed("dns:///collector:1").address(), tcp("collector", 1));
        assert_eq!(*parsed("http://collector:1/").address(), tcp("collector", 1));
        assert_eq!(*parsed("unix:///run/otlp.sock").address(), Address::Unix("/run/otlp.sock".into()));
        for wrong in ["", "localhost", ":4317", "localhost:http", "localhost:70000"] {
            assert!(Endpoint::parse(wrong, "", true).is_err(), "{wrong}");
        }
    }
}
