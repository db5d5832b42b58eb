//! Bytes that are no HTTP, or lie.

use super::*;

/// Bytes that are no HTTP, or lie: neither an exchange nor a fall, and the next connection is seen as ever.
#[test]
fn what_is_no_http_makes_no_exchange_and_does_no_harm() {
    if !is_root() {
        return;
    }
    let mut binary = vec![0_u8; 100_000];
    let mut random = fastrand::Rng::with_seed(7);
    random.fill(&mut binary);
    let large = format!("GET /large HTTP/1.1\r\nHost: a\r\nx-large: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET /many HTTP/1.1\r\nHost: a\r\n{}\r\n", "x-a: b\r\n".repeat(100_000));
    let lying = "POST /lying HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nshort";
    let twice = "POST /twice HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
    let chunks =
        "POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n";
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("binary", binary.clone()),
        ("binary after a method", [b"GET ".as_slice(), &binary].concat()),
        ("a megabyte of a header", large.clone().into_bytes()),
        ("a hundred thousand headers", many.into_bytes()),
        ("a length that lies", lying.into()),
        ("two lengths", twice.into()),
        ("a chunk of no end", chunks.into()),
        ("a response as request", response.into()),
        ("a head without end", large.as_bytes()[..2_000].to_vec()),
        ("nothing but line ends", b"\r\n".repeat(10_000)),
        ("zeros", vec![0; 100_000]),
    ];
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        // This one says what it likes, whatever it is asked.
        let rude = TcpListener::bind(free_address().unwrap()).unwrap();
        let rude_address = rude.local_addr().unwrap();
        let receiver = format!(
            "    tier: {tier}\n    ports: [{}, {}]\n    {}",
            server.address.port(),
            rude_address.port(),
            ALL.replace("window", "untraced: true, window")
        );
        let sluice = joined_to_file(&setup, &receiver);
        let mut expected = Vec::new();
        for (what, input) in &inputs {
            for answers in [false, true] {
                let mut client = TcpStream::connect(rude_address).unwrap();
                let (mut other, _) = rude.accept().unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        // Either may be closed while it writes.
                        let _ = client.write_all(if answers {
                            b"GET /asked HTTP/1.1\r\nHost: a\r\n\r\n"
                        } else {
                            input
                        });
                        let _ = client.shutdown(Shutdown::Write);
                        let _ = client.read_to_end(&mut Vec::new());
                    });
                    let _ = other.write_all(if answers { input } else { response.as_bytes() });
                    let _ = other.shutdown(Shutdown::Write);
                    let _ = other.read_to_end(&mut Vec::new());
                });
            }
            let asked = ask(&mut server.connect());
            expected.push(asked);
            let count = expected.len();
            eventually(&format!("a request after {what} is seen"), || {
                sluice_is_alive(&setup)
                    && sum(setup.telemetry, "sluice_ebpf_connections", "") == 0
                    && sum(setup.telemetry, "sluice_ebpf_exchanges", "") >= 2 * count
            });
        }
        send_spans(&setup, &expected);
        eventually("each of them is joined", || joined_requests(&setup).len() >= expected.len());
        let lost = sum(setup.telemetry, "sluice_ebpf_lost_messages", "");
        assert!(lost > 0, "what was not understood is counted");
        sluice.assert_within(LIMIT_MIB);
        sluice.stop();
        let mut paths: Vec<String> = unjoined(&setup)
            .iter()
            .filter_map(|record| {
                let path = members(record, &["attributes"]).find(|pair| pair["key"] == "url.path")?;
                path["value"]["stringValue"].as_str().map(str::to_owned)
            })
            .filter(|path| !path.starts_with("/t/"))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        println!("tier {tier}: {lost} messages lost, records of {paths:?}");
    }
}
