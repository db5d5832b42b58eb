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
async fn only_clients_with_an_allowed_name_get_in() {
    let issuer = authority();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.pem");
    std::fs::write(&file, issuer.pem()).unwrap();
    let attempt = async |rules: &[&str]| {
        let server = ServerTlsConfig {
            client_ca_file: Some(file.display().to_string()),
            allowed_client_subjects: rules.iter().map(|rule| (*rule).to_owned()).collect(),
            ..server_config(&issuer, 2060)
        };
        assert_eq!(server.problems("tls"), []);
        let (certificate, key) = issue(&issuer, "agent-7.test", 2060);
        let client = ClientTlsConfig {
            cert_pem: Some(certificate),
            key_pem: Some(key.into()),
            ..client_config(&issuer)
        };
        talk(server, client, "collector.test").await
    };
    attempt(&[]).await.unwrap();
    attempt(&["CN=nobody", "DNS:agent-*.test"]).await.unwrap();
    let error = attempt(&["CN=nobody", "DNS:agent-*.prod.test"]).await.unwrap_err();
    assert!(error.contains("AccessDenied"), "{error}");
}

/// The serial number of the certificate that the server shows.
async fn shown(server: &ServerTls, client: &ClientTls) -> Result<Vec<u8>, String> {
    let (near, far) = duplex(64 * 1024);
    let server = server.clone();
    tokio::spawn(async move { server.accept(far).await });
    let stream = client.connect("collector.test", near).await.map_err(|error| error.to_string())?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn changed_certificates_are_shown_and_trusted_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    let (issuer, other) = (authority(), authority());
    let install = |issuer: &Issuer| {
        let (certificate, key) = issue(issuer, "collector.test", 2060);
        write("server.crt", &certificate);
        write("server.key", &key);
    };
    install(&issuer);
    write("ca.crt", &issuer.pem());
    let every = std::time::Duration::from_nanos(1).into();
    let server = ServerTlsConfig {
        cert_file: Some(path("server.crt")),
        key_file: Some(path("server.key")),
        reload_interval: every,
        ..Default::default()
    };
    let server = ServerTls::new(&server, "tls", &[alpn::HTTP2]).unwrap();
    let client = |reload_interval| {
        let config = ClientTlsConfig { ca_file: Some(path("ca.crt")), reload_interval, ..Default::default() };
        ClientTls::new(&config, "tls", &[alpn::HTTP2]).unwrap()
    };
    let (follows, stays) = (client(every), client(Default::default()));
    let first = shown(&server, &follows).await.unwrap();
    install(&issuer);
    let second = shown(&server, &follows).await.unwrap();
    assert_ne!(first, second, "the new certificate is shown");

    // A key that is not the certificate's, as while both are being replaced.
    write("server.key", &issue(&issuer, "collector.test", 2060).1);
    assert_eq!(shown(&server, &follows).await.unwrap(), second, "what cannot be used changes nothing");

    install(&other);
    assert!(shown(&server, &follows).await.unwrap_err().contains("ca_file"), "a CA that is not trusted yet");
    write("ca.crt", &other.pem());
    assert_ne!(shown(&server, &follows).await.unwrap(), second);
    assert!(shown(&server, &stays).await.is_err(), "without an interval the files are read once");
}

#[tokio::test]
async fn client_authorities_can_be_reloaded_alone() {
    let (issuer, clients, later) = (authority(), authority(), authority());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.pem");
    std::fs::write(&file, clients.pem()).unwrap();
    let mut config = ServerTlsConfig {
        client_ca_file: Some(file.display().to_string()),
        client_ca_file_reload: true,
        ..server_config(&issuer, 2060)
    };
    let server = ServerTls::new(&config, "tls", &[]).unwrap();
    let (certificate, key) = issue(&later, "client.test", 2060);
    let client = ClientTlsConfig {
        cert_pem: Some(certificate),
        key_pem: Some(key.into()),
        // There the client learns of it in the handshake itself.
        max_version: "1.2".to_owned(),
        ..client_config(&issuer)
    };
    let client = ClientTls::new(&client, "tls", &[]).unwrap();
    shown(&server, &client).await.unwrap_err();
    std::fs::write(&file, later.pem()).unwrap();
    let taken = async {
        while shown(&server, &client).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), taken).await.expect("the new CA is trusted");
    config.client_ca_file = None;
    let problem = config.problems("tls").remove(0);
    assert_eq!(problem.key, "tls.client_ca_file_reload");
}

#[tokio::test]
async fn cipher_suites_and_curves_are_those_that_are_named() {
    let issuer = authority();
    let limited = |suites: &[&str], curves: &[&str]| ServerTlsConfig {
        cipher_suites: suites.iter().map(|name| (*name).to_owned()).collect(),
        curve_preferences: curves.iter().map(|name| (*name).to_owned()).collect(),
        ..server_config(&issuer, 2060)
    };
    let only = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let client = |suites: &[&str], curves: &[&str], max: &str| ClientTlsConfig {
        cipher_suites: suites.iter().map(|name| (*name).to_owned()).collect(),
        curve_preferences: curves.iter().map(|name| (*name).to_owned()).collect(),
        max_version: max.to_owned(),
        ..client_config(&issuer)
    };
    let host = "collector.test";
    let server = limited(&[only], &["P384"]);
    talk(server.clone(), client(&[only], &[], "1.2"), host).await.unwrap();
    talk(server.clone(), client(&[], &["P384"], ""), host).await.unwrap();
    let other = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    talk(server.clone(), client(&[other], &[], "1.2"), host).await.unwrap_err();
    talk(server.clone(), client(&[other], &[], ""), host).await.unwrap();
    talk(server, client(&[], &["X25519"], ""), host).await.unwrap_err();
    let unknown = limited(&["TLS_RSA_WITH_AES_128_CBC_SHA"], &["P521"]).problems("tls");
    assert_eq!(unknown.len(), 2, "{unknown:?}");
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
