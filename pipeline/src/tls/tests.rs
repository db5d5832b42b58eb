//! Handshakes over an in-memory connection, good and bad.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::component::NotBuilt;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key as PEM.
fn issue(issuer: &Issuer, name: &str, until: i32) -> (String, String) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

fn server_config(issuer: &Issuer, until: i32) -> ServerTlsConfig {
    let (certificate, key) = issue(issuer, "collector.test", until);
    ServerTlsConfig { cert_pem: Some(certificate), key_pem: Some(key.into()), ..Default::default() }
}

fn client_config(trusted: &Issuer) -> ClientTlsConfig {
    ClientTlsConfig { ca_pem: Some(trusted.pem()), ..Default::default() }
}

/// Connects and sends a byte each way; the client's error if that fails.
async fn talk(server: ServerTlsConfig, client: ClientTlsConfig, host: &str) -> Result<(), String> {
    let server = ServerTls::new(&server, "tls", &[alpn::HTTP2]).unwrap();
    let client = ClientTls::new(&client, "tls", &[alpn::HTTP2]).unwrap();
    let (near, far) = duplex(64 * 1024);
    tokio::spawn(async move {
        if let Ok(mut stream) = server.accept(far).await {
            let byte = stream.read_u8().await.unwrap();
            stream.write_u8(byte + 1).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let mut stream = client.connect(host, near).await.map_err(|error| error.to_string())?;
    stream.write_u8(6).await.map_err(|error| error.to_string())?;
    let answer = stream.read_u8().await.map_err(|error| error.to_string())?;
    assert_eq!(answer, 7);
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn::HTTP2));
    Ok(())
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted_in_both_versions() {
    let issuer = authority();
    for version in ["1.2", "1.3"] {
        let client = ClientTlsConfig {
            min_version: version.into(),
            max_version: version.into(),
            ..client_config(&issuer)
        };
        talk(server_config(&issuer, 2060), client, "collector.test").await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let error = talk(server_config(&authority(), 2060), client_config(&authority()), "collector.test")
        .await
        .unwrap_err();
    assert!(error.contains("tls.ca_file"), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let issuer = authority();
    let error =
        talk(server_config(&issuer, 2020), client_config(&issuer), "collector.test").await.unwrap_err();
    assert!(error.contains("expired") && error.contains("new certificate"), "{error}");
}

#[tokio::test]
async fn another_name_is_refused_unless_overridden() {
    let issuer = authority();
    let error = talk(server_config(&issuer, 2060), client_config(&issuer), "127.0.0.1").await.unwrap_err();
    assert!(error.contains("server_name_override"), "{error}");
    let client =
        ClientTlsConfig { server_name_override: Some("collector.test".into()), ..client_config(&issuer) };
    talk(server_config(&issuer, 2060), client, "127.0.0.1").await.unwrap();
}

#[tokio::test]
async fn verification_can_be_skipped() {
    let client = ClientTlsConfig { insecure_skip_verify: true, ..Default::default() };
    talk(server_config(&authority(), 2020), client, "anything.test").await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_required_if_the_server_names_an_authority() {
    let (issuer, clients) = (authority(), authority());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.pem");
    std::fs::write(&file, clients.pem()).unwrap();
    let server =
        ServerTlsConfig { client_ca_file: Some(file.display().to_string()), ..server_config(&issuer, 2060) };

    assert!(talk(server.clone(), client_config(&issuer), "collector.test").await.is_err(), "none presented");

    let with_identity = |from: &Issuer| {
        let (certificate, key) = issue(from, "client.test", 2060);
        ClientTlsConfig { cert_pem: Some(certificate), key_pem: Some(key.into()), ..client_config(&issuer) }
    };
    assert!(
        talk(server.clone(), with_identity(&authority()), "collector.test").await.is_err(),
        "a stranger's"
    );
    talk(server, with_identity(&clients), "collector.test").await.unwrap();
}

#[tokio::test]
async fn a_plaintext_server_is_named_as_such() {
    let (near, mut far) = duplex(1024);
    tokio::spawn(async move {
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = far.read_to_end(&mut rest).await;
    });
    let client = ClientTls::new(&client_config(&authority()), "tls", &[]).unwrap();
    let error = client.connect("collector.test", near).await.unwrap_err().to_string();
    assert!(error.contains("tls.insecure: true"), "{error}");
}

#[test]
fn errors_name_key_and_file() {
    let message = |config: ClientTlsConfig| {
        ClientTls::new(&config, "tls", &[]).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let missing = message(ClientTlsConfig { ca_file: Some("/nowhere/ca.pem".into()), ..Default::default() });
    assert!(missing.starts_with("tls.ca_file: cannot read /nowhere/ca.pem"), "{missing}");
    let empty = message(ClientTlsConfig { ca_pem: Some("not PEM".into()), ..Default::default() });
    assert!(empty.starts_with("tls.ca_pem:"), "{empty}");

    let (certificate, _) = issue(&authority(), "a", 2060);
    let (_, other_key) = issue(&authority(), "b", 2060);
    let mismatch = message(ClientTlsConfig {
        ca_pem: Some(authority().pem()),
        cert_pem: Some(certificate.clone()),
        key_pem: Some(other_key.into()),
        ..Default::default()
    });
    assert!(mismatch.contains("do not work together"), "{mismatch}");
    let garbled = message(ClientTlsConfig {
        ca_pem: Some(authority().pem()),
        cert_pem: Some(certificate),
        key_pem: Some("hunter2".to_owned().into()),
        ..Default::default()
    });
    assert!(garbled.starts_with("tls.key_pem:") && !garbled.contains("hunter2"), "{garbled}");
}

#[test]
fn problems_are_all_reported() {
    let config = ServerTlsConfig {
        tpm: serde_json::from_str::<NotBuilt>("{\"enabled\": true}").unwrap(),
        min_version: "1.1".into(),
        key_file: Some("a".into()),
        key_pem: Some("b".to_owned().into()),
        ..Default::default()
    };
    let keys: Vec<_> = config.problems("tls").into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["tls.tpm", "tls.key_pem", "tls.min_version", "tls", "tls"]);
    assert!(ClientTlsConfig::default().problems("tls").is_empty());
    assert!(!format!("{config:?}").contains("\"b\""), "the key stays out of debug output");
}
