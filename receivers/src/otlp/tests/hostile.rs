//! Bytes that no client would send.

use futures_util::future::join_all;
use proptest::prelude::*;
use sluice_pipeline::{
    Code,
    grpc::{GrpcClientConfig, client::Channel},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::otlp::grpc::METHODS;

/// Sends these bytes and nothing more, and reads to the end of the connection.
pub(super) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before all of it is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn only_post_is_taken() {
    let fixture = start_plain().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{method} /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(fixture.http, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: POST"), "{answer}");
    }
}

#[tokio::test]
async fn a_browser_may_ask_first() {
    let fixture = start("", "cors: {allowed_origins: ['https://*.shop.test']}", Budget::new(1 << 30)).await;
    let preflight = "OPTIONS /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: https://www.shop.test\r\n\
                     access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n\r\n";
    let answer = exchange(fixture.http, preflight.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://www.shop.test"), "{answer}");
}

#[tokio::test]
async fn http1_on_the_grpc_port_and_noise_leave_both_alive() {
    let fixture = start_plain().await;
    for noise in [
        &b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\xff\xff\x00\x00\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ] {
        assert!(!exchange(fixture.grpc, noise).await.contains(" 200 "));
        exchange(fixture.http, &noise[..noise.len() - 1]).await;
    }
    let answer = exchange(
        fixture.http,
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn concurrent_clients_beyond_the_budget_are_refused_retryably_or_served() {
    let fixture = start("", "", Budget::new(4 << 20)).await;
    let config = GrpcClientConfig {
        endpoint: format!("http://{}", fixture.grpc),
        compression: "none".to_owned(),
        ..Default::default()
    };
    let channel = Channel::new(&config, &ComponentContext::detached("test", Budget::new(1 << 30))).unwrap();
    let message = spans(10_000);
    let answers =
        join_all((0..64).map(|_| channel.unary(METHODS[0].1, vec![message.clone()], None, soon(), None)))
            .await;
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(served > 0, "{refused:?}");
    for failure in &refused {
        assert_eq!((failure.code, failure.is_permanent()), (Some(Code::Unavailable), false), "{failure}");
    }
    assert_eq!(fixture.pipeline.taken().len(), served);
    assert_eq!(fixture.budget.used(), 0);
}

fn bit_flipped(message: &[u8], flips: &[(usize, u8)]) -> Vec<u8> {
    let mut flipped = message.to_vec();
    for (position, bit) in flips {
        let length = flipped.len();
        flipped[position % length] ^= 1 << (bit % 8);
    }
    flipped
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn flipped_bits_are_refused_or_still_otlp(flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = start_plain().await;
            let body = bit_flipped(&spans(3), &flips);
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let answer = exchange(fixture.http, &[head.as_bytes(), &body].concat()).await;
            let taken = fixture.pipeline.taken();
            if answer.starts_with("HTTP/1.1 200") {
                for batch in taken {
                    TracesData::decode(batch.contiguous()).expect("what is passed on can be decoded");
                }
            } else {
                assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
                assert!(taken.is_empty());
            }
        });
    }
}
