//! The other end of a span: address and port.

use sluice_pipeline::otlp::{
    attribute::{write_int, write_text},
    write::Writer,
};
use sluice_protocols::skywalking::attributes::span;

use super::span::{ATTRIBUTES, SERVER};

/// Writes the peer of a span of this kind.
pub(super) fn write_peer(writer: &mut Writer<'_>, kind: u64, peer: &str) {
    let (address_key, port_key) = match kind {
        SERVER => (span::CLIENT_ADDRESS, span::CLIENT_PORT),
        _ => (span::SERVER_ADDRESS, span::SERVER_PORT),
    };
    let (address, port) = split_peer(peer);
    write_text(writer, ATTRIBUTES, address_key, address);
    if let Some(port) = port {
        write_int(writer, ATTRIBUTES, port_key, port.into());
    }
}

/// Address and port, where they can be put together again.
fn split_peer(peer: &str) -> (&str, Option<u16>) {
    let split = || {
        let (host, digits) = peer.rsplit_once(':')?;
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
        let port: u16 = plain.then(|| digits.parse().ok()).flatten()?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bracketed.filter(|host| host.contains(':') && !host.contains(['[', ']'])) {
            Some(host) => Some((host, port)),
            None if host.is_empty() || host.contains([':', ',', ';', '/']) => None,
            None => Some((host, port)),
        }
    };
    split().map_or((peer, None), |(host, port)| (host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_split_where_they_can_be_joined() {
        assert_eq!(split_peer("10.0.0.1:80"), ("10.0.0.1", Some(80)));
        assert_eq!(split_peer("[::1]:9200"), ("::1", Some(9200)));
        for whole in [
            "",
            "db",
            ":80",
            "::1",
            "a:1,b:2",
            "host:0",
            "host:080",
            "host:65536",
            "http://h:80",
            "[x]",
            "h:",
        ] {
            assert_eq!(split_peer(whole), (whole, None));
        }
    }
}
